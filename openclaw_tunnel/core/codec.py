"""Dataclasses from JSON objects that ``dataclasses.asdict`` made of them, maybe in another release.

What a field may hold is read from its annotation, which is why no module with such a dataclass postpones them. Quick to
import: ``status --json`` reads with it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import partial
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")


def read(cls: type[T], data: object) -> T:
    """The dataclass that a JSON object is.

    What is not known is passed over, and what is not there has its default. Where None is possible, it stands for what
    an enumeration of this release does not know. A dataclass inside that has a ``from_json`` is read with that.

    Raises:
        KeyError: a field without a default is not there.
        TypeError: a value is of another type. It is not repeated: it may be a secret.
        ValueError: an enumeration does not know a value.
        whatever the dataclass itself raises for its values.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{cls.__name__} is no object")
    values = {}
    for field in fields(cls):  # type: ignore[arg-type]  # it is a dataclass
        if field.name in data:
            values[field.name] = _value(field.name, field.type, data[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise KeyError(field.name)
    return cls(**values)


def _value(name: str, kind: Any, value: Any) -> Any:
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Any:
        return value
    if origin is UnionType:
        return _one_of(name, args, value)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(name, args[0], one) for one in value)
    if issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: _value(name, args[1], one) for key, one in value.items()}
    if isinstance(origin, type) and is_dataclass(origin):
        read_as_it_does: Any = getattr(origin, "from_json", partial(read, origin))
        return read_as_it_does(value)
    if issubclass(origin, Enum):
        return origin(value)
    accepted = int | float if origin is float else origin
    if isinstance(value, accepted) and isinstance(value, bool) is (origin is bool):
        return value
    raise TypeError(f"{name} is no {origin.__name__}")


def _one_of(name: str, kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return _value(name, kind, value)
        except TypeError:
            continue
        except ValueError:
            return None
    raise TypeError(f"{name} is none of {', '.join(kind.__name__ for kind in kinds)}")
