"""The options of ``up`` as the words of a command line, and back: what a service has in its file. No click."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from openclaw_tunnel.core.spec import PortChoice, Probe, check_port
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.up_options import OPTIONS, VALUES_FIRST, Kind, UpOptions

_FIELDS: Mapping[str, str] = {flag: name for name, option in OPTIONS.items() for flag in option.flags}
_ARGUMENT = next(name for name, option in OPTIONS.items() if not option.flags)
_HINT = "see how it is used: openclaw-tunnel up --help"

PORT_WORDS = (str(PortChoice.AUTO), str(PortChoice.NEW))
"""What a local port may be besides a number."""


def up_arguments(options: UpOptions) -> tuple[str, ...]:
    """The options as words of a command line, flags at the end."""
    words: list[str] = []
    for name in VALUES_FIRST:
        option, value = OPTIONS[name], getattr(options, name)
        if option.kind is Kind.FLAG:
            words += option.flags[-1:] * value
        elif value is not None:
            for one in value if option.kind is Kind.FORWARDS else (value,):
                words += (*option.flags[-1:], str(one).removesuffix(".0") if isinstance(one, float) else str(one))
    return tuple(words)


def parse_arguments(words: Iterable[str]) -> UpOptions:
    """Read what :func:`up_arguments` wrote, or a person in its place: as click reads the arguments of ``up``.

    Raises:
        UsageError: they are none of ``up``.
        ConfigError: as :class:`UpOptions`.
    """
    given: dict[str, Any] = {}
    for name, text in _pairs(iter(words)):
        if name in given and name == _ARGUMENT:
            raise UsageError(f"one {name} too many: {text}", hint=_HINT)
        value = _value(OPTIONS[name].kind, text)
        given[name] = (*given.get(name, ()), value) if OPTIONS[name].kind is Kind.FORWARDS else value
    return UpOptions(**given)


def _pairs(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Each field that is given, with its text; that of a flag is empty."""
    for word in words:
        if word == "--":
            yield from ((_ARGUMENT, rest) for rest in words)
        elif not word.startswith("-") or word == "-":
            yield _ARGUMENT, word
        else:
            yield _option(word, words)


def _option(word: str, words: Iterator[str]) -> tuple[str, str]:
    """``--name x``, ``--name=x``, ``-n x`` or ``-nx``."""
    flag, joined, text = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    name = _FIELDS.get(flag)
    if name is None or (joined and OPTIONS[name].kind is Kind.FLAG):
        raise UsageError(f"no such option: {word}", hint=_HINT)
    if not joined and OPTIONS[name].kind is not Kind.FLAG:
        try:
            text = next(words)
        except StopIteration:
            raise UsageError(f"option {flag} requires an argument", hint=_HINT) from None
    return name, text


def _value(kind: Kind, text: str) -> Any:
    try:
        match kind:
            case Kind.FLAG:
                return True
            case Kind.LOCAL_PORT if text in PORT_WORDS:
                return text
            case Kind.PORT | Kind.LOCAL_PORT:
                return check_port(int(text))
            case Kind.SECONDS if float(text) >= 0:
                return float(text)
            case Kind.PROBE:
                return str(Probe(text))
            case Kind.SECONDS:
                raise ValueError
    except ValueError:
        raise UsageError(f"not a {kind.words}: {text!r}", hint=_HINT) from None
    return text
