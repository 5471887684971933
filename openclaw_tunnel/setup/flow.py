"""``setup`` from beginning to end: look, ask and decide, then do what needs neither."""

import asyncio
import sys
from collections.abc import Callable, Mapping

from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.setup.computer import ThisComputer
from openclaw_tunnel.setup.edge import Edge
from openclaw_tunnel.setup.facts import Facts, read_local
from openclaw_tunnel.setup.plan import Plan, plan
from openclaw_tunnel.setup.prompts import Prompts
from openclaw_tunnel.setup.remote import RemoteHost
from openclaw_tunnel.setup.steps import Note, Options, Question, Step
from openclaw_tunnel.ui import output


def set_up(
    options: Options,
    make_host: Callable[..., RemoteHost],
    computer: ThisComputer,
    prompts: Prompts,
    show: Callable[[Step | Note], None],
    *,
    env: Mapping[str, str],
    paths: Paths,
    opens: bool,
) -> int:
    """Set it up; the exit code.

    Args:
        show: shows each step as it ends.
        make_host: takes ``identity`` and ``ssh_config`` as :class:`RemoteHost` does.
        opens: show the Control UI in the browser where anything changed.

    Nothing that is half done stays behind a step that fails: each is done or not, and the next call resumes there.

    Raises:
        TunnelError: a step failed or was declined, or a question had to be asked and nobody was there.
    """
    facts = Facts(read_local(options, env, paths))
    name = facts.local.entry.name
    host = make_host(identity=facts.local.identity, ssh_config=facts.local.ssh_config)
    with asyncio.Runner() as runner:
        edge = Edge(host, computer, prompts, options, env, runner)
        try:
            planned, code = _follow(options, facts, edge, show)
        finally:
            edge.leave()
    if code != ExitCode.OK or options.dry_run:
        return code
    if not planned.changes:
        output.say(f"already set up: nothing was changed for {options.target}")
    if planned.can_ask:
        computer.ask_health(name)
    following = "openclaw-tunnel open" + ("" if name == DEFAULT_NAME else f" {name}")
    if opens and planned.changes:
        following = _open(computer, name, following)
    if following:
        output.say(output.flowed(f"next: {following}", sys.stdout))
    return ExitCode.OK


def _follow(options: Options, facts: Facts, edge: Edge, show: Callable[[Step | Note], None]) -> tuple[Plan, int]:
    """Find out what the plan needs, and carry out its steps, each once; the plan, and the exit code."""
    answers: dict[str, bool | str] = {}
    done = 0
    while True:
        planned = plan(options, facts, answers)
        if planned.needs is None:
            edge.leave()  # what is left is to be done here
        for step in planned.steps[done:]:
            ended = edge.apply(step, facts) if isinstance(step, Step) else step
            if isinstance(ended, Step) and ended.code:
                return planned, ended.code
            show(ended)
        done = len(planned.steps)
        if planned.error:
            raise planned.error
        if planned.needs is None:
            return planned, ExitCode.OK
        if isinstance(planned.needs, Question):
            answers[planned.needs.topic] = edge.runner.run(edge.prompts.answer(planned.needs))
        else:
            facts = edge.look(planned.needs, facts)


def _open(computer: ThisComputer, name: str, again: str) -> str:
    """Show the Control UI in a browser; what is left to do, for without one the tunnel is none the worse."""
    try:
        computer.open_control_ui(name)
    except TunnelError as error:
        output.note(error.message)
        return error.hint or again
    return ""
