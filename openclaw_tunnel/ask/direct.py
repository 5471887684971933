"""A question to the gateway without a daemon: a connection just for it, over SSH or direct."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from openclaw_tunnel.ask.examine import Layer, Outcome
from openclaw_tunnel.ask.question import Question, failed_below, inquire, unreached
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed, Link, LinkLost
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.gateway.direct import direct_route
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.gateway.url import is_loopback
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.paths import profile_of
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.settings.tunnels_file import TunnelsFile

T = TypeVar("T")


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
    if question.url or direct:
        return asyncio.run(unwaited(_ask_url(question, paths)))
    return asyncio.run(unwaited(_ask_over_ssh(question, name, paths)))


class _UnwaitedThreads(ThreadPoolExecutor):
    """Threads whose end nobody waits for: a name server that is silent must not outlast the answer, or Ctrl-C."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()

        def carry_out() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=carry_out, daemon=True).start()
        return future


async def unwaited(question: Coroutine[Any, Any, T]) -> T:
    """What ``question`` returns; the threads that it starts outlast neither it nor Ctrl-C."""
    asyncio.get_running_loop().set_default_executor(_UnwaitedThreads())
    return await question


async def _ask_url(question: Question, paths: Paths) -> dict[str, Any]:
    end = asyncio.get_running_loop().time() + question.timeout
    settings = question.settings(paths.tunnels_file)
    route = await direct_route(settings.openclaw, question.url)
    host = route.url.host
    answer = await inquire(
        question,
        route,
        settings=settings,
        state_dir=paths.state_dir,
        target="this computer" if is_loopback(host) else host,
        end=end,
    )
    return {**answer, "via": f"direct to {route.name}"}


async def _ask_over_ssh(question: Question, name: str | None, paths: Paths) -> dict[str, Any]:
    began, end = time.perf_counter(), asyncio.get_running_loop().time() + question.timeout
    settings = await asyncio.to_thread(question.settings, paths.tunnels_file)
    _check_name(question, name, settings.tunnels)
    try:
        async with asyncio.timeout_at(end):
            resolved = await resolve(UpOptions(name=name), env=question.env, paths=paths, settings=settings)
    except TimeoutError:
        late = Failure(Code.TIMEOUT, f"ssh -G did not answer within {question.timeout:g} s", {"target": name or "HOST"})
        return {**unreached(question.kind, late, failed_below(late, None, _ms(began))), "via": "ssh"}
    except NoDestination as nowhere:
        raise TunnelError(
            "no tunnel is running, and no gateway host is configured",
            hint="set one up: openclaw-tunnel setup me@gateway-host; or ask the gateway of this computer: --direct",
            exit_code=ExitCode.NOT_RUNNING,
        ) from nowhere
    spec = resolved.spec
    name_layer = Layer("name", Outcome.OK, _ms(began), f"{spec.target} is {spec.address}")
    answer = await _dial_and_ask(question, resolved, settings, name_layer, paths, end)
    return {**answer, "via": f"ssh {spec.address}"}


def _check_name(question: Question, name: str | None, file: TunnelsFile) -> None:
    """A tunnel that was named is meant: settings of no tunnel in particular do not stand in for it."""
    known = {*file.tunnels, DEFAULT_NAME, profile_of(question.env)}
    if name and name not in known:
        raise TunnelError(
            f"no tunnel named {name} is running, and {file.path} has none of that name",
            hint=f"start it: openclaw-tunnel up -d -n {name} me@gateway-host",
            exit_code=ExitCode.NOT_RUNNING,
        )


async def _dial_and_ask(
    question: Question, resolved: Resolved, settings: Settings, name_layer: Layer, paths: Paths, end: float
) -> dict[str, Any]:
    spec, began = resolved.spec, time.perf_counter()
    try:
        link = await _dial(question, resolved, end)
    except DialFailed as error:
        failure = error.failure.with_facts(target=spec.target, host=spec.address, to=str(spec.main.to))
        return unreached(question.kind, failure, failed_below(failure, name_layer, _ms(began)))
    try:
        ssh_layer = Layer("ssh", Outcome.OK, _ms(began), f"logged in to {link.server.version}")
        return await inquire(
            question,
            LinkRoute(link, spec.main.to),
            settings=settings,
            state_dir=paths.state_dir,
            target=spec.target,
            end=end,
            below=(name_layer, ssh_layer),
        )
    except LinkLost:
        failure = Failure(Code.TIMEOUT, f"the connection to {spec.address} was lost", {"target": spec.target})
        return unreached(question.kind, failure, failed_below(failure, name_layer, _ms(began)))
    finally:
        await link.close()


async def _dial(question: Question, resolved: Resolved, end: float) -> Link:
    from openclaw_tunnel.ssh.connection import SshConnector  # takes longer than the rest of a direct question

    spec = resolved.spec
    try:
        async with asyncio.timeout_at(end):
            return await SshConnector(spec, env=question.env).connect()
    except TimeoutError:
        message = f"{spec.address} did not let us in within {question.timeout:g} s"
        raise DialFailed(Failure(Code.TIMEOUT, message)) from None


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
