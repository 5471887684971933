"""The order of the checks, what a fault hides, and where a dial ended."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.doctor.report import (
    NEEDS,
    WAY,
    Check,
    Fix,
    Outcome,
    Part,
    Remedy,
    arrange,
    fault,
    of_failure,
    ok,
    skipped,
    stage_of,
    title,
    warning,
)

WELL = [ok(part, "well") for part in Part]
CHMOD = Fix(Remedy.CHMOD, "/k", "Close it?")


def broken(*parts: Part) -> list[Check]:
    """All is well but these."""
    return [fault(check.part, "broken", "mend it", code="c") if check.part in parts else check for check in WELL]


def skips(checks: list[Check]) -> list[str]:
    return [str(check.part) for check in arrange(checks).checks if check.outcome is Outcome.SKIPPED]


def test_every_part_needs_parts_before_it() -> None:
    parts = list(Part)
    assert set(NEEDS) == set(parts)
    for part, needs in NEEDS.items():
        assert all(parts.index(need) < parts.index(part) for need in needs)


def test_all_is_well() -> None:
    report = arrange(reversed(WELL))
    assert report.checks == tuple(WELL)
    assert report.ok
    assert report.first_fault is None
    assert report.to_json()["first_fault"] is None


def test_a_part_that_was_not_looked_at() -> None:
    report = arrange(WELL[1:])
    assert report.checks[0] == skipped(Part.SETTINGS, "not checked")
    assert report.ok


@pytest.mark.parametrize(
    ("part", "hidden"),
    [
        (Part.KEYS, ["login", "forwarding", "gateway", "credentials", "clock"]),
        (Part.ROUTE, ["server", "host_key", "login", "forwarding", "gateway", "credentials", "clock"]),
        (Part.HOST_KEY, ["login", "forwarding", "gateway", "credentials", "clock"]),
        (Part.GATEWAY, ["credentials", "clock"]),
        (Part.CREDENTIALS, []),
        (Part.LOCAL_PORT, []),
        (Part.SERVICE, []),
    ],
)
def test_a_fault_hides_what_needs_that_part(part: Part, hidden: list[str]) -> None:
    checks = [check for check in broken(part) if check.part is not Part.LOGIN or part is not Part.KEYS]
    assert skips(checks) == hidden


def test_broken_settings_hide_all_but_what_stands_alone() -> None:
    report = arrange(broken(Part.SETTINGS, Part.GATEWAY))
    seen = [check.part for check in report.checks if check.outcome is not Outcome.SKIPPED]
    assert seen == [Part.SETTINGS, Part.TUNNEL, Part.SERVICE, Part.VERSIONS]
    assert report.checks[1].message == "not checked: because of settings"
    assert {check.message for check in report.checks if check.part is Part.CLOCK} == {
        "not checked: because of settings"
    }


def test_the_first_of_two_faults() -> None:
    report = arrange(broken(Part.SERVICE, Part.LOGIN))
    first = report.first_fault
    assert first
    assert first.part is Part.LOGIN
    assert report.to_json()["first_fault"] == {
        "name": "login",
        "outcome": "fault",
        "message": "broken",
        "hint": "mend it",
        "code": "c",
        "fix": False,
        "said": None,
    }


def test_a_host_that_is_not_there_comes_before_what_there_is_to_log_in_with() -> None:
    """For a name that is misspelt ssh_config names no key, either."""
    for part in (Part.NAME, Part.ROUTE, Part.SERVER, Part.HOST_KEY):
        first = arrange(broken(Part.KEYS, part)).first_fault
        assert first
        assert first.part is part


def test_keys_that_were_not_needed_are_no_fault() -> None:
    report = arrange(broken(Part.KEYS))
    assert report.ok
    assert [check.outcome for check in report.checks if check.part is Part.KEYS] == [Outcome.WARNING]


def test_beside_a_fault_nothing_of_its_part_is_well() -> None:
    more = [warning(Part.SSH_CONFIG, "odd", "hm"), fault(Part.SSH_CONFIG, "bad", "mend it", code="config")]
    own = [check.message for check in arrange([*WELL, *more]).checks if check.part is Part.SSH_CONFIG]
    assert own == ["odd", "bad"]


def test_fixes_are_named_once() -> None:
    twice = [warning(part, "open", "close it", fix=CHMOD) for part in (Part.SETTINGS, Part.KEYS)]
    report = arrange([*WELL, *twice])
    assert report.fixes == (CHMOD,)
    assert [check["fix"] for check in report.to_json()["checks"]].count(True) == 2
    assert not CHMOD.needs_person
    assert Fix(Remedy.TRUST, "openclaw-tunnel trust gw", "").needs_person


@pytest.mark.parametrize(
    ("code", "facts", "part"),
    [
        (Code.CONFIG, {}, Part.SSH_CONFIG),
        (Code.DNS, {}, Part.NAME),
        (Code.NO_ROUTE, {}, Part.ROUTE),
        (Code.PROXY, {}, Part.ROUTE),
        (Code.PROXY_DENIED, {}, Part.ROUTE),
        (Code.TIMEOUT, {}, Part.ROUTE),
        (Code.TIMEOUT, {"stage": "connecting"}, Part.ROUTE),
        (Code.HELPER, {"command": "ssh -G gw"}, Part.SSH_CONFIG),
        (Code.TIMEOUT, {"stage": "exchanging keys"}, Part.SERVER),
        (Code.TIMEOUT, {"stage": "logging in"}, Part.LOGIN),
        (Code.NOT_SSH, {}, Part.SERVER),
        (Code.NEGOTIATION, {}, Part.SERVER),
        (Code.HOST_KEY_CHANGED, {}, Part.HOST_KEY),
        (Code.AUTH_DENIED, {}, Part.LOGIN),
        (Code.NOT_CONFIRMED, {}, Part.LOGIN),
        (Code.BUG, {}, Part.SERVER),
    ],
)
def test_where_a_dial_ended(code: Code, facts: dict[str, str], part: Part) -> None:
    assert stage_of(Failure(code, "m", facts)) is part


def test_a_failure_keeps_its_code_and_hint() -> None:
    failure = Failure(Code.KEY_LOCKED, "locked", {"key": "/k"})
    check = of_failure(Part.LOGIN, failure, fix=CHMOD)
    assert (check.message, check.hint, check.code, check.fix) == ("locked", failure.hint, "key_locked", CHMOD)
    assert title(Part.LOCAL_PORT) == "local port"
    assert WAY[0] is Part.NAME
