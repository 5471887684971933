"""``link`` and ``unlink``: make ``openclaw tunnel ...`` work, and undo it."""

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from openclaw_tunnel.actions.service_manager import PROGRAM, find_program
from openclaw_tunnel.errors import ExitCode, ServiceError, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.json5doc.edit import CannotEdit, comments_of
from openclaw_tunnel.linking import dispatcher, plugin
from openclaw_tunnel.linking.look import look, plugin_settings
from openclaw_tunnel.linking.openclaw import Done, ask, is_on_path, version_in
from openclaw_tunnel.linking.plan import (
    SCAN_OPTION,
    Files,
    Found,
    Kind,
    Step,
    after_refusal,
    install_options,
    is_status,
    plan_leftover,
    plan_link,
    plan_unlink,
    why_not,
)
from openclaw_tunnel.ui import output, progress

_MOST_LINES = 20
_DONE = {
    Kind.WRITE_PLUGIN: "written",
    Kind.REMOVE_PLUGIN: "removed",
    Kind.WRITE_DISPATCHER: "created",
    Kind.REMOVE_DISPATCHER: "removed",
}

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@_yes
def link(yes: bool) -> int:
    """Make "openclaw tunnel ..." work, with the commands and options of openclaw-tunnel.

    OpenClaw's own command line gets a plugin, by its own installer. Where there is none, a small script named
    openclaw is put beside this program; it hands everything else to an openclaw that is installed later.
    """
    program = _program()
    found = _look(program)
    release = _release(found.openclaw) if found.openclaw else ""
    steps = plan_link(found, _options(found))
    if steps:
        _agree(steps, found, yes)
        _install(steps, found, program)
    if not found.openclaw:
        output.say(f"{'linked' if steps else 'linked already'}: openclaw tunnel runs {program}")
        return ExitCode.OK
    seconds = _check(found)
    output.say(f"{'linked' if steps else 'linked already'}: openclaw tunnel, in OpenClaw {release}")
    if steps:
        output.note(
            f"openclaw tunnel took {seconds:.0f} s, nearly all of it OpenClaw's own start: "
            f"{PROGRAM} stays the quick command, for every day and for scripts"
        )
    return ExitCode.OK


@click.command()
@_yes
def unlink(yes: bool) -> int:
    """Undo link: remove the plugin from OpenClaw's command line, or the script named openclaw."""
    found = _look(_program())
    steps = plan_unlink(found)
    if not steps:
        output.say("nothing is linked")
        return ExitCode.OK
    _agree(steps, found, yes)
    for step in steps:
        _do(step, found)
        if step.arguments[:2] == ("plugins", "uninstall"):
            for more in plan_leftover(plugin_settings(os.environ, found.folder)[1]):
                _do(more, found)
    if not found.openclaw and (found.settings.names_folder or found.settings.entry is not None):
        output.note(f"{found.settings_file} still names the plugin, under plugins: OpenClaw is not here to take it out")
    return ExitCode.OK


def _program() -> str:
    try:
        return find_program()
    except ServiceError:
        raise TunnelError(
            f"there is no program {PROGRAM} that openclaw tunnel could run",
            hint="install it, for example with: pipx install openclaw-tunnel",
        ) from None


def _look(program: str) -> Found:
    """What is there. A dispatcher goes beside the program; where a shell would not find it, beside the one on PATH."""
    path = os.environ.get("PATH", os.defpath)
    beside = program if is_on_path(Path(program).parent, path) else shutil.which(PROGRAM, path=path) or program
    return look(os.environ, Paths.from_env(os.environ), program, Path(os.path.abspath(beside)).parent)


def _release(openclaw: Path) -> str:
    done = _ask(openclaw, "--version")
    release = version_in(done)
    if not release:
        _repeat(done.lines)
        raise TunnelError(
            f"{openclaw} does not say which release of OpenClaw it is",
            hint="see what is wrong with it: openclaw --version",
        )
    return release


def _options(found: Found) -> tuple[str, ...]:
    """What the installer has to be told; it is asked where it has something to do."""
    if not found.openclaw or found.settings.is_linked:
        return ()
    done = _ask(found.openclaw, "plugins", "install", "--help")
    if done.code != 0 or "--link" not in done.stdout:
        _repeat(done.lines)
        raise TunnelError(
            f"{found.openclaw} cannot link a plugin", hint="bring OpenClaw up to date, then link again: openclaw update"
        )
    return install_options(done.stdout)


def _agree(steps: Iterable[Step], found: Found, yes: bool) -> None:
    """Show what would be done, and return where it may be.

    Raises:
        UsageError: nobody can be asked.
        TunnelError: the answer is no.
    """
    if found.openclaw:
        output.say(f"with    {found.openclaw}")
    for step in steps:
        output.say(f"{step.kind:<7} {step.path or _command(step)}")
        if step.kind is Kind.RUN:
            loss = ": OpenClaw writes it anew, without its comments, and keeps a copy" if _has_comments(found) else ""
            output.say(f"        (changes {found.settings_file}{loss})")
        if SCAN_OPTION in step.arguments:
            output.say(f"        (its scan objects to every plugin that starts a program; this one starts {PROGRAM})")
    if yes:
        return
    if not output.is_terminal(sys.stdin):
        raise UsageError("whether to do that must be asked, and there is no terminal", hint="to do it, add: --yes")
    if not click.confirm("Go on?", default=False, err=True):
        raise TunnelError("nothing was changed", exit_code=ExitCode.NO)


def _has_comments(found: Found) -> bool:
    try:
        return bool(comments_of(found.settings_file.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, CannotEdit):
        return False


def _install(steps: Iterable[Step], found: Found, program: str) -> None:
    """Carry the steps out; a plugin that could not be installed leaves no file behind."""
    try:
        for step in steps:
            _do(step, found, program)
    except BaseException:
        with contextlib.suppress(TunnelError):  # the first error is the one to show
            if found.files is Files.ABSENT and not plugin_settings(os.environ, found.folder)[1].names_folder:
                plugin.remove(found.folder)
        raise


def _do(step: Step, found: Found, program: str = "") -> None:
    if step.path is None:
        _run(step, found)
        return
    match step.kind:
        case Kind.WRITE_PLUGIN:
            plugin.write(step.path, program)
        case Kind.REMOVE_PLUGIN:
            plugin.remove(step.path)
        case Kind.WRITE_DISPATCHER:
            dispatcher.write(step.path, program)
        case Kind.REMOVE_DISPATCHER:
            dispatcher.remove(step.path)
    output.say(f"{_DONE[step.kind]}: {step.path}")


def _run(step: Step, found: Found) -> None:
    assert found.openclaw is not None  # noqa: S101  no plan has a command where there is nothing to run it
    command = _command(step)
    done = _ask(found.openclaw, *step.arguments)
    if done.code != 0:
        _repeat(done.lines)
        raise TunnelError(
            f"OpenClaw refused, with exit code {done.code}: {command}", hint=after_refusal(step, found.settings_file)
        )
    output.say(f"done: {command}")


def _check(found: Found) -> float:
    """Run ``openclaw tunnel`` once; the seconds that it took.

    Raises:
        TunnelError: it does not work.
    """
    assert found.openclaw is not None  # noqa: S101  the caller has looked
    done = _ask(found.openclaw, "tunnel", "status", "--json")  # 2026.5 keeps --version for itself
    if is_status(done.stdout):
        return done.seconds
    _repeat(done.lines)
    raise TunnelError(
        "the plugin is installed, and openclaw tunnel does not work",
        hint=why_not(plugin_settings(os.environ, found.folder)[1]) or f"see: openclaw plugins inspect {PROGRAM}",
    )


def _command(step: Step) -> str:
    return shlex.join(["openclaw", *step.arguments])


def _ask(openclaw: Path, *arguments: str) -> Done:
    with progress.working(f"running openclaw {' '.join(arguments[:2])}"):
        return ask(openclaw, arguments, os.environ)


def _repeat(lines: list[str]) -> None:
    """OpenClaw's own words."""
    for line in lines[-_MOST_LINES:]:
        output.note(f"openclaw: {line}")
