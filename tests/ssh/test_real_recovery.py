"""What was wrong is right again: it is noticed where this computer can see it, and the next dial connects."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.retry import Cause
from openclaw_tunnel.ssh.connection import SshConnector
from support.agent import SshAgent
from support.aio import async_test
from support.process import make, program
from support.servers import Sshd, new_key
from support.sshtargets import make_spec


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


def connector_for(config: Path, *, env: dict[str, str] | None = None, seconds: float = 10.0) -> SshConnector:
    spec = make_spec(ssh_config=str(config), policy=Policy(connect_timeout=seconds))
    return SshConnector(spec, env={"PATH": os.environ["PATH"]} if env is None else env)


def with_key(server: Sshd, folder: Path, key: str, *extra: str) -> Path:
    """An ssh_config with another key than the server's own."""
    text = server.ssh_config(extra=extra).read_text()
    config = folder / "ssh_config"
    config.write_text(text.replace(f"IdentityFile {server.client_key}", f"IdentityFile {key}"))
    return config


async def fails(connector: SshConnector) -> Failure:
    """The failure of a dial; nothing has changed since it began."""
    with pytest.raises(DialFailed) as caught:
        await connector.connect()
    assert not await connector.changed(agent=True)
    return caught.value.failure


async def connects(connector: SshConnector) -> None:
    link = await connector.connect()
    await link.ping(timeout=10)
    await link.close()


@async_test
async def test_a_server_that_refuses_a_good_key_while_it_boots(tmp_path: Path) -> None:
    with Sshd() as booting:
        connector = connector_for(booting.ssh_config())
        await connects(connector)
        keys = booting.authorized_keys.read_text()
        booting.authorized_keys.write_text("")
        failure = await fails(connector)
        assert (failure.code, failure.cause) == (Code.AUTH_DENIED, Cause.LOGIN)
        booting.authorized_keys.write_text(keys)
        assert not await connector.changed(agent=True), "nothing of this computer's has changed: time has to tell"
        await connects(connector)


@async_test
async def test_an_agent_that_is_filled_after_login(server: Sshd, tmp_path: Path) -> None:
    config = with_key(server, tmp_path, "none", "IdentitiesOnly no")
    with SshAgent() as agent:
        connector = connector_for(config, env={"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(agent.socket)})
        failure = await fails(connector)
        assert failure.cause is Cause.LOGIN
        assert failure.hint.startswith("load a key into the SSH agent: ssh-add; ")
        assert connector.agent == str(agent.socket)
        agent.add(server.client_key)
        assert not await connector.changed(agent=False)
        assert await connector.changed(agent=True)
        await connects(connector)


@async_test
async def test_an_encrypted_key_that_is_loaded_later(server: Sshd, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    shutil.copyfile(server.client_key, locked)
    locked.chmod(0o600)
    make([program("ssh-keygen"), "-q", "-p", "-N", "secret", "-f", locked])
    config = with_key(server, tmp_path, str(locked))
    with SshAgent() as agent:
        connector = connector_for(config, env={"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(agent.socket)})
        assert (await fails(connector)).code is Code.KEY_LOCKED
        agent.add(server.client_key)
        assert await connector.changed(agent=True)
        await connects(connector)


@async_test
async def test_a_certificate_that_is_renewed_beside_its_key(tmp_path: Path) -> None:
    authority = new_key(tmp_path / "ca")
    with Sshd(extra=[f"TrustedUserCAKeys {authority}.pub", "AuthorizedPrincipalsFile none"]) as strict:
        strict.authorized_keys.write_text("")
        key = strict.client_key
        identity = ["-I", "me", "-n", strict.user, "-V"]
        sign: list[str | Path] = [program("ssh-keygen"), "-q", "-s", authority, *identity]
        make([*sign, "-2h:-1h", f"{key}.pub"])
        connector = connector_for(strict.ssh_config())
        failure = await fails(connector)
        assert (failure.code, failure.cause) == (Code.AUTH_DENIED, Cause.LOGIN)
        assert f"{key}-cert.pub" in connector.files
        make([*sign, "-1m:+1h", f"{key}.pub"])
        assert await connector.changed(agent=False)
        await connects(connector)


@async_test
async def test_an_included_file_that_was_broken(server: Sshd, tmp_path: Path) -> None:
    included = tmp_path / "conf.d" / "gw.conf"
    included.parent.mkdir()
    good = server.ssh_config().read_text()
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/conf.d/*.conf\n")
    included.write_text(f"{good}  Typo yes\n")
    connector = connector_for(config)
    failure = await fails(connector)
    assert (failure.code, failure.cause) == (Code.CONFIG, Cause.LOCAL_FILES)
    assert str(included) in connector.files
    included.write_text(good)
    assert await connector.changed(agent=False)
    await connects(connector)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@async_test
async def test_an_ssh_that_is_missing_while_its_package_is_replaced(server: Sshd, tmp_path: Path) -> None:
    connector = connector_for(server.ssh_config(), env={"PATH": str(tmp_path)})
    failure = await fails(connector)
    assert (failure.code, failure.cause) == (Code.HELPER, Cause.PASSING)
    assert failure.message == "there is no ssh on PATH"
    (tmp_path / "ssh").symlink_to(program("ssh"))
    await connects(connector)


@async_test
async def test_a_match_exec_that_is_slow_once(server: Sshd, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    config = server.ssh_config()
    config.write_text(f'Match exec "test ! -e {slow} || sleep 60"\n  Compression no\n' + config.read_text())
    connector = connector_for(config, seconds=1.0)
    slow.touch()
    failure = await fails(connector)
    assert (failure.code, failure.cause) == (Code.HELPER, Cause.PASSING)
    assert failure.message == f"ssh -G -F {config} gw did not answer within 1 s"
    slow.unlink()
    await connects(connector_for(config))


@async_test
async def test_a_name_that_canonicalization_does_not_find(server: Sshd) -> None:
    config = server.ssh_config()
    lines = "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\nCanonicalDomains nowhere.invalid\n"
    config.write_text(lines + config.read_text())
    connector = SshConnector(make_spec(ssh_config=str(config), target="web"), env={"PATH": os.environ["PATH"]})
    failure = await fails(connector)
    assert (failure.code, failure.cause) == (Code.DNS, Cause.PASSING)
    assert failure.message.startswith("cannot find the address of web: ")


@async_test
async def test_a_list_of_revoked_keys_needs_no_ssh_keygen(server: Sshd, tmp_path: Path) -> None:
    """One that hangs used to hold up the event loop, and then the key counted as revoked."""
    script(tmp_path / "ssh-keygen", "sleep 600")
    (tmp_path / "ssh").symlink_to(program("ssh"))
    other, listed = new_key(tmp_path / "other"), tmp_path / "krl"
    make([program("ssh-keygen"), "-q", "-k", "-f", listed, f"{other}.pub"])
    config = server.ssh_config(extra=[f"RevokedHostKeys {listed}"])
    connector = connector_for(config, env={"PATH": str(tmp_path)})
    await connects(connector)
    make([program("ssh-keygen"), "-q", "-k", "-f", listed, server.folder / "host_ed25519.pub"])
    failure = await fails(connector)
    assert (failure.code, failure.cause) == (Code.HOST_KEY_REVOKED, Cause.LOCAL_FILES)
    make([program("ssh-keygen"), "-q", "-k", "-f", listed, f"{other}.pub"])
    assert await connector.changed(agent=False)
    await connects(connector)


@async_test
async def test_a_foreign_host_key_on_one_network_and_the_own_one_on_the_next() -> None:
    with Sshd() as server:
        config = server.ssh_config()
        connector = connector_for(config)
        await connects(connector)
        keys = {path: path.read_bytes() for path in server.folder.glob("host_ed25519*")}
        server.new_host_keys()
        server.restart()
        failure = await fails(connector)
        assert (failure.code, failure.cause) == (Code.HOST_KEY_CHANGED, Cause.LOCAL_FILES)
        for path, content in keys.items():
            path.write_bytes(content)
        server.restart()
        await connects(connector)
