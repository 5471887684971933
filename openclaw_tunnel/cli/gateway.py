"""``health``, ``probe``, ``call``: questions to the gateway, over the running tunnel or a connection just for them."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from openclaw_tunnel.cli import output
from openclaw_tunnel.cli.tunnels import client_of, pick, snapshots
from openclaw_tunnel.config.paths import Paths
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.errors import ConfigError, DaemonUnreachable, ExitCode, RequestRefused, TunnelError, UsageError

LARGEST_SECRET = 16 * 1024
MARGIN = 5.0
"""Seconds that the daemon gets beyond the question's own timeout."""

LAYERS = 7
"""The most layers a probe asks, each with the timeout to itself."""

_MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "-"}


def _common(command: Callable[..., int]) -> Callable[..., int]:
    options = [
        click.option("-n", "--name", metavar="NAME", help="Tunnel to ask through.  [default: the one that runs]"),
        click.option("--url", metavar="URL", help="Ask another gateway, with credentials given here only."),
        click.option("--direct", is_flag=True, help="Ask without a tunnel: gateway.remote.url, or the gateway here."),
        click.option("--token-file", metavar="FILE", help="Token to use ('-': standard input)."),
        click.option("--password-file", metavar="FILE", help="Password to use ('-': standard input)."),
        click.option("--token", metavar="TOKEN", help="Token to use; others on this computer can see it."),
        click.option("--device", is_flag=True, help="Identify as this computer's own paired device."),
        click.option("--timeout", type=click.FloatRange(min=0.1), default=10.0, show_default=True, metavar="SECONDS"),
        click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_common
def health(as_json: bool, **given: Any) -> int:
    """Ask the gateway for its own health.

    Exits 0 if it answers, else with the code of what is wrong (30 not listening, 31 refused, 32 no gateway).

    Example: openclaw-tunnel health --json
    """
    answer = _ask("health", given)
    if as_json:
        return _print_json(answer)
    _raise_failure(answer)
    output.say(f"healthy: OpenClaw {answer['version'] or '(version unknown)'}, {answer['ms']:.0f} ms, {answer['via']}")
    return ExitCode.OK


@click.command()
@_common
def probe(as_json: bool, **given: Any) -> int:
    """Ask every layer between here and the gateway, and stop at the first that fails.

    Exits 0 if all is well, else with the code of what is wrong.

    Example: openclaw-tunnel probe --timeout 3
    """
    answer = _ask("probe", given)
    if as_json:
        return _print_json(answer)
    for layer in answer["layers"]:
        ms = "" if layer["ms"] is None else f"{layer['ms']:.1f} ms"
        output.say(f"{layer['name']:<12} {_MARKS[layer['outcome']]:<7} {ms:>10}  {layer['text']}".rstrip())
    output.say(f"{'verdict':<12} {answer['verdict']}")
    _raise_failure(answer)
    return ExitCode.OK


@click.command()
@click.argument("method")
@click.option("--params", default="{}", metavar="JSON", help="Parameters, a JSON object.  [default: {}]")
@_common
def call(method: str, params: str, as_json: bool, **given: Any) -> int:
    """Call METHOD of the gateway and print its result as JSON.

    With --json the result comes in an object with "ok", and so does a failure.

    Example: openclaw-tunnel call config.get --params '{}'
    """
    answer = _ask("call", given, method=method, params=_params(params))
    if as_json:
        return _print_json(answer)
    _raise_failure(answer)
    output.say(json.dumps(answer["result"], indent=2, ensure_ascii=False))
    return ExitCode.OK


def _params(text: str) -> dict[str, Any]:
    hint = "write an object, as in --params '{\"limit\": 5}'"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--params is not JSON: {error}", hint=hint) from None
    if not isinstance(found, dict):
        raise UsageError("--params is not a JSON object", hint=hint)
    return found


def _ask(kind: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask through the daemon where it has a tunnel, else over a connection of our own."""
    name, direct = given["name"], given["direct"]
    if given["token"]:
        output.warn("--token is visible to others in the list of processes: --token-file is not")
    question = {
        "kind": kind,
        "timeout": given["timeout"],
        "url": given["url"] or "",
        "token": given["token"] or _secret(given["token_file"], "--token-file"),
        "password": _secret(given["password_file"], "--password-file"),
        "device": given["device"],
        "env": dict(os.environ),
        **more,
    }
    paths = Paths.from_env(os.environ)
    if not (given["url"] or direct):
        answer = _ask_daemon(client_of(paths), name, question)
        if answer is not None:
            return answer
    from openclaw_tunnel.cli.asking import ask_alone

    return ask_alone(question, name=name, direct=direct, paths=paths)


def _ask_daemon(client: ControlClient, name: str | None, question: dict[str, Any]) -> dict[str, Any] | None:
    """The daemon's answer; None where no such tunnel runs."""
    try:
        tunnel = pick(snapshots(client.call("status")), name).name
        patience = question["timeout"] * (LAYERS if question["kind"] == "probe" else 1) + MARGIN
        return client.call("ask", {"name": tunnel, "question": question}, timeout=patience)
    except DaemonUnreachable:
        return None
    except TunnelError as error:
        if error.exit_code is ExitCode.NOT_RUNNING:
            return None
        raise


def _secret(path: str | None, option: str) -> str:
    """A secret from a file: its first line."""
    if not path:
        return ""
    try:
        data = sys.stdin.buffer.read(LARGEST_SECRET) if path == "-" else _read(Path(path))
        text = data.decode().strip()
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}", hint="check its path and mode") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{option} {path} is not text", hint="it has to hold the secret and nothing else") from None
    if not text or "\n" in text:
        raise ConfigError(f"{option} {path} does not hold one line", hint="it has to hold the secret and nothing else")
    return text


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_SECRET)


def _print_json(answer: dict[str, Any]) -> int:
    output.say(json.dumps(answer, indent=2, ensure_ascii=False))
    return _code(answer)


def _code(answer: dict[str, Any]) -> int:
    failure = answer.get("failure")
    return int(failure["exit_code"]) if failure else ExitCode.OK


def _raise_failure(answer: dict[str, Any]) -> None:
    failure = answer.get("failure")
    if failure:
        raise RequestRefused(failure["message"], hint=failure["hint"], exit_code=ExitCode(failure["exit_code"]))
