"""Which keys are offered, in which order, and what a key file may be."""

from pathlib import Path

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.ssh.auth.keyfiles import KeyFile, KeyState, read_certificate_file, read_key_file
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.auth.offers import Offer, order_offers
from openclaw_tunnel.ssh.hop import Hop
from support.agent import SshAgent
from support.aio import async_test
from support.sshtargets import make_target

A, B, C, D = (bytes([0, 0, 0, 1, n, 9]) for n in b"abcd")
GW = Hop("gw", "gw:22")


def file(public: bytes, state: KeyState = KeyState.READY, certificate: bytes = b"") -> KeyFile:
    return KeyFile(f"/{chr(public[4])}", state, public, certificate)


def show(offers: tuple[Offer, ...]) -> list[str]:
    """``a`` from a file, ``a@`` from the agent, ``a+`` with certificate."""
    return [chr(o.public[4]) + "+" * bool(o.certificate) + "@" * o.from_agent for o in offers]


@pytest.mark.parametrize(
    ("files", "agent", "identities_only", "expected"),
    [
        ([], [], False, []),
        ([file(A), file(B)], [], False, ["a", "b"]),
        ([file(A), file(B)], [C, B], False, ["b@", "c@", "a"]),
        ([file(A), file(B)], [C, B], True, ["b@", "a"]),
        ([file(A), file(B)], [B, A], False, ["b@", "a@"]),
        ([file(A, KeyState.PUBLIC)], [C, A], True, ["a@"]),
        ([file(A, KeyState.PUBLIC)], [C], True, []),
        ([file(A, KeyState.LOCKED), file(B)], [A], True, ["a@", "b"]),
        ([file(A, KeyState.LOCKED), file(B)], [], False, ["b"]),
        ([file(A, KeyState.TOUCH)], [A], False, ["a@"]),
        ([file(A, certificate=D)], [], False, ["a", "a+"]),
        ([file(A), file(A)], [], False, ["a"]),
    ],
)
def test_keys_are_offered_in_opensshs_order(
    files: list[KeyFile], agent: list[bytes], identities_only: bool, expected: list[str]
) -> None:
    assert show(order_offers(files, [], agent, identities_only=identities_only)) == expected


def test_named_certificates_come_first_and_rule_out_those_beside_the_keys() -> None:
    certificate = KeyFile("/cert", KeyState.PUBLIC, A, D)
    offers = order_offers([file(A, certificate=C), file(B)], [certificate], [B], identities_only=True)
    assert show(offers) == ["a+", "b@", "a"]
    assert offers[0].path == "/a", "the key that signs"


def write_key(path: Path, *, passphrase: str | None = None, fmt: str = "openssh", kind: str = "ssh-ed25519") -> Path:
    key = asyncssh.generate_private_key(kind)
    path.write_bytes(key.export_private_key(fmt, passphrase))
    path.chmod(0o600)
    path.with_name(path.name + ".pub").write_bytes(key.export_public_key())
    return path


def test_a_key_file_that_can_be_used(tmp_path: Path) -> None:
    found = read_key_file(str(write_key(tmp_path / "id")))
    assert found
    assert found.state is KeyState.READY
    assert found.public


@pytest.mark.parametrize(("fmt", "kind"), [("pkcs8-pem", "ssh-rsa"), ("pkcs1-pem", "ssh-rsa")])
def test_an_encrypted_key_is_locked_and_known_by_its_public_half(tmp_path: Path, fmt: str, kind: str) -> None:
    found = read_key_file(str(write_key(tmp_path / "id", passphrase="x", fmt=fmt, kind=kind)))
    assert found
    assert found.state is KeyState.LOCKED
    assert found.public


def test_a_public_file_alone_names_a_key_of_the_agent(tmp_path: Path) -> None:
    path = write_key(tmp_path / "id")
    path.unlink()
    for name in (path, tmp_path / "id.pub"):
        found = read_key_file(str(name))
        assert found
        assert found.state is KeyState.PUBLIC
        assert found.public


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
def test_a_key_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = write_key(tmp_path / "id")
    path.chmod(mode)
    found = read_key_file(str(path))
    assert found
    assert found.state is KeyState.EXPOSED
    assert found.problem == f"can be read by others (mode {mode:04o})"


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"],
)
def test_a_file_that_is_no_key_is_named_in_the_failure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "id"
    path.write_bytes(content)
    path.chmod(0o600)
    found = read_key_file(str(path))
    assert found
    assert found.state is KeyState.UNUSABLE
    assert found.problem.startswith("is no ")


def test_what_is_not_there_is_passed_over(tmp_path: Path) -> None:
    assert read_key_file(str(tmp_path / "id")) is None
    assert read_certificate_file(str(tmp_path / "id-cert.pub")) is None


def test_a_certificate_beside_a_key_belongs_to_it(tmp_path: Path) -> None:
    path = write_key(tmp_path / "id")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(asyncssh.read_public_key(str(path) + ".pub"), "me")
    certificate.write_certificate(str(path) + "-cert.pub")
    found, alone = read_key_file(str(path)), read_certificate_file(str(path) + "-cert.pub")
    assert found
    assert alone
    assert found.certificate == alone.certificate
    assert found.public == alone.public


@async_test
async def test_a_missing_key_counts_only_where_the_user_named_it(tmp_path: Path) -> None:
    path = str(tmp_path / "id")
    for explicit, expected in ((True, f"; {path} does not exist"), (False, "")):
        ring = KeyRing(make_target(identity_files=(path,), identity_files_explicit=explicit), {})
        assert await ring.next_key() is None
        failure = ring.explain(GW)
        assert failure.message == f"gw:22 refused the login of me (no key was offered){expected}"
        assert failure.code is Code.AUTH_DENIED


@async_test
async def test_a_short_rsa_key_is_not_offered(tmp_path: Path) -> None:
    path = str(write_key(tmp_path / "id", kind="ssh-rsa"))
    ring = KeyRing(make_target(identity_files=(path,), required_rsa_size=4096), {})
    assert await ring.next_key() is None
    assert f"{path} has less than the 4096 bits of RequiredRSASize" in ring.explain(GW).message


@async_test
async def test_a_dead_agent_is_named_when_the_login_is_denied(tmp_path: Path) -> None:
    key = write_key(tmp_path / "id")
    env = {"SSH_AUTH_SOCK": str(tmp_path / "no-agent")}
    ring = KeyRing(make_target(identity_files=(str(key),), identity_agent=None), env)
    assert await ring.next_key() is not None
    assert await ring.next_key() is None
    failure = ring.explain(GW)
    assert failure.code is Code.AGENT_UNREACHABLE
    assert f"the SSH agent at {tmp_path}/no-agent cannot be asked" in failure.message
    assert f"offered: {key} (ED25519 SHA256:" in failure.message


@async_test
async def test_other_ways_to_log_in_are_told(tmp_path: Path) -> None:
    ring = KeyRing(make_target(), {})
    ring.note_method("password")
    failure = ring.explain(GW, said="Too many authentication failures\x1b")
    assert failure.message.endswith("; Too many authentication failures; the server also takes: password")


@async_test
async def test_a_server_that_hears_only_some_keys(tmp_path: Path) -> None:
    """Naming one with -i would not help: the keys of the agent come first, as with ssh."""
    ring = KeyRing(make_target(identity_files=(str(write_key(tmp_path / "id")),)), {})
    assert await ring.next_key() is not None
    hint = ring.explain(GW, said="Too many authentication failures").hint
    assert hint.startswith("the server hears only some keys: set IdentitiesOnly yes for this host in ssh_config, and ")
    assert ring.explain(GW).hint.startswith("install a key of yours on the host")


@async_test
async def test_what_a_login_lacks_is_known_before_it(tmp_path: Path) -> None:
    """The code and the command for each want."""
    locked = write_key(tmp_path / "locked", passphrase="secret", fmt="pkcs8-pem")
    open_to_all = write_key(tmp_path / "open")
    open_to_all.chmod(0o644)
    half = write_key(tmp_path / "half").with_suffix(".pub")
    begin = 'eval "$(ssh-agent -s)"; ssh-add'
    dead = {"SSH_AUTH_SOCK": str(tmp_path / "dead")}
    rows: list[tuple[Path, dict[str, str], Code, str]] = [
        (locked, {}, Code.KEY_LOCKED, f"{begin} {locked}"),
        (open_to_all, {}, Code.KEY_EXPOSED, f"chmod 600 {open_to_all}"),
        (half, {}, Code.AGENT_UNREACHABLE, f"{begin} {half.with_suffix('')}"),
        (locked, dead, Code.AGENT_UNREACHABLE, f"{begin} {locked}; openclaw-tunnel restart"),
    ]
    for path, env, code, step in rows:
        ring = KeyRing(make_target(identity_files=(str(path),), identity_agent=None), env)
        assert await ring.prepare() == ()
        failure = ring.shortage(GW)
        assert failure.code is code
        assert step in failure.hint
        assert failure.message.startswith("there is no key to log in to gw:22 as me with")


@async_test
async def test_keys_that_are_passed_over_beside_one_that_can_be_used(tmp_path: Path) -> None:
    good, bad = write_key(tmp_path / "good"), write_key(tmp_path / "bad")
    bad.chmod(0o640)
    files = (str(good), str(bad), str(tmp_path / "gone"))
    ring = KeyRing(make_target(identity_files=files, identity_files_explicit=True), {})
    assert len(await ring.prepare()) == 1
    assert [(trouble.code, trouble.message) for trouble in ring.troubles(GW)] == [
        (Code.KEY_EXPOSED, f"{bad} can be read by others (mode 0640)"),
        (Code.CONFIG, f"{tmp_path / 'gone'} does not exist"),
    ]


@async_test
async def test_the_agent_that_ssh_config_names_is_the_one_to_load(tmp_path: Path) -> None:
    locked = write_key(tmp_path / "id", passphrase="secret", fmt="pkcs8-pem")
    with SshAgent() as agent:
        ring = KeyRing(make_target(identity_files=(str(locked),), identity_agent=str(agent.socket)), {})
        assert await ring.prepare() == ()
        step = f"and the tunnel connects automatically: SSH_AUTH_SOCK={agent.socket} ssh-add {locked}"
        assert ring.shortage(GW).hint == f"load the key into the SSH agent, {step}"
        await ring.close()


@async_test
async def test_an_agent_that_is_started_only_now_is_not_watched(tmp_path: Path) -> None:
    locked = write_key(tmp_path / "id", passphrase="secret", fmt="pkcs8-pem")
    ring = KeyRing(make_target(identity_files=(str(locked),), identity_agent=None), {})
    assert await ring.prepare() == ()
    assert "SSH agent, then bring the tunnel up again: eval " in ring.shortage(GW).hint


@async_test
async def test_an_empty_agent_is_loaded_before_a_key_is_made(tmp_path: Path) -> None:
    half = write_key(tmp_path / "half").with_suffix(".pub")
    with SshAgent() as agent:
        session, named = {"SSH_AUTH_SOCK": str(agent.socket)}, f"SSH_AUTH_SOCK={agent.socket} ssh-add"
        rows: list[tuple[tuple[str, ...], str | None, str]] = [
            ((), None, "ssh-add; if you have none, make a key with ssh-keygen -t ed25519, then install a key of yours"),
            ((), str(agent.socket), f"{named}; if you have none, make a key with "),
            ((str(half),), None, f"ssh-add {half.with_suffix('')}; otherwise install a key of yours on the host with"),
        ]
        for files, named_agent, step in rows:
            ring = KeyRing(make_target(identity_files=files, identity_agent=named_agent), session)
            assert await ring.prepare() == ()
            assert ring.shortage(GW).hint.startswith(f"load a key into the SSH agent: {step}")
            await ring.close()
