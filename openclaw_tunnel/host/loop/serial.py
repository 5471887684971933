"""Calls beside the event loop that share a thread: those of one kind are made one after the other."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Answer(Generic[A]):
    """What a thread hands to the event loop that waits for it, in ``future``; made in that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[A] = self._loop.create_future()

    def give(self, call: Callable[[], A]) -> None:
        """In the thread: what ``call`` returns or raises, if somebody still waits for it."""
        result, error = None, None
        try:
            result = call()
        except BaseException as exc:
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._set, result, error)

    def _set(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


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
        self._waiting: dict[Hashable, dict[Answer[A], Q]] = {}

    async def ask(self, key: Hashable, question: Q) -> A:
        """The answer, found after this call began; cancelling takes the question back.

        Raises:
            RuntimeError: there is no room for a thread.
            Exception: what the answering raised.
        """
        answer = Answer[A]()
        with self._lock:
            if key in self._waiting:
                self._waiting[key][answer] = question
            else:
                first = key, answer, question
                threading.Thread(target=self._work, args=first, name=self._name, daemon=True).start()
                self._waiting[key] = {}
        try:
            return await answer.future
        finally:
            with self._lock:
                self._waiting.get(key, {}).pop(answer, None)

    def _work(self, key: Hashable, answer: Answer[A], question: Q) -> None:
        begin = functools.cache(self._begin)
        asked: tuple[Answer[A], Q] | None = answer, question
        while asked:
            answer, question = asked
            answer.give(functools.partial(lambda asked: begin()(asked), question))
            asked = self._next(key)

    def _next(self, key: Hashable) -> tuple[Answer[A], Q] | None:
        with self._lock:
            if waiting := self._waiting[key]:
                first = next(iter(waiting))
                return first, waiting.pop(first)
            del self._waiting[key]
            return None
