"""Shows what ``setup`` does, step by step."""

from collections.abc import Callable, Sequence

from openclaw_tunnel.setup.patch import snippet_of
from openclaw_tunnel.setup.steps import Do, Mark, Note, Step, short
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.tunnelrows import Row, Tone, clean

_TONES = {
    Mark.OK: Tone.GOOD,
    Mark.CHANGED: Tone.GOOD,
    Mark.KEPT: Tone.PLAIN,
    Mark.SKIPPED: Tone.PAST,
    Mark.WOULD: Tone.BUSY,
}


class Report:
    """Shows each step as it ends.

    Args:
        home: the user's home, which is shown as ``~``.
        show: takes blocks of rows.
    """

    def __init__(self, home: str = "", show: Callable[[Sequence[Sequence[Row]]], None] = output.print_rows) -> None:
        self._home = home
        self._show = show

    def show(self, step: Step | Note) -> None:
        """A step has ended, or there is something to know."""
        if isinstance(step, Note):
            (output.warn if step.danger else output.note)(step.text)
            return
        self._show([[self._row(step)]])
        if step.do is Do.CHECK_SETTINGS:
            output.say(snippet_of(step.patch))

    def _row(self, step: Step) -> Row:
        columns = (f"{step.name:<9} ", Tone.PLAIN), (f"{step.mark:<8} ", _TONES[step.mark])
        return Row(step.name, clean(short(step.words, self._home)), columns=columns, whole=True)
