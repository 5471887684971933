"""The layers between here and a gateway, and the first that fails."""

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection

from openclaw_tunnel.ask.examine import LAYERS, Examination, examine
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import LinkLost
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.route import LinkRoute
from support.aio import async_test, pass_time
from support.links import DirectLink
from support.scripted import Script, error, hello, json_answer, page, raw, scripted

TOKEN = Credentials("tok-123")
WRONG = error("INVALID_REQUEST", "unauthorized: gateway token mismatch", {"code": "AUTH_TOKEN_MISMATCH"})
STARTING = json_answer(503, {"ok": False, "status": "starting", "version": "2026.9.6", "uptimeMs": 665})
OLD = {**Script().http, "/startupz": page()}
NO_SCOPES = error(
    "FORBIDDEN", "missing scope: operator.read", {"code": "MISSING_SCOPE", "missingScope": "operator.read"}
)
V3 = hello(protocol=3, auth=None, server={"version": "2026.3.24"})


async def look(to: Endpoint, credentials: Credentials = TOKEN, timeout: float = 10.0) -> Examination:
    return await examine(LinkRoute(DirectLink(), to), credentials, timeout=timeout)


def outcomes(found: Examination) -> str:
    """One letter a layer: ok, failed, skipped."""
    assert [layer.name for layer in found.layers] == list(LAYERS)
    assert all((layer.ms is None) == (layer.outcome == "skipped") for layer in found.layers)
    assert all(layer.text for layer in found.layers)
    return "".join(str(layer.outcome)[0] for layer in found.layers)


@async_test
async def test_all_is_well() -> None:
    script = Script()
    async with scripted(script) as to:
        found = await look(to)
    assert outcomes(found) == "ooooo"
    assert (found.verdict, found.version, found.failure) == (Verdict.HEALTHY, "2026.9.6", None)
    assert (found.protocol, found.scopes) == (4, ("operator.read",))
    assert [layer.text for layer in found.layers] == [
        f"{to} accepts connections",
        "it says that it is live and has started",
        "protocol 4, OpenClaw 2026.9.6",
        "the token is accepted",
        "operator.read",
    ]
    assert script.connections == 1


@pytest.mark.parametrize(
    ("script", "shape", "verdict", "version"),
    [
        (Script(http={}), "ofsss", Verdict.NOT_A_GATEWAY, None),
        (Script(http={**Script().http, "/startupz": STARTING}), "ofsss", Verdict.STARTING, "2026.9.6"),
        (
            Script(http={**OLD, "/readyz": json_answer(503, {"ready": False, "failing": ["startup-sidecars"]})}),
            "ofsss",
            Verdict.STARTING,
            None,
        ),
        (Script(upgrade=page(503)), "oofss", Verdict.STARTING, "2026.9.6"),
        (Script(challenge=None, close=(1000, "")), "oofss", Verdict.NOT_A_GATEWAY, "2026.9.6"),
        (
            Script(answer=error("INVALID_REQUEST", "protocol mismatch", {"expectedProtocol": 5}), close=(1002, "")),
            "oofss",
            Verdict.PROTOCOL_MISMATCH,
            "2026.9.6",
        ),
        (Script(answer=hello(protocol=9)), "oooof", Verdict.PROTOCOL_MISMATCH, "2026.9.6"),
        (Script(answer=WRONG, close=(1008, "")), "ooofs", Verdict.AUTH_FAILED, "2026.9.6"),
        (Script(answer=hello([])), "oooof", Verdict.LIMITED_SCOPE, "2026.9.6"),
        (Script(answer=hello(["operator.write"])), "oooof", Verdict.LIMITED_SCOPE, "2026.9.6"),
        (Script(answer=V3, methods={"system-presence": [NO_SCOPES]}), "oooof", Verdict.LIMITED_SCOPE, "2026.3.24"),
        (Script(answer=V3, methods={"system-presence": [[]]}), "ooooo", Verdict.HEALTHY, "2026.3.24"),
        (
            Script(answer=V3, methods={"system-presence": [error("INTERNAL", "broke")]}),
            "ooooo",
            Verdict.HEALTHY,
            "2026.3.24",
        ),
    ],
)
def test_the_first_layer_that_fails(script: Script, shape: str, verdict: Verdict, version: str | None) -> None:
    @async_test
    async def run() -> None:
        async with scripted(script) as to:
            found = await look(to)
        assert (outcomes(found), found.verdict, found.version) == (shape, verdict, version)
        assert (found.failure is None) == (verdict is Verdict.HEALTHY)
        if found.failure:
            failed = next(layer for layer in found.layers if layer.outcome == "failed")
            assert failed.text == found.failure.message

    run()


@async_test
async def test_a_gateway_that_leaves_in_the_middle() -> None:
    async def leave(ws: ServerConnection) -> None:
        await ws.close(1012, "service restart")

    async with scripted(Script(answer=V3, after_hello=leave)) as to:
        found = await look(to)
    assert (outcomes(found), found.verdict) == ("oooof", Verdict.STARTING)


@async_test
async def test_a_gateway_that_only_a_web_page_answers_for_is_older_not_ill() -> None:
    async with scripted(Script(http=OLD)) as to:
        assert outcomes(await look(to)) == "ooooo"


@async_test
async def test_channels_of_the_gateway_that_do_not_work_are_no_fault_of_the_tunnel() -> None:
    http = {**OLD, "/readyz": json_answer(503, {"ready": False, "failing": ["telegram"]})}
    async with scripted(Script(http=http)) as to:
        assert (await look(to)).verdict is Verdict.HEALTHY


@async_test
async def test_what_speaks_no_http() -> None:
    async with raw(b"SSH-2.0-x\r\n", stay=True) as to:
        found = await look(to)
    assert (outcomes(found), found.verdict) == ("ofsss", Verdict.NOT_A_GATEWAY)


@async_test
async def test_silence() -> None:
    async with raw(b"", stay=True) as to, asyncio.TaskGroup() as group:
        link = DirectLink()
        group.create_task(pass_time(30, lambda: link.channels))
        found = await examine(LinkRoute(link, to), TOKEN, timeout=30)
    assert (outcomes(found), found.verdict) == ("ofsss", Verdict.UNREACHABLE)


@async_test
async def test_nothing_listens() -> None:
    async with raw(b"") as to:
        pass
    found = await look(to)
    assert (outcomes(found), found.verdict) == ("fssss", Verdict.NOT_LISTENING)
    assert found.failure is not None
    assert int(found.failure.exit_code) == 30


@async_test
async def test_the_server_forbids_forwarding() -> None:
    link = DirectLink()
    link.refuse = Failure(Code.FORWARDING_FORBIDDEN, "the server forbids it")
    found = await examine(LinkRoute(link, Endpoint("127.0.0.1", 9)), TOKEN)
    assert (outcomes(found), found.verdict) == ("fssss", Verdict.UNREACHABLE)
    assert found.failure == link.refuse


@async_test
async def test_a_lost_link_says_nothing_about_the_gateway() -> None:
    link = DirectLink()
    link.lose()
    with pytest.raises(LinkLost):
        await examine(LinkRoute(link, Endpoint("127.0.0.1", 9)), TOKEN)


@async_test
async def test_no_credentials_and_none_wanted() -> None:
    answer = hello(auth={"method": "none", "role": "operator", "scopes": ["operator.read"]})
    async with scripted(Script(answer=answer)) as to:
        for credentials in (Credentials(), TOKEN):
            assert (await look(to, credentials)).layers[3].text == "the gateway wants none"


@async_test
async def test_as_json_and_without_secrets() -> None:
    async with scripted(Script(answer=WRONG, close=(1008, ""))) as to:
        found = await look(to)
    shown = found.to_json()
    assert (shown["verdict"], shown["version"], shown["protocol"], shown["scopes"]) == (
        "auth_failed",
        "2026.9.6",
        None,
        None,
    )
    assert shown["layers"][3]["outcome"] == "failed"
    assert shown["failure"]["code"] == "auth_failed"
    assert shown["ms"] > 0
    assert "tok-123" not in str(shown) + repr(found)
