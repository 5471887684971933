"""The local end of a forward: one address or both loopback ones, and what is in the way."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import openclaw_tunnel
from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.relay.bind import BindFailed, bind, is_free
from support.process import program, root_required
from support.waiting import accepts, free_port

TO = Endpoint("h", 1)


def both(port: int) -> Forward:
    return Forward(Endpoint("127.0.0.1", port), TO, dual=True)


@pytest.fixture
def port() -> int:
    """Free on both loopback addresses."""
    return free_port()


def needs_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this computer has no IPv6 loopback address")


def test_both_loopback_addresses(port: int) -> None:
    needs_ipv6()
    bound = bind(both(port))
    assert (len(bound.sockets), bound.also, bound.note) == (2, (f"[::1]:{port}",), "")
    assert accepts(port)
    assert accepts(port, "::1")
    assert not any(sock.getblocking() for sock in bound.sockets)
    bound.close()
    assert not accepts(port)
    assert not accepts(port, "::1")


def test_one_address_where_one_is_wanted(port: int) -> None:
    bound = bind(Forward(Endpoint("127.0.0.1", port), TO))
    assert (len(bound.sockets), bound.also, bound.note) == (1, (), "")
    assert not accepts(port, "::1")
    bound.close()


def test_the_other_address_is_taken(port: int) -> None:
    needs_ipv6()
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        assert not is_free(both(port))
        bound = bind(both(port))
        assert (len(bound.sockets), bound.also) == (1, ())
        assert bound.note.startswith(f"local port [::1]:{port} is in use by pid {os.getpid()} (")
        assert bound.note.endswith(f"; programs that ask for localhost may get that one: let them use 127.0.0.1:{port}")
        assert accepts(port)
        bound.close()
    assert is_free(both(port))


def test_the_first_address_is_taken(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(both(port))
        with pytest.raises(BindFailed) as caught:
            bind(both(port))
    failure = caught.value.failure
    assert failure.code is Code.PORT_IN_USE
    assert failure.facts["listen"] == f"127.0.0.1:{port}"
    assert failure.message.startswith(f"local port 127.0.0.1:{port} is in use by pid {os.getpid()} (")
    assert failure.hint == (
        "see which, and close it: openclaw-tunnel status, or choose another local port: -p PORT, or -p auto"
    )
    assert not accepts(port, "::1")


def test_what_this_computer_does_not_have() -> None:
    with pytest.raises(BindFailed) as caught:
        bind(Forward(Endpoint("192.0.2.1", 18789), TO))
    assert caught.value.failure.code is Code.PORT_NOT_ALLOWED
    with pytest.raises(BindFailed, match="cannot listen on laptop:1: not an address of this computer"):
        bind(Forward(Endpoint("laptop", 1), TO))
    assert not is_free(Forward(Endpoint("192.0.2.1", 18789), TO))


def test_a_path_that_is_in_use_has_a_hint_of_its_own(tmp_path: Path) -> None:
    forward = Forward(Endpoint(path=str(tmp_path / "s")), TO)
    bound = bind(forward)
    with pytest.raises(BindFailed) as caught:
        bind(forward)
    assert caught.value.failure.hint == f"see what has it: ls -l {tmp_path}/s, or give -L another path"
    bound.close()
    assert not (tmp_path / "s").exists()


def test_a_path_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BindFailed, match="/no/s: No such file or directory") as caught:
        bind(Forward(Endpoint(path=f"{tmp_path}/no/s"), TO))
    assert caught.value.failure.hint == "choose a path for -L in a folder that exists and that you can write to"


WITHOUT_IPV6 = """
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.relay.bind import bind, is_free
forward = Forward(Endpoint("127.0.0.1", 18789), Endpoint("h", 1), dual=True)
print(is_free(forward))
bound = bind(forward)
print(len(bound.sockets), bound.also, repr(bound.note))
"""


@pytest.mark.machine
def test_a_computer_without_ipv6() -> None:
    root_required("a network namespace without IPv6")
    unshare, ip = program("unshare"), program("ip")
    setup = f"echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; {ip} link set lo up"
    done = subprocess.run(
        [unshare, "-n", "sh", "-ec", f'{setup}; exec "$0" -c "$1"', sys.executable, WITHOUT_IPV6],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(openclaw_tunnel.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.returncode) == ("True\n1 () ''\n", 0), done.stderr
