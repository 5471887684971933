"""``probe``: which layer fails, and what these credentials may do."""

from typing import Any

import click

from openclaw_tunnel.ask.gateway import raise_failure
from openclaw_tunnel.cli.jsoncommand import JsonCommand, print_json
from openclaw_tunnel.cli.questions import ask, question_options
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.tunnelrows import clean

_MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "-"}


@click.command(cls=JsonCommand)
@question_options
def probe(as_json: bool, **given: Any) -> int:
    """Ask every layer between here and the gateway, and stop at the first that fails.

    Exits 0 if all is well, else with the code of what is wrong.
    """
    answer = ask("probe", given)
    if as_json:
        return print_json(answer)
    for layer in answer["layers"]:
        ms = "" if layer["ms"] is None else f"{layer['ms']:.1f} ms"
        output.say(clean(f"{layer['name']:<12} {_MARKS[layer['outcome']]:<7} {ms:>10}  {layer['text']}".rstrip()))
    output.say(f"{'verdict':<12} {answer['verdict']}")
    raise_failure(answer)
    return ExitCode.OK
