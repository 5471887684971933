"""A question to the gateway without a daemon: a connection just for it, over SSH or direct."""

import asyncio
import time
from typing import Any

from openclaw_tunnel.config.loadcredentials import section
from openclaw_tunnel.config.model import DEFAULT_GATEWAY_PORT
from openclaw_tunnel.config.openclaw import OpenClawSettings, load_openclaw
from openclaw_tunnel.config.paths import Paths, ensure_private_dir
from openclaw_tunnel.config.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.config.tunnels import load_tunnels
from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed, LinkLost
from openclaw_tunnel.errors import ExitCode, RequestRefused, UsageError
from openclaw_tunnel.gateway.examine import Layer, Outcome
from openclaw_tunnel.gateway.inquiry import Kind, Question, inquire, unreached
from openclaw_tunnel.gateway.route import LinkRoute, UrlRoute
from openclaw_tunnel.gateway.url import parse_fingerprint, parse_url
from openclaw_tunnel.ssh.connection import SshConnector

ALLOW_PRIVATE = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS"


def ask_alone(data: dict[str, Any], *, name: str | None, direct: bool, paths: Paths) -> dict[str, Any]:
    """Ask in this process; the object that ``--json`` shows.

    Args:
        data: the question as JSON.
        name: tunnel whose settings say the way.
        direct: without SSH.

    Raises:
        TunnelError: there is no way, or settings and credentials cannot be used.
    """
    question = Question.from_json(data)
    if question.device:
        ensure_private_dir(paths.state_dir)
    if question.url or direct:
        return asyncio.run(_ask_url(question, paths))
    return asyncio.run(_ask_over_ssh(question, name, paths))


async def _ask_url(question: Question, paths: Paths) -> dict[str, Any]:
    settings = load_openclaw(question.env)
    url = question.url or configured_url(settings)
    parsed = parse_url(url)
    pin = section(section(settings.config, "gateway"), "remote").get("tlsFingerprint")
    own = not question.url  # the pin belongs to the configured gateway, not to one that is named on the command line
    route = UrlRoute(
        parsed,
        pin=parse_fingerprint(pin) if own and pin else b"",
        allow_private=question.env.get(ALLOW_PRIVATE, ""),
    )
    answer = await inquire(
        question,
        route,
        settings=settings,
        contract=load_tunnels(paths.tunnels_file).contract,
        state_dir=paths.state_dir,
        through_tunnel=False,
        target=parsed.host,
    )
    return {**answer, "via": f"direct to {parsed.name}"}


def configured_url(settings: OpenClawSettings) -> str:
    """The gateway that OpenClaw's own commands would ask: of the environment, the remote one, or the one here."""
    chosen = settings.env.get("OPENCLAW_GATEWAY_URL", "").strip()
    if chosen:
        return chosen
    if settings.mode == "remote" and settings.remote_url:
        return settings.remote_url
    return f"ws://127.0.0.1:{settings.gateway_port or DEFAULT_GATEWAY_PORT}"


async def _ask_over_ssh(question: Question, name: str | None, paths: Paths) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        resolved = await resolve(UpOptions(name=name), env=question.env, paths=paths)
    except NoDestination as nowhere:
        raise UsageError(
            "no tunnel is running, and no gateway host is configured",
            hint="start one: openclaw-tunnel up me@gateway-host; or ask the gateway of this computer: --direct",
        ) from nowhere
    name_layer = Layer("name", Outcome.OK, _ms(began), f"{resolved.spec.target} is {resolved.spec.address}")
    return await _dial_and_ask(question, resolved, name_layer, paths)


async def _dial_and_ask(question: Question, resolved: Resolved, name_layer: Layer, paths: Paths) -> dict[str, Any]:
    spec, began = resolved.spec, time.perf_counter()
    via = {"via": f"ssh {spec.address}"}
    try:
        link = await SshConnector(spec, env=question.env).connect()
    except DialFailed as error:
        failure = error.failure
        if question.kind is not Kind.PROBE:
            raise RequestRefused(failure.message, hint=failure.hint, exit_code=failure.exit_code) from None
        failed_name = failure.code is Code.DNS
        below = [name_layer, Layer("ssh", Outcome.FAILED, _ms(began), failure.message)]
        if failed_name:
            below = [Layer("name", Outcome.FAILED, _ms(began), failure.message), _skipped("ssh")]
        return {**unreached(failure, below), **via}
    try:
        ssh_layer = Layer("ssh", Outcome.OK, _ms(began), f"logged in to {link.server.version}")
        answer = await inquire(
            question,
            LinkRoute(link, spec.main.to),
            settings=load_openclaw(question.env),
            contract=load_tunnels(paths.tunnels_file).contract,
            state_dir=paths.state_dir,
            through_tunnel=True,
            target=spec.target,
            below=(name_layer, ssh_layer),
        )
    except LinkLost:
        raise RequestRefused(
            f"the connection to {spec.address} was lost", hint="try again", exit_code=ExitCode.UNREACHABLE
        ) from None
    finally:
        await link.close()
    return {**answer, **via}


def _skipped(name: str) -> Layer:
    return Layer(name, Outcome.SKIPPED, None, "not asked")


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
