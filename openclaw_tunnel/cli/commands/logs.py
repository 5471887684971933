"""``logs``: what happened."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click

from openclaw_tunnel.core.spec import check_name
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output, tunnelrows
from openclaw_tunnel.ui.loglines import HEAD, Layout

_STEP = 0.2


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("-n", "--lines", "count", type=click.IntRange(min=0), default=50, show_default=True, metavar="LINES")
def logs(name: str | None, follow: bool, count: int) -> int:
    """Show the end of the log, of all tunnels or of the one called NAME. Works without a running tunnel."""
    if name is not None:
        check_name(name)
    log_file = Paths.from_env(os.environ).log_file
    last, position = last_lines(log_file, name, count)
    show = _on_a_terminal(last) if output.is_terminal(sys.stdout) else output.say
    for line in last:
        show(line)
    if not last and not follow:
        output.note(f"nothing was logged{f' of {name}' if name else ''} in {log_file}")
    if follow:
        for line in of_tunnel(_new_lines(log_file, position), name):
            show(line)
    return 0


def _on_a_terminal(expected: list[str]) -> Callable[[str], None]:
    """Shows lines to a person; in a pipe they stay as they are."""
    layout = Layout(output.columns())
    layout.expect(expected)
    colours = output.colourful(sys.stdout)

    def show(line: str) -> None:
        for piece in layout.pieces(line):
            row = tunnelrows.Row("", piece.words, piece.tone)
            output.say(output.in_colour(piece.label, piece.words, row) if colours else piece.label + piece.words)

    return show


def of_tunnel(lines: Iterable[str], name: str | None) -> Iterator[str]:
    """The lines of one tunnel, with the indented lines that follow them; all lines where ``name`` is None."""
    shown = name is None
    for line in lines:
        head = HEAD.match(line)
        if name is not None and head:
            shown = head[3] == name
        if shown:
            yield line


def last_lines(log_file: Path, name: str | None, count: int) -> tuple[list[str], int]:
    """The last lines of the log, the older files ``.1`` and so on included, oldest first.

    Returns:
        The lines, and the position in ``log_file``, in bytes, where they end: at the end of a whole line.
    """
    older = sorted(log_file.parent.glob(f"{log_file.name}.[0-9]"), reverse=True)
    kept: deque[str] = deque(maxlen=count)
    position = 0
    for path in [*older, log_file]:
        data = _whole_lines(path)
        kept.extend(of_tunnel(data.decode(errors="replace").splitlines(), name))
        position = len(data)
    return list(kept), position


def _whole_lines(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _new_lines(log_file: Path, position: int) -> Iterator[str]:
    """Lines as they are written, from ``position`` on, through every rotation, for ever."""
    file = _successor(log_file, None)
    if file is not None:
        file.seek(position)
    try:
        while True:
            successor = _successor(log_file, file)  # asked for first: once there is one, nobody writes to the old file
            if file is not None:
                yield from _rest(file)
            if successor is None:
                time.sleep(_STEP)
                continue
            if file is not None:
                file.close()
            file = successor
    finally:
        if file is not None:
            file.close()


def _rest(file: BinaryIO) -> Iterator[str]:
    """The whole lines from the file's position on; of a line that is not finished nothing is taken."""
    data = file.read()
    whole = data.rfind(b"\n") + 1
    file.seek(whole - len(data), os.SEEK_CUR)
    yield from data[:whole].decode(errors="replace").splitlines()


def _successor(log_file: Path, file: BinaryIO | None) -> BinaryIO | None:
    """The log file, newly opened, if ``file`` is another one; None while it is the same or there is none."""
    try:
        if file is None or not os.path.samestat(os.fstat(file.fileno()), log_file.stat()):
            return log_file.open("rb")
    except FileNotFoundError:
        pass  # between two names
    return None
