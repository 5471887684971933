"""Calls beside the event loop that share a thread: those of one kind are made one after the other."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked(Generic[Q, A]):
    question: Q
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[A]"

    def settle(self, result: A | None, error: BaseException | None) -> None:
        """Hand the answer to the loop that waits for it, if it still does."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._set, result, error)

    def _set(self, result: Any, error: BaseException | None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)


class Serial(Generic[Q, A]):
    """Answers questions in threads that neither who asks nor the end of the program waits for.

    All questions with one key share a thread, which ends with the last of them: a file on a network that is away holds
    one thread, however often it is asked for.

    Args:
        name: what the threads are called.
        begin: makes what answers the questions of one thread; it may keep what helps with the next one.
    """

    def __init__(self, name: str, begin: Callable[[], Callable[[Q], A]]) -> None:
        self._name = name
        self._begin = begin
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, dict[_Asked[Q, A], None]] = {}

    async def ask(self, key: Hashable, question: Q) -> A:
        """The answer, found after this call began; cancelling takes the question back.

        Raises:
            RuntimeError: there is no room for a thread.
            Exception: what the answering raised.
        """
        loop = asyncio.get_running_loop()
        asked: _Asked[Q, A] = _Asked(question, loop, loop.create_future())
        with self._lock:
            if key in self._waiting:
                self._waiting[key][asked] = None
            else:
                threading.Thread(target=self._work, args=(key, asked), name=self._name, daemon=True).start()
                self._waiting[key] = {}
        try:
            return await asked.answer
        finally:
            with self._lock:
                self._waiting.get(key, {}).pop(asked, None)

    def _work(self, key: Hashable, first: "_Asked[Q, A]") -> None:
        answer: Callable[[Q], A] | None = None
        asked: _Asked[Q, A] | None = first
        while asked:
            try:
                answer = answer or self._begin()
                result, error = answer(asked.question), None
            except BaseException as exc:
                result, error = None, exc
            asked.settle(result, error)
            asked = self._next(key)

    def _next(self, key: Hashable) -> "_Asked[Q, A] | None":
        with self._lock:
            if waiting := self._waiting[key]:
                asked = next(iter(waiting))
                del waiting[asked]
                return asked
            del self._waiting[key]
            return None
