"""core/codec.py: what may come of a JSON object, which another release may have written."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from openclaw_tunnel.core.codec import read


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    colour: Colour
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner = Inner(Colour.RED)
    maybe: Inner | None = None
    port: int | str | None = None
    words: tuple[str, ...] = ()
    more: tuple[Inner, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    on: bool = False


FULL = Outer(
    "a",
    Inner(Colour.BLUE, 2.5),
    Inner(Colour.RED),
    "auto",
    ("b", "c"),
    (Inner(Colour.BLUE),),
    {"A": "b"},
    {"x": [1]},
    True,
)


@pytest.mark.parametrize("value", [FULL, Outer("a"), Outer("a", port=7)])
def test_there_and_back(value: Outer) -> None:
    assert read(Outer, json.loads(json.dumps(asdict(value)))) == value


def test_what_is_not_known_is_passed_over_and_what_is_not_there_has_its_default() -> None:
    assert read(Outer, {"name": "a", "new": 1, "inner": {"colour": "blue", "new": 1}}) == Outer("a", Inner(Colour.BLUE))
    with pytest.raises(KeyError, match="name"):
        read(Outer, {})


def test_a_whole_number_is_a_number_and_no_truth_value_is() -> None:
    assert read(Inner, {"colour": "red", "size": 2}) == Inner(Colour.RED, 2)
    for wrong in ({"size": True}, {"size": "2"}):
        with pytest.raises(TypeError, match="size is no float"):
            read(Inner, {"colour": "red", **wrong})


def test_what_an_enumeration_does_not_know_is_none_where_it_may_be() -> None:
    assert read(Outer, {"name": "a", "maybe": {"colour": "green"}}) == Outer("a")
    with pytest.raises(ValueError, match="green"):
        read(Outer, {"name": "a", "inner": {"colour": "green"}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"inner": []},
        {"inner": None},
        {"maybe": 1},
        {"port": True},
        {"port": 1.5},
        {"words": "s3cret"},
        {"words": ["a", 1]},
        {"words": None},
        {"env": ["s3cret"]},
        {"env": {"A": ["s3cret"]}},
        {"rest": "s3cret"},
        {"on": 1},
    ],
)
def test_a_value_of_another_type_is_named_and_not_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as raised:
        read(Outer, {"name": "a", **wrong})
    assert next(iter(wrong)) in str(raised.value).lower()
    assert "s3cret" not in str(raised.value)


@dataclass(frozen=True)
class Strict:
    size: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Strict":
        """Knows no others."""
        if data.keys() != {"size"}:
            raise TypeError("more than a size")
        return read(cls, data)


@dataclass(frozen=True)
class Around:
    strict: Strict | None = None


def test_a_dataclass_may_read_itself() -> None:
    assert read(Around, {"strict": {"size": 1}}) == Around(Strict(1))
    with pytest.raises(TypeError, match="strict"):
        read(Around, {"strict": {"size": 1, "new": 1}})


def test_what_is_no_object() -> None:
    with pytest.raises(TypeError, match="Outer is no object"):
        read(Outer, ["name"])
