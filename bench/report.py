"""The results of the outages as rows: what the table and the picture show. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one program reached.

    Attributes:
        value: seconds, dials or a share from 0 to 1; ``NEVER`` where it did not happen in time.
        text: for people.
        lost: the program does not recover.
    """

    value: float
    text: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        fault: what is wrong.
        asked: what the numbers are.
        kind: ``seconds``, ``dials`` or ``share``.
        cells: by program, in the order in which they are shown.
    """

    fault: str
    asked: str
    kind: str
    cells: Mapping[str, Cell]


_AT_ONCE = "served again after"
_ONCE_BACK = "served again after the network is back"
_SERVED = (
    ("child_killed", "sshd's process for the connection killed", _AT_ONCE),
    ("child_killed_early", "the same, within 30 s of the start", _AT_ONCE),
    ("flow_forgotten", "connection forgotten by a NAT", _AT_ONCE),
    ("address_changed", "own address changed, in use", _AT_ONCE),
    ("address_changed_unused", "own address changed, not in use", _AT_ONCE),
    ("woken", "sleep, connection forgotten by a NAT", _AT_ONCE),
    ("blackhole_6", "network dead for 6 s", _ONCE_BACK),
    ("blackhole_20", "network dead for 20 s", _ONCE_BACK),
    ("blackhole_60", "network dead for 60 s", _ONCE_BACK),
    ("blackhole_120", "network dead for 120 s", _ONCE_BACK),
    ("link_down_30", "network card off for 30 s", _ONCE_BACK),
)
_NOTICED = "blackhole_120"
_DROPPED = (
    ("dropped_connect_used", "server drops at once, in use"),
    ("dropped_connect", "server drops at once, not in use"),
    ("dropped_login_used", "server drops after the login, in use"),
    ("dropped_login", "server drops after the login, not in use"),
)
_SHORT = ("child_killed", "flow_forgotten", "address_changed", "woken", "blackhole_6")
"""Faults after which a tunnel can serve within ten seconds."""


def rows(results: Mapping[str, Any]) -> list[Row]:
    """What there is to show; faults that were not measured are left out."""
    found = {one["fault"]: one for one in results["results"] if one["runs"]}
    shown = [_served_row(found[name], title, asked) for name, title, asked in _SERVED if name in found]
    if _NOTICED in found:
        shown.append(_noticed_row(found[_NOTICED]))
    shown += [_dials_row(found[name], title) for name, title in _DROPPED if name in found]
    short = [found[name] for name in _SHORT if name in found]
    return [*shown, _share_row(short)] if short else shown


def _served_row(one: Mapping[str, Any], title: str, asked: str) -> Row:
    cells = {name: _seconds(runs, "served_s", one["window_s"]) for name, runs in _of_each(one).items()}
    return Row(title, asked, "seconds", cells)


def _noticed_row(one: Mapping[str, Any]) -> Row:
    window = one["window_s"] + 120
    cells = {name: _seconds(runs, "noticed_s", window) for name, runs in _of_each(one).items()}
    return Row("network dead while a client sends", "noticed after", "seconds", cells)


def _dials_row(one: Mapping[str, Any], title: str) -> Row:
    cells = {}
    for name, runs in _of_each(one).items():
        dials = statistics.median(run["dials"] for run in runs)
        lost = _median(runs, "served_s") == NEVER
        end = "then it ended" if all(run["gone"] for run in runs) else f"not back in {one['back_within_s']:g} s"
        cells[name] = Cell(dials, f"{dials:g}, {end}" if lost else f"{dials:g}", lost)
    return Row(title, "connections made in 5 minutes", "dials", cells)


def _share_row(short: Sequence[Mapping[str, Any]]) -> Row:
    cells = {}
    for name in short[0]["runs"][0]:
        counts = [run[name]["clients"] for one in short for run in one["runs"]]
        came = sum(sum(count.values()) for count in counts)
        served = sum(count.get("answered", 0) for count in counts)
        cells[name] = Cell((came - served) / came, f"{came - served} of {came}")
    return Row("faults that can be over within 10 s", "clients that got no answer", "share", cells)


def _of_each(one: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The repetitions of each program."""
    return {name: [run[name] for run in one["runs"]] for name in one["runs"][0]}


def _median(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.median(NEVER if run[key] is None else run[key] for run in runs)


def _seconds(runs: Sequence[Mapping[str, Any]], key: str, window: float) -> Cell:
    value = _median(runs, key)
    if value < NEVER:
        return Cell(value, f"{value:.2f} s" if value < 10 else f"{value:.0f} s")
    ended = key == "served_s" and all(run["gone"] for run in runs)
    return Cell(NEVER, "never: it ended" if ended else f"never (> {window:g} s)", lost=True)


def missed(results: Mapping[str, Any]) -> list[str]:
    """The faults with which the first program is not below its target."""
    lines = []
    for one in results["results"]:
        runs = next(iter(_of_each(one).values())) if one["runs"] else []
        if not runs or one["target"] is None:
            continue
        value = _median(runs, "dials" if "dials" in runs[0] else "served_s")
        if value >= one["target"]:
            lines.append(f"{one['title']}: {value:g} instead of less than {one['target']:g}")
    return lines


def table(shown: Sequence[Row]) -> str:
    """The rows in Markdown."""
    names = list(shown[0].cells)
    lines = ["| fault | asked | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for row in shown:
        cells = [f"**{row.cells[name].text}**" if name == names[0] else row.cells[name].text for name in names]
        lines.append(f"| {row.fault} | {row.asked} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
