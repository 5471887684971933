"""Questions to which a person says yes or no, and whoever puts them: a command, ``setup``, a test."""

from collections.abc import Callable
from dataclasses import dataclass

from openclaw_tunnel.errors import UsageError


@dataclass(frozen=True, slots=True)
class Question:
    """One question; an empty answer means no.

    Attributes:
        text: the question, with its question mark.
        shown: lines to read before it.
        unasked: the error where nobody can be asked; None: then the answer is no.
    """

    text: str
    shown: tuple[str, ...] = ()
    unasked: UsageError | None = None


Agree = Callable[[Question], bool]
"""Shows the lines, asks, and returns the answer. Raises the question's ``unasked`` where nobody is there."""
