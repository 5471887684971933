"""The faults, each in a lab of its own with all contestants in it at the same time, and what is measured.

For each contestant, in seconds (None: not within ``window_s``):

* ``served_s``: the first good answer that a client gets through the local port, counted from the moment the network is
  back; for a fault that has no end (a killed child, a forgotten flow, a new address, a wake) from the moment it has
  struck, and then only clients count that came after it.
* ``noticed_s``: from the fault until the program shows from outside that it knows. Ours: the state of
  ``status --json`` leaves ``up``, or its losses or connects grow. The others: their process ends, autossh replaces its
  ssh, or the local port changes what it does: a client that came after the fault is refused, reset or closed.
* ``clients``: of those that came during the outage (at most the first ten seconds, which is how long ours holds
  one), how many had which fate. A client has 20 s of patience.
* ``download``: what became of a long download: it goes on, or when and how it ended.

For servers that drop everyone: ``dials``, the TCP connections that the server saw in five minutes, and ``served_s``
after sshd is back, with clients who come.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from contestants import Contestant, contestants

from support.crowd import Crowd, Fate, Stream, Visit, crowd
from support.netlab import Lab

Result = dict[str, dict[str, Any]]
Alone = Callable[[], AbstractContextManager[object]]

HOLD = 10.0
AUTOSSH_GATE = 31.0
"""Seconds: autossh ends for good where its first ssh ends within 30 s."""
TICK = 0.05
PATIENCE = 20.0
BACK_WITHIN = 70.0
"""Seconds after a server has stopped to drop everyone: more than our longest backoff."""
AWAY = (Fate.REFUSED, Fate.RESET, Fate.CLOSED)


class Stage:
    """A lab with every contestant running in it, and their clients.

    Args:
        window: seconds in which the contestants may recover.
        asleep: their clocks can jump.
        alone: entered around what has to be measured while nothing else is.
    """

    def __init__(self, stack: ExitStack, *, window: float, asleep: bool, alone: Alone) -> None:
        self.window = window
        self.lab = stack.enter_context(Lab(ports=5))
        self.people: Crowd = stack.enter_context(crowd(self.lab.client))
        self.all = contestants(self.lab)
        self.alone = alone
        self.visits: dict[str, list[Visit]] = {}
        self.noticed: dict[str, float] = {}
        path = {"HOME": str(self.lab.folder), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        env = {**path, **(self.lab.clocks.environment() if asleep else {})}
        with self.lab.client.inside():
            for one in self.all:
                one.start(stack, env)
            for one in self.all:
                one.wait_ready()
        self.began = time.monotonic()

    def warm_up(self, seconds: float) -> None:
        """Wait until all have run so long."""
        time.sleep(max(0.0, self.began + seconds - time.monotonic()))

    def come(self, every: float = 0.2) -> None:
        """Let clients come to every contestant."""
        self.visits = {one.name: self.people.come(one.local_port, every=every, patience=PATIENCE) for one in self.all}

    def watch(self, since: float, until: Callable[[], bool], window: float) -> None:
        """Look at everybody until ``until()``, at most until ``window`` seconds after now; note who notices.

        Args:
            since: of the fault.
        """
        before = self.pulses
        end = time.monotonic() + window
        while time.monotonic() < end and not until():
            for one in self.all:
                if one.name not in self.noticed and self._has_noticed(one, before[one.name], since):
                    self.noticed[one.name] = round(time.monotonic() - since, 2)
            time.sleep(TICK)

    def all_well(self) -> None:
        """Let two seconds pass in which every contestant serves clients, and remember how everybody looks then."""
        time.sleep(2.0)
        for one in self.all:
            assert self.serves(one, self.began, after=True), f"{one.name} serves before the fault"
        self.before_fault()

    def nobody_waits(self, first: float, last: float) -> bool:
        """Whether the fate is known of all clients that came within a time."""
        visits = [visit for name in self.visits for visit in self.visits[name]]
        return all(v.fate is not Fate.WAITING for v in visits if first <= v.began <= last)

    def before_fault(self) -> None:
        """Remember how everybody looks while all is well."""
        self.pulses = {one.name: one.pulse() for one in self.all}

    def _has_noticed(self, one: Contestant, before: object, since: float) -> bool:
        visits = () if one.tells else self.visits.get(one.name, ())
        return one.pulse() != before or any(v.began > since and v.fate in AWAY for v in visits)

    def settled(self, since: float, *, after: bool) -> bool:
        """Whether it is known of everybody when they served again, or that they never will."""
        return all(one.gone or self.serves(one, since, after=after) for one in self.all)

    def serves(self, one: Contestant, since: float, *, after: bool) -> bool:
        """Whether one has served a client since then."""
        return served(self.visits.get(one.name, ()), since, after=after) is not None


def served(visits: Sequence[Visit], since: float, *, after: bool) -> float | None:
    """Seconds from ``since`` to the first good answer; ``after``: only clients count that came after it."""
    answers = [v.ended for v in tuple(visits) if v.fate is Fate.ANSWERED and (v.began if after else v.ended) >= since]
    return round(min(answers) - since, 3) if answers else None


def fates(visits: Sequence[Visit], first: float, last: float) -> dict[str, int]:
    """How many of the clients that came within a time had which fate."""
    return dict(Counter(str(v.fate) for v in tuple(visits) if first <= v.began <= last))


def told(stream: Stream, since: float) -> str:
    """What became of a download."""
    if stream.ended is not None:
        return f"{stream.ended[1]} after {stream.ended[0] - since:.1f} s"
    return "goes on" if stream.arrivals[-1] > max(since, time.monotonic() - 1) else "hangs"


def outage(
    stage: Stage,
    fault: Callable[[], object],
    end: Callable[[], object] | None = None,
    *,
    lasts: float = 0.0,
    every: float = 0.2,
    upload: bool = False,
) -> Result:
    """Break something, mend it after ``lasts`` seconds where it can be mended, and see how everybody fares.

    Args:
        every: seconds between two clients of each contestant.
        upload: whether each has a client that sends all the time, beside the one with the download.
    """
    downloads = {one.name: stage.people.download(one.local_port) for one in stage.all}
    if upload:
        for one in stage.all:
            stage.people.upload(one.local_port)
    stage.come(every)
    stage.all_well()
    fault()
    struck = time.monotonic()
    stage.watch(struck, lambda: False, lasts)
    if end is not None:
        end()
    back = struck if end is None else time.monotonic()
    stage.watch(struck, lambda: stage.settled(back, after=end is None), stage.window)
    last = struck + HOLD if end is None else min(back, struck + HOLD)
    stage.watch(struck, lambda: stage.nobody_waits(struck, last), PATIENCE + 1)
    return {
        one.name: {
            "served_s": served(stage.visits[one.name], back, after=end is None),
            "noticed_s": stage.noticed.get(one.name),
            "gone": one.gone,
            "clients": fates(stage.visits[one.name], struck, last),
            "download": told(downloads[one.name], struck),
        }
        for one in stage.all
    }


def child_killed(stage: Stage) -> Result:
    """sshd's children are killed, sshd itself goes on."""
    stage.warm_up(AUTOSSH_GATE)
    with stage.alone():
        return outage(stage, stage.lab.kill_connections, every=TICK)


def child_killed_early(stage: Stage) -> Result:
    """The same, while the programs run for less than 30 s."""
    return outage(stage, stage.lab.kill_connections, every=TICK)


def blackhole(lasts: float) -> Callable[[Stage], Result]:
    """Every packet vanishes for a while; one client downloads and one uploads."""

    def play(stage: Stage) -> Result:
        lab = stage.lab
        return outage(stage, lambda: lab.blackhole(True), lambda: lab.blackhole(False), lasts=lasts, upload=True)

    return play


def link_down(stage: Stage) -> Result:
    """The network card is off for 30 s."""
    lab = stage.lab
    return outage(stage, lambda: lab.link(False), lambda: lab.link(True), lasts=30.0)


def flow_forgotten(stage: Stage) -> Result:
    """A NAT forgets the connections: old ones are dropped for ever, new ones are fine."""
    return outage(stage, stage.lab.forget_flows)


def address_changed(stage: Stage) -> Result:
    """The computer gets another address, while clients come."""
    return outage(stage, stage.lab.change_address)


def woken(stage: Stage) -> Result:
    """The computer slept for an hour, and the NAT forgot the connections meanwhile."""
    return outage(stage, stage.lab.wake)


def address_changed_unused(stage: Stage) -> Result:
    """The computer gets another address while nobody uses the tunnels: when has the server the next login?

    Clients of a program come from then on, and ``served_s`` is the first answer: nobody's bytes tell it before.
    """
    stage.before_fault()
    logins = Logins(stage.lab)
    stage.lab.change_address()
    struck = time.monotonic()

    def look() -> bool:
        for one in stage.all:
            if one.far_port in logins.since_start() and one.name not in stage.visits:
                stage.visits[one.name] = stage.people.come(one.local_port, every=TICK, patience=PATIENCE)
        return all(one.gone or stage.serves(one, struck, after=True) for one in stage.all)

    stage.watch(struck, look, stage.window)
    return {
        one.name: {
            "served_s": served(stage.visits.get(one.name, ()), struck, after=True),
            "noticed_s": stage.noticed.get(one.name),
            "gone": one.gone,
        }
        for one in stage.all
    }


class Logins:
    """Who has logged in at a lab's sshd since this was made."""

    _CONNECTION = re.compile(r"Connection from \S+ port (\d+) on \S+ port (\d+)")
    _LOGIN = re.compile(r"Accepted publickey for \S+ from \S+ port (\d+)")

    def __init__(self, lab: Lab) -> None:
        self._log = lab.sshd.log
        self._skip = len(self._log.read_text())

    def since_start(self) -> set[int]:
        """The ports of sshd where somebody has logged in."""
        new = self._log.read_text()[self._skip :]
        far_port = {client: int(server) for client, server in self._CONNECTION.findall(new)}
        return {far_port[client] for client in self._LOGIN.findall(new) if client in far_port}


def dropped(after_login: bool, used: bool) -> Callable[[Stage], Result]:
    """For five minutes a server takes sshd's place that throws everyone out."""

    def play(stage: Stage) -> Result:
        stage.warm_up(AUTOSSH_GATE)
        if used:
            stage.come()
        flapping: set[str] = set()
        with stage.lab.dropping(after_login=after_login) as dials:
            end = time.monotonic() + stage.window
            while time.monotonic() < end:
                flapping |= {one.name for one in stage.all if one.flapping()}
                time.sleep(1.0)
            counts = {one.name: len(dials[one.far_port]) for one in stage.all}
        back = time.monotonic()
        if not used:
            stage.come()
        stage.before_fault()
        stage.watch(back, lambda: stage.settled(back, after=False), BACK_WITHIN)
        return {
            one.name: {
                "dials": counts[one.name],
                "flapping": one.name in flapping,
                "served_s": served(stage.visits[one.name], back, after=False),
                "gone": one.gone,
            }
            for one in stage.all
        }

    return play


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table.

    Attributes:
        name: in the JSON.
        title: for people.
        play: does it.
        window_s: how long a contestant is given; what takes longer is ``never``.
        target: what ours has to stay below: seconds, or connections.
        asleep: the contestants' clocks can jump.
        alone: it is measured while nothing else is.
    """

    name: str
    title: str
    play: Callable[[Stage], Result]
    window_s: float
    target: float | None = None
    asleep: bool = False
    alone: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("child_killed", "sshd's child killed", child_killed, 8, 0.4, alone=True),
        Scenario("child_killed_early", "sshd's child killed within 30 s of the start", child_killed_early, 8, 0.4),
        Scenario("blackhole_6", "network dead for 6 s", blackhole(6), 30, 1.0),
        Scenario("blackhole_20", "network dead for 20 s", blackhole(20), 40, 1.0),
        Scenario("blackhole_60", "network dead for 60 s", blackhole(60), 80, 1.0),
        Scenario("blackhole_120", "network dead for 120 s", blackhole(120), 130, 1.0),
        Scenario("link_down_30", "network card off for 30 s", link_down, 60, 1.0),
        Scenario("flow_forgotten", "NAT forgot the connection", flow_forgotten, 90, 8.0),
        Scenario("address_changed", "own address changed, in use", address_changed, 90, 8.0),
        Scenario("address_changed_unused", "own address changed, unused", address_changed_unused, 90, 5.0),
        Scenario("woken", "woken after an hour's sleep", woken, 90, 4.0, asleep=True),
        Scenario("dropped_connect_used", "server drops at connect, in use", dropped(False, True), 300, 20),
        Scenario("dropped_connect", "server drops at connect, unused", dropped(False, False), 300, 20),
        Scenario("dropped_login_used", "server drops after login, in use", dropped(True, True), 300, 20),
        Scenario("dropped_login", "server drops after login, unused", dropped(True, False), 300, 20),
    )
}
