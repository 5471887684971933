"""The service behind a tunnel, in HTTP: answers as a gateway, a long download, an upload, a slow answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_ANSWERS = {"/healthz": {"ok": True, "status": "live"}, "/readyz": {"ready": True}}
_BLOCKS_A_SECOND = 20


class FarServer(ThreadingHTTPServer):
    """On 127.0.0.1 of the network namespace it is made in; a thread of its own, and one for each client.

    ``GET /healthz`` and ``/readyz`` answer at once, ``GET /slow?seconds=6`` when the time is up,
    ``GET /download?rate=N`` sends N bytes a second until the client leaves, ``POST /upload`` reads everything and
    answers with its length.

    Attributes:
        port: where it listens.
        uploaded: bytes that uploads have brought so far.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])
        self.uploaded = 0
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and let downloads and slow answers end."""
        self.ending.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that vanish are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FarServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: float(values[0]) for name, values in parse_qs(url.query).items()}
        if url.path == "/download":
            self._download(int(query["rate"]))
        elif url.path == "/slow":
            self.server.ending.wait(query["seconds"])
            self._answer({"slept": query["seconds"]})
        elif url.path in _ANSWERS:
            self._answer(_ANSWERS[url.path])
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        left = length = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read1(min(left, 1 << 16))):
            left -= len(data)
            self.server.uploaded += len(data)
        self._answer({"length": length - left})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _download(self, rate: int) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        block = b"x" * (rate // _BLOCKS_A_SECOND)
        while not self.server.ending.wait(1 / _BLOCKS_A_SECOND):
            self.wfile.write(block)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
