"""Logging in to real servers: keys, agents, certificates, jump hosts, and what is said when it does not work."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.hostkeys.knownhosts import fingerprint
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh_config.query import resolve_ssh
from support.agent import SshAgent
from support.aio import async_test
from support.process import make, program
from support.receiver import Receiver
from support.servers import Dropbear, Sshd, Tinysshd, new_key
from support.sshtargets import make_spec
from support.waiting import free_port

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def agent() -> Iterator[SshAgent]:
    with SshAgent() as running:
        yield running


def config_of(server: Sshd, folder: Path, *lines: str, identities: tuple[Path, ...] = ()) -> Path:
    """An ssh_config for ``gw`` with exactly these identities."""
    (folder / "known_hosts").write_text(server.host_key_line() + "\n")
    block = [
        *lines,
        "HostName 127.0.0.1",
        f"Port {server.port}",
        f"User {server.user}",
        f"UserKnownHostsFile {folder / 'known_hosts'}",
        "GlobalKnownHostsFile none",
        *(f"IdentityFile {path}" for path in identities),
    ]
    path = folder / "ssh_config"
    path.write_text("Host gw\n" + "".join(f"  {line}\n" for line in block))
    return path


def connector(config: Path, agent: SshAgent | None = None, timeout: float = 10.0) -> SshConnector:
    env = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
    if agent:
        env["SSH_AUTH_SOCK"] = str(agent.socket)
    return SshConnector(make_spec(ssh_config=str(config), policy=Policy(connect_timeout=timeout)), env=env)


async def dial(config: Path, agent: SshAgent | None = None, timeout: float = 10.0) -> SshLink | Failure:
    try:
        return await connector(config, agent, timeout).connect()
    except DialFailed as exc:
        return exc.failure


async def lets_in(config: Path, agent: SshAgent | None = None) -> bool:
    result = await dial(config, agent)
    if isinstance(result, Failure):
        raise AssertionError(result)
    await result.close()
    return True


async def refusal(config: Path, agent: SshAgent | None = None, timeout: float = 10.0) -> Failure:
    result = await dial(config, agent, timeout)
    assert isinstance(result, Failure), "nobody was let in"
    return result


@pytest.mark.parametrize("identities_only", ["yes", "no"])
def test_keys_are_tried_in_the_order_of_ssh(
    server: Sshd, agent: SshAgent, tmp_path: Path, identities_only: str
) -> None:
    keys = {name: new_key(tmp_path / name) for name in ("a", "b", "c", "d", "e")}
    for name in ("e", "c", "b"):
        agent.add(keys[name])
    keys["b"].unlink()  # only b.pub is left, the agent has the rest
    make([program("ssh-keygen"), "-q", "-s", keys["d"], "-I", "me", "-n", server.user, tmp_path / "a.pub"])
    lines = (f"IdentitiesOnly {identities_only}", "PreferredAuthentications publickey")
    named = (keys["a"], keys["b"], keys["c"], tmp_path / "missing")
    config = config_of(server, tmp_path, *lines, identities=named)
    env = {**os.environ, "SSH_AUTH_SOCK": str(agent.socket)}
    talk = subprocess.run(
        [program("ssh"), "-v", "-F", config, "-o", "BatchMode=yes", "gw", "true"],
        env=env,
        capture_output=True,
        text=True,
        timeout=20,
    ).stderr
    theirs = re.findall(r"Will attempt key: (\S+) (\S+) (SHA256:\S+)", talk)

    async def prepare() -> list[tuple[str, str]]:
        target = await resolve_ssh("gw", ssh_config=str(config), env=env)
        ring = KeyRing(target, env)
        try:
            return [(o.path, fingerprint(o.public)) for o in await ring.prepare()]
        finally:
            await ring.close()

    ours = asyncio.run(prepare())
    # ssh shows a certificate by the fingerprint of its key, and keeps files it cannot use until it is their turn.
    assert [print_ for _, _, print_ in theirs if "missing" not in print_] == [print_ for _, print_ in ours]


@async_test
async def test_an_unusable_key_is_named(server: Sshd, tmp_path: Path) -> None:
    open_key = tmp_path / "open"
    shutil.copyfile(server.client_key, open_key)
    open_key.chmod(0o644)
    junk = tmp_path / "junk"
    junk.write_text("no key")
    failure = await refusal(config_of(server, tmp_path, identities=(open_key, junk)))
    assert failure.code is Code.KEY_EXPOSED
    assert "no key was offered" in failure.message
    assert f"{open_key} can be read by others (mode 0644)" in failure.message
    assert f"{junk} is no private key" in failure.message
    assert failure.hint.endswith(f"chmod 600 {open_key}")
    assert (await refusal(config_of(server, tmp_path, identities=(junk,)))).code is Code.AUTH_DENIED


@async_test
async def test_an_encrypted_key_is_passed_over_and_named(server: Sshd, agent: SshAgent, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    shutil.copyfile(server.client_key, locked)
    locked.chmod(0o600)
    make([program("ssh-keygen"), "-q", "-p", "-N", "secret", "-f", locked])
    config = config_of(server, tmp_path, "IdentitiesOnly yes", identities=(locked,))
    failure = await refusal(config)
    assert failure.code is Code.KEY_LOCKED
    assert f"{locked} is encrypted and not in the SSH agent" in failure.message
    assert failure.hint.endswith(f"ssh-add {locked}")
    assert await lets_in(config_of(server, tmp_path, identities=(locked, server.client_key)))
    agent.add(server.client_key)
    assert await lets_in(config_of(server, tmp_path, "IdentitiesOnly yes", identities=(locked,)), agent)


@async_test
async def test_a_public_key_file_whose_private_half_is_in_the_agent(
    server: Sshd, agent: SshAgent, tmp_path: Path
) -> None:
    public = tmp_path / "mine.pub"
    shutil.copyfile(f"{server.client_key}.pub", public)
    config = config_of(server, tmp_path, "IdentitiesOnly yes", identities=(public,))
    assert (await refusal(config)).code is Code.AUTH_DENIED
    agent.add(server.client_key)
    assert await lets_in(config, agent)
    assert await lets_in(config_of(server, tmp_path, f"IdentityAgent {agent.socket}", identities=(public,)))


@async_test
async def test_a_hung_agent_does_not_stop_a_key_file(server: Sshd, agent: SshAgent, tmp_path: Path) -> None:
    agent.freeze()
    try:
        assert await lets_in(config_of(server, tmp_path, identities=(server.client_key,)), agent)
        failure = await refusal(config_of(server, tmp_path, identities=(new_key(tmp_path / "wrong"),)), agent)
    finally:
        agent.thaw()
    assert failure.code is Code.AGENT_UNREACHABLE
    assert f"the SSH agent at {agent.socket} did not answer within 10 s" in failure.message
    assert f"offered: {tmp_path}/wrong" in failure.message


@async_test
async def test_an_agent_that_will_not_sign(server: Sshd, agent: SshAgent, tmp_path: Path) -> None:
    """ssh-add -c: each use must be confirmed, and nobody is there to do it."""
    env = ["/usr/bin/env", f"SSH_AUTH_SOCK={agent.socket}"]
    make([*env, program("ssh-add"), "-q", "-c", server.client_key])
    public = tmp_path / "mine.pub"
    shutil.copyfile(f"{server.client_key}.pub", public)
    config = config_of(server, tmp_path, "IdentitiesOnly yes", identities=(public,))
    failure = await refusal(config, agent)
    assert failure.code is Code.NOT_CONFIRMED
    assert f"the SSH agent at {agent.socket} refused to sign with {public}" in failure.message
    assert "wants more" not in failure.message
    assert await lets_in(config_of(server, tmp_path, identities=(public, server.client_key)), None)


@async_test
async def test_too_many_keys(tmp_path: Path) -> None:
    with Sshd(extra=["MaxAuthTries 2"]) as strict:
        wrong = tuple(new_key(tmp_path / f"k{n}") for n in range(5))
        failure = await refusal(config_of(strict, tmp_path, identities=wrong))
        assert failure.code is Code.AUTH_DENIED
        assert "Too many authentication failures" in failure.message
        assert f"{wrong[0]} (ED25519 SHA256:" in failure.message
        assert str(wrong[4]) not in failure.message, "it was never offered"


@async_test
async def test_a_server_that_wants_more_than_a_key(tmp_path: Path) -> None:
    lines = ["AuthenticationMethods publickey,password", "PasswordAuthentication yes"]
    with Sshd(extra=lines) as strict:
        failure = await refusal(config_of(strict, tmp_path, identities=(strict.client_key,)))
        assert failure.code is Code.AUTH_DENIED
        assert "the server also takes: password" in failure.message


@async_test
async def test_a_user_certificate(tmp_path: Path) -> None:
    authority = new_key(tmp_path / "ca")
    with Sshd(extra=[f"TrustedUserCAKeys {authority}.pub", "AuthorizedKeysFile none"]) as trusting:
        key = new_key(tmp_path / "id")
        config = config_of(trusting, tmp_path, identities=(key,))
        assert (await refusal(config)).code is Code.AUTH_DENIED
        make([program("ssh-keygen"), "-q", "-s", authority, "-I", "me", "-n", trusting.user, tmp_path / "id.pub"])
        assert await lets_in(config)
        certificate = (tmp_path / "id-cert.pub").rename(tmp_path / "elsewhere.pub")
        assert await lets_in(config_of(trusting, tmp_path, f"CertificateFile {certificate}", identities=(key,)))
        with SshAgent() as agent:
            agent.add(key)
            public = (tmp_path / "id.pub").rename(tmp_path / "other.pub")
            key.unlink()
            lines = (f"CertificateFile {certificate}", "IdentitiesOnly yes")
            assert await lets_in(config_of(trusting, tmp_path, *lines, identities=(public,)), agent)


@async_test
async def test_through_a_jump_host(server: Sshd, tmp_path: Path) -> None:
    with Sshd() as jump:
        config = config_of(server, tmp_path, "ProxyJump jump", identities=(server.client_key,))
        with (tmp_path / "known_hosts").open("a") as known:
            known.write(jump.host_key_line() + "\n")
        block = [
            "Host jump",
            "HostName 127.0.0.1",
            f"Port {jump.port}",
            f"User {jump.user}",
            f"IdentityFile {jump.client_key}",
            f"UserKnownHostsFile {tmp_path / 'known_hosts'}",
        ]
        config.write_text(config.read_text() + "\n  ".join(block) + "\n")
        link = await connector(config).connect()
        await link.ping(timeout=30)
        assert jump.connections()
        jump.cut()
        assert (await link.wait_lost()).code is Code.LOST
        await link.close()
        (tmp_path / "known_hosts").write_text(server.host_key_line() + "\n")
        failure = await refusal(config)
        assert failure.facts["trust"] == f"openclaw-tunnel trust -F {config} jump"


@async_test
async def test_through_a_proxy_command(server: Sshd, tmp_path: Path) -> None:
    command = "ProxyCommand socat - TCP:%h:%p"
    link = await connector(config_of(server, tmp_path, command, identities=(server.client_key,))).connect()
    assert await link.ping(timeout=30) > 0
    await link.close()
    port = free_port()
    failure = await refusal(config_of(server, tmp_path, f"ProxyCommand socat - TCP:127.0.0.1:{port}"))
    assert failure.code is Code.PROXY
    assert "Connection refused" in failure.message


async def refused_channel(link: SshLink, host: str, port: int) -> Code:
    with pytest.raises(ChannelFailed) as caught:
        await link.open_channel(host, port, Receiver(), timeout=30)
    return caught.value.failure.code


@async_test
async def test_where_nothing_listens_and_where_forwarding_is_forbidden(server: Sshd, tmp_path: Path) -> None:
    link = await connector(config_of(server, tmp_path, identities=(server.client_key,))).connect()
    assert link.server.version.startswith("OpenSSH_")
    assert link.server.cipher == "aes128-gcm@openssh.com"
    assert await refused_channel(link, "127.0.0.1", free_port()) is Code.NOT_LISTENING
    assert await refused_channel(link, str(tmp_path / "nothing"), 0) is Code.NOT_LISTENING
    assert await refused_channel(link, "nowhere.invalid", 1) is Code.GATEWAY_UNREACHABLE
    await link.close()
    for extra in ("AllowTcpForwarding no", "PermitOpen 127.0.0.1:9", "DisableForwarding yes"):
        with Sshd(extra=[extra]) as strict:
            link = await connector(config_of(strict, tmp_path, identities=(strict.client_key,))).connect()
            assert await refused_channel(link, "127.0.0.1", free_port()) is Code.FORWARDING_FORBIDDEN
            await link.close()


@async_test
async def test_dropbear(tmp_path: Path) -> None:
    with Dropbear() as running:
        link = await connector(running.ssh_config()).connect()
        assert link.server.version.startswith("dropbear_")
        assert await link.ping(timeout=30) > 0
        assert await refused_channel(link, "127.0.0.1", free_port()) is Code.NOT_LISTENING
        await link.close()
    with Dropbear(["-j"]) as strict:
        link = await connector(strict.ssh_config()).connect()
        assert await refused_channel(link, "127.0.0.1", free_port()) is Code.FORWARDING_FORBIDDEN
        await link.close()


@async_test
async def test_tinysshd(tmp_path: Path) -> None:
    with Tinysshd() as running:
        link = await connector(running.ssh_config()).connect()
        assert link.server.version.startswith("tinyssh")
        assert await refused_channel(link, "127.0.0.1", free_port()) is Code.FORWARDING_FORBIDDEN
        await link.close()


@async_test
async def test_a_stalled_server_ends_by_keepalive(server: Sshd, tmp_path: Path) -> None:
    lines = ("ServerAliveInterval 1", "ServerAliveCountMax 1")
    with Sshd() as stalling:
        link = await connector(config_of(stalling, tmp_path, *lines, identities=(stalling.client_key,))).connect()
        stalling.freeze()
        try:
            assert (await link.wait_lost()).code is Code.KEEPALIVE_TIMEOUT
        finally:
            stalling.thaw()
        await link.close()


@async_test
async def test_the_banner_of_sshd_before_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "banner").write_text("Authorized use only.\nAsk the help desk for access.\n")
    with Sshd(extra=[f"Banner {tmp_path}/banner"]) as server:
        failure = await refusal(config_of(server, tmp_path, identities=(new_key(tmp_path / "wrong"),)))
        assert failure.code is Code.AUTH_DENIED
        assert failure.said == "Authorized use only.\nAsk the help desk for access."
        assert await lets_in(config_of(server, tmp_path, identities=(server.client_key,)))


async def login_under_way(port: int) -> asyncio.StreamWriter:
    """A connection that sshd has taken on, once those from before are gone."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if (await reader.readline()).startswith(b"SSH-"):
            return writer
        writer.close()
        await writer.wait_closed()


@async_test
async def test_an_sshd_with_too_many_logins_under_way(tmp_path: Path) -> None:
    with Sshd(extra=["MaxStartups 1:100:1"]) as server:
        config = config_of(server, tmp_path, identities=(server.client_key,))
        silent = await login_under_way(server.port)
        failure = await dial(config)
        silent.close()
        await silent.wait_closed()
    assert isinstance(failure, Failure)
    assert failure.code is Code.NOT_SSH
    assert failure.message.startswith(f"127.0.0.1:{server.port} hung up before the login was done")
    # Before OpenSSH 8.7 or so it says nothing.
    assert not failure.said or "Exceeded MaxStartups" in failure.message
    assert not failure.said or failure.hint.startswith("that server limits connections")
