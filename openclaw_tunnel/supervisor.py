"""One tunnel: carries out the machine's commands and feeds back what became of them.

Nothing is decided here. Events go into ``core.machine``, what comes out is done: dial, close, wait, probe;
and the gate in front of the local ports is set to what the state allows.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from openclaw_tunnel.config.model import TunnelSpec
from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays, delays
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Connector, DialFailed, Link, LinkLost
from openclaw_tunnel.core.machine import Machine
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import (
    Counters,
    FailureStatus,
    RetryStatus,
    Snapshot,
    SshStatus,
)
from openclaw_tunnel.gateway.probe import probe
from openclaw_tunnel.gateway.watch import CredentialSource, GatewayWatch, Prober, no_credentials
from openclaw_tunnel.host.logs import tunnel_logger
from openclaw_tunnel.host.tasks import Tasks
from openclaw_tunnel.host.watch import fingerprint
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.relay.waiting import Gate

FILE_CHECK = 1.0
"""Seconds between looks at the files behind a permanent failure; only while FAILED."""

_TIMER_EVENTS: dict[do.Timer, Callable[[int], ev.Event]] = {
    do.Timer.RETRY: ev.RetryDue,
    do.Timer.PROBE: ev.ProbeDue,
    do.Timer.STABLE: ev.StabilityReached,
}

_ABOUT_A_FAILURE = (State.BACKOFF, State.DEGRADED, State.FAILED)


def utc_now() -> str:
    """The time as RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Supervisor:
    """Keeps one tunnel as the user wants it.

    Attributes:
        spec: what the user wants.
        was_up: the tunnel has been UP at least once.
    """

    def __init__(
        self,
        spec: TunnelSpec,
        connector: Connector,
        *,
        backoff: Delays | None = None,
        prober: Prober = probe,
        credentials: CredentialSource = no_credentials,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a tunnel that is stopped and not bound.

        Args:
            connector: dials the SSH server.
            backoff: seconds before the next dial, by failed tries in a row; by default the policy's.
            credentials: what the gateway is asked with, beyond its plain health.
            on_change: called after every change that a view may want to show.
        """
        self.spec = spec
        self.was_up = False
        self._connector = connector
        self._on_change = on_change
        self._log = tunnel_logger(spec.name)
        self._machine = Machine(spec.policy, backoff or delays(spec.policy))
        self._gate = Gate(self._client_waiting)
        self._listeners = [
            Listener(f, self._gate, spec.policy, on_refused=self._channel_refused) for f in spec.forwards
        ]
        self._tasks = Tasks(self._log)
        self._timers: dict[do.Timer, asyncio.TimerHandle] = {}
        self._dialling: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._since = utc_now()
        self._failed_at: str | None = None
        self._rtt_ms: float | None = None
        self._watch = GatewayWatch(
            spec, prober=prober, credentials=credentials, on_news=self._gateway_news, logger=self._log
        )
        self._stopped = asyncio.Event()

    # For the daemon

    async def start(self) -> None:
        """Take the local ports, then begin to connect. Ports stay ours until :meth:`stop` returns.

        Raises:
            BindFailed: a port could not be had; nothing stays bound.
        """
        try:
            for listener in self._listeners:
                await listener.bind()
        except BaseException:
            await self._close_listeners()
            raise
        self.post(ev.StartRequested())

    def post(self, event: ev.Event) -> None:
        """Let the machine handle an event, and do what it asks for."""
        before, failure = self._machine.state, self._machine.failure
        commands = self._machine.handle(event, asyncio.get_running_loop().time())
        if self._machine.failure is not failure:
            self._failed_at = utc_now()
        for command in commands:
            self._do(command)
        if self._machine.state is not before:
            self._state_changed(before)
        self._on_change()

    async def stop(self) -> None:
        """Close the connection in order, drop the clients, give the ports back; idempotent."""
        self.post(ev.StopRequested())
        if self._machine.state is State.STOPPED:
            self._stopped.set()
        await self._stopped.wait()
        await self._close_listeners()
        await self._tasks.cancel_all()

    @property
    def state(self) -> State:
        """Where the tunnel stands."""
        return self._machine.state

    @property
    def failure(self) -> Failure | None:
        """What the present state is about."""
        return self._machine.failure

    @property
    def link(self) -> Link | None:
        """The live SSH connection; None where there is none at this moment."""
        return self._link if self._machine.state in LINK_STATES else None

    def snapshot(self) -> Snapshot:
        """Everything there is to show, at this moment."""
        machine, spec = self._machine, self.spec
        failure = machine.failure
        connected = machine.state in LINK_STATES and self._link is not None
        server = self._link.server if connected and self._link else None
        return Snapshot(
            name=spec.name,
            state=machine.state,
            since=self._since,
            target=spec.address or spec.target,
            alias=spec.target,
            forwards=tuple(listener.status() for listener in self._listeners),
            ssh=SshStatus(
                connected=connected,
                server=server.version if server else None,
                cipher=server.cipher if server else None,
                rtt_ms=self._rtt_ms if connected else None,
            ),
            gateway=self._watch.status(),
            retry=RetryStatus(
                attempt=0 if connected else machine.tries,
                next_in_s=self._next_dial_in(),
                flapping=machine.flapping,
            ),
            counters=Counters(machine.connects, machine.losses, self._gate.held),
            failure=FailureStatus(**failure.to_json(self._failed_at)) if failure else None,
        )

    def _next_dial_in(self) -> float | None:
        retry = self._timers.get(do.Timer.RETRY)
        if self._machine.state is not State.BACKOFF or retry is None:
            return None
        return round(max(0.0, retry.when() - asyncio.get_running_loop().time()), 1)

    # Doing what the machine asks for

    def _do(self, command: do.Command) -> None:
        match command:
            case do.OpenConnection(attempt):
                self._dialling = self._tasks.start(self._dial(attempt), name=f"dial {attempt}")
            case do.CloseConnection(attempt):
                dialling, link, self._dialling, self._link = self._dialling, self._link, None, None
                self._gate.hold()
                self._tasks.start(self._close(attempt, dialling, link), name=f"close {attempt}")
            case do.StartTimer(timer, delay, attempt):
                self._set_timer(timer, delay, lambda: self.post(_TIMER_EVENTS[timer](attempt)))
            case do.CancelTimers():
                for handle in self._timers.values():
                    handle.cancel()
                self._timers.clear()
            case do.RunProbe(attempt):
                if self._link is not None:
                    self._tasks.start(self._probe(attempt, self._link), name=f"probe {attempt}")

    def _set_timer(self, timer: do.Timer, delay: float, then: Callable[[], None]) -> None:
        if timer in self._timers:
            self._timers[timer].cancel()
        self._timers[timer] = asyncio.get_running_loop().call_later(delay, then)

    async def _dial(self, attempt: int) -> None:
        try:
            link = await self._connector.connect()
        except DialFailed as error:
            self.post(ev.ConnectFailed(attempt, error.failure))
            return
        except Exception as error:
            self._log.exception("dial %s broke", attempt)
            self.post(ev.ConnectFailed(attempt, Failure(Code.BUG, f"internal error while connecting: {error!r}")))
            return
        if self._machine.attempt != attempt or self._machine.state is not State.CONNECTING:
            await link.close()
            return
        self._link = link
        self._rtt_ms = None
        self._watch.connected()
        self.post(ev.Connected(attempt))
        self._tasks.start(self._wait_lost(attempt, link), name=f"watch {attempt}")

    async def _wait_lost(self, attempt: int, link: Link) -> None:
        failure = await link.wait_lost()
        if self._link is link:
            self._link = None
        self.post(ev.ConnectionLost(attempt, failure))

    async def _close(self, attempt: int, dialling: asyncio.Task[None] | None, link: Link | None) -> None:
        try:
            if dialling is not None and not dialling.done():
                dialling.cancel()
                await asyncio.wait([dialling])
            if link is not None:
                await link.close()
        finally:  # whatever went wrong: stop() waits for this
            self.post(ev.ConnectionClosed(attempt))

    async def _probe(self, attempt: int, link: Link) -> None:
        try:
            failure = await self._watch.probe(link)
        except LinkLost:
            return  # whoever waits for the loss says so, with the reason
        self.post(ev.ProbePassed(attempt) if failure is None else ev.ProbeFailed(attempt, failure))
        alive = await self._measure(attempt, link, self.spec.policy.probe_timeout)
        if failure is not None and not alive:
            self._give_up(attempt, link)

    async def _measure(self, attempt: int, link: Link, timeout: float) -> bool:
        """Note the round-trip time; False where a server that has answered pings before answers no more."""
        try:
            rtt_ms = round(await link.ping(timeout=timeout) * 1000, 1)
        except LinkLost:
            return True  # whoever waits for the loss says so, with the reason
        except TimeoutError:
            return self._rtt_ms is None
        if self._machine.attempt == attempt:
            self._rtt_ms = rtt_ms
            self._on_change()
        return True

    def _give_up(self, attempt: int, link: Link) -> None:
        """Neither the gateway nor the SSH server answers: no need to wait for the keepalive to find out."""
        if self._link is not link:
            return
        self._link = None
        self._tasks.start(link.close(), name=f"close the dead connection {attempt}")
        where = self.spec.address or self.spec.target
        message = f"{where} answers neither probe nor ping: the connection is taken for dead"
        facts = {"target": self.spec.target, "host": where}
        self.post(ev.ConnectionLost(attempt, Failure(Code.KEEPALIVE_TIMEOUT, message, facts)))

    # What follows from a change of state

    def _state_changed(self, before: State) -> None:
        state, failure = self._machine.state, self._machine.failure
        self._since = utc_now()
        self.was_up |= state is State.UP
        self._log_change(before, state, failure)
        if state in LINK_STATES and self._link is not None:
            self._gate.open(self._link)
        elif state in (State.CONNECTING, State.BACKOFF):
            self._gate.hold()
        else:
            self._gate.refuse()
        if before in LINK_STATES and state not in LINK_STATES:
            self._tasks.start(self._watch.disconnected(), name="end the session with the gateway")
        if state is State.BACKOFF and self._gate.waiting:
            self._client_waiting()
        elif state is State.FAILED:
            self._tasks.start(self._watch_files(self._machine.attempt), name="watch files")
        elif state is State.STOPPED:
            self._stopped.set()

    def _log_change(self, before: State, state: State, failure: Failure | None) -> None:
        reason = f" ({failure.message})" if failure and state in _ABOUT_A_FAILURE else ""
        wait = self._next_dial_in()
        retry = "" if wait is None else f", retry in {wait:.1f}s" if wait else ", retry at once"
        self._log.info("%s -> %s%s%s", before, state, reason, retry)

    async def _watch_files(self, attempt: int) -> None:
        """Post FilesChanged once a file that may have caused the failure is no longer what it was."""
        files = self._connector.files
        seen = [fingerprint(f) for f in files]
        while self._machine.state is State.FAILED and self._machine.attempt == attempt:
            await asyncio.sleep(FILE_CHECK)
            if seen != [fingerprint(f) for f in files]:
                self._log.debug("a settings file changed")
                self.post(ev.FilesChanged())
                return

    def _client_waiting(self) -> None:
        # in the next round of the loop: the machine may be in the middle of handling an event
        asyncio.get_running_loop().call_soon(self.post, ev.ClientWaiting())

    def _channel_refused(self, failure: Failure) -> None:
        self._log.debug("a client's channel was refused: %s", failure.message)
        self.post(ev.GatewayInDoubt(self._machine.attempt))

    def _gateway_news(self, in_doubt: bool) -> None:
        if in_doubt:
            self.post(ev.GatewayInDoubt(self._machine.attempt))
        else:
            self._on_change()

    async def _close_listeners(self) -> None:
        for listener in self._listeners:
            await listener.close()
