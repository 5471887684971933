"""A history in words: the line of the last day, and what happened. Pure; the same words with and without colours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from openclaw_tunnel.core.history.day import Block, Day, History
from openclaw_tunnel.core.history.entries import Level
from openclaw_tunnel.core.history.incidents import Incident, What, summarise
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.durations import duration, precise
from openclaw_tunnel.ui.tunnelrows import LABEL_WIDTH, Row, Tone, clean, rows

BLOCKS: Mapping[Level, str] = dict(zip(Level, "█▆▄▁·", strict=True))
"""The higher, the better."""

ASCII: Mapping[Level, str] = dict(zip(Level, "#+~!.", strict=True))
"""For terminals without block characters."""

MOST = 20
"""Incidents of one tunnel that are worth a screen."""

_COUNTS = (48, 24, 12)
_BLOCK_LENGTHS = {1800.0: "30 min", 3600.0: "1 hour", 7200.0: "2 hours"}
_MEANINGS = {level: str(level).replace("_", " ") for level in Level} | {Level.NONE: "off or asleep"}
_TONES = {Level.UP: Tone.GOOD, Level.MOSTLY_UP: Tone.BUSY, Level.DEGRADED: Tone.BUSY, Level.DOWN: Tone.BAD}
_AXIS_STEP = 6 * 3600
_AXIS_END = "now"

_AGAIN = {What.LOST: "back", What.DEGRADED: "well again"}
_ENDS = {
    What.DEGRADED: "; then SSH was there, the gateway not",
    What.FAILED: "; then it failed",
    What.RESTARTED: "; then it was restarted",
    What.CLOSED: "; closed before it was up",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a history is shown.

    Attributes:
        now: seconds since 1970.
        blocks: the characters of the line.
        zone: None for that of this computer.
        width: columns; None where there are any number.
    """

    now: float
    blocks: Mapping[Level, str]
    zone: tzinfo | None = None
    width: int | None = None

    def local(self, at: float) -> datetime:
        """Seconds since 1970 as date and time of the zone."""
        return datetime.fromtimestamp(at, self.zone).astimezone(self.zone)

    @property
    def count(self) -> int:
        """How many blocks fit."""
        room = _COUNTS[0] if self.width is None else self.width - LABEL_WIDTH - 2
        return next((count for count in _COUNTS if count <= room), _COUNTS[-1])


def tables(name: str, history: History, frame: Frame, most: int, tunnel: Snapshot | None = None) -> list[list[Row]]:
    """The history of one tunnel: how its day went, then what happened.

    Args:
        most: how many incidents are shown, the newest, with a hint at the others where it is less than ``MOST``.
        tunnel: as it is now; None where it does not run.
    """
    history = history if tunnel else history.ended()
    happened = summarise(history.entries)
    now = datetime.fromtimestamp(frame.now, UTC)
    top = rows(tunnel, now)[0] if tunnel else Row(name, _not_running(happened, frame.now), heads=True)
    if history.at is None:
        return [[top, Row("history", "nothing is recorded yet")]]
    day = day_rows(history.day(frame.now, tunnel.state if tunnel else None, frame.count), frame)
    hidden = min(len(happened), MOST) > most
    more = [Row("more", f"openclaw-tunnel status {name} --history")] if hidden else []
    return [[top, *day], [*_event_rows(happened[-most:], frame), *more]]


def day_rows(day: Day, frame: Frame) -> list[Row]:
    """The line of blocks, the hours below it, what the blocks mean, and the whole day in numbers."""
    tones = {frame.blocks[look]: tone for look, tone in _TONES.items()}
    meanings = ", ".join(f"{frame.blocks[look]} {meaning}" for look, meaning in _MEANINGS.items())
    return [
        Row("last day", "".join(frame.blocks[block.slot.level] for block in day.blocks), marks=tones),
        Row(_zone(frame.local(frame.now)), _axis(day.blocks, frame)),
        Row(_BLOCK_LENGTHS[day.blocks[0].length], meanings, marks=tones),
        Row("uptime", in_numbers(day, frame.now)),
    ]


def in_numbers(day: Day, now: float) -> str:
    """The day in a line of words."""
    total = day.total
    if not total.known:
        return "it did not run on the last day"
    whole = now - day.blocks[0].start - total.known < 60.0
    words = [f"{_percent(total.up / total.known)} of the {'last day' if whole else f'{precise(total.known)} it ran'}"]
    words.append({0: "never lost", 1: "lost once", 2: "lost twice"}.get(total.losses, f"lost {total.losses} times"))
    if total.longest:
        words.append(f"longest outage {precise(total.longest)}")
    return "; ".join(words)


def sentence(incident: Incident, now: float) -> str:
    """One thing that happened, its reason, how it ended, and how long all of it took."""
    lasted = f" after {precise(incident.lasted_s)}" if incident.lasted_s is not None else ""
    was_up = incident.before is State.UP
    match incident.what:
        case What.SLEPT:
            return f"the computer woke up{lasted} of sleep"
        case What.VANISHED:
            return "ended without closing: killed, or the computer went down"
        case What.LOST | What.DEGRADED:
            text = f"{incident.what}{lasted if was_up else f' while {incident.before}'}"
        case What.UNREACHED:
            text = "could not connect"
        case What.CLOSED | What.RESTARTED:
            text = f"{incident.what}{lasted if was_up else ''}"
        case _:
            text = str(incident.what)
    reason = f": {incident.reason}" if incident.reason else ""
    return clean(text + reason + _end(incident, now) + _tries(incident))


def _end(incident: Incident, now: float) -> str:
    again = _AGAIN.get(incident.what, "up")
    if incident.then is What.UP:
        return f"; {again}" + (f" after {precise(incident.took_s)}" if incident.took_s is not None else "")
    if incident.goes_on:
        return f"; not {again} for {duration(now - incident.at)} now"
    return _ENDS.get(incident.then, "") if incident.then else ""


def _tries(incident: Incident) -> str:
    if not incident.tries:
        return ""
    count = "1 try" if incident.tries == 1 else f"{incident.tries} tries"
    return f", {count} failed" + (f" ({incident.last_reason})" if incident.last_reason else "")


def _event_rows(happened: Sequence[Incident], frame: Frame) -> Iterator[Row]:
    today, day = frame.local(frame.now).date(), None
    for incident in happened:
        at = frame.local(incident.at)
        if at.date() != day:
            day = at.date()
            yield Row("today" if day == today else f"{at:%a %d %b}", "")
        waits = incident.what in (What.STARTED, What.RESTARTED)
        tone = Tone.BAD if incident.goes_on and not waits else Tone.PLAIN
        yield Row(f"{at:%H:%M:%S}", sentence(incident, frame.now), tone)


def _axis(blocks: Sequence[Block], frame: Frame) -> str:
    """The hours below the blocks, as many as there is room for, and where now is."""
    line = [" "] * len(blocks)
    line[-len(_AXIS_END) :] = _AXIS_END
    free = 0
    for column, block in enumerate(blocks):
        start = frame.local(block.start)
        seconds = start.hour * 3600 + start.minute * 60
        until_label = -seconds % _AXIS_STEP
        if until_label < block.length and free <= column < len(blocks) - len(_AXIS_END) - 5:
            line[column : column + 5] = f"{(seconds + until_label) // 3600 % 24:02d}:00"
            free = column + 6
    return "".join(line)


def _zone(time: datetime) -> str:
    """``UTC``, ``UTC+05:45``."""
    offset = f"{time:%z}"
    return f"UTC{offset[:3]}:{offset[3:5]}" if time.utcoffset() else "UTC"


def _percent(share: float) -> str:
    """Cut off, not rounded: 100% is all of it."""
    places = 2 if 0.99 <= share < 1.0 else 1
    cut = int(share * 100 * 10**places) / 10**places
    return f"{cut:g}%"


def _not_running(happened: Sequence[Incident], now: float) -> str:
    if not happened:
        return "not running"
    last = happened[-1]
    word = "closed" if last.what is What.CLOSED else "seen last"
    return f"not running; {word} {duration(now - last.at)} ago"
