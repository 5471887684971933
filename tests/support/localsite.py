"""A web server of a test's own on 127.0.0.1, in a thread."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """Answers without a word on standard error; subclasses say what."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class LocalSite:
    """Serves from the start until it is closed.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self, handler: type[QuietHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the end."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
