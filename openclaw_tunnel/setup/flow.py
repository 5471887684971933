"""``setup`` from beginning to end: all questions first, then what needs none."""

import asyncio
import sys
from collections.abc import Callable, Mapping

from openclaw_tunnel.core.spec import DEFAULT_NAME, Forward
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.setup.local import Computer, HereSteps
from openclaw_tunnel.setup.plan import Found, Mark, Report, Wish
from openclaw_tunnel.setup.prompts import Answers, not_agreed
from openclaw_tunnel.setup.remote import FarSteps
from openclaw_tunnel.setup.sshhost import FarHost
from openclaw_tunnel.ui import output, progress

MakeHost = Callable[[str, str], FarHost]
"""Private key file and file for ``-F``, empty where ssh_config decides -> the host."""


def carry_out(
    wish: Wish,
    make_host: MakeHost,
    computer: Computer,
    answers: Answers,
    report: Report,
    *,
    env: Mapping[str, str],
    paths: Paths,
    opens: bool,
) -> int:
    """Set it up; the exit code.

    Args:
        opens: show the Control UI in the browser where anything changed.

    Nothing that is half done stays behind a step that fails: each is done or not, and the next call goes on from there.

    Raises:
        TunnelError: a step failed or was declined, or a question had to be asked and nobody was there.
    """
    here = HereSteps(wish, computer, report, env=env, paths=paths, yes=answers.yes)
    host = make_host(here.identity, here.ssh_config)
    questions = _Questions(wish, host, computer, answers, report, here)
    with progress.working(f"asking {wish.target} for its key") as work:
        report.doing = lambda what: setattr(work, "what", what)
        found, forwards = asyncio.run(questions.run())
    code = here.run(found, forwards, remote_mode=questions.remote_mode, service=questions.service)
    if code != ExitCode.OK or wish.dry_run:
        return code
    if not report.changed:
        output.say(f"already set up: nothing was changed for {wish.target}")
    code = computer.command("health", "-n", here.name) if found.can_ask else ExitCode.OK
    if code == ExitCode.OK:
        following = "openclaw-tunnel open" + ("" if here.name == DEFAULT_NAME else f" {here.name}")
        if opens and report.changed:
            following = _open(computer, here.name, following)
        if following:
            output.say(output.flowed(f"next: {following}", sys.stdout))
    return code


def _open(computer: Computer, name: str, again: str) -> str:
    """Show the Control UI in a browser; what is left to do, for without one the tunnel is none the worse."""
    try:
        return "" if computer.command("open", name) == ExitCode.OK else again
    except TunnelError as error:
        output.note(error.message)
        return error.hint or again


class _Questions:
    """The part in which a person may have to answer, while we are logged in."""

    def __init__(
        self, wish: Wish, host: FarHost, computer: Computer, answers: Answers, report: Report, here: HereSteps
    ) -> None:
        self._wish = wish
        self._host = host
        self._computer = computer
        self._answers = answers
        self._report = report
        self._here = here
        self.remote_mode = True
        self.service = False

    async def run(self) -> tuple[Found, tuple[Forward, ...]]:
        try:
            await self._may_replace()
            seen = await self._host.look()
            address = seen.target.address
            says_all = address in (self._wish.target, f"{self._wish.target}:22")
            told = "" if says_all else f"{self._wish.target} is "
            self._report.done("host", Mark.OK, f"{told}{address}")
            steps = FarSteps(self._wish, self._here.known, self._host, self._answers, self._report)
            found = await steps.run(seen)
            await self._mode()
            await self._service()
            return found, seen.target.local_forwards
        finally:
            await self._host.close()

    async def _may_replace(self) -> None:
        """Settings for another gateway are somebody's work."""
        elsewhere = self._here.elsewhere
        if not elsewhere or self._wish.replace:
            return
        if self._wish.dry_run:
            self._report.done("settings", Mark.WOULD, f"ask whether {self._wish.target} takes the place of {elsewhere}")
            return
        if self._answers.yes:
            raise ConfigError(
                f"openclaw.json leads to {elsewhere} (gateway.remote), and --yes does not replace that",
                hint=f"add --replace; or keep both, this one under a name: openclaw-tunnel up -d -n NAME "
                f"{self._wish.target}",
            )
        agreed = await self._answers.confirm(
            f"openclaw.json leads to {elsewhere}. Let it lead to {self._wish.target} instead? A copy is kept.",
            about=f"whether {self._wish.target} takes the place of {elsewhere} in openclaw.json",
            flag="--replace",
            default=False,
        )
        if not agreed:
            raise not_agreed("nothing was changed")

    async def _mode(self) -> None:
        """``gateway.mode: local`` is what a gateway of this computer needs to start."""
        if not self._here.is_gateway:
            return
        self.remote_mode = (
            not self._answers.yes
            and not self._wish.dry_run
            and await self._answers.confirm(
                "gateway.mode is local: this computer has a gateway of its own, which does not start any more once "
                "that is remote. Let openclaw's own commands use the other gateway instead?",
                about="whether gateway.mode, which is local, becomes remote",
                flag="--yes, which leaves it",
                default=False,
            )
        )
        if not self.remote_mode:
            output.note(
                "gateway.mode stays local, for this computer's own gateway: openclaw's own commands go on using that "
                "one; the tunnel, and health, probe and call of openclaw-tunnel, lead to the other"
            )

    async def _service(self) -> None:
        """A service, where there can be one and it is wanted."""
        if self._wish.no_service:
            return
        self._report.doing("asking the service manager")
        problem = self._computer.no_service()
        if problem:
            output.note(f"no service: {problem}; the tunnel is opened without, and not at the next login")
            return
        if self._wish.dry_run or self._computer.has_service(self._here.name):
            self.service = True
            return
        self.service = await self._answers.confirm(
            "Open the tunnel at every login (a service)?",
            about="whether the tunnel opens at every login",
            flag="--yes or --no-service",
        )
