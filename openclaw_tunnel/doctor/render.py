"""A report as lines for a person. Pure; the same words on a terminal and in a pipe."""

import textwrap
from collections.abc import Iterator

from openclaw_tunnel.doctor.report import Check, Outcome, Report, title
from openclaw_tunnel.ui.tunnelrows import Tone, clean

_MARKS = {Outcome.OK: "ok", Outcome.WARNING: "warning", Outcome.FAULT: "FAULT", Outcome.SKIPPED: "-"}
_TONES = {Outcome.OK: Tone.GOOD, Outcome.WARNING: Tone.BUSY, Outcome.FAULT: Tone.BAD, Outcome.SKIPPED: Tone.PLAIN}
_BOLD, _OFF = "\x1b[1m", "\x1b[0m"
_CODES = {Tone.GOOD: "\x1b[32m", Tone.BUSY: "\x1b[33m", Tone.BAD: "\x1b[1;31m", Tone.PLAIN: "\x1b[2m"}
_NAME, _MARK = 12, 8
_LEAST = 30
"""Characters that the sentences get on the narrowest terminal."""

Line = tuple[str, str, str, Tone]
"""Name, mark, text, and the tone of the mark."""


def lines(report: Report, width: int | None) -> Iterator[Line]:
    """Every check, with its next step below it.

    Args:
        width: columns of the terminal; None: nothing is wrapped.
    """
    for check in report.checks:
        yield from _lines(check, width)


def _lines(check: Check, width: int | None) -> Iterator[Line]:
    room = max(_LEAST, width - _NAME - _MARK - 2) if width else None
    name, mark = title(check.part), _MARKS[check.outcome]
    for text in _wrapped(clean(check.message), room):
        yield name, mark, text, _TONES[check.outcome]
        name = mark = ""
    for mark, words in [*(("said", line) for line in check.said.splitlines()), ("hint", check.hint)]:
        for number, text in enumerate(_wrapped(clean(words), room) if words else []):
            yield "", mark if number == 0 else "", text, Tone.PLAIN


def shown(report: Report, width: int | None, *, colours: bool) -> str:
    """The lines and, after an empty one, the summary; then where to begin, unwrapped: its commands can be copied.

    Args:
        width: as :func:`lines`.
    """
    bold, off = (_BOLD, _OFF) if colours else ("", "")
    found = []
    for name, mark, text, tone in lines(report, width):
        before, after = (_CODES[tone], _OFF) if colours else ("", "")
        found.append(f"{bold}{name:<{_NAME}}{off} {before}{mark:<{_MARK}}{after} {text}".rstrip())
    first = report.first_fault
    step = ["", f"hint: {clean(first.hint)}"] if first and first.hint else []
    return "\n".join([*found, "", f"{bold}{summary(report)}{off}", *step])


def summary(report: Report) -> str:
    """One line: is all well, and where to begin if not."""
    first = report.first_fault
    counts = {outcome: sum(check.outcome is outcome for check in report.checks) for outcome in Outcome}
    warnings = _count(counts[Outcome.WARNING], "warning")
    if first is None:
        return f"all is well ({warnings})" if counts[Outcome.WARNING] else "all is well"
    words = _count(counts[Outcome.FAULT], "fault") + (f", {warnings}" if counts[Outcome.WARNING] else "")
    return f"{words}; begin with: {title(first.part)}"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _wrapped(text: str, room: int | None) -> list[str]:
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) if room else [text]
