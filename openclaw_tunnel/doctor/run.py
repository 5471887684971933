"""Goes through all layers, asks each, and puts what was found together."""

import asyncio
from collections.abc import Mapping, Sequence

from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.doctor import local, service
from openclaw_tunnel.doctor.gateway import remote_checks
from openclaw_tunnel.doctor.inputs import Asked, Plan
from openclaw_tunnel.doctor.report import Finding, Outcome, Part, Report, arrange
from openclaw_tunnel.doctor.route import keys_checks, way_checks
from openclaw_tunnel.doctor.settings import plan_of, settings_checks
from openclaw_tunnel.service.agentenv import VARIABLE
from openclaw_tunnel.service.manager import Manager, ManagerState
from openclaw_tunnel.ssh.trace import Keys, look_at_keys, trace
from openclaw_tunnel.ui.output import waits_for_you

_NOT_OF_THE_WAY = (Part.CREDENTIALS, Part.CLOCK)
"""Faults of these do not keep a tunnel from being up."""


async def check_up(asked: Asked) -> Report:
    """Check everything, from this process: a daemon that runs is asked what it sees, and not relied upon.

    Raises:
        UsageError: the options contradict each other, or do not say which of several tunnels is meant.
    """
    daemon = await asyncio.to_thread(local.look_at_daemon, asked)
    found = await asyncio.to_thread(settings_checks, asked)
    plan = None
    if not _faulty(found):
        given = asked.options
        kept = await asyncio.to_thread(service.service_options, given.name or given.target or DEFAULT_NAME, asked)
        plan, more = await plan_of(asked, daemon, kept)
        found += more
    name = plan.resolved.spec.name if plan else asked.options.name or DEFAULT_NAME
    manager, state, instead = await asyncio.to_thread(service.service_state, name, asked)
    keys, server, gateway = None, "", ""
    if plan:
        keys = await _look_at_keys(plan, asked.env)
        far, server, gateway = await _far_checks(plan, asked)
        found += [*keys_checks(keys), *far]
    of_the_way = [one for one in arrange(found).findings if one.part not in _NOT_OF_THE_WAY]
    way_is_well = plan is not None and not _faulty(of_the_way)
    address = opener = ""
    if plan:
        address, opener = plan.resolved.spec.address, asked.command("up", "-d")
        found += await asyncio.to_thread(list, local.port_checks(plan, daemon, state))
        found += filter(None, [local.url_check(plan, asked)])
    found += local.folder_checks(asked.paths)
    found.append(local.tunnel_check(name, daemon, address, way_is_well=way_is_well, opener=opener))
    found += await _service_checks(name, manager, state, instead, plan, keys, asked)
    found += await asyncio.to_thread(list, local.version_checks(daemon, asked.env, server, gateway))
    return arrange(found)


def _faulty(findings: Sequence[Finding]) -> bool:
    return any(finding.outcome is Outcome.FAULT for finding in findings)


async def _look_at_keys(plan: Plan, env: Mapping[str, str]) -> Keys:
    return await look_at_keys(plan.resolved.ssh, ssh_config=plan.resolved.spec.ssh_config, env=env)


async def _far_checks(plan: Plan, asked: Asked) -> tuple[list[Finding], str, str]:
    """What is beyond this computer; the versions of the SSH server and of the gateway."""
    traced = await trace(plan.resolved.spec, env=asked.env, asks=waits_for_you)
    found = way_checks(traced, plan.resolved.ssh)
    if traced.link is None:
        return found, "", ""
    try:
        more, gateway = await remote_checks(traced.link, plan, asked)
        return [*found, *more], traced.link.server.version, gateway
    finally:
        await traced.link.close()


async def _service_checks(
    name: str,
    manager: Manager | None,
    state: ManagerState | None,
    instead: Finding | None,
    plan: Plan | None,
    keys: Keys | None,
    asked: Asked,
) -> list[Finding]:
    if manager is None or state is None:
        return [instead] if instead else []
    found = await asyncio.to_thread(list, service.service_checks(name, manager, state, asked.env))
    if plan and keys:
        seen = await asyncio.to_thread(service.agent_seen, manager, keys, asked.env)
        if seen is not None:
            theirs = await _look_at_keys(plan, {**asked.env, VARIABLE: seen})
            if theirs.shortage:
                found.append(service.agent_check(name, manager, seen, theirs.shortage, keys))
    return found
