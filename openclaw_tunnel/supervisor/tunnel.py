"""One tunnel: carries out the machine's commands and feeds back what became of them.

Nothing is decided here. Events go into ``core.machine``, what comes out is done: dial, close, wait, probe;
and the gate in front of the local ports is set to what the state allows.
"""

import asyncio
from collections.abc import Callable

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays, delays
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.history.past_failure import LastTrouble
from openclaw_tunnel.core.link import Connector, Link, LinkLost
from openclaw_tunnel.core.machine import Machine
from openclaw_tunnel.core.retry import Plan
from openclaw_tunnel.core.spec import Forward, TunnelSpec
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import Counters, FailureStatus, RetryStatus, Snapshot, SshStatus
from openclaw_tunnel.core.wording.transition_log import TransitionLog
from openclaw_tunnel.gateway.probe import probe
from openclaw_tunnel.gateway.sandbox import look_for_sandbox
from openclaw_tunnel.gateway.watch import CredentialSource, GatewayWatch, Prober, no_credentials
from openclaw_tunnel.host.logs import tunnel_logger
from openclaw_tunnel.host.loop.tasks import UNFORESEEN, Tasks, is_being_cancelled
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.host.walltime import utc_now
from openclaw_tunnel.relay.extraports import ExtraPorts
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.http_error import HttpErrorResponder
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.relay.stall_detector import StallDetector
from openclaw_tunnel.supervisor.connections import Connections
from openclaw_tunnel.supervisor.surroundings import Change, Dependencies, has_moved
from openclaw_tunnel.supervisor.timers import MOMENT, Timers


class Supervisor:
    """Keeps one tunnel as the user wants it.

    Attributes:
        spec: what the user wants.
        was_up: the tunnel has been UP at least once.
        extra_ports: the forwards to the gateway's other ports.
    """

    _watching: asyncio.Task[None] | None = None  # for what may make a difference

    def __init__(
        self,
        spec: TunnelSpec,
        connector: Connector,
        *,
        backoff: Delays | None = None,
        prober: Prober = probe,
        credentials: CredentialSource = no_credentials,
        settings_files: tuple[str, ...] = (),
        on_settings: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
        on_state: Callable[[State, State, Failure | None], None] = lambda before, state, failure: None,
    ) -> None:
        """Make a tunnel that is stopped and not bound.

        Args:
            connector: dials the SSH server.
            backoff: seconds before the next dial, by failed tries in a row; by default the policy's.
            credentials: what the gateway is asked with, beyond its plain health.
            settings_files: where ``spec`` came from.
            on_settings: called when one of these has changed while only a person can help.
            on_change: called after every change that a view may want to show.
            on_state: called after each change of the state, with the old and the new one and what that is about.
        """
        self.spec = spec
        self.was_up = False
        self._on_settings = on_settings
        self._on_change = on_change
        self._on_state = on_state
        self._log = tunnel_logger(spec.name)
        self._tracebacks = Tracebacks(self._log)
        self._lines = TransitionLog()
        self._machine = Machine(spec.policy, backoff or delays(spec.policy))
        self._gate = Gate(self._client_waiting)
        self._stall_detector = StallDetector(spec.policy.stall, self._traffic_stalled)
        self._listeners = [self._listener(f) for f in spec.forwards]
        self.extra_ports = ExtraPorts(
            spec, self._listener, look=look_for_sandbox, on_change=on_change, logger=self._log
        )
        self._tasks = Tasks(self._log)
        self._timers = Timers(self.post)
        self._dependencies = Dependencies(connector, settings_files, self._tracebacks)
        self._connections = Connections(spec, connector, post=self.post, logger=self._log)
        self._since = utc_now()
        self._down_since: str | None = None
        self._failed_at: str | None = None
        self._entered, self._trouble = 0.0, LastTrouble()
        self._watch = GatewayWatch(
            spec, prober=prober, credentials=credentials, on_news=self._gateway_news, logger=self._log
        )
        self._stopped = asyncio.Event()

    def _listener(self, forward: Forward) -> Listener:
        return Listener(
            forward,
            self._gate,
            self.spec.policy,
            on_refused=self._channel_refused,
            stall_detector=self._stall_detector,
            http_error=HttpErrorResponder(self.snapshot) if forward is self.spec.main else None,
        )

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
        self._tasks.start(self._dependencies.begin(), name="see the settings")
        self.post(ev.StartRequested())

    def post(self, event: ev.Event) -> None:
        """Let the machine handle an event, and do what it asks for."""
        before, failure = self._machine.state, self._machine.failure
        commands = self._machine.handle(event, asyncio.get_running_loop().time())
        if self._machine.failure is not failure:
            self._failed_at = utc_now()
        for command in commands:
            self._do(command)
        self._set_gate()
        if self._machine.state is not before:
            self._state_changed(before)
        self._changed()

    def network_changed(self, addresses: frozenset[str] | None) -> None:
        """Addresses, links or routes of this computer are no longer what they were.

        Args:
            addresses: the IP addresses it has now, as ``ipaddress`` prints them; None where they are not known.
        """
        link = self.link
        self.post(ev.NetworkChanged(moved=link is not None and has_moved(link.local_address, addresses)))

    async def stop(self) -> None:
        """Close the connection in order, drop the clients, give the ports back; idempotent."""
        self.post(ev.StopRequested())
        if self._machine.state is State.STOPPED:
            self._stopped.set()
        await self._stopped.wait()
        await self._close_listeners()
        await self._connections.close_all()
        await self._tasks.cancel_all()
        self._stall_detector.clear()

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
        return self._connections.link(self._machine.attempt) if self._machine.state in LINK_STATES else None

    @property
    def tries(self) -> int:
        """Failed or lost connections in a row."""
        return self._machine.pace.tries

    @property
    def about_to_dial(self) -> bool:
        """A dial that somebody waits for comes in a moment: the pace allows no earlier one."""
        return self._timers.runs(do.Timer.HURRY, within=MOMENT)

    def snapshot(self) -> Snapshot:
        """Everything there is to show, at this moment."""
        machine, spec = self._machine, self.spec
        failure, link = machine.failure, self.link
        return Snapshot(
            name=spec.name,
            state=machine.state,
            since=self._since,
            target=spec.address or spec.target,
            alias=spec.target,
            forwards=(*(listener.status() for listener in self._listeners), *self.extra_ports.status()),
            ssh=self._connections.status(machine.attempt) if link else SshStatus(),
            gateway=self._watch.status(),
            retry=self._retry(0 if link else machine.pace.tries),
            counters=Counters(machine.connects, machine.losses, self._gate.held),
            failure=self._failure_status(failure) if failure else None,
            down_since=self._down_since,
            last_failure=self._trouble.over,
            asks=(machine.dial.asked if machine.state is State.CONNECTING else "") or None,
        )

    def _retry(self, tries: int) -> RetryStatus:
        machine = self._machine
        stopped = machine.failure if machine.state is State.FAILED else None
        return self._dependencies.retry(stopped, tries, self._next_dial_in(), flapping=machine.pace.flapping)

    def _failure_status(self, failure: Failure) -> FailureStatus:
        return FailureStatus(**{**failure.to_json(self._failed_at), "permanent": self._machine.state is State.FAILED})

    def _next_dial_in(self) -> float | None:
        return self._timers.next_dial_in() if self._machine.state in (State.BACKOFF, State.FAILED) else None

    # Doing what the machine asks for

    def _do(self, command: do.Command) -> None:
        match command:
            case do.OpenConnection(attempt):
                self._connections.open(attempt)
            case do.CloseConnection(attempt):
                self._connections.close(attempt)
            case do.CheckConnection(attempt):
                self._connections.check(attempt)
            case do.RetireConnection(attempt, patience):
                if self.link is not None:
                    self._log.info(
                        "a new connection took over: the old one was in doubt after sleep or a network change"
                    )
                self._watch.moved()
                self._connections.retire(attempt, patience)
            case do.StartTimer(timer, delay, attempt):
                self._timers.start(timer, delay, attempt)
            case do.CancelTimers():
                self._timers.cancel_all()
            case do.RunProbe(attempt):
                link = self._connections.link(attempt)
                if link is not None:
                    self._tasks.start(self._probe(attempt, link), name=f"probe {attempt}")

    async def _probe(self, attempt: int, link: Link) -> None:
        try:
            failure = await self._watch.probe(link, timeout=self._connections.question_timeout(attempt))
        except LinkLost:  # whoever waits for the loss says so, with the reason; where nobody does, the line is asked
            failure = Failure(Code.LOST, "the connection was lost while the gateway was asked")
        except UNFORESEEN as error:
            if is_being_cancelled():
                raise
            failure = self._tracebacks.failure("asking the gateway", error)
        self.post(ev.ProbePassed(attempt) if failure is None else ev.ProbeFailed(attempt, failure))
        if failure is None:
            await self._connections.measure(attempt)
            self._changed()

    # What follows from a change of state

    def _set_gate(self) -> None:
        """Let the clients through to the live connection, wait for one, or go."""
        link, state = self.link, self._machine.state
        if link is not None:
            self._gate.open(link)
        elif state in LINK_STATES or state in (State.CONNECTING, State.BACKOFF):
            self._gate.hold()
        else:
            self._gate.refuse()

    def _state_changed(self, before: State) -> None:
        state, failure, now = self._machine.state, self._machine.failure, asyncio.get_running_loop().time()
        lasted, self._entered = now - self._entered, now
        self._since = utc_now()
        self._down_since = None if state in LINK_STATES else self._down_since or self._since
        self._trouble.note(before, state, failure, self._failed_at, now)
        self.was_up |= state is State.UP
        if line := self._lines.line(before, state, failure, lasted, self._next_dial_in()):
            self._log.info("%s", line)
        self._safely("recording a change", lambda: self._on_state(before, state, failure))
        if state is State.VERIFYING:
            self._watch.connected()
        elif state is State.UP:
            self.extra_ports.notice(self.link, reported=self._watch.shows_widgets)
        if before in LINK_STATES and state not in LINK_STATES:
            self._stall_detector.clear()
            self._tasks.start(self._watch.disconnected(), name="end the session with the gateway")
        self._watch_for_change()
        if state is State.BACKOFF and self._gate.waiting:
            self._client_waiting()
        elif state is State.STOPPED:
            self._stopped.set()

    def _watch_for_change(self) -> None:
        """Begin, or end, to look for what may make a difference to the tunnel as it is now."""
        if self._watching is not None:
            self._watching.cancel()
        if plan := self._machine.watched:
            self._watching = self._tasks.start(self._wait_for_change(plan), name="wait for a change")

    async def _wait_for_change(self, plan: Plan) -> None:
        """Try again, or read the settings again, once what may have caused the failure changes."""
        while True:
            change = await self._dependencies.wait(plan)
            self._log.debug("%s changed", change.value)
            if change is Change.DEPENDENCY:
                self.post(ev.DependencyChanged())
            else:
                self._safely("reading the settings again", self._on_settings)

    def _changed(self) -> None:
        self._safely("showing a change", self._on_change)

    def _safely(self, doing: str, call: Callable[[], None]) -> None:
        """What others make of a change must not keep the tunnel from going on."""
        try:
            call()
        except Exception as error:
            self._tracebacks.log(doing, error)

    def _client_waiting(self) -> None:
        # in the next round of the loop: the machine may be in the middle of handling an event
        asyncio.get_running_loop().call_soon(self.post, ev.ClientWaiting())

    def _traffic_stalled(self) -> None:
        self._log.debug("clients wait for an answer: is the server still there?")
        self.post(ev.TrafficStalled(self._machine.attempt))

    def _channel_refused(self, failure: Failure) -> None:
        self._log.debug("a client's channel was refused: %s", failure.message)
        self.post(ev.GatewayInDoubt(self._machine.attempt))

    def _gateway_news(self, in_doubt: bool) -> None:
        if in_doubt:
            self.post(ev.GatewayInDoubt(self._machine.attempt))
        else:
            self.extra_ports.notice(self.link, reported=self._watch.shows_widgets)
            self._changed()

    async def _close_listeners(self) -> None:
        await self.extra_ports.close()
        for listener in self._listeners:
            await listener.close()
