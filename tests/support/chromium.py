"""A headless Chromium with a new profile, driven over its DevTools protocol."""

import base64
import itertools
import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.gateway import http_get
from support.process import Child, program, tail
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

    Attributes:
        requests: the URLs that the tab asked for, as they go over the network, without fragment.
        complaints: what its console was told: errors, warnings, violations of a content security policy.
    """

    def __init__(self) -> None:
        path = program("chromium")
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._numbers = itertools.count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="oct-"))
        profile = self._folder / "profile"
        environment = {"HOME": str(self._folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        argv = [path, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._child = Child(argv, self._folder / "log", environment)
        self._socket: ClientConnection | None = None
        self._stack = ExitStack()
        self._port_file = profile / "DevToolsActivePort"

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self._stack.close()
        self._child.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _attach(self) -> None:
        wait_until(lambda: self._debug_port() or not self._child.running, _READY_SECONDS, "chromium")
        assert self._child.running, f"chromium ended at once:\n{tail(self._child.log)}"
        _, found = http_get(self._debug_port(), "/json/list")
        tab = next(target for target in json.loads(found) if target["type"] == "page")
        devtools = connect(tab["webSocketDebuggerUrl"], proxy=None, max_size=None, compression=None)
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
                raise AssertionError(f"chromium is gone:\n{tail(self._child.log)}") from error
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])
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
