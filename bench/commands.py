"""How long commands take from outside, cold: each is a process of its own, as a shell or a script starts it.

The same tunnel to a real sshd in every one, on this computer, so that no network is measured; no command can be below
``python -c pass``. Writes ``bench/results/commands.json`` and ``commands.md``; every number is a median. Tests
assert none of these: how long something takes says more of the computer than of the program.

It takes sshd, and for the service root and systemd.
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from machine import machine  # noqa: E402  found beside this file, wherever it is started from

from support.cli import Answer, Cli  # noqa: E402
from support.servers import Sshd  # noqa: E402
from support.usermanager import UserManager  # noqa: E402
from support.waiting import free_port, wait_until  # noqa: E402

RUNS = 9
UNIT = "openclaw-tunnel.service"
OPTIONS = ("--probe", "tcp")


def good(answer: Answer, code: int = 0) -> Answer:
    """The answer, where it is the expected one."""
    if answer.exit_code != code:
        sys.exit(f"bench: exit {answer.exit_code} instead of {code}: {answer.stdout}{answer.stderr}")
    return answer


def row(what: str, run: Callable[[], float]) -> dict[str, Any]:
    """Run it ``RUNS`` times; ``run`` returns seconds."""
    seconds = [round(run(), 3) for _ in range(RUNS)]
    print(f"{statistics.median(seconds):6.3f} s  {what}", flush=True)
    return {"what": what, "median_s": statistics.median(seconds), "seconds": seconds}


def python() -> float:
    """The interpreter alone."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - began


def first_byte(port: int, began: float) -> float:
    """Seconds since ``began`` until a byte of the SSH server at the other end comes through the local port."""
    while time.monotonic() < began + 30:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                if client.recv(1) == b"S":
                    return time.monotonic() - began
        except OSError:
            time.sleep(0.002)
    sys.exit("bench: no byte came through the tunnel")


def cold_starts(cli: Cli, sshd: Sshd) -> Iterator[dict[str, Any]]:
    """From nothing to the first byte, ours and ``ssh -N -L`` in turn: what else goes on here meets both."""
    config = sshd.ssh_config("gw")
    cli.use_ssh_config(config)
    to = ("-r", str(sshd.port), *OPTIONS)
    ours, theirs = [], []
    for _ in range(RUNS):
        cli("down", "--all")
        wait_until(lambda: cli.processes() == [], 30, "the daemon's end")
        port, began = free_port(), time.monotonic()
        good(cli("up", "-d", "gw", "-p", str(port), *to))
        ours.append(first_byte(port, began))
        port, began = free_port(), time.monotonic()
        with subprocess.Popen(["ssh", "-F", config, "-N", "-L", f"{port}:127.0.0.1:{sshd.port}", "gw"]) as ssh:
            theirs.append(first_byte(port, began))
            ssh.terminate()
    yield row("up -d, and the first byte through", iter(ours).__next__)
    yield row("ssh -N -L, and the first byte through", iter(theirs).__next__)


def commands(cli: Cli, sshd: Sshd) -> Iterator[dict[str, Any]]:
    """What a user types."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up = ("up", "-d", "gw", "-p", str(free_port()), "-r", str(sshd.port), *OPTIONS)

    def open_it() -> float:
        cli("down", "--all")
        wait_until(lambda: cli.processes() == [], 30, "the daemon's end")
        return good(cli(*up)).seconds

    yield row("status, nothing runs", lambda: good(cli("status"), 3).seconds)
    yield row("up -d, until it is up", open_it)
    yield row("status", lambda: good(cli("status")).seconds)
    yield row("completion of a tunnel's name", lambda: good(cli("complete", "bash", "--", "status", "")).seconds)
    yield row("restart, until it is up", lambda: good(cli("restart")).seconds)


def service(user: UserManager, sshd: Sshd) -> Iterator[dict[str, Any]]:
    """What systemd does."""
    user.use_server(sshd, known=True)
    install = ("service", "install", "gw", "-p", str(free_port()), "-r", str(sshd.port), *OPTIONS)

    def install_it() -> float:
        user("service", "uninstall")
        return good(user(*install)).seconds

    yield row("service install, until it is up", install_it)
    yield row("the service's process killed, until it is up again", lambda: killed(user))


def killed(user: UserManager) -> float:
    """From SIGKILL to up, with the pauses between two looks."""
    first = user.property(UNIT, "MainPID")
    user.systemctl("reset-failed", UNIT)  # or systemd counts the kills, and starts it less and less often
    began = time.monotonic()
    user.run("kill", "-9", first)
    wait_until(lambda: user.property(UNIT, "MainPID") not in ("0", first), 30, "the next process")
    wait_until(lambda: user("wait").exit_code == 0, 30, "the tunnel")
    return time.monotonic() - began


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| what | median | least | most |", "| --- | --- | --- | --- |"]
    for one in rows:
        cells = (one["median_s"], min(one["seconds"]), max(one["seconds"]))
        lines.append(f"| {one['what']} | " + " | ".join(f"{seconds:.2f} s" for seconds in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    about = machine()
    with ExitStack() as stack:
        sshd = stack.enter_context(Sshd())
        rows = [row("python -c pass", python)]
        rows += cold_starts(stack.enter_context(Cli()), sshd)
        rows += commands(stack.enter_context(Cli()), sshd)
        rows += service(stack.enter_context(UserManager()), sshd)
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": about,
        "runs": RUNS,
        "results": rows,
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "commands.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "results" / "commands.md").write_text(table(rows))


if __name__ == "__main__":
    main()
