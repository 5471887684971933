"""Runs the user's commands, beside the tunnel and never in its way: one at a time for each tunnel, with a deadline.

A command gets its input as a file that it can read to the end, works in the user's home, in a session and a process
group of its own and without any descriptor of ours; what it prints goes to the log. What it leaves running when it ends
is left alone, and what that prints is read and lost: whoever writes to a pipe that nobody reads is killed.
"""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.process import kill_group

DEADLINE = 30.0
"""Seconds for one command."""

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

MOST_LINES = 20
MOST_CHARACTERS = 300
_MOST_BYTES = 16384
_CHUNK = 65536

Log = logging.Logger | logging.LoggerAdapter[Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """One command: ``event`` for the log, the program and its arguments, all of its environment, its input."""

    event: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    stdin: bytes = field(default=b"", repr=False)


class HookRunner:
    """The hooks of one tunnel, in the order in which they were added.

    Of those that wait only the last of each event is kept: however often things happen while one takes its time, the
    last one to run tells how it is. Nothing that goes wrong here is an exception; the log says it.
    """

    def __init__(self, logger: Log, *, deadline: float = DEADLINE, grace: float = GRACE) -> None:
        """Run nothing yet; ``deadline`` and ``grace`` are in seconds."""
        self._log = logger
        self._deadline = deadline
        self._grace = grace
        self._waiting: dict[str, Hook] = {}
        self._tasks = Tasks(logger)
        self._running: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._outputs: set[_Output] = set()

    def add(self, hook: Hook) -> None:
        """Run it as soon as those before it have ended."""
        if self._waiting.pop(hook.event, None):
            self._log.debug("hook %s: happened again before it could be run", hook.event)
        self._waiting[hook.event] = hook
        if self._running is None or self._running.done():
            self._running = self._tasks.start(self._run_all(), name="hooks")

    async def close(self, patience: float) -> None:
        """Wait so many seconds for all to end; then end the one that runs, and forget those that wait."""
        if self._running is not None and not self._running.done():
            _, late = await asyncio.wait({self._running}, timeout=patience)
            if late:
                left = f"; not run any more: {', '.join(self._waiting)}" if self._waiting else ""
                self._log.warning("a hook is ended: the daemon ends%s", left)
        await self._tasks.cancel_all()
        for output in list(self._outputs):
            output.drop()

    def kill(self) -> None:
        """End the one that runs, and all of its group, without waiting: this process is about to end."""
        if self._process is not None:
            kill_group(self._process.pid)

    async def _run_all(self) -> None:
        while self._waiting:
            await self._run(self._waiting.pop(next(iter(self._waiting))))

    async def _run(self, hook: Hook) -> None:
        try:
            output = _Output(self._outputs)
            try:
                self._process = await _start(hook, output)
                code = await self._wait(self._process, hook)
            finally:
                self._process = None
                for line in output.lines():
                    self._log.info("hook %s: %s", hook.event, line)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "an argument cannot be passed on"
            self._log.warning("hook %s cannot be run: %s: %s", hook.event, hook.argv[0], reason)
            return
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            self._log.warning("hook %s %s: %s", hook.event, how, hook.argv[0])

    async def _wait(self, process: asyncio.subprocess.Process, hook: Hook) -> int:
        """Its exit code; 0 where it was not waited for to the end, which is told."""
        try:
            async with asyncio.timeout(self._deadline):
                return await process.wait()
        except TimeoutError:
            self._log.warning("hook %s took longer than %g s, and was ended", hook.event, self._deadline)
            await end_group(process, self._grace)
            return 0
        except asyncio.CancelledError:
            await end_group(process, self._grace)
            raise


async def end_group(process: asyncio.subprocess.Process, grace: float) -> None:
    """End a process that leads a group of its own, and all of that group; return when it has ended.

    Args:
        grace: seconds between SIGTERM and SIGKILL.
    """
    kill_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await process.wait()
    kill_group(process.pid)
    await process.wait()


async def _start(hook: Hook, output: "_Output") -> asyncio.subprocess.Process:
    """A file instead of a pipe: nothing to write to a program that does not read, and the end is always there."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(hook.stdin)
        stdin.seek(0)
        return await asyncio.create_subprocess_exec(
            *hook.argv,
            stdin=stdin,
            stdout=output.write_end,
            stderr=output.write_end,
            env=dict(hook.env),
            cwd=_folder(hook.env),
            start_new_session=True,
        )


def _folder(env: Mapping[str, str]) -> str:
    home = env.get("HOME", "")
    return home if os.path.isdir(home) else "/"


class _Output:
    """What a program prints, read as it comes so that it never waits, and kept up to a limit."""

    def __init__(self, opened: set["_Output"]) -> None:
        """Read from now on, until nobody can write any more. Args: ``opened`` holds it as long."""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._kept = bytearray()
        self._passed = 0
        self._opened = opened
        opened.add(self)
        asyncio.get_running_loop().add_reader(self._read_end, self._read)

    def lines(self) -> list[str]:
        """The lines so far; to be called once, when the program has ended. What comes later is lost."""
        os.close(self.write_end)
        self._read()
        self._read()  # the end, where it left nothing running
        lines = [line for line in self._kept.decode(errors="replace").splitlines() if line.strip()]
        more = len(lines) > MOST_LINES or self._passed > 0
        return [*(line[:MOST_CHARACTERS] for line in lines[:MOST_LINES]), *(["(and more)"] if more else [])]

    def drop(self) -> None:
        """Read no more; idempotent."""
        if self in self._opened:
            self._opened.remove(self)
            asyncio.get_running_loop().remove_reader(self._read_end)
            os.close(self._read_end)

    def _read(self) -> None:
        if self not in self._opened:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._read_end, _CHUNK)
            kept = data[: _MOST_BYTES - len(self._kept)]
            self._kept += kept
            self._passed += len(data) - len(kept)
            if not data:
                self.drop()
