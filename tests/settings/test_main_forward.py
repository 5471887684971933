"""Which ports and addresses the forward to the gateway gets."""

import pytest

from openclaw_tunnel.core.spec import Forward, parse_forward
from openclaw_tunnel.settings.main_forward import PortOptions, as_argument, choose_main

NONE = PortOptions()
CASES: list[tuple[str, PortOptions, tuple[str, ...], str]] = [
    ("nothing said", NONE, (), "127.0.0.1:18789 -> 18789"),
    ("-p", PortOptions(local=1), (), "127.0.0.1:1 -> 18789"),
    ("-r", PortOptions(remote=2), (), "127.0.0.1:18789 -> 2"),
    ("--bind", PortOptions(bind="127.0.0.2"), (), "127.0.0.2:18789 -> 18789"),
    ("first of openclaw.json", PortOptions(configured_remote=(None, 3, 4)), (), "127.0.0.1:18789 -> 3"),
    ("-r beats openclaw.json", PortOptions(remote=2, configured_remote=(3,)), (), "127.0.0.1:18789 -> 2"),
    ("local of openclaw.json", PortOptions(configured_local=(None, 5)), (), "127.0.0.1:5 -> 18789"),
    ("-p beats openclaw.json", PortOptions(local=1, configured_local=(5,)), (), "127.0.0.1:1 -> 18789"),
    ("LocalForward to the default port", NONE, ("28789:localhost:18789",), "127.0.0.1:28789 -> 18789"),
    ("the only LocalForward", NONE, ("7:127.0.0.1:9", "8:db:5432"), "127.0.0.1:7 -> 9"),
    ("two LocalForwards", NONE, ("7:127.0.0.1:9", "8:[::1]:10"), "127.0.0.1:18789 -> 18789"),
    ("one of two LocalForwards", NONE, ("7:127.0.0.1:9", "8:[::1]:18789"), "127.0.0.1:8 -> 18789"),
    ("LocalForward elsewhere", NONE, ("7:gw.lan:18789",), "127.0.0.1:18789 -> 18789"),
    ("LocalForward from a socket", NONE, ("/s:localhost:18789",), "127.0.0.1:18789 -> 18789"),
    (
        "openclaw.json beats the only one",
        PortOptions(configured_remote=(3,)),
        ("7:localhost:9",),
        "127.0.0.1:18789 -> 3",
    ),
    (
        "LocalForward beats openclaw.json",
        PortOptions(configured_local=(5,)),
        ("7:localhost:18789",),
        "127.0.0.1:7 -> 18789",
    ),
    ("-p beats LocalForward", PortOptions(local=1), ("127.0.0.2:7:localhost:18789",), "127.0.0.1:1 -> 18789"),
    ("address of LocalForward", NONE, ("[::1]:7:localhost:18789",), "[::1]:7 -> 18789"),
    ("localhost of LocalForward", NONE, ("localhost:7:localhost:18789",), "127.0.0.1:7 -> 18789"),
    ("--bind and LocalForward", PortOptions(bind="127.0.0.3"), ("*:7:localhost:18789",), "127.0.0.3:7 -> 18789"),
    (
        "LocalForward for all, allowed",
        PortOptions(allow_remote_clients=True),
        ("*:7:localhost:18789",),
        "0.0.0.0:7 -> 18789",
    ),
]


def forwards(texts: tuple[str, ...]) -> tuple[Forward, ...]:
    return tuple(parse_forward(text) for text in texts)


@pytest.mark.parametrize(("options", "configured", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_choice(options: PortOptions, configured: tuple[str, ...], wanted: str) -> None:
    main = choose_main(options, forwards(configured))
    assert str(main.forward) == wanted.replace("-> ", "-> 127.0.0.1:")
    assert main.notices == ()


DUAL: list[tuple[str, PortOptions, str, bool]] = [
    ("nothing said", NONE, "1:b:2", True),
    ("a port", PortOptions(local=1), "1:b:2", True),
    ("--bind localhost", PortOptions(bind="localhost"), "127.0.0.2:7:localhost:18789", True),
    ("--bind 127.0.0.1", PortOptions(bind="127.0.0.1"), "localhost:7:localhost:18789", False),
    ("LocalForward on one address", NONE, "127.0.0.1:7:localhost:18789", False),
    ("LocalForward on localhost", NONE, "localhost:7:localhost:18789", True),
    ("LocalForward on all addresses", NONE, "*:7:localhost:18789", True),
    ("LocalForward on a name", NONE, "laptop:7:localhost:18789", True),
]


@pytest.mark.parametrize(("options", "configured", "dual"), [c[1:] for c in DUAL], ids=[c[0] for c in DUAL])
def test_both_loopback_addresses_where_nobody_wants_one(options: PortOptions, configured: str, dual: bool) -> None:
    forward = choose_main(options, forwards((configured,))).forward
    assert forward.listen.host == "127.0.0.1"
    assert forward.dual is dual


@pytest.mark.parametrize("bind", ["*", "0.0.0.0", "[::]", "192.168.1.2"])
def test_an_address_open_to_all_is_not_taken_over(bind: str) -> None:
    (found,) = forwards((f"{bind}:7:localhost:18789",))
    main = choose_main(NONE, (found,))
    assert str(main.forward) == "127.0.0.1:7 -> 127.0.0.1:18789"
    assert main.notices == (
        f"LocalForward {found} would let other computers in; listening on 127.0.0.1 "
        "(--allow-remote-clients to do as it says)",
    )


def test_a_name_is_no_address_to_listen_on() -> None:
    main = choose_main(PortOptions(allow_remote_clients=True), forwards(("laptop:7:localhost:18789",)))
    assert str(main.forward.listen) == "127.0.0.1:7"
    assert main.notices == ("LocalForward laptop:7 -> localhost:18789: laptop is no address; listening on 127.0.0.1",)


def test_what_it_stands_for() -> None:
    first, second = forwards(("7:localhost:18789", "8:localhost:18789"))
    assert choose_main(PortOptions(local=1), (first, second)).stands_for == first
    assert choose_main(PortOptions(remote=1), (first,)).stands_for is None


def test_as_an_argument() -> None:
    for text in ("127.0.0.1:1:b:2", "localhost:1:b:2", "[::1]:1:[::1]:2", "/a:/b"):
        assert as_argument(parse_forward(text)) == text
