"""What a tunnel is made of: valid by construction, and the same after a journey as JSON."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import (
    Endpoint,
    Forward,
    PortChoice,
    Probe,
    TunnelSpec,
    check_name,
    check_port,
    parse_bind,
    parse_forward,
)
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.main_forward import as_argument

MAIN = Forward(Endpoint("127.0.0.1", 18789), Endpoint("127.0.0.1", 18789))

FORWARDS = {
    "18789:127.0.0.1:18789": MAIN,
    "localhost:1:b:2": Forward(Endpoint("127.0.0.1", 1), Endpoint("b", 2), dual=True),
    "[::1]:8080:[::1]:80": Forward(Endpoint("::1", 8080), Endpoint("::1", 80)),
    ":1:b:2": Forward(Endpoint("127.0.0.1", 1), Endpoint("b", 2)),
    "*:1:b:2": Forward(Endpoint("0.0.0.0", 1), Endpoint("b", 2)),
    "/tmp/a.sock:db:5432": Forward(Endpoint(path="/tmp/a.sock"), Endpoint("db", 5432)),
    "8080:/run/b.sock": Forward(Endpoint("127.0.0.1", 8080), Endpoint(path="/run/b.sock")),
    "10.0.0.1:8080:/run/b.sock": Forward(Endpoint("10.0.0.1", 8080), Endpoint(path="/run/b.sock")),
    "/a:/b": Forward(Endpoint(path="/a"), Endpoint(path="/b")),
}


@pytest.mark.parametrize(("text", "wanted"), FORWARDS.items(), ids=FORWARDS)
def test_forwards(text: str, wanted: Forward) -> None:
    assert parse_forward(text) == wanted


@pytest.mark.parametrize("text", FORWARDS)
def test_a_forward_written_out_reads_the_same(text: str) -> None:
    forward = parse_forward(text)
    assert parse_forward(as_argument(forward)) == forward


NO_FORWARDS = ["", "1", "1:2", "a:b:c", "1:b:c", "0:b:1", "1:b:65536", "1:b:1_0", "1:b: 2", "+1:b:2", "٢:b:2", "1::2"]


@pytest.mark.parametrize("text", [*NO_FORWARDS, "::1:1:b:2", "a:b:1:c:2", "[::1:1:b:2", "rel/a:b:2", "1:[b:2"])
def test_what_is_no_forward(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_forward(text)
    assert caught.value.hint


@given(st.text("0189abz:[]/*. -", max_size=20))
def test_any_text_is_a_forward_or_a_usage_error(text: str) -> None:
    try:
        forward = parse_forward(text)
    except UsageError:
        return
    assert forward.to.path or forward.to.port
    assert forward.listen.path or forward.listen.port


BINDS = {
    "127.0.0.1": "127.0.0.1",
    "localhost": "localhost",
    "*": "0.0.0.0",
    "[::1]": "::1",
    "0:0:0:0:0:0:0:1": "::1",
    "fe80::1%eth0": "fe80::1%eth0",
}


@pytest.mark.parametrize(("text", "wanted"), BINDS.items())
def test_listen_addresses(text: str, wanted: str) -> None:
    assert parse_bind(text) == wanted


@pytest.mark.parametrize("text", ["", "gw", "1.2.3", "127.0.0.1:80", "[127.0.0.1", "1"])
def test_what_is_no_listen_address(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_bind(text)
    assert caught.value.message == f"not an address to listen on: {text!r}"
    assert caught.value.hint == "write an IP address of this computer, such as 127.0.0.1"


def test_ports() -> None:
    assert [check_port(1), check_port(65535)] == [1, 65535]
    for port in (0, -1, 65536):
        with pytest.raises(UsageError, match=f"not a port: {port}"):
            check_port(port)


LOCAL_ONLY = {
    Endpoint("127.0.0.1", 1): True,
    Endpoint("127.9.9.9", 1): True,
    Endpoint("::1", 1): True,
    Endpoint("localhost", 1): True,
    Endpoint(path="/x"): True,
    Endpoint("0.0.0.0", 1): False,
    Endpoint("::", 1): False,
    Endpoint("192.168.1.2", 1): False,
    Endpoint("gw", 1): False,
}


@pytest.mark.parametrize(("end", "wanted"), LOCAL_ONLY.items(), ids=str)
def test_who_can_reach_it(end: Endpoint, wanted: bool) -> None:
    assert end.is_local_only is wanted


@pytest.mark.parametrize("path", ["rel", "/a\0b", "/" + "x" * 103, "/" + "ö" * 52])
def test_what_is_no_socket_path(path: str) -> None:
    with pytest.raises(UsageError, match="socket path must be absolute"):
        Endpoint(path=path)


@pytest.mark.parametrize(("host", "port"), [("", 1), ("a b", 1), ("a/b", 1), ("a", 0), ("a", 65536)])
def test_what_is_no_address(host: str, port: int) -> None:
    with pytest.raises(UsageError, match="not an address"):
        Endpoint(host, port)


def test_names() -> None:
    assert check_name("a-B_9") == "a-B_9"
    for name in ("", "-a", "_a", "a b", "a/b", "x" * 65, "ä"):
        with pytest.raises(UsageError, match="not a tunnel name"):
            check_name(name)


def test_a_spec_survives_the_journey() -> None:
    spec = TunnelSpec(
        name="work",
        target="me@gw",
        forwards=(replace(MAIN, dual=True), Forward(Endpoint(path="/a"), Endpoint(path="/b"))),
        identity="/k",
        ssh_config="/c",
        probe=Probe.TCP,
        allow_remote_clients=True,
        policy=Policy(hold=3.0),
        address="me@gw:22",
        port_choice=PortChoice.AUTO,
        sandbox=True,
        browser=True,
    )
    assert read(TunnelSpec, json.loads(json.dumps(asdict(spec)))) == spec
    assert spec.main == replace(MAIN, dual=True)
    assert [str(f) for f in spec.forwards] == ["127.0.0.1:18789 -> 127.0.0.1:18789", "/a -> /b"]


@pytest.mark.parametrize("target", ["", "-x", "a b", "a\0b"])
def test_a_spec_needs_a_destination(target: str) -> None:
    with pytest.raises(UsageError, match="not an SSH destination"):
        TunnelSpec("t", target, (MAIN,))


def test_a_spec_needs_a_forward() -> None:
    with pytest.raises(UsageError, match="tunnel t has no forward"):
        TunnelSpec("t", "gw", ())


def test_other_computers_are_let_in_only_on_purpose() -> None:
    wide = Forward(Endpoint("0.0.0.0", 1), Endpoint("b", 2))
    with pytest.raises(UsageError) as caught:
        TunnelSpec("t", "gw", (MAIN, wide))
    assert caught.value.message == "0.0.0.0:1 can be reached by other computers"
    assert "--allow-remote-clients" in caught.value.hint
    assert TunnelSpec("t", "gw", (MAIN, wide), allow_remote_clients=True).forwards[1] == wide
