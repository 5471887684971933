"""The lab itself: its faults are what the other tests take them for, seen with plain sockets and clocks."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator

import pytest

from support.crowd import Fate, crowd
from support.netlab import SERVER, Lab
from support.process import program
from support.waiting import accepts, wait_until

pytestmark = pytest.mark.machine


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(ports=2) as made:
        yield made


def greets(lab: Lab, port: int = 0, *, timeout: float = 0.5) -> bool:
    """Whether sshd answers to the client's side."""
    with lab.client.inside():
        try:
            with socket.create_connection((SERVER, port or lab.sshd.port), timeout=timeout) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def still_there(connection: socket.socket) -> bool:
    """Whether sshd answers on a connection that has been greeted: its key exchange, to our greeting."""
    connection.settimeout(0.5)
    try:
        connection.sendall(b"SSH-2.0-test\r\n")
        return bool(connection.recv(1))
    except OSError:
        return False


def connect(lab: Lab, port: int = 0) -> socket.socket:
    """A connection to sshd that has been greeted."""
    with lab.client.inside():
        connection = socket.create_connection((SERVER, port or lab.sshd.port), timeout=5)
    assert connection.recv(100).startswith(b"SSH-")
    return connection


def test_two_labs_know_nothing_of_each_other(lab: Lab) -> None:
    with Lab() as other:
        other.blackhole(True)
        assert greets(lab)
        assert greets(lab, lab.sshd.ports[1])
        assert not greets(other)
    assert not accepts(lab.sshd.port), "nothing of it is reachable from outside"


def test_nothing_is_left_of_a_lab_where_something_breaks() -> None:
    lab = Lab()
    with contextlib.suppress(ZeroDivisionError), lab:
        left = subprocess.Popen(list(map(str, lab.client.argv([program("sleep"), "60"]))))
        wait_until(lambda: lab.client.pids() == [left.pid], 5, "the program in its namespace")
        raise ZeroDivisionError
    assert left.wait(5) < 0
    assert not lab.client.path.exists()
    assert not lab.server.path.exists()
    assert not lab.folder.exists()


def test_a_blackhole_swallows_everything_and_ends(lab: Lab) -> None:
    with connect(lab) as connection:
        lab.blackhole(True)
        assert not greets(lab)
        assert not still_there(connection)
        lab.blackhole(False)
        assert greets(lab)
        wait_until(lambda: connection.recv(1), 5, "what was sent meanwhile to arrive")


def test_a_forgotten_flow_is_dead_and_new_ones_are_fine(lab: Lab) -> None:
    with connect(lab) as old, connect(lab, lab.sshd.ports[1]) as other:
        assert lab.forget_flows(lab.sshd.port) == [old.getsockname()[1]]
        assert not still_there(old)
        assert still_there(other)
        with connect(lab) as new:
            assert still_there(new)


def test_another_address_leaves_old_connections_dead(lab: Lab) -> None:
    with connect(lab) as old:
        lab.change_address()
        assert not still_there(old)
        with connect(lab) as new:
            assert new.getsockname()[0] != old.getsockname()[0]
            assert still_there(new)


def test_a_network_card_goes_off_and_on(lab: Lab) -> None:
    lab.link(False)
    with lab.client.inside(), pytest.raises(OSError, match="unreachable"):
        socket.create_connection((SERVER, lab.sshd.port), timeout=5)
    lab.link(True)
    wait_until(lambda: greets(lab), 10, "the link")


def test_killed_connections_are_gone_and_sshd_is_not(lab: Lab) -> None:
    with connect(lab) as connection:
        lab.kill_connections()
        assert not still_there(connection)
        assert greets(lab)


@pytest.mark.parametrize("after_login", [False, True])
def test_a_dropper_counts_and_drops(lab: Lab, after_login: bool) -> None:
    config = lab.sshd.ssh_config_for(1)
    command = [program("ssh"), "-F", str(config), "-v", "-N", "gw1"]
    with lab.dropping(after_login=after_login) as dials, lab.client.inside():
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert done.returncode == 255
        assert ("Authenticated to" in done.stderr) is after_login
        assert {port: len(times) for port, times in dials.items()} == {lab.sshd.ports[0]: 0, lab.sshd.ports[1]: 1}
    assert greets(lab)


def test_clients_tell_what_became_of_them(lab: Lab) -> None:
    """On the far side's own loopback, with nothing in between."""
    with lab.server.inside():
        silent = socket.create_server(("127.0.0.1", 0))
        closing = socket.create_server(("127.0.0.1", 0))
        nobody = socket.create_server(("127.0.0.1", 0))
    with silent, closing, nobody:
        port = int(nobody.getsockname()[1])
        nobody.close()
        with crowd(lab.server) as people:
            expected = {
                Fate.ANSWERED: people.visit(lab.far.port),
                Fate.TOLD: people.visit(lab.far.port, path="/nothing"),
                Fate.REFUSED: people.visit(port),
                Fate.GAVE_UP: people.visit(int(silent.getsockname()[1]), patience=0.2),
                Fate.CLOSED: people.visit(int(closing.getsockname()[1])),
            }
            accepted, _ = closing.accept()
            accepted.recv(100)
            accepted.close()
            wait_until(lambda: all(visit.fate is not Fate.WAITING for visit in expected.values()), 10, "their fates")
            assert {fate: visit.fate for fate, visit in expected.items()} == {fate: fate for fate in expected}
            upload, download = people.upload(lab.far.port), people.download(lab.far.port)
            wait_until(lambda: len(download.arrivals) > 2 and lab.far.uploaded > 200, 10, "the transfers")
            assert upload.ended is None
            assert download.ended is None
