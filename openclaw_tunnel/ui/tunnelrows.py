"""A tunnel in words: snapshots in, rows of text out. Pure; the same words on a terminal and in a pipe."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, PastFailure, Snapshot, Verdict, Was
from openclaw_tunnel.core.wording.durations import duration, precise
from openclaw_tunnel.core.wording.outlook import outlook

LOOPBACK = ("127.", "localhost:", "[::1]:", "/")
LABEL_WIDTH = 10
LEAST = 20
"""Columns that a text gets on the narrowest terminal."""


class Tone(StrEnum):
    """What a row means; a terminal that can do colours shows it, the words say it anyway."""

    PLAIN = "plain"
    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    PAST = "past"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the name of a tunnel or of a field of it, and what is said of it.

    Attributes:
        marks: characters of the text that have a tone of their own.
        columns: what stands before the text instead of the label, in its tones; widths are the caller's.
        whole: words that are longer than a line are not broken: a path can be copied.
    """

    label: str
    text: str
    tone: Tone = Tone.PLAIN
    heads: bool = False
    marks: Mapping[str, Tone] = field(default_factory=dict, hash=False)
    columns: tuple[tuple[str, Tone], ...] = ()
    whole: bool = False

    @property
    def lead(self) -> tuple[tuple[str, Tone], ...]:
        """What stands before the text; the lines that follow the first are indented by as much."""
        if self.columns:
            return self.columns
        return ((f"{self.label}  ", Tone.HEAD),) if self.heads else ((f"  {self.label:<{LABEL_WIDTH}}", Tone.PAST),)


_TONES = {State.UP: Tone.GOOD, State.DEGRADED: Tone.BAD, State.FAILED: Tone.BAD, State.BACKOFF: Tone.BAD}

_WORDS = {
    State.VERIFYING: ": SSH is connected, the gateway is asked",
    State.DEGRADED: ": SSH is connected, the gateway is not well",
    State.FAILED: ": action required",
}

_VERDICTS = {
    Verdict.HEALTHY: Tone.GOOD,
    Verdict.STARTING: Tone.BUSY,
    Verdict.UNKNOWN: Tone.PLAIN,
}


MOST_SAID = 8
"""Lines of what the other side said that are shown."""

_BLOCKS = "▁▂▃▄▅▆▇█"

_RECENT_PAST = 86400.0
"""Seconds for which a trouble that is over is worth a row."""

_PAST = {Was.LOST: ("lost", "back"), Was.DEGRADED: ("degraded", "well again"), Was.UNREACHED: ("not connected", "up")}


def rows(tunnel: Snapshot, now: datetime, elapsed: float = 0.0, *, blocks: bool = False) -> list[Row]:
    """Everything a person may want to know of one tunnel, the most important first.

    Args:
        now: the time, with a time zone.
        elapsed: seconds since the snapshot was taken, for the countdown.
        blocks: whether block characters can be shown.
    """
    found = [
        Row(tunnel.name, _state(tunnel, now, elapsed), tone_of(tunnel.state), heads=True),
        Row("target", _target(tunnel)),
        *_forward_rows(tunnel.forwards),
    ]
    if tunnel.ssh.connected:
        found.append(Row("gateway", _gateway(tunnel), _VERDICTS.get(tunnel.gateway.verdict, Tone.BAD)))
        if tunnel.ssh.rtt_ms is not None:
            found.append(Row("ping", ping(tunnel.ssh.rtt_ms, tunnel.ssh.rtt_recent_ms, blocks=blocks)))
    if any(f.clients.total or f.clients.waiting for f in tunnel.forwards):
        found.append(Row("clients", _clients(tunnel.forwards)))
    if tunnel.asks:
        found.append(Row("asks you", tunnel.asks, Tone.BAD))
    if tunnel.failure is not None:
        found += _failure_rows(tunnel.failure)
    if tunnel.state is State.FAILED:
        found += _retry_rows(tunnel, elapsed)
    if tunnel.last_failure and 0 <= age(tunnel.last_failure.at or "", now) < _RECENT_PAST:
        found.append(Row("earlier", _earlier(tunnel.last_failure, now), Tone.PAST))
    return [Row(row.label, clean(row.text), row.tone, row.heads) for row in found]


def change(tunnel: Snapshot) -> str:
    """One line for a change of state."""
    reason = f": {tunnel.failure.message}" if tunnel.failure else ""
    match tunnel.state:
        case State.UP:
            text = f"{tunnel.name} is up: {url(tunnel.forwards[0])} -> {tunnel.target}"
        case State.CONNECTING if tunnel.asks:
            text = f"{tunnel.name} waits for you: {tunnel.asks}"
        case State.CONNECTING:
            text = f"{tunnel.name} is connecting to {tunnel.target}"
        case State.VERIFYING:
            text = f"{tunnel.name} is verifying: SSH is connected, the gateway is asked"
        case State.BACKOFF:
            text = f"{tunnel.name} is in backoff{reason}{_next_try(tunnel, 0.0, '; ')}"
        case State.FAILED:
            text = f"{tunnel.name} has failed{reason}{_next_try(tunnel, 0.0, '; ')}"
        case State.DEGRADED:
            text = f"{tunnel.name} is degraded{reason}"
        case _:
            text = f"{tunnel.name} is {tunnel.state}"
    return clean(text)


def tone_of(state: State) -> Tone:
    """What a state means."""
    quiet = state in (State.STOPPING, State.STOPPED)
    return _TONES.get(state, Tone.PLAIN if quiet else Tone.BUSY)


def plain(tables: Sequence[Sequence[Row]], width: int | None = None) -> str:
    """The rows as text without colours, an empty line between two blocks, and without a final newline.

    Args:
        width: columns to wrap at; None: lines are as long as they are.
    """
    return "\n\n".join("\n".join(line for row in table for line in _lines(row, width)) for table in tables)


def _lines(row: Row, width: int | None) -> Iterator[str]:
    lead = "".join(text for text, _ in row.lead)
    parts = [row.text]
    if width:
        import textwrap  # only for a terminal; a pipe gets whole lines, quickly

        room = max(LEAST, width - len(lead))
        parts = textwrap.wrap(row.text, room, break_long_words=not row.whole, break_on_hyphens=False) or [""]
    for part in parts:
        yield (lead + part).rstrip()
        lead = " " * len(lead)


def url(forward: ForwardStatus) -> str:
    """How a local program reaches the gateway: a URL, or the path of a socket."""
    listen = forward.listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
    return listen if listen.startswith("/") else f"http://{listen}"


def notes(tunnel: Snapshot) -> list[str]:
    """What ``up`` should say of forwards that listen, but not quite as one may think."""
    return [forward.note for forward in tunnel.forwards if forward.listening and forward.note]


def exposed(forward: ForwardStatus) -> bool:
    """Whether other computers can reach the local end."""
    return not forward.listen.startswith(LOOPBACK)


def clean(text: str) -> str:
    """The text without control characters: parts of it are other people's words."""
    return "".join(c if c.isprintable() else "?" for c in text)


def ping(last: float, recent: Sequence[float], *, blocks: bool) -> str:
    """Round trips in milliseconds: the last one, all as a line of blocks, and what is usual among them."""
    if len(recent) < 3:
        return f"{_ms(last)} ms"
    line = f"{sparkline(recent)}  " if blocks else ""
    return f"{_ms(last)} ms  {line}{_ms(min(recent))} to {_ms(max(recent))} ms, median {_ms(median(recent))}"


def sparkline(values: Sequence[float]) -> str:
    """A block for each value, from the lowest to the highest; values that hardly differ look alike."""
    low = min(values)
    span = max(max(values) - low, low, 0.1)
    return "".join(_BLOCKS[min(int((value - low) / span * len(_BLOCKS)), len(_BLOCKS) - 1)] for value in values)


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the middle two; there has to be one. (The module of that name is slow to load.)"""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def size(count: int) -> str:
    """``999 B``, ``1.2 kB``, ``98 MB``: powers of ten."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    raise AssertionError("the last unit takes everything")


def age(since: str, now: datetime) -> float:
    """Seconds from the RFC 3339 time ``since`` until ``now``; 0 where it is none."""
    try:
        return (now - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def utc_now() -> datetime:
    """The time, as :func:`rows` wants it."""
    return datetime.now(UTC)


def lasted(tunnel: Snapshot, now: datetime) -> float:
    """Seconds for which a tunnel has been as it is: one that tries again and again, since it lost its connection."""
    trying = tunnel.state in (State.BACKOFF, State.CONNECTING, State.FAILED)
    return age((tunnel.down_since if trying else None) or tunnel.since, now)


def _state(tunnel: Snapshot, now: datetime, elapsed: float) -> str:
    starting = tunnel.state is State.DEGRADED and tunnel.gateway.verdict is Verdict.STARTING
    what = ": the gateway is starting" if starting else _WORDS.get(tunnel.state, "")
    words = f"{tunnel.state} for {duration(lasted(tunnel, now))}{what}"
    if tunnel.state is State.BACKOFF:
        words += f": no connection{_next_try(tunnel, elapsed, ', ')}"
    elif tunnel.state is State.CONNECTING and tunnel.asks:
        words += ": waiting for you"
    elif tunnel.state is State.CONNECTING and tunnel.retry.attempt:
        words += f": trying again{_failed(tunnel)}"
    if tunnel.retry.flapping:
        words += ", flapping: its connections do not last"
    return words


def _failure_rows(failure: FailureStatus) -> Iterator[Row]:
    yield Row("error", failure.message, Tone.BAD)
    said = [line for line in (failure.said or "").splitlines() if line not in failure.message]
    for number, line in enumerate(said[:MOST_SAID]):
        yield Row("" if number else "it said", line)
    if failure.hint:
        yield Row("hint", failure.hint)


def _retry_rows(tunnel: Snapshot, elapsed: float) -> Iterator[Row]:
    """When a stopped tunnel tries again, what would make it try now, and how to have that by hand."""
    if not any(forward.listening for forward in tunnel.forwards):
        yield Row("then", "it tries again automatically, every few seconds")
        return
    yield Row("then", f"it tries again {outlook(tunnel.retry, elapsed)}{_failed(tunnel)}")
    yield Row("now", f"openclaw-tunnel restart {tunnel.name}")


def _earlier(past: PastFailure, now: datetime) -> str:
    was, again = _PAST[past.was]
    return f"{was} {duration(age(past.at or '', now))} ago, {again} after {precise(past.lasted_s)}: {past.message}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _next_try(tunnel: Snapshot, elapsed: float, before: str) -> str:
    left = tunnel.retry.next_in_s
    if left is None:
        return ""
    when = f"in {duration(left - elapsed + 0.9)}" if left - elapsed >= 0.1 else "now"
    return f"{before}next try {when}{_failed(tunnel)}"


def _failed(tunnel: Snapshot) -> str:
    return f" ({tunnel.retry.attempt} failed)" if tunnel.retry.attempt > 1 else ""


def _target(tunnel: Snapshot) -> str:
    return tunnel.target if tunnel.alias in tunnel.target else f"{tunnel.target} ({tunnel.alias})"


def _forward_rows(forwards: Sequence[ForwardStatus]) -> Iterator[Row]:
    for number, forward in enumerate(forwards):
        listen = forward.listen if number else url(forward)
        why = f": {forward.note}" if forward.note else ""
        state = "" if forward.listening else f" (not listening{why})"
        yield Row(str(forward.role) if number else "local", f"{listen} -> {forward.to}{state}")
        if forward.listening and forward.note:
            yield Row("note", forward.note)
    for forward in forwards:
        if exposed(forward):
            yield Row("warning", f"other computers can reach {forward.listen}", Tone.BAD)


def _gateway(tunnel: Snapshot) -> str:
    gateway = tunnel.gateway
    words = [_asked(tunnel)]
    if gateway.version:
        words.append(f"version {gateway.version}")
    if gateway.latency_ms is not None:
        words.append(f"{gateway.latency_ms:.0f} ms")
    if gateway.expected_in_s:
        words.append(f"expected back in {duration(gateway.expected_in_s + 0.9)}")
    told_below = tunnel.failure is not None and tunnel.failure.message == gateway.detail
    return ", ".join(words) + (f": {gateway.detail}" if gateway.detail and not told_below else "")


def _asked(tunnel: Snapshot) -> str:
    """The verdict in words; a probe that asks no gateway (``--probe tcp``, ``none``) has none to give."""
    if tunnel.state is State.UP and tunnel.gateway.verdict is Verdict.UNKNOWN:
        return "not asked" if tunnel.gateway.latency_ms is None else "not asked, its port accepts connections"
    return str(tunnel.gateway.verdict).replace("_", " ")


def _clients(forwards: Sequence[ForwardStatus]) -> str:
    counts = [f.clients for f in forwards]
    waiting = sum(c.waiting for c in counts)
    words = [f"{sum(c.open for c in counts)} open"]
    if waiting:
        words.append(f"{waiting} waiting")
    words.append(f"{sum(c.total for c in counts)} in all")
    sent, received = sum(f.bytes.sent for f in forwards), sum(f.bytes.received for f in forwards)
    return f"{', '.join(words)}; {size(sent)} sent, {size(received)} received"
