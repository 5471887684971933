"""${NAME} in values: replaced, escaped, left alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.openclaw.credentials.secretref import EscapedText, Secret, read_input
from openclaw_tunnel.openclaw.envsubst import Substitution

ENV = {"A": "value", "_B1": "b", "EMPTY": "", "REF": "${A}"}

TEXTS = {
    "${A}": "value",
    "x-${A}-${_B1}": "x-value-b",
    "$${A}": "${A}",
    "$$${A}": "$${A}",
    "${A": "${A",
    "$A": "$A",
    "${a}": "${a}",
    "${A B}": "${A B}",
    "${1A}": "${1A}",
    "${}": "${}",
    "${EMPTY}": "${EMPTY}",
    "${NONE}": "${NONE}",
    "${NONE}${A}": "${NONE}value",
    "${REF}": "${A}",  # what a variable holds is not looked at again
    "$${${A}}": "$${value}",
    "${${A}}": "${value}",
}


@pytest.mark.parametrize(("text", "result"), TEXTS.items())
def test_texts(text: str, result: str) -> None:
    assert Substitution(ENV).apply(text) == result


def test_objects_and_arrays() -> None:
    value = {"a": ["${A}", {"b": "${NONE}"}], "${A}": 1, "n": None}
    substitution = Substitution(ENV)
    assert substitution.apply(value) == {"a": ["value", {"b": "${NONE}"}], "${A}": 1, "n": None}
    assert substitution.missing == {"NONE": ["a[1].b"]}


@pytest.mark.parametrize(("text", "meant"), [("$${A}", Secret("${A}")), ("${REF}", Secret("${A}"))])
def test_text_that_only_looks_like_a_reference_is_none(text: str, meant: Any) -> None:
    result = Substitution(ENV).apply(text)
    assert isinstance(result, EscapedText)
    assert read_input(result, {}, shorthand=True) == meant


def test_a_reference_that_is_not_set_stays_one() -> None:
    assert not isinstance(Substitution(ENV).apply("${NONE}"), EscapedText)


def test_a_bomb() -> None:
    with pytest.raises(ConfigError, match=r"^gateway\[4\]: more is put in"):
        Substitution({"A": "x" * 1_000_000}).apply(["${A}"] * 10, ("gateway",))


@given(st.text(st.sampled_from("${}AaB_ 1"), max_size=30).filter(lambda text: "$$" not in text))
def test_only_what_is_set_changes(text: str) -> None:
    assert Substitution({"C": "x"}).apply(text) == text
    assert Substitution({"A": "${B}", "B": "x"}).apply(text).count("x") == text.count("${B}")
