"""Reconnecting again and again leaves nothing behind. ``bench/reconnects.py`` does it a thousand times."""

import asyncio
import os

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.supervisor.tunnel import Supervisor
from support.aio import async_test, settle
from support.cli import Cli
from support.netlab import Lab
from support.servers import Sshd
from support.tunnelview import TIRELESS, TunnelView
from support.waiting import free_port, wait_until

pytestmark = pytest.mark.machine

WARM = 10
"""Reconnects until what comes one by one is there, such as the threads that look names up."""


def test_a_hundred_reconnects_leave_no_descriptor_and_no_thread(cli: Cli) -> None:
    cli.set_policy(**TIRELESS)
    with Lab() as lab:
        lab.up(cli)
        view = TunnelView(cli)
        for _ in range(WARM):
            view.restart()
        before = view.footprint().counts
        for _ in range(50):
            view.restart()
            view.lose(lab)
        wait_until(lambda: view.footprint().counts == before, 15, f"{before} again")
        assert view()["counters"]["connects"] == WARM + 101


@async_test
async def test_reconnects_leave_no_task() -> None:
    with Sshd() as sshd:
        forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", sshd.port))
        config = str(sshd.ssh_config("gw"))
        spec = TunnelSpec(name="dev", target="gw", forwards=(forward,), ssh_config=config, probe=Probe.NONE)
        supervisor = Supervisor(spec, SshConnector(spec, env=dict(os.environ)))
        await supervisor.start()
        try:
            await settle(lambda: supervisor.state is State.UP, "up")
            await settle(lambda: len(asyncio.all_tasks()) == 2, "no task but ours and who waits for the loss")
            for number in range(2, 22):
                supervisor.post(ev.RestartRequested())
                await settle(lambda number=number: supervisor.snapshot().counters.connects == number, "the next one")  # type: ignore[misc]
            await settle(lambda: len(asyncio.all_tasks()) == 2, "the same tasks")
        finally:
            await supervisor.stop()
