"""A terminal as a picture: a pure function from screens, as tmux captures them with colours, to SVG.

A picture of several screens is a film without scripts: all of them below each other, moved by steps. Who wants no
motion, and what shows no animation, has the last screen.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

CELL, LINE, MARGIN, HEAD, SIZE = 8.4, 19, 16, 34, 14
"""Pixels: width of a character, height of a line, space around, the window's title, the font."""

_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "pink", 36: "cyan", 90: "dim"}
_FONT = "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_STYLE = f"""
  text {{ font: {SIZE}px {_FONT}; fill: #d6dde6; white-space: pre }}
  .title {{ fill: #8b96a3; font-size: 12px }}
  .bold {{ font-weight: 600; fill: #fff }} .dim {{ fill: #8b96a3 }}
  .red {{ fill: #ff7b72 }} .green {{ fill: #56d364 }} .yellow {{ fill: #e3b341 }}
  .blue {{ fill: #79c0ff }} .pink {{ fill: #d2a8ff }} .cyan {{ fill: #76e3ea }}
"""


@dataclass(frozen=True, slots=True)
class Look:
    """How characters look."""

    colour: str = ""
    bold: bool = False
    dim: bool = False

    @property
    def classes(self) -> str:
        """For the style sheet; empty where there is nothing special."""
        return self.colour or ("bold" if self.bold else "dim" if self.dim else "")


@dataclass(frozen=True, slots=True)
class Run:
    """Characters that look alike, and the column of the first."""

    column: int
    text: str
    look: Look


Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Screen:
    """What was on the screen, and for how many seconds it is shown."""

    lines: tuple[Line, ...]
    seconds: float = 0.0


def picture(screens: Sequence[Screen], columns: int, rows: int, title: str, about: str) -> str:
    """One screen as a still, several as a film that begins again and again.

    Args:
        title: in the window's bar.
        about: the picture in words, for those who do not see it.
    """
    width, height = round(columns * CELL + 2 * MARGIN), rows * LINE + HEAD + MARGIN
    lines = {line: number for number, line in enumerate(dict.fromkeys(one for s in screens for one in s.lines if one))}
    drawn = "\n".join(f'<g id="l{number}">{"".join(map(_run, line))}</g>' for line, number in lines.items())
    reel = "\n".join(
        f'<use href="#l{lines[line]}" y="{(at * rows + row + 1) * LINE - 5}"/>'
        for at, screen in enumerate(screens)
        for row, line in enumerate(screen.lines[:rows])
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(about)}">\n<title>{escape(about)}</title>\n'
        f"<style>{_STYLE}{_film(screens, rows)}</style>\n<defs>\n{drawn}\n</defs>\n"
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9" fill="#0d1117" stroke="#30363d"/>\n'
        + "".join(f'<circle cx="{18 + 18 * n}" cy="17" r="5" fill="#30363d"/>' for n in range(3))
        + f'<text class="title" x="{width / 2:g}" y="21" text-anchor="middle">{escape(title)}</text>\n'
        f'<svg x="{MARGIN}" y="{HEAD}" width="{width - 2 * MARGIN}" height="{rows * LINE}">\n'
        f'<g class="reel">\n{reel}\n</g>\n</svg>\n</svg>\n'
    )


def parse(captured: Sequence[str]) -> tuple[Line, ...]:
    """The lines of ``tmux capture-pane -e``: how a line ends is how the next one begins."""
    lines, look = [], Look()
    for text in captured:
        runs, column = [], 0
        for number, part in enumerate(_SGR.split(text)):
            if number % 2:
                look = _after(look, part)
            elif part:
                runs.append(Run(column, part, look))
                column += len(part)
        lines.append(tuple(runs))
    return tuple(lines)


def _after(look: Look, codes: str) -> Look:
    for code in (int(word or 0) for word in codes.split(";")):
        if code == 0:
            look = Look()
        elif code == 1:
            look = replace(look, bold=True)
        elif code == 2:
            look = replace(look, dim=True)
        elif code == 22:
            look = replace(look, bold=False, dim=False)
        elif code == 39:
            look = replace(look, colour="")
        elif code in _COLOURS:
            look = replace(look, colour=_COLOURS[code])
    return look


def _run(run: Run) -> str:
    """Characters where the terminal has them, whatever width the reader's font has."""
    bare = run.text.strip(" ")
    if not bare:
        return ""
    at = (run.column + len(run.text) - len(run.text.lstrip(" "))) * CELL
    style = f' class="{run.look.classes}"' if run.look.classes else ""
    length = f'textLength="{len(bare) * CELL:g}" lengthAdjust="spacingAndGlyphs"'
    return f'<text{style} x="{at:g}" {length}>{escape(bare, False)}</text>'


def _film(screens: Sequence[Screen], rows: int) -> str:
    """The rules that move the reel; none for a still."""
    if len(screens) < 2:
        return ""
    total = sum(screen.seconds for screen in screens)
    steps, now = [], 0.0
    for number, screen in enumerate(screens):
        steps.append(f"{100 * now / total:.3f}% {{ transform: translateY({-number * rows * LINE}px) }}")
        now += screen.seconds
    last = -(len(screens) - 1) * rows * LINE
    return f"""
  .reel {{ transform: translateY({last}px); animation: reel {total:.1f}s step-end infinite }}
  @media (prefers-reduced-motion: reduce) {{ .reel {{ animation: none }} }}
  @keyframes reel {{ {" ".join(steps)} }}
"""
