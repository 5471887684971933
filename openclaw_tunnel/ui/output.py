"""Where words go: the answer to stdout, everything else to stderr, colours only to a terminal that wants them."""

import contextlib
import sys
from collections.abc import Sequence
from typing import TextIO

from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.ui.progress import pause
from openclaw_tunnel.ui.terminal import can_draw_blocks
from openclaw_tunnel.ui.terminal import can_redraw as can_redraw
from openclaw_tunnel.ui.terminal import colourful as colourful
from openclaw_tunnel.ui.terminal import columns as columns
from openclaw_tunnel.ui.terminal import is_terminal as is_terminal
from openclaw_tunnel.ui.tunnelrows import Row, clean, plain, rows, utc_now

_ALARM = "bold red"


def say(*lines: str) -> None:
    """Lines of the answer.

    Raises:
        BrokenPipeError: nobody reads it any more.
        TunnelError: it cannot be written.
    """
    try:
        with pause():
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise TunnelError(
            f"the answer cannot be written: {error.strerror}", hint="see where the output of this command goes"
        ) from None


_ANSWER = 5
"""Columns for the blank and a ``yes``."""


def flowed(text: str, stream: TextIO) -> str:
    """The text without control characters; where ``stream`` is a terminal, lines end between words, not within one.

    A text that ends with a blank is a question, and its last line leaves room for a short answer.
    """
    text = clean(text)
    blank = " " if text.endswith(" ") else ""
    width = columns(stream) - (_ANSWER if blank else 0) if is_terminal(stream) else len(text)
    if len(text) <= width:
        return text
    import textwrap  # only for a terminal; most lines fit

    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)) + blank


def note(*texts: str) -> None:
    """Lines that are not the answer."""
    for text in texts:
        _talk(flowed(f"note: {text}", sys.stderr) + "\n")


def warn(*texts: str) -> None:
    """Lines about a danger, in red."""
    for text in texts:
        _talk(_alarming(flowed(f"warning: {text}", sys.stderr)) + "\n")


def waits_for_you(what: str) -> None:
    """What has to be done before it goes on, whole: the URL in it is there to be copied. Empty: it has been done."""
    if what:
        _talk(f"waiting for you: {clean(what)}\n")


def print_error(error: TunnelError) -> None:
    """``error: ...`` and, after an empty line, ``hint: ...``; one of each, on stderr."""
    words = flowed(f"error: {error.message}", sys.stderr).removeprefix("error:")
    # The hint is not flowed: a command that is copied from it must stay one line.
    hint = f"\nhint: {clean(error.hint)}\n" if error.hint else ""
    _talk(f"{_alarming('error:')}{words}\n{hint}")


def _alarming(text: str) -> str:
    if not colourful(sys.stderr):
        return text
    from openclaw_tunnel.ui.renderables import styled

    return styled(text, _ALARM)


def _talk(text: str) -> None:
    """Write to stderr; where nobody listens, the command and its exit code are what they are."""
    with pause(), contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def rows_of(tunnel: Snapshot, elapsed: float = 0.0) -> list[Row]:
    """A tunnel in words that stdout can show; ``elapsed``: seconds since the snapshot was taken."""
    return rows(tunnel, utc_now(), elapsed, blocks=can_draw_blocks(sys.stdout.encoding))


def print_rows(tables: Sequence[Sequence[Row]]) -> None:
    """Tunnels as a block each: wrapped and coloured on a terminal, as they are in a pipe."""
    if colourful(sys.stdout):
        from openclaw_tunnel.ui.renderables import drawn  # slow to load

        say(drawn(tables, columns(sys.stdout)))
    else:
        say(plain(tables, columns(sys.stdout) if is_terminal(sys.stdout) else None))
