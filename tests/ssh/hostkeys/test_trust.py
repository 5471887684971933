"""Remembering host keys: what is fetched, what is written, and what stays byte for byte as it was."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError, UsageError
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.check import HostKeys
from openclaw_tunnel.ssh.hostkeys.knownfiles import Reader, files_of
from openclaw_tunnel.ssh.hostkeys.knownhosts import Trust
from openclaw_tunnel.ssh.hostkeys.trust import Found, add_key, look_at, remember, remove_name, where_to_write, with_port
from support.aio import async_test
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_target
from support.waiting import free_port


def blob(content: bytes) -> bytes:
    return b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + content * 32


OLD, NEW = blob(b"o"), blob(b"n")
OLD_LINE, NEW_LINE = knownhosts.key_line(OLD), knownhosts.key_line(NEW)


def found(path: Path | str | None, key: bytes = NEW, **fields: Any) -> Found:
    files = () if path is None else (str(path),)
    target = make_target(**{"hostname": "gw", "user_known_hosts_files": files, **fields})
    host_keys = HostKeys(target, Hop("gw", "gw:22"), Reader()(files_of(target)))
    return Found(Hop("gw", "gw:22"), target, key, *host_keys.about(key))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"gw {NEW_LINE}\n"),
        (f"other {OLD_LINE}", f"other {OLD_LINE}\ngw {NEW_LINE}\n"),
        (f"other {OLD_LINE}\n", f"other {OLD_LINE}\ngw {NEW_LINE}\n"),
        (f"gw {NEW_LINE} a comment\n", f"gw {NEW_LINE} a comment\n"),
        (f"@revoked gw {NEW_LINE}\n", f"@revoked gw {NEW_LINE}\ngw {NEW_LINE}\n"),
    ],
)
def test_one_line_is_added_unless_it_is_there(before: str, after: str) -> None:
    assert add_key(before, "gw", "gw", NEW) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"gw {OLD_LINE}\n", ""),
        (f"# c\n\n  gw {OLD_LINE}\nother {OLD_LINE}\nnonsense", f"# c\n\nother {OLD_LINE}\nnonsense"),
        (f"a,gw,b {OLD_LINE} comment \t\r\n", f"a,b {OLD_LINE} comment \t\r\n"),
        (f"GW {OLD_LINE}\ngw {NEW_LINE}\n", ""),
        (f"[gw]:2222 {OLD_LINE}\n*.example {OLD_LINE}\n", f"[gw]:2222 {OLD_LINE}\n*.example {OLD_LINE}\n"),
        (
            f"@cert-authority gw {OLD_LINE}\n@revoked gw {OLD_LINE}\n",
            f"@cert-authority gw {OLD_LINE}\n@revoked gw {OLD_LINE}\n",
        ),
        (f"{knownhosts.hash_name('gw', b's' * 20)} {OLD_LINE}\nz {OLD_LINE}", f"z {OLD_LINE}"),
        (f"gw,!bad {OLD_LINE}\n", ""),
    ],
)
def test_exactly_the_lines_of_one_host_go(before: str, after: str) -> None:
    assert remove_name(before, "f", "gw") == after


def test_a_pattern_is_not_taken_apart() -> None:
    with pytest.raises(TunnelError, match=r"the old key stands in f:2, for g\*"):
        remove_name(f"# c\ng* {OLD_LINE}\n", "f", "gw")


def test_the_file_keeps_its_mode_and_every_byte(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "known_hosts"
    real.write_bytes(b"\xff\xfe junk\nother " + OLD_LINE.encode())
    real.chmod(0o640)
    link.symlink_to(real)
    remember(found(link), replace=False)
    assert link.is_symlink()
    assert real.read_bytes() == b"\xff\xfe junk\nother " + OLD_LINE.encode() + b"\ngw " + NEW_LINE.encode() + b"\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "real.old").exists()


def test_a_new_file_and_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known_hosts"
    remember(found(path), replace=False)
    assert path.read_text() == f"gw {NEW_LINE}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_replacing_keeps_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"gw {OLD_LINE}\nother {OLD_LINE}\n")
    changed = found(path)
    assert changed.verdict.trust is Trust.CHANGED
    remember(changed, replace=True)
    assert path.read_text() == f"other {OLD_LINE}\ngw {NEW_LINE}\n"
    assert (tmp_path / "known_hosts.old").read_text() == f"gw {OLD_LINE}\nother {OLD_LINE}\n"
    assert found(path).verdict.trust is Trust.OK


def test_an_old_key_in_a_systems_file_stops_everything(tmp_path: Path) -> None:
    path, system = tmp_path / "known_hosts", tmp_path / "system"
    system.write_text(f"gw {OLD_LINE}\n")
    with pytest.raises(TunnelError) as caught:
        remember(found(path, global_known_hosts_files=(str(system),)), replace=True)
    assert caught.value.exit_code is ExitCode.HOST_KEY
    assert f"{system}:1" in caught.value.message
    assert not path.exists()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "gw"),
        ({"port": 2222}, "[gw]:2222"),
        ({"hostname": "GW.Example"}, "gw.example"),
        ({"port": 2222, "host_key_alias": "alias"}, "alias"),
    ],
)
def test_the_name_under_which_a_key_is_remembered(tmp_path: Path, fields: dict[str, Any], name: str) -> None:
    path = tmp_path / "known_hosts"
    remember(found(path, **fields), replace=False)
    assert path.read_text() == f"{name} {NEW_LINE}\n"
    assert found(path, **fields).verdict.trust is Trust.OK


def test_a_hashed_name(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    for _ in range(2):
        remember(found(path, hash_known_hosts=True), replace=False)
    assert path.read_text().startswith("|1|")
    assert path.read_text().count("\n") == 1
    assert found(path).verdict.trust is Trust.OK


@pytest.mark.parametrize("path", [None, "/dev/null"])
def test_nowhere_to_write(path: str | None) -> None:
    with pytest.raises(ConfigError, match="nothing could be remembered"):
        where_to_write(found(path))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written: "):
        remember(found(tmp_path / "file" / "known_hosts"), replace=False)


@pytest.mark.parametrize(
    ("name", "note", "first"),
    [
        ("known_hosts", "", ""),
        (".", "; {path} cannot be read: Is a directory", "let yourself read that file (ls -l {path} says whose it is)"),
        ("/dev/null", "", "let UserKnownHostsFile in ssh_config name a file (/dev/null remembers nothing), then "),
    ],
)
def test_what_has_to_be_done_before_a_key_can_be_remembered(tmp_path: Path, name: str, note: str, first: str) -> None:
    path = tmp_path / name
    failure = found(path).failure
    assert failure
    assert failure.message.endswith(knownhosts.fingerprint(NEW) + note.format(path=path))
    assert failure.hint.startswith(first.format(path=path) or "compare the fingerprint")
    assert failure.hint.endswith("then remember the key: openclaw-tunnel trust gw")


def test_two_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    threads = [
        threading.Thread(target=remember, args=(found(path, hostname=f"host{n}"),), kwargs={"replace": False})
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().split()[::3]) == sorted(f"host{n}" for n in range(20))
    assert os.listdir(tmp_path) == ["known_hosts"]


@pytest.mark.parametrize(
    ("typed", "port", "expected"),
    [
        ("gw", None, "gw"),
        ("gw", 2222, "gw:2222"),
        ("me@gw", 2222, "me@gw:2222"),
        ("me@[::1]", 2222, "me@[::1]:2222"),
        ("ssh://me@gw:2222", 2222, "ssh://me@gw:2222"),
    ],
)
def test_a_port_beside_the_target(typed: str, port: int | None, expected: str) -> None:
    assert with_port(typed, port) == expected


def test_two_ports() -> None:
    with pytest.raises(UsageError):
        with_port("gw:22", 2222)


@async_test
async def test_fetching_a_key_needs_no_login(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        target = make_target(port=server.port, user_known_hosts_files=(str(tmp_path / "k"),))
        seen = await look_at(DialOptions("gw", {}, resolve=Resolver(gw=target)))
        assert seen.fingerprint == server.host_keys[0].get_fingerprint()
        assert seen.failure
        assert seen.failure.code is Code.HOST_KEY_UNKNOWN
        await asyncio.to_thread(remember, seen, replace=False)
        seen = await look_at(DialOptions("gw", {}, resolve=Resolver(gw=target)))
        assert seen.failure is None
        revoked = make_target(port=server.port, revoked_host_keys=str(tmp_path / "missing"))
        seen = await look_at(DialOptions("gw", {}, resolve=Resolver(gw=revoked)))
        assert seen.failure
        assert seen.failure.code is Code.HOST_KEY_REVOKED


@async_test
async def test_of_several_keys_the_known_type_is_fetched(tmp_path: Path) -> None:
    """Else a host whose key is known would look like one that has changed it, or is new."""
    async with SshTestServer(kinds=("ecdsa-sha2-nistp256", "ssh-ed25519")) as server:
        (tmp_path / "k").write_text(server.known_hosts_line())
        target = make_target(port=server.port, user_known_hosts_files=(str(tmp_path / "k"),))
        seen = await look_at(DialOptions("gw", {}, resolve=Resolver(gw=target)))
        assert seen.shown.startswith("ECDSA ")
        assert seen.failure is None


@async_test
async def test_the_users_order_of_algorithms_decides_which_key_is_fetched() -> None:
    async with SshTestServer(kinds=("ecdsa-sha2-nistp256", "ssh-ed25519")) as server:
        for first, other in (("ssh-ed25519", "ecdsa-sha2-nistp256"), ("ecdsa-sha2-nistp256", "ssh-ed25519")):
            target = make_target(port=server.port, host_key_algorithms=(first, other), kex=("curve25519-sha256",))
            seen = await look_at(DialOptions("gw", {}, resolve=Resolver(gw=target)))
            assert knownhosts.key_line(seen.key).startswith(first)


@async_test
async def test_a_host_that_cannot_be_reached() -> None:
    with pytest.raises(TunnelError) as caught:
        await look_at(DialOptions("gw", {}, resolve=Resolver(gw=make_target(port=free_port()))))
    assert caught.value.exit_code is ExitCode.UNREACHABLE
