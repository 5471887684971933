"""Questions to the gateway over the connection of a running tunnel: no local port and no new login is needed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.ask.examine import Layer, Outcome
from openclaw_tunnel.ask.question import Question, failed_below, inquire, unreached
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Link, LinkLost
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, RequestRefused
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.supervisor.tunnel import Supervisor


async def ask(supervisor: Supervisor, data: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    """Answer a question that came over the control socket; the object that ``--json`` shows.

    A tunnel without connection is an answer as well: what is known of it is the failure.

    Raises:
        RequestRefused: it is no question.
        CredentialError, ConfigError, UsageError: settings, credentials or parameters of the one who asks cannot be
            used.
    """
    try:
        question = Question.from_json(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestRefused(
            f"the running daemon does not understand the question ({type(error).__name__})",
            hint="it may be of another release; start it anew: openclaw-tunnel down --all, then openclaw-tunnel up -d",
            exit_code=ExitCode.USAGE,
        ) from None
    link = supervisor.link
    try:
        answer = await _ask_link(question, link, supervisor, paths) if link else _no_link(question, supervisor)
    except LinkLost:
        answer = _no_link(question, supervisor)
    return {**answer, "via": f"tunnel {supervisor.spec.name}"}


async def _ask_link(question: Question, link: Link, supervisor: Supervisor, paths: Paths) -> dict[str, Any]:
    end = asyncio.get_running_loop().time() + question.timeout
    shown = supervisor.snapshot()
    return await inquire(
        question,
        LinkRoute(link, supervisor.spec.main.to),
        settings=await asyncio.to_thread(question.settings, paths.tunnels_file),
        state_dir=paths.state_dir,
        target=supervisor.spec.target,
        end=end,
        below=(
            _name_layer(shown),
            Layer("ssh", Outcome.OK, shown.ssh.rtt_ms, f"connected to {shown.ssh.server}, tunnel {shown.name}"),
        ),
    )


def _no_link(question: Question, supervisor: Supervisor) -> dict[str, Any]:
    shown, spec = supervisor.snapshot(), supervisor.spec
    reason = supervisor.failure or Failure(
        Code.LOST, f"tunnel {shown.name} is {shown.state}: there is no SSH connection yet"
    )
    reason = reason.with_facts(target=spec.target, host=spec.address or spec.target, to=str(spec.main.to))
    return unreached(question.kind, reason, failed_below(reason, _name_layer(shown), None))


def _name_layer(shown: Snapshot) -> Layer:
    return Layer("name", Outcome.OK, None, f"{shown.alias} is {shown.target}")
