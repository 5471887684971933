"""Shows what ``setup`` does, step by step."""

import textwrap
from collections.abc import Callable

from openclaw_tunnel.setup.patch import snippet_of
from openclaw_tunnel.setup.steps import Do, Mark, Note, Step, short
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.tunnelrows import clean

Paint = Callable[[Mark, str], str]
"""Gives the word of a mark its colour."""


class Report:
    """Shows each step as it ends.

    Args:
        home: the user's home, which is shown as ``~``.
        width: columns of the terminal, to wrap at; None: there is none.
        paint: colours the marks; None: nothing has colours.
    """

    def __init__(
        self, say: Callable[[str], None], home: str = "", width: int | None = None, paint: Paint | None = None
    ) -> None:
        self._say = say
        self._home = home
        self._width = width
        self._paint = paint or (lambda mark, text: text)

    def show(self, step: Step | Note) -> None:
        """A step has ended, or there is something to know."""
        if isinstance(step, Note):
            (output.warn if step.danger else output.note)(step.text)
            return
        self._say(self._line(step))
        if step.do is Do.CHECK_SETTINGS:
            output.say(snippet_of(step.patch))

    def _line(self, step: Step) -> str:
        words, mark = clean(short(step.words, self._home)), f"{step.mark:<8}"
        head = f"{step.name:<9} {self._paint(step.mark, mark)} "
        if self._width is None:
            return head + words
        indent = "\n" + " " * 19
        lines = textwrap.wrap(words, max(30, self._width - 19), break_long_words=False, break_on_hyphens=False)
        return head + indent.join(lines)
