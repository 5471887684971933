"""The results as a picture: a pure function from rows to SVG, readable in light and in dark surroundings."""

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby

from report import Cell, Row

LABEL, COLUMN, BAR = 268, 140, 128
LINE, BAR_HEIGHT, TOP, MARGIN = 24, 18, 58, 16
_RANGES = {"seconds": (0.05, 200.0), "dials": (1.0, 400.0), "milliseconds": (10.0, 5000.0)}
"""From nothing to the full length, of what is drawn logarithmically."""
NOTE = "Shorter is better; seconds and connections are logarithmic. Striped: did not recover while it was watched."

_STYLE = """
  svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .card { fill: #fff; stroke: #d0d7de } .text { fill: #1f2328 } .faint { fill: #59636e }
  .rail { fill: #f0f2f4 } .ours { fill: #54aeff } .other { fill: #c8d1da }
  .lost { fill: #ffebe9 } .stripe { stroke: #ffc1bc; stroke-width: 2 } .alarm { fill: #a40e26 }
  .head { font-weight: 600 } .bold { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .faint { fill: #9198a1 }
    .rail { fill: #1c2128 } .ours { fill: #1f6feb } .other { fill: #3d444d }
    .lost { fill: #3b1619 } .stripe { stroke: #57202a } .alarm { fill: #ffb3ae }
  }
"""
_STRIPES = (
    '<pattern id="stripes" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="lost" width="7" height="7"/><line class="stripe" y2="7"/></pattern>'
)


def picture(rows: Sequence[Row], note: str = NOTE) -> str:
    """Bars in a table: a line for each fault, a column for each program, ours first.

    Lengths are logarithmic; what never recovers has a full, striped bar.
    """
    names = list(rows[0].cells)
    parts, y = [_header(names)], TOP
    for asked, group in groupby(rows, lambda row: row.asked):
        y += LINE + 6
        parts.append(_text(MARGIN, y - 7, asked, "text head"))
        for row in group:
            parts += _line(row, names, y)
            y += LINE
    y += LINE + 4
    parts.append(_text(MARGIN, y - 6, note, "faint"))
    width, height = MARGIN * 2 + LABEL + COLUMN * len(names), y + 8
    box = f'<rect class="card" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(_summary(rows, names[0]))}">\n<style>{_STYLE}</style>\n'
        f"<defs>{_STRIPES}</defs>\n{box}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _summary(rows: Sequence[Row], name: str) -> str:
    """The picture in words, for those who do not see it."""
    return f"{name}: " + "; ".join(f"{row.fault}, {row.asked} {row.cells[name].text}" for row in rows)


def _header(names: Sequence[str]) -> str:
    """The programs' names, on two lines where there is a plus."""
    parts = []
    for number, name in enumerate(names):
        x = MARGIN + LABEL + COLUMN * number
        first, _, second = name.partition(" + ")
        parts.append(_text(x, 28, first, "text head"))
        parts.append(_text(x, 45, f"+ {second}" if second else "", "faint"))
    return "\n".join(parts)


def _line(row: Row, names: Sequence[str], y: int) -> list[str]:
    parts = [_text(MARGIN + 10, y + 13, row.fault, "text")]
    for number, name in enumerate(names):
        parts.append(_bar(row.cells[name], row.kind, MARGIN + LABEL + COLUMN * number, y, ours=number == 0))
    return parts


def _bar(cell: Cell, kind: str, x: int, y: int, *, ours: bool) -> str:
    rail = f'<rect class="rail" x="{x}" y="{y}" width="{BAR}" height="{BAR_HEIGHT}" rx="3"/>'
    if cell.lost:
        fill, length = 'fill="url(#stripes)"', float(BAR)
    else:
        fill, length = f'class="{"ours" if ours else "other"}"', BAR * share(cell.value, kind)
    bar = f'<rect {fill} x="{x}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="3"/>'
    style = "alarm" if cell.lost else "text bold" if ours else "text"
    return rail + bar + _text(x + 6, y + 13, cell.text, style)


def share(value: float, kind: str) -> float:
    """How much of the full length a bar takes, from 0 to 1; at least a visible stroke where it is not nothing."""
    if kind == "share":
        return value
    low, high = _RANGES[kind]
    if value <= 0:
        return 0.0
    return min(1.0, max(0.03, math.log(value / low) / math.log(high / low)))


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x}" y="{y}">{escape(text)}</text>' if text else ""
