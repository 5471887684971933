"""The address that a browser is started with, and who may use it (controlui/ticket.py)."""

import http.client
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from openclaw_tunnel.controlui.ticket import Ticket
from support.process import root_required

LOCATION = "http://127.0.0.1:18789/ui/#token=s3cret"
ME = os.geteuid()
NOBODY = 65534


@dataclass
class Answer:
    """What came back, all of it."""

    status: int
    headers: dict[str, str]
    body: str


def fetch(url: str, *, path: str = "", host: str = "", method: str = "GET") -> Answer:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, path or parts.path, headers={"Host": host or parts.netloc})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())


@pytest.fixture
def ticket() -> Iterator[Ticket]:
    with Ticket(LOCATION) as made:
        yield made


def test_it_is_used_once(ticket: Ticket) -> None:
    assert not ticket.wait(0)
    first = fetch(ticket.url)
    assert (first.status, first.headers["Location"], first.body) == (302, LOCATION, "")
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in first.headers
    assert ticket.wait(10)
    second = fetch(ticket.url)
    assert second.status == 410
    assert "s3cret" not in str(second)
    assert ticket.turned_away == set()


def test_the_address_says_nothing_and_cannot_be_guessed(ticket: Ticket) -> None:
    parts = urlsplit(ticket.url)
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path) > 40
    assert "s3cret" not in ticket.url
    with Ticket(LOCATION) as other:
        assert urlsplit(other.url).path != parts.path


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", "", 404),
        ("/favicon.ico", "", 404),
        ("/%C3%A4", "", 404),
        ("", "rebound.example", 403),
        ("", "localhost:1", 403),
        ("", "127.0.0.1", 403),
    ],
)
def test_other_requests_do_not_use_it(ticket: Ticket, path: str, host: str, status: int) -> None:
    asked = fetch(ticket.url, path=path, host=host)
    assert asked.status == status
    assert "s3cret" not in str(asked)
    assert not ticket.wait(0)
    assert fetch(ticket.url).status == 302


def test_of_many_at_once_one_gets_it(ticket: Ticket) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [answer.status for answer in pool.map(fetch, [ticket.url] * 8)]
    assert sorted(found) == [302, *[410] * 7]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_other_methods_do_not_use_it(ticket: Ticket, method: str) -> None:
    assert fetch(ticket.url, method=method).status == 501
    assert fetch(ticket.url).status == 302


@pytest.mark.parametrize("owner", [ME + 1, None])
def test_others_do_not_use_it(owner: int | None) -> None:
    """Those who are another user, and those of whom nobody knows who they are."""
    owners = [owner, owner, ME]
    with Ticket(LOCATION, owner_of=lambda peer, here: owners.pop(0)) as ticket:
        assert fetch(ticket.url, path="/").status == 403
        assert ticket.turned_away == set()
        turned_away = fetch(ticket.url)
        assert turned_away.status == 403
        assert "s3cret" not in str(turned_away)
        assert not ticket.wait(0)
        assert fetch(ticket.url).status == 302
        assert ticket.turned_away == {owner}


def test_the_system_is_asked_about_the_very_connection() -> None:
    asked = []

    def owner_of(peer: tuple[str, int], here: tuple[str, int]) -> int:
        asked.append((peer, here))
        return ME

    with Ticket(LOCATION, owner_of=owner_of) as ticket:
        parts = urlsplit(ticket.url)
        with closing(socket.create_connection((parts.hostname, parts.port))) as client:
            client.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.0 302 ")
            assert asked == [(client.getsockname(), client.getpeername())]


def test_whoever_says_nothing_keeps_nobody_from_it(ticket: Ticket) -> None:
    """As browsers do that open a second connection in case they need one."""
    parts = urlsplit(ticket.url)
    with closing(socket.create_connection((parts.hostname, parts.port))):
        assert fetch(ticket.url).status == 302


def test_a_program_of_another_user_is_turned_away(ticket: Ticket) -> None:
    root_required("becomes another user")
    parts = urlsplit(ticket.url)
    request = f"GET {parts.path} HTTP/1.1\\r\\nHost: {parts.netloc}\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/127.0.0.1/{parts.port}; printf '{request}' >&3; cat <&3"
    run = ["bash", "-c", script]
    done = subprocess.run(run, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("HTTP/1.0 403 "), done
    assert "s3cret" not in done.stdout
    assert ticket.turned_away == {NOBODY}
    done = subprocess.run(run, capture_output=True, text=True, timeout=30)
    assert f"Location: {LOCATION}" in done.stdout


def test_the_port_is_closed_afterwards() -> None:
    with Ticket(LOCATION) as ticket:
        url = ticket.url
    with pytest.raises(ConnectionRefusedError):
        fetch(url)
