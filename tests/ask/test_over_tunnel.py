"""Questions over the connection of a running tunnel (ask/over_tunnel.py)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.ask.over_tunnel import ask
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.errors import ConfigError, RequestRefused
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.supervisor.tunnel import Supervisor
from support.aio import async_test, settle
from support.links import ScriptedConnector
from support.scripted import Script, scripted
from support.waiting import free_port

NOBODY = Endpoint("127.0.0.1", 1)


@asynccontextmanager
async def tunnel(
    to: Endpoint, *script: Failure | None, until: State = State.UP
) -> AsyncIterator[tuple[Supervisor, ScriptedConnector]]:
    """A tunnel to ``to`` over links without SSH, in the state ``until``."""
    forward = Forward(Endpoint("127.0.0.1", free_port()), to)
    connector = ScriptedConnector(*script)
    spec = TunnelSpec(name="default", target="gw", address="me@gw.example:22", forwards=(forward,))
    supervisor = Supervisor(spec, connector)
    await supervisor.start()
    try:
        await settle(lambda: supervisor.state is until, until)
        yield supervisor, connector
    finally:
        await supervisor.stop()


def question(folder: Path, kind: str = "health", **more: Any) -> dict[str, Any]:
    """A question as it comes over the control socket, from a user without settings."""
    return {"kind": kind, "token": "tok", "env": {"HOME": str(folder)}, "cwd": str(folder), **more}


def paths(folder: Path) -> Paths:
    """Our own files, all in ``folder``."""
    return Paths.from_env({"OPENCLAW_TUNNEL_HOME": str(folder / "t")})


@async_test
async def test_it_is_asked_over_the_tunnels_own_connection(tmp_path: Path) -> None:
    script = Script(methods={"health": [{"ok": True}]})
    async with scripted(script) as to, tunnel(to) as (supervisor, connector):
        health = await ask(supervisor, question(tmp_path), paths(tmp_path))
        probe = await ask(supervisor, question(tmp_path, "probe"), paths(tmp_path))
    assert (health["ok"], health["via"], probe["ok"]) == (True, "tunnel default", True)
    assert probe["layers"][1]["text"] == "connected to Fake_1.0, tunnel default"
    assert connector.dials == 1


REFUSED = Failure(Code.REFUSED, "gw.example:22 refused the connection")
UNKNOWN_NAME = Failure(Code.DNS, "no address is known for gw.example")


@pytest.mark.parametrize(("failure", "layer"), [(REFUSED, "ssh"), (UNKNOWN_NAME, "name")])
@async_test
async def test_a_tunnel_without_connection_tells_why(tmp_path: Path, failure: Failure, layer: str) -> None:
    async with tunnel(NOBODY, *[failure] * 9, until=State.BACKOFF) as (supervisor, _):
        probe = await ask(supervisor, question(tmp_path, "probe"), paths(tmp_path))
        health = await ask(supervisor, question(tmp_path), paths(tmp_path))
    for answer in (probe, health):
        assert answer["verdict"] == "unreachable"
        assert answer["failure"]["exit_code"] == 20
        assert "TARGET" not in answer["failure"]["hint"]
        assert "HOST" not in answer["failure"]["hint"]
    failed = [found["name"] for found in probe["layers"] if found["outcome"] == "failed"]
    assert failed == [layer]
    assert "layers" not in health


@async_test
async def test_a_tunnel_that_is_still_connecting(tmp_path: Path) -> None:
    forward = Forward(Endpoint("127.0.0.1", free_port()), NOBODY)
    connector = ScriptedConnector()
    connector.gate.clear()
    supervisor = Supervisor(TunnelSpec(name="default", target="gw", address="gw:22", forwards=(forward,)), connector)
    await supervisor.start()
    try:
        answer = await ask(supervisor, question(tmp_path), paths(tmp_path))
    finally:
        await supervisor.stop()
    assert answer["failure"]["message"] == "tunnel default is connecting: there is no SSH connection yet"


@async_test
async def test_a_connection_that_is_lost_meanwhile(tmp_path: Path) -> None:
    async with scripted(Script(answer=None)) as to, tunnel(to) as (supervisor, connector):
        connector.links[0].lost.set_result(Failure(Code.LOST, "the connection was lost"))
        answer = await ask(supervisor, question(tmp_path), paths(tmp_path))
    assert answer["verdict"] == "unreachable"
    assert answer["failure"]["exit_code"] == 20


@async_test
async def test_what_is_no_question_is_refused_with_a_way_on(tmp_path: Path) -> None:
    async with scripted(Script()) as to, tunnel(to) as (supervisor, _):
        for data in ({}, {"kind": "novelty"}, question(tmp_path, novelty=1), question(tmp_path, timeout=-1)):
            with pytest.raises(RequestRefused, match="does not understand the question") as caught:
                await ask(supervisor, data, paths(tmp_path))
            assert "down --all" in caught.value.hint
            assert "tok" not in caught.value.message


@async_test
async def test_settings_of_the_one_who_asks(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").write_text("{,}")
    env = {"HOME": str(tmp_path), "OPENCLAW_CONFIG_PATH": str(tmp_path / "openclaw.json")}
    async with scripted(Script()) as to, tunnel(to) as (supervisor, _):
        with pytest.raises(ConfigError, match=r"openclaw\.json"):
            await ask(supervisor, question(tmp_path, env=env), paths(tmp_path))
