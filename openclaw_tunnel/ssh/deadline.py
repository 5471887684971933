"""The time that a dial has: so much for machines, and so much for the persons they ask for something."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from openclaw_tunnel.core.link import PERSON_SECONDS, Asks, nobody_asked

_INSTANT = 0.01  # an event loop may be as much too early


class Clock(Protocol):
    """What is used of an event loop where tests let the time pass."""

    def time(self) -> float:
        """Seconds since some moment."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Any:
        """Call it after ``delay`` seconds, unless ``cancel`` of what is returned is called before."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long persons are waited for.

    Attributes:
        person: seconds for all that persons are asked during one dial.
        notice: a login that stands still for so many seconds waits for a person, not for a machine.
    """

    person: float = PERSON_SECONDS
    notice: float = 2.0


@dataclass(slots=True, eq=False)
class Request:
    """Something that a person is asked to do.

    Attributes:
        text: what, in one line.
        begun: when, by the clock of the deadline.
        shown: the person has been told; ``timer`` is what will do so.
    """

    text: str
    begun: float
    shown: bool = False
    timer: Any = field(default=None, repr=False)


class Deadline:
    """Two budgets of one dial. The machines' stands still while a person is asked, and then the persons' runs down.

    Args:
        seconds: what machines have.
        patience: what persons have.
        asks: takes what a person is asked; see ``core.link.Asks``.
        clock: the event loop.
        expire_at: takes the time at which the dial has to end; None: it does not have to, for now.

    Attributes:
        seconds: what machines have, or had at the beginning.
    """

    def __init__(
        self,
        seconds: float,
        *,
        patience: Patience | None = None,
        asks: Asks = nobody_asked,
        clock: Clock,
        expire_at: Callable[[float | None], None],
    ) -> None:
        self.patience = patience or Patience()
        self.seconds = self._left = seconds
        self._person_left = self.patience.person
        self._asks = asks
        self._clock = clock
        self._expire_at = expire_at
        self._since = clock.time()
        self._holds = 0
        self._requests: list[Request] = []
        self._asked = ""

    def limit(self, seconds: float) -> None:
        """Give machines another budget, counted from the same beginning."""
        with self._change():
            self._left += seconds - self.seconds
            self.seconds = seconds

    @contextmanager
    def held(self, *, renew: bool = False) -> Iterator[None]:
        """Neither budget is touched; whoever asks for it has a limit of its own.

        Args:
            renew: afterwards machines have all of their time again.
        """
        with self._change():
            self._holds += 1
        try:
            yield
        finally:
            with self._change():
                self._holds -= 1
                self._left = self.seconds if renew else self._left

    def ask(self, text: str, *, after: float = 0.0) -> Request:
        """A person is waited for from now on; ``after`` so many seconds, that is shown."""
        with self._change():
            request = Request(text, self._clock.time())
            self._requests.append(request)
            if after:
                request.timer = self._clock.call_later(after, partial(self._show, request))
            else:
                self._show(request)
        return request

    def reword(self, request: Request, text: str) -> None:
        """What is asked for has become clearer."""
        request.text = text
        self._report()

    def answered(self, request: Request, *, renew: bool = False) -> None:
        """That person is not waited for any more; idempotent.

        Args:
            renew: machines have all of their time again, which persons then have less: a program that asks and is
                content again and again does not make a dial last for ever.
        """
        if request not in self._requests:
            return
        with self._change():
            self._requests.remove(request)
            if request.timer:
                request.timer.cancel()
            more = min(self.seconds - self._left, max(self._person_left, 0.0)) if renew else 0.0
            self._left, self._person_left = self._left + more, self._person_left - more
        self._report()

    def has_waited(self, request: Request) -> bool:
        """Whether a person must have been asked: no machine takes so long, or all the time of persons is used up."""
        return self._clock.time() - request.begun >= self.patience.notice or self._person_left < _INSTANT

    def close(self) -> None:
        """Nobody is waited for any more."""
        for request in tuple(self._requests):
            self.answered(request)

    def _show(self, request: Request) -> None:
        request.shown = True
        self._report()

    def _report(self) -> None:
        """Say what the latest request is that is shown, where that is another one than before."""
        text = next((r.text for r in reversed(self._requests) if r.shown), "")
        if text != self._asked:
            self._asked = text
            self._asks(text)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Settle the accounts before a change, and set the time of expiry after it."""
        now = self._clock.time()
        spent, self._since = now - self._since, now
        if self._requests and not self._holds:
            self._person_left -= spent
        elif not self._holds:
            self._left -= spent
        yield
        left = self._person_left if self._requests else self._left
        self._expire_at(None if self._holds else self._since + left)


class _Stopped:
    """A clock on which nothing happens."""

    def time(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Any:
        return None


def no_deadline() -> Deadline:
    """For what has no deadline, and nobody who could be asked."""
    return Deadline(0.0, clock=_Stopped(), expire_at=lambda at: None)
