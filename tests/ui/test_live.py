"""The live view: what fits a window, and how it is drawn in place (ui/live.py); seen in tests/real/test_screens.py."""

import contextlib
import io

from openclaw_tunnel.ui import live
from openclaw_tunnel.ui.renderables import console_on
from openclaw_tunnel.ui.tunnelrows import Row, Tone
from support.terminals import Terminal

WELL = [Row("a", "up", Tone.GOOD, heads=True), Row("target", "gw"), Row("local", "port")]
BADLY = [Row("b", "failed", Tone.BAD, heads=True), Row("target", "gw"), Row("error", "no")]
FOOT = Row("Ctrl-C", "ends it")


def fitted(*tables: list[Row], columns: int = 80, height: int = 24, foot: Row | None = FOOT) -> list[str]:
    console = console_on(io.StringIO(), (columns, height), colours=False)
    return ["".join(part.text for part in line) for line in live.fitted(tables, foot, console)]


WELL_LINES = ["a  up", "  target    gw", "  local     port"]
BAD_LINES = ["b  failed", "  target    gw", "  error     no"]
FOOT_LINES = ["", "  Ctrl-C    ends it"]


def test_all_of_it_where_there_is_room() -> None:
    whole = [*WELL_LINES, "", *BAD_LINES]
    assert fitted(WELL, BADLY, foot=None) == whole
    assert fitted(WELL, BADLY, height=10) == [*whole, *FOOT_LINES]


def test_those_that_are_well_shrink_first() -> None:
    assert fitted(WELL, WELL, BADLY, height=9) == ["a  up", "a  up", "", *BAD_LINES, *FOOT_LINES]


def test_then_the_others_to_what_is_wrong_with_them() -> None:
    assert fitted(WELL, BADLY, height=7) == ["a  up", "", BAD_LINES[0], BAD_LINES[2], *FOOT_LINES]


def test_of_many_those_that_are_not_well_stay_in_sight() -> None:
    many = fitted(*[WELL] * 20, BADLY, *[WELL] * 9, height=10)
    assert many == ["b  failed", "  error     no", "", "a  up", "a  up", "a  up", "... 26 more lines", *FOOT_LINES]


def test_where_many_are_not_well_each_has_its_first_row_before_any_has_more() -> None:
    hinted = [*BADLY, Row("hint", "do")]
    assert fitted(hinted, hinted, height=9) == [
        "b  failed",
        "  error     no",
        "",
        "b  failed",
        "  error     no",
        *FOOT_LINES,
    ]
    assert fitted(hinted, hinted, height=6) == ["b  failed", "b  failed", *FOOT_LINES]


def test_what_does_not_fit_is_said_and_the_foot_stays() -> None:
    assert fitted(WELL, WELL, BADLY, height=7) == [*BAD_LINES[::2], "", "... 2 more lines", *FOOT_LINES]
    assert fitted(BADLY, height=4) == ["b  failed", *FOOT_LINES]
    assert fitted(BADLY, BADLY, height=4) == ["... 2 more lines", *FOOT_LINES]
    assert fitted(BADLY, WELL, WELL, height=5, foot=None) == ["b  failed", "  error     no", "", "... 2 more lines"]


def test_without_a_tunnel_there_is_nothing() -> None:
    assert fitted() == []


class Views:
    """A view that draws when it is told to."""

    def __init__(self) -> None:
        self.terminal = Terminal()
        self.tables = [[Row("a", "up", heads=True), Row("local", "port")]]
        with contextlib.redirect_stdout(self.terminal):
            self.view = live.LiveView(lambda: self.tables, lambda: Row("foot", "x"))
        self.view.start()

    def drawn(self) -> str:
        """What was written to draw it."""
        self.view.refresh()
        return self.terminal.said().replace("\x1b[1A\x1b[2K", "<up>")


def test_a_frame_takes_the_place_of_the_last_one() -> None:
    shown = Views()
    before = shown.drawn()
    assert before.startswith("\x1b[?7l")
    assert before.count("\n") == 4
    assert shown.drawn() == ""  # nothing has changed: what is there can be marked and copied
    shown.tables = [[Row("b", "up", heads=True)]]
    assert shown.drawn().startswith("\r\x1b[2K<up><up><up><up>\x1b[?7l")
    shown.view.end()
    assert shown.terminal.said().endswith("\x1b[J\x1b[?7h\n")


def test_the_end_of_what_is_erased() -> None:
    shown = Views()
    shown.drawn()
    shown.view.end(erased=True)
    assert shown.terminal.said().endswith("\n\r\x1b[1A\x1b[2K\x1b[1A\x1b[2K")
    shown.view.end()
    assert shown.terminal.said() == ""
