"""Whom a tunnel tells what becomes of it: the desktop, and the user's own commands. ``settings.hooks`` reads it."""

from dataclasses import dataclass

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
