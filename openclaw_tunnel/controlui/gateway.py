"""What the gateway behind a tunnel says of its Control UI: where it is, and whether a token opens it."""

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.ask.gateway import MARGIN, raise_failure
from openclaw_tunnel.ask.question import Question, choose_credentials, revealed
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.orders import Ask
from openclaw_tunnel.controlui.page import CONFIG_PATH, configured, page_url, told_base_path
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.gateway.answer import MAX_ANSWER, Answer, Incoming, parse
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.values import CredentialChoice

HTTP_TIMEOUT = 15.0
"""Seconds for an answer through the local port: a tunnel that has just lost its connection holds clients for ten."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page.

    Attributes:
        url: its address without secret.
        location: the address for the browser, with the token where the gateway takes one; secret.
        wants: what the gateway wants, and the page asks the user for who comes without: ``token``, ``password``,
            ``token or password``, or nothing.
        kept_in: the setting or the variable that has it; empty where that is not known here.
    """

    url: str
    location: str = field(repr=False)
    wants: str = ""
    kept_in: str = ""


@dataclass(frozen=True, slots=True)
class _Key:
    """A credential that may open the page, with what has it unless it was given by hand. An empty one is none."""

    kind: str = ""
    secret: str = field(default="", repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway behind a running tunnel, asked through the daemon and, as the browser will, through the local port.

    Attributes:
        client: of the daemon that has the tunnel.
        tunnel: listens on ``origin``.
        origin: ``http://host:port``.
        question: ``config.get``, as the daemon is asked; says whose settings hold, and holds secrets.
    """

    client: ControlClient
    tunnel: Snapshot
    origin: str
    question: Mapping[str, Any] = field(repr=False)

    def page(self, paths: Paths) -> Page:
        """Find the page, and make sure that it can be signed in to.

        Raises:
            TunnelError: settings or credentials cannot be used, the gateway refuses them or does not answer, or it
                has no Control UI; with the exit code of ``health``.
        """
        keys = list(self._keys(paths))
        if not keys:
            _, page = self._try("", [_Key()])
            if page is not None:
                return page
        answer, page = self._try(self._configured_base_path(), keys or [_Key()])
        if page is None:
            raise self._not_served(answer)
        return page

    def base_path(self, paths: Paths) -> str:
        """The base path as far as it can be found out; empty where it cannot."""
        with contextlib.suppress(TunnelError):
            return urlsplit(self.page(paths).url).path.rstrip("/")
        return ""

    def _keys(self, paths: Paths) -> Iterator[_Key]:
        """The credentials that ``health`` would send, the token first: only that goes into an address."""
        choice = asyncio.run(_choose(Question.from_json(self.question), paths))
        credentials = revealed(choice)
        for kind, secret, source in (
            ("token", credentials.token, choice.token_source),
            ("password", credentials.password, choice.password_source),
        ):
            if secret:
                yield _Key(kind, secret, "" if source.startswith("--") else source)

    def _try(self, base_path: str, keys: list[_Key]) -> tuple[Answer, Page | None]:
        """The last answer, and the page where one of the keys opens it, or where there is none to try."""
        answer = Answer()
        for key in keys:
            answer = get(self.origin, base_path + CONFIG_PATH, key.secret)
            told = told_base_path(answer)
            if told is not None:
                return answer, self._page(told, key)
        if answer.status == http.client.UNAUTHORIZED and keys == [_Key()]:
            return answer, self._page(base_path, _Key("token or password"))
        return answer, None

    def _page(self, base_path: str, key: _Key) -> Page:
        token = key.secret if key.kind == "token" else ""
        location = page_url(self.origin, base_path, token)
        return Page(page_url(self.origin, base_path), location, key.kind, key.source)

    def _configured_base_path(self) -> str:
        """What ``config.get`` says, over the daemon's connection and with the same credentials.

        A gateway answers a wrong bearer over HTTP the slower the more there were, after 5 s in the end; here it says
        at once what is wrong.

        Raises:
            TunnelError: the gateway refuses, or does not answer, with the next step; or it has no Control UI.
        """
        answer = self.client.call(Ask(self.tunnel.name, self.question), timeout=self.question["timeout"] + MARGIN)
        raise_failure(answer)
        enabled, base_path = configured(answer.get("result"))
        if not enabled:
            raise TunnelError(
                f"the gateway on {self.tunnel.alias} has its Control UI switched off: "
                "gateway.controlUi.enabled is false",
                hint="on that host: openclaw config set gateway.controlUi.enabled true, then openclaw gateway restart",
            )
        return base_path

    def _not_served(self, answer: Answer) -> TunnelError:
        said = f"it answers HTTP {answer.status}" if answer.status else "it does not answer in HTTP"
        return TunnelError(
            f"the gateway on {self.tunnel.alias} does not serve its Control UI: {said}",
            hint="look at gateway.controlUi and at its log on that host: openclaw config get gateway.controlUi, "
            "openclaw logs",
        )


def get(origin: str, path: str, secret: str) -> Answer:
    """``GET path`` with ``secret`` as a bearer, unless it is empty; status 0 where no answer comes."""
    parts = urlsplit(origin)
    bearer = f"Authorization: Bearer {secret}\r\n" if secret else ""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n{bearer}Connection: close\r\n\r\n"
    )
    try:
        data = request.encode("latin-1")
    except UnicodeEncodeError:
        return Answer()
    if not secret.isprintable():
        return Answer()  # no header can hold it
    return parse(_exchange((parts.hostname or "", parts.port or http.client.HTTP_PORT), data))


def _exchange(address: tuple[str, int], request: bytes) -> bytes:
    """What comes back within the deadline, which a server that sends a byte now and then cannot extend."""
    end = time.monotonic() + HTTP_TIMEOUT
    incoming = Incoming()
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=HTTP_TIMEOUT) as connection:
        connection.sendall(request)
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(MAX_ANSWER)
            if not data or incoming.feed(data):
                break
    return bytes(incoming)


async def _choose(question: Question, paths: Paths) -> CredentialChoice:
    settings, end = question.settings(paths.tunnels_file), asyncio.get_running_loop().time() + question.timeout
    return await choose_credentials(question, Surface.CALL, settings, through_tunnel=True, end=end)
