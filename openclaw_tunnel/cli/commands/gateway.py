"""``health``, ``probe``, ``call``: questions to the gateway, over the running tunnel or a connection just for them."""

import os
from collections.abc import Callable
from typing import Any

import click

from openclaw_tunnel.ask.gateway import ask_gateway, raise_failure
from openclaw_tunnel.ask.options import read_params, read_question
from openclaw_tunnel.cli.jsoncommand import JsonCommand, as_json_text, print_json
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.tunnelrows import clean

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
        click.option(
            "--timeout", type=float, default=10.0, show_default=True, metavar="SECONDS", help="For all of it."
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=JsonCommand)
@_common
def health(as_json: bool, **given: Any) -> int:
    """Ask the gateway for its own health.

    Exits 0 if it is well, else with the code of what is wrong (30 not listening, 31 refused, 32 no gateway). A
    gateway that is starting is waited for.
    """
    answer = _ask("health", given)
    if as_json:
        return print_json(answer)
    raise_failure(answer)
    version = clean(answer["version"] or "(version unknown)")
    output.say(f"healthy: OpenClaw {version}, {answer['ms']:.0f} ms, {clean(answer['via'])}")
    return ExitCode.OK


@click.command(cls=JsonCommand)
@_common
def probe(as_json: bool, **given: Any) -> int:
    """Ask every layer between here and the gateway, and stop at the first that fails.

    Exits 0 if all is well, else with the code of what is wrong.
    """
    answer = _ask("probe", given)
    if as_json:
        return print_json(answer)
    for layer in answer["layers"]:
        ms = "" if layer["ms"] is None else f"{layer['ms']:.1f} ms"
        output.say(clean(f"{layer['name']:<12} {_MARKS[layer['outcome']]:<7} {ms:>10}  {layer['text']}".rstrip()))
    output.say(f"{'verdict':<12} {answer['verdict']}")
    raise_failure(answer)
    return ExitCode.OK


@click.command(cls=JsonCommand)
@click.argument("method")
@click.option("--params", default="{}", metavar="JSON", help="A JSON object ('-': standard input).  [default: {}]")
@_common
def call(method: str, as_json: bool, **given: Any) -> int:
    """Call METHOD of the gateway and print its result as JSON.

    With --json the result comes in an object with "ok", and so does a failure.
    """
    answer = _ask("call", given, method=method, params=read_params(given["params"]))
    if as_json:
        return print_json(answer)
    raise_failure(answer)
    output.say(as_json_text(answer["result"]))
    return ExitCode.OK


def _ask(kind: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask through the daemon where it has a tunnel, else over a connection of our own."""
    name, direct = given["name"], given["direct"]
    question = read_question(kind, given, **more)
    if given["token"]:
        output.warn("--token is visible to others in the list of processes: --token-file is not")
    return ask_gateway(question, name=name, direct=direct, paths=Paths.from_env(os.environ))
