"""The questions of ``setup``: asked on a terminal, answered by options or ``--yes``, else refused.

A question is waited for by the event loop, so that the SSH connection lives on meanwhile, and Ctrl-C ends it at once.
"""

import asyncio
import os
import sys
import termios
from collections.abc import Callable, Sequence

from openclaw_tunnel.errors import ExitCode, TunnelError, UsageError
from openclaw_tunnel.setup.steps import Question
from openclaw_tunnel.ssh.auth.prompts import Asker
from openclaw_tunnel.ssh.auth.prompts import Question as ServersQuestion
from openclaw_tunnel.ui import output, progress

_LONGEST_LINE = 4096
_YES, _NO = ("y", "yes"), ("n", "no")


class Terminal:
    """Where a person is: standard input and standard error."""

    def tell(self, text: str) -> None:
        """Show a line."""
        with progress.pause():
            sys.stderr.write(output.flowed(text, sys.stderr) + "\n")
            sys.stderr.flush()

    async def ask(self, prompt: str, *, hidden: bool) -> str:
        """What the person types on one line; ``hidden``: it is not seen.

        Raises:
            TunnelError: the person closes the input (Ctrl-D) instead.
        """
        with progress.pause():
            return await self._ask(prompt, hidden)

    async def _ask(self, prompt: str, hidden: bool) -> str:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        ended = False
        try:
            if hidden:  # before the prompt: what is typed in answer to it is neither shown nor thrown away
                quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
            sys.stderr.write(output.flowed(prompt, sys.stderr))
            sys.stderr.flush()
            line = await _line(descriptor)
            ended = not hidden
            return line
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            if not ended:  # the person's end of line was not seen, or there was none: Ctrl-C, Ctrl-D
                sys.stderr.write("\n")
                sys.stderr.flush()


async def _line(descriptor: int) -> str:
    """The next line of a terminal, which hands over whole lines."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
        data = os.read(descriptor, _LONGEST_LINE)
    finally:
        loop.remove_reader(descriptor)
    if not data:
        raise TunnelError("no answer was given", exit_code=ExitCode.INTERRUPTED)
    return data.decode(errors="replace").rstrip("\r\n")


class Prompts:
    """How the questions of one ``setup`` are answered.

    Args:
        yes: safe answers are taken without asking.
        terminal: where a person is; None: nobody is there.
        password: reads the password for the host, where a file has one (``--password-file``); None: no file.
    """

    def __init__(self, *, yes: bool, terminal: Terminal | None, password: Callable[[], str] | None = None) -> None:
        self._yes = yes
        self._terminal = terminal
        self._password = password

    async def answer(self, question: Question) -> bool | str:
        """Yes or no, or the line that a person types, blanks around it removed; empty under ``--yes``.

        Raises:
            UsageError: nobody is there.
        """
        confirms = question.kind == "confirm"
        if self._yes:
            return question.safe if confirms else ""
        if self._terminal is None:
            raise UsageError(
                f"{question.about} must be asked, and there is no terminal", hint=f"answer it with: {question.flag}"
            )
        if not confirms:
            return (await self._terminal.ask(question.text, hidden=question.kind == "hidden")).strip()
        choices = "[Y/n]" if question.default else "[y/N]"
        while True:
            said = (await self._terminal.ask(f"{question.text} {choices}: ", hidden=False)).strip().lower()
            if said in ("", *_YES, *_NO):
                return said in _YES if said else question.default

    @property
    def asker(self) -> Asker | None:
        """Who answers the SSH server; None where nobody can."""
        if self._password is not None:
            return self._from_file
        return None if self._terminal is None else self._from_person

    async def _from_file(self, question: ServersQuestion) -> Sequence[str] | None:
        """The password once; a question for something else, such as a code, is not answered with it.

        Raises:
            TunnelError: it was refused.
        """
        assert self._password is not None  # noqa: S101  as ``asker`` has it
        if not question.prompts:
            return ()
        if question.attempt > 1:
            raise TunnelError(
                f"{question.host} refused {question.user} with the password of --password-file",
                hint="check the user and the password; is that the account's name on that computer?",
                exit_code=ExitCode.LOGIN,
            )
        if len(question.prompts) > 1 or question.prompts[0].echo:
            return None
        return [self._password()]

    async def _from_person(self, question: ServersQuestion) -> Sequence[str] | None:
        assert self._terminal is not None  # noqa: S101  as ``asker`` has it
        if question.attempt > 1:
            self._terminal.tell(f"refused; try again ({question.attempt} of {question.attempts})")
        for line in filter(None, (question.name, *question.instructions)):
            self._terminal.tell(f"{question.host} says: {line}")
        return [await self._terminal.ask(prompt.text, hidden=not prompt.echo) for prompt in question.prompts]


def find_terminal() -> Terminal | None:
    """The terminal, if a person reads and types here."""
    return Terminal() if output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr) else None
