"""A test of the machine reads as a script: an event, the commands it must cause, the next event."""

from typing import Self

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.machine import Machine
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State, Trigger


def steps(tries: int) -> float:
    """A backoff without chance: 0, 1, 2, 3 ... seconds."""
    return float(tries - 1)


class RecordedMachine(Machine):
    """A machine that remembers each change of its state."""

    def __init__(self, policy: Policy, delays: Delays) -> None:
        super().__init__(policy, delays)
        self.moves: list[tuple[State, State]] = []

    def move(self, trigger: Trigger) -> None:
        before = self.state
        super().move(trigger)
        self.moves.append((before, self.state))


class Playbook:
    """``>>`` gives the machine an event, ``<<`` says which command comes next; ``wait`` lets time pass."""

    def __init__(self, policy: Policy | None = None, backoff: Delays = steps) -> None:
        self.machine = RecordedMachine(policy or Policy(), backoff)
        self.now = 1000.0
        self._expected: list[do.Command] = []

    def __rshift__(self, event: ev.Event) -> Self:
        self.done()
        self._expected = list(self.machine.handle(event, self.now))
        return self

    def __lshift__(self, command: do.Command) -> Self:
        assert self._expected, f"expected {command}, but nothing more was asked for"
        assert self._expected.pop(0) == command
        return self

    def wait(self, seconds: float) -> Self:
        """Let ``seconds`` pass."""
        self.now += seconds
        return self

    def done(self) -> None:
        """No command is left over."""
        assert self._expected == []

    def at(self, state: State) -> Self:
        """The machine stands in ``state`` and asks for nothing more."""
        self.done()
        assert self.machine.state is state
        return self

    def skip(self, event: ev.Event) -> Self:
        """Give the machine an event whose commands another test looks at."""
        self.done()
        self.machine.handle(event, self.now)
        return self
