"""The other computer of the story, in a network of its own: a real sshd with an account, and a real OpenClaw Gateway.

Everything of it is in ``FOLDER``, which it sees as the account's home: nothing of this computer's is read or changed.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

INSTALLED_AT = "OPENCLAW_TUNNEL_TEST_GATEWAY"
ADDRESS, NOBODY = "192.0.2.10", "192.0.2.11"
"""Where the SSH server listens, and where nobody does."""

FOLDER = Path("/home/gateway-host")
PASSWORD = "correct horse"

_FAR = f"""
set -eu
near=$1
ip link set lo up
ip link add uplink type veth peer name uplink netns "$near"
ip addr add {ADDRESS}/24 dev uplink
ip addr add {NOBODY}/24 dev uplink
ip link set uplink up
nsenter -t "$near" -n ip addr add 192.0.2.1/24 dev uplink
nsenter -t "$near" -n ip link set uplink up
echo gateway > /proc/sys/kernel/hostname
mount --bind {FOLDER} /home/me
mount --bind /home/me/shadow /etc/shadow
mount -t tmpfs tmpfs /run
mkdir /run/sshd
shift
cd /home/me
exec "$@"
"""

_SSHD_CONFIG = f"""\
ListenAddress {ADDRESS}
HostKey /home/me/host_key
PidFile none
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
"""


def gateway_program() -> tuple[Path, Path]:
    """Node, and the OpenClaw that it runs; the end of this program where they are not there."""
    modules = Path(os.environ.get(INSTALLED_AT, "/nowhere")) / "node_modules"
    node = next(modules.glob("node-linux-*/bin/node"), None)
    if node is None:
        sys.exit(f"there is no OpenClaw Gateway: export {INSTALLED_AT}=$(.ci/servers)")
    return node, modules / "openclaw" / "openclaw.mjs"


class GatewayHost:
    """A context manager; the gateway takes seconds to start, and is live once it is entered."""

    def __init__(self) -> None:
        self._sshd: subprocess.Popen[bytes] | None = None
        self._log = open(FOLDER.with_name("log"), "ab")

    def __enter__(self) -> Self:
        self._furnish()
        node, openclaw = gateway_program()
        far = ["unshare", "--net", "--mount", "--uts", "sh", "-c", _FAR, "sh", str(os.getpid())]
        self._gateway = self._start([*far, str(node), str(openclaw), "gateway", "run"], node.parent)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.fail()
        self._gateway.kill()
        self._gateway.wait()
        self._log.close()

    def _furnish(self) -> None:
        """Keys, settings and a password, as whoever set that computer up has made them."""
        FOLDER.mkdir(mode=0o700)
        auth = {"mode": "token", "token": secrets.token_hex(16)}
        settings = {"gateway": {"mode": "local", "bind": "loopback", "auth": auth}}
        (FOLDER / ".openclaw").mkdir(mode=0o700)
        (FOLDER / ".openclaw/openclaw.json").write_text(json.dumps(settings))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", FOLDER / "host_key"], check=True)
        made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
        (FOLDER / "shadow").write_text(f"me:{made.stdout.strip()}:20000:0:99999:7:::\n")
        (FOLDER / "shadow").chmod(0o600)
        (FOLDER / "sshd_config").write_text(_SSHD_CONFIG)

    def _start(self, argv: Sequence[str], *path: Path) -> "subprocess.Popen[bytes]":
        # No service discovery, no look for updates: there is nothing but the two computers.
        quiet = {"OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_NO_AUTO_UPDATE": "1"}
        paths = ":".join([*map(str, path), os.environ["PATH"]])
        env = {"HOME": "/home/me", "PATH": paths, "LANG": "C.UTF-8", "TMPDIR": "/home/me", **quiet}
        return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def _inside(self, *argv: str) -> list[str]:
        return ["nsenter", "-t", str(self._gateway.pid), "--net", "--mount", "--uts", *argv]

    def is_live(self) -> bool:
        """Whether the gateway lets clients in."""
        ask = self._inside("curl", "-sf", "-m", "2", "http://127.0.0.1:18789/readyz")
        return subprocess.run(ask, capture_output=True).returncode == 0

    def log(self) -> str:
        """What both servers said."""
        return Path(self._log.name).read_text(errors="replace")

    def begin(self) -> None:
        """Let the SSH server run."""
        sshd = ["/usr/sbin/sshd", "-D", "-e", "-f", "/home/me/sshd_config"]
        self._sshd = self._start(self._inside("unshare", "--pid", "--fork", "--kill-child", *sshd))

    def fail(self) -> None:
        """End the SSH server with all of its connections, without a word; idempotent."""
        if self._sshd is not None:
            self._sshd.kill()  # and so, by --kill-child, the whole process namespace
            self._sshd.wait()
            self._sshd = None
