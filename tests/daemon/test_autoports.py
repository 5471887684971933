"""Ports that are picked once and kept, with a real file and real sockets."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import Endpoint, Forward, PortChoice, TunnelSpec
from openclaw_tunnel.daemon.autoports import AutoPorts
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.relay.bind import BindFailed
from support.aio import async_test
from support.waiting import free_ports

TO = Endpoint("127.0.0.1", 9)


def wanting(port: int, name: str = "t", choice: PortChoice = PortChoice.AUTO, **fields: Any) -> TunnelSpec:
    return TunnelSpec(name, "gw", (Forward(Endpoint("127.0.0.1", port), TO),), port_choice=choice, **fields)


def port_of(spec: TunnelSpec) -> int:
    return spec.main.listen.port


@pytest.fixture
def first() -> int:
    """The first of ten free ports."""
    return free_ports(10)


def test_the_usual_port_where_it_is_free(tmp_path: Path, first: int) -> None:
    choices = AutoPorts(tmp_path).choices(wanting(first))
    assert port_of(choices[0]) == first
    assert choices[0].port_choice is PortChoice.AUTO


def test_the_next_but_two_where_it_is_not(tmp_path: Path, first: int) -> None:
    with socket.create_server(("127.0.0.1", first)):
        assert port_of(AutoPorts(tmp_path).choices(wanting(first))[0]) == first + 3


def test_what_is_kept_stays_even_where_somebody_else_has_it(tmp_path: Path, first: int) -> None:
    ports = AutoPorts(tmp_path / "state")
    assert ports.keep(ports.choices(wanting(first))[0]) == ""
    file = tmp_path / "state" / "ports.json"
    assert json.loads(file.read_text()) == {"version": 1, "ports": {"t": first}}
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    after_a_restart = AutoPorts(tmp_path / "state")
    with socket.create_server(("127.0.0.1", first)):
        assert [port_of(c) for c in after_a_restart.choices(wanting(first + 9))] == [first]
    assert port_of(after_a_restart.settled(wanting(first + 9))) == first


def test_a_new_one_is_another_one_and_is_kept_instead(tmp_path: Path, first: int) -> None:
    ports = AutoPorts(tmp_path)
    ports.keep(ports.choices(wanting(first))[0])
    new = ports.choices(wanting(first, choice=PortChoice.NEW))[0]
    assert (port_of(new), new.port_choice) == (first + 3, PortChoice.AUTO)
    assert port_of(ports.settled(wanting(first))) == first
    ports.keep(new)
    assert port_of(ports.settled(wanting(first))) == first + 3


def test_two_tunnels_never_get_the_same(tmp_path: Path, first: int) -> None:
    """Not even where the first one is not bound at that moment."""
    ports = AutoPorts(tmp_path)
    ports.keep(ports.choices(wanting(first, "a"))[0])
    ports.keep(ports.choices(wanting(first, "b"))[0])
    assert [port_of(ports.settled(wanting(first, name))) for name in "ab"] == [first, first + 3]


def test_a_port_that_somebody_says_is_left_alone(tmp_path: Path, first: int) -> None:
    ports = AutoPorts(tmp_path)
    ports.keep(ports.choices(wanting(first))[0])
    said = wanting(first + 1, choice=PortChoice.FIXED)
    assert ports.settled(said) is said
    assert ports.choices(said) == [said]
    assert ports.keep(said) == ""
    assert port_of(ports.settled(wanting(first))) == first


def test_no_port_is_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 65535)) as last, pytest.raises(BindFailed) as caught:
        AutoPorts(tmp_path).choices(wanting(last.getsockname()[1]))
    failure = caught.value.failure
    assert failure.code is Code.PORT_IN_USE
    assert failure.message == "none of the 1 local ports from 65535 to 65535 is free"
    assert failure.hint == "stop what uses one of them, or choose a port yourself: -p PORT"


BROKEN = ["", "{", "[]", "{}", '{"ports": 1}', '{"ports": {"a": "b"}}', '{"ports": {"a": 0}}', "[" * 100_000]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_no_reason_to_pick_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    ports = AutoPorts(tmp_path)
    for ask in (ports.settled, ports.choices):
        with pytest.raises(
            ConfigError, match=f"{tmp_path}/ports.json: the local ports that tunnels keep cannot be"
        ) as e:
            ask(wanting(18789))
        assert e.value.hint.startswith("remove that file, and up -p auto picks new ports")
    fixed = wanting(18789, choice=PortChoice.FIXED)
    assert ports.choices(ports.settled(fixed)) == [fixed]


def test_a_port_that_cannot_be_kept_is_said_to_be_so(tmp_path: Path, first: int) -> None:
    (tmp_path / "file").write_text("")
    note = AutoPorts(tmp_path / "file" / "state").keep(wanting(first))
    assert note.startswith(f"local port {first} cannot be kept for the next time: ")


@async_test
async def test_where_somebody_is_quicker_the_next_one_is_tried(tmp_path: Path, first: int) -> None:
    tried: list[int] = []

    async def start(spec: TunnelSpec) -> TunnelSpec:
        tried.append(port_of(spec))
        if len(tried) < 3:
            raise BindFailed(Failure(Code.PORT_IN_USE, "in use", {"listen": str(spec.main.listen)}))
        return spec

    assert port_of(await AutoPorts(tmp_path).try_each(wanting(first), start)) == first + 6
    assert tried == [first, first + 3, first + 6]


@async_test
async def test_another_port_would_not_help_where_it_is_not_to_blame(tmp_path: Path, first: int) -> None:
    tried: list[int] = []

    async def start(spec: TunnelSpec) -> TunnelSpec:
        tried.append(port_of(spec))
        raise BindFailed(Failure(Code.PORT_IN_USE, "in use", {"listen": "127.0.0.1:1"}))

    with pytest.raises(BindFailed, match="in use"):
        await AutoPorts(tmp_path).try_each(wanting(first), start)
    assert tried == [first]
    assert os.listdir(tmp_path) == []
