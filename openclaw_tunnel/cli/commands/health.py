"""``health``: the gateway's own health."""

from typing import Any

import click

from openclaw_tunnel.ask.gateway import healthy
from openclaw_tunnel.cli.jsoncommand import JsonCommand, print_json
from openclaw_tunnel.cli.questions import ask, question_options
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output


@click.command(cls=JsonCommand)
@question_options
def health(as_json: bool, **given: Any) -> int:
    """Ask the gateway for its own health.

    Exits 0 if it is well, else with the code of what is wrong (30 not listening, 31 refused, 32 no gateway). A
    gateway that is starting is waited for.
    """
    answer = ask("health", given)
    if as_json:
        return print_json(answer)
    output.say(healthy(answer))
    return ExitCode.OK
