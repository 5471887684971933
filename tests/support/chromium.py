"""A headless Chromium with a new profile, driven over its DevTools protocol."""

import base64
import itertools
import json
import shlex
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.gateway import http_get
from support.process import Child, kill_and_wait_gone, pids_with_environment, program, tail
from support.waiting import wait_until

OTHER_NAME = "rebound.example"
"""A name that leads to 127.0.0.1 in this browser, as a web site may have one."""

_READY_SECONDS = 30.0
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # nothing but the page goes out
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {OTHER_NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-port=0",
)


class Chromium:
    """One browser with one tab; a context manager that leaves no process and no file.

    Args:
        by_others: it is started with ``script``, as a program's $BROWSER, and then waits for ``attach``.

    Attributes:
        requests: the URLs that the tab asked for, as they go over the network, without fragment.
        received: what WebSockets of the tab got, as text.
        complaints: what its console was told: errors, warnings, violations of a content security policy.
        profile: the folder that the browser keeps its history in.
        script: starts this browser with the address that is its only argument.
    """

    def __init__(self, *, by_others: bool = False) -> None:
        path = program("chromium")
        self.requests: list[str] = []
        self.received: list[str] = []
        self.complaints: list[str] = []
        self._numbers = itertools.count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="oct-"))
        self.profile = self._folder / "profile"
        self.script = self._folder / "browser"
        self._log = self._folder / "log"
        self._log.touch()
        environment = {"HOME": str(self._folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        argv = [path, *_OPTIONS, f"--user-data-dir={self.profile}"]
        whole = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *argv]
        self.script.write_text(f'#!/bin/sh\nexec {shlex.join(whole)} "$1" >>{self._log} 2>&1\n')
        self.script.chmod(0o700)
        self._child = None if by_others else Child([*argv, "about:blank"], self._log, environment)
        self._socket: ClientConnection | None = None
        self._stack = ExitStack()
        self._port_file = self.profile / "DevToolsActivePort"

    def __enter__(self) -> Self:
        try:
            if self._child is not None:
                self.attach()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self._stack.close()
        if self._child is not None:
            self._child.end()
        kill_and_wait_gone(self.processes())
        shutil.rmtree(self._folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """The ids of its living processes. Linux only."""
        return pids_with_environment(f"HOME={self._folder}")

    def attach(self) -> None:
        """Take the wheel of the browser's tab; returns when it is ours."""
        child = self._child
        wait_until(lambda: self._debug_port() or (child and not child.running), _READY_SECONDS, "chromium")
        assert child is None or child.running, f"chromium ended at once:\n{tail(self._log)}"
        _, found = http_get(self._debug_port(), "/json/list")
        tab = next(target for target in json.loads(found) if target["type"] == "page")
        # a full queue would keep the answer to our goodbye from being read
        url = tab["webSocketDebuggerUrl"]
        devtools = connect(url, proxy=None, max_size=None, max_queue=None, compression=None)
        self._socket = self._stack.enter_context(devtools)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _debug_port(self) -> int:
        lines = self._port_file.read_text().splitlines() if self._port_file.exists() else []
        return int(lines[0]) if len(lines) > 1 else 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; its result. What the tab reports meanwhile is noted.

        Raises:
            AssertionError: it was refused.
        """
        assert self._socket is not None, "the browser runs"
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            try:
                message = json.loads(self._socket.recv(timeout=30))
            except ConnectionClosed as error:
                raise AssertionError(f"chromium is gone:\n{tail(self._log)}") from error
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])
        elif event == "Network.webSocketFrameReceived":
            self.received.append(params["response"]["payloadData"])
        elif event == "Log.entryAdded" and params["entry"]["source"] != "network":
            self.complaints.append(params["entry"]["text"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Go to ``url``; returns when the answer has begun to arrive."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the tab; None while the tab is between two pages."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, f"{expression}: {found}"
        return found["result"].get("value")

    def text(self) -> str:
        """What a person reads in the tab."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def resize(self, width: int, height: int) -> None:
        """Give the tab a size in CSS pixels, as on a phone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)

    def prefer(self, scheme: str) -> None:
        """``light`` or ``dark``."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def without_scripts(self) -> None:
        """As a browser in which scripts are switched off."""
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, path: Path) -> None:
        """Write what the tab shows to ``path``, a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=False)["data"]))
