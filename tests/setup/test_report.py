"""How `setup` shows its steps."""

from collections.abc import Sequence

from openclaw_tunnel.setup.report import show_step
from openclaw_tunnel.setup.steps import Mark, Step
from openclaw_tunnel.ui.renderables import drawn
from openclaw_tunnel.ui.tunnelrows import Row, plain

EIGHT = Step("port", Mark.OK, "one two three four five six seven eight")


def shown(step: Step, home: str = "") -> Sequence[Sequence[Row]]:
    """What is said of it."""
    said: list[Sequence[Sequence[Row]]] = []
    show_step(step, home, said.append)
    return said[0]


def test_a_step_is_a_line_that_wraps_on_a_terminal() -> None:
    assert plain(shown(EIGHT)) == "port      ok       one two three four five six seven eight"
    assert plain(shown(EIGHT), 49) == "port      ok       one two three four five six\n                   seven eight"


def test_its_mark_has_a_colour() -> None:
    assert drawn(shown(EIGHT), 80) == "port      \x1b[32mok       \x1b[0mone two three four five six seven eight"


def test_the_users_home_is_a_tilde() -> None:
    step = Step("b", Mark.KEPT, "/home/me/.ssh/id and /home/me2/x\x1b")
    assert plain(shown(step, "/home/me/")) == "b         kept     ~/.ssh/id and /home/me2/x?"
