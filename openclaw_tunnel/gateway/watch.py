"""What is known of the gateway behind one tunnel, from one moment to the next.

HTTP is asked often and costs the gateway nothing. Where credentials are configured they are tried once
(``handshake.may_try``), and the session stays open: over it the gateway says that it is about to restart, before its
port closes, so that a restart is shown as one and not as a failure.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Link, LinkLost
from openclaw_tunnel.core.spec import Probe, TunnelSpec
from openclaw_tunnel.core.status import GatewayStatus, Verdict
from openclaw_tunnel.gateway.client import SessionFailed, connect
from openclaw_tunnel.gateway.handshake import Attempt, Situation, fingerprint, may_try, overall
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.probe import probe
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.gateway.sandbox import reports_sandbox
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.host.loop.tasks import Tasks, is_being_cancelled
from openclaw_tunnel.host.loop.tracebacks import Tracebacks

HANDSHAKE_TIMEOUT = 15.0
"""Seconds: a gateway that was given wrong secrets lets all its loopback clients wait up to 5 s."""

RESTART_GRACE = 20.0
"""Seconds beyond the announced ones in which a silent gateway counts as restarting (OpenClaw takes 5 to 15)."""

_MOST_QUESTIONS = 4
"""A probe has three questions, each with a timeout of its own; one that takes longer than four hangs."""

_AWAY = (Verdict.NOT_LISTENING, Verdict.UNREACHABLE)

Prober = Callable[..., Awaitable[Judgement]]
CredentialSource = Callable[[], Awaitable[Credentials]]


async def no_credentials() -> Credentials:
    """The source of a tunnel that only asks over HTTP."""
    return Credentials()


class GatewayWatch:
    """Probes, remembers, and holds the one session.

    Attributes:
        shows_widgets: the gateway says so; False while it has told nothing.
    """

    def __init__(
        self,
        spec: TunnelSpec,
        *,
        prober: Prober = probe,
        credentials: CredentialSource = no_credentials,
        on_news: Callable[[bool], None] = lambda in_doubt: None,
        logger: "logging.LoggerAdapter[Any] | logging.Logger" = logging.getLogger(__name__),  # noqa: B008
    ) -> None:
        """Know nothing yet.

        Args:
            credentials: asked after each good probe, by one caller at a time; it may take its time.
            on_news: called when :meth:`status` has changed without a probe; ``in_doubt``: a probe is worth while.
        """
        self._spec = spec
        self._prober = prober
        self._credentials = credentials
        self._on_news = on_news
        self._log = logger
        self._tasks = Tasks(logger)
        self._tracebacks = Tracebacks(logger)
        self._key = secrets.token_bytes(32)
        self._probed = Judgement(Verdict.UNKNOWN)
        self._last: Attempt | None = None
        self._at: Situation | None = None
        self._connection = 0
        self._session: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._held = ""
        self._version: str | None = None
        self.shows_widgets = False
        self._restart_until = float("-inf")
        self._expected_at: float | None = None
        self._stopping = False
        self._told = Verdict.UNKNOWN

    def connected(self) -> None:
        """A new SSH connection is there; nothing is known over it."""
        self._connection += 1
        self._forget()

    def moved(self) -> None:
        """The tunnel goes on over another SSH connection: what is known still holds, the session is made anew."""
        self._connection += 1
        if self._session is not None:
            self._session.cancel()

    async def disconnected(self) -> None:
        """The SSH connection is gone, and the session with it."""
        self._forget()
        await self._tasks.cancel_all()

    def status(self) -> GatewayStatus:
        """What is known at this moment."""
        judgement = self._judgement()
        failure = judgement.failure
        detail = failure.message if failure else None
        if failure and judgement.verdict is not self._probed.verdict:
            detail = f"{failure.message}; {failure.hint}"  # no failure of the tunnel: its hint stands nowhere else
        starting = judgement.verdict is Verdict.STARTING and self._expected_at is not None
        latency = self._probed.latency
        left = max(0.0, (self._expected_at or 0.0) - self._now()) if starting else None
        return GatewayStatus(
            verdict=judgement.verdict,
            version=judgement.version or self._version,
            latency_ms=None if latency is None else round(latency * 1000, 1),
            detail=detail,
            expected_in_s=None if left is None else round(left, 1),
        )

    async def probe(self, link: Link, *, timeout: float) -> Failure | None:
        """Ask over ``link``; None where the tunnel may count as up.

        An exception that nobody foresaw is a failure too: whoever probes again and again has to be told something.

        Args:
            timeout: seconds for each question.

        Raises:
            LinkLost: the SSH connection went away; says nothing about the gateway.
        """
        connection = self._connection
        try:
            async with asyncio.timeout(_MOST_QUESTIONS * timeout):
                return await self._probe(link, connection, timeout)
        except LinkLost:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            failure = self._tracebacks.failure("asking the gateway how it is", error)
        if connection == self._connection:
            self._probed = Judgement(Verdict.UNKNOWN, failure=failure)
            self._tell()
        return failure

    async def _probe(self, link: Link, connection: int, timeout: float) -> Failure | None:
        spec = self._spec
        result = await self._prober(link, spec.probe, spec.main.to, timeout=timeout)
        if connection != self._connection:
            return result.failure
        self._probed = self._in_context(result)
        if self._probed.verdict is Verdict.HEALTHY and spec.probe is Probe.GATEWAY:
            self._look_for_credentials(link)
        self._tell()
        failure = self._probed.failure
        return failure.with_facts(target=spec.target, to=str(spec.main.to), host=spec.address) if failure else None

    def _judgement(self) -> Judgement:
        return overall(self._probed, self._last, self._at) if self._at else self._probed

    def _in_context(self, judgement: Judgement) -> Judgement:
        """A gateway that is away for the moment it takes to restart is starting."""
        if judgement.failure is None:
            self._stopping, self._restart_until, self._expected_at = False, float("-inf"), None
        elif judgement.verdict is Verdict.STARTING and not self._stopping:
            self._restart_until = self._now() + RESTART_GRACE
        elif judgement.verdict in _AWAY and self._now() < self._restart_until:
            message = f"the gateway on {self._spec.main.to} is restarting"
            return Judgement(Verdict.STARTING, self._version, Failure(Code.GATEWAY_STARTING, message))
        return judgement

    # The session

    def _look_for_credentials(self, link: Link) -> None:
        """Beside the probe: a SecretRef may keep a person busy, and the tunnel is up meanwhile."""
        if self._looking is None or self._looking.done():
            look = self._consider_handshake(link, self._probed, self._now())
            self._looking = self._tasks.start(look, name="look for credentials of the gateway")

    async def _consider_handshake(self, link: Link, probed: Judgement, now: float) -> None:
        try:
            credentials = await self._credentials()
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            self._tracebacks.log("looking up the gateway's credentials", error)
            return  # the next good probe asks again
        if self._probed.verdict is not Verdict.HEALTHY:
            return  # it went away while they were looked up; the next good probe asks again
        self._at = Situation(fingerprint(credentials, self._key), self._connection, now, probed.version, probed.uptime)
        if self._has_session and self._held != self._at.credential:
            await self._tasks.cancel_all()  # other credentials are configured now
        if credentials and not self._has_session and may_try(self._last, self._at):
            self._held = self._at.credential
            hold = self._hold(link, credentials, self._at)
            self._session = self._tasks.start(hold, name="session with the gateway")
        self._tell()

    @property
    def _has_session(self) -> bool:
        # not by what the task does when it ends: one that is cancelled before it began does nothing
        return self._session is not None and not self._session.done()

    async def _hold(self, link: Link, credentials: Credentials, at: Situation) -> None:
        """Log in and stay until the end; note what came of it, whatever it is: the next try depends on that."""
        try:
            farewell = await self._log_in(link, credentials, at)
            if farewell is not None:
                self._ended(at, farewell)
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            failure = self._tracebacks.failure("holding the session with the gateway", error)
            self._last = Attempt(replace(at, now=self._now()), Judgement(Verdict.UNKNOWN, failure=failure))

    async def _log_in(self, link: Link, credentials: Credentials, at: Situation) -> Judgement | None:
        """With what the gateway ended the session; None where there was none, or the SSH connection ended it."""
        try:
            async with connect(LinkRoute(link, self._spec.main.to), credentials, timeout=HANDSHAKE_TIMEOUT) as session:
                hello = session.hello
                self._version, self.shows_widgets = hello.version, reports_sandbox(hello.methods)
                self._note(at, Judgement(Verdict.HEALTHY, hello.version, uptime=hello.uptime))
                return await session.wait_closed()
        except SessionFailed as failed:
            self._note(at, failed.judgement)
        except LinkLost:
            pass  # whoever waits for the loss says so
        return None

    def _note(self, at: Situation, judgement: Judgement) -> None:
        facts = {"target": self._spec.target, "to": str(self._spec.main.to)}
        failure = judgement.failure.with_facts(**facts) if judgement.failure else None
        self._last = Attempt(replace(at, now=self._now()), replace(judgement, failure=failure))
        self._tell()
        self._on_news(False)

    def _ended(self, at: Situation, farewell: Judgement) -> None:
        """The gateway has ended the session: it restarts, stops, or wants other credentials."""
        if farewell.verdict is Verdict.STARTING:
            expected = farewell.expected_in or 0.0
            self._expected_at = self._now() + expected
            self._restart_until = self._expected_at + RESTART_GRACE
            self._probed = replace(farewell, latency=self._probed.latency)
            self._last = None
        elif farewell.verdict is Verdict.NOT_LISTENING:
            self._stopping = True  # it says that it stops for good: what it says while it does so is no restart
        elif farewell.verdict is Verdict.AUTH_FAILED:
            self._last = None  # the secret was changed while we were in: ours deserves a try
        self._tell()
        self._on_news(True)

    def _forget(self) -> None:
        self._probed = Judgement(Verdict.UNKNOWN)
        self._version, self.shows_widgets = None, False
        self._stopping, self._restart_until, self._expected_at = False, float("-inf"), None

    def _tell(self) -> None:
        """A change of the verdict is an event in the history."""
        judgement = self._judgement()
        if judgement.verdict is not self._told:
            reason = f" ({judgement.failure.message})" if judgement.failure else ""
            self._log.info("gateway: %s -> %s%s", self._told, judgement.verdict, reason)
            self._told = judgement.verdict

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
