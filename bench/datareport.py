"""The results of the data path as rows: what the table and the picture show, and whether what is wanted holds. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures import Figures, summed_up
from lines import LINES, Line
from report import NEVER, Cell
from report import Row as PictureRow

OURS, PEER = "openclaw-tunnel", "ssh"
"""Whose figures are held against whose."""
FAILED = "failed"
NOTE = "Shorter is better; lengths are logarithmic. While nobody else sends, an answer takes the line's round trip."


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bound on our figure.

    Attributes:
        factor: the bound, or what it is multiplied with.
        of: what: ``ssh``, the same figure of ssh; ``idle``, our own median while nobody else sends; a unit: nothing.
        at_least: a lower bound.
    """

    factor: float
    of: str
    at_least: bool = False

    @property
    def text(self) -> str:
        """For people."""
        sign = "at least" if self.at_least else "at most"
        times = " x " if self.of in (PEER, "idle") else " "
        return f"{sign} {self.factor:g}{times}{self.of}".strip()

    def bound(self, mine: Figures, of_peer: float) -> float:
        """In the figure's own unit."""
        if self.of == "idle":
            return self.factor * mine["idle_p50_ms"]
        return self.factor * (of_peer if self.of == PEER else 1)

    def holds(self, value: float, bound: float) -> bool:
        """Whether the value is within it."""
        return value >= bound if self.at_least else value <= bound


@dataclass(frozen=True, slots=True)
class Spec:
    """What one line of the table is about.

    Attributes:
        measurement: where its figures are.
        what: for people.
        value: the figure that something is wanted of.
        text: all that is shown.
        wanted: None: only shown.
    """

    measurement: str
    what: str
    value: Callable[[Figures], float]
    text: Callable[[Figures], str]
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: as ``Spec``.
        cells: by program.
        wanted: in words; empty: nothing.
        verdict: whether it holds, or by how much it does not; empty: nothing is wanted, or it was not measured.
    """

    what: str
    cells: Mapping[str, str]
    wanted: str
    verdict: str

    @property
    def missed(self) -> bool:
        """What is wanted does not hold."""
        return self.verdict.startswith("no")


def _waits(figures: Figures, before: str = "") -> str:
    p50, p95, longest = (figures[f"{before}{key}_ms"] for key in ("p50", "p95", "longest"))
    return f"{_number(p50)} / {_number(p95)} / {_number(longest)} ms ({_number(figures['idle_p50_ms'])})"


def _number(value: float) -> str:
    """Three digits that matter, more before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plain(key: str, unit: str) -> dict[str, Any]:
    return {"value": lambda figures: figures[key], "text": lambda figures: f"{_number(figures[key])} {unit}"}


_WAYS = {"upload": 3.0, "download": 2.0}
"""How many times as long as idle a client may wait beside it."""
_ARTICLES = {"upload": "an", "download": "a"}
_SLOW = 5.0
_RATE = 0.9
_RATES = {"download-20": 0.95, "download-long": 1.25}


def _on_line(name: str, line: Line) -> list[Spec]:
    specs = []
    for way, factor in _WAYS.items():
        measurement, head = f"{way}-{name}", f"{line.title}, beside {_ARTICLES[way]} {way}"
        waiting = Wanted(_SLOW if line.slow else factor, "idle")
        rate = Wanted(_RATES.get(measurement, _RATE), PEER, at_least=True)
        title = f"{head}: answer after p50 / **p95** / longest (idle)"
        specs.append(Spec(measurement, title, lambda figures: figures["p95_ms"], _waits, waiting))
        specs.append(Spec(measurement, f"{head}: a new client's first answer", **_plain("opened_ms", "ms")))
        specs.append(Spec(measurement, f"{line.title}, {way}", wanted=rate, **_plain("rate_mbit", "Mbit/s")))
    return specs


def _cpu(figures: Figures) -> float:
    return figures["down_cpu_s_gib"] + figures["up_cpu_s_gib"]


def _cpu_text(figures: Figures) -> str:
    return f"{_cpu(figures):.2f} s ({figures['down_cpu_s_gib']:.2f} + {figures['up_cpu_s_gib']:.2f})"


_LOOPBACK = [
    Spec("round-trip", "loopback: round trip p50", wanted=Wanted(1.8, PEER), **_plain("p50_us", "us")),
    Spec("connect", "loopback: new connection and a byte p50", wanted=Wanted(2, PEER), **_plain("p50_us", "us")),
    Spec("bulk", "loopback: CPU time per GiB, down + up", _cpu, _cpu_text, Wanted(2.2, PEER)),
    Spec("bulk", "loopback: download", wanted=Wanted(0.6, PEER, at_least=True), **_plain("down_mib_s", "MiB/s")),
    Spec("bulk", "loopback: upload", wanted=Wanted(0.6, PEER, at_least=True), **_plain("up_mib_s", "MiB/s")),
    Spec("busy", "loopback: round trip p50 beside a download", wanted=Wanted(3, PEER), **_plain("p50_ms", "ms")),
    Spec("cold-start", "cold start to the first byte", wanted=Wanted(2, PEER), **_plain("seconds", "s")),
    Spec("memory", "memory of 50 tunnels (PSS)", wanted=Wanted(0.7, PEER), **_plain("mb", "MB")),
]

MANY = {
    "many-downloads": ("loopback", "64 downloads of 4 MiB"),
    "many-uploads": ("loopback", "64 uploads of 4 MiB"),
    "many-downloads-20": (LINES["20"].title, "64 downloads of 256 KiB"),
    "many-downloads-100": (LINES["100"].title, "64 downloads of 1 MiB"),
    "many-uploads-100": (LINES["100"].title, "64 uploads of 1 MiB"),
}
"""Of each where it is, and what."""


def _of_many(measurement: str, title: str) -> list[Spec]:
    fair = Wanted(3, "x") if "download" in measurement else None
    waits = "longest wait of another, over idle"
    slowest = {
        "value": lambda figures: figures["slowest_by_fastest"],
        "text": lambda figures: f"{_number(figures['slowest_s'])} / {_number(figures['fastest_s'])} s",
    }
    return [
        Spec(measurement, f"{title}: the slowest / the fastest", wanted=fair, **slowest),
        Spec(
            measurement,
            f"{title}: {waits}",
            wanted=Wanted(100, "ms"),
            **_plain("longer_ms", "ms"),
        ),
    ]


_CHANGES = {"far": "becomes 400 ms for 12 s", "slow": "becomes 2 Mbit/s for 12 s"}


def _changing(change: str, title: str) -> list[Spec]:
    specs = []
    for way, factor in _WAYS.items():
        measurement, head = f"{change}-{way}", f"{LINES['20'].title}, {title}, {way}"
        specs.append(Spec(measurement, f"{head}, meanwhile: as above, and the rate", _changed, _changed_text))
        after = Spec(
            measurement, f"{head}, 4 s after: as above, and the rate", _back, _back_text, Wanted(factor, "idle")
        )
        specs.append(after)
    return specs


def _changed(figures: Figures) -> float:
    return figures["changed_p95_ms"]


def _changed_text(figures: Figures) -> str:
    return f"{_waits(figures, 'changed_')}, {_number(figures['changed_rate_mbit'])} Mbit/s"


def _back(figures: Figures) -> float:
    return figures["back_p95_ms"]


def _back_text(figures: Figures) -> str:
    return f"{_waits(figures, 'back_')}, {_number(figures['back_rate_mbit'])} Mbit/s"


SPECS: Sequence[Spec] = [
    *(spec for name, line in LINES.items() for spec in _on_line(name, line)),
    *_LOOPBACK,
    *(spec for name, (line, what) in MANY.items() for spec in _of_many(name, f"{line}, {what}")),
    *(spec for change, title in _CHANGES.items() for spec in _changing(change, title)),
]


Found = Mapping[str, Figures | None]
"""By program; None: it was tried, and no run went well."""


def found_in(results: Mapping[str, Any]) -> dict[str, Found]:
    """By measurement, the runs summed up."""
    return {
        one["measurement"]: {name: summed_up(runs) if runs else None for name, runs in one["programs"].items()}
        for one in results["results"]
    }


def rows(results: Mapping[str, Any]) -> list[Row]:
    """What there is to show; what was not measured is left out."""
    found = found_in(results)
    return [_row(spec, found[spec.measurement]) for spec in SPECS if spec.measurement in found]


def _row(spec: Spec, found: Found) -> Row:
    cells = {name: FAILED if figures is None else spec.text(figures) for name, figures in found.items()}
    return Row(spec.what, cells, spec.wanted.text if spec.wanted else "", _verdict(spec, found))


def _verdict(spec: Spec, found: Found) -> str:
    wanted, mine, peer = spec.wanted, found.get(OURS), found.get(PEER)
    if wanted is None or OURS not in found:
        return ""
    if mine is None:
        return f"no: {FAILED}"
    if wanted.of == PEER and peer is None:
        return ""
    value = spec.value(mine)
    bound = wanted.bound(mine, spec.value(peer) if wanted.of == PEER and peer else 1)
    return "yes" if wanted.holds(value, bound) else f"no: {_number(value / bound * wanted.factor)}"


def table(shown: Sequence[Row]) -> str:
    """The rows in Markdown."""
    names = list(dict.fromkeys(name for row in shown for name in row.cells))
    lines = ["| what | " + " | ".join(names) + " | wanted | holds |", "| --- " * (len(names) + 3) + "|"]
    for row in shown:
        cells = [row.cells.get(name, "") for name in names]
        lines.append(f"| {row.what} | " + " | ".join(cells) + f" | {row.wanted} | {row.verdict} |")
    return "\n".join(lines) + "\n"


def drawn(results: Mapping[str, Any]) -> list[PictureRow]:
    """The rows of the picture: who waits how long beside whom."""
    found = found_in(results)
    shown = [
        (f"{way}-{name}", line.title, f"another client {way}s: 95 of 100 answers come within", "p95_ms")
        for way in _WAYS
        for name, line in LINES.items()
    ]
    for name, (line, what) in MANY.items():
        shown.append((name, f"{what}, {line.partition(',')[0]}", "64 others at once: the longest wait", "longest_ms"))
    return [
        PictureRow(title, asked, "milliseconds", {who: _bar(one, key) for who, one in found[measurement].items()})
        for measurement, title, asked, key in shown
        if measurement in found
    ]


def _bar(figures: Figures | None, key: str) -> Cell:
    if figures is None:
        return Cell(NEVER, FAILED, lost=True)
    return Cell(figures[key], f"{_number(figures[key])} ms")
