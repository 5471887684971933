"""What an event means in which state: tables, and before them a function for each meaning of more than one step.

An event without a cell there changes nothing: in STOPPED and STOPPING nothing but the user's wish and the end of the
connection does.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.dials import Dial
from openclaw_tunnel.core.doubt import Doubt, Inquiry, Probing, Shock
from openclaw_tunnel.core.states import State, Trigger
from openclaw_tunnel.core.steps import NOTHING, STOPPED_GAP, Commands, Steps

# What the user asks for


def _start(m: Steps, _: ev.StartRequested, now: float) -> Commands:
    m.pace.begin_again()
    return m.begin_dial(Trigger.START, now)


def _stop(m: Steps, event: ev.StopRequested, now: float) -> Commands:
    return (*_stop_waiting(m, event, now), *m.drop_replacement(), do.CloseConnection(m.attempt))


def _stop_waiting(m: Steps, _: ev.StopRequested, now: float) -> Commands:
    m.failure = None
    m.move(Trigger.STOP)
    return (do.CancelTimers(),)


def _restart(m: Steps, event: ev.RestartRequested, now: float) -> Commands:
    return (*m.drop_replacement(), do.CloseConnection(m.attempt), *_restart_waiting(m, event, now))


def _restart_waiting(m: Steps, _: ev.RestartRequested, now: float) -> Commands:
    m.pace.begin_again()
    return m.begin_dial(Trigger.RESTART, now)


# What becomes of a connection


def _connected(m: Steps, event: ev.Connected, now: float) -> Commands:
    m.made(now)
    m.failure = None
    m.move(Trigger.CONNECTED)
    return m.probe()


def _connect_failed(m: Steps, event: ev.ConnectFailed, now: float) -> Commands:
    m.pace.failed(event.failure, now, hurried=m.dial.hurried)
    if event.failure.permanent:
        return m.give_up(event.failure, now)
    return m.back_off(event.failure, Trigger.TRANSIENT_FAILURE)


def _lost(m: Steps, event: ev.ConnectionLost, now: float) -> Commands:
    """Never the end, whatever the reason: the next dial finds out."""
    m.losses += 1
    m.pace.failed(event.failure, now)
    commands = m.back_off(event.failure, Trigger.LOST)
    if m.replacement is None:
        return commands
    m.dial, m.replacement = m.replacement, None  # it is under way already
    m.move(Trigger.RETRY)
    return (do.CancelTimers(), *(m.limit_dial(now) if m.dial.outdated else NOTHING))


def _closed(m: Steps, _: ev.ConnectionClosed, now: float) -> Commands:
    m.move(Trigger.CLOSED)
    return NOTHING


def _person_asked(m: Steps, event: ev.PersonAsked, now: float) -> Commands:
    m.dial = replace(m.dial, asked=event.what)
    return NOTHING


# Is it still there?


def _slow(m: Steps, _: ev.ConnectionSlow, now: float) -> Commands:
    """A line may be busy: slowness alone is no reason to dial, after sleep or a network change it is."""
    m.doubt = m.doubt.took_long()
    shaken = m.doubt.inquiry is Inquiry.SLOW and m.doubt.shock
    return m.dial_beside(now) if shaken else NOTHING


def _answered(m: Steps, _: ev.ConnectionAnswered, now: float) -> Commands:
    doubt = m.doubt
    if doubt.inquiry is Inquiry.IDLE:
        return NOTHING
    m.doubt = Doubt()
    if doubt.probe_after is not None:
        return (*m.drop_replacement(), do.StartTimer(do.Timer.PROBE, doubt.probe_after, m.attempt))
    return (*m.drop_replacement(), *(m.probe() if doubt.shock else NOTHING))


def _silent(m: Steps, event: ev.ConnectionSilent, now: float) -> Commands:
    """After sleep it is dead. Otherwise the network may come back, and long downloads get their chance."""
    if m.doubt.inquiry is Inquiry.IDLE:
        return NOTHING
    dead = m.doubt.shock is Shock.SLEEP
    end = do.CloseConnection(m.attempt) if dead else do.RetireConnection(m.attempt, m.policy.drain)
    return (end, *_lost(m, ev.ConnectionLost(m.attempt, event.failure), now))


# The second dial


def _replacement_connected(m: Steps, event: ev.Connected, now: float) -> Commands:
    """It takes over without a moment in which nothing is up."""
    old, m.dial, m.replacement = m.attempt, Dial(event.attempt), None
    m.made(now)
    return (do.CancelTimers(), do.RetireConnection(old, m.policy.check_timeout), *m.probe())


def _replacement_failed(m: Steps, _: ev.ConnectFailed, now: float) -> Commands:
    m.replacement = None
    return NOTHING


def _replacement_asks(m: Steps, event: ev.PersonAsked, now: float) -> Commands:
    if m.replacement is not None:
        m.replacement = replace(m.replacement, asked=event.what)
    return NOTHING


# What the probe says


def _probe_passed(m: Steps, _: ev.ProbePassed, now: float) -> Commands:
    overtaken, m.probing = m.probing is Probing.OVERTAKEN, Probing.IDLE
    m.misses = 0
    m.failure = None
    if m.state is not State.UP:
        m.move(Trigger.PROBE_PASSED)
    delay = m.policy.probe_retry if overtaken else m.policy.probe_interval
    return (do.StartTimer(do.Timer.PROBE, delay, m.attempt),)


def _probe_failed(m: Steps, event: ev.ProbeFailed, now: float) -> Commands:
    m.probing = Probing.IDLE
    m.misses += 1
    if m.misses >= m.policy.probe_failures:
        m.failure = event.failure
        if m.state is not State.DEGRADED:
            m.move(Trigger.PROBE_FAILED_TOO_OFTEN)
    degraded = m.state is State.DEGRADED
    m.doubt = replace(m.doubt, probe_after=m.policy.probe_degraded if degraded else m.policy.probe_retry)
    return m.check()  # is it the gateway, or the line? It is asked again when the line has answered


def _first_probe_failed(m: Steps, event: ev.ProbeFailed, now: float) -> Commands:
    """Before the tunnel was up, what no further try can change is told at once."""
    if not event.failure.permanent:
        return _probe_failed(m, event, now)
    m.pace.failed(event.failure, now)
    return (*m.drop_replacement(), *m.give_up(event.failure, now), do.CloseConnection(m.attempt))


def _gateway_in_doubt(m: Steps, _: ev.GatewayInDoubt, now: float) -> Commands:
    if m.probing is Probing.IDLE:
        return m.probe()
    m.probing = Probing.OVERTAKEN
    return NOTHING


# What the clocks and the world say


def _person_waiting(m: Steps, _: ev.PersonWaiting, now: float) -> Commands:
    m.pace.begin_again()
    return m.hurry(Trigger.PERSON_WAITS, now)


def _person_waiting_failed(m: Steps, _: ev.PersonWaiting, now: float) -> Commands:
    m.pace.begin_again()
    return m.look_again(Trigger.PERSON_WAITS, now)


def _woke_waiting(m: Steps, _: ev.Woke, now: float) -> Commands:
    m.pace.woke()
    return m.hurry(Trigger.RETRY, now)


def _woke_connecting(m: Steps, _: ev.Woke, now: float) -> Commands:
    m.pace.woke()
    return m.redial(now)


def _woke_connected(m: Steps, _: ev.Woke, now: float) -> Commands:
    m.pace.woke()
    return m.surroundings_changed(Shock.SLEEP, now, moved=False)


def _woke_failed(m: Steps, _: ev.Woke, now: float) -> Commands:
    m.pace.woke()
    return m.look_again(Trigger.RETRY, now, STOPPED_GAP) if m.failure and m.failure.plan.on_wake else NOTHING


def _network_changed_connecting(m: Steps, _: ev.NetworkChanged, now: float) -> Commands:
    """A dial under way may have begun on the old network: it gets its time, once, and is then begun again."""
    m.dial = replace(m.dial, outdated=True)
    return NOTHING if m.dial.again else m.limit_dial(now)


def _network_changed_failed(m: Steps, _: ev.NetworkChanged, now: float) -> Commands:
    return m.look_again(Trigger.RETRY, now, STOPPED_GAP) if m.failure and m.failure.plan.on_network else NOTHING


def _dependency_changed_waiting(m: Steps, _: ev.DependencyChanged, now: float) -> Commands:
    m.pace.changed(now)
    return m.hurry(Trigger.RETRY, now)


def _dependency_changed(m: Steps, _: ev.DependencyChanged, now: float) -> Commands:
    m.pace.changed(now)
    m.pace.begin_again()
    return m.look_again(Trigger.CHANGED, now)


Handlers = Mapping[type[Any], Callable[[Steps, Any, float], Commands]]

_CONNECTED: Handlers = {
    ev.StopRequested: _stop,
    ev.RestartRequested: _restart,
    ev.ConnectionLost: _lost,
    ev.TrafficStalled: lambda m, event, now: m.check(),
    ev.ConnectionSlow: _slow,
    ev.ConnectionAnswered: _answered,
    ev.ConnectionSilent: _silent,
    ev.ProbePassed: _probe_passed,
    ev.ProbeFailed: _probe_failed,
    ev.ProbeDue: lambda m, event, now: m.probe(),
    ev.Woke: _woke_connected,
    ev.NetworkChanged: lambda m, event, now: m.surroundings_changed(Shock.NETWORK, now, moved=event.moved),
}

HANDLERS: Mapping[State, Handlers] = MappingProxyType(
    {
        State.STOPPED: {ev.StartRequested: _start},
        State.CONNECTING: {
            ev.StopRequested: _stop,
            ev.RestartRequested: _restart,
            ev.Connected: _connected,
            ev.ConnectFailed: _connect_failed,
            ev.PersonAsked: _person_asked,
            ev.RetryDue: lambda m, event, now: m.redial(now),
            ev.Woke: _woke_connecting,
            ev.NetworkChanged: _network_changed_connecting,
        },
        State.VERIFYING: {**_CONNECTED, ev.ProbeFailed: _first_probe_failed},
        State.UP: {**_CONNECTED, ev.GatewayInDoubt: _gateway_in_doubt},
        State.DEGRADED: _CONNECTED,
        State.BACKOFF: {
            ev.StartRequested: lambda m, event, now: m.begin_dial(Trigger.PERSON_WAITS, now),
            ev.StopRequested: _stop_waiting,
            ev.RestartRequested: _restart_waiting,
            ev.RetryDue: lambda m, event, now: m.begin_dial(Trigger.RETRY, now),
            ev.HurryDue: lambda m, event, now: m.begin_dial(Trigger.RETRY, now, hurried=True),
            ev.ClientWaiting: lambda m, event, now: m.hurry(Trigger.CLIENT_WAITS, now),
            ev.PersonWaiting: _person_waiting,
            ev.DependencyChanged: _dependency_changed_waiting,
            ev.Woke: _woke_waiting,
            ev.NetworkChanged: lambda m, event, now: m.hurry(Trigger.RETRY, now),
        },
        State.FAILED: {
            ev.StartRequested: _start,
            ev.StopRequested: _stop_waiting,
            ev.RestartRequested: _restart_waiting,
            ev.RetryDue: lambda m, event, now: m.begin_dial(Trigger.RETRY, now),
            ev.HurryDue: lambda m, event, now: m.begin_dial(Trigger.RETRY, now, hurried=True),
            ev.PersonWaiting: _person_waiting_failed,
            ev.DependencyChanged: _dependency_changed,
            ev.Woke: _woke_failed,
            ev.NetworkChanged: _network_changed_failed,
        },
        State.STOPPING: {ev.ConnectionClosed: _closed},
    }
)
"""What an event about the tunnel's own dial, or about the world, means in each state."""

REPLACEMENT: Handlers = MappingProxyType(
    {ev.Connected: _replacement_connected, ev.ConnectFailed: _replacement_failed, ev.PersonAsked: _replacement_asks}
)
"""The same for the second dial; there is one in the states with a connection only."""
