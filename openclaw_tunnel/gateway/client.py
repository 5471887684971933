"""One session with a gateway: challenge, ``connect``, calls, events, and an end that is told apart.

``async with connect(route, credentials) as session: await session.call("health")``
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, LinkLost
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.device import Device
from openclaw_tunnel.gateway.frames import ErrorReply, Event, Frame, FrameError, Response, parse, request
from openclaw_tunnel.gateway.hello import (
    READ,
    Challenge,
    Credentials,
    Hello,
    Who,
    connect_params,
    read_challenge,
    read_hello,
)
from openclaw_tunnel.gateway.refusal import Farewell, judge_close, judge_refusal, judge_upgrade, read_shutdown
from openclaw_tunnel.gateway.route import Route
from openclaw_tunnel.gateway.verdict import Judgement, judge_channel, not_a_gateway, unreachable

log = logging.getLogger(__name__)

HELLO_BUDGET = 1 << 20
"""Bytes a gateway may send up to and including its ``hello-ok``, which has about 20 kB."""

_RETRY = 0.5
"""Seconds before a request is repeated of which the gateway only says that it may be."""

_SHORTEST = 0.05
"""Seconds before it is repeated at the soonest, whatever the gateway says: ``retryAfterMs`` 0 is no invitation to
send as many as the line carries."""


class SessionFailed(Exception):
    """There is no session, or no longer; ``judgement`` says why, and its ``failure`` what to do.

    ``stage`` is how far it came: ``channel``, ``handshake``, ``credentials`` or ``session``. ``retry_after``: seconds
    after which the gateway wants to be asked again, where it told.
    """

    def __init__(self, judgement: Judgement, stage: str, retry_after: float | None = None) -> None:
        super().__init__(judgement.failure.message if judgement.failure else str(judgement.verdict))
        self.judgement = judgement
        self.stage = stage
        self.retry_after = retry_after


class CallRefused(Exception):
    """The gateway answered a request with an error; the session goes on. ``error`` has the gateway's own words."""

    def __init__(self, error: ErrorReply, judgement: Judgement) -> None:
        super().__init__(error.message)
        self.error = error
        self.judgement = judgement


class Session:
    """A session that the gateway has let in; made by :func:`connect`.

    Attributes:
        hello: what the gateway said.
    """

    def __init__(self, route: Route, credential: str, on_challenge: Callable[[], None]) -> None:
        """Make one that is not connected; ``credential``: which kind is sent, for hints."""
        self.hello = Hello(0)
        self._to = route.name
        self._on_challenge = on_challenge
        self._credential = credential
        from openclaw_tunnel.gateway.websocket import WebSocket  # not before there are credentials to send

        self._websocket = WebSocket(route, self._message, self._ended, budget=HELLO_BUDGET)
        # Results of None: the connection has ended first.
        self._challenge: asyncio.Future[Challenge | None] = asyncio.get_running_loop().create_future()
        self._waiting: dict[str, asyncio.Future[Response | None]] = {}
        self._number = 0
        self._began = False
        self._farewell: Farewell | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._tick_missed = False

    async def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float = 10.0) -> Any:
        """Ask the gateway; its ``payload``.

        A refusal that the gateway calls retryable is met by asking again after ``retryAfterMs``, as long as that
        lies within the deadline.

        Args:
            timeout: seconds for all of it.

        Raises:
            CallRefused: the gateway says no.
            SessionFailed: the session ended, or no answer came in time.
            ValueError: ``params`` is not JSON.
            LinkLost: the SSH connection went away.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            response = await self._ask(method, params, deadline, f"did not answer {method} within {timeout:g} s")
            error = response.error
            if error is None:
                return response.payload
            pause = _pause_before(error.retry_after)
            if not error.retryable or loop.time() + pause >= deadline:
                raise CallRefused(error, self._refusal(error))
            await self._pause(pause)

    async def wait_closed(self) -> Judgement:
        """Return when the session has ended, with what that means.

        Raises:
            LinkLost: the SSH connection went away.
        """
        await self._websocket.over.wait()
        return self._judge_end()

    async def close(self) -> None:
        """End the session; under a second, whatever the far end does. Idempotent."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        await self._websocket.close()

    # Becoming a session

    async def open(self, credentials: Credentials, scopes: tuple[str, ...], device: Device | None, end: float) -> None:
        """Go through the handshake until ``end`` on the loop's clock; :func:`connect` calls it.

        Raises:
            SessionFailed, LinkLost: there is no session.
        """
        challenge = await self._shake_hands(end)
        who = Who.CLI if device else Who.BACKEND
        platform = "darwin" if sys.platform == "darwin" else sys.platform.rstrip("0123456789")
        signed = None
        if device is not None:
            signed = device.sign(challenge, who=who, scopes=scopes, token=credentials.token or "", platform=platform)
        params = connect_params(credentials, who=who, scopes=scopes, platform=platform, device=signed)
        try:
            response = await self._ask("connect", params, end, "did not answer the request to connect in time")
        except SessionFailed as failed:
            raise SessionFailed(failed.judgement, _stage_of(failed.judgement)) from None
        if response.error is not None:
            judgement = self._refusal(response.error)
            if judgement.failure is not None and judgement.failure.code is Code.CALL_REFUSED:
                # a gateway that finds fault with the request itself is older or newer than what is known here
                failure = Failure(Code.PROTOCOL_MISMATCH, judgement.failure.message)
                judgement = Judgement(Verdict.PROTOCOL_MISMATCH, failure=failure)
            raise SessionFailed(judgement, _stage_of(judgement), response.error.retry_after)
        try:
            self.hello = read_hello(response.payload)
        except FrameError as error:
            raise SessionFailed(not_a_gateway(f"what answers on {self._to} sends {error}"), "handshake") from None
        self._websocket.lift_budget()
        self._watch_ticks()

    async def _shake_hands(self, end: float) -> Challenge:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(end):
                try:
                    upgrade = await self._websocket.connect(max(0.0, end - loop.time()))
                except ChannelFailed as error:
                    raise SessionFailed(judge_channel(error.failure), "channel") from None
                if upgrade.status not in (0, 101):
                    judgement = judge_upgrade(upgrade.status, upgrade.body, to=self._to)
                    raise SessionFailed(judgement, "handshake")
                challenge = await asyncio.shield(self._challenge)
        except TimeoutError:
            late = unreachable(f"{self._to} accepts connections but does not begin the Gateway protocol in time")
            raise SessionFailed(late, "handshake") from None
        if challenge is None:
            raise SessionFailed(self._judge_end(), "handshake")
        return challenge

    # Asking

    async def _ask(self, method: str, params: Mapping[str, Any] | None, end: float, too_late: str) -> Response:
        self._number += 1
        answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        number = str(self._number)
        self._waiting[number] = answer
        try:
            self._websocket.send(request(number, method, params))
            async with asyncio.timeout_at(end):
                response = await answer if self._websocket.closed is None else None
        except TimeoutError:
            raise SessionFailed(unreachable(f"the gateway on {self._to} {too_late}"), "session") from None
        finally:
            del self._waiting[number]
        if response is None:
            raise SessionFailed(self._judge_end(), "session")
        return response

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._websocket.over.wait()
        except TimeoutError:
            return
        raise SessionFailed(self._judge_end(), "session")

    # Hearing

    def _message(self, text: str) -> None:
        frame: Frame = parse(text)
        match frame:
            case Event("connect.challenge", payload) if not self._began:
                challenge = read_challenge(payload)
                self._began = True
                self._challenge.set_result(challenge)
                self._on_challenge()
            case Event("shutdown", payload):
                self._farewell = read_shutdown(payload)
            case Response(number):
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
            case _:
                pass  # a tick, which was noted when it arrived, or news nobody here asked for

    def _ended(self) -> None:
        waiting: list[asyncio.Future[Any]] = [self._challenge, *self._waiting.values()]
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _watch_ticks(self) -> None:
        """End a session whose gateway has been silent for two ticks, as its own clients do."""
        loop = asyncio.get_running_loop()
        silent_until = self._websocket.heard_at + 2 * self.hello.tick
        if loop.time() >= silent_until:
            self._tick_missed = True
            self._websocket.give_up(4000, "tick timeout")
        else:
            self._watchdog = loop.call_at(silent_until, self._watch_ticks)

    # Judging

    def _refusal(self, error: ErrorReply) -> Judgement:
        return judge_refusal(error, to=self._to, credential=self._credential, version=self.hello.version)

    def _judge_end(self) -> Judgement:
        how = self._websocket.closed
        if how is None or self._tick_missed:
            return unreachable(f"the gateway on {self._to} has fallen silent")
        if how.lost:
            raise LinkLost("the SSH connection is gone")
        if how.ours:
            return not_a_gateway(f"what answers on {self._to} does not speak the Gateway protocol: {how.reason}")
        return judge_close(how.code, how.reason, to=self._to, farewell=self._farewell, began=self._began)


def _pause_before(retry_after: float | None) -> float:
    """Seconds before the gateway is asked again; ``retry_after``: those that it named."""
    return _RETRY if retry_after is None else max(_SHORTEST, retry_after)


def _stage_of(judgement: Judgement) -> str:
    refused = (Verdict.AUTH_FAILED, Verdict.PAIRING_REQUIRED, Verdict.LIMITED_SCOPE)
    return "credentials" if judgement.verdict in refused else "handshake"


@asynccontextmanager
async def connect(
    route: Route,
    credentials: Credentials = Credentials(),  # noqa: B008  frozen
    *,
    scopes: tuple[str, ...] = (READ,),
    device: Device | None = None,
    timeout: float = 10.0,
    patient: bool = False,
    on_challenge: Callable[[], None] = lambda: None,
) -> AsyncIterator[Session]:
    """Open a session and close it at the end of the block.

    Args:
        scopes: what is asked for; what was granted is in ``session.hello.scopes``.
        device: identify as this device; None: as nobody in particular, which is enough with a token or password.
        timeout: seconds until the session is there.
        patient: wait, within ``timeout``, for a gateway that says that it is starting.
        on_challenge: called when the far end has begun to speak the Gateway protocol.

    Raises:
        SessionFailed: there is none.
        LinkLost: the SSH connection went away.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        session = Session(route, credentials.kind, on_challenge)
        try:
            await session.open(credentials, scopes, device, end)
            break
        except SessionFailed as failed:
            pause = _pause_before(failed.retry_after)
            if not patient or failed.judgement.verdict is not Verdict.STARTING or loop.time() + pause >= end:
                raise
        finally:
            if not session.hello.protocol:
                await session.close()
        await asyncio.sleep(pause)
    try:
        yield session
    finally:
        await session.close()
