"""Real SSH servers on free ports of 127.0.0.1, each with its own folder, keys and configuration.

Every server is a context manager: it answers once it is entered and is gone afterwards. ``tests/real/conftest.py``
has fixtures for them. All of them let the account that runs the tests log in with ``client_key``.
"""

import getpass
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.process import Child, make, missing, program, root_required, send, tail
from support.waiting import accepts, free_port, wait_until

_READY_SECONDS = 15.0


def new_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair at ``path`` and ``path``.pub; the path."""
    make([program("ssh-keygen"), "-q", "-t", kind, "-N", passphrase, "-C", "openclaw-tunnel-test", "-f", path])
    return path


class SshServer:
    """What the servers have in common. Subclasses say how to start theirs.

    Attributes:
        folder: everything of this server, removed at the end.
        port: stays the same over restarts.
        user: who can log in.
        client_key: private key that is let in; ``client_key``.pub is its public half.
        host_key_pub: the server's public host key, as one OpenSSH public key line.
    """

    program_name = ""

    def __init__(self) -> None:
        program(self.program_name)
        if not Path("/proc/self").exists():
            missing("real servers are tested on Linux: connections are found in /proc")
        self.folder = Path(tempfile.mkdtemp(prefix="oct-"))
        self.port = free_port()
        self.user = getpass.getuser()
        self.log = self.folder / f"{self.program_name}.log"
        self.client_key = new_key(self.folder / "id_ed25519")
        self.host_key_pub = ""
        self._child: Child | None = None

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _prepare(self) -> None:
        """Write keys and configuration."""
        raise AssertionError("a server says how it is prepared")

    def _argv(self) -> Sequence[str | Path]:
        """The command that runs the server in the foreground."""
        raise AssertionError("a server says how it is started")

    def start(self) -> None:
        """Start, and return when the port accepts; does nothing while the server runs."""
        if self._child is not None and self._child.running:
            return
        self.kill()
        child = self._child = Child(self._argv(), self.log)
        wait_until(lambda: accepts(self.port) or not child.running, _READY_SECONDS, f"{self.program_name} to accept")
        assert child.running, f"{self.program_name} ended at once:\n{tail(self.log)}"

    def kill(self) -> None:
        """Kill the listener and every connection, as a power cut would look on the same host; idempotent."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Kill everything and start again on the same port."""
        self.kill()
        self.start()

    def stop_listening(self) -> None:
        """End the listener only: connections that exist go on, new ones are refused."""
        assert self._child is not None, "the server runs"
        self._child.stop()

    def cut(self) -> int:
        """Kill every connection and keep listening; how many processes that were."""
        victims = self.connections()
        for pid in victims:
            send(pid, signal.SIGKILL)
        return len(victims)

    def connections(self) -> list[int]:
        """The ids of the processes that serve connections: empty when nobody is connected."""
        return [] if self._child is None else self._child.descendants()

    def freeze(self) -> None:
        """Let listener and connections stand still, as a stalled host does: TCP answers, SSH does not."""
        if self._child is not None:
            self._child.signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        if self._child is not None:
            self._child.signal_all(signal.SIGCONT)

    def fingerprint(self) -> str:
        """Of the host key: ``SHA256:...`` as ssh prints it."""
        path = self.folder / "fingerprint.pub"
        path.write_text(self.host_key_pub + "\n")
        return make([program("ssh-keygen"), "-l", "-f", path]).split()[1]

    def host_key_line(self) -> str:
        """The line of known_hosts that makes this server a known one, without a newline."""
        kind, key = self.host_key_pub.split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {key}"

    def ssh_config(self, alias: str = "gw", *, extra: Sequence[str] = (), known: bool = True) -> Path:
        """Write an ssh_config with this server as ``alias`` and nothing else of this account.

        Args:
            extra: more lines for the Host block; they come first and so win over the ones written here.
            known: whether known_hosts (``folder``/known_hosts) holds the server's key or is empty.

        Returns:
            Path of the file, for ``ssh -F``; one per alias.
        """
        known_hosts = self.folder / "known_hosts"
        known_hosts.write_text(self.host_key_line() + "\n" if known else "")
        lines = [
            *extra,
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {self.user}",
            f"IdentityFile {self.client_key}",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {known_hosts}",
            "GlobalKnownHostsFile none",
            "StrictHostKeyChecking yes",
        ]
        path = self.folder / f"ssh_config.{alias}"
        path.write_text(f"Host {alias}\n" + "".join(f"  {line}\n" for line in lines))
        return path


class Sshd(SshServer):
    """OpenSSH's sshd.

    Args:
        extra: lines for sshd_config; they come first, and sshd takes the first value of most keywords.
        host_key_kinds: a host key of each kind, the first one is ``host_key_pub``.
    """

    program_name = "sshd"

    def __init__(self, extra: Sequence[str] = (), host_key_kinds: Sequence[str] = ("ed25519",)) -> None:
        super().__init__()
        self._extra = tuple(extra)
        self._kinds = tuple(host_key_kinds)

    def _prepare(self) -> None:
        if os.geteuid() == 0:
            # sshd's unprivileged half lives in there; Debian's service unit makes it at each start.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.authorized_keys = self.folder / "authorized_keys"
        shutil.copyfile(f"{self.client_key}.pub", self.authorized_keys)
        self.new_host_keys()

    def new_host_keys(self) -> None:
        """Make new host keys: after a restart() this is a server whose key has changed."""
        for kind in self._kinds:
            path = self.folder / f"host_{kind}"
            path.unlink(missing_ok=True)
            new_key(path, kind=kind)
        self.host_key_pub = (self.folder / f"host_{self._kinds[0]}.pub").read_text().strip()
        self.configure(self._extra)

    def configure(self, extra: Sequence[str]) -> None:
        """Write sshd_config again with other ``extra`` lines; they hold from the next restart() on."""
        self._extra = tuple(extra)
        lines = [
            "MaxStartups 200",  # of this one sshd takes the last value
            *self._extra,
            "ListenAddress 127.0.0.1",
            f"Port {self.port}",
            *(f"HostKey {self.folder / f'host_{kind}'}" for kind in self._kinds),
            f"AuthorizedKeysFile {self.authorized_keys}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "LogLevel VERBOSE",
        ]
        (self.folder / "sshd_config").write_text("".join(f"{line}\n" for line in lines))

    def _argv(self) -> Sequence[str | Path]:
        return [program("sshd"), "-D", "-e", "-f", self.folder / "sshd_config"]


class _AccountFolderServer(SshServer):
    """A server that reads ~/.ssh/authorized_keys of the password database and nothing else.

    It runs in a mount namespace of its own, in which a folder of ours lies over the account's home: the real
    home is never touched. That takes root.
    """

    def __init__(self) -> None:
        program(self.program_name)
        root_required(f"{self.program_name} runs in a mount namespace with a home of its own")
        super().__init__()

    def _prepare(self) -> None:
        home = self.folder / "home"
        (home / ".ssh").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        authorized = home / ".ssh" / "authorized_keys"
        shutil.copyfile(f"{self.client_key}.pub", authorized)
        authorized.chmod(0o600)

    def _in_own_home(self, argv: Sequence[str | Path]) -> Sequence[str | Path]:
        account_home = os.path.expanduser(f"~{self.user}")
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return [program("unshare"), "--mount", "sh", "-c", script, "sh", self.folder / "home", account_home, *argv]


class Dropbear(_AccountFolderServer):
    """Dropbear, the small server of routers and embedded systems.

    Args:
        options: more arguments, such as ``-j`` (no local port forwarding).
    """

    program_name = "dropbear"

    def __init__(self, options: Sequence[str] = ()) -> None:
        super().__init__()
        self._options = tuple(options)

    def _prepare(self) -> None:
        super()._prepare()
        made = make([program("dropbearkey"), "-t", "ed25519", "-f", self.folder / "host_key"])
        self.host_key_pub = next(line for line in made.splitlines() if line.startswith("ssh-ed25519 "))

    def _argv(self) -> Sequence[str | Path]:
        serve: list[str | Path] = [
            program("dropbear"),
            "-F",
            "-E",
            "-s",
            "-r",
            self.folder / "host_key",
            "-P",
            self.folder / "pid",
        ]
        return self._in_own_home([*serve, "-p", f"127.0.0.1:{self.port}", *self._options])


class Tinysshd(_AccountFolderServer):
    """TinySSH, behind socat: a server without any forwarding."""

    program_name = "tinysshd"

    def _prepare(self) -> None:
        super()._prepare()
        keys = self.folder / "keys"
        make([program("tinysshd-makekey"), keys])
        listing = make([program("tinysshd-printkey"), keys])
        self.host_key_pub = next(line for line in listing.splitlines() if line.startswith("ssh-ed25519 "))

    def _argv(self) -> Sequence[str | Path]:
        listen = f"TCP-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork"
        return self._in_own_home([program("socat"), listen, f"EXEC:{program('tinysshd')} -v {self.folder / 'keys'}"])
