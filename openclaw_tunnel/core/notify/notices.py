"""What to tell a person on the desktop, and when: what has to be mended, and that it is well again after that.

An outage that passes within ``PATIENCE`` is not told, nor is its end. A trouble is told once, however often it is tried
again; troubles of several tunnels at about the same time are one notice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openclaw_tunnel.core.notify.needs_user import Trouble, needs_person
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.durations import duration

GATHER = 2.0
"""Seconds that something has to last before it is told: those of other tunnels come along."""

SURE = 10.0
"""The same for the end of a trouble that the gateway makes: its answer to new credentials takes up to 5 s."""

PATIENCE = 300.0
"""Seconds that a tunnel may be without success before somebody is told who need not do anything yet."""

FORGET = 60.0
"""Seconds after which a tunnel that was closed counts as a new one; one that is started anew is back at once."""

MOST_NAMES = 4
MOST_TEXT = 400

_SLOW = "not up"
_GONE = "closed"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is shown: ``title`` begins with a letter or a digit, all of it is printable, and lines end in a newline.

    Attributes:
        names: the tunnels that it is about.
    """

    names: tuple[str, ...]
    title: str
    text: str


@dataclass(slots=True)
class _Tunnel:
    """How one tunnel is, since when (seconds), and what was told of it.

    Attributes:
        trouble: None: it is well.
        told: the trouble of the last notice, until it is told that it is well again.
        told_since: when that one began.
    """

    trouble: Trouble | None
    since: float
    told: Trouble | None = None
    told_since: float = 0.0

    @property
    def key(self) -> str:
        return self.trouble.key if self.trouble else ""

    @property
    def due(self) -> float | None:
        """When to tell of it if it stays so; None: never."""
        if self.trouble is None:
            return self.since + (SURE if self.told.by_gateway else GATHER) if self.told else None
        if self.key == _GONE or (self.told and self.told.key == self.key):
            return None
        return self.since + (PATIENCE if self.key == _SLOW else GATHER)


class Notices:
    """The notices of all tunnels. Every time is in seconds of one clock that stands still while the computer sleeps."""

    def __init__(self) -> None:
        """There is no tunnel yet."""
        self._tunnels: dict[str, _Tunnel] = {}

    def see(self, tunnel: Snapshot, now: float) -> None:
        """A tunnel is like this now; to be called after every change."""
        trouble = _trouble(tunnel)
        known = self._tunnels.setdefault(tunnel.name, _Tunnel(trouble, now))
        key = trouble.key if trouble else ""
        if known.key != key:
            if known.key == _GONE and now - known.since > FORGET:
                known.told = None
            known.since = now
        known.trouble = trouble

    def forget(self, name: str) -> None:
        """Nothing more is to be told of that tunnel."""
        self._tunnels.pop(name, None)

    def woke(self, now: float) -> None:
        """The computer slept: the network gets its time to come back."""
        for tunnel in self._tunnels.values():
            if tunnel.key == _SLOW:
                tunnel.since = now

    def next_at(self) -> float | None:
        """When :meth:`tell` has something to tell if nothing changes until then; None: not at all."""
        return min((due for tunnel in self._tunnels.values() if (due := tunnel.due) is not None), default=None)

    def tell(self, now: float) -> list[Notice]:
        """What is to be told now; it counts as told."""
        told = [(name, tunnel) for name, tunnel in self._tunnels.items() if self._is_due(tunnel, now)]
        bad = [(name, tunnel) for name, tunnel in told if tunnel.trouble]
        well = [(name, tunnel) for name, tunnel in told if not tunnel.trouble]
        found = []
        if bad:
            found.append(_troubles(bad, now))
        if well:
            found.append(_well(well, now))
        for _, tunnel in told:
            tunnel.told, tunnel.told_since = tunnel.trouble, tunnel.since
        return found

    def _is_due(self, tunnel: _Tunnel, now: float) -> bool:
        """Whether it is its time, or nearly so while that of another one is."""
        if tunnel.due is None:
            return False
        return tunnel.due <= now or (tunnel.trouble is not None and tunnel.due <= now + self._reach(now))

    def _reach(self, now: float) -> float:
        """How many seconds too early a trouble is told along with those that are due."""
        due = [t.key for t in self._tunnels.values() if t.trouble and t.due is not None and t.due <= now]
        return (PATIENCE / 2 if _SLOW in due else GATHER) if due else 0.0


def _trouble(tunnel: Snapshot) -> Trouble | None:
    if tunnel.state in (State.STOPPED, State.STOPPING):
        return Trouble(_GONE, "", "")
    found = needs_person(tunnel)
    if found or tunnel.state is State.UP:
        return found
    failure = tunnel.failure
    return Trouble(_SLOW, failure.message if failure else f"it is {tunnel.state}", failure.hint if failure else "")


def _troubles(told: Sequence[tuple[str, _Tunnel]], now: float) -> Notice:
    names = tuple(name for name, _ in told)
    troubles = [tunnel.trouble for _, tunnel in told if tunnel.trouble]
    if len({trouble.message for trouble in troubles}) == 1:
        slow = [now - tunnel.since for _, tunnel in told if tunnel.key == _SLOW]
        words = f"not up for {duration(max(slow))}: " if slow else ""
        return _notice(names, f"{_listed(names)}: {words}{troubles[0].message}", [troubles[0].hint])
    lines = [f"{name}: {tunnel.trouble.message}" for name, tunnel in told if tunnel.trouble]
    more = ["openclaw-tunnel status shows all, and what to do"]
    return _notice(names, f"{len(names)} tunnels are not well: {_listed(names)}", [*lines[:MOST_NAMES], *more])


def _well(told: Sequence[tuple[str, _Tunnel]], now: float) -> Notice:
    names = tuple(name for name, _ in told)
    longest = max(now - tunnel.told_since for _, tunnel in told)
    return _notice(names, f"{_listed(names)}: well again", [f"after {duration(longest)}"])


def _notice(names: tuple[str, ...], title: str, lines: Iterable[str]) -> Notice:
    return Notice(names, _plain(title), "\n".join(map(_plain, lines)))


def _plain(text: str) -> str:
    """What came from elsewhere may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in text)[:MOST_TEXT]


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b, c, d and 3 more``."""
    shown = [*names[:MOST_NAMES], *([f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
