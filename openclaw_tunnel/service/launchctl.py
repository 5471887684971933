"""What launchctl's numbers and words mean. Pure.

The codes are those of launchd's xpc errors and of errno, as ``launchctl error N`` explains them; what they mean in
practice is known from reports: 5 is said for nearly everything.
"""

import re
from dataclasses import dataclass

from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.service.manager import Done

NOT_THERE = frozenset({3, 112, 113, 125})
"""No such process, domain or service; a domain that cannot be asked has none either."""

BOOTOUT_FINE = frozenset({0, 36, *NOT_THERE})
"""Of bootout: it is gone, or going."""

PASSING = frozenset({5, 36, 37})
"""May be gone in a moment."""

_MEANINGS = {
    3: ("launchd does not know {label}", "load it: openclaw-tunnel service start"),
    5: (
        "launchd does not take {label}, and says only: input/output error",
        "is it switched off under System Settings, Login Items? Does {path} belong to you, writable by nobody else? "
        "Check it: plutil -lint {path}",
    ),
    36: ("launchd is still working on {label}", "wait a moment, then give the command again"),
    37: ("launchd is still ending the old {label}", "wait a moment, then give the command again"),
    64: ("launchctl does not understand what it was asked", "report this, with the output of: sw_vers"),
    78: (
        "macOS refuses to start the program of {label}",
        "look at System Settings, Privacy & Security, and install openclaw-tunnel anew",
    ),
    112: ("launchd has no session of this user", "log in at the screen, or over ssh, as this user"),
    113: ("launchd does not know {label}", "load it: openclaw-tunnel service start"),
    119: ("{label} is switched off", "switch it on under System Settings, General, Login Items"),
    125: (
        "this session of launchd cannot run {label}",
        "log in at the screen of the Mac, or over ssh as this user, and try again",
    ),
}


@dataclass(frozen=True, slots=True)
class Job:
    """What ``launchctl print`` says of a job.

    Attributes:
        pid: None while it does not run.
        last_exit: as launchd words it: ``0``, ``78: EX_CONFIG``, ``(never exited)``.
    """

    state: str
    pid: int | None
    runs: int
    last_exit: str

    @property
    def never_ran(self) -> bool:
        """Whether it was loaded and not yet started."""
        return self.runs == 0 and self.pid is None

    @property
    def cannot_run(self) -> bool:
        """Whether launchd could not even start its program."""
        return self.pid is None and self.last_exit.startswith(("78", "126", "127"))

    @property
    def words(self) -> str:
        """One line for a person."""
        last = "" if "never" in self.last_exit or not self.last_exit else f", last exit code {self.last_exit}"
        return f"{self.state}{last}" + (f", started {self.runs} times" if self.runs > 1 else "")


def parse_job(text: str) -> Job:
    """Read what ``launchctl print`` says; only lines of the job itself, which one tab begins, count."""
    fields = dict(re.findall(r"^\t(?!\t)([^=\n]+?) = (.*)$", text, re.MULTILINE))
    pid, runs = fields.get("pid", ""), fields.get("runs", "0")
    return Job(
        state=fields.get("state", "unknown"),
        pid=int(pid) if pid.isdigit() else None,
        runs=int(runs) if runs.isdigit() else 0,
        last_exit=fields.get("last exit code", ""),
    )


def refused(verb: str, done: Done, label: str, path: str = "") -> ServiceError:
    """The error of a call of launchctl."""
    meaning, hint = _MEANINGS.get(done.code, ("launchctl refused {label}", "see: launchctl error {code}"))
    facts = {"label": label, "path": path or f"~/Library/LaunchAgents/{label}.plist", "code": done.code}
    return ServiceError(
        f"{meaning.format_map(facts)} (launchctl {verb}: {done.code}: {done.words})", hint=hint.format_map(facts)
    )
