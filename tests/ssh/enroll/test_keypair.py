"""ssh/enroll/keypair.py: which key is installed, and how a new one is made."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.keyfiles import KeyState, read_key_file
from openclaw_tunnel.ssh.auth.offers import Offer
from openclaw_tunnel.ssh.enroll.keypair import (
    ChosenKey,
    KeyToMake,
    best_offer,
    choose_key,
    comment_of_account,
    make_key,
)
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.knownhosts import key_line
from support.aio import async_test
from support.process import program
from support.sshtargets import make_target

GW = Hop("gw", "gw.example:22")


async def choice(*paths: Path, **fields: Any) -> ChosenKey | KeyToMake:
    files = tuple(map(str, paths))
    target = make_target(**{"identity_files": files, "identity_files_explicit": True, **fields})
    return await choose_key(target, GW, {})


def key_at(path: Path, passphrase: str | None = None, mode: int = 0o600) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="work key")
    path.write_bytes(key.export_private_key("pkcs8-pem" if passphrase else "openssh", passphrase))
    path.chmod(mode)
    return key


@async_test
async def test_the_first_usable_key_with_its_own_comment(tmp_path: Path) -> None:
    key_at(tmp_path / "locked", "secret")
    key = key_at(tmp_path / "id")
    key_at(tmp_path / "later")
    found = await choice(tmp_path / "locked", tmp_path / "missing", tmp_path / "id", tmp_path / "later")
    assert found == ChosenKey(str(tmp_path / "id"), key.public_data, "work key", in_file=True)
    assert found.line == f"{key_line(key.public_data)} work key"
    assert found.shown.startswith("ED25519 SHA256:")
    assert found.in_file


def test_a_file_that_needs_no_agent_comes_first_and_a_touch_last() -> None:
    def blob(kind: bytes) -> bytes:
        return len(kind).to_bytes(4, "big") + kind

    plain, touch = blob(b"ssh-ed25519"), blob(b"sk-ssh-ed25519@openssh.com")
    certified = Offer(plain, b"certificate", "/c")
    held = Offer(touch, path="/sk", from_agent=True)
    agent, public, file = (
        Offer(plain, from_agent=True),
        Offer(plain, path="/p", from_agent=True),
        Offer(plain, path="/f"),
    )
    assert best_offer([certified, held, agent, public, file], {"/f", "/c"}) is file
    assert best_offer([certified, held, public, agent], {"/c"}) is public
    assert best_offer([certified, held], {"/c"}) is held
    assert best_offer([certified], {"/c"}) is None


@async_test
async def test_where_a_new_key_would_be(tmp_path: Path) -> None:
    key_at(tmp_path / "broken").export_private_key()
    (tmp_path / "broken").write_text("nonsense")
    assert await choice(tmp_path / "broken", tmp_path / "free") == KeyToMake(str(tmp_path / "free"))
    (tmp_path / "half.pub").write_text("nonsense")
    with pytest.raises(ConfigError) as caught:
        await choice(tmp_path / "half")
    assert caught.value.message == f"no usable key for gw, and no place to make one: {tmp_path / 'half'}"
    usual = (tmp_path / "id_rsa", tmp_path / "id_ed25519", tmp_path / "id_ed25519_sk")
    assert await choice(*usual, identity_files_explicit=False) == KeyToMake(str(tmp_path / "id_ed25519"))


@pytest.mark.parametrize(
    ("passphrase", "mode", "what", "hint"),
    [("x", 0o600, "nobody is there to unlock it", "ssh-add"), (None, 0o644, "can be read by others", "chmod 600")],
)
@async_test
async def test_a_key_that_is_shut_gets_none_beside_it(
    tmp_path: Path, passphrase: str | None, mode: int, what: str, hint: str
) -> None:
    key_at(tmp_path / "id", passphrase, mode)
    with pytest.raises(TunnelError, match=what) as caught:
        await choice(tmp_path / "id", tmp_path / "free")
    assert caught.value.exit_code is ExitCode.LOGIN
    assert f"{hint} {tmp_path / 'id'}" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"pubkey_authentication": False}, "PubkeyAuthentication no"),
        ({"preferred_authentications": ("password",)}, "PreferredAuthentications without publickey"),
    ],
)
@async_test
async def test_where_ssh_config_allows_no_keys_none_is_chosen(
    tmp_path: Path, fields: dict[str, Any], setting: str
) -> None:
    key_at(tmp_path / "id")
    with pytest.raises(ConfigError, match=f"ssh_config has {setting} for gw"):
        await choice(tmp_path / "id", **fields)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_pair_is_as_ssh_keygen_makes_it(tmp_path: Path) -> None:
    path = tmp_path / ".ssh" / "id_ed25519"
    before = os.umask(0o077)
    try:
        made = make_key(str(path))
    finally:
        os.umask(before)
    assert (mode(path), mode(tmp_path / ".ssh" / "id_ed25519.pub"), mode(path.parent)) == (0o600, 0o644, 0o700)
    assert sorted(p.name for p in path.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]
    found = read_key_file(str(path))
    assert found is not None
    assert (found.state, found.public) == (KeyState.READY, made.public)
    assert Path(f"{path}.pub").read_text() == made.line + "\n"
    assert made.comment == comment_of_account()
    if shutil.which("ssh-keygen"):
        said = subprocess.run(
            [program("ssh-keygen"), "-y", "-P", "", "-f", path], capture_output=True, text=True, timeout=30
        )
        assert said.stdout.strip() == made.line


@pytest.mark.parametrize("name", ["id", "id.pub"])
def test_a_file_that_exists_is_never_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError) as caught:
        make_key(str(tmp_path / "id"))
    assert caught.value.message == f"{tmp_path / name} exists already"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "mine")]


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        make_key(str(tmp_path / "file" / "id"))
    assert caught.value.exit_code is ExitCode.CONFIG
