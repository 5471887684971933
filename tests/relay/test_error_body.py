"""What a client that cannot be served is told, and who is told nothing."""

from dataclasses import replace

import pytest

from openclaw_tunnel.core.failures import KINDS, Code, Failure
from openclaw_tunnel.core.retry import BACKING_OFF
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, GatewayStatus, RetryStatus, Snapshot, Verdict
from openclaw_tunnel.relay.error_body import NO_DETAILS, ErrorBody, error_body

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", listening=True)
SINCE = "2026-11-24T08:00:01Z"
NOT_LISTENING = Failure(Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789 of gateway.example:22")
REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection", {"host": "gateway.example:22"})
UNKNOWN_KEY = Failure(Code.HOST_KEY_UNKNOWN, "host key is unknown", {"trust": "openclaw-tunnel trust gw"})


def snapshot(state: State, failure: Failure | None = None, **more: object) -> Snapshot:
    made = Snapshot("default", state, SINCE, "me@gateway.example:22", "gw", (FORWARD,))
    told = FailureStatus(**failure.to_json(SINCE)) if failure else None
    return replace(made, failure=told, **more)  # type: ignore[arg-type]  # fields of Snapshot


def told(state: State, failure: Failure | None = None, refusal: Failure | None = None, **more: object) -> ErrorBody:
    return error_body(snapshot(state, failure, **more), refusal, "localhost")


def test_the_hold_is_over() -> None:
    found = told(State.BACKOFF, REFUSED, retry=RetryStatus(attempt=3, next_in_s=4.2))
    assert found.to_json() == {
        "error": {
            "type": "tunnel_unavailable",
            "code": "refused",
            "title": "No connection to gw",
            "message": "gateway.example:22 refused the connection",
            "hint": "is the SSH server running on gateway.example:22, and is that its port? "
            "On that machine: systemctl status ssh",
            "commands": ["systemctl status ssh"],
            "outlook": "The tunnel keeps trying by itself. This page goes on to the gateway as soon as it answers.",
            "state": "backoff",
            "tunnel": "default",
            "target": "me@gateway.example:22 (gw)",
            "permanent": False,
            "since": SINCE,
            "retry_in_s": 4.2,
        }
    }
    assert found.retry_after == 5


def test_another_computer_is_not_told_where_to_log_in() -> None:
    """The URL of a login, with its code, is for whoever sits before this computer."""
    url = "https://login.example/s3cret"
    waiting = snapshot(State.CONNECTING, asks=f"visit {url}")
    denied = Failure(Code.NOT_CONFIRMED, f"gw waited in vain for a person: visit {url}", said=f"visit {url}")
    for tunnel in (waiting, snapshot(State.FAILED, denied), snapshot(State.BACKOFF, replace(REFUSED, said=url))):
        assert url in str(error_body(tunnel, None, "localhost").to_json())
        remote = error_body(tunnel, None, "localhost", is_local=False)
        assert url not in str(remote.to_json())
        assert remote.state == str(tunnel.state)
    assert "openclaw-tunnel status" in error_body(waiting, None, "localhost", is_local=False).hint


def test_the_first_connection_takes_longer_than_the_hold() -> None:
    found = told(State.CONNECTING)
    assert (found.code, found.state, found.permanent, found.retry_in_s) == (None, "connecting", False, None)
    assert found.title == "Connecting to gw"
    assert found.message == "the tunnel is connecting to me@gateway.example:22"
    assert found.retry_after == 2


def test_a_try_that_follows_a_failure_is_about_that_failure() -> None:
    found = told(State.CONNECTING, REFUSED)
    assert (found.code, found.title) == ("refused", "No connection to gw")


def test_a_person_must_act() -> None:
    found = told(State.FAILED, UNKNOWN_KEY, retry=RetryStatus(attempt=1))
    assert (found.code, found.permanent, found.title) == ("host_key_unknown", True, "Action required")
    assert found.commands == ["openclaw-tunnel trust gw", "openclaw-tunnel restart default"]
    assert found.outlook.endswith(
        "The tunnel tries again only on request, because each try asks a person: openclaw-tunnel restart default"
    )
    assert found.retry_in_s is None
    assert found.retry_after == 30


def test_when_a_stopped_tunnel_tries_again_is_shown() -> None:
    found = told(State.FAILED, UNKNOWN_KEY, retry=RetryStatus(1, 47.2, on=("wake", "network")))
    assert "tries again in 48s, when the computer wakes up, when the network changes, or at once" in found.outlook
    assert (found.retry_in_s, found.retry_after) == (47.2, 30)


def test_what_the_other_side_said_is_shown() -> None:
    said = replace(REFUSED, said="Exceeded MaxStartups\ntry later")
    found = told(State.BACKOFF, said)
    assert found.message.endswith("; it said: Exceeded MaxStartups | try later")


def test_a_person_who_is_asked_is_shown_what_for() -> None:
    found = told(State.CONNECTING, REFUSED, asks="open https://login.example/abc")
    assert found.title == "The tunnel waits for you"
    assert found.message.endswith("waits for you: open https://login.example/abc")
    assert found.hint == "open https://login.example/abc"
    assert found.outlook.startswith("The tunnel connects once that is done. ")


def test_nothing_listens_where_the_gateway_should() -> None:
    found = told(State.DEGRADED, NOT_LISTENING, NOT_LISTENING)
    assert (found.code, found.title) == ("not_listening", "No gateway is listening")
    assert found.hint.startswith("start the gateway on gw: openclaw gateway run")
    assert "127.0.0.1:18789" in found.hint
    assert found.outlook.startswith("SSH is connected")
    assert (found.since, found.retry_after) == (SINCE, 2)


@pytest.mark.parametrize("state", [State.UP, State.VERIFYING])
def test_the_first_refusal_comes_before_the_tunnel_has_noticed(state: State) -> None:
    found = told(state, None, NOT_LISTENING)
    assert (found.code, found.state) == ("not_listening", str(state))
    assert found.since is None, "the tunnel has been up for long, the gateway was not away for so long"


def test_a_refusal_says_more_than_what_the_tunnel_knew() -> None:
    other = Failure(Code.NOT_A_GATEWAY, "something else answers")
    assert told(State.DEGRADED, other, NOT_LISTENING).code == "not_listening"


def test_a_refusal_is_forgotten_with_its_connection() -> None:
    assert told(State.BACKOFF, REFUSED, NOT_LISTENING).code == "refused"


@pytest.mark.parametrize("state", [State.UP, State.DEGRADED])
def test_a_gateway_that_restarts_is_not_to_be_started(state: State) -> None:
    detail = "the gateway is restarting"
    found = told(state, None, NOT_LISTENING, gateway=GatewayStatus(Verdict.STARTING, detail=detail, expected_in_s=6.1))
    assert (found.code, found.title, found.message) == ("gateway_starting", "The gateway is starting", detail)
    assert found.hint.startswith("nothing to do: the gateway on gw")
    assert (found.retry_in_s, found.retry_after) == (6.1, 7)


def test_a_channel_that_does_not_open_is_no_host_that_does_not_answer() -> None:
    late = Failure(Code.TIMEOUT, "gateway.example:22 did not open a channel within 10 s")
    found = told(State.UP, None, late)
    assert (found.code, found.message) == ("gateway_unreachable", late.message)
    assert found.hint.startswith("the gateway on gw does not answer")


def test_a_tunnel_that_came_up_while_the_request_was_read() -> None:
    found = told(State.UP)
    assert (found.code, found.title, found.retry_after) == (None, "The connection is back", 2)
    assert found.message == "the tunnel is connected to me@gateway.example:22 again"


def test_a_gateway_that_is_not_well() -> None:
    other = Failure(Code.NOT_A_GATEWAY, "something else answers")
    assert told(State.DEGRADED, other).title == "The gateway is not well"


def test_flapping_is_said() -> None:
    assert "lost several times" in told(State.BACKOFF, REFUSED, retry=RetryStatus(flapping=True)).outlook
    assert "lost several times" not in told(State.BACKOFF, REFUSED).outlook


def test_the_words_of_others_are_cleaned() -> None:
    evil = Failure(Code.REFUSED, "no\x1b[2J\n\u202eway", {"host": "h\x00"})
    found = told(State.BACKOFF, evil)
    assert found.message == "no?[2J??way"
    assert "h?" in found.hint


@pytest.mark.parametrize(("left", "after"), [(0.0, 1), (0.1, 1), (1.0, 1), (1.1, 2), (59.6, 60)])
def test_retry_after_is_whole_seconds(left: float, after: int) -> None:
    assert told(State.BACKOFF, REFUSED, retry=RetryStatus(1, left)).retry_after == after


FACTS = {
    "target": "gw",
    "ssh": "-F '/home/me/my, config' gw",
    "host": "h:22",
    "to": "127.0.0.1:18789",
    "key": "'/home/me/it'\"'\"'s a key'",
    "trust": "openclaw-tunnel trust --replace -F '/my (own) config' gw",
    "credential": "token",
    "request": "r-1",
}
COMMANDS = {
    Code.DNS: ["ssh -G -F '/home/me/my, config' gw"],
    Code.REFUSED: ["systemctl status ssh"],
    Code.TIMEOUT: ["ssh -v -F '/home/me/my, config' gw"],
    Code.NO_ROUTE: [],
    Code.NOT_SSH: ["ssh -v -F '/home/me/my, config' gw"],
    Code.PROXY: ["ssh -v -F '/home/me/my, config' gw"],
    Code.PROXY_DENIED: ["ssh -v -F '/home/me/my, config' gw"],
    Code.NEGOTIATION: ["ssh -G -F '/home/me/my, config' gw"],
    Code.AUTH_DENIED: ["ssh-copy-id -F '/home/me/my, config' gw"],
    Code.KEY_LOCKED: ["ssh-add '/home/me/it'\"'\"'s a key'"],
    Code.KEY_EXPOSED: ["chmod 600 '/home/me/it'\"'\"'s a key'"],
    Code.AGENT_UNREACHABLE: ["ssh-add -l"],
    Code.HOST_KEY_UNKNOWN: ["openclaw-tunnel trust --replace -F '/my (own) config' gw"],
    Code.HOST_KEY_CHANGED: ["openclaw-tunnel trust --replace -F '/my (own) config' gw"],
    Code.HOST_KEY_REVOKED: ["openclaw-tunnel trust --replace -F '/my (own) config' gw"],
    Code.FORWARDING_FORBIDDEN: ["systemctl reload ssh"],
    Code.LOST: [],
    Code.NOT_LISTENING: ["openclaw gateway run"],
    Code.NOT_A_GATEWAY: ["openclaw config get gateway.port"],
    Code.LOOP: ["openclaw config get gateway.port"],
    Code.GATEWAY_UNREACHABLE: ["openclaw logs"],
    Code.PROTOCOL_MISMATCH: ["openclaw update", "pip install -U openclaw-tunnel"],
    Code.AUTH_FAILED: ["openclaw config set gateway.remote.token VALUE"],
    Code.DEVICE_REFUSED: ["openclaw devices list"],
    Code.PAIRING_REQUIRED: ["openclaw devices approve r-1"],
    Code.LIMITED_SCOPE: ["openclaw devices list"],
    Code.BUG: ["openclaw-tunnel logs"],
}


@pytest.mark.parametrize("code", COMMANDS)
def test_command_lines_are_found_in_the_hints(code: Code) -> None:
    hint = Failure(code, "m", FACTS).hint
    assert ErrorBody("t", "m", hint, "").commands == COMMANDS[code]


def test_that_it_is_a_loop_is_no_secret() -> None:
    """The tunnel's own probe has to know it, by whatever name it calls the port."""
    loop = Failure(Code.LOOP, "127.0.0.1:18789 leads back")
    found = error_body(snapshot(State.UP), loop, "evil.example")
    assert found == replace(NO_DETAILS, code="loop", retry_in_s=found.retry_in_s)
    assert error_body(snapshot(State.UP), loop, "localhost").title == "The tunnel leads back to itself"


def test_every_failure_has_an_error_body() -> None:
    for code, kind in KINDS.items():
        state = State.FAILED if kind.cause not in BACKING_OFF else State.BACKOFF
        found = told(state, Failure(code, "m", FACTS))
        assert (found.code, found.message) == (code, "m")
        assert found.title
        assert found.hint


def at(listen: str, host: str) -> ErrorBody:
    forward = replace(FORWARD, listen=listen)
    return error_body(snapshot(State.BACKOFF, REFUSED, forwards=(forward,), retry=RetryStatus(1, 2.5)), None, host)


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:18789", "127.0.0.1"),
        ("127.0.0.1:18789", "127.1.2.3"),
        ("127.0.0.1:18789", "localhost"),
        ("127.0.0.1:18789", "gateway.localhost"),
        ("localhost:18789", "::1"),
        ("[::1]:18789", "::1"),
        ("0.0.0.0:18789", "192.168.1.5"),
        ("[::]:18789", "fe80::1"),
        ("192.168.1.5:18789", "192.168.1.5"),
        ("[fd00::5]:18789", "fd00::5"),
        ("/run/user/1000/gateway.sock", "anything"),
    ],
)
def test_who_is_told_everything(listen: str, host: str) -> None:
    assert at(listen, host).message == REFUSED.message


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:18789", "evil.example"),
        ("127.0.0.1:18789", "127.0.0.1.evil.example"),
        ("127.0.0.1:18789", "notlocalhost"),
        ("127.0.0.1:18789", "192.168.1.5"),
        ("127.0.0.1:18789", ""),
        ("0.0.0.0:18789", "evil.example"),
        ("192.168.1.5:18789", "192.168.1.6"),
        ("localhost:18789", "evil.example"),
    ],
)
def test_another_name_for_this_port_is_told_nothing(listen: str, host: str) -> None:
    """A web site whose name has the address 127.0.0.1 reads what its visitor's browser gets."""
    found = at(listen, host)
    assert found == replace(NO_DETAILS, retry_in_s=2.5)
    shown = repr(found.to_json())
    for secret in ("gw", "example", "me@", "refused", "default", "backoff", SINCE):
        assert secret not in shown
