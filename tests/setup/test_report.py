"""How `setup` shows its steps."""

from openclaw_tunnel.setup.report import Report
from openclaw_tunnel.setup.steps import Mark, Step

EIGHT = Step("port", Mark.OK, "one two three four five six seven eight")


def shown(step: Step, **how: object) -> str:
    """What is said of it."""
    said: list[str] = []
    Report(said.append, **how).show(step)  # type: ignore[arg-type]
    return "\n".join(said)


def test_a_step_is_a_line_that_wraps_on_a_terminal() -> None:
    assert shown(EIGHT) == "port      ok       one two three four five six seven eight"
    assert shown(EIGHT, width=49) == ("port      ok       one two three four five six\n                   seven eight")


def test_colours_take_no_room() -> None:
    assert shown(EIGHT, width=49, paint=lambda mark, text: f"<{mark}:{text}>") == (
        "port      <ok:ok      > one two three four five six\n                   seven eight"
    )


def test_the_users_home_is_a_tilde() -> None:
    step = Step("b", Mark.KEPT, "/home/me/.ssh/id and /home/me2/x\x1b")
    assert shown(step, home="/home/me/") == "b         kept     ~/.ssh/id and /home/me2/x?"
