"""``call``: any method of the gateway."""

from typing import Any

import click

from openclaw_tunnel.ask.gateway import raise_failure
from openclaw_tunnel.ask.options import read_params
from openclaw_tunnel.cli.jsoncommand import JsonCommand, as_json_text, print_json
from openclaw_tunnel.cli.questions import ask, question_options
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output


@click.command(cls=JsonCommand)
@click.argument("method")
@click.option("--params", default="{}", metavar="JSON", help="A JSON object ('-': standard input).  [default: {}]")
@question_options
def call(method: str, as_json: bool, **given: Any) -> int:
    """Call METHOD of the gateway and print its result as JSON.

    With --json the result comes in an object with "ok", and so does a failure.
    """
    answer = ask("call", given, method=method, params=read_params(given["params"]))
    if as_json:
        return print_json(answer)
    raise_failure(answer)
    output.say(as_json_text(answer["result"]))
    return ExitCode.OK
