"""Asks the gateway how it is, over a channel of its own: no local port is needed."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from openclaw_tunnel.core.link import ChannelFailed, Link
from openclaw_tunnel.core.spec import Endpoint, Probe
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.http import get
from openclaw_tunnel.gateway.route import LinkRoute, Route
from openclaw_tunnel.gateway.verdict import Judgement, judge, judge_channel, knows_startupz


async def probe(link: Link, kind: Probe, to: Endpoint, *, timeout: float) -> Judgement:
    """Probe the far end of the main forward.

    Args:
        kind: ``gateway`` asks for health, ``tcp`` is content with an open channel, ``none`` with the link.
        timeout: seconds for each question.

    Raises:
        LinkLost: the SSH connection went away; says nothing about the gateway.
    """
    if kind is Probe.NONE:
        return Judgement(Verdict.UNKNOWN)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        if kind is Probe.TCP:
            channel = await link.open_channel(to.path or to.host, to.port, asyncio.Protocol(), timeout=timeout)
            channel.close()
            judgement = Judgement(Verdict.UNKNOWN)
        else:
            judgement = await ask(LinkRoute(link, to), timeout=timeout)
    except ChannelFailed as error:
        judgement = judge_channel(error.failure)
    return judgement if judgement.failure else replace(judgement, latency=loop.time() - began)


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
