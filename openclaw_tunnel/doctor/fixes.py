"""``doctor --fix``: repairs that take nothing away that was wanted, each after a question."""

import os
import shlex
import stat
from collections.abc import Callable

import click

from openclaw_tunnel.actions.service_manager import Verb, comes_back, control_service, manager_of
from openclaw_tunnel.control.follow import client_of, our_agent, settle
from openclaw_tunnel.doctor.report import Fix, Remedy, Report
from openclaw_tunnel.errors import ConfigError, TunnelError
from openclaw_tunnel.service.systemd import Linger
from openclaw_tunnel.ui import output

SETTLES = 25.0
"""Seconds in which a tunnel that connects anew is known to be up or not."""

_OWNER_ONLY = 0o600


def carry_out(report: Report, *, yes: bool, person: bool) -> bool:
    """Ask about each repair and make it; True where something was changed.

    Args:
        yes: do not ask, as far as that needs no person.
        person: one is there, and reads what is said.
    """
    changed = False
    for fix in report.fixes:
        if not _agreed(fix, yes, person):
            continue
        try:
            _REPAIRS[fix.remedy](fix.subject)
            changed = True
        except TunnelError as error:
            output.print_error(error)
    return changed


def _agreed(fix: Fix, yes: bool, person: bool) -> bool:
    if fix.needs_person and person:
        return True  # it asks by itself, and shows the fingerprint first
    if fix.needs_person:
        output.note(f"whether a host key is the right one only a person can say: {fix.subject}")
        return False
    return yes or click.confirm(fix.question, default=False, err=True)


def _close_to_others(subject: str) -> None:
    for path in shlex.split(subject):
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise ConfigError(f"{path} is not a file of this user", hint=f"let its owner do it: chmod 600 {path}")
            os.chmod(path, _OWNER_ONLY)
        except OSError as error:
            raise ConfigError(f"the mode of {path} cannot be changed: {error.strerror}") from None
        output.note(f"only you can read {path} now")


def _trust(subject: str) -> None:
    """What the command does that the hint names."""
    from openclaw_tunnel.cli.commands.trust import trust

    words = shlex.split(subject)
    trust.main(args=words[words.index("trust") + 1 :], prog_name="openclaw-tunnel trust", standalone_mode=False)


def _with_service(verb: Verb, name: str) -> None:
    manager = manager_of(os.environ)
    note = control_service(manager, verb, name)
    if note:
        output.note(note)
    if comes_back(manager, name):
        settle(client_of(), name, SETTLES)
    output.note(f"{verb}: the service of {name}")


def _restart_tunnel(name: str) -> None:
    client_of().call("restart", {"name": name, **our_agent()})
    output.note(f"{name} is {settle(client_of(), name, SETTLES).state}")


def _linger(name: str) -> None:
    Linger(os.environ).turn_on()
    output.note("linger is on: it runs from boot on, and after you have logged out")


_REPAIRS: dict[Remedy, Callable[[str], None]] = {
    Remedy.CHMOD: _close_to_others,
    Remedy.TRUST: _trust,
    Remedy.START_SERVICE: lambda name: _with_service(Verb.START, name),
    Remedy.RESTART_SERVICE: lambda name: _with_service(Verb.RESTART, name),
    Remedy.RESTART_TUNNEL: _restart_tunnel,
    Remedy.LINGER: _linger,
}
