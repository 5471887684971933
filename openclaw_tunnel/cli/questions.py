"""What ``health``, ``probe`` and ``call`` have in common: their options, and asking."""

import os
from collections.abc import Callable
from typing import Any

import click

from openclaw_tunnel.ask.gateway import ask_gateway
from openclaw_tunnel.ask.options import read_question
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output


def question_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options of every question; a command hands them to :func:`ask` as they are."""
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


def ask(kind: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask through the daemon where it has a tunnel, else over a connection of our own."""
    name, direct = given["name"], given["direct"]
    question = read_question(kind, given, **more)
    if given["token"]:
        output.warn("--token is visible to others in the list of processes: --token-file is not")
    return ask_gateway(question, name=name, direct=direct, paths=Paths.from_env(os.environ))
