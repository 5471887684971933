"""bash, zsh and fish as a user has them, with ``openclaw-tunnel`` on their PATH."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.cli import Cli, environment
from support.process import Child, program
from support.waiting import DeadlinePassed, wait_until


def install(cli: Cli) -> dict[str, str]:
    """Put an ``openclaw-tunnel`` into ``cli.home``/bin that runs the package under test; the environment for it."""
    folder = cli.home / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "openclaw-tunnel"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m openclaw_tunnel "$@"\n')
    script.chmod(0o755)
    env = environment(cli.home, cli.env)
    return env | {"PATH": f"{folder}:{env['PATH']}", "TERM": "xterm", "ZDOTDIR": str(cli.home)}


def run(argv: Sequence[str], script: str, env: Mapping[str, str], stdin: str) -> str:
    """What a script of the shell ``argv`` says to lines on its standard input; it may not complain."""
    shell = [program(argv[0]), *argv[1:], "-c", script]
    done = subprocess.run(
        shell, input=stdin, env=dict(env), cwd=env["HOME"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A shell at which somebody types; a context manager.

    Args:
        argv: the shell, with its options.
        env: the whole environment.
        folder: where it works, and logs.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._seen = ""
        start = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(folder), program(argv[0]), *argv[1:]]
        self._child = Child(start, folder / "terminal.log", env, terminal=theirs)
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        os.close(self._ours)

    def line_after(self, keys: str, expected: str) -> None:
        """Type ``keys``, have the shell print the line that then stands there, and wait until that is ``expected``."""
        # A shell may throw away what is typed while it draws its prompt: first there must be an echo.
        wait_until(lambda: "x" in self._press("x"), 20, "a prompt")
        self._seen = ""
        self._press(f"\x15{keys}\x01echo \r")
        try:
            wait_until(lambda: expected in _ESCAPES.sub("", self._read()).splitlines(), 20)
        except DeadlinePassed:
            raise DeadlinePassed(f"{expected!r} did not come, but {self._seen!r}") from None
        self._seen = ""

    def _press(self, keys: str) -> str:
        os.write(self._ours, keys.encode())
        return self._read()

    def _read(self) -> str:
        with contextlib.suppress(OSError):  # nothing new, or the shell has gone
            self._seen += os.read(self._ours, 65536).decode(errors="replace")
        return self._seen
