"""Server and client against each other, through a real Unix socket."""

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.control import wire
from openclaw_tunnel.control.client import ControlClient, StreamTimeout
from openclaw_tunnel.control.lock import DaemonLock
from openclaw_tunnel.control.messages import Watch
from openclaw_tunnel.control.orders import UpAgain
from openclaw_tunnel.control.server import Emit, _peer_is_us
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused, TunnelError
from support.fakedaemon import FakeDaemon, serving
from support.rawrequest import raw, raw_stream
from support.waiting import wait_until


def refuse(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    raise RequestRefused("no", hint="why", exit_code=ExitCode.CONFIG)


def break_down(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    raise ZeroDivisionError("secret")


async def count(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    for number in range(params["to"]):
        emit({"number": number})
    return {"done": True}


async def hang(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    emit({"number": 0})
    await asyncio.Event().wait()
    return {}


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon(refuse=refuse, crash=break_down, count=count, hang=hang, up=lambda params, emit: {}, watch=hang)


@pytest.fixture
def path(tmp_path: Path, daemon: FakeDaemon) -> Iterator[Path]:
    with serving(tmp_path, daemon) as path:
        yield path


@pytest.fixture
def client(path: Path) -> ControlClient:
    return ControlClient(path)


def exchange(path: Path, data: bytes) -> list[dict[str, Any]]:
    """Send bytes, return the objects that come back until the server answers or hangs up."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(data)
        with sock.makefile("rb") as lines:
            return [json.loads(lines.readline())]


def test_a_call_is_answered(client: ControlClient, daemon: FakeDaemon) -> None:
    assert client.call(raw("ping", a=1)) == {"pid": os.getpid(), "version": "0.1.0"}
    assert daemon.asked == [("ping", {"a": 1})]


def test_an_answer_that_cannot_be_read_is_an_error(client: ControlClient) -> None:
    with pytest.raises(TunnelError) as raised:
        client.call(UpAgain("dev"))
    assert raised.value.message == "the running daemon's answer cannot be read: KeyError"
    assert "openclaw-tunnel down --all" in raised.value.hint


def test_an_event_that_cannot_be_read_is_one_too(client: ControlClient) -> None:
    with pytest.raises(TunnelError, match="the running daemon's answer cannot be read: KeyError"):
        next(client.stream(Watch("dev")))


def test_a_refusal_arrives_as_it_was_raised(client: ControlClient) -> None:
    with pytest.raises(RequestRefused) as refused:
        client.call(raw("refuse"))
    assert (refused.value.message, refused.value.hint, refused.value.exit_code) == ("no", "why", ExitCode.CONFIG)


def test_an_unknown_method_is_refused(client: ControlClient) -> None:
    with pytest.raises(RequestRefused, match="the running daemon does not know 'fly'"):
        client.call(raw("fly"))


def test_a_bug_of_the_daemon_is_one_sentence_and_the_daemon_goes_on(client: ControlClient) -> None:
    with pytest.raises(RequestRefused) as refused:
        client.call(raw("crash"))
    assert refused.value.message == "internal error of the daemon"
    assert refused.value.exit_code is ExitCode.BUG
    assert client.call(raw("ping"))


def test_events_come_in_order_before_the_answer(client: ControlClient) -> None:
    assert [event["number"] for event in client.stream(raw_stream("count", to=1000))] == list(range(1000))
    assert client.call(raw("count", to=3)) == {"done": True}


def test_hanging_up_cancels_the_call(client: ControlClient, daemon: FakeDaemon) -> None:
    events = client.stream(raw_stream("hang"))
    assert next(events) == {"number": 0}
    assert not daemon.cancelled.is_set()
    events.close()  # type: ignore[attr-defined]  # an iterator by contract, a generator by nature
    assert daemon.cancelled.wait(10)


def test_a_stream_ends_at_its_deadline(client: ControlClient) -> None:
    events = client.stream(raw_stream("hang"), timeout=3)
    assert next(events) == {"number": 0}
    with pytest.raises(StreamTimeout):
        next(events)


def test_a_daemon_that_hangs_is_named(client: ControlClient) -> None:
    with pytest.raises(TunnelError) as raised:
        client.call(raw("hang"), timeout=0.1)
    assert raised.value.message == f"the daemon (pid {os.getpid()}) does not answer"
    assert raised.value.hint == (
        f"let it go on if it was stopped with Ctrl-Z: kill -CONT {os.getpid()}; "
        f"else end it and start anew: kill -9 {os.getpid()}; openclaw-tunnel up -d"
    )


def test_a_daemon_that_never_accepts_hangs_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(tmp_path / "control.sock"))
            with pytest.raises(TunnelError, match="the daemon does not answer"):
                ControlClient(tmp_path / "control.sock").call(raw("ping"), timeout=0.1)


@pytest.mark.parametrize("leftover", ["none", "file", "socket", "folder"])
def test_no_daemon(tmp_path: Path, leftover: str) -> None:
    path = tmp_path / "control.sock"
    if leftover == "file":
        path.write_text("x")
    if leftover == "folder":
        path.mkdir()
    if leftover == "socket":
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
    with pytest.raises(DaemonUnreachable) as raised:
        ControlClient(path).call(raw("ping"))
    assert raised.value.message == "no tunnel is running"
    assert raised.value.hint == "start one: openclaw-tunnel up"


def test_a_stale_socket_is_replaced(tmp_path: Path, daemon: FakeDaemon) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "control.sock"))
    with serving(tmp_path, daemon) as path:
        assert ControlClient(path).call(raw("ping"))
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_live_socket_is_not(path: Path, client: ControlClient) -> None:
    before = path.stat().st_ino
    with pytest.raises(RequestRefused, match="another openclaw-tunnel daemon of this user runs"):
        DaemonLock(path.with_name("daemon.lock")).acquire()
    assert client.call(raw("ping"))
    assert path.stat().st_ino == before


def test_a_long_path_works(tmp_path: Path, daemon: FakeDaemon) -> None:
    room = 100 - len(str(tmp_path)) - len("/control.sock") - 1
    assert room > 0
    folder = tmp_path / ("d" * room)
    folder.mkdir()
    with serving(folder, daemon) as path:
        assert len(str(path)) == 100
        assert ControlClient(path).call(raw("ping"))


def test_a_socket_that_vanished_is_made_again(path: Path, client: ControlClient) -> None:
    path.unlink()
    wait_until(path.exists)
    wait_until(lambda: _answers(client))


def test_a_removed_folder_orphans_the_daemon(path: Path, daemon: FakeDaemon) -> None:
    assert not daemon.was_orphaned.is_set()
    shutil.rmtree(path.parent)
    assert daemon.was_orphaned.wait(10)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello\n", "not a request: not JSON"),
        (b"\xff\n", "not a request: not UTF-8"),
        (
            b'{"v":2,"id":1,"method":"status"}\n',
            "the command speaks version 2 of the control protocol, the running daemon version 1",
        ),
    ],
)
def test_noise_is_answered_with_a_sentence(path: Path, client: ControlClient, line: bytes, message: str) -> None:
    (answer,) = exchange(path, line)
    assert answer["ok"] is False
    assert answer["error"]["message"] == message
    assert client.call(raw("ping"))


def test_a_line_that_does_not_end_is_answered_with_a_sentence(tmp_path: Path, daemon: FakeDaemon) -> None:
    with serving(tmp_path, daemon, limit=1 << 20) as path:
        (answer,) = exchange(path, b"x" * (1 << 20) + b"xx\n")
        assert answer["error"]["message"] == "not a request: longer than 1048576 bytes"
        assert ControlClient(path).call(raw("ping"))


def test_a_long_request_arrives(client: ControlClient, daemon: FakeDaemon) -> None:
    daemon.methods["measure"] = lambda params, emit: {"length": len(params["text"])}
    assert client.call(raw("measure", text="x" * (3 << 20))) == {"length": 3 << 20}


def test_one_connection_may_ask_twice(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as lines:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(wire.encode_request(wire.Request(1, "ping", {})))
        sock.sendall(wire.encode_request(wire.Request(2, "ping", {})))
        assert [json.loads(lines.readline())["id"] for _ in range(2)] == [1, 2]


def test_a_client_that_never_reads_is_hung_up_on(path: Path, daemon: FakeDaemon) -> None:
    async def flood(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        while True:
            emit({"x": "x" * 100_000})
            await asyncio.sleep(0)

    daemon.methods["flood"] = flood
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(wire.encode_request(wire.Request(1, "flood", {})))
        assert daemon.cancelled.wait(10)


def test_closing_lets_the_last_answer_out(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def slow(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        begun.set()
        await asyncio.to_thread(go_on.wait, 10)
        return {"closed": ["dev"]}

    answers: list[dict[str, Any]] = []
    with serving(tmp_path, FakeDaemon(slow=slow)) as path:
        asking = threading.Thread(target=lambda: answers.append(ControlClient(path).call(raw("slow"))))
        asking.start()
        assert begun.wait(10)
        go_on.set()
    asking.join(10)
    assert answers == [{"closed": ["dev"]}]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(TunnelError) as raised:
        ControlClient(tmp_path / "control.sock").call(raw("ping"))
    assert raised.value.message == f"the folder of the control socket belongs to another user: {tmp_path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_process_of_another_user_is_refused() -> None:
    def peer_of(uid: int) -> bool:
        os.seteuid(uid)
        try:
            ours, theirs = socket.socketpair()
        finally:
            os.seteuid(0)
        with ours, theirs:
            return _peer_is_us(ours)

    assert peer_of(0)
    assert not peer_of(12345)


def _answers(client: ControlClient) -> bool:
    try:
        return bool(client.call(raw("ping")))
    except DaemonUnreachable:
        return False
