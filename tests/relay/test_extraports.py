"""The optional forwards: taken late, given back early, never a reason for anything to fail."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_tunnel.core.link import Link, LinkLost
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.sandbox import Found
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec, parse_forward
from openclaw_tunnel.core.status import Role
from openclaw_tunnel.relay.extraports import ExtraPorts
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.listener import Listener
from support.aio import async_test, settle
from support.links import DirectLink
from support.waiting import accepts, free_port, free_ports


class Rig:
    """The optional forwards of a tunnel to 127.0.0.1:``gateway``.

    Attributes:
        found: what is on the port behind the gateway's.
        answer: where there is one, that is told only once it is set.
    """

    def __init__(self, *more: str, local: int = 0, **wishes: Any) -> None:
        self.gateway = free_ports(3)
        self.local = local or free_ports(3)
        self.found: Found | LinkLost = Found.SANDBOX
        self.answer: asyncio.Event | None = None
        self.asked: list[str] = []
        self.changes = 0
        self.gate = Gate(lambda: None)
        self.gate.hold()  # one that refuses resets a client so soon that its connect may fail
        loopback = "127.0.0.1"
        main = Forward(Endpoint(loopback, self.local), Endpoint(loopback, self.gateway))
        extra = tuple(parse_forward(text.format(sandbox=self.gateway + 1)) for text in more)
        self.spec = TunnelSpec("t", "gw", (main, *extra), **{"sandbox": True, **wishes})
        self.ports = ExtraPorts(self.spec, self.listener, look=self.look_there, on_change=self.changed)

    def listener(self, forward: Forward) -> Listener:
        return Listener(forward, self.gate, Policy())

    def changed(self) -> None:
        self.changes += 1

    async def look_there(self, link: Link, to: Endpoint, *, timeout: float) -> Found:
        self.asked.append(str(to))
        if self.answer is not None:
            await self.answer.wait()
        if isinstance(self.found, LinkLost):
            raise self.found
        return self.found

    async def look(self, *, reported: bool = False) -> None:
        await self.ports.look(DirectLink(), reported=reported)

    @property
    def rows(self) -> list[tuple[str, str, bool, str | None]]:
        return [(str(s.role), s.listen, s.listening, s.note) for s in self.ports.status()]

    @property
    def sandbox(self) -> str:
        return f"127.0.0.1:{self.gateway + 1}"


@asynccontextmanager
async def rig(*more: str, **wishes: Any) -> AsyncIterator[Rig]:
    made = Rig(*more, **wishes)
    try:
        yield made
    finally:
        await made.ports.close()


@async_test
async def test_a_sandbox_that_answers_is_listened_for_under_its_own_number() -> None:
    async with rig() as r:
        assert r.rows == []
        await r.look()
        assert r.asked == [r.sandbox]
        assert r.rows == [("sandbox", r.sandbox, True, None)]
        assert await asyncio.to_thread(accepts, r.gateway + 1)
        assert r.changes == 1
        await r.look()
        assert (r.asked, r.changes) == ([r.sandbox], 1)
        await r.ports.close()
        assert r.rows == []
        assert not await asyncio.to_thread(accepts, r.gateway + 1)


@async_test
async def test_its_clients_are_carried_like_those_of_any_forward() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with rig(browser=True, sandbox=False) as r:
        server = await asyncio.start_server(greet, "127.0.0.1", r.gateway + 2)
        await r.look()
        assert r.rows == [("browser", f"127.0.0.1:{r.local + 2}", True, None)]
        r.gate.open(DirectLink())
        reader, writer = await asyncio.open_connection("127.0.0.1", r.local + 2)
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
        assert r.ports.status()[0].bytes.received == 5
        server.close()


@async_test
async def test_one_that_begins_with_the_first_widget_is_listened_for_where_the_gateway_reports_it() -> None:
    async with rig() as r:
        r.found = Found.NOTHING
        await r.look()
        assert (r.rows, r.changes) == ([], 0)
        await r.look(reported=True)
        assert r.rows == [("sandbox", r.sandbox, True, None)]


@async_test
async def test_what_else_answers_there_is_not_let_in() -> None:
    async with rig() as r:
        r.found = Found.OTHER
        await r.look()
        assert r.rows == []
        await r.look(reported=True)
        why = "something else answers on that port of the gateway's host"
        assert r.rows == [("sandbox", r.sandbox, False, why)]
        await r.look(reported=True)
        assert r.changes == 1
        r.found = Found.SANDBOX
        await r.look(reported=True)
        assert r.rows == [("sandbox", r.sandbox, True, None)]


@async_test
async def test_a_local_port_that_is_taken_is_a_note_until_it_is_free() -> None:
    async with rig() as r:
        with socket.create_server(("127.0.0.1", r.gateway + 1)):
            await r.look()
            ((role, listen, listening, note),) = r.rows
            assert (role, listen, listening) == ("sandbox", r.sandbox, False)
            assert note is not None
            assert note.startswith(f"local port {r.sandbox} is in use by pid {os.getpid()} (")
        await r.look()
        assert r.rows == [("sandbox", r.sandbox, True, None)]


@async_test
async def test_the_tunnel_s_own_ports_are_in_the_way() -> None:
    gateway = free_ports(3)
    spec = TunnelSpec("t", "gw", (parse_forward(f"{gateway + 1}:127.0.0.1:{gateway}"),), sandbox=True)

    async def there(link: Link, to: Endpoint, *, timeout: float) -> Found:
        return Found.SANDBOX

    ports = ExtraPorts(spec, lambda f: Listener(f, Gate(lambda: None), Policy()), look=there)
    await ports.look(DirectLink(), reported=False)
    (status,) = ports.status()
    assert not status.listening
    assert str(status.note).endswith(f"choose another one, such as -p {gateway}")
    await ports.close()


@async_test
async def test_what_the_user_forwards_by_hand_is_not_looked_for() -> None:
    async with rig("{sandbox}:127.0.0.1:{sandbox}") as r:
        await r.look(reported=True)
        assert (r.rows, r.asked) == ([], [])


@async_test
async def test_nothing_is_asked_where_nothing_is_wanted() -> None:
    async with rig(sandbox=False) as r:
        await r.look(reported=True)
        assert (r.rows, r.asked) == ([], [])


@async_test
async def test_a_lost_connection_is_no_answer() -> None:
    async with rig(browser=True) as r:
        r.found = LinkLost()
        await r.look(reported=True)
        assert r.rows == []
        r.found = Found.SANDBOX
        await r.look()
        assert [row[0] for row in r.rows] == ["sandbox", "browser"]


@async_test
async def test_it_makes_way_for_a_forward_that_somebody_asked_for() -> None:
    async with rig() as r:
        await r.look()
        await r.ports.give_up({r.gateway + 2})
        assert r.rows == [("sandbox", r.sandbox, True, None)]
        await r.ports.give_up({r.gateway + 1})
        assert r.rows == [("sandbox", r.sandbox, False, f"local port {r.gateway + 1} was given to another tunnel")]
        with socket.create_server(("127.0.0.1", r.gateway + 1)):
            pass


@async_test
async def test_nothing_is_taken_any_more_once_it_is_closed() -> None:
    async with rig() as r:
        r.answer = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(r.look())
            await settle(lambda: r.asked)
            closing = group.create_task(r.ports.close())
            await settle(lambda: r.ports.closed)
            assert not closing.done()
            r.answer.set()
        assert r.rows == []
        assert not await asyncio.to_thread(accepts, r.gateway + 1)
        await r.look()
        assert (r.rows, len(r.asked)) == ([], 1)


@pytest.mark.parametrize("role", [Role.SANDBOX, Role.BROWSER])
def test_a_forward_knows_what_it_is_for(role: Role) -> None:
    forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", 1), role=role)
    assert Listener(forward, Gate(lambda: None), Policy()).status().role is role
