"""The check of a connection in doubt, and the probe over it."""

import pytest

from openclaw_tunnel.core.doubt import INQUIRIES, Doubt, Inquiry, Probing, Shock, Step


def test_every_stage_has_a_row() -> None:
    assert set(INQUIRIES) == set(Inquiry)
    assert all(row[Step.ENDED] is Inquiry.IDLE for row in INQUIRIES.values())


def test_a_server_is_asked_takes_long_and_answers() -> None:
    doubt = Doubt().shaken(Shock.NETWORK).with_probe(0.5).after(Step.ASK)
    assert doubt == Doubt(Inquiry.ASKED, Shock.NETWORK, 0.5)
    assert doubt.after(Step.TOOK_LONG) == Doubt(Inquiry.SLOW, Shock.NETWORK, 0.5)
    assert doubt.after(Step.TOOK_LONG).after(Step.ENDED) == Doubt()


def test_who_was_not_asked_is_not_slow() -> None:
    assert Doubt().after(Step.TOOK_LONG) == Doubt()
    assert Doubt(Inquiry.SLOW).after(Step.ASK) == Doubt(Inquiry.SLOW)


@pytest.mark.parametrize("shocks", [(Shock.NETWORK, Shock.SLEEP), (Shock.SLEEP, Shock.NETWORK)])
def test_sleep_counts_more_than_a_network_change(shocks: tuple[Shock, Shock]) -> None:
    assert Doubt().shaken(shocks[0]).shaken(shocks[1]).shock is Shock.SLEEP


def test_a_probe_that_runs_may_have_looked_too_early() -> None:
    assert [probing.doubted for probing in Probing] == [Probing.IDLE, Probing.OVERTAKEN, Probing.OVERTAKEN]
