"""``openclaw tunnel ...``: the plugin's code (plugin/index.js) under node, and in OpenClaw's own command line."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openclaw_tunnel.linking import plugin
from support.cli import Cli, environment
from support.gateway import INSTALLED_AT
from support.process import Child, missing, send
from support.waiting import free_port, wait_until

HARNESS = """
import plugin from "./index.js";
let action, options;
const command = new Proxy({}, {
  get: (_, name) => (value) => {
    action = name === "action" ? value : action;
    return command;
  },
});
plugin.register({
  registerCli(make, given) {
    options = given;
    make({ program: command });
  },
});
if (process.argv[2] === "machine-output") {
  const ask = (argv, stdoutIsTTY) => options.descriptors[0].machineOutput({ argv, stdoutIsTTY });
  console.log(JSON.stringify([ask(["tunnel"], true), ask(["tunnel"], false), ask(["tunnel", "--json"], true)]));
} else {
  await action();
}
"""
"""OpenClaw's part: it registers the command and runs it."""

PROGRAM = f"""#!{sys.executable}
import json, os, signal, sys
heard = []
def end(number, frame):
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
    sys.exit(200 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
match sys.argv[1:]:
    case ["exit", code]:
        sys.exit(int(code))
    case ["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    case ["listen"]:
        signal.signal(signal.SIGINT, lambda *_: heard.append(1))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(100 + len(heard)))
        print("ready", flush=True)
        while True:
            signal.pause()
    case ["wait"]:
        print("ready", flush=True)
        while True:
            signal.pause()
    case ["read"]:
        sys.stdout.write(sys.stdin.read())
    case args:
        print(json.dumps(args))
"""


@dataclass(frozen=True, slots=True)
class OpenClaw:
    """Where OpenClaw and its node are."""

    node: Path
    program: Path

    @property
    def path(self) -> str:
        """PATH with both."""
        return f"{self.program.parent}:{self.node.parent}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def openclaw() -> OpenClaw:
    """OpenClaw's command line."""
    modules = Path(os.environ.get(INSTALLED_AT, "/nowhere"), "node_modules")
    node = next(modules.glob("node-*/bin/node"), modules)
    if not node.is_file():
        missing(f"no OpenClaw: {INSTALLED_AT} is not set")
    return OpenClaw(node, modules / ".bin" / "openclaw")


@pytest.fixture
def harness(openclaw: OpenClaw, tmp_path: Path) -> list[str | Path]:
    """The command line that stands for ``openclaw``; the plugin runs ``PROGRAM``."""
    program = tmp_path / "openclaw-tunnel"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    folder = tmp_path / "a plugin"
    plugin.write(folder, str(program))
    (folder / "harness.mjs").write_text(HARNESS)
    return [openclaw.node, folder / "harness.mjs"]


def run(command: list[str | Path], *args: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    env = {"PATH": "/nowhere"}
    done = subprocess.run([*command, *args], env=env, input=stdin, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        (["tunnel"], []),
        (["tunnel", "up", "-h", "--help", "--version"], ["up", "-h", "--help", "--version"]),
        (
            ["--no-color", "tunnel", "x", "--no-color", "--log-level", "info"],
            ["x", "--no-color", "--log-level", "info"],
        ),
        (["tunnel", "--", "tunnel", "", "a b", "--nonsense"], ["--", "tunnel", "", "a b", "--nonsense"]),
        (["help", "tunnel", "up"], ["up", "--help"]),
    ],
)
def test_arguments_arrive_unchanged(harness: list[str | Path], given: list[str], arrives: list[str]) -> None:
    assert run(harness, *given) == (0, json.dumps(arrives) + "\n", "")


@pytest.mark.parametrize("code", [0, 1, 31, 255])
def test_exit_codes(harness: list[str | Path], code: int) -> None:
    assert run(harness, "tunnel", "exit", str(code)) == (code, "", "")


def test_a_program_that_a_signal_ends(harness: list[str | Path]) -> None:
    assert run(harness, "tunnel", "die") == (137, "", "")


def test_standard_input(harness: list[str | Path]) -> None:
    assert run(harness, "tunnel", "read", stdin="{}\n") == (0, "{}\n", "")


def test_a_pipe_gets_what_the_program_says_alone(harness: list[str | Path]) -> None:
    assert run(harness, "machine-output")[1] == "[false,true,true]\n"


def test_a_program_that_is_gone(harness: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "openclaw-tunnel").unlink()
    code, out, err = run(harness, "tunnel", "up")
    assert (code, out) == (127, "")
    assert err.startswith(f"error: {tmp_path}/openclaw-tunnel cannot be run: it is gone, and none is on PATH\n\nhint: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_handed_on(harness: list[str | Path], tmp_path: Path, number: signal.Signals) -> None:
    child = Child([*harness, "tunnel", "wait"], tmp_path / "log", {"PATH": "/nowhere"})
    try:
        wait_until(lambda: "ready" in child.output(), 20, "the program to wait")
        assert child.end_with(number) == 200 + number
        assert child.output() == f"ready\n{number.name}\n"
    finally:
        child.kill()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: the person's, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def on_terminal(command: list[str | Path], log: Path, env: dict[str, str], terminal: tuple[int, int]) -> Child:
    """Start a program whose controlling terminal that is, so that Ctrl-C reaches it."""
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    return Child([sys.executable, "-c", take, *command], log, env, terminal=terminal[1])


def read_until(terminal: tuple[int, int], word: str) -> None:
    """Read what the program shows until ``word`` is there."""
    seen = ""
    while word not in seen:
        seen += os.read(terminal[0], 4096).decode(errors="replace")


def test_ctrl_c_is_the_terminals_to_give(harness: list[str | Path], terminal: tuple[int, int], tmp_path: Path) -> None:
    """It gives it to every process: one more from the plugin would be the second Ctrl-C, "at once"."""
    child = on_terminal([*harness, "tunnel", "listen"], tmp_path / "log", {"PATH": "/nowhere"}, terminal)
    try:
        read_until(terminal, "ready")
        send(child.pid, signal.SIGINT)
        assert child.end_with(signal.SIGTERM) == 100
    finally:
        child.kill()


def test_in_openclaw_itself(cli: Cli, openclaw: OpenClaw, terminal: tuple[int, int]) -> None:
    cli.env |= {"PATH": openclaw.path, "OPENCLAW_NO_AUTO_UPDATE": "1", "OPENCLAW_DISABLE_BONJOUR": "1"}
    env = environment(cli.home, cli.env)
    port = free_port()
    nobody = f"me@127.0.0.1:{port}"

    linked = cli("link", "--yes", timeout=90)
    assert linked.exit_code == 0, linked
    assert linked.stdout.endswith(f"linked: openclaw tunnel, in OpenClaw {release(openclaw)}\n")

    command: list[str | Path] = [openclaw.program, "tunnel", "up", "-d", nobody, "-p", str(free_port())]
    detached = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (detached.returncode, detached.stdout) == (20, "")
    assert "error: " in detached.stderr
    left = cli("status", "--json").json()  # it does not end with its parent
    assert [tunnel["target"] for tunnel in left["tunnels"]] == [nobody]
    assert cli("down", "--all").exit_code == 0

    command = [openclaw.program, "tunnel", "up", nobody, "-p", str(free_port())]
    child = on_terminal(command, cli.home / "log", env, terminal)
    try:
        read_until(terminal, str(port))
        os.write(terminal[0], b"\x03")
        assert child.wait(30) == 130
    finally:
        child.kill()

    assert cli("unlink", "--yes", timeout=60).exit_code == 0
    settings = json.loads((cli.home / ".openclaw" / "openclaw.json").read_text())
    assert "openclaw-tunnel" not in json.dumps(settings)
    assert not (cli.tunnel_home / "openclaw-plugin").exists()


def release(openclaw: OpenClaw) -> str:
    """What is installed."""
    package = openclaw.program.resolve().with_name("package.json")
    return str(json.loads(package.read_text())["version"])
