"""Which key of the user's a gateway's host shall know: one that is there, or a new one."""

import getpass
import os
import shlex
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.files import write_new
from openclaw_tunnel.ssh.auth.keyfiles import KeyFile, KeyState
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.auth.offers import Offer
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.knownhosts import describe_key, key_line, key_type
from openclaw_tunnel.ssh.hostkeys.trust import as_error
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.target import SshTarget

_NEW_NAME = "id_ed25519"
_PRIVATE, _PUBLIC, _FOLDER = 0o600, 0o644, 0o700


@dataclass(frozen=True, slots=True)
class ChosenKey:
    """A key to install.

    Attributes:
        path: its file; empty where only the agent has it.
        public: in wire format.
        comment: what stands behind it in its line; printable.
        in_file: the file can be used without an agent; else a service gets in only while it reaches one that has it.
    """

    path: str
    public: bytes
    comment: str
    in_file: bool

    @property
    def line(self) -> str:
        """What authorized_keys gets; no secret."""
        return f"{key_line(self.public)} {self.comment}".strip()

    @property
    def shown(self) -> str:
        """``ED25519 SHA256:...``."""
        return describe_key(self.public)


@dataclass(frozen=True, slots=True)
class KeyToMake:
    """There is no key yet: ``path`` is where ssh would look for the one that ``make_key`` makes."""

    path: str


async def choose_key(target: SshTarget, hop: Hop, env: Mapping[str, str]) -> ChosenKey | KeyToMake:
    """The key that a tunnel to ``target`` would use if the host knew it.

    A file that needs no agent comes first: a service may have none. A key that has to be touched comes last.

    Raises:
        TunnelError: KEY_LOCKED, KEY_EXPOSED: the keys that are there cannot be used as they are.
        ConfigError: ssh_config allows no keys, or leaves no place for a new one.
    """
    preferred = target.preferred_authentications
    if not target.pubkey_authentication or (preferred and "publickey" not in preferred):
        setting = (
            "PreferredAuthentications without publickey" if target.pubkey_authentication else "PubkeyAuthentication no"
        )
        raise ConfigError(
            f"ssh_config has {setting} for {hop.typed}: a tunnel has nothing but keys to log in with",
            hint="set PubkeyAuthentication yes there, and let publickey stand in PreferredAuthentications",
        )
    ring = KeyRing(target, env)
    try:
        offers = await ring.prepare()
        ready = {f.path for f in ring.files if f.state is KeyState.READY}
        if chosen := best_offer(offers, ready):
            comment = ring.comment_of(chosen) or comment_of_account()
            return ChosenKey(chosen.path, chosen.public, comment, chosen.path in ready)
    finally:
        await ring.close()
    return KeyToMake(_where_to_make(target, hop, ring.files))


def best_offer(offers: Sequence[Offer], ready: Collection[str]) -> Offer | None:
    """Of the keys that could be offered, the one to install; certificates need no installation.

    Args:
        ready: the files that can be used without an agent.
    """
    plain = [o for o in offers if not o.certificate]
    return min(plain, key=lambda o: (key_type(o.public).startswith("sk-"), o.path not in ready), default=None)


def comment_of_account() -> str:
    """``user@computer``, as ssh-keygen writes it."""
    return clean(f"{getpass.getuser()}@{socket.gethostname()}")


def _where_to_make(target: SshTarget, hop: Hop, files: Sequence[KeyFile]) -> str:
    """A path that ssh looks at and that is free.

    A key that is there and locked is the user's own way to keep keys: none without passphrase is put beside it.
    """
    shut = (KeyState.LOCKED, KeyState.TOUCH)
    if locked := next((f for f in files if f.state in shut), None):
        text = f"{locked.path} is the key for {hop.host}, and nobody is there to unlock it for a tunnel"
        raise as_error(hop.failure(Code.KEY_LOCKED, text, key=shlex.quote(locked.path)))
    if exposed := next((f for f in files if f.state is KeyState.EXPOSED), None):
        text = f"{exposed.path} {exposed.problem}, so ssh does not use it"
        raise as_error(hop.failure(Code.KEY_EXPOSED, text, key=shlex.quote(exposed.path)))
    paths = target.identity_files
    if not target.identity_files_explicit:
        paths = tuple(p for p in paths if os.path.basename(p) == _NEW_NAME)
    for path in paths:
        if not os.path.lexists(path) and not os.path.lexists(f"{path}.pub"):
            return path
    names = ", ".join(paths) or "no IdentityFile"
    raise ConfigError(
        f"no usable key for {hop.typed}, and no place to make one: {names}",
        hint="make one elsewhere and name it: ssh-keygen -t ed25519 -f ~/.ssh/id_openclaw, then -i ~/.ssh/id_openclaw",
    )


def make_key(path: str, comment: str = "") -> ChosenKey:
    """Make an ed25519 key pair WITHOUT a passphrase: nobody is there to type it when a tunnel reconnects at night.

    Files are made as ssh-keygen makes them: ``path`` 0600, ``path``.pub 0644, a missing folder 0700. Both are there
    afterwards, or neither; a file that exists is never touched.

    Args:
        comment: by default ``user@computer``.

    Raises:
        ConfigError: one of them exists, or cannot be written.
    """
    comment = comment or comment_of_account()
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    public = f"{key_line(key.public_data)} {comment}\n".encode()
    try:
        Path(path).parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        write_new(Path(path), key.export_private_key(), mode=_PRIVATE)
        try:
            write_new(Path(f"{path}.pub"), public, mode=_PUBLIC)
        except BaseException:
            os.unlink(path)
            raise
    except OSError as exc:
        if exc.filename in (path, f"{path}.pub") and isinstance(exc, FileExistsError):
            what, hint = f"{exc.filename} exists already", "it is left as it is; name another key: -i FILE"
        else:
            what, hint = f"{path} cannot be made: {exc.strerror}", "check that folder, or name another key: -i FILE"
        raise ConfigError(what, hint=hint) from exc
    return ChosenKey(path, key.public_data, comment, in_file=True)
