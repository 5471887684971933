"""Every state of a tunnel and every move between them: one table, and nothing else.

The diagram of the README and the words of the documentation are made from this table.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a tunnel stands; the values are those of ``status --json``."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    VERIFYING = "verifying"  # SSH is up, the gateway not yet asked
    UP = "up"
    DEGRADED = "degraded"  # SSH is up, the gateway does not answer as one
    BACKOFF = "backoff"  # waits for the next attempt
    FAILED = "failed"  # a person must act, or something must change; tried again rarely: core/retry.py
    STOPPING = "stopping"


class Trigger(StrEnum):
    """What can move a tunnel from one state to another."""

    START = "start"
    CONNECTED = "connected"
    TRANSIENT_FAILURE = "transient failure"
    PERMANENT_FAILURE = "permanent failure"
    PROBE_PASSED = "probe passed"
    PROBE_FAILED_TOO_OFTEN = "probe failed too often"
    LOST = "lost"
    RETRY = "retry due, woke, network changed"
    CLIENT_WAITS = "a client waits"
    PERSON_WAITS = "a person waits"
    CHANGED = "a file or the agent changed"
    RESTART = "restart"
    STOP = "stop"
    CLOSED = "closed"


TRANSITIONS: Mapping[State, Mapping[Trigger, State]] = MappingProxyType(
    {
        State.STOPPED: {Trigger.START: State.CONNECTING},
        State.CONNECTING: {
            Trigger.CONNECTED: State.VERIFYING,
            Trigger.TRANSIENT_FAILURE: State.BACKOFF,
            Trigger.PERMANENT_FAILURE: State.FAILED,
            Trigger.RETRY: State.CONNECTING,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPING,
        },
        State.VERIFYING: {
            Trigger.PROBE_PASSED: State.UP,
            Trigger.PROBE_FAILED_TOO_OFTEN: State.DEGRADED,
            Trigger.PERMANENT_FAILURE: State.FAILED,
            Trigger.LOST: State.BACKOFF,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPING,
        },
        State.UP: {
            Trigger.PROBE_FAILED_TOO_OFTEN: State.DEGRADED,
            Trigger.LOST: State.BACKOFF,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPING,
        },
        State.DEGRADED: {
            Trigger.PROBE_PASSED: State.UP,
            Trigger.LOST: State.BACKOFF,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPING,
        },
        State.BACKOFF: {
            Trigger.RETRY: State.CONNECTING,
            Trigger.CLIENT_WAITS: State.CONNECTING,
            Trigger.PERSON_WAITS: State.CONNECTING,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPED,
        },
        State.FAILED: {
            Trigger.START: State.CONNECTING,
            Trigger.RETRY: State.CONNECTING,
            Trigger.PERSON_WAITS: State.CONNECTING,
            Trigger.CHANGED: State.CONNECTING,
            Trigger.RESTART: State.CONNECTING,
            Trigger.STOP: State.STOPPED,
        },
        State.STOPPING: {Trigger.CLOSED: State.STOPPED},
    }
)

LINK_STATES = frozenset({State.VERIFYING, State.UP, State.DEGRADED})
"""The states in which an SSH connection exists and clients are carried."""


class IllegalMove(RuntimeError):
    """The table has no such move: a bug of the machine, never of the user."""

    def __init__(self, state: State, trigger: Trigger) -> None:
        super().__init__(f"no move from {state} on {trigger!s}")


def next_state(state: State, trigger: Trigger) -> State:
    """Look a move up.

    Raises:
        IllegalMove: the table has no such move.
    """
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise IllegalMove(state, trigger) from None
