"""Whom a tunnel tells what becomes of it: the desktop, and the user's own commands. ``settings.hooks`` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.notify.hook_events import HookEvent


@dataclass(frozen=True, slots=True)
class Announce:
    """Whom a tunnel tells what becomes of it.

    Attributes:
        notifications: the desktop, when a person must act and when it is well again.
        up, down, failure: the command for each ``HookEvent``: a program and its arguments; empty: none.
    """

    notifications: bool = True
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()

    def command(self, event: HookEvent) -> tuple[str, ...]:
        """The command for an event; empty: none."""
        command: tuple[str, ...] = getattr(self, event)
        return command

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return {"notifications": self.notifications, **{event: list(self.command(event)) for event in HookEvent}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Announce":
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is no such object.
        """
        commands = {str(event): tuple(data[event]) for event in HookEvent}
        if not all(isinstance(word, str) and "\0" not in word for words in commands.values() for word in words):
            raise ValueError("a hook is a list of strings")
        return cls(notifications=data["notifications"] is True, **commands)
