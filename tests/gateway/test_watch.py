"""What is known of the gateway, over its good and bad moments; a gateway by script, a link without SSH."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection

from openclaw_tunnel.config.model import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.hello import Credentials
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
