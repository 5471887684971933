"""The moves of a tunnel as a picture, drawn from core/states.py: ``make pictures`` writes it to states.svg.

Where boxes and arrows stand is said here; which arrows there are, and their words, is the table's. A move that has no
place yet is an error. Moves that nearly every state has are sentences below the picture instead of arrows.
"""

import textwrap
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from pathlib import Path

from openclaw_tunnel.core.states import LINK_STATES, TRANSITIONS, State, Trigger

WIDTH, HEIGHT = 880, 496
_BOX, _HALF_W, _HALF_H = 110, 55, 19

_PLACES: Mapping[State, tuple[int, int]] = {
    State.FAILED: (290, 46),
    State.STOPPED: (84, 190),
    State.CONNECTING: (290, 190),
    State.VERIFYING: (520, 190),
    State.UP: (740, 120),
    State.DEGRADED: (740, 260),
    State.STOPPING: (84, 350),
    State.BACKOFF: (290, 350),
}
_COLOURS: Mapping[State, str] = {State.UP: "good", State.FAILED: "bad", State.STOPPED: "off", State.STOPPING: "off"}

_IN_WORDS = frozenset({Trigger.STOP, Trigger.RESTART})
"""Moves of nearly every state."""

# The way of an arrow, and where its words begin: x, y of the first line, how they are anchored, letters in a line.
_WAYS: Mapping[tuple[State, State], tuple[str, int, int, str, int]] = {
    (State.STOPPED, State.CONNECTING): ("M139 190 H228", 184, 182, "middle", 20),
    (State.STOPPING, State.STOPPED): ("M84 331 V216", 92, 276, "start", 12),
    (State.CONNECTING, State.FAILED): ("M270 171 V72", 262, 116, "end", 12),
    (State.FAILED, State.CONNECTING): ("M310 65 V164", 320, 90, "start", 26),
    (State.VERIFYING, State.FAILED): ("M520 171 V46 H352", 436, 38, "middle", 24),
    (State.CONNECTING, State.VERIFYING): ("M345 190 H458", 400, 182, "middle", 20),
    (State.CONNECTING, State.BACKOFF): ("M270 209 V324", 262, 262, "end", 12),
    (State.BACKOFF, State.CONNECTING): ("M310 331 V216", 320, 252, "start", 24),
    (State.VERIFYING, State.UP): ("M575 180 L679 134", 618, 146, "end", 16),
    (State.VERIFYING, State.DEGRADED): ("M575 200 L679 246", 530, 238, "start", 12),
    (State.UP, State.DEGRADED): ("M752 139 V234", 760, 182, "start", 16),
    (State.DEGRADED, State.UP): ("M722 241 V146", 714, 194, "end", 8),
    (State.VERIFYING, State.BACKOFF): ("M520 209 V338 H352", 512, 330, "end", 12),
    (State.DEGRADED, State.BACKOFF): ("M740 279 V352 H352", 732, 346, "end", 12),
    (State.UP, State.BACKOFF): ("M795 120 H862 V366 H352", 854, 360, "end", 12),
}

_STYLE = """
  svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .card { fill: #fff; stroke: #d0d7de } .text { fill: #1f2328 } .faint { fill: #59636e }
  .state { font-size: 14px; font-weight: 600 } .way { fill: none; stroke: #59636e; stroke-width: 1.5 }
  .tip { fill: #59636e } .box { stroke-width: 1.5 } .carries { stroke-width: 3 }
  .good { fill: #dafbe1; stroke: #1a7f37 } .bad { fill: #ffebe9; stroke: #cf222e }
  .busy { fill: #fff8c5; stroke: #9a6700 } .off { fill: #f6f8fa; stroke: #818b98 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .faint { fill: #b7bdc8 }
    .way { stroke: #9198a1 } .tip { fill: #9198a1 }
    .good { fill: #12261e; stroke: #3fb950 } .bad { fill: #2d1314; stroke: #f85149 }
    .busy { fill: #272115; stroke: #d29922 } .off { fill: #151b23; stroke: #656c76 }
  }
"""
_TIP = '<marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'  # noqa: E501

Table = Mapping[State, Mapping[Trigger, State]]


def picture(table: Table = TRANSITIONS) -> str:
    """The drawing.

    Raises:
        KeyError: a move of the table has no place here yet.
    """
    parts = [_arrow(*way, moves) for way, moves in arrows(table).items()]
    parts += [_box(state) for state in table]
    y = HEIGHT - 16 - 20 * (len(sentences(table)) - 1)
    parts += [_text(24, y + 20 * number, line, "faint") for number, line in enumerate(sentences(table))]
    box = f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>'
    words = escape(". ".join(f"{a} to {b}: {' or '.join(w)}" for (a, b), w in arrows(table).items()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{words}">\n<style>{_STYLE}</style>\n<defs>{_TIP}</defs>\n{box}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def arrows(table: Table) -> dict[tuple[State, State], list[Trigger]]:
    """The moves that are drawn: from, to, and what causes them."""
    found: dict[tuple[State, State], list[Trigger]] = defaultdict(list)
    for state, moves in table.items():
        for trigger, to in moves.items():
            if trigger not in _IN_WORDS and to is not state:
                found[state, to].append(trigger)
    return dict(found)


def sentences(table: Table) -> list[str]:
    """The other moves, and what the thick frames mean."""
    found: dict[tuple[Trigger, State], list[str]] = defaultdict(list)
    for state, moves in table.items():
        for trigger, to in moves.items():
            if trigger in _IN_WORDS or to is state:
                found[trigger, to].append(state)
    told = [f"{trigger}: {', '.join(states)} → {to}" for (trigger, to), states in found.items()]
    return [*sorted(told), "thick frame: SSH is up, and clients are carried"]


def _arrow(state: State, to: State, triggers: list[Trigger]) -> str:
    way, x, y, anchor, letters = _WAYS[state, to]
    lines = [line for trigger in triggers for line in textwrap.wrap(trigger, letters)]
    words = "\n".join(_text(x, y + 15 * number, line, "text", anchor) for number, line in enumerate(lines))
    return f'<path class="way" d="{way}" marker-end="url(#tip)"/>\n{words}'


def _box(state: State) -> str:
    x, y = _PLACES[state]
    style = f"box {_COLOURS.get(state, 'busy')}{' carries' if state in LINK_STATES else ''}"
    rect = f'<rect class="{style}" x="{x - _HALF_W}" y="{y - _HALF_H}" width="{_BOX}" height="{2 * _HALF_H}" rx="8"/>'
    return rect + _text(x, y + 5, state, "text state", "middle")


def _text(x: int, y: int, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture())
