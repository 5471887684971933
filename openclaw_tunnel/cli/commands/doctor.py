"""``doctor``: check every layer in order, say what is wrong and what to do, and repair what is safe to repair."""

import asyncio
import json
import os
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.cli.jsoncommand import JsonCommand
from openclaw_tunnel.cli.params import parse_up, up_params
from openclaw_tunnel.doctor import render
from openclaw_tunnel.doctor.inputs import Asked
from openclaw_tunnel.doctor.report import VERSION, Report
from openclaw_tunnel.errors import ExitCode, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.ui import output, progress

if TYPE_CHECKING:
    from openclaw_tunnel.doctor.repairs import Repaired

_OF_UP = ("target", "name", "local_port", "remote_port", "identity", "ssh_config")
"""The parameters of ``up`` that say which tunnel is meant."""


class Checking(JsonCommand):
    """``doctor``, whose object says in any case whether all is well."""

    no_answer = MappingProxyType({"version": VERSION, "ok": False, "checks": [], "first_fault": None})


@click.command(cls=Checking, params=up_params(*_OF_UP))
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="For the gateway.",
)
@click.option("--fix", is_flag=True, help="Repair what can be repaired safely, after asking.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask; no host key is remembered.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(timeout: float, fix: bool, yes: bool, as_json: bool, **given: Any) -> int:
    """Check every layer between here and the gateway, and say what to do about the first fault.

    TARGET is a tunnel's name or whatever up takes. What a fault makes meaningless is not checked. Exits 0 if nothing
    has to be repaired, else 1.
    """
    if yes and not fix:
        raise UsageError("--yes goes with --fix", hint="add --fix, or leave --yes out")
    if fix and not yes and not output.is_terminal(sys.stdin):
        raise UsageError(
            "what to repair must be asked, and there is no terminal", hint="to repair without asking, add: --yes"
        )
    asked = Asked(UpOptions(**given), dict(os.environ), Paths.from_env(os.environ), parse_up, timeout)
    report = _look(asked)
    if fix and report.repairs:
        if not as_json:
            _show(report)
        from openclaw_tunnel.doctor.repairs import carry_out

        person = output.is_terminal(sys.stdin) and not as_json
        changed = [_told(repaired) for repaired in carry_out(report.repairs, agree, yes=yes, person=person)]
        if not any(changed) and not as_json:
            return _code(report)
        report = _look(asked)
        if not as_json:
            output.say("")
    if as_json:
        output.say(json.dumps(report.to_json(), indent=2))
    else:
        _show(report)
    return _code(report)


def _told(repaired: "Repaired") -> bool:
    """Show what became of a repair; whether it was made."""
    output.say(*repaired.answer)
    output.note(*repaired.notes)
    if repaired.error:
        output.print_error(repaired.error)
    return repaired.done


def _look(asked: Asked) -> Report:
    # Imported late: asyncssh takes longer to load than most commands take to run.
    from openclaw_tunnel.ask.direct import unwaited
    from openclaw_tunnel.doctor.run import check_up

    with progress.working("checking every layer"):
        return asyncio.run(unwaited(check_up(asked)))


def _code(report: Report) -> int:
    return ExitCode.OK if report.ok else ExitCode.NO


def _show(report: Report) -> None:
    output.print_rows(render.tables(report))
    if step := render.first_step(report):
        output.say(f"\n{step}")
