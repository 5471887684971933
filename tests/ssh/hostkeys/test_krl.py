"""krl.py and revoked.py against ssh-keygen: what it finds in a list, and what it refuses to read, we do too."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.host.filecache import FileCache
from openclaw_tunnel.ssh.hostkeys.knownhosts import parse_key
from openclaw_tunnel.ssh.hostkeys.krl import MAGIC, Malformed, parse
from openclaw_tunnel.ssh.hostkeys.revoked import RevokedKeys, RevokedListUnusable, read_revoked
from support.process import make, program
from support.servers import new_key

KINDS = {"ed25519": (), "ecdsa": (), "rsa": ("-b", "1024")}


@dataclass(frozen=True)
class Keys:
    """An authority, another one, and keys of every kind with certificates of the first authority."""

    folder: Path
    public: tuple[Path, ...]

    def key(self, name: str) -> bytes:
        blob = parse_key((self.folder / name).read_text())
        assert blob
        return blob

    def revoked(self, path: Path, name: str) -> bool | None:
        """What we say of a key; None: the list cannot be used."""
        plain = self.key(name.replace("-cert", ""))
        also = (plain, self.key("ca.pub")) if "-cert" in name else ()
        try:
            return read_revoked(str(path)).names(self.key(name), also)
        except RevokedListUnusable:
            return None

    def keygen(self, path: Path, name: str) -> bool | None:
        """What ssh-keygen says."""
        done = subprocess.run(
            [program("ssh-keygen"), "-Q", "-f", path, self.folder / name], capture_output=True, timeout=20
        )
        return {0: False, 1: True}.get(done.returncode) if b"REVOKED" in done.stdout or not done.returncode else None


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ca", "other_ca", "other"):
        new_key(folder / name)
    public = []
    for number, (kind, more) in enumerate(KINDS.items(), 1):
        make([program("ssh-keygen"), "-q", "-t", kind, *more, "-N", "", "-f", folder / kind])
        ids = ["-I", f"host {kind}", "-z", str(7 * number if number > 1 else 0)]
        make([program("ssh-keygen"), "-q", "-s", folder / "ca", "-h", *ids, folder / f"{kind}.pub"])
        public += [folder / f"{kind}.pub", folder / f"{kind}-cert.pub"]
    return Keys(folder, tuple(public))


def made(keys: Keys, specification: str, authority: str | Path = "") -> Path:
    """A list as ssh-keygen makes it; ``authority`` is a public key's file, or "none" for any authority."""
    path, spec = keys.folder / "krl", keys.folder / "spec"
    spec.write_text(specification)
    make([program("ssh-keygen"), "-q", "-k", "-f", path, *(["-s", authority] if authority else []), spec])
    return path


SPECIFICATIONS = {
    "nothing": "",
    "one serial": "serial: 14",
    "a range": "serial: 10-20",
    "another range": "serial: 15-20",
    "a list": "serial: 3\nserial: 14\nserial: 90000000000",
    "a bitmap": "".join(f"serial: {n}\n" for n in range(1, 200, 3)),
    "a bitmap with it": "".join(f"serial: {n}\n" for n in range(2, 200, 3)),
    "the last serial": f"serial: {(1 << 64) - 1}",
    "key ids": "id: host ed25519\nid: host",
    "a fingerprint": "sha256: {rsa}",
    "an old fingerprint": "sha1: {rsa}",
    "a key": "key: {rsa}",
    "the authority's key": "key: {ca}",
}


def specification(keys: Keys, name: str) -> str:
    return SPECIFICATIONS[name].format(
        rsa=(keys.folder / "rsa.pub").read_text(), ca=(keys.folder / "ca.pub").read_text()
    )


@pytest.mark.parametrize("authority", ["ca.pub", "other_ca.pub", "none"])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_what_ssh_keygen_finds_is_found(keys: Keys, name: str, authority: str) -> None:
    scope = authority if authority == "none" else keys.folder / authority
    path = made(keys, specification(keys, name), scope)
    for public in keys.public:
        wanted = keys.keygen(path, public.name)
        assert wanted is not None, "ssh-keygen reads what it has written"
        assert keys.revoked(path, public.name) is wanted, public.name


def test_each_way_to_revoke_is_seen_to_work(keys: Keys) -> None:
    """Or the comparison above would compare nothing."""
    mine, other = keys.folder / "ca.pub", keys.folder / "other_ca.pub"
    assert keys.revoked(made(keys, "serial: 14", mine), "ecdsa-cert.pub") is True
    assert keys.revoked(made(keys, "serial: 14", mine), "ecdsa.pub") is False
    assert keys.revoked(made(keys, "serial: 14", other), "ecdsa-cert.pub") is False
    assert keys.revoked(made(keys, "serial: 14", "none"), "ecdsa-cert.pub") is True
    assert keys.revoked(made(keys, "id: host ed25519", mine), "ed25519-cert.pub") is True
    for name in ("a fingerprint", "an old fingerprint", "a key"):
        path = made(keys, specification(keys, name))
        assert [keys.revoked(path, f"{kind}.pub") for kind in KINDS] == [False, False, True]
        assert keys.revoked(path, "rsa-cert.pub") is True
    assert keys.revoked(made(keys, specification(keys, "the authority's key")), "rsa-cert.pub") is True


@pytest.fixture(scope="module")
def everything(keys: Keys) -> bytes:
    """A list with sections of every kind that ssh-keygen writes."""
    rsa = (keys.folder / "other.pub").read_text()
    serials = "serial: 1\nserial: 1000-2000\n" + "".join(f"serial: {n}\n" for n in range(50000, 50300, 5))
    text = f"{serials}id: somebody\nkey: {rsa}sha1: {rsa}sha256: {rsa}"
    return made(keys, text, keys.folder / "ca.pub").read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_list_is_never_read_less_strictly_than_by_ssh_keygen(
    keys: Keys, everything: bytes, data: st.DataObject
) -> None:
    content = bytearray(everything)
    for _ in range(data.draw(st.integers(1, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 9))
    path = keys.folder / "damaged"
    path.write_bytes(content[: len(content) - cut] if cut < 5 else content)
    theirs, ours = keys.keygen(path, "ecdsa-cert.pub"), keys.revoked(path, "ecdsa-cert.pub")
    assert ours in (theirs, None), f"ssh-keygen: {theirs}, we: {ours}"


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def listing(*sections: tuple[int, bytes], version: int = 1) -> bytes:
    """A list made by hand."""
    head = MAGIC + version.to_bytes(4, "big") + bytes(3 * 8) + text(b"") + text(b"a comment")
    return head + b"".join(bytes([kind]) + text(body) for kind, body in sections)


def of_certificates(kind: int, body: bytes, authority: bytes = b"") -> tuple[int, bytes]:
    return 1, text(authority) + text(b"") + bytes([kind]) + text(body)


NOTED, NEEDED = (text(b"x@example") + bytes([critical]) + text(b"data") for critical in (0, 1))


def test_an_extension_that_may_be_passed_over_is() -> None:
    """OpenSSH 9.4 and newer do so too; 9.2 refuses the list."""
    found = parse(listing((255, NOTED), (2, text(b"key")), of_certificates(0x39, NOTED)), bytes)
    assert found.names_key(b"key")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"SSHKRL\n\1", "no key revocation list"),
        (listing(version=2), "version 2"),
        (listing((255, NEEDED)), "an extension that is not known"),
        (listing(of_certificates(0x39, NEEDED)), "an extension that is not known"),
        (listing((4, text(b"key"))), "signed"),
        (listing((6, b"")), "section 6 is not known"),
        (listing((3, text(b"x" * 32))), "wrong length"),
        (listing((5, text(b"x" * 20))), "wrong length"),
        (listing((2, text(b"x") + b"\0")), "truncated"),
        (listing(of_certificates(0x24, b"")), "certificate section 36 is not known"),
        (listing(of_certificates(0x20, bytes(8))), "serial number 0"),
        (listing(of_certificates(0x20, bytes(7))), "truncated"),
        (listing(of_certificates(0x21, b"\0\0\0\0\0\0\0\2" + b"\0\0\0\0\0\0\0\1")), "range"),
        (listing(of_certificates(0x21, bytes(7) + b"\1" + bytes(7) + b"\2" + b"x")), "more than it should"),
        (listing(of_certificates(0x22, b"\xff" * 8 + text(b"\3"))), "bitmap"),
        (listing(of_certificates(0x22, bytes(8) + text(b"\1"))), "bitmap"),
        (listing(of_certificates(0x22, bytes(7) + b"\1" + text(b"\x81"))), "bitmap"),
        (listing(of_certificates(0x23, text(b"a\0b"))), "null byte"),
    ],
)
def test_what_makes_a_list_unusable(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse(content, bytes)


def test_an_authority_that_is_no_key_makes_a_list_unusable() -> None:
    def refuse(blob: bytes) -> bytes:
        raise ValueError

    with pytest.raises(Malformed, match="authority cannot be read"):
        parse(listing(of_certificates(0x23, b"", b"no key")), refuse)


def test_a_list_that_cannot_be_used_says_why(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "krl").write_bytes(listing((6, b"")))
    for path, why in ((tmp_path / "krl", "section 6 is not known"), (tmp_path / "missing", "No such file")):
        with pytest.raises(RevokedListUnusable, match=why):
            read_revoked(str(path)).names(keys.key("ca.pub"))


def test_a_list_is_read_again_when_it_has_changed(keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_bytes((keys.folder / "other.pub").read_bytes())
    cache = FileCache[RevokedKeys](4, clock=lambda: path.stat().st_ctime_ns + 10_000_000_000)
    first = read_revoked(str(path), cache)
    assert read_revoked(str(path), cache) is first
    assert not first.names(keys.key("ca.pub"))
    path.write_bytes((keys.folder / "other.pub").read_bytes() + (keys.folder / "ca.pub").read_bytes())
    assert read_revoked(str(path), cache).names(keys.key("ca.pub"))
    path.write_text("no key")
    with pytest.raises(RevokedListUnusable, match="line 1 is no key"):
        read_revoked(str(path), cache).names(keys.key("ca.pub"))
