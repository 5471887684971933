"""What a tunnel does when the network fails, in the ways networks fail: real sshd, real packets, real clients."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.cli import Cli
from support.crowd import Crowd, Fate, Visit, crowd
from support.netlab import Lab
from support.tunnelview import TunnelView
from support.waiting import free_port, wait_until

pytestmark = pytest.mark.machine

PATIENT = {"probeInterval": 600, "keepaliveInterval": 600}
"""Nothing looks after the connection by itself: only what the test does can be the reason that it is looked at."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def people(lab: Lab) -> Iterator[Crowd]:
    """Clients in the client's side of the lab."""
    with crowd(lab.client) as made:
        yield made


def is_served(visits: list[Visit], since: float = 0.0) -> bool:
    """Whether a client that came after ``since`` got an answer."""
    return any(visit.fate is Fate.ANSWERED for visit in tuple(visits) if visit.began >= since)


def fates(visits: list[Visit], since: float = 0.0) -> dict[Fate, int]:
    """What became of the clients that came after ``since``, once all is known."""
    wait_until(lambda: all(visit.fate is not Fate.WAITING for visit in visits), 30, "everybody's fate")
    return Counter(visit.fate for visit in visits if visit.began >= since)


def test_killed_connections_are_replaced_and_nobody_is_refused(cli: Cli, lab: Lab, people: Crowd) -> None:
    port = lab.up(cli)
    view = TunnelView(cli)
    visits = people.come(port, every=0.05)
    wait_until(lambda: is_served(visits), 10, "the first client")
    kills = []
    for losses in (1, 2, 3):
        before = time.monotonic()
        lab.kill_connections()
        kills.append((before, time.monotonic()))
        view.wait_up(losses + 1)
    since = time.monotonic()
    wait_until(lambda: is_served(visits, since), 10, "a client of the last connection")
    people.no_more()
    assert set(fates(visits)) <= {Fate.ANSWERED, Fate.RESET}
    for visit in visits:  # one that was being served when its connection was killed cannot be helped
        cut = any(visit.began <= after and visit.ended >= before for before, after in kills)
        assert visit.fate is Fate.ANSWERED or cut, visit
    assert view()["counters"]["losses"] == 3


def test_a_dead_network_is_noticed_and_who_waits_is_served(cli: Cli, lab: Lab, people: Crowd) -> None:
    """For twelve seconds: the clients who came since the loss was noticed are held, and served once it is back."""
    cli.set_policy(hold=90)
    port = lab.up(cli)
    view = TunnelView(cli)
    visits = people.come(port, patience=100)
    upload = people.upload(port)
    wait_until(lambda: is_served(visits) and upload.arrivals, 10, "the first client")
    lab.blackhole(True)
    struck = time.monotonic()
    wait_until(lambda: view.state != "up", 15, "the loss to be noticed")
    noticed = time.monotonic()
    wait_until(lambda: time.monotonic() >= struck + 12, 15, "the end of the outage")
    lab.blackhole(False)
    back = time.monotonic()
    wait_until(lambda: is_served(visits, back), 15, "a client who came after it")
    people.no_more()
    assert set(fates(visits, noticed)) == {Fate.ANSWERED}
    assert Fate.REFUSED not in fates(visits)
    arrived = lab.far.uploaded
    wait_until(lambda: upload.ended or lab.far.uploaded > arrived, 30, "the upload to go on, or to be cut: not to hang")


def test_a_connection_that_a_nat_forgot_is_noticed_by_its_clients(cli: Cli, lab: Lab, people: Crowd) -> None:
    cli.set_policy(**PATIENT)
    port = lab.up(cli)
    view = TunnelView(cli)
    assert lab.forget_flows()
    visits = people.come(port)
    view.wait_up(2)
    wait_until(lambda: is_served(visits), 10, "a client to be served again")
    people.no_more()
    assert set(fates(visits)) == {Fate.ANSWERED}


def test_a_new_address_is_noticed_without_any_client(cli: Cli, lab: Lab, people: Crowd) -> None:
    cli.set_policy(**PATIENT)
    port = lab.up(cli)
    view = TunnelView(cli)
    lab.change_address()
    view.wait_up(2)
    visit = people.visit(port)
    assert fates([visit]) == {Fate.ANSWERED: 1}


def test_sleep_is_noticed_without_any_client(cli: Cli, lab: Lab, people: Crowd) -> None:
    cli.set_policy(**PATIENT)
    cli.env.update(lab.clocks.environment())
    port = lab.up(cli)
    view = TunnelView(cli)
    lab.wake()
    view.wait_up(2)
    visit = people.visit(port)
    assert fates([visit]) == {Fate.ANSWERED: 1}
    assert "sleep" in cli("logs").stdout


def test_a_slow_answer_is_no_outage(cli: Cli, lab: Lab, people: Crowd) -> None:
    """The server is asked whether it lives, and it does."""
    port = lab.up(cli)
    visit = people.visit(port, path="/slow?seconds=6")
    assert fates([visit]) == {Fate.ANSWERED: 1}
    assert visit.seconds > 6
    counters = TunnelView(cli)()["counters"]
    assert (counters["connects"], counters["losses"]) == (1, 0)


def test_a_large_upload_on_a_slow_line_is_no_outage(cli: Cli, lab: Lab) -> None:
    """Whatever is asked waits behind it, longer than any deadline: but bytes get through all the time."""
    port = lab.up(cli)
    lab.slow_down(256)
    with lab.client.inside():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.monotonic()
        connection.request("POST", "/upload", body=b"x" * 450_000)
        assert json.loads(connection.getresponse().read()) == {"length": 450_000}
        connection.close()
    assert time.monotonic() - began > 10
    counters = TunnelView(cli)()["counters"]
    assert (counters["connects"], counters["losses"]) == (1, 0)
    assert "degraded" not in cli("logs").stdout


def test_a_download_survives_what_happens_to_others(cli: Cli, lab: Lab, people: Crowd) -> None:
    """One client's service is not there, one leaves in the middle, one waits long: the connection stays the same."""
    with lab.client.inside():
        second = free_port()
    port = lab.up(cli, "-L", f"{second}:127.0.0.1:1")
    download, flows = people.download(port), lab.client.flows_to(lab.sshd.ports)
    refused, slow = people.visit(second), people.visit(port, path="/slow?seconds=5")
    hasty = people.visit(port, path="/slow?seconds=5", patience=0.5)
    assert set(fates([refused])) <= {Fate.RESET, Fate.TOLD}
    assert (fates([hasty]), fates([slow])) == ({Fate.GAVE_UP: 1}, {Fate.ANSWERED: 1})
    arrived = len(download.arrivals)
    wait_until(lambda: len(download.arrivals) > arrived, 5, "the download to go on")
    assert download.ended is None
    # as sets: the kernel's table may show one connection twice while it changes
    assert set(lab.client.flows_to(lab.sshd.ports)) == set(flows)


def test_a_download_survives_a_network_card_that_is_off_for_some_seconds(cli: Cli, lab: Lab, people: Crowd) -> None:
    """New clients get a new connection; the old one comes back with its TCP."""
    port = lab.up(cli)
    view = TunnelView(cli)
    download = people.download(port)
    wait_until(lambda: download.arrivals, 10, "the download to begin")
    lab.link(False)
    wait_until(lambda: view()["counters"]["losses"] == 1, 10, "the loss to be noticed")
    arrived = len(download.arrivals)
    lab.link(True)
    visit = people.visit(port)
    assert fates([visit]) == {Fate.ANSWERED: 1}
    wait_until(lambda: download.ended or len(download.arrivals) > arrived + 10, 15, "the download to go on")
    assert download.ended is None


def test_a_server_that_drops_everyone_is_left_in_peace_and_shown_as_flapping() -> None:
    """At once and after the login, side by side, with a client who waits all the time."""
    with ExitStack() as stack:
        seen = []
        for after_login in (False, True):
            lab, cli = stack.enter_context(Lab()), stack.enter_context(Cli())
            port = lab.up(cli)
            stack.enter_context(crowd(lab.client)).come(port, every=1.0)
            dials = stack.enter_context(lab.dropping(after_login=after_login))
            seen.append((TunnelView(cli), dials[lab.sshd.port]))
        began = time.monotonic()
        for view, _ in seen:
            wait_until(lambda view=view: view()["retry"]["flapping"], 60, "flapping")  # type: ignore[misc]
        wait_until(lambda: time.monotonic() >= began + 60, 60, "a minute")
        counts = [len(times) for _, times in seen]
        assert all(5 <= count < 12 for count in counts), counts
