"""The check of a connection in doubt, and the probe over it."""

import pytest

from openclaw_tunnel.core.doubt import Doubt, Inquiry, Shock


def test_a_server_that_takes_long_is_asked_all_the_same() -> None:
    doubt = Doubt(Inquiry.ASKED, Shock.NETWORK, 0.5).took_long()
    assert doubt == Doubt(Inquiry.SLOW, Shock.NETWORK, 0.5)
    assert doubt.took_long() == doubt


def test_who_was_not_asked_is_not_slow() -> None:
    assert Doubt().took_long() == Doubt()


@pytest.mark.parametrize("shocks", [(Shock.NETWORK, Shock.SLEEP), (Shock.SLEEP, Shock.NETWORK)])
def test_sleep_counts_more_than_a_network_change(shocks: tuple[Shock, Shock]) -> None:
    assert Doubt().shaken(shocks[0]).shaken(shocks[1]).shock is Shock.SLEEP
