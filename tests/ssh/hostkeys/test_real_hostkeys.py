"""check.py and revoked.py: whatever known_hosts says, OpenSSH and we must let the same servers pass."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.hostkeys import knownhosts
from support.process import make, program
from support.servers import Sshd, new_key
from support.sshtargets import make_spec

pytestmark = pytest.mark.real


@dataclass
class Realm:
    """Two servers: a plain one with two host keys, one with a host certificate; and some other keys.

    ``words`` are what the lines of the table are filled in with.
    """

    folder: Path
    plain: Sshd
    certified: Sshd
    words: dict[str, str] = field(default_factory=dict)


def line_of(path: Path) -> str:
    return " ".join(path.read_text().split()[:2])


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    folder = tmp_path_factory.mktemp("realm")
    for name in ("ca", "other"):
        new_key(folder / name)
    new_key(folder / "other_rsa", kind="rsa")
    with Sshd(host_key_kinds=("ed25519", "rsa")) as plain, Sshd() as certified:
        sign(folder / "ca", certified.folder / "host_ed25519.pub", "localhost,gw.test")
        certified.configure([f"HostCertificate {certified.folder / 'host_ed25519-cert.pub'}"])
        certified.restart()
        realm = Realm(folder, plain, certified)
        realm.words = {
            "ED": line_of(plain.folder / "host_ed25519.pub"),
            "RSA": line_of(plain.folder / "host_rsa.pub"),
            "OTHER": line_of(folder / "other.pub"),
            "OTHER_RSA": line_of(folder / "other_rsa.pub"),
            "CA": line_of(folder / "ca.pub"),
            "CERTIFIED": line_of(certified.folder / "host_ed25519.pub"),
            "P": str(plain.port),
            "Q": str(certified.port),
            "HASHED": knownhosts.hash_name(f"[localhost]:{plain.port}", os.urandom(20)),
            "HASHED_PLAIN": knownhosts.hash_name("localhost", os.urandom(20)),
        }
        yield realm


def sign(authority: Path, key: Path, principals: str, *options: str) -> None:
    keygen: list[str | Path] = [program("ssh-keygen"), "-q", "-s", authority, "-I", "test", "-h", *options]
    make([*keygen, *(["-n", principals] if principals else []), key])


def judge_both(
    realm: Realm, server: Sshd, known_hosts: str, extra: tuple[str, ...] = (), system: str = ""
) -> tuple[bool, bool, Code | None]:
    """Whether ssh and whether we let the server pass, and our reason if not."""
    (realm.folder / "known_hosts").write_text(fill(realm, known_hosts))
    (realm.folder / "system").write_text(fill(realm, system))
    lines = [
        *(fill(realm, line) for line in extra),
        "HostName localhost",
        "AddressFamily inet",
        f"Port {server.port}",
        f"User {server.user}",
        f"IdentityFile {server.client_key}",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        f"UserKnownHostsFile {realm.folder / 'known_hosts'}",
        f"GlobalKnownHostsFile {realm.folder / 'system'}",
    ]
    config = realm.folder / "ssh_config"
    config.write_text("Host gw\n" + "".join(f"  {line}\n" for line in lines))
    ours, code = asyncio.run(dial(config))  # first: ssh may write the key down
    theirs = subprocess.run(
        [program("ssh"), "-F", config, "-o", "BatchMode=yes", "gw", "true"], capture_output=True, timeout=20
    )
    return theirs.returncode == 0, ours, code


async def dial(config: Path) -> tuple[bool, Code | None]:
    try:
        link = await SshConnector(make_spec(ssh_config=str(config)), env=dict(os.environ)).connect()
    except DialFailed as exc:
        return False, exc.failure.code
    await link.close()
    return True, None


def fill(realm: Realm, text: str) -> str:
    return text.format_map({**realm.words, "F": str(realm.folder)})


OK, UNKNOWN, CHANGED, REVOKED = None, Code.HOST_KEY_UNKNOWN, Code.HOST_KEY_CHANGED, Code.HOST_KEY_REVOKED

PLAIN: list[tuple[str, Code | None]] = [
    ("", UNKNOWN),
    ("[localhost]:{P} {ED}", OK),
    ("[localhost]:{P} {ED}\n[localhost]:{P} {RSA}", OK),
    ("[localhost]:{P} {RSA}", OK),  # asked for by that type
    ("localhost {ED}", OK),  # the name without port, for a match only
    ("localhost {OTHER}", UNKNOWN),
    ("[localhost]:{P} {OTHER}\nlocalhost {ED}", CHANGED),
    ("[localhost]:{P} {OTHER}", CHANGED),
    ("[localhost]:{P} {OTHER_RSA}", CHANGED),
    ("[localhost]:{P} {OTHER}\n[localhost]:{P} {ED}", OK),
    ("[127.0.0.1]:{P} {ED}", UNKNOWN),  # the address is not the name
    ("127.0.0.1 {ED}", UNKNOWN),
    ("[localhost]:22 {ED}", UNKNOWN),
    ("[LOCALHOST]:{P} {ED}", OK),
    ("[local*]:{P} {ED}", OK),
    ("[localhost]:* {ED}", OK),
    ("* {ED}", OK),
    ("127.0.0.0/8 {ED}", UNKNOWN),
    ("*,!localhost {ED}", OK),  # the first name is [localhost]:port, which is not ruled out
    ("*,![localhost]:{P} {ED}", OK),  # without port it is not
    ("*,!*localhost* {ED}", UNKNOWN),
    ("!localhost {ED}", UNKNOWN),
    ("a,[localhost]:{P},b {ED} comment here", OK),
    ("{HASHED} {ED}", OK),
    ("{HASHED_PLAIN} {ED}", OK),
    ("{HASHED} {OTHER}", CHANGED),
    ("|1|nonsense|x {ED}", UNKNOWN),
    ("|2{HASHED} {ED}", UNKNOWN),
    ("garbage\n@nonsense * {ED}\n\n# c\n[localhost]:{P} ssh-ed25519 ***\n[localhost]:{P} {ED}", OK),
    ("[localhost]:{P} ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA\n[localhost]:{P} {ED}", OK),
    ("@revoked * {ED}\n[localhost]:{P} {ED}", REVOKED),
    ("@revoked [localhost]:{P} {ED}\n[localhost]:{P} {ED}", REVOKED),
    ("@revoked localhost {ED}\n[localhost]:{P} {ED}", OK),
    ("@revoked * {RSA}\n[localhost]:{P} {ED}", OK),
    ("@revoked * {ED}", REVOKED),
    ("@cert-authority * {ED}", UNKNOWN),
    ("\t [localhost]:{P}\t{ED}\t \r", OK),
    ("[localhost]:{P} {ED}\r\n[localhost]:{P} {OTHER}\r\n", OK),
]


@pytest.mark.parametrize(("known_hosts", "expected"), PLAIN, ids=range(len(PLAIN)))
def test_plain_keys(realm: Realm, known_hosts: str, expected: Code | None) -> None:
    theirs, ours, code = judge_both(realm, realm.plain, known_hosts)
    assert ours == theirs, "as OpenSSH"
    assert code == expected


CERTIFIED: list[tuple[str, tuple[str, ...], Code | None]] = [
    ("@cert-authority [localhost]:{Q} {CA}", (), OK),
    ("@cert-authority localhost {CA}", (), OK),
    ("@cert-authority * {CA}", (), OK),
    ("@cert-authority other {CA}", (), UNKNOWN),
    ("@cert-authority * {OTHER}", (), UNKNOWN),
    ("* {CA}", (), CHANGED),
    ("[localhost]:{Q} {CERTIFIED}", (), OK),
    ("@cert-authority * {OTHER}\n[localhost]:{Q} {CERTIFIED}", (), OK),  # back to the plain key
    ("@cert-authority * {CA}\n@revoked * {CA}", (), REVOKED),
    ("@cert-authority * {CA}\n@revoked * {CERTIFIED}", (), REVOKED),
    ("@cert-authority * {CA}\n[localhost]:{Q} {OTHER}", (), OK),
    ("@cert-authority * {CA}", ("HostKeyAlias gw.test",), OK),
    ("@cert-authority * {CA}", ("HostKeyAlias elsewhere",), UNKNOWN),  # no principal of the certificate
    ("@cert-authority * {CA}\nelsewhere {CERTIFIED}", ("HostKeyAlias elsewhere",), OK),
    ("@cert-authority * {CA}", ("CASignatureAlgorithms rsa-sha2-512",), UNKNOWN),
    ("@cert-authority * {CA}", ("HostKeyAlgorithms ssh-ed25519",), UNKNOWN),
]


@pytest.mark.parametrize(("known_hosts", "extra", "expected"), CERTIFIED, ids=range(len(CERTIFIED)))
def test_host_certificates(realm: Realm, known_hosts: str, extra: tuple[str, ...], expected: Code | None) -> None:
    theirs, ours, code = judge_both(realm, realm.certified, known_hosts, extra)
    assert ours == theirs, "as OpenSSH"
    assert code == expected


@pytest.mark.parametrize(
    ("principals", "options"),
    [("localhost", ("-V", "20200101:20210101")), ("*", ()), ("other", ()), ("", ()), ("LOCALHOST", ())],
)
def test_certificates_with_a_flaw(realm: Realm, principals: str, options: tuple[str, ...]) -> None:
    server = realm.certified
    certificate = server.folder / "host_ed25519-cert.pub"
    before = certificate.read_bytes()
    try:
        sign(realm.folder / "ca", server.folder / "host_ed25519.pub", principals, *options)
        server.restart()
        theirs, ours, code = judge_both(realm, server, "@cert-authority * {CA}")
        assert ours == theirs, "as OpenSSH"
        assert code == (OK if theirs else UNKNOWN)
    finally:
        certificate.write_bytes(before)
        server.restart()


FILES: list[tuple[tuple[str, ...], str, str, Code | None]] = [
    (("UserKnownHostsFile none",), "[localhost]:{P} {ED}", "", UNKNOWN),
    (("UserKnownHostsFile none",), "", "[localhost]:{P} {ED}", OK),
    (("UserKnownHostsFile /dev/null",), "[localhost]:{P} {ED}", "", UNKNOWN),
    (("UserKnownHostsFile {F}/missing {F}/known_hosts",), "[localhost]:{P} {ED}", "", OK),
    (("UserKnownHostsFile {F} {F}/known_hosts",), "[localhost]:{P} {ED}", "", OK),
    (("UserKnownHostsFile {F}/missing",), "[localhost]:{P} {ED}", "", UNKNOWN),
    ((), "[localhost]:{P} {OTHER}", "[localhost]:{P} {ED}", OK),
    (("HostKeyAlias gw.test",), "gw.test {ED}", "", OK),
    (("HostKeyAlias gw.test",), "[localhost]:{P} {ED}", "", UNKNOWN),
    (("HostKeyAlias gw.test",), "[gw.test]:{P} {ED}", "", UNKNOWN),
    (("RevokedHostKeys {F}/other.pub",), "[localhost]:{P} {ED}", "", OK),
    (("RevokedHostKeys {F}/revoked",), "[localhost]:{P} {ED}", "", REVOKED),
    (("RevokedHostKeys {F}/missing",), "[localhost]:{P} {ED}", "", REVOKED),
    (("RevokedHostKeys {F}/junk",), "[localhost]:{P} {ED}", "", REVOKED),
    (("RevokedHostKeys {F}/krl",), "[localhost]:{P} {ED}", "", REVOKED),
    (("RevokedHostKeys {F}/krl_other",), "[localhost]:{P} {ED}", "", OK),
    (("RevokedHostKeys {F}/krl_broken",), "[localhost]:{P} {ED}", "", REVOKED),
    (("RequiredRSASize 4096", "HostKeyAlgorithms rsa-sha2-512"), "[localhost]:{P} {RSA}", "", Code.NEGOTIATION),
]


@pytest.mark.parametrize(("extra", "known_hosts", "system", "expected"), FILES, ids=range(len(FILES)))
def test_files(realm: Realm, extra: tuple[str, ...], known_hosts: str, system: str, expected: Code | None) -> None:
    folder, keygen = realm.folder, program("ssh-keygen")
    (folder / "revoked").write_text(fill(realm, "# c\n\n{OTHER}\n{ED} comment\n"))
    (folder / "junk").write_text(fill(realm, "junk\n{OTHER}\n"))
    (folder / "krl_broken").write_bytes(b"SSHKRL\n\0broken")
    make([keygen, "-q", "-k", "-f", folder / "krl", realm.plain.folder / "host_ed25519.pub"])
    make([keygen, "-q", "-k", "-f", folder / "krl_other", folder / "other.pub"])
    theirs, ours, code = judge_both(realm, realm.plain, known_hosts, extra, system)
    assert ours == theirs, "as OpenSSH"
    assert code == expected


def test_a_certificate_revoked_by_its_serial(realm: Realm) -> None:
    server, folder = realm.certified, realm.folder
    certificate = server.folder / "host_ed25519-cert.pub"
    before = certificate.read_bytes()
    try:
        sign(folder / "ca", server.folder / "host_ed25519.pub", "localhost", "-z", "7")
        server.restart()
        (folder / "serials").write_text("serial: 7\n")
        keygen = program("ssh-keygen")
        make([keygen, "-q", "-k", "-f", folder / "krl_serial", "-s", folder / "ca.pub", folder / "serials"])
        extra = ("RevokedHostKeys {F}/krl_serial",)
        assert judge_both(realm, server, "@cert-authority * {CA}", extra) == (False, False, REVOKED)
        assert judge_both(realm, server, "@cert-authority * {CA}") == (True, True, OK)
    finally:
        certificate.write_bytes(before)
        server.restart()


@pytest.mark.parametrize("setting", ["no", "off", "accept-new", "ask"])
def test_an_unknown_key_is_refused_whatever_ssh_would_do(realm: Realm, setting: str) -> None:
    _, ours, code = judge_both(realm, realm.plain, "", (f"StrictHostKeyChecking {setting}",))
    assert (ours, code) == (False, UNKNOWN)
