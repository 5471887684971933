"""A real sshd that takes a password, for an account of its own that exists nowhere else."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from support.process import make, program, root_required
from support.servers import Sshd

_UID, _GID = 23457, 65534


class PasswordSshd(Sshd):
    """OpenSSH's sshd with password login, in a mount namespace with password files of its own.

    The computer's own /etc stays as it is. Takes root. A pid of the account's processes is one of ``connections()``.

    Args:
        extra: lines for sshd_config, as for ``Sshd``.
        shell: the account's login shell.
        let_in: whether ``client_key`` is in authorized_keys from the start; by default there is not even ~/.ssh.

    Attributes:
        user: the account; ``password`` lets it in.
        home: its home folder, 0700; owned by it, and so must be what a test puts there: ``give``.
    """

    def __init__(self, extra: Sequence[str] = (), *, shell: str = "/bin/sh", let_in: bool = False) -> None:
        root_required("password files of its own, in a mount namespace")
        super().__init__(extra)
        self.user = "remote"
        self.password = "correct horse"
        self.home = self.folder / "home"
        self._shell = shell
        self._let_in = let_in

    def _prepare(self) -> None:
        self.folder.chmod(0o711)  # the account has to get to its home
        super()._prepare()
        self.home.mkdir(mode=0o700)
        self.authorized_keys = self.home / ".ssh" / "authorized_keys"
        if self._let_in:
            self.authorized_keys.parent.mkdir(mode=0o700)
            shutil.copyfile(f"{self.client_key}.pub", self.authorized_keys)
        self.give(self.home)
        digest = make([program("openssl"), "passwd", "-6", self.password]).strip()
        self._write_accounts("passwd", f"{self.user}:x:{_UID}:{_GID}::{self.home}:{self._shell}")
        self._write_accounts("shadow", f"{self.user}:{digest}:20000:0:99999:7:::").chmod(0o600)
        self.configure(self._extra)

    def _write_accounts(self, name: str, line: str) -> Path:
        path = self.folder / name
        path.write_text(Path("/etc", name).read_text() + line + "\n")
        return path

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder and all in it."""
        for found in (path, *path.rglob("*")):
            os.chown(found, _UID, _GID)

    def put(self, name: str, content: str, mode: int = 0o600) -> Path:
        """Write a file of the account's, folders included; ``name`` is relative to its home."""
        path = self.home / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        self.give(self.home)
        return path

    def configure(self, extra: Sequence[str]) -> None:
        """Write sshd_config again with other ``extra`` lines; they hold from the next restart() on."""
        own = (
            "PasswordAuthentication yes",
            "AuthorizedKeysFile .ssh/authorized_keys",
            "StrictModes yes",
            f"AllowUsers {self.user}",
        )
        super().configure((*extra, *own))
        self._extra = tuple(extra)

    def ssh_config(
        self, alias: str = "gw", *, extra: Sequence[str] = (), known: bool = True, identity: Path | None = None
    ) -> Path:
        """As of ``SshServer``; ``identity`` stands in for ``client_key``, and need not exist."""
        path = super().ssh_config(alias, extra=extra, known=known)
        if identity is not None:
            text = path.read_text().replace(f"IdentityFile {self.client_key}\n", f"IdentityFile {identity}\n")
            path.write_text(text)
        return path

    def _argv(self) -> Sequence[str | Path]:
        script = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && shift && exec "$@"'
        return [program("unshare"), "--mount", "sh", "-c", script, "sh", self.folder, *super()._argv()]
