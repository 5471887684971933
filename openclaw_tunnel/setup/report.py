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


ShowRows = Callable[[Sequence[Sequence[Row]]], None]
"""Takes blocks of rows."""


def show_step(step: Step | Note, home: str = "", show: ShowRows = output.print_rows) -> None:
    """Show a step that has ended, or what there is to know; ``home`` is the user's, which is shown as ``~``."""
    if isinstance(step, Note):
        (output.warn if step.danger else output.note)(step.text)
        return
    columns = (f"{step.name:<9} ", Tone.PLAIN), (f"{step.mark:<8} ", _TONES[step.mark])
    show([[Row(step.name, clean(short(step.words, home)), columns=columns, whole=True)]])
    if step.do is Do.CHECK_SETTINGS:
        output.say(snippet_of(step.patch))
