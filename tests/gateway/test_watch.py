"""What is known of the gateway, over its good and bad moments; a gateway by script, a link without SSH."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import LinkLost, Opened, nobody_waits
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.gateway.watch import GatewayWatch
from support.aio import async_test, settle
from support.links import DirectLink
from support.scripted import Script, error, json_answer, scripted

DRAINING = json_answer(503, {"ok": False, "status": "draining", "version": "2026.9.6"})
CLOSED = Failure(Code.NOT_LISTENING, "nothing listens there")
WRONG_TOKEN = error(
    "INVALID_REQUEST",
    "unauthorized: gateway token mismatch (provide gateway auth token)",
    {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"},
)


class Rig:
    """A watch, its link, its gateway, and the credentials that are configured."""

    def __init__(self, to: Endpoint, script: Script, probe: Probe) -> None:
        spec = TunnelSpec("dev", "alias", (Forward(Endpoint("127.0.0.1", 1), to),), probe=probe)
        self.script = script
        self.link = DirectLink()
        self.credentials = Credentials(token="good")
        self.hold: asyncio.Event | None = None
        self.asked = self.answered = 0
        self.news: list[bool] = []
        self.watch = GatewayWatch(spec, credentials=self._credentials, on_news=self.news.append)
        self.watch.connected()

    async def _credentials(self) -> Credentials:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        self.answered += 1
        return self.credentials

    @property
    def verdict(self) -> Verdict:
        return self.watch.status().verdict

    async def probe(self) -> str | None:
        failure = await self.watch.probe(self.link, timeout=30)
        return str(failure.code) if failure else None


@asynccontextmanager
async def rig(script: Script | None = None, probe: Probe = Probe.GATEWAY) -> AsyncIterator[Rig]:
    script = script or Script()
    async with scripted(script) as to:
        made = Rig(to, script, probe)
        try:
            yield made
        finally:
            await made.watch.disconnected()
            made.link.lose()


def says(event: str, payload: dict[str, Any], code: int, reason: str) -> Any:
    """What a gateway does right after it has let a client in."""

    async def act(ws: ServerConnection) -> None:
        await ws.send(json.dumps({"type": "event", "event": event, "payload": payload}))
        await ws.close(code, reason)

    return act


@async_test
async def test_one_session_is_opened_and_kept() -> None:
    async with rig() as r:
        assert await r.probe() is None
        await settle(lambda: r.news == [False], "the handshake's outcome")
        for _ in range(3):
            assert await r.probe() is None
        status = r.watch.status()
        assert (status.verdict, status.version, status.detail) == (Verdict.HEALTHY, "2026.9.6", None)
        assert status.latency_ms is not None
        assert r.script.connections == 1
        assert r.script.seen[0]["params"]["auth"] == {"token": "good"}


@async_test
async def test_without_credentials_nobody_is_bothered() -> None:
    async with rig() as r:
        r.credentials = Credentials()
        assert await r.probe() is None
        assert r.verdict is Verdict.HEALTHY
        assert r.script.connections == 0


@async_test
async def test_credentials_that_take_their_time_hold_nothing_up() -> None:
    """A provider may wait for a person; the gateway is healthy meanwhile, and nobody is asked twice at a time."""
    async with rig() as r:
        r.hold = asyncio.Event()
        for _ in range(3):
            assert await r.probe() is None
        assert (r.verdict, r.asked) == (Verdict.HEALTHY, 1)
        r.hold.set()
        await settle(lambda: r.news == [False], "the handshake's outcome")
        assert r.script.connections == 1


@async_test
async def test_credentials_that_come_when_the_gateway_has_gone_are_not_tried() -> None:
    async with rig() as r:
        r.hold = asyncio.Event()
        await r.probe()
        await settle(lambda: r.asked == 1)
        r.link.refuse = CLOSED
        assert await r.probe() == "not_listening"
        r.link.refuse = None
        r.hold.set()
        await settle(lambda: r.answered == 1 and not r.watch._tasks, "the end of the look-up")
        assert (r.verdict, r.script.connections) == (Verdict.NOT_LISTENING, 0)


@async_test
async def test_what_up_means_decides_who_is_asked() -> None:
    async with rig(probe=Probe.TCP) as r:
        assert await r.probe() is None
        assert r.verdict is Verdict.UNKNOWN
        assert r.script.connections == 0


@async_test
async def test_a_wrong_token_is_tried_once_per_change() -> None:
    """The tunnel is up all the same: its clients bring credentials of their own."""
    async with rig(Script(answer=WRONG_TOKEN, close=(1008, "unauthorized"))) as r:
        assert await r.probe() is None
        await settle(lambda: r.verdict is Verdict.AUTH_FAILED)
        for _ in range(5):
            assert await r.probe() is None
        status = r.watch.status()
        assert status.verdict is Verdict.AUTH_FAILED
        assert status.detail is not None
        assert "token mismatch" in status.detail
        assert "openclaw config set gateway.remote.token" in status.detail
        assert "good" not in status.detail
        assert r.script.connections == 1
        r.credentials = Credentials(token="better")
        r.script.answer, r.script.close = Script().answer, None
        assert await r.probe() is None
        await settle(lambda: len(r.news) == 2, "the second handshake's outcome")
        assert r.verdict is Verdict.HEALTHY
        assert r.script.connections == 2


@async_test
async def test_a_token_that_changes_under_an_open_session_is_tried() -> None:
    async with rig() as r:
        await r.probe()
        await settle(lambda: r.news == [False])
        r.script.answer, r.script.close = WRONG_TOKEN, (1008, "unauthorized")
        r.credentials = Credentials(token="typo")
        await r.probe()
        await settle(lambda: r.verdict is Verdict.AUTH_FAILED)


@async_test
async def test_a_restart_is_a_restart_from_its_announcement_to_its_end() -> None:
    """It is said to be starting while its port is closed, and the countdown is the gateway's own."""
    restart = says("shutdown", {"reason": "gateway restarting", "restartExpectedMs": 60_000}, 1012, "service restart")
    async with rig(Script(after_hello=restart)) as r:
        await r.probe()
        await settle(lambda: r.verdict is Verdict.STARTING)
        assert r.news[-1] is True
        expected = r.watch.status().expected_in_s
        assert expected is not None
        assert 50 < expected <= 60
        r.link.refuse = CLOSED
        assert await r.probe() == "gateway_starting"
        assert r.verdict is Verdict.STARTING
        r.link.refuse = None
        r.script.after_hello = None
        assert await r.probe() is None
        await settle(lambda: r.verdict is Verdict.HEALTHY)
        assert r.watch.status().expected_in_s is None


@async_test
async def test_a_stop_is_not_taken_for_a_restart() -> None:
    stop = says("shutdown", {"reason": "gateway stopping"}, 1012, "service restart")
    async with rig(Script(after_hello=stop)) as r:
        await r.probe()
        await settle(lambda: r.news[-1:] == [True])
        r.script.http["/startupz"] = DRAINING
        assert await r.probe() == "gateway_starting"  # its own words, for the moment it still says them
        r.link.refuse = CLOSED
        assert await r.probe() == "not_listening"
        assert r.verdict is Verdict.NOT_LISTENING


@async_test
async def test_a_gateway_that_drains_and_goes_is_restarting_for_a_while() -> None:
    """Without a session the last words over HTTP are all there is."""
    async with rig() as r:
        r.credentials = Credentials()
        r.script.http["/startupz"] = DRAINING
        assert await r.probe() == "gateway_starting"
        r.link.refuse = CLOSED
        assert await r.probe() == "gateway_starting"
        assert r.verdict is Verdict.STARTING


@async_test
async def test_a_new_connection_knows_nothing_of_the_old_one() -> None:
    async with rig() as r:
        await r.probe()
        await settle(lambda: r.news == [False])
        await r.watch.disconnected()
        assert r.watch.status().verdict is Verdict.UNKNOWN
        r.watch.connected()
        await r.probe()
        await settle(lambda: r.script.connections == 2)


# What nobody foresaw

UNFORESEEN = [
    *(ValueError("x"), OverflowError(), MemoryError(), RecursionError(), KeyError("k"), OSError(5, "I/O error")),
    *(AssertionError(), TimeoutError(), StopIteration(), StopAsyncIteration(), ExceptionGroup("g", [ValueError()])),
    *(asyncio.CancelledError(), asyncio.InvalidStateError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "\x1b[31m")),
]
WELL = Judgement(Verdict.HEALTHY, "2026.9.6", latency=0.001)
SPEC = TunnelSpec("dev", "alias", (Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)),))


def fresh(error: BaseException) -> BaseException:
    """Another one like it: a traceback grows with each time that one and the same exception is raised."""
    return type(error)(*error.args)


class Prober:
    """Raises what it is given, in order; then all is well."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)

    async def __call__(self, *_: Any, **__: Any) -> Judgement:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise fresh(error)
        return WELL


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, *UNFORESEEN]), max_size=6))
def test_a_prober_that_breaks_is_a_failure_and_the_next_probe_works(errors: list[BaseException | None]) -> None:
    @async_test
    async def run() -> None:
        watch = GatewayWatch(SPEC, prober=Prober(*errors), logger=logging.getLogger("test.broken"))
        watch.connected()
        link = DirectLink()
        for raised in [*errors, None]:
            failure = await watch.probe(link, timeout=5)
            assert (failure is None) == (raised is None)
            assert watch.status().verdict is (Verdict.HEALTHY if raised is None else Verdict.UNKNOWN)
            if failure is not None:
                assert failure.code is Code.BUG
                assert type(raised).__name__ in failure.message
                assert failure.message == watch.status().detail
                assert failure.message.isprintable()
        await watch.disconnected()

    run()


@async_test
async def test_a_prober_that_hangs_is_given_up() -> None:
    async def hang(*_: Any, **__: Any) -> Judgement:
        await asyncio.Event().wait()
        raise AssertionError

    watch = GatewayWatch(SPEC, prober=hang)
    failure = await watch.probe(DirectLink(), timeout=0.01)
    assert failure is not None
    assert failure.code is Code.BUG


@async_test
async def test_who_cancels_a_probe_is_obeyed_and_a_lost_link_is_no_failure() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any, **__: Any) -> Judgement:
        asked.set()
        await go_on.wait()
        raise LinkLost

    watch = GatewayWatch(SPEC, prober=wait)
    async with asyncio.TaskGroup() as group:
        probe = group.create_task(watch.probe(DirectLink(), timeout=5))
        await asked.wait()
        probe.cancel()
    assert probe.cancelled()
    go_on.set()
    with pytest.raises(LinkLost):
        await watch.probe(DirectLink(), timeout=5)


@async_test
async def test_a_result_of_a_connection_that_has_gone_is_not_kept() -> None:
    watch = GatewayWatch(SPEC)

    async def late(*_: Any, **__: Any) -> Judgement:
        watch.connected()
        raise ValueError

    watch._prober = late
    failure = await watch.probe(DirectLink(), timeout=5)
    assert failure is not None
    assert watch.status().verdict is Verdict.UNKNOWN
    assert watch.status().detail is None


def _tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_credentials_that_break_are_looked_up_again(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    @async_test
    async def run() -> None:
        async with rig() as r:
            errors = [fresh(error) for _ in range(3)]

            async def credentials() -> Credentials:
                if errors:
                    raise errors.pop()
                return Credentials(token="good")

            r.watch._credentials = credentials
            for _ in range(3):
                left = len(errors)
                assert await r.probe() is None
                await settle(lambda: not r.watch._tasks, "the look-up")
                assert len(errors) == left - 1
                assert r.verdict is Verdict.HEALTHY
            assert await r.probe() is None
            await settle(lambda: r.news == [False], "the handshake's outcome")
            assert r.script.connections == 1

    with caplog.at_level(logging.ERROR):
        run()
    assert _tracebacks(caplog) == ["internal error while looking up the gateway's credentials"]


class BrokenLink(DirectLink):
    """Opens channels for HTTP; ``error`` comes out where a WebSocket is to be opened."""

    error: BaseException | None = None

    async def open_channel(
        self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
    ) -> Any:
        if self.error is not None and type(receiver).__name__ == "WebSocket":
            raise fresh(self.error)
        return await super().open_channel(host, port, receiver, timeout=timeout, opened=opened)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_a_session_that_breaks_blocks_no_later_one(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """It is not tried with every probe, either: credentials that get no answer have their minute."""

    @async_test
    async def run() -> None:
        async with rig() as r:
            r.link = BrokenLink()
            r.link.error = error
            assert await r.probe() is None
            await settle(lambda: r.asked == 1 and not r.watch._tasks, "the session's end")
            assert await r.probe() is None
            await settle(lambda: r.asked == 2 and not r.watch._tasks, "the second look")
            assert (r.verdict, r.script.connections) == (Verdict.HEALTHY, 0)
            r.news.clear()
            r.link.error = None
            r.credentials = Credentials(token="better")
            assert await r.probe() is None
            await settle(lambda: r.news == [False], "the handshake's outcome")
            assert r.script.connections == 1

    with caplog.at_level(logging.ERROR):
        run()
    foreseen = isinstance(error, TimeoutError)
    assert _tracebacks(caplog) == ["internal error while holding the session with the gateway"] * (not foreseen)


@async_test
async def test_a_session_that_is_cancelled_before_it_began_blocks_no_later_one() -> None:
    async with rig() as r:
        moved = asyncio.Event()

        def move() -> None:
            assert r.watch._session is not None
            r.watch.moved()
            moved.set()

        async def credentials() -> Credentials:
            if not moved.is_set():
                asyncio.get_running_loop().call_soon(move)  # in the round after this one, before the session's first
            return r.credentials

        r.watch._credentials = credentials
        await r.probe()
        await moved.wait()
        await settle(lambda: not r.watch._tasks, "its end")
        assert r.script.connections == 0
        await r.probe()
        await settle(lambda: r.news == [False], "the handshake's outcome")


@async_test
async def test_a_listener_for_news_that_breaks_ends_nothing() -> None:
    async with rig() as r:
        heard = []

        def listen(in_doubt: bool) -> None:
            heard.append(in_doubt)
            raise ZeroDivisionError

        r.watch._on_news = listen
        await r.probe()
        await settle(lambda: heard == [False] and not r.watch._tasks, "the news")
        assert await r.probe() is None
        assert r.verdict is Verdict.HEALTHY
