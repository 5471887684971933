"""How far the way to a server went, and what there is to log in with."""

from pathlib import Path

import asyncssh

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.ssh.trace import look_at_keys, trace
from support.aio import async_test
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_spec, make_target, target_for
from support.waiting import free_port


def make_key(folder: Path) -> tuple[asyncssh.SSHKey, str]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = folder / "id"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key, str(path)


@async_test
async def test_all_the_way(tmp_path: Path) -> None:
    key, path = make_key(tmp_path)
    async with SshTestServer([key]) as server:
        target = target_for(server, tmp_path, identity_files=(path,))
        found = await trace(make_spec(), env={}, resolve=Resolver(gw=target))
        assert found.failure is None
        assert found.reached
        assert found.address == f"127.0.0.1:{server.port}"
        assert found.host_key.startswith("ED25519 SHA256:")
        assert found.key.startswith(f"{path} (ED25519 SHA256:")
        assert found.link
        await found.link.close()


@async_test
async def test_nobody_listens() -> None:
    target = make_target(port=free_port())
    found = await trace(make_spec(), env={}, resolve=Resolver(gw=target))
    assert found.failure
    assert found.failure.code is Code.REFUSED
    assert found.failure.facts["to"] == "127.0.0.1:18789"
    assert (found.reached, found.address, found.link) == (False, "", None)


@async_test
async def test_the_server_is_reached_and_is_another_one(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        target = make_target(port=server.port)
        found = await trace(make_spec(), env={}, resolve=Resolver(gw=target))
    assert found.failure
    assert found.failure.code is Code.HOST_KEY_UNKNOWN
    assert found.reached
    assert found.address == f"127.0.0.1:{server.port}"


@async_test
async def test_what_there_is_to_log_in_with(tmp_path: Path) -> None:
    _, path = make_key(tmp_path)
    dead = {"SSH_AUTH_SOCK": str(tmp_path / "no-agent")}
    target = make_target(identity_files=(path, "/nowhere"), identity_agent=None)
    keys = await look_at_keys(target, ssh_config="", env=dead)
    assert (keys.offers, keys.first, keys.only_agent, keys.shortage) == (1, path, False, None)
    assert (keys.agent, keys.agent_is_session) == (dead["SSH_AUTH_SOCK"], True)
    (trouble,) = keys.troubles
    assert trouble.code is Code.AGENT_UNREACHABLE
    assert 'for OpenSSH\'s agent: eval "$(ssh-agent -s)"; ssh-add; openclaw-tunnel restart' in trouble.hint


@async_test
async def test_nothing_to_log_in_with() -> None:
    keys = await look_at_keys(make_target(), ssh_config="/my config", env={})
    assert keys.shortage
    assert keys.shortage.message == "there is no key to log in to 127.0.0.1:22 as me with"
    assert keys.shortage.hint.startswith(
        "make a key with ssh-keygen -t ed25519, then install a key of yours on the host with: "
        "ssh-copy-id -F '/my config' gw"
    )
    assert not keys.only_agent
