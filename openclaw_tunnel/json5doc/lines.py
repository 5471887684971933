"""On which line a key of a JSON or JSON5 text is: for messages about texts that a parser has already accepted."""

import json
import re
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""``("gateway", "remote", "url")``; elements of arrays by their index."""

_WORD = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}\[\],:]|[^\s{}\[\],:"'/]+""", re.DOTALL
)

_JSON5_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[^x])|\"", re.DOTALL)
_PLAIN = {**{c: f"\\{c}" for c in 'bfnrtu"\\/'}, "v": "\\u000b", "0": "\\u0000", "\n": ""}


def key_lines(text: str, towards: KeyPath | None = None) -> Mapping[KeyPath, int]:
    """The line, counted from 1, of every key and array element; of one that is there twice, the last.

    Args:
        towards: only of this key and the containers on the way to it.
    """
    lines: dict[KeyPath, int] = {}
    stack: list[str | int | None] = []  # of each open container: the key or index at hand, None where a key is due
    kinds: list[str] = []
    line, seen = 1, 0
    for match in _WORD.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        word = match[0]
        if match["comment"] or word == ":":
            continue
        if word in ("}", "]"):
            if stack:
                stack.pop()
                kinds.pop()
        elif word == ",":
            if stack:
                stack[-1] = None if kinds[-1] == "{" else _next(stack[-1])
        else:
            if stack and (kinds[-1] == "[" or stack[-1] is None):
                stack[-1] = plain_key(word) if kinds[-1] == "{" else stack[-1]
                if towards is None or stack == list(towards[: len(stack)]):
                    lines[_path(stack)] = line
            if word in ("{", "["):
                stack.append(None if word == "{" else 0)
                kinds.append(word)
    return lines


def line_of(text: str, keys: KeyPath) -> int:
    """The line of a key, else of the nearest container of it that has one, else 1."""
    lines = key_lines(text, keys)
    return next((lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines), 1)


def dotted(keys: KeyPath) -> str:
    """``tunnels.work.forwards[0]``; a key that is no plain word is quoted."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if re.fullmatch(r"[\w$-]+", key) else json.dumps(key))
    return text


def _next(index: str | int | None) -> int:
    return index + 1 if isinstance(index, int) else 0


def _path(stack: list[str | int | None]) -> KeyPath:
    return tuple(key for key in stack if key is not None)


def plain_key(word: str) -> str:
    """What a key means, as it is written: a name, or a string of JSON5."""
    if word[0] not in "\"'":
        return word
    if "\\" not in word:
        return word[1:-1]
    body = _JSON5_ESCAPE.sub(_as_json, word[1:-1])
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return body


def _as_json(match: re.Match[str]) -> str:
    """An escape that only JSON5 has, as JSON writes the same character."""
    escaped = match[1] or '"'
    if escaped[0] == "x" and len(escaped) == 3:
        return f"\\u00{escaped[1:]}"
    return _PLAIN.get(escaped, escaped)
