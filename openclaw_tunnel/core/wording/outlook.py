"""When a stopped tunnel tries again, in words: one wording for ``status``, the log and the page of an outage."""

from openclaw_tunnel.core.status import RetryStatus
from openclaw_tunnel.core.wording.durations import duration

_EVENTS = {
    "files": "when a key, known_hosts, ssh_config or a settings file changes",
    "agent": "when the keys in the SSH agent change",
    "wake": "when the computer wakes up",
    "network": "when the network changes",
}

ONLY_ON_REQUEST = "only on request, because each try asks a person"


def outlook(retry: RetryStatus, elapsed: float = 0.0) -> str:
    """``in 48s, when a key, ... changes, ...``: goes on "tries again".

    Args:
        elapsed: seconds since ``retry`` was taken.
    """
    left = retry.next_in_s
    times = [] if left is None else [f"in {duration(max(left - elapsed, 0.0) + 0.9)}"]
    events = [_EVENTS[name] for name in retry.on if name in _EVENTS]
    return ", ".join([*times, *events]) or ONLY_ON_REQUEST


_OF_A_TUNNEL = (
    ", and the tunnel connects automatically",
    ", then the tunnel tries again",
    ": openclaw-tunnel restart {name}",
)


def hint_without(tunnel: str, hint: str) -> str:
    """The next step where the command has closed its tunnel: none is left that tries again, or could be restarted."""
    for words in _OF_A_TUNNEL:
        hint = hint.replace(words.format(name=tunnel), "")
    return hint
