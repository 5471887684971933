"""Which browser is started, and how (controlui/browser.py)."""

import os
import shlex
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from openclaw_tunnel.controlui.browser import browsers, show, with_url
from support.waiting import wait_until

SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
URL = "http://127.0.0.1:1/abc"


def installed(*names: str) -> dict[str, str]:
    return {name: f"/usr/bin/{name}" for name in names}


@pytest.mark.parametrize(
    ("env", "platform", "programs", "commands"),
    [
        ({"DISPLAY": ":0"}, "linux", ["xdg-open", "gio"], [("xdg-open",), ("gio", "open")]),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", ["x-www-browser"], [("x-www-browser",)]),
        ({"DISPLAY": ":0"}, "linux", [], []),
        ({"DISPLAY": "", **SSH}, "linux", ["xdg-open", "firefox"], []),
        ({"BROWSER": "firefox"}, "linux", ["xdg-open", "firefox"], [("firefox",)]),
        ({"BROWSER": "a b %s &:'c d'", "DISPLAY": ":0"}, "linux", ["a", "c d"], [("a", "b", "%s"), ("c d",)]),
        ({"BROWSER": "xdg-open", "DISPLAY": ":0"}, "linux", ["xdg-open"], [("xdg-open",)]),
        ({"BROWSER": "gone:'"}, "linux", ["firefox"], []),
        ({"BROWSER": "w3m:/usr/bin/lynx -x:firefox"}, "linux", ["w3m", "/usr/bin/lynx", "firefox"], [("firefox",)]),
        ({}, "darwin", ["/usr/bin/open", "xdg-open"], [("/usr/bin/open",)]),
        (SSH, "darwin", ["/usr/bin/open"], []),
    ],
)
def test_which(env: Mapping[str, str], platform: str, programs: list[str], commands: list[tuple[str, ...]]) -> None:
    assert browsers(env, platform, installed(*programs).get) == commands


def test_where_the_address_stands() -> None:
    assert with_url(["firefox"], URL) == ["firefox", URL]
    assert with_url(["firefox", "--url=%s", "--new-tab"], URL) == ["firefox", f"--url={URL}", "--new-tab"]


class Fetched:
    """A page that has been fetched when a file is there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, seconds: float) -> bool:
        threading.Event().wait(seconds)
        return self._file.exists()


def test_the_next_one_is_tried_after_a_failure(tmp_path: Path) -> None:
    said = tmp_path / "said"
    works = ["sh", "-c", f'echo "$1" >{shlex.quote(str(said))}', "sh"]
    assert show(URL, [["/no/such/program"], ["false"], works, ["false"]], Fetched(said), 30)
    wait_until(lambda: said.read_text() == f"{URL}\n")


def test_nobody_comes() -> None:
    never = Fetched(Path("/no/such/file"))
    assert not show(URL, [["false"], ["false"]], never, 30)
    assert not show(URL, [], never, 30)


class NeverFetched:
    """A page that nobody fetches; ``asked`` are the seconds that somebody waited for it."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.asked.append(seconds)
        threading.Event().wait(seconds)
        return False


def test_one_that_says_that_it_went_well_is_believed_until_the_time_is_up() -> None:
    """Programs that hand the address to a browser that runs end at once."""
    never, began = NeverFetched(), time.monotonic()
    assert not show(URL, [["true"], ["true"]], never, 0.3)
    assert time.monotonic() - began >= 0.3
    assert never.asked.count(0) == 1, "the second one was not started"


def test_it_outlives_us_away_from_the_terminal(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f'echo $$ >{pid}.new; mv {pid}.new {pid}; read line; echo "$?" >{pid}.read; exec sleep 60'
    assert show(URL, [["sh", "-c", script]], Fetched(pid), 30)
    number = int(pid.read_text())
    read = Path(f"{pid}.read")
    try:
        wait_until(lambda: read.exists() and read.read_text() == "1\n", what="the end of its standard input")
        assert os.getsid(number) == number
    finally:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
