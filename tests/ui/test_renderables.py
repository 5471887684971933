"""Rows as rich shows them (ui/renderables.py): the words of a pipe, in colours, as wide as they are on a terminal."""

import re

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.ui.renderables import drawn, styled
from openclaw_tunnel.ui.tunnelrows import Row, Tone, plain, rows, utc_now

FAILED = Snapshot(
    "default",
    State.FAILED,
    "2026-11-22T06:00:01Z",
    "me@gateway.example:22",
    "gw",
    (ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True),),
    failure=FailureStatus(
        "host_key_unknown",
        "the host key of gateway.example:22 is not known: ssh-ed25519 SHA256:abcdefghijklmnopqrstuvwxyz0123456789",
        "compare the fingerprint with the host's own, then remember the key: openclaw-tunnel trust gw",
        True,
        22,
    ),
)


def words(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_colours_change_no_words() -> None:
    table = rows(FAILED, utc_now())
    coloured = drawn([table, table], 60)
    assert words(coloured) == plain([table, table], 60)
    assert coloured.startswith("\x1b[1mdefault  \x1b[0m\x1b[31mfailed for ")


def test_marked_characters_have_a_tone_of_their_own() -> None:
    row = Row("last day", "##!.", Tone.BUSY, marks={"#": Tone.GOOD, "!": Tone.BAD})
    assert drawn([[row]], 80) == "\x1b[2m  last day  \x1b[0m\x1b[32m##\x1b[0m\x1b[31m!\x1b[0m\x1b[33m.\x1b[0m"


def test_what_stands_before_a_text_may_be_several_columns() -> None:
    row = Row("", "two words", columns=(("12:00  ", Tone.PAST), ("ok  ", Tone.GOOD)))
    assert drawn([[row]], 80) == "\x1b[2m12:00  \x1b[0m\x1b[32mok  \x1b[0mtwo words"
    assert plain([[row]]) == "12:00  ok  two words"


def test_blanks_in_a_text_stay_and_at_its_end_go() -> None:
    table = [Row("UTC", "   06:00   12:00"), Row("today", "")]
    assert words(drawn([table], 80)) == "  UTC          06:00   12:00\n  today"


def test_wide_characters_take_two_columns() -> None:
    assert words(drawn([[Row("error", "日本語 " * 4 + "日本語日本語日本語日本語")]], 32)).splitlines() == [
        "  error     日本語 日本語 日本語",
        "            日本語",
        "            日本語日本語日本語日",
        "            本語",
    ]


def test_data_is_taken_literally_and_steers_nothing() -> None:
    evil = "\x1b[2J[red]:smile:\n\t\r\x07\u202e"
    seen = words(drawn([[Row(evil, evil, heads=True)]], 80))
    assert seen == "?[2J[red]:smile:?????  ?[2J[red]:smile:?????"


def test_a_style_of_rich() -> None:
    assert styled("error:", "bold red") == "\x1b[1;31merror:\x1b[0m"
    assert styled("x", "") == "x"
