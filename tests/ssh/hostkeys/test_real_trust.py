"""cli/commands/trust.py against a real sshd, as a user runs it."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import Cli, command, environment
from support.process import make, program
from support.servers import Sshd
from support.waiting import free_port

pytestmark = pytest.mark.real


@pytest.fixture
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def cli(server: Sshd) -> Iterator[Cli]:
    with Cli() as user:
        user.use_ssh_config(server.ssh_config(known=False))
        yield user


def known_hosts(server: Sshd) -> Path:
    return server.folder / "known_hosts"


def ssh_lets_it_pass(server: Sshd) -> bool:
    config = server.folder / "ssh_config.gw"
    return subprocess.run([program("ssh"), "-F", config, "gw", "true"], capture_output=True, timeout=20).returncode == 0


def test_remember_replace_and_revoke(server: Sshd, cli: Cli) -> None:
    asked = cli("trust", "gw")
    assert asked.exit_code == 2
    assert f"ED25519 {server.fingerprint()}" in asked.stdout
    assert f"hint: compare the fingerprint, then add: --fingerprint {server.fingerprint()}" in asked.stderr
    mismatch = cli("trust", "--fingerprint", "SHA256:" + "A" * 43, "gw")
    assert mismatch.exit_code == 22
    assert not known_hosts(server).read_text()
    assert cli("trust", "--fingerprint", server.fingerprint(), "gw").exit_code == 0
    assert known_hosts(server).read_text() == server.host_key_line() + "\n"
    assert ssh_lets_it_pass(server)
    before = known_hosts(server).stat()
    again = cli("trust", "gw")
    assert again.exit_code == 0
    assert f"known already: {known_hosts(server)}:1" in again.stdout
    assert known_hosts(server).stat() == before

    old = server.fingerprint()
    server.kill()
    server.new_host_keys()
    server.start()
    changed = cli("trust", "--yes", "gw")
    assert changed.exit_code == 22
    for text in (old, server.fingerprint(), "trust --replace"):
        assert text in changed.stdout + changed.stderr
    assert cli("trust", "--replace", "gw").exit_code == 2
    assert cli("trust", "--replace", "--fingerprint", server.fingerprint(), "gw").exit_code == 0
    assert ssh_lets_it_pass(server)
    assert (server.folder / "known_hosts.old").exists()

    key = server.host_key_line().partition(" ")[2]
    known_hosts(server).write_text(f"@revoked * {key}\n")
    for options in (["--yes"], ["--replace", "--yes"], ["--fingerprint", server.fingerprint()]):
        assert cli("trust", *options, "gw").exit_code == 22
    assert known_hosts(server).read_text() == f"@revoked * {key}\n"


def test_a_port_of_its_own_and_a_host_that_is_not_there(server: Sshd, cli: Cli) -> None:
    config = server.folder / "empty"
    config.write_text(f"UserKnownHostsFile {known_hosts(server)}\nGlobalKnownHostsFile none\nHashKnownHosts yes\n")
    good = cli("trust", "-F", config, "-p", str(server.port), "--yes", "127.0.0.1")
    assert good.exit_code == 0, good.stderr
    assert known_hosts(server).read_text().startswith("|1|")
    found = make([program("ssh-keygen"), "-F", f"[127.0.0.1]:{server.port}", "-f", known_hosts(server)])
    assert server.host_key_line().split()[2] in found
    refused = cli("trust", "-F", config, "-p", str(free_port()), "127.0.0.1")
    assert refused.exit_code == 20
    assert refused.stderr.startswith("error: 127.0.0.1:")


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--fingerprint", "MD5:00", "gw"], 2, "not a fingerprint"),
        (["--port", "99999", "gw"], 2, ""),
        ([], 2, "missing argument"),
        (["-F", "/no/such/file", "gw"], 10, "/no/such/file"),
        (["-o", "UserKnownHostsFile", "gw"], 2, "no such option"),
    ],
)
def test_called_the_wrong_way(cli: Cli, args: list[str], code: int, text: str) -> None:
    answer = cli("trust", *args)
    assert answer.exit_code == code
    assert text in answer.stderr.lower()
    assert "hint: " in answer.stderr


def test_known_hosts_none(server: Sshd, cli: Cli) -> None:
    cli.use_ssh_config(server.ssh_config(extra=["UserKnownHostsFile none"]))
    answer = cli("trust", "--yes", "gw")
    assert answer.exit_code == 10
    assert "nothing could be remembered" in answer.stderr


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_asked_on_a_terminal(server: Sshd, cli: Cli, answer: bytes, code: int) -> None:
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            list(map(str, command("trust", "gw"))),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(cli.home, cli.env),
            cwd=cli.home,
        )
        os.write(ours, answer)
        out, err = child.communicate(timeout=20)
    finally:
        os.close(ours)
        os.close(theirs)
    assert child.returncode == code
    assert b"Remember this key? [y/N]" in err
    assert server.fingerprint().encode() in out
    assert (known_hosts(server).read_text() != "") is (code == 0)


def test_a_proxy_command_that_wants_a_login(server: Sshd, cli: Cli, tmp_path: Path) -> None:
    """What it asks is shown while it waits; whoever does it goes on."""
    proxy = tmp_path / "proxy"
    proxy.write_text(
        f"#!/bin/sh\necho Visit https://login.example/abc123 to log in >&2\n"
        f"until [ -e {tmp_path}/done ]; do sleep 0.05; done\nexec socat - TCP:127.0.0.1:{server.port}\n"
    )
    proxy.chmod(0o755)
    config = server.ssh_config(extra=[f"ProxyCommand {proxy}", "ConnectTimeout 1"], known=False)
    with subprocess.Popen(
        command("trust", "-F", str(config), "gw"),
        env={**environment(cli.home), **cli.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stderr
        assert asking.stdout
        line = asking.stderr.readline()
        (tmp_path / "done").touch()
        assert line == "waiting for you: Visit https://login.example/abc123 to log in\n"
        assert f"ED25519 {server.fingerprint()}" in asking.stdout.read()
