"""Notices on the desktop, with programs in the place of osascript and notify-send."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from openclaw_tunnel.core.notify.notices import Notice
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.notify import QUIET, SystemDesktop
from openclaw_tunnel.host.process import is_running
from support.aio import async_test, pass_time, settle
from support.faketool import Program

NOTICE = Notice(("default",), 'default: "it" $(has) failed', "do <b>this</b> & that\\n:\nopenclaw-tunnel status")


def session(folder: Path, **more: str) -> dict[str, str]:
    """The environment of somebody at a desktop, who has the programs of ``folder`` and no other."""
    return {"PATH": str(folder), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere", **more}


BODY = "do &lt;b&gt;this&lt;/b&gt; &amp; that\\\\n:\nopenclaw-tunnel status"


@async_test
async def test_on_linux_the_next_one_about_a_tunnel_takes_the_place_of_the_last(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "notify-send"), SystemDesktop("linux")
    program.answers(out="7")
    await desktop.show(NOTICE, session(tmp_path))
    program.answers(out="8")
    await desktop.show(Notice(("other",), "other: x", "y"), session(tmp_path))
    await desktop.show(NOTICE, session(tmp_path))
    first, other, again = program.calls()
    assert first == ["--app-name=openclaw-tunnel", "--print-id", "--", NOTICE.title, BODY]
    assert other == ["--app-name=openclaw-tunnel", "--print-id", "--", "other: x", "y"]
    assert again == ["--app-name=openclaw-tunnel", "--print-id", "--replace-id=7", "--", NOTICE.title, BODY]


@async_test
async def test_a_notice_replaces_one_about_the_same_tunnels_only(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "notify-send"), SystemDesktop("linux")
    both = Notice(("a", "b"), "a and b: x", "")
    program.answers(out="1")
    await desktop.show(both, session(tmp_path))
    program.answers(out="2")
    await desktop.show(both, session(tmp_path))
    program.answers(out="3")
    await desktop.show(Notice(("a",), "a: x", ""), session(tmp_path))
    await desktop.show(both, session(tmp_path))
    replaced = [[word for word in call if word.startswith("--replace-id")] for call in program.calls()]
    assert replaced == [[], ["--replace-id=1"], [], ["--replace-id=2"]]  # b may still need what the second one says


@async_test
async def test_an_old_notify_send_is_asked_without_numbers_from_then_on(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "notify-send"), SystemDesktop("linux")
    program.answers(code=1)
    await desktop.show(NOTICE, session(tmp_path))
    await desktop.show(NOTICE, session(tmp_path))
    plain = ["--app-name=openclaw-tunnel", "--", NOTICE.title, BODY]
    assert program.calls() == [["--app-name=openclaw-tunnel", "--print-id", "--", NOTICE.title, BODY], plain, plain]


@async_test
async def test_on_macos_text_is_an_argument_and_never_script(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "osascript"), SystemDesktop("darwin")
    await desktop.show(NOTICE, {"PATH": str(tmp_path)})
    await desktop.show(Notice(("a",), "a: x", ""), {"PATH": str(tmp_path)})
    first, second = program.calls()
    assert first[:-2] == [
        *("-e", "on run argv"),
        *("-e", "display notification (item 1 of argv) with title (item 2 of argv)"),
        *("-e", "end run"),
    ]
    assert first[-2:] == [f"{NOTICE.title}\n{NOTICE.text}", "openclaw-tunnel"]
    assert second[-2:] == ["a: x", "openclaw-tunnel"]


@pytest.mark.parametrize("env", [{QUIET: "1"}, {"PATH": "/nowhere"}, {"PATH": ""}])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_silence(tmp_path: Path, platform: str, env: Mapping[str, str]) -> None:
    programs = [Program(tmp_path, name) for name in ("notify-send", "osascript")]
    show = async_test(SystemDesktop(platform).show)
    show(NOTICE, {**session(tmp_path), **env})
    assert [program.calls() for program in programs] == [[], []]
    show(NOTICE, session(tmp_path))
    assert sum(len(program.calls()) for program in programs) == 1


@async_test
async def test_without_a_bus_nobody_is_asked_to_show_anything(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "notify-send"), SystemDesktop("linux")
    env = {"PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    await desktop.show(NOTICE, env)
    assert program.calls() == []
    (tmp_path / "bus").touch()
    await desktop.show(NOTICE, env)
    assert len(program.calls()) == 1


@async_test
async def test_a_program_that_hangs_is_ended_and_asked_again_next_time(tmp_path: Path) -> None:
    program, desktop = Program(tmp_path, "notify-send"), SystemDesktop("linux", deadline=20.0)
    program.answers(pause=60)
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(20, lambda: program.was_called))
        await desktop.show(NOTICE, session(tmp_path))
    program.answers()
    await desktop.show(NOTICE, session(tmp_path))
    assert [("--print-id" in call) for call in program.calls()] == [True, True]


@async_test
async def test_what_is_no_program_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "notify-send").write_bytes(b"\x7fELF")
    os.chmod(tmp_path / "notify-send", 0o755)
    desktop = SystemDesktop("linux")
    await desktop.show(NOTICE, session(tmp_path))
    (tmp_path / "notify-send").unlink()
    program = Program(tmp_path, "notify-send")
    await desktop.show(NOTICE, session(tmp_path))
    assert len(program.calls()) == 1


@async_test
async def test_at_the_end_of_the_daemon_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    program, tasks = Program(tmp_path, "notify-send"), Tasks()
    program.answers(pause=60)
    showing = tasks.start(SystemDesktop("linux").show(NOTICE, session(tmp_path)), name="notice")
    await settle(lambda: program.was_called, "the call")
    await tasks.cancel_all()
    assert showing.cancelled()
    assert not is_running(program.pid())
