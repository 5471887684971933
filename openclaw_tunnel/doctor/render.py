"""A report as rows for a person. Pure; the same words on a terminal and in a pipe."""

from collections.abc import Iterator

from openclaw_tunnel.doctor.report import Finding, Outcome, Report, title
from openclaw_tunnel.ui.tunnelrows import Row, Tone, clean

_MARKS = {Outcome.OK: "ok", Outcome.WARNING: "warning", Outcome.FAULT: "FAULT", Outcome.SKIPPED: "-"}
_TONES = {Outcome.OK: Tone.GOOD, Outcome.WARNING: Tone.BUSY, Outcome.FAULT: Tone.BAD, Outcome.SKIPPED: Tone.PAST}


def tables(report: Report) -> list[list[Row]]:
    """Every check, with its next step below it, and the summary; all of it can be copied."""
    findings = [row for finding in report.findings for row in _rows(finding)]
    return [findings, [Row("", summary(report), Tone.HEAD, columns=(("", Tone.HEAD),))]]


def _rows(finding: Finding) -> Iterator[Row]:
    yield _row(title(finding.part), _MARKS[finding.outcome], finding.message, _TONES[finding.outcome])
    for line in finding.said.splitlines():
        yield _row("", "said", line)
    if finding.hint:
        yield _row("", "hint", finding.hint)


def _row(name: str, mark: str, words: str, tone: Tone = Tone.PAST) -> Row:
    return Row(name, clean(words), columns=((f"{name:<12} ", Tone.HEAD), (f"{mark:<8} ", tone)), whole=True)


def first_step(report: Report) -> str:
    """Where to begin, unwrapped, for its commands are copied; empty: nowhere."""
    first = report.first_fault
    return f"hint: {clean(first.hint)}" if first and first.hint else ""


def summary(report: Report) -> str:
    """One line: is all well, and where to begin if not."""
    first = report.first_fault
    counts = {outcome: sum(finding.outcome is outcome for finding in report.findings) for outcome in Outcome}
    warnings = _count(counts[Outcome.WARNING], "warning")
    if first is None:
        return f"all is well ({warnings})" if counts[Outcome.WARNING] else "all is well"
    words = _count(counts[Outcome.FAULT], "fault") + (f", {warnings}" if counts[Outcome.WARNING] else "")
    return f"{words}; begin with: {title(first.part)}"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
