"""ssh/inputs.py: what would make a dial end otherwise is noticed, and nothing else is."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.watch import Looks
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.inputs import DialInputs
from openclaw_tunnel.ssh_config.target import SshTarget
from support.aio import async_test
from support.fakeagent import fake_agent
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_spec, make_target, target_for


class Tunnel:
    """Inputs of one tunnel with a file for -F."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None, **fields: Any) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.write_text(f"Include {folder}/config.d/*.conf {folder}/one\n")
        self.env = env if env is not None else {}
        self.inputs = DialInputs(make_spec(ssh_config=str(self.config), **fields), self.env)

    async def dial(self, *targets: SshTarget) -> None:
        await self.inputs.begin()
        for target in targets:
            await self.inputs.learn(target.original, target)

    async def changed(self) -> bool:
        return await self.inputs.changed(agent=False)


def key_in(folder: Path, name: str = "id") -> tuple[asyncssh.SSHKey, str]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = folder / name
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key, str(path)


FILES = ["config", "one", "config.d/new.conf", "id", "id.pub", "id-cert.pub", "cert", "known_hosts", "revoked"]


@pytest.mark.parametrize("name", FILES)
@async_test
async def test_every_file_counts_when_it_comes_changes_and_goes(tmp_path: Path, name: str) -> None:
    tunnel = Tunnel(tmp_path)
    files = tuple(f"{tmp_path}/{file}" for file in ("cert", "known_hosts", "revoked"))
    target = make_target(identity_files=(f"{tmp_path}/id",), files=files)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name == "config":
        text = path.read_text()
        path.unlink()
        await tunnel.dial(target)
        path.write_text(text)
        assert await tunnel.changed()
        return
    await tunnel.dial(target)
    assert not await tunnel.changed()
    path.write_text("new")
    assert await tunnel.changed()
    await tunnel.dial(target)
    assert str(path) in tunnel.inputs.files
    assert not await tunnel.changed()
    path.write_text("other")
    assert await tunnel.changed()
    path.write_text("new")
    assert not await tunnel.changed(), "what is as it was is no change"
    path.unlink()
    assert await tunnel.changed()


@async_test
async def test_a_broken_include_is_known_before_ssh_has_ever_named_it(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path)
    (tmp_path / "one").write_text(f"Include {tmp_path}/two\n")
    (tmp_path / "two").write_text("Typo yes\n")
    await tunnel.dial()
    assert {f"{tmp_path}/{name}" for name in ("config", "one", "two")} <= set(tunnel.inputs.files)
    (tmp_path / "two").write_text("Port 22\n")
    assert await tunnel.changed()


@async_test
async def test_a_fix_during_the_dial_is_not_lost(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path)
    first = make_target(identity_files=(f"{tmp_path}/id",))
    await tunnel.dial(first)
    await tunnel.inputs.begin()
    (tmp_path / "id").write_text("fixed")
    await tunnel.inputs.learn("gw", first)
    assert await tunnel.changed()


@async_test
async def test_files_of_the_last_good_reading_stay_known_while_ssh_fails(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path)
    await tunnel.dial(make_target(files=(f"{tmp_path}/from-exec",)), make_target(original="jump"))
    await tunnel.dial()
    (tmp_path / "from-exec").touch()
    assert await tunnel.changed()


@async_test
async def test_a_jump_host_that_is_no_longer_on_the_way_is_forgotten(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path)
    await tunnel.dial(make_target(), make_target(original="jump", files=(f"{tmp_path}/of-jump",)))
    tunnel.inputs.logged_in()
    assert f"{tmp_path}/of-jump" in tunnel.inputs.files
    await tunnel.dial(make_target())
    tunnel.inputs.logged_in()
    await tunnel.dial(make_target())
    assert f"{tmp_path}/of-jump" not in tunnel.inputs.files


@async_test
async def test_before_the_first_dial_the_spec_says_what_there_is(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, {"SSH_AUTH_SOCK": "/session"}, identity=f"{tmp_path}/mine")
    own = [str(tunnel.config), *(f"{tmp_path}/mine{end}" for end in ("", ".pub", "-cert.pub"))]
    assert tunnel.inputs.files == tuple(own)
    assert tunnel.inputs.agent == "/session"


@async_test
async def test_names_that_no_file_can_have_are_no_obstacle(tmp_path: Path) -> None:
    inputs = DialInputs(make_spec(ssh_config="~nobody-of-this-name/\0", identity="a\0b"), {})
    await inputs.begin()
    await inputs.learn("gw", make_target(files=("/x\0y",)))
    assert not await inputs.changed(agent=True)


@async_test
async def test_an_agent_that_fills_empties_hangs_and_goes(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, {"SSH_AUTH_SOCK": str(tmp_path / "agent")})
    target = make_target(identity_agent=None)
    key, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    await tunnel.dial(target)
    tunnel.inputs.saw_keys(target, frozenset())
    assert not await tunnel.inputs.changed(agent=True), "an agent that is not there yet has no keys"
    async with fake_agent(tmp_path / "agent", key) as agent:
        assert await tunnel.inputs.changed(agent=True)
        assert not await tunnel.inputs.changed(agent=False)
        tunnel.inputs.saw_keys(target, frozenset({key.public_data}))
        assert not await tunnel.inputs.changed(agent=True)
        agent.keys = [key, other]
        assert await tunnel.inputs.changed(agent=True)
        agent.keys = [other]
        assert await tunnel.inputs.changed(agent=True)
        tunnel.inputs.saw_keys(target, None)
        assert not await tunnel.inputs.changed(agent=True), "nothing was known"
        tunnel.inputs.saw_keys(target, frozenset({key.public_data}))
        agent.hold_list = asyncio.Event()
        assert not await tunnel.inputs.changed(agent=True), "nothing is known"
        agent.hold_list.set()
        agent.keys = [key]
        assert not await tunnel.inputs.changed(agent=True)
    (tmp_path / "agent").unlink()
    assert await tunnel.inputs.changed(agent=True)


@async_test
async def test_another_agent_of_the_session_is_asked_from_then_on(tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path)
    target = make_target(identity_agent=None)
    await tunnel.dial(target)
    tunnel.inputs.saw_keys(target, frozenset())
    async with fake_agent(tmp_path / "agent", asyncssh.generate_private_key("ssh-ed25519")):
        assert not await tunnel.inputs.changed(agent=True)
        tunnel.env["SSH_AUTH_SOCK"] = str(tmp_path / "agent")
        assert tunnel.inputs.agent == str(tmp_path / "agent")
        assert await tunnel.inputs.changed(agent=True)


@async_test
async def test_the_agents_of_all_hosts_on_the_way_are_watched(tmp_path: Path) -> None:
    """The login that was refused is the jump host's; the agent of the server behind it was not asked."""
    key, path = key_in(tmp_path)
    async with (
        fake_agent(tmp_path / "jump") as of_jump,
        fake_agent(tmp_path / "gw"),
        SshTestServer([key]) as jump,
        SshTestServer([key]) as last,
    ):
        resolver = Resolver(
            gw=target_for(last, tmp_path, proxy_jump=("hop",), identity_agent=f"{tmp_path}/gw", identities_only=False),
            hop=target_for(jump, tmp_path, identity_agent=f"{tmp_path}/jump", identities_only=False),
        )
        connector = SshConnector(make_spec(), env={}, resolve=resolver)
        with pytest.raises(DialFailed) as caught:
            await connector.connect()
        assert caught.value.failure.code is Code.AUTH_DENIED
        assert not await connector.changed(agent=True)
        of_jump.keys.append(key)
        assert await connector.changed(agent=True)
        assert connector.agent == f"{tmp_path}/gw"
        assert path not in connector.files


@async_test
async def test_a_dial_that_ssh_refuses_knows_what_to_watch(tmp_path: Path) -> None:
    async def mistaken(target: str, **_: Any) -> Any:
        raise ConfigError("a typo")

    (tmp_path / "config").write_text(f"Include {tmp_path}/broken\n")
    connector = SshConnector(make_spec(ssh_config=str(tmp_path / "config")), env={}, resolve=mistaken)
    with pytest.raises(DialFailed):
        await connector.connect()
    assert not await connector.changed(agent=True)
    (tmp_path / "broken").write_text("Port 22\n")
    assert await connector.changed(agent=True)


@async_test
async def test_what_is_no_exception_of_python_s_ends_a_dial_too() -> None:
    """cryptography is written in Rust, and what it panics with is no ``Exception``."""

    class Panic(BaseException):
        pass

    async def panics(target: str, **_: Any) -> Any:
        raise Panic

    with pytest.raises(DialFailed) as caught:
        await SshConnector(make_spec(), env={}, resolve=panics).connect()
    assert caught.value.failure.code is Code.BUG


class NeverBack(OffLoop[Looks]):
    """Whatever is looked at does not answer."""

    async def run(self, call: Callable[[], Looks], *, timeout: float) -> Looks | None:
        return None


@async_test
async def test_a_home_that_does_not_answer_holds_up_no_dial(tmp_path: Path) -> None:
    """What was known of its files stays known, and nothing counts as changed."""
    tunnel = Tunnel(tmp_path)
    hanging = DialInputs(make_spec(ssh_config=str(tunnel.config)), {}, off_loop=NeverBack("never back"))
    await hanging.begin()
    await hanging.learn("gw", make_target(files=(f"{tmp_path}/known_hosts",)))
    (tmp_path / "known_hosts").touch()
    assert not await hanging.changed(agent=True)
    assert f"{tmp_path}/known_hosts" in hanging.files


class Broken(OffLoop[Looks]):
    """Whatever is looked at, something goes wrong that nobody has thought of."""

    async def run(self, call: Callable[[], Looks], *, timeout: float) -> Looks | None:
        raise ZeroDivisionError


@async_test
async def test_a_look_that_goes_wrong_ends_no_dial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inputs = DialInputs(make_spec(), {}, off_loop=Broken("broken"))
    await inputs.begin()
    await inputs.learn("gw", make_target())
    assert not await inputs.changed(agent=True)
    assert [record.exc_info is not None for record in caplog.records] == [True], "with its traceback, one a minute"
