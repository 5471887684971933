"""Asks the gateway how it is, over a channel of its own: no local port is needed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.link import ChannelFailed, Link
from openclaw_tunnel.core.spec import Endpoint, Probe
from openclaw_tunnel.core.status import GatewayStatus, Verdict
from openclaw_tunnel.gateway.http import get
from openclaw_tunnel.gateway.route import LinkRoute, Route
from openclaw_tunnel.gateway.verdict import Judgement, judge, judge_channel, knows_startupz


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found; ``failure`` is None where the tunnel may count as up; ``uptime`` in seconds, where told."""

    gateway: GatewayStatus
    failure: Failure | None
    uptime: float | None = None


async def probe(link: Link, kind: Probe, to: Endpoint, *, timeout: float) -> ProbeResult:
    """Probe the far end of the main forward.

    Args:
        kind: ``gateway`` asks for health, ``tcp`` is content with an open channel, ``none`` with the link.
        timeout: seconds for each question.

    Raises:
        LinkLost: the SSH connection went away; says nothing about the gateway.
    """
    if kind is Probe.NONE:
        return ProbeResult(GatewayStatus(), None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        judgement = await (_ask_tcp if kind is Probe.TCP else _ask_gateway)(link, to, timeout)
    except ChannelFailed as error:
        judgement = judge_channel(error.failure)
    failure = judgement.failure
    latency_ms = None if failure else round((loop.time() - began) * 1000, 1)
    detail = failure.message if failure else None
    return ProbeResult(
        GatewayStatus(judgement.verdict, judgement.version, latency_ms, detail), failure, judgement.uptime
    )


async def ask(route: Route, *, timeout: float, on_open: Callable[[], None] = lambda: None) -> Judgement:
    """Ask ``/healthz``, then ``/startupz`` or, of a gateway that has none, ``/readyz``.

    Args:
        timeout: seconds for each question.
        on_open: called when the way to the gateway is open, before the first question is asked.

    Raises:
        ChannelFailed, LinkLost: as ``Route.open``, on the first question.
    """
    healthz = await get(route, "/healthz", timeout=timeout, on_open=on_open)
    first = judge(healthz, None, to=route.name)
    if first.failure:
        return first
    try:
        startupz = await get(route, "/startupz", timeout=timeout)
        if startupz is None or knows_startupz(startupz):
            return judge(healthz, startupz, to=route.name)
        readyz = await get(route, "/readyz", timeout=timeout)
    except ChannelFailed:  # a gateway that stops between two questions: the next probe sees it
        return first
    return judge(healthz, startupz, readyz=readyz, to=route.name)


async def _ask_gateway(link: Link, to: Endpoint, timeout: float) -> Judgement:
    return await ask(LinkRoute(link, to), timeout=timeout)


async def _ask_tcp(link: Link, to: Endpoint, timeout: float) -> Judgement:
    channel = await link.open_channel(to.path or to.host, to.port, asyncio.Protocol(), timeout=timeout)
    channel.close()
    return Judgement(Verdict.UNKNOWN)
