"""The README's pictures: the states as they are in the table, terminals as the real program filled them."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from openclaw_tunnel.core.states import TRANSITIONS, State, Trigger

_PICTURES = Path(__file__).resolve().parents[1] / "pictures"
_SVG = "{http://www.w3.org/2000/svg}"
_MOST_BYTES = 200_000
_MOST_SECONDS = 60.0
_SETUP = "openclaw-tunnel setup me@gateway.example"


def load(name: str) -> ModuleType:
    """A module of the pictures' folder."""
    sys.path.insert(0, str(_PICTURES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(_PICTURES))


gatewayhost, states, terminal = load("gatewayhost"), load("states"), load("terminal")
PLAIN = terminal.Look()


def words(svg: str) -> str:
    """Everything that can be read in a picture, a line for each piece."""
    return "\n".join("".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{_SVG}text"))


def test_the_film_is_short_and_begins_with_a_command() -> None:
    svg = (_PICTURES / "session.svg").read_text()
    root = ElementTree.fromstring(svg)
    first = next(root.iter(f"{_SVG}use"))
    [line] = [group for group in root.iter(f"{_SVG}g") if f"#{group.get('id')}" == first.get("href")]
    assert (first.get("y"), "".join(line.itertext())[: len(_SETUP) + 2]) == ("14", f"$ {_SETUP}")
    assert float(re.findall(r"animation: reel ([\d.]+)s", svg)[0]) < _MOST_SECONDS
    assert gatewayhost.PASSWORD not in words(svg)


def test_the_picture_of_the_states_is_that_of_the_table() -> None:
    assert (_PICTURES / "states.svg").read_text() == states.picture(), "make pictures draws it anew"


def test_every_move_is_drawn_or_told() -> None:
    drawn = {(a, t, b) for (a, b), triggers in states.arrows(TRANSITIONS).items() for t in triggers}
    told = set()
    for line in states.sentences(TRANSITIONS)[:-1]:
        trigger, sources, to = re.fullmatch(r"(.+): (.+) → (.+)", line).groups()  # type: ignore[union-attr]
        told |= {(State(source), Trigger(trigger), State(to)) for source in sources.split(", ")}
    assert drawn | told == {(a, t, b) for a, moves in TRANSITIONS.items() for t, b in moves.items()}
    assert not drawn & told
    seen = words(states.picture()).replace("\n", " ")
    assert all(trigger in seen for trigger in Trigger)


def test_a_move_without_a_place_is_an_error() -> None:
    with pytest.raises(KeyError):
        states.picture({**TRANSITIONS, State.STOPPING: {Trigger.START: State.UP}})


def test_a_captured_line_goes_on_as_the_one_before_ended() -> None:
    first, second, third = terminal.parse(["a\x1b[1mb\x1b[0;31mc", "d\x1b[2;39me\x1b[22mf", "\x1b[48;5;3m"])
    run, look = terminal.Run, terminal.Look
    assert first == (run(0, "a", PLAIN), run(1, "b", look(bold=True)), run(2, "c", look("red")))
    assert second == (run(0, "d", look("red")), run(1, "e", look(dim=True)), run(2, "f", PLAIN))
    assert third == ()


def test_one_screen_is_a_still() -> None:
    svg = terminal.picture([terminal.Screen(terminal.parse(["  \x1b[32mup & <well>"]))], 80, 3, "title", "about <it>")
    [text] = [text for text in ElementTree.fromstring(svg).iter(f"{_SVG}text") if text.get("class") == "green"]
    assert (text.text, text.get("x")) == ("up & <well>", f"{2 * terminal.CELL:g}")
    assert "animation" not in svg
    assert ElementTree.fromstring(svg).get("aria-label") == "about <it>"


def test_several_screens_are_a_film_that_can_stand_still() -> None:
    screens = [terminal.Screen(terminal.parse(lines), 1.5) for lines in (["one"], ["one", "two"])]
    svg = terminal.picture(screens, 80, 2, "t", "a")
    height = 2 * terminal.LINE
    assert f"0.000% {{ transform: translateY(0px) }} 50.000% {{ transform: translateY({-height}px) }}" in svg
    assert f".reel {{ transform: translateY({-height}px); animation: reel 3.0s step-end infinite }}" in svg
    assert "@media (prefers-reduced-motion: reduce) { .reel { animation: none } }" in svg
    uses = [(use.get("href"), use.get("y")) for use in ElementTree.fromstring(svg).iter(f"{_SVG}use")]
    assert uses == [("#l0", "14"), ("#l0", "52"), ("#l1", "71")]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (
            "status.svg",
            ["$ openclaw-tunnel status", "default", "median", "2 open", "lab", "refused the connection", "next try in"],
        ),
        ("session.svg", [f"$ {_SETUP}", "password:", "next: openclaw-tunnel open", "next try in", "lost"]),
        ("states.svg", ["up", "backoff"]),
    ],
)
def test_the_pictures_are_small_and_show_nothing_of_the_computer_they_were_made_on(name: str, seen: list[str]) -> None:
    svg = (_PICTURES / name).read_text()
    text = words(svg)
    assert len(svg.encode()) < _MOST_BYTES
    assert all(word in text for word in seen)
    assert re.findall(r"/(?:root|tmp|usr|work|home/(?!me/))\S*|Traceback|internal error", text) == []
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
