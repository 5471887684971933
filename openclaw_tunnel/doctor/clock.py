"""Two clocks, compared. Pure.

A gateway refuses the signed connect of a device whose clock is 120 s away from its own (OpenClaw 2026.3 to 2026.9).
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from openclaw_tunnel.core.wording.durations import duration
from openclaw_tunnel.doctor.report import Finding, Part, fault, ok, skipped, warning

REFUSED = 120.0
NOTED = 30.0
"""Seconds from which a difference is told; the header ``Date`` has whole seconds."""

_STEP = {
    "darwin": "sudo sntp -sS time.apple.com (and System Settings, Date & Time: set automatically)",
    "linux": "sudo timedatectl set-ntp true",
}


_LONGEST = 64
"""Characters of a ``Date``; a good one has 29."""


def clock_check(here: datetime, there: str, target: str, *, platform: str) -> Finding:
    """Compare.

    Args:
        here: this computer's time when the answer came, with a time zone.
        there: the header ``Date`` of the gateway's answer; empty where it has none.
        target: what the user calls the gateway's host.
        platform: as in ``sys.platform``.
    """
    told = _time(there)
    if told is None:
        return skipped(Part.CLOCK, "not compared: the gateway does not tell the time")
    ahead = (here - told).total_seconds()
    if abs(ahead) < NOTED:
        return ok(Part.CLOCK, f"this computer and {target} agree")
    message = f"the clock here is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} that of {target}"
    hint = f"on the one that is wrong: {_STEP.get(platform, _STEP['linux'])}"
    if abs(ahead) < REFUSED:
        return warning(Part.CLOCK, message, hint, code="clock")
    return fault(Part.CLOCK, f"{message}: the gateway refuses what devices sign", hint, code="clock")


def _time(there: str) -> datetime | None:
    """What a header ``Date`` says; None where it says nothing that can be used."""
    try:
        told = parsedate_to_datetime(there) if len(there) <= _LONGEST else None
    except (ValueError, TypeError, LookupError, OverflowError):  # the standard parser raises any of these
        return None
    return told if told is None or told.tzinfo else told.replace(tzinfo=UTC)
