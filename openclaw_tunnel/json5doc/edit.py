"""Changes in the text of a JSON or JSON5 file that leave every other byte as it is: comments, quotes, layout. Pure.

A change is made at the exact place, one key after the other. Whoever calls parses the result and compares it with what
was meant: a text that this reader and the parser take in different ways is then not written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw_tunnel.json5doc.lines import plain_key

Patch = Mapping[str, Any]
"""Objects are merged key by key, ``None`` removes the key, everything else replaces: as ``openclaw config patch``."""

_ENDS = "\n\r\u2028\u2029"
_TOKEN = re.compile(
    rf"""(?P<comment>//[^{_ENDS}]*|/\*.*?\*/)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<mark>[{}\[\],:])|(?P<blank>[\s\ufeff]+)|(?P<word>[^\s\ufeff{}\[\],:"'/]+)""",
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
_INDENT = "  "


class CannotEdit(Exception):
    """The text cannot be changed without touching something else; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; ``kind`` is ``comment``, ``string``, ``mark`` or ``word``."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next piece can begin."""
        return self.start + len(self.text)


@dataclass(slots=True)
class Node:
    """A value; of an object, its members by key.

    Attributes:
        first, last: its tokens, by their number.
        keys: the number of the token of each member's key.
    """

    first: int
    last: int
    members: "dict[str, Node]" = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)


def tokens_of(text: str) -> list[Token]:
    """The pieces of a text without the blanks between them.

    Raises:
        CannotEdit: something in it is no piece of JSON5.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CannotEdit(f"what stands on line {text.count(chr(10), 0, at) + 1} is not understood")
        if match.lastgroup != "blank":
            found.append(Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return found


def comments_of(text: str) -> list[str]:
    """Its comments, in order.

    Raises:
        CannotEdit: as :func:`tokens_of`.
    """
    return [token.text for token in tokens_of(text) if token.kind == "comment"]


def apply(value: Any, patch: Patch) -> dict[str, Any]:
    """What an object is after the change; a value that is no object makes way for one."""
    merged = dict(value) if isinstance(value, dict) else {}
    for key, wanted in patch.items():
        if wanted is None:
            merged.pop(key, None)
        elif isinstance(wanted, Mapping):
            inner = apply(merged.get(key), wanted)
            if inner or not wanted or isinstance(merged.get(key), dict):  # nothing is made to remove something from it
                merged[key] = inner
        else:
            merged[key] = wanted
    return merged


def edit(text: str, patch: Patch) -> str:
    """The text with the change made; a blank one becomes an object.

    Raises:
        CannotEdit: a key is there twice, a comment would go, or an object is needed where another value is.
    """
    if not text.strip("\ufeff \t\r\n"):
        text += "{}\n"
    try:
        for path, wanted in _steps(patch, ()):
            text = _step(text, path, wanted)
    except RecursionError:
        raise CannotEdit("it is nested too deeply") from None
    return text


def _steps(patch: Patch, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, wanted in patch.items():
        if isinstance(wanted, Mapping) and wanted:
            yield from _steps(wanted, (*above, key))
        else:
            yield (*above, key), wanted


def _step(text: str, path: tuple[str, ...], wanted: Any) -> str:
    """One key set or removed."""
    tokens = tokens_of(text)
    node = _Reader(tokens).document()
    for depth, key in enumerate(path):
        if tokens[node.first].text != "{":
            raise CannotEdit(f"{'.'.join(path[:depth]) or 'the file'} is not an object")
        if key not in node.members:
            if wanted is None:
                return text
            return _insert(text, tokens, node, key, _nested(path[depth + 1 :], wanted))
        parent, node = node, node.members[key]
    if wanted is None:
        return _remove(text, tokens, parent, path[-1])
    if any(token.kind == "comment" for token in tokens[node.first : node.last]):
        raise CannotEdit(f"a comment stands within {'.'.join(path)}")
    return text[: tokens[node.first].start] + json.dumps(wanted) + text[tokens[node.last].end :]


def _nested(path: tuple[str, ...], wanted: Any) -> Any:
    for key in reversed(path):
        wanted = {key: wanted}
    return wanted


class _Reader:
    """From tokens to nodes."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = -1

    def document(self) -> Node:
        self._advance()
        node = self._value()
        self._advance()
        if self._at < len(self._tokens):
            raise CannotEdit("something follows its end")
        return node

    def _advance(self) -> None:
        """To the next token that is no comment."""
        self._at += 1
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "comment":
            self._at += 1

    @property
    def _now(self) -> Token:
        if self._at >= len(self._tokens):
            raise CannotEdit("it ends too early")
        return self._tokens[self._at]

    def _value(self) -> Node:
        """The value that begins here; afterwards its last token is the present one."""
        node = Node(self._at, self._at)
        if self._now.text == "{":
            self._members(node)
        elif self._now.text == "[":
            self._elements()
        elif self._now.kind == "mark":
            raise CannotEdit(f"a value is missing before {self._now.text}")
        node.last = self._at
        return node

    def _members(self, node: Node) -> None:
        self._advance()
        while self._now.text != "}":
            key, number = self._key(), self._at
            if key in node.members:
                raise CannotEdit(f"{key} is there twice")
            self._advance()
            if self._now.text != ":":
                raise CannotEdit(f"{key} has no value")
            self._advance()
            node.members[key], node.keys[key] = self._value(), number
            self._comma("}")

    def _elements(self) -> None:
        self._advance()
        while self._now.text != "]":
            self._value()
            self._comma("]")

    def _comma(self, closing: str) -> None:
        """Over the comma behind a value; none is needed before the end."""
        self._advance()
        if self._now.text == ",":
            self._advance()
        elif self._now.text != closing:
            raise CannotEdit("a comma is missing")

    def _key(self) -> str:
        if self._now.kind == "mark":
            raise CannotEdit(f"a key is missing before {self._now.text}")
        return plain_key(self._now.text)


def _insert(text: str, tokens: list[Token], node: Node, key: str, wanted: Any) -> str:
    """A new last member: behind all that is in the object, its comments included."""
    before, closing = tokens[node.last - 1], tokens[node.last]
    outer, unit = _indent_at(text, tokens[node.first].start), _unit(text, tokens)
    last_key = tokens[max(node.keys.values())] if node.keys else None
    in_lines = last_key is None or _begins_line(text, last_key.start) or before.text.startswith("//")
    inner = _indent_at(text, last_key.start) if last_key and _begins_line(text, last_key.start) else outer + unit
    quote = _quotes(tokens, node)
    member = f"{_written_key(key, quote)}: {_rendered(wanted, inner if in_lines else None, unit, quote)}"
    member = f"\n{inner}{member}" if in_lines else f" {member}"
    rest = text[before.end :]
    if in_lines and "\n" not in text[before.end : closing.start]:
        rest = f"\n{outer}{text[closing.start :]}"
    if "\r\n" in text:
        member = member.replace("\n", "\r\n")
    if last_key is None:
        return text[: before.end] + member + rest
    last = max(value.last for value in node.members.values())
    if any(token.text == "," for token in tokens[last + 1 : node.last]):
        return f"{text[: before.end]}{member},{rest}"
    end = tokens[last].end
    return f"{text[:end]},{text[end : before.end]}{member}{rest}"


def _remove(text: str, tokens: list[Token], node: Node, key: str) -> str:
    """A member gone, with the one comma that separates it."""
    number, last = node.keys[key], node.members[key].last
    if any(token.kind == "comment" for token in tokens[number:last]):
        raise CannotEdit(f"a comment stands within {key}")
    behind = next(n for n in range(last + 1, len(tokens)) if tokens[n].kind != "comment")
    start, end = tokens[number].start, tokens[last].end
    if tokens[behind].text == ",":
        if behind == last + 1:
            return _cut(text, start, tokens[behind].end)
        return _cut(text[: tokens[behind].start] + text[tokens[behind].end :], start, end)
    text = _cut(text, start, end)
    before = next(n for n in range(number - 1, -1, -1) if tokens[n].kind != "comment")
    if tokens[before].text != ",":
        return text
    return text[: tokens[before].start] + text[tokens[before].end :]


def _cut(text: str, start: int, end: int) -> str:
    """The text without a piece, and without the line that only it stood on."""
    line_end = re.match(r"[ \t]*\r?\n", text[end:])
    if line_end and _begins_line(text, start):
        return text[: text.rfind("\n", 0, start) + 1] + text[end + line_end.end() :]
    return text[:start].rstrip(" \t") + text[end:]


def _rendered(wanted: Any, indent: str | None, unit: str, quote: str) -> str:
    """A value as text; an object in lines where ``indent`` is that of its own line."""
    if not isinstance(wanted, Mapping):
        return json.dumps(wanted)
    deeper = None if indent is None else indent + unit
    members = [f"{_written_key(k, quote)}: {_rendered(v, deeper, unit, quote)}" for k, v in wanted.items()]
    if not members:
        return "{}"
    if indent is None:
        return "{ " + ", ".join(members) + " }"
    return "{" + ",".join(f"\n{deeper}{member}" for member in members) + f"\n{indent}}}"


def _written_key(key: str, quote: str) -> str:
    return key if not quote and _NAME.fullmatch(key) else json.dumps(key)


def _quotes(tokens: list[Token], node: Node) -> str:
    """Whether keys are quoted: as those of this object, else as the first of the file; without any they are."""
    numbers = list(node.keys.values())
    if numbers:
        return "" if tokens[numbers[-1]].kind == "word" else '"'
    keys = (tokens[n - 1] for n in range(1, len(tokens)) if tokens[n].text == ":")
    return "" if next((key.kind for key in keys), "string") == "word" else '"'


def _indent_at(text: str, at: int) -> str:
    """The blanks at the beginning of the line that a place is on."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_line(text: str, at: int) -> bool:
    return "\n" in text[:at] and not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t")


def _unit(text: str, tokens: list[Token]) -> str:
    """What a level is indented by: the blanks before the first key that begins a line."""
    colons = (number for number in range(1, len(tokens)) if tokens[number].text == ":")
    places = (tokens[number - 1].start for number in colons)
    return next((_indent_at(text, at) for at in places if _begins_line(text, at)), "") or _INDENT
