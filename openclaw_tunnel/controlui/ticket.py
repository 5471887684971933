"""A secret address for a browser, without the secret in the browser's arguments.

Whoever is logged in to this computer can read the arguments of every process. So the browser is started with the
address of a ticket, which leads to a server on a loopback port that lives for seconds and answers once: with a
redirect to the address that is meant. Those who read the address of the ticket are turned away, for the server asks
the system whose socket it talks to. (A file that redirects, readable by its owner only, would do without a server;
but browsers that come as a snap or a flatpak cannot read it, least of all in a folder whose name begins with a dot.)
"""

import hmac
import os
import secrets
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from openclaw_tunnel.host.ports.peeruid import Address, owner_of_peer

_LOOPBACK = "127.0.0.1"
_POLL = 0.05
_IDLE = 5.0
"""Seconds that a client may be silent."""

_WORDS = {
    HTTPStatus.FORBIDDEN: "This link is for the user who ran openclaw-tunnel open, on this computer.",
    HTTPStatus.GONE: "This link has been used. For another one: openclaw-tunnel open",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
}


class Ticket:
    """One redirect to ``location``, given once, to a program of our user; a context manager that closes the port.

    Args:
        location: where the browser shall go; it holds a secret.
        owner_of: whose socket the first address is, which is connected to the second; None where nobody knows.

    Attributes:
        turned_away: the users who had the address and were refused; None for one that the system did not tell.
    """

    def __init__(self, location: str, *, owner_of: Callable[[Address, Address], int | None] = owner_of_peer) -> None:
        self.turned_away: set[int | None] = set()
        self._location = location
        self._owner_of = owner_of
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._lock = threading.Lock()
        self._used = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="ticket", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """What the browser is started with; worth nothing to others."""
        return f"http://{self._host}{self._path}"

    @property
    def _host(self) -> str:
        return f"{_LOOPBACK}:{self._server.server_address[1]}"

    def wait(self, seconds: float) -> bool:
        """Whether it has been used, or is within ``seconds``."""
        return self._used.wait(seconds)

    def judge(self, path: str, host: str, peer: Address, here: Address) -> HTTPStatus:
        """302 for a request that may use the ticket, used or not; else the answer that it gets.

        Args:
            path: what is asked for.
            host: the Host header.
            peer, here: the ends of the connection.
        """
        owner, known = self._owner_of(peer, here), hmac.compare_digest(path.encode(), self._path.encode())
        if owner != os.geteuid():
            if known:
                self.turned_away.add(owner)
            return HTTPStatus.FORBIDDEN
        if host != self._host:  # a web site that has its own name lead to loopback
            return HTTPStatus.FORBIDDEN
        return HTTPStatus.FOUND if known else HTTPStatus.NOT_FOUND

    def serve(self, request: "_Request") -> None:
        """Answer one request; of two at once, one is too late."""
        here = request.connection.getsockname()
        status = self.judge(request.path, request.headers.get("Host", ""), request.client_address, here)
        if status is not HTTPStatus.FOUND:
            request.answer(status)
            return
        with self._lock:
            if self._used.is_set():
                request.answer(HTTPStatus.GONE)
                return
            request.answer(status, self._location)
            self._used.set()


class _Server(socketserver.ThreadingTCPServer):
    """Not http.server's own: that one asks the name server for the name of 127.0.0.1."""

    daemon_threads = True  # a client that is silent does not outlast the ticket
    request_queue_size = 64

    def __init__(self, ticket: Ticket) -> None:
        super().__init__((_LOOPBACK, 0), _Request)
        self.ticket = ticket

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up early has no answer; that is all there is to say, and the terminal is not the place."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE

    def do_GET(self) -> None:
        self.server.ticket.serve(self)

    def answer(self, status: HTTPStatus, location: str = "") -> None:
        body = _WORDS.get(status, "").encode()
        self.send_response_only(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: paths are secret here."""
