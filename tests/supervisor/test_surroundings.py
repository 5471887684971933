"""supervisor/surroundings.py: whether this computer, or a file, is no longer what it was."""

import asyncio
import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.retry import PLANS, Cause
from openclaw_tunnel.core.status import RetryStatus
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.host.watch import Looks
from openclaw_tunnel.supervisor.surroundings import Change, Dependencies, has_moved
from support.aio import async_test, settle
from support.links import ScriptedConnector


@pytest.mark.parametrize(
    ("local", "addresses", "moved"),
    [
        ("192.0.2.7", {"192.0.2.7", "2001:db8::1"}, False),
        ("192.0.2.7", {"192.0.2.8"}, True),
        ("192.0.2.7", None, False),
        ("", {"192.0.2.8"}, False),
        ("127.0.0.1", {"192.0.2.8"}, False),
        ("::1", set(), False),
        ("fe80::1%eth0", {"fe80::1"}, False),
        ("fe80::1%eth0", {"fe80::2"}, True),
    ],
)
def test_whether_we_have_moved(local: str, addresses: set[str] | None, moved: bool) -> None:
    assert has_moved(local, None if addresses is None else frozenset(addresses)) is moved


class Watched(ScriptedConnector):
    """Counts how often the agent is asked, and fails to look once."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[bool] = []

    async def changed(self, *, agent: bool) -> bool:
        self.looks.append(agent)
        if len(self.looks) == 1:
            raise ZeroDivisionError("oops")
        return await super().changed(agent=agent)


def dependencies(connector: ScriptedConnector, *settings: Path) -> Dependencies:
    return Dependencies(connector, tuple(map(str, settings)), Tracebacks(logging.getLogger(__name__)))


@async_test
async def test_a_file_that_changes_ends_the_wait(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    connector = Watched()
    connector.files = (str(known_hosts),)
    await connector.connect()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        wait = group.create_task(dependencies(connector).wait(PLANS[Cause.LOCAL_FILES], every=0.001))
        await settle(lambda: len(connector.looks) > 5)
        assert not wait.done()
        known_hosts.write_text("a key")
    assert wait.result() is Change.DEPENDENCY
    assert not any(connector.looks)  # the agent has nothing to do with it


@async_test
async def test_the_agent_is_asked_now_and_then(tmp_path: Path) -> None:
    connector = Watched()
    await connector.connect()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        wait = group.create_task(dependencies(connector).wait(PLANS[Cause.LOGIN], every=0.001))
        await settle(lambda: any(connector.looks))
        connector.agent_keys = (b"a key",)
    assert wait.result() is Change.DEPENDENCY
    assert connector.looks[:3] == [False, False, True]


@async_test
async def test_settings_count_whatever_the_cause_is(tmp_path: Path) -> None:
    settings = tmp_path / "tunnels.json5"
    connector = Watched()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        wait = group.create_task(dependencies(connector, settings).wait(PLANS[Cause.PERSON], every=0.001))
        while not wait.done():
            settings.write_text(f"{{}} // {asyncio.get_running_loop().time()}")
            await asyncio.wait([wait], timeout=0.01)
    assert wait.result() is Change.SETTINGS
    assert connector.looks == []


@async_test
async def test_settings_that_changed_before_the_wait_began_count(tmp_path: Path) -> None:
    """As while the tunnel was up, or within the moment after it failed."""
    settings = tmp_path / "tunnels.json5"
    watched = dependencies(Watched(), settings)
    await watched.begin()
    settings.write_text("{}")
    async with asyncio.timeout(30):
        assert await watched.wait(PLANS[Cause.PERSON], every=0.001) is Change.SETTINGS
    with pytest.raises(TimeoutError):  # and count once
        async with asyncio.timeout(0.1):
            await watched.wait(PLANS[Cause.PERSON], every=0.001)


class Slow(OffLoop[Looks]):
    """The first looks do not come back in time; one fails."""

    def __init__(self, most: float) -> None:
        super().__init__("slow")
        self.looks = 0
        self._most = most

    async def run(self, call: Callable[[], Looks], *, timeout: float) -> Looks | None:
        self.looks += 1
        if self.looks == 2:
            raise ZeroDivisionError("oops")
        return None if self.looks <= self._most else await super().run(call, timeout=timeout)


@async_test
async def test_settings_that_cannot_be_looked_at_do_not_keep_the_rest_from_being_noticed(tmp_path: Path) -> None:
    connector, slow = Watched(), Slow(math.inf)
    await connector.connect()
    hung = Dependencies(connector, (str(tmp_path),), Tracebacks(logging.getLogger(__name__)), off_loop=slow)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        wait = group.create_task(hung.wait(PLANS[Cause.LOGIN], every=0.001))
        await settle(lambda: slow.looks > 5)
        assert not wait.done()
        connector.agent_keys = (b"a key",)
    assert wait.result() is Change.DEPENDENCY


@async_test
async def test_settings_count_from_the_first_look_that_comes_back(tmp_path: Path) -> None:
    settings = tmp_path / "tunnels.json5"
    slow = Slow(3)
    late = Dependencies(Watched(), (str(settings),), Tracebacks(logging.getLogger(__name__)), off_loop=slow)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        wait = group.create_task(late.wait(PLANS[Cause.PERSON], every=0.001))
        await settle(lambda: slow.looks > 6)
        assert not wait.done()
        settings.write_text("{}")
    assert wait.result() is Change.SETTINGS


def test_what_is_watched_is_shown() -> None:
    connector = ScriptedConnector()
    connector.files, connector.agent = ("/k",), "/agent"
    shown = dependencies(connector, Path("/s"))
    denied = Failure(Code.AUTH_DENIED, "denied")
    assert shown.retry(denied, 2, 5.0, flapping=False) == RetryStatus(
        2, 5.0, on=("files", "agent", "wake", "network"), files=("/k", "/s"), agent="/agent"
    )
    connector.agent = ""  # there is none
    assert shown.retry(denied, 2, 5.0, flapping=False).on == ("files", "wake", "network")
    assert shown.retry(Failure(Code.NOT_CONFIRMED, "no"), 2, None, flapping=False) == RetryStatus(2)
    assert shown.retry(None, 2, 5.0, flapping=True) == RetryStatus(2, 5.0, flapping=True)
