"""What a start imports, and when (cli/daemon.py, cli/commands/daemon.py).

Command and daemon import side by side, and nothing that neither needs.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from openclaw_tunnel.cli.daemon import run
from openclaw_tunnel.daemon.standby import COMMAND
from support.cli import Cli, command, environment

LATER = {"click", "json5", "tenacity", "websockets"}
"""The daemon imports each of these when something calls for it, if ever."""


def imports(args: Sequence[str], home: Path, exit_code: int) -> list[str]:
    """The modules that a command imports, in the order in which their import ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, command(*args)[1:])],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == exit_code, done.stderr[-500:]
    return [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]


def top_level(names: Sequence[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_daemon_starts_without_what_it_may_never_need(tmp_path: Path) -> None:
    names = imports(COMMAND, tmp_path, 0)
    assert f"{run.__module__}" in names
    assert "openclaw_tunnel.daemon.process" in names
    assert top_level(names) & LATER == set()


def test_the_command_that_starts_it_does_so_first_and_leaves_ssh_to_it(cli: Cli) -> None:
    names = imports(("up", "-d", "me@127.0.0.1:1", "-p", "0"), cli.home, 2)  # 0 is no port
    started = names.index("openclaw_tunnel.daemon.standby")
    assert top_level(names[:started]) & {"asyncio", "click", "logging"} == set()
    assert "asyncio" in names
    assert top_level(names) & {"asyncssh", "cryptography", "websockets"} == set()
    assert cli.processes() == []
