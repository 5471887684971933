"""The order of the checks, what a fault hides, and where a dial ended."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.doctor.report import (
    NEEDS,
    WAY,
    Finding,
    Outcome,
    Part,
    Remedy,
    Repair,
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
CHMOD = Repair(Remedy.CHMOD, "/k", "Close it?")


def broken(*parts: Part) -> list[Finding]:
    """All is well but these."""
    return [
        fault(finding.part, "broken", "mend it", code="c") if finding.part in parts else finding for finding in WELL
    ]


def skips(findings: list[Finding]) -> list[str]:
    return [str(finding.part) for finding in arrange(findings).findings if finding.outcome is Outcome.SKIPPED]


def test_every_part_needs_parts_before_it() -> None:
    parts = list(Part)
    assert set(NEEDS) == set(parts) - {Part.SETTINGS, Part.TUNNEL, Part.SERVICE, Part.VERSIONS}
    for part, needs in NEEDS.items():
        assert all(parts.index(need) < parts.index(part) for need in needs)


def test_all_is_well() -> None:
    report = arrange(reversed(WELL))
    assert report.findings == tuple(WELL)
    assert report.ok
    assert report.first_fault is None
    assert report.to_json()["first_fault"] is None


def test_a_part_that_was_not_looked_at() -> None:
    report = arrange(WELL[1:])
    assert report.findings[0] == skipped(Part.SETTINGS, "not checked")
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
    findings = [finding for finding in broken(part) if finding.part is not Part.LOGIN or part is not Part.KEYS]
    assert skips(findings) == hidden


def test_broken_settings_hide_all_but_what_stands_alone() -> None:
    report = arrange(broken(Part.SETTINGS, Part.GATEWAY))
    seen = [finding.part for finding in report.findings if finding.outcome is not Outcome.SKIPPED]
    assert seen == [Part.SETTINGS, Part.TUNNEL, Part.SERVICE, Part.VERSIONS]
    assert report.findings[1].message == "not checked: because of settings"
    assert {finding.message for finding in report.findings if finding.part is Part.CLOCK} == {
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
    assert [finding.outcome for finding in report.findings if finding.part is Part.KEYS] == [Outcome.WARNING]


def test_beside_a_fault_nothing_of_its_part_is_well() -> None:
    more = [warning(Part.SSH_CONFIG, "odd", "hm"), fault(Part.SSH_CONFIG, "bad", "mend it", code="config")]
    own = [finding.message for finding in arrange([*WELL, *more]).findings if finding.part is Part.SSH_CONFIG]
    assert own == ["odd", "bad"]


def test_fixes_are_named_once() -> None:
    twice = [warning(part, "open", "close it", repair=CHMOD) for part in (Part.SETTINGS, Part.KEYS)]
    report = arrange([*WELL, *twice])
    assert report.repairs == (CHMOD,)
    assert [finding["fix"] for finding in report.to_json()["checks"]].count(True) == 2
    assert not CHMOD.needs_person
    assert Repair(Remedy.TRUST, "openclaw-tunnel trust gw", "").needs_person


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
    finding = of_failure(Part.LOGIN, failure, repair=CHMOD)
    assert (finding.message, finding.hint, finding.code, finding.repair) == (
        "locked",
        failure.hint,
        "key_locked",
        CHMOD,
    )
    assert title(Part.LOCAL_PORT) == "local port"
    assert WAY[0] is Part.NAME
