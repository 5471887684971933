"""The addresses of a host, asked of a resolver that may be silent: in threads that are few and hold up nobody.

The event loop's own threads are few, and a resolver without network blocks for half a minute: some dials in a row would
use them all up, and the end of the program would wait for them. It also repeats a question that got lost only after
5 s. So a question has threads of its own, one more from time to time as long as there is no answer, and all that want
to know the same thing share them.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Address = tuple[int, int, int, str, Any]
"""One element of what ``socket.getaddrinfo`` returns."""

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_AGAIN = 1.0  # seconds
_PAUSES = (0, 1, 2, 10, 20, 40)
"""How long, in units of ``again``, the latest thread goes without an answer before there is one more, by how many there
are. Two repetitions soon fill the gaps of 5 s between those of the resolver itself; the later ones are for one that is
stuck for good. A resolver that gives up after half a minute has at most five threads for a question."""

_MOST_REPEATING, _MOST = 24, 96
"""Threads in all, above which a question is not repeated, and not asked at all: many hosts that are looked for in vain
leave room for the first question about another one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom: arguments of ``socket.getaddrinfo``, and a function like it, which blocks."""

    ask: Callable[..., Sequence[Address]]
    host: str
    port: int
    family: int

    def answer(self) -> list[Address] | OSError:
        """Ask, and wait for it; socket.gaierror also for what cannot be a host name."""
        try:
            return list(self.ask(self.host, self.port, self.family, socket.SOCK_STREAM))
        except OSError as exc:
            return exc
        except UnicodeError:
            return socket.gaierror(socket.EAI_NONAME, "not a host name")
        except Exception as exc:  # who waits shall not wait for ever
            return socket.gaierror(socket.EAI_FAIL, str(exc) or type(exc).__name__)


_Waiter = asyncio.Future[list[Address]]


@dataclass(slots=True)
class _Open:
    """A question that is being asked, on the network that there is now.

    Attributes:
        asking: the threads that ask, in their order, and when they began.
        waiting: who wants to know, and when a thread has to have begun for its failure to count; an address that is
            found always counts.
    """

    asking: dict[threading.Thread, float] = field(default_factory=dict)
    waiting: dict[_Waiter, float] = field(default_factory=dict)


def pause_before_next(asking: int, since: float, in_all: int, again: float) -> float:
    """Seconds until a question is asked in one more thread, or until that is to be considered again; 0: now.

    Args:
        asking: threads that ask it already.
        since: seconds since the latest of them began.
        in_all: threads that ask anything.
        again: the unit of the pauses.
    """
    if asking >= len(_PAUSES) or in_all >= (_MOST_REPEATING if asking else _MOST):
        return again
    return max(0.0, _PAUSES[asking] * again - since)


class LookUps:
    """All questions of a process; safe for several threads and event loops.

    Args:
        clock: seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Question, _Open] = {}
        self._in_all = 0

    async def find(self, question: Question, again: float = _AGAIN) -> list[Address]:
        """The answer; cancelling gives it up, but cannot end the threads.

        Args:
            again: seconds without an answer until it is asked in one more thread.

        Raises:
            OSError: there is none.
            RuntimeError: there is no room for a thread.
        """
        answer: _Waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            self._open.setdefault(question, _Open()).waiting[answer] = self._clock() - again
        try:
            while not answer.done():
                pause = self._ask_if_due(question, again)
                await asyncio.wait({answer}, timeout=min(pause, again))
            return answer.result()
        finally:
            answer.cancel()
            with self._lock:
                del self._open[question].waiting[answer]
                self._close_if_over(question)

    def start_over(self) -> None:
        """Have every question asked again: the answers that are still to come are those of another network."""
        with self._lock:
            for question in list(self._open):
                self._open[question].asking.clear()
                self._close_if_over(question)

    def _ask_if_due(self, question: Question, again: float) -> float:
        with self._lock:
            asking, now = self._open[question].asking, self._clock()
            since = now - list(asking.values())[-1] if asking else 0.0
            if pause := pause_before_next(len(asking), since, self._in_all, again):
                return pause
            thread = threading.Thread(target=self._work, args=(question,), daemon=True)
            thread.name = f"lookup {question.host}"
            thread.start()
            asking[thread] = now
            self._in_all += 1
            return again

    def _work(self, question: Question) -> None:
        result = question.answer()
        failed = isinstance(result, OSError)
        with self._lock:
            self._in_all -= 1
            found = self._open.get(question)
            begun = found.asking.pop(threading.current_thread(), None) if found else None
            if found is None or begun is None:
                return  # the answer of another network
            waiting = [waiter for waiter, since in found.waiting.items() if not failed or since <= begun]
            self._close_if_over(question)
        for waiter in waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiter.get_loop().call_soon_threadsafe(_give, waiter, result)

    def _close_if_over(self, question: Question) -> None:
        if not self._open[question].waiting and not self._open[question].asking:
            del self._open[question]


def _give(waiter: _Waiter, result: list[Address] | OSError) -> None:
    if waiter.done():
        return
    if isinstance(result, OSError):
        waiter.set_exception(result)
    else:
        waiter.set_result(result)


_LOOK_UPS = LookUps()


async def look_up(
    host: str,
    port: int,
    address_family: str = "any",
    *,
    ask: Callable[..., Sequence[Address]] = socket.getaddrinfo,
    again: float = _AGAIN,
) -> list[Address]:
    """The addresses of a host, in the order to try them.

    Args:
        address_family: ``any``, ``inet`` or ``inet6``, as in ssh_config.
        ask: ``socket.getaddrinfo`` or another one; blocks.
        again: seconds without an answer until it is asked again beside the first time.

    Raises:
        OSError: socket.gaierror, also for what cannot be a host name.
    """
    family = _FAMILIES.get(address_family, socket.AF_UNSPEC)
    return await _LOOK_UPS.find(Question(ask, host, port, family), again)


def network_changed() -> None:
    """Nobody waits any more for what was asked on the network of before."""
    _LOOK_UPS.start_over()
