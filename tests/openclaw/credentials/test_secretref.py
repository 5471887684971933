"""Secrets that do not show themselves, and what a setting that may hold one says."""

import copy
import logging
import pickle
from typing import Any

import pytest

from openclaw_tunnel.openclaw.credentials.secretref import (
    PLACEHOLDERS,
    EscapedText,
    Secret,
    SecretRef,
    Unresolved,
    holds_reference,
    plain_input,
    read_input,
)


def test_a_secret_shows_itself_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("geheim")
    with caplog.at_level(logging.INFO):
        logging.getLogger("t").info("%s %r", secret, [secret])
    shown = f"{secret} {secret!r} {secret!s} {[secret]}" + caplog.text
    assert "geheim" not in shown
    assert secret.reveal() == "geheim"


def test_a_secret_stays_in_its_process() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("geheim"))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret("geheim"))
    assert not hasattr(Secret("geheim"), "__dict__")


def test_secrets_are_equal_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


ENV = {"source": "env", "provider": "default", "id": "A"}
INPUTS: list[tuple[Any, Any]] = [
    (None, None),
    (12345, None),
    ("", None),
    (" \t\n", None),
    ([], None),
    ("  tok \n", Secret("tok")),
    ("${A}", SecretRef("env", "default", "A")),
    (" ${A_1} ", SecretRef("env", "default", "A_1")),
    ("${a}", Secret("${a}")),
    ("${_A}", Secret("${_A}")),
    ("pre-${A}", Secret("pre-${A}")),
    ("${A}${B}", Secret("${A}${B}")),
    ("secretref-env:A", Secret("secretref-env:A")),
    ("${" + "A" * 128 + "}", SecretRef("env", "default", "A" * 128)),
    ("${" + "A" * 129 + "}", Secret("${" + "A" * 129 + "}")),
    (EscapedText("${A}"), Secret("${A}")),
    (ENV, SecretRef("env", "default", "A")),
    ({"source": "env", "id": "A"}, SecretRef("env", "default", "A")),
    ({"source": "file", "id": "/a"}, SecretRef("file", "files", "/a")),
    ({**ENV, "more": 1}, None),
    ({**ENV, "provider": None}, None),
    ({**ENV, "provider": " "}, None),
    ({**ENV, "id": " "}, None),
    ({**ENV, "id": 1}, None),
    ({**ENV, "source": "vault"}, None),
    ({**ENV, "source": []}, None),
]


@pytest.mark.parametrize(("value", "meant"), INPUTS)
def test_what_a_setting_says(value: Any, meant: Any) -> None:
    assert read_input(value, {"file": " files "}, shorthand=False) == meant


def test_the_shorthand_of_later_releases() -> None:
    assert read_input("$A", {}, shorthand=True) == SecretRef("env", "default", "A")
    assert read_input("$A", {}, shorthand=False) == Secret("$A")
    assert read_input("$a", {}, shorthand=True) == Secret("$a")


@pytest.mark.parametrize("text", sorted(PLACEHOLDERS))
def test_what_openclaw_shows_for_a_secret_is_none(text: str) -> None:
    assert isinstance(read_input(f" {text} ", {}, shorthand=True), Unresolved)
    assert isinstance(plain_input(text), Unresolved)
    assert plain_input(f"x{text}") == Secret(f"x{text}")


def test_a_variable_is_never_a_reference() -> None:
    assert plain_input(" ${A} ") == Secret("${A}")
    assert plain_input(None) is None
    assert plain_input("  ") is None


@pytest.mark.parametrize(
    ("text", "holds"), [("a", False), ("${A}", True), ("x${_A}", True), ("$${A}", False), ("${a}", False)]
)
def test_references_within_a_secret(text: str, holds: bool) -> None:
    assert holds_reference(Secret(text)) is holds
