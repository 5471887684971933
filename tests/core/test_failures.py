"""Every failure says what it is, who must act and what to do next."""

import string

import pytest

from openclaw_tunnel.core.failures import KINDS, Code, Failure
from openclaw_tunnel.core.wording.outlook import hint_without
from openclaw_tunnel.errors import ExitCode


def test_every_code_has_a_row() -> None:
    assert set(KINDS) == set(Code)


@pytest.mark.parametrize("code", list(Code))
def test_every_hint_is_a_step(code: Code) -> None:
    kind = KINDS[code]
    assert len(kind.hint) > 10 or kind.hint == "{hint}"
    fields = {name for _, name, _, _ in string.Formatter().parse(kind.hint) if name}
    filled = Failure(code, "m", {f: f"<{f}>" for f in fields}).hint
    assert "{" not in filled
    assert all(f"<{f}>" in filled for f in fields)


@pytest.mark.parametrize(
    ("code", "permanent", "exit_code"),
    [
        (Code.DNS, False, ExitCode.UNREACHABLE),
        (Code.REFUSED, False, ExitCode.UNREACHABLE),
        (Code.TIMEOUT, False, ExitCode.UNREACHABLE),
        (Code.NO_ROUTE, False, ExitCode.UNREACHABLE),
        (Code.AUTH_DENIED, True, ExitCode.LOGIN),
        (Code.KEY_LOCKED, True, ExitCode.LOGIN),
        (Code.KEY_EXPOSED, True, ExitCode.LOGIN),
        (Code.AGENT_UNREACHABLE, False, ExitCode.LOGIN),
        (Code.HOST_KEY_UNKNOWN, True, ExitCode.HOST_KEY),
        (Code.HOST_KEY_CHANGED, True, ExitCode.HOST_KEY),
        (Code.HOST_KEY_REVOKED, True, ExitCode.HOST_KEY),
        (Code.FORWARDING_FORBIDDEN, True, ExitCode.FORWARDING),
        (Code.PORT_IN_USE, True, ExitCode.LOCAL_PORT),
        (Code.CONFIG, True, ExitCode.CONFIG),
        (Code.LOST, False, ExitCode.UNREACHABLE),
        (Code.KEEPALIVE_TIMEOUT, False, ExitCode.UNREACHABLE),
        (Code.NOT_LISTENING, False, ExitCode.NOT_LISTENING),
        (Code.NOT_A_GATEWAY, False, ExitCode.NOT_A_GATEWAY),
        (Code.NOT_CONFIRMED, True, ExitCode.LOGIN),
        (Code.HELPER, False, ExitCode.CONFIG),
        (Code.BUG, False, ExitCode.BUG),
        (Code.LOOP, False, ExitCode.NOT_A_GATEWAY),
    ],
)
def test_the_contract(code: Code, permanent: bool, exit_code: ExitCode) -> None:
    failure = Failure(code, "m")
    assert failure.permanent is permanent
    assert failure.exit_code is exit_code


def test_a_missing_fact_reads_like_a_usage_line() -> None:
    assert Failure(Code.KEY_LOCKED, "m").hint.endswith("ssh-add KEY")


def test_a_fact_that_may_be_left_out() -> None:
    assert Failure(Code.PORT_IN_USE, "m").hint == (
        "stop what uses the port, or choose another local port: -p PORT, or -p auto"
    )
    assert Failure(Code.PORT_IN_USE, "m", {"step": "kill 7", "otherwise": "wait"}).hint == "kill 7, or wait"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (Code.NOT_CONFIRMED, "unlock it; try again when you can answer"),
        (Code.KEY_LOCKED, "load the key into the SSH agent: ssh-add k"),
        (Code.KEY_EXPOSED, "let nobody else read the key: chmod 600 k"),
    ],
)
def test_a_command_that_has_closed_its_tunnel_promises_nothing_of_it(code: Code, hint: str) -> None:
    failure = Failure(code, "it stopped", {"first": "unlock it; ", "name": "lab", "key": "k"})
    assert hint != failure.hint
    assert hint_without("lab", failure.hint) == hint


def test_facts_are_added_but_not_replaced() -> None:
    failure = Failure(Code.DNS, "m", {"target": "alias"}).with_facts(target="other", host="h:22")
    assert failure.facts == {"target": "alias", "host": "h:22"}


def test_what_the_other_side_said_stays_with_the_failure() -> None:
    failure = Failure(Code.NOT_SSH, "m", said="Exceeded MaxStartups").with_facts(host="h:22")
    assert failure.to_json()["said"] == "Exceeded MaxStartups"


def test_as_json() -> None:
    failure = Failure(Code.HOST_KEY_CHANGED, "it changed", {"trust": "openclaw-tunnel trust --replace h"})
    assert failure.to_json("2026-11-22T06:00:00Z") == {
        "code": "host_key_changed",
        "message": "it changed",
        "hint": failure.hint,
        "permanent": True,
        "exit_code": 22,
        "at": "2026-11-22T06:00:00Z",
        "said": None,
    }
    assert failure.hint.endswith("openclaw-tunnel trust --replace h")
