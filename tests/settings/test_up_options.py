"""The options of ``up``: to JSON, to the arguments of a service, and back."""

import json
import string
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.cli.params import parse_up
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.up_options import OPTIONS, Kind, UpOptions, up_arguments

PRINTABLE = st.text(string.ascii_letters + string.digits + " -=.:/@~äß[]", min_size=1)
PORTS = st.integers(1, 65535)
FILES = PRINTABLE.map(lambda text: "/" + text)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TARGET: PRINTABLE.filter(lambda text: not text.startswith("-")),
    Kind.NAME: PRINTABLE,
    Kind.ADDRESS: PRINTABLE,
    Kind.PORT: PORTS,
    Kind.LOCAL_PORT: PORTS | st.sampled_from(["auto", "new"]),
    Kind.FILE: FILES,
    Kind.SSH_CONFIG: FILES | st.just("none"),
    Kind.FORWARDS: st.lists(PRINTABLE).map(tuple),
    Kind.SECONDS: st.floats(0, allow_infinity=False),
    Kind.PROBE: st.sampled_from(["gateway", "tcp", "none"]),
    Kind.FLAG: st.booleans(),
}
ANY = st.fixed_dictionaries({}, optional={name: VALUES[option.kind] for name, option in OPTIONS.items()}).map(
    lambda values: UpOptions(**values)
)
EVERYTHING = UpOptions(
    target="me@host:2222",
    name="lab",
    local_port=1,
    remote_port=2,
    bind="0.0.0.0",
    identity="/a key",
    ssh_config="none",
    extra_forwards=("1:a:2", "3:b:4"),
    hold=2.5,
    probe="tcp",
    allow_remote_clients=True,
    no_extra_ports=True,
)


def test_every_option_of_up_reaches_the_service() -> None:
    assert {f.name for f in fields(UpOptions) if getattr(EVERYTHING, f.name) == f.default} == set()
    assert parse_up(up_arguments(EVERYTHING)) == EVERYTHING
    assert up_arguments(EVERYTHING)[:3] == ("me@host:2222", "--name", "lab")
    assert up_arguments(EVERYTHING)[-3:] == ("tcp", "--allow-remote-clients", "--no-extra-ports")
    assert up_arguments(UpOptions(target="gw", hold=10.0)) == ("gw", "--hold", "10")


@settings(deadline=None)
@given(ANY)
def test_there_and_back(options: UpOptions) -> None:
    assert parse_up(up_arguments(options)) == options
    assert UpOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


TYPED = [
    ("-n lab gw", UpOptions(target="gw", name="lab")),
    ("-nlab -p4711", UpOptions(name="lab", local_port=4711)),
    ("--name=lab --hold=1e1 --hold 2", UpOptions(name="lab", hold=2.0)),
    ("--name= gw", UpOptions(target="gw", name="")),
    ("-L 1:a:2 -L1:b:2 --no-extra-ports", UpOptions(extra_forwards=("1:a:2", "1:b:2"), no_extra_ports=True)),
    ("--name -- -p auto", UpOptions(name="--", local_port="auto")),
    ("-r 1 -- -gw", UpOptions(target="-gw", remote_port=1)),
    ("-", UpOptions(target="-")),
    ("", UpOptions()),
]


@pytest.mark.parametrize(("words", "options"), TYPED)
def test_what_a_person_writes_into_a_unit(words: str, options: UpOptions) -> None:
    assert parse_up(words.split()) == options


REFUSED = (
    *("a b", "-x", "-h", "--no-extra-ports=1", "-n", "-p fixed", "-r auto", "-r 0"),
    *("--hold -1", "--hold soon", "--probe GATEWAY"),
)


@pytest.mark.parametrize("words", REFUSED)
def test_what_up_does_not_take(words: str) -> None:
    with pytest.raises(UsageError, match=r"^[a-z]"):
        parse_up(words.split())


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"nobody": 1},
        {"target": 1},
        {"local_port": True},
        {"remote_port": "1"},
        {"hold": "1"},
        {"extra_forwards": "1:a:2"},
        {"extra_forwards": [1]},
        {"no_extra_ports": 1},
    ],
)
def test_what_is_no_object_of_options(data: Any) -> None:
    with pytest.raises(TypeError):
        UpOptions.from_json(data)


def test_json_may_leave_out_what_nobody_typed() -> None:
    assert UpOptions.from_json({}) == UpOptions()
    assert UpOptions.from_json({"extra_forwards": None, "no_extra_ports": None, "name": None}) == UpOptions()
