"""``doctor --fix``: repairs that take nothing away that was wanted, each after a question."""

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from openclaw_tunnel.actions.agreement import Agree, Question
from openclaw_tunnel.actions.install_service import LINGERS
from openclaw_tunnel.actions.outcome import RESTART_DEADLINE, restart_tunnel
from openclaw_tunnel.actions.service_manager import Verb, comes_back, control_service, manager_of
from openclaw_tunnel.actions.trust_key import agree_to_key, check_key, described, look_at_key, remember_key
from openclaw_tunnel.control.follow import client_of, settle
from openclaw_tunnel.doctor.report import Remedy, Repair
from openclaw_tunnel.errors import ConfigError, TunnelError
from openclaw_tunnel.service.systemd import Linger
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.trust import where_to_write

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a repair that was agreed to, or of one that nobody could agree to.

    Attributes:
        notes: what was done, or why nothing was.
        answer: lines for stdout.
        error: why it failed.
    """

    done: bool
    notes: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    error: TunnelError | None = None


def carry_out(repairs: Iterable[Repair], agree: Agree, *, yes: bool, person: bool) -> Iterator[Repaired]:
    """Ask about each repair and make it, one after the other.

    Args:
        yes: do not ask, as far as that needs no person.
        person: one is there, and reads what is shown.
    """
    for repair in repairs:
        if repair.needs_person and not person:
            command = Hop(repair.subject, "", repair.ssh_config).trust_command()
            yield Repaired(False, (f"whether a host key is the right one only a person can say: {command}",))
        elif repair.needs_person or yes or agree(Question(repair.question)):
            yield _repaired(repair, agree)


def _repaired(repair: Repair, agree: Agree) -> Repaired:
    try:
        if repair.remedy is Remedy.TRUST:
            return Repaired(True, answer=(_trust(repair, agree),))
        return Repaired(True, tuple(_REPAIRS[repair.remedy](repair.subject)))
    except TunnelError as error:
        return Repaired(False, error=error)


def _trust(repair: Repair, agree: Agree) -> str:
    """What the command does that the hint names. It shows the key before it asks."""
    found = look_at_key(repair.subject, ssh_config=repair.ssh_config)
    if check_key(found, "", replace=False):
        return f"known already: {found.verdict.entries[0].place}"
    agree_to_key(found, agree, shown=(*described(found), f"file  {where_to_write(found)}"))
    remember_key(found)
    return "remembered"


def _close_to_others(subject: str) -> list[str]:
    done = []
    for path in shlex.split(subject):
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise ConfigError(f"{path} is not a file of this user", hint=f"let its owner do it: chmod 600 {path}")
            os.chmod(path, _OWNER_ONLY)
        except OSError as error:
            raise ConfigError(f"the mode of {path} cannot be changed: {error.strerror}") from None
        done.append(f"only you can read {path} now")
    return done


def _with_service(verb: Verb, name: str) -> list[str]:
    manager = manager_of(os.environ)
    notes = control_service(manager, verb, name)
    if comes_back(manager, name):
        settle(client_of(), name, RESTART_DEADLINE)
    return [*notes, f"{verb}: the service of {name}"]


def _restart_tunnel(name: str) -> list[str]:
    return [f"{name} is {restart_tunnel(client_of(), name).state}"]


def _linger(name: str) -> list[str]:
    Linger(os.environ).turn_on()
    return [f"linger is on: {LINGERS}"]


_REPAIRS: dict[Remedy, Callable[[str], list[str]]] = {
    Remedy.CHMOD: _close_to_others,
    Remedy.START_SERVICE: lambda name: _with_service(Verb.START, name),
    Remedy.RESTART_SERVICE: lambda name: _with_service(Verb.RESTART, name),
    Remedy.RESTART_TUNNEL: _restart_tunnel,
    Remedy.LINGER: _linger,
}
