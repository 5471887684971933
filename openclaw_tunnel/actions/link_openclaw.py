"""Make ``openclaw tunnel ...`` work, and undo it: what is there, what would be done, and doing it."""

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.actions.agreement import Question
from openclaw_tunnel.actions.service_manager import PROGRAM, find_program
from openclaw_tunnel.errors import ServiceError, TunnelError, UsageError
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
from openclaw_tunnel.ui import progress

_MOST_LINES = 20
_DONE = {
    Kind.WRITE_PLUGIN: "written",
    Kind.REMOVE_PLUGIN: "removed",
    Kind.WRITE_DISPATCHER: "created",
    Kind.REMOVE_DISPATCHER: "removed",
}


class OpenClawFailed(TunnelError):
    """OpenClaw's own command line did not do what it was asked; ``said`` are its last words."""

    def __init__(self, message: str, done: Done, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.said = tuple(done.lines[-_MOST_LINES:])


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is, and the steps from there.

    Attributes:
        program: what ``openclaw tunnel`` runs.
        release: of OpenClaw; empty where none is installed, or it was not asked.
    """

    program: str
    found: Found
    steps: Sequence[Step]
    release: str = ""


def plan_to_link() -> Plan:
    """Look, and say what would be done; no step where it is linked already.

    Raises:
        TunnelError: there is no program to link to, or OpenClaw cannot be used.
    """
    program = _program()
    found = _look(program)
    release = _release(found.openclaw) if found.openclaw else ""
    return Plan(program, found, plan_link(found, _options(found)), release)


def plan_to_unlink() -> Plan:
    """The same for undoing it.

    Raises:
        TunnelError: there is no program that could have been linked to.
    """
    program = _program()
    found = _look(program)
    return Plan(program, found, plan_unlink(found))


def question(plan: Plan) -> Question:
    """The steps, to be agreed to."""
    unasked = UsageError("whether to do that must be asked, and there is no terminal", hint="to do it, add: --yes")
    return Question("Go on?", shown=tuple(shown(plan)), unasked=unasked)


def shown(plan: Plan) -> Iterator[str]:
    """The steps in words."""
    found = plan.found
    if found.openclaw:
        yield f"with    {found.openclaw}"
    for step in plan.steps:
        yield f"{step.kind:<7} {step.path or _command(step)}"
        if step.kind is Kind.RUN:
            loss = ": OpenClaw writes it anew, without its comments, and keeps a copy" if _has_comments(found) else ""
            yield f"        (changes {found.settings_file}{loss})"
        if SCAN_OPTION in step.arguments:
            yield f"        (its scan objects to every plugin that starts a program; this one starts {PROGRAM})"


def link(plan: Plan) -> Iterator[str]:
    """Carry the steps out, with a line for each that is done; a plugin that could not be installed leaves no file.

    Raises:
        TunnelError: a step failed.
    """
    found = plan.found
    try:
        for step in plan.steps:
            yield _do(step, found, plan.program)
    except BaseException:
        with contextlib.suppress(TunnelError):  # the first error is the one to show
            if found.files is Files.ABSENT and not plugin_settings(os.environ, found.folder)[1].names_folder:
                plugin.remove(found.folder)
        raise


def unlink(plan: Plan) -> Iterator[str]:
    """The same for undoing it.

    Raises:
        TunnelError: a step failed.
    """
    for step in plan.steps:
        yield _do(step, plan.found)
        if step.arguments[:2] == ("plugins", "uninstall"):
            for more in plan_leftover(plugin_settings(os.environ, plan.found.folder)[1]):
                yield _do(more, plan.found)


def left_behind(found: Found) -> str:
    """What unlinking cannot take out, for a person; empty where there is nothing."""
    if found.openclaw or not (found.settings.names_folder or found.settings.entry is not None):
        return ""
    return f"{found.settings_file} still names the plugin, under plugins: OpenClaw is not here to take it out"


def check(found: Found) -> float:
    """Run ``openclaw tunnel`` once; the seconds that it took.

    Raises:
        TunnelError: it does not work.
    """
    assert found.openclaw is not None  # noqa: S101  the caller has looked
    done = _ask(found.openclaw, "tunnel", "status", "--json")  # 2026.5 keeps --version for itself
    if is_status(done.stdout):
        return done.seconds
    raise OpenClawFailed(
        "the plugin is installed, and openclaw tunnel does not work",
        done,
        hint=why_not(plugin_settings(os.environ, found.folder)[1]) or f"see: openclaw plugins inspect {PROGRAM}",
    )


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
        raise OpenClawFailed(
            f"{openclaw} does not say which release of OpenClaw it is",
            done,
            hint="see what is wrong with it: openclaw --version",
        )
    return release


def _options(found: Found) -> tuple[str, ...]:
    """What the installer has to be told; it is asked where it has something to do."""
    if not found.openclaw or found.settings.is_linked:
        return ()
    done = _ask(found.openclaw, "plugins", "install", "--help")
    if done.code != 0 or "--link" not in done.stdout:
        raise OpenClawFailed(
            f"{found.openclaw} cannot link a plugin",
            done,
            hint="bring OpenClaw up to date, then link again: openclaw update",
        )
    return install_options(done.stdout)


def _has_comments(found: Found) -> bool:
    try:
        return bool(comments_of(found.settings_file.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, CannotEdit):
        return False


def _do(step: Step, found: Found, program: str = "") -> str:
    if step.path is None:
        return _run(step, found)
    match step.kind:
        case Kind.WRITE_PLUGIN:
            plugin.write(step.path, program)
        case Kind.REMOVE_PLUGIN:
            plugin.remove(step.path)
        case Kind.WRITE_DISPATCHER:
            dispatcher.write(step.path, program)
        case Kind.REMOVE_DISPATCHER:
            dispatcher.remove(step.path)
    return f"{_DONE[step.kind]}: {step.path}"


def _run(step: Step, found: Found) -> str:
    assert found.openclaw is not None  # noqa: S101  no plan has a command where there is nothing to run it
    command = _command(step)
    done = _ask(found.openclaw, *step.arguments)
    if done.code != 0:
        raise OpenClawFailed(
            f"OpenClaw refused, with exit code {done.code}: {command}",
            done,
            hint=after_refusal(step, found.settings_file),
        )
    return f"done: {command}"


def _command(step: Step) -> str:
    return shlex.join(["openclaw", *step.arguments])


def _ask(openclaw: Path, *arguments: str) -> Done:
    with progress.working(f"running openclaw {' '.join(arguments[:2])}"):
        return ask(openclaw, arguments, os.environ)
