"""A terminal with a program on it, as a person sees it: a window of tmux, with a server of its own.

The server's socket lies in a folder of the test; nothing of the user's tmux is read or changed, and it ends with the
test.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.process import pids_with_environment, program
from support.waiting import DeadlinePassed, wait_until

_SETTINGS = """\
set -g status off
set -g remain-on-exit on
set -g default-terminal screen-256color
set -s escape-time 0
"""

# Stays when the program has ended, and says how; Ctrl-C is for the program.
_SHELL = 'trap : INT; "$@"; printf "exit code %s\\n" "$?"; while :; do read -r line; done'


class Screen:
    """Runs one program in a window; a context manager.

    Args:
        argv: program and arguments.
        env: its whole environment, but TERM, which names what tmux is unless ``env`` has another.
        columns, lines: of the window.
    """

    def __init__(self, argv: Sequence[str | Path], env: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        self._tmux = program("tmux")
        self._argv = [*map(str, argv)]
        self._env = {"TERM": "screen-256color", **env}
        self._size = columns, lines

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="oct-", dir="/tmp")
        settings = Path(self._folder.name) / "tmux.conf"
        settings.write_text(_SETTINGS)
        inside = ["env", "-i", *(f"{name}={value}" for name, value in self._env.items())]
        columns, lines = map(str, self._size)
        start = ["new-session", "-d", "-x", columns, "-y", lines, "-c", self._env.get("HOME", "/")]
        try:
            self._do("-f", str(settings), *start, *inside, "sh", "-c", _SHELL, "sh", *self._argv)
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if error is not None:
                error.add_note(f"the screen:\n{self.text()}")
            self._do("kill-server")
            own = f"TMUX_TMPDIR={self._folder.name}"
            wait_until(lambda: not pids_with_environment(own), 10, "the end of tmux")
        finally:
            self._folder.cleanup()

    def text(self) -> str:
        """What is to be read, without blanks at the ends of lines and empty lines below."""
        return "\n".join(line.rstrip() for line in self._do("capture-pane", "-p").splitlines()).rstrip("\n")

    def colours(self) -> str:
        """The same with the escape sequences of colours."""
        return self._do("capture-pane", "-p", "-e").rstrip("\n")

    def wait_for(self, text: str, deadline: float = 15.0) -> str:
        """Return the whole text once it contains ``text``."""
        return self.wait_until(lambda shown: text in shown, deadline, text)

    def wait_until(self, shows: Callable[[str], object], deadline: float = 15.0, what: str = "") -> str:
        """Return the text once ``shows(text)`` is true."""
        seen = ""

        def look() -> bool:
            nonlocal seen
            seen = self.text()
            return bool(shows(seen))

        try:
            wait_until(look, deadline, what or str(shows))
        except DeadlinePassed as passed:
            raise DeadlinePassed(f"{passed} on:\n{seen}") from None
        return seen

    def type(self, *keys: str) -> None:
        """Press keys, by their names in tmux: ``C-c``, ``Enter``, ``y``."""
        self._do("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self._do("resize-window", "-x", str(columns), "-y", str(lines))

    def pid(self) -> int:
        """The process id of the program."""
        shell = self._do("display-message", "-p", "#{pane_pid}").strip()
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._tmux, "-u", "-L", "test", *arguments],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMUX_TMPDIR": self._folder.name, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert done.returncode == 0, f"tmux {arguments[0]}: {done.stderr}"
        return done.stdout
