"""Questions to the gateway over the connection of a running tunnel: no local port and no new login is needed."""

import asyncio
from typing import Any

from openclaw_tunnel.config.openclaw import load_openclaw
from openclaw_tunnel.config.paths import Paths
from openclaw_tunnel.config.tunnels import load_tunnels
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Link, LinkLost
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, RequestRefused
from openclaw_tunnel.gateway.examine import Layer, Outcome
from openclaw_tunnel.gateway.inquiry import Kind, Question, inquire, unreached
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.supervisor import Supervisor


async def ask(supervisor: Supervisor, data: dict[str, Any], paths: Paths) -> dict[str, Any]:
    """Answer a question that came over the control socket; the object that ``--json`` shows.

    Raises:
        RequestRefused: it is no question, or the tunnel has no connection (a probe is answered all the same).
        CredentialError, ConfigError: settings of the one who asks cannot be used.
    """
    try:
        question = Question.from_json(data)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestRefused(f"not a question: {type(error).__name__}", exit_code=ExitCode.USAGE) from None
    link = supervisor.link
    if link is None:
        return _no_link(question, supervisor.failure, supervisor.snapshot())
    try:
        return await ask_link(question, link, supervisor, paths)
    except LinkLost:
        return _no_link(question, supervisor.failure, supervisor.snapshot())


async def ask_link(question: Question, link: Link, supervisor: Supervisor, paths: Paths) -> dict[str, Any]:
    """Ask over a live connection."""
    shown = supervisor.snapshot()
    contract = (await asyncio.to_thread(load_tunnels, paths.tunnels_file)).contract
    answer = await inquire(
        question,
        LinkRoute(link, supervisor.spec.main.to),
        settings=await asyncio.to_thread(load_openclaw, question.env),
        contract=contract,
        state_dir=paths.state_dir,
        through_tunnel=True,
        target=supervisor.spec.target,
        below=(_name_layer(shown), _ssh_layer(shown)),
    )
    return {**answer, "via": f"tunnel {shown.name}"}


def _no_link(question: Question, failure: Failure | None, shown: Snapshot) -> dict[str, Any]:
    reason = failure or Failure(Code.LOST, f"tunnel {shown.name} is {shown.state}: there is no SSH connection yet")
    if question.kind is not Kind.PROBE:
        raise RequestRefused(reason.message, hint=reason.hint, exit_code=reason.exit_code)
    below = (_name_layer(shown), Layer("ssh", Outcome.FAILED, None, reason.message))
    return {**unreached(reason, below), "via": f"tunnel {shown.name}"}


def _name_layer(shown: Snapshot) -> Layer:
    return Layer("name", Outcome.OK, None, f"{shown.alias} is {shown.target}")


def _ssh_layer(shown: Snapshot) -> Layer:
    return Layer("ssh", Outcome.OK, shown.ssh.rtt_ms, f"connected to {shown.ssh.server}, tunnel {shown.name}")
