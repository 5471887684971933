"""Importing without the garbage collector."""

import gc

from openclaw_tunnel.host.imports import uncollected


def test_the_collector_rests_and_leaves_alone_what_was_imported() -> None:
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    # What is frozen stays so: the search for leftovers after every later test would walk through all of pytest again.
    assert gc.get_freeze_count() > frozen


def test_a_collector_that_rests_already_goes_on_resting() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
