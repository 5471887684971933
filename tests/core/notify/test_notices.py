"""What is told on the desktop, and when: each test reads as the day of a person at that computer."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.notify.notices import FORGET, GATHER, MOST_TEXT, PATIENCE, SURE, Notice, Notices
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot, Verdict
from support.snapshots import snapshot

CHANGED = Failure(Code.HOST_KEY_CHANGED, "the host key of gw has changed", {"trust": "openclaw-tunnel trust gw"})
DENIED = Failure(Code.AUTH_DENIED, "gw refused the login", {"ssh": "gw"})
REFUSED = Failure(Code.REFUSED, "gw refused the connection", {"host": "gw:22"})
NO_ROUTE = Failure(Code.NO_ROUTE, "no way to gw")
SILENT = Failure(Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789")


class Day:
    """``sees`` changes, lets time pass in ``wait``, and keeps what was told meanwhile, as the daemon's timer does."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.now = 1000.0
        self._told: list[Notice] = []

    def sees(self, *tunnels: Snapshot | State) -> "Day":
        for tunnel in tunnels:
            self.notices.see(tunnel if isinstance(tunnel, Snapshot) else snapshot(tunnel), self.now)
        return self

    def wait(self, seconds: float) -> "Day":
        end = self.now + seconds
        while (at := self.notices.next_at()) is not None and at <= end:
            self.now = at
            found = self.notices.tell(self.now)
            assert found, f"woken at {at} for nothing"
            self._told += found
        self.now = end
        return self

    def told(self) -> list[str]:
        """The titles since the last call."""
        return [notice.title for notice in self.notes()]

    def notes(self) -> list[Notice]:
        told, self._told = self._told, []
        return told


def failed(failure: Failure = CHANGED, name: str = "default") -> Snapshot:
    return snapshot(State.FAILED, failure, name=name)


def backoff(failure: Failure = REFUSED, name: str = "default") -> Snapshot:
    return snapshot(State.BACKOFF, failure, name=name)


def up(name: str = "default") -> Snapshot:
    return snapshot(State.UP, name=name)


def test_what_a_person_must_mend_and_that_it_is_well_again() -> None:
    day = Day().sees(State.CONNECTING, up()).wait(3600)
    assert day.told() == []
    day.sees(backoff(), failed()).wait(GATHER)
    assert day.notes() == [Notice(("default",), "default: the host key of gw has changed", CHANGED.hint)]
    day.wait(600).sees(State.CONNECTING, up()).wait(GATHER)
    assert day.notes() == [Notice(("default",), "default: well again", "after 10m 4s")]
    assert day.notices.next_at() is None


def test_one_notice_for_a_trouble_however_often_it_is_tried_again() -> None:
    day = Day().sees(failed()).wait(10)
    assert day.told() == ["default: the host key of gw has changed"]
    for _ in range(50):
        day.sees(State.CONNECTING).wait(1).sees(failed()).wait(60)
    assert day.told() == []


def test_another_trouble_is_another_notice() -> None:
    day = Day().sees(failed()).wait(10).sees(State.CONNECTING, failed(DENIED)).wait(10)
    assert day.told() == ["default: the host key of gw has changed", "default: gw refused the login"]


def test_an_outage_that_nobody_noticed_is_not_told() -> None:
    day = Day().sees(up()).wait(60)
    day.sees(backoff()).wait(PATIENCE - 1).sees(up()).wait(3600)
    assert day.told() == []


def test_an_outage_that_lasts_is_told_once_with_its_reason_and_its_end() -> None:
    day = Day().sees(up()).wait(60).sees(backoff())
    for _ in range(29):
        day.wait(10).sees(State.CONNECTING, backoff())
    assert day.told() == []
    day.wait(10)
    assert day.notes() == [Notice(("default",), "default: not up for 5m: gw refused the connection", REFUSED.hint)]
    for _ in range(100):
        day.wait(60).sees(State.CONNECTING, backoff(NO_ROUTE))
    assert day.told() == []
    day.sees(State.CONNECTING, State.VERIFYING, up()).wait(GATHER)
    assert day.notes() == [Notice(("default",), "default: well again", "after 1h 45m")]


def test_a_gateway_that_is_away_is_told_when_it_lasts() -> None:
    day = Day().sees(up(), snapshot(State.DEGRADED, SILENT)).wait(PATIENCE - 1)
    assert day.told() == []
    assert day.wait(1).told() == ["default: not up for 5m: nothing listens on 127.0.0.1:18789"]


def test_a_tunnel_that_never_came_up_and_has_no_failure_yet() -> None:
    assert Day().sees(State.CONNECTING).wait(PATIENCE).told() == ["default: not up for 5m: it is connecting"]


def test_a_slow_mending_is_told_as_such() -> None:
    """What had to be mended is mended, and now the network is away: that gets the whole time of patience."""
    day = Day().sees(failed()).wait(3600)
    assert day.told() == ["default: the host key of gw has changed"]
    day.sees(State.CONNECTING, backoff()).wait(PATIENCE - 1)
    assert day.told() == []
    assert day.wait(1).told() == ["default: not up for 5m: gw refused the connection"]


def test_well_again_is_told_when_it_lasts() -> None:
    day = Day().sees(failed()).wait(10)
    day.told()
    day.sees(up()).wait(GATHER / 2).sees(State.CONNECTING, failed()).wait(600)
    assert day.told() == []
    assert day.sees(up()).wait(GATHER).told() == ["default: well again"]


def test_new_credentials_get_the_time_to_be_refused() -> None:
    refused = snapshot(State.UP, verdict=Verdict.AUTH_FAILED)
    day = Day().sees(up(), refused).wait(GATHER)
    notice = Notice(("default",), "default: the gateway refuses the credentials", "what it said; and what to do")
    assert day.notes() == [notice]
    day.sees(up()).wait(SURE - 1).sees(refused).wait(60)
    assert day.told() == []
    assert day.sees(up()).wait(SURE).told() == ["default: well again"]


def test_troubles_of_one_cause_are_one_notice() -> None:
    day = Day()
    for name in ("a", "b", "c"):
        day.sees(backoff(NO_ROUTE, name)).wait(20)
    day.wait(PATIENCE)
    assert day.notes() == [Notice(("a", "b", "c"), "a, b and c: not up for 5m: no way to gw", NO_ROUTE.hint)]
    for name in ("a", "b", "c"):
        day.sees(up(name))
    assert day.wait(60).told() == ["a, b and c: well again"]


def test_troubles_of_several_causes_at_once_are_one_notice_that_names_all() -> None:
    day = Day().sees(failed(name="a")).wait(GATHER / 2).sees(failed(DENIED, "b")).wait(60)
    (notice,) = day.notes()
    assert notice.title == "2 tunnels are not well: a and b"
    assert notice.text == (
        "a: the host key of gw has changed\nb: gw refused the login\nopenclaw-tunnel status shows all, and what to do"
    )


def test_a_short_outage_is_not_told_along_with_a_long_one_or_with_a_failure() -> None:
    day = Day().sees(backoff(NO_ROUTE, "a")).wait(PATIENCE - 100).sees(backoff(NO_ROUTE, "b")).wait(60)
    assert day.sees(failed(name="c")).wait(GATHER).told() == ["c: the host key of gw has changed"]
    assert day.wait(60).told() == ["a: not up for 5m: no way to gw"]
    day.sees(up("b")).wait(600)
    assert day.told() == []


def test_many_tunnels_stay_readable() -> None:
    day = Day().sees(*(failed(name=f"t{n}") for n in range(7))).wait(GATHER)
    assert day.told() == ["t0, t1, t2, t3 and 3 more: the host key of gw has changed"]
    day.sees(*(failed(Failure(Code.AUTH_DENIED, f"no {n}"), f"t{n}") for n in range(7))).wait(GATHER)
    (notice,) = day.notes()
    assert notice.text.count("\n") == 4


def test_trouble_and_recovery_at_one_moment_are_two_notices() -> None:
    day = Day().sees(failed(name="a")).wait(10)
    day.told()
    day.sees(up("a"), failed(name="b")).wait(GATHER)
    assert day.told() == ["b: the host key of gw has changed", "a: well again"]


def test_a_tunnel_that_is_closed_is_not_told_of() -> None:
    day = Day().sees(failed()).wait(GATHER / 2).sees(State.STOPPED).wait(3600)
    assert day.told() == []
    assert day.sees(backoff(), State.STOPPING, State.STOPPED).wait(3600).told() == []


@pytest.mark.parametrize(("pause", "told"), [(1.0, ["default: well again"]), (FORGET + 1, [])])
def test_one_that_is_started_anew_is_still_the_same(pause: float, told: list[str]) -> None:
    """The settings were mended: the daemon closes the tunnel and opens it again. Or it was closed by hand, for long."""
    day = Day().sees(failed()).wait(10)
    day.told()
    assert day.sees(State.STOPPED).wait(pause).sees(State.CONNECTING, up()).wait(60).told() == told


def test_after_sleep_the_network_gets_its_time() -> None:
    day = Day().sees(backoff()).wait(PATIENCE - 1)
    day.notices.woke(day.now)
    assert day.wait(PATIENCE - 1).told() == []
    assert day.wait(1).told() == ["default: not up for 5m: gw refused the connection"]


def test_sleep_does_not_put_off_what_must_be_mended() -> None:
    day = Day().sees(failed()).wait(GATHER / 2)
    day.notices.woke(day.now)
    assert day.wait(GATHER / 2).told() == ["default: the host key of gw has changed"]


def test_forgotten_at_once() -> None:
    day = Day().sees(failed())
    day.notices.forget("default")
    day.notices.forget("other")
    assert day.wait(60).told() == []


def test_text_from_elsewhere_is_made_printable_and_short() -> None:
    day = Day().sees(failed(Failure(Code.CONFIG, "a\x1b[31m\nb" + "x" * 500, {"hint": "c\x07d"}))).wait(GATHER)
    (notice,) = day.notes()
    assert notice.title.startswith("default: a?[31m?b")
    assert len(notice.title) == MOST_TEXT
    assert notice.text == "c?d"
