"""Tasks that live as long as their owner: kept, named, and never failing in silence."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


UNFORESEEN = (Exception, asyncio.CancelledError)
"""What a caller catches that goes on whatever happens: a CancelledError too, unless :func:`is_being_cancelled`."""


def is_being_cancelled() -> bool:
    """Whether the calling task is being cancelled.

    A CancelledError does not say so: it also comes out of a future that the task awaits and somebody else cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Tasks:
    """The background tasks of one owner, for work that outlives the call that started it.

    Where the work ends with the call, an ``asyncio.TaskGroup`` is the better tool. A task that ends with an
    exception is logged with its traceback at once; the others go on.
    """

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[Any] = log) -> None:
        self._logger = logger
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many are running."""
        return len(self._tasks)

    def start(self, coro: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run ``coro`` as a task that is kept until it ends; ``name`` is how the log calls it."""
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel_all(self) -> None:
        """Cancel every task and return when all of them have ended.

        The calling task, if it is one of them, is left alone. Tasks that are started meanwhile are
        cancelled too.
        """
        while others := self._tasks - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._logger.error("task %s failed", task.get_name(), exc_info=problem)
