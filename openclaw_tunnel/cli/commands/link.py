"""``link`` and ``unlink``: make ``openclaw tunnel ...`` work, and undo it."""

import contextlib
from collections.abc import Iterator

import click

from openclaw_tunnel.actions import link_openclaw
from openclaw_tunnel.actions.link_openclaw import OpenClawFailed, Plan
from openclaw_tunnel.actions.service_manager import PROGRAM
from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ui import output

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@_yes
def link(yes: bool) -> None:
    """Make "openclaw tunnel ..." work, with the commands and options of openclaw-tunnel.

    OpenClaw's own command line gets a plugin, by its own installer. Where there is none, a small script named
    openclaw is put beside this program; it hands everything else to an openclaw that is installed later.
    """
    with _openclaws_words():
        plan = link_openclaw.plan_to_link()
        if plan.steps:
            _agree(plan, yes)
            for line in link_openclaw.link(plan):
                output.say(line)
        linked = "linked" if plan.steps else "linked already"
        if not plan.found.openclaw:
            output.say(f"{linked}: openclaw tunnel runs {plan.program}")
            return
        seconds = link_openclaw.check(plan.found)
    output.say(f"{linked}: openclaw tunnel, in OpenClaw {plan.release}")
    if plan.steps:
        output.note(
            f"openclaw tunnel took {seconds:.0f} s, nearly all of it OpenClaw's own start: "
            f"{PROGRAM} stays the quick command, for every day and for scripts"
        )


@click.command()
@_yes
def unlink(yes: bool) -> None:
    """Undo link: remove the plugin from OpenClaw's command line, or the script named openclaw."""
    with _openclaws_words():
        plan = link_openclaw.plan_to_unlink()
        if not plan.steps:
            output.say("nothing is linked")
            return
        _agree(plan, yes)
        for line in link_openclaw.unlink(plan):
            output.say(line)
    if left := link_openclaw.left_behind(plan.found):
        output.note(left)


def _agree(plan: Plan, yes: bool) -> None:
    """Show what would be done, and return where it may be."""
    if yes:
        output.say(*link_openclaw.shown(plan))
    elif not agree(link_openclaw.question(plan)):
        raise TunnelError("nothing was changed", exit_code=ExitCode.NO)


@contextlib.contextmanager
def _openclaws_words() -> Iterator[None]:
    """Repeat what OpenClaw says where it is to blame."""
    try:
        yield
    except OpenClawFailed as error:
        output.note(*(f"openclaw: {line}" for line in error.said))
        raise
