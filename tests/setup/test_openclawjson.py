"""openclaw.json is changed through OpenClaw, by us, or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import json5
import pytest

from openclaw_tunnel.errors import ConfigError, ExitCode
from openclaw_tunnel.host.process import is_running
from openclaw_tunnel.json5doc.edit import apply
from openclaw_tunnel.openclaw.layers import Loaded, read_openclaw
from openclaw_tunnel.setup.openclawjson import (
    ByHand,
    Written,
    check_can_write,
    edit_file,
    run_patch,
    write_settings,
)
from support.waiting import wait_until

PATCH = {"gateway": {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": "s3cret"}}}


@dataclass
class OpenClaw:
    """OpenClaw's command line; ``works``: it does what it is asked for, ``says``: it says so."""

    path: Path
    works: bool = True
    says: bool = True
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, program: str, patch: bytes, env: Mapping[str, str]) -> bool:
        self.asked.append((program, json.loads(patch)))
        if self.works:
            before = json.loads(self.path.read_text()) if self.path.exists() else {}
            self.path.write_text(json.dumps({**apply(before, json.loads(patch)), "meta": {"by": "openclaw"}}))
        return self.says


class Home:
    """A home folder, with or without an ``openclaw`` on PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.path = folder / ".openclaw" / "openclaw.json"
        self.env = {"HOME": str(folder), "PATH": str(self.bin)}

    def has(self, text: str) -> Loaded:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)
        return self.loaded()

    def loaded(self) -> Loaded:
        return read_openclaw(self.env)

    def install(self, script: str = "") -> str:
        program = self.bin / "openclaw"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    def files(self) -> list[str]:
        return sorted(p.name for p in self.path.parent.iterdir()) if self.path.parent.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def never(program: str, patch: bytes, env: Mapping[str, str]) -> bool:
    raise AssertionError("OpenClaw is not to be asked")


def test_without_openclaw_the_file_is_made(home: Home) -> None:
    assert write_settings(home.loaded(), PATCH, home.env, run=never) == Written(home.path)
    assert json.loads(home.path.read_text()) == PATCH
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_with_openclaw_it_is_asked_and_looked_at(home: Home) -> None:
    program, openclaw = home.install(), OpenClaw(home.path)
    written = write_settings(home.has('{"agents": {}}'), PATCH, home.env, run=openclaw)
    assert written == Written(home.path, through="openclaw config patch")
    assert openclaw.asked == [(program, PATCH)]
    assert json.loads(home.path.read_text()) == {"agents": {}, **PATCH, "meta": {"by": "openclaw"}}


@pytest.mark.parametrize(("works", "says"), [(False, True), (False, False), (True, False)])
def test_where_openclaw_does_not_do_it_we_do(home: Home, works: bool, says: bool) -> None:
    home.install()
    write_settings(home.has('{"agents": {}}'), PATCH, home.env, run=OpenClaw(home.path, works, says))
    value = json.loads(home.path.read_text())
    assert {key: value[key] for key in ("agents", "gateway")} == {"agents": {}, **PATCH}


@pytest.mark.parametrize("text", ["// mine\n{agents: {}}", '{"agents": {"$include": "./agents.json"}}'])
def test_comments_and_includes_are_not_left_to_openclaw(home: Home, text: str) -> None:
    home.install()
    written = write_settings(home.has(text), PATCH, home.env, run=never)
    assert written.copy is not None
    assert written.copy.read_text() == text
    assert json5.loads(home.path.read_text()) == {**json5.loads(text), **PATCH}
    assert "// mine" not in text or "// mine" in home.path.read_text()


def test_a_byte_order_mark_and_line_ends_stay(home: Home) -> None:
    home.path.parent.mkdir()
    home.path.write_bytes(b'\xef\xbb\xbf{\r\n  "a": 1\r\n}\r\n')
    edit_file(home.path, {"b": 2})
    assert home.path.read_bytes() == b'\xef\xbb\xbf{\r\n  "a": 1,\r\n  "b": 2\r\n}\r\n'


@pytest.mark.parametrize("name", ["OPENCLAW_CONFIG_READONLY", "OPENCLAW_NIX_MODE"])
def test_a_file_that_is_managed_elsewhere(home: Home, name: str) -> None:
    home.install()
    for function in (write_settings, check_can_write):
        with pytest.raises(ByHand, match=rf"is managed elsewhere \({name}\)") as caught:
            function(home.loaded(), PATCH, {**home.env, name: "1"})
        assert caught.value.exit_code is ExitCode.CONFIG
    assert home.files() == []
    check_can_write(home.loaded(), PATCH, {**home.env, name: "0"})


def test_a_gateway_that_is_included(home: Home) -> None:
    home.path.parent.mkdir()
    (home.path.parent / "gateway.json").write_text('{"port": 1}')
    loaded = home.has('{"gateway": {"$include": "./gateway.json"}}')
    with pytest.raises(ByHand, match=r"includes its gateway settings from .*/gateway\.json"):
        write_settings(loaded, PATCH, home.env, run=never)
    assert home.files() == ["gateway.json", "openclaw.json"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"gateway": {"remote": {"token": {/* mine */ source: "env"}}}}', "a comment stands within"),
        ('{"gateway": {"remote": 5}}', "gateway.remote is not an object"),
        ('{"gateway": {}, "gateway": {}}', "gateway is there twice"),
    ],
)
def test_a_text_that_cannot_be_changed_safely(home: Home, text: str, why: str) -> None:
    home.path.parent.mkdir()
    home.path.write_text(text)
    with pytest.raises(ByHand, match=why):
        edit_file(home.path, PATCH)
    assert home.path.read_text() == text
    assert home.files() == ["openclaw.json"]


def test_a_file_that_is_no_json5(home: Home) -> None:
    home.has("{}")
    home.path.write_text("{a: ")
    with pytest.raises(ConfigError, match=r"openclaw\.json line 1"):
        edit_file(home.path, PATCH)


def test_to_check_changes_nothing(home: Home) -> None:
    loaded = home.has("{} // mine")
    check_can_write(loaded, PATCH, home.env)
    assert home.path.read_text() == "{} // mine"
    assert home.files() == ["openclaw.json"]


def test_the_token_is_in_no_argument(home: Home) -> None:
    program = home.install('echo "$@" > "$HOME/arguments"; cat > "$HOME/stdin"')
    env = {**home.env, "PATH": f"{home.bin}:/usr/bin:/bin"}
    assert run_patch(program, json.dumps(PATCH).encode(), env)
    folder = home.bin.parent
    assert (folder / "arguments").read_text() == "config patch --stdin\n"
    assert json.loads((folder / "stdin").read_text()) == PATCH


def test_what_openclaw_started_does_not_outlive_an_interruption(home: Home) -> None:
    program = home.install('cat > /dev/null; sleep 60 & echo $! > "$HOME/child"; kill -INT $PPID; wait')
    with pytest.raises(KeyboardInterrupt):
        run_patch(program, b"{}", {**home.env, "PATH": "/usr/bin:/bin"})
    child = int((home.bin.parent / "child").read_text())
    wait_until(lambda: not is_running(child), 5, "the end of the child")


def test_an_openclaw_that_fails_or_is_gone(home: Home) -> None:
    assert not run_patch(home.install("exit 1"), b"{}", home.env)
    assert not run_patch(str(home.bin / "none"), b"{}", home.env)
