"""The far end of the SSH connection: is forwarding allowed, who answers, does it let us in, what time is it there."""

import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from openclaw_tunnel.ask.question import Kind, Question, inquire
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, Link, LinkLost
from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT, LOOPBACK, Endpoint, Probe
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.doctor.clock import clock_check
from openclaw_tunnel.doctor.inputs import Asked, Plan
from openclaw_tunnel.doctor.report import Finding, Part, fault, of_failure, ok, skipped, warning
from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.gateway.http import get
from openclaw_tunnel.gateway.probe import ask
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.gateway.verdict import judge_channel
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.layers import working_folder

ELSEWHERE = 3.0
"""Seconds for a look at another port."""

SILENT = 1.0
"""Seconds for the questions that say what is wrong with a port that has not answered for as long as there was time."""

_PART_OF = {"credentials": Part.CREDENTIALS, "scopes": Part.CREDENTIALS}
_FILE_OPTIONS = re.compile(r", or (pass )?--(token|password)-file.*")
_WRONG_PORT = (str(Code.NOT_LISTENING), str(Code.NOT_A_GATEWAY), str(Code.LOOP))


async def remote_checks(link: Link, plan: Plan, asked: Asked) -> tuple[list[Finding], str]:
    """Ask; the lines, and the version of the gateway (empty where it is not known)."""
    try:
        return await _remote_checks(link, plan, asked)
    except LinkLost:
        spec = plan.resolved.spec
        lost = Failure(Code.LOST, f"the connection to {spec.address} was lost while the gateway was asked")
        return [of_failure(Part.FORWARDING, lost)], ""


async def _remote_checks(link: Link, plan: Plan, asked: Asked) -> tuple[list[Finding], str]:
    spec = plan.resolved.spec
    route = LinkRoute(link, spec.main.to)
    if spec.probe is Probe.NONE:
        return [skipped(part, "not asked: the tunnel's probe is none") for part in _BEHIND], ""
    try:
        answer = await get(route, "/healthz", timeout=asked.timeout)
    except ChannelFailed as refused:
        failure = judge_channel(refused.failure).failure or refused.failure
        failure = failure.with_facts(target=spec.target, to=route.name)
        if failure.code is Code.FORWARDING_FORBIDDEN:
            return [of_failure(Part.FORWARDING, failure)], ""
        return [_allowed(plan), await _unheard(of_failure(Part.GATEWAY, failure), link, plan)], ""
    if spec.probe is Probe.TCP:
        return [_allowed(plan), *(skipped(part, "not asked: the tunnel's probe is tcp") for part in _BEHIND[1:])], ""
    clock = clock_check(datetime.now(UTC), answer.date if answer else "", spec.target, platform=sys.platform)
    timeout = asked.timeout if answer else min(asked.timeout, SILENT)
    findings, version = await _gateway_checks(route, plan, asked, timeout)
    return [_allowed(plan), *[await _unheard(finding, link, plan) for finding in findings], clock], version


_BEHIND = (Part.FORWARDING, Part.GATEWAY, Part.CREDENTIALS, Part.CLOCK)


def _allowed(plan: Plan) -> Finding:
    return ok(Part.FORWARDING, f"allowed to {plan.resolved.spec.main.to}")


async def _gateway_checks(route: LinkRoute, plan: Plan, asked: Asked, timeout: float) -> tuple[list[Finding], str]:
    """What ``probe`` finds out, as lines."""
    spec = plan.resolved.spec
    question = Question(Kind.PROBE, timeout=timeout, env=dict(asked.env), cwd=str(working_folder() or "/"))
    try:
        answer = await inquire(
            question,
            route,
            settings=plan.settings,
            state_dir=asked.paths.state_dir,
            target=spec.target,
            end=asyncio.get_running_loop().time() + timeout,
            surface=Surface.CALL,  # what health and call send: a probe of OpenClaw 2026.5 passes over the environment
        )
    except CredentialError as error:
        judgement = await ask(route, timeout=timeout)
        if judgement.failure:
            return [of_failure(Part.GATEWAY, judgement.failure.with_facts(target=spec.target, to=route.name))], ""
        found = fault(Part.CREDENTIALS, error.message, _for_settings(error.hint), code="credential")
        return [ok(Part.GATEWAY, _gateway(route, judgement.version)), found], judgement.version or ""
    return [*probe_checks(answer)], answer["version"] or ""


def probe_checks(answer: dict[str, Any]) -> Iterator[Finding]:
    """The answer to ``probe`` as lines."""
    failure, to = answer["failure"], answer["gateway"]
    failed = next((layer["name"] for layer in answer["layers"] if layer["outcome"] == "failed"), "")
    part = _PART_OF.get(failed, Part.GATEWAY)
    if failure and part is Part.GATEWAY:
        told = warning if answer["verdict"] == Verdict.STARTING else fault
        yield told(part, failure["message"], failure["hint"], code=failure["code"])
        if told is warning:
            yield skipped(Part.CREDENTIALS, "not asked: the gateway is starting")
        return
    version = f"OpenClaw {answer['version']}" if answer["version"] else "a gateway"
    yield ok(Part.GATEWAY, f"{version} answers on {to}, {answer['ms']:.0f} ms")
    if failure:
        yield fault(part, failure["message"], _for_settings(failure["hint"]), code=failure["code"])
        return
    texts = {layer["name"]: layer["text"] for layer in answer["layers"]}
    chosen = answer["credentials"] or {}
    source = " and ".join(filter(None, (chosen.get("token"), chosen.get("password"))))
    yield ok(Part.CREDENTIALS, texts.get("credentials", "accepted") + (f" ({source})" if source else ""))


def _for_settings(hint: str) -> str:
    """The hint without the options of ``health`` and ``probe``, which neither a tunnel nor this command has."""
    return _FILE_OPTIONS.sub("", hint)


def _gateway(route: LinkRoute, version: str | None) -> str:
    return f"OpenClaw {version} answers on {route.name}" if version else f"a gateway answers on {route.name}"


async def _unheard(finding: Finding, link: Link, plan: Plan) -> Finding:
    """The finding, where no gateway is on the port with the port on which one is."""
    if finding.part is not Part.GATEWAY or finding.code not in _WRONG_PORT:
        return finding
    port = await _find_gateway(link, plan)
    if port is None:
        return finding
    message = f"{finding.message}; the gateway of {plan.resolved.spec.target} answers on port {port}"
    return fault(Part.GATEWAY, message, where_to_set(plan, port), code=finding.code)


async def _find_gateway(link: Link, plan: Plan) -> int | None:
    """The port of the host on which a gateway answers: the usual one, or another that the settings name."""
    settings, spec = plan.settings.openclaw, plan.resolved.spec
    named = (settings.remote_url_port, settings.remote_port, settings.gateway_port, spec.main.listen.port)
    for port in dict.fromkeys(filter(None, (DEFAULT_GATEWAY_PORT, *named))):
        to = Endpoint(LOOPBACK, port)
        if to == spec.main.to:
            continue
        try:
            judgement = await ask(LinkRoute(link, to), timeout=ELSEWHERE)
        except ChannelFailed:
            continue
        if judgement.verdict in (Verdict.HEALTHY, Verdict.STARTING):
            return port
    return None


def where_to_set(plan: Plan, port: int) -> str:
    """How to tell the tunnel that the gateway's port is another one: in the place that decided."""
    entry = plan.choice.entry
    if plan.options.remote_port:
        return f"give that port: -r {port}"
    if entry.remote_port:
        return f"in {plan.settings.tunnels.path}, write for tunnel {entry.name}: remotePort: {port}"
    return f"tell it to the tunnel: openclaw config set gateway.remote.remotePort {port}"
