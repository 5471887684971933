"""``${NAME}`` in the values of openclaw.json, by the rules of OpenClaw 2026.9.6. Pure."""

from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.lines import KeyPath, dotted
from openclaw_tunnel.openclaw.credentials.secretref import EMBEDDED, EscapedText

MAX_CHARACTERS = 4 * 1024 * 1024
"""Of all values that something was put into."""


class Substitution:
    """One pass over a settings file.

    Attributes:
        missing: the names that were referred to and are not set, each with the keys that name it.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._left = MAX_CHARACTERS
        self.missing: dict[str, list[str]] = {}

    def apply(self, value: Any, keys: KeyPath = ()) -> Any:
        """``value`` with every reference in its strings replaced, in objects and arrays as well.

        ``$${NAME}`` becomes ``${NAME}``; a name with small letters is left alone; so is one that is not set or empty.

        Raises:
            ConfigError: the result is too large.
            RecursionError: it is nested too deeply.
        """
        if isinstance(value, str):
            return self._text(value, keys) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.apply(v, (*keys, key)) for key, v in value.items()}
        if isinstance(value, list):
            return [self.apply(v, (*keys, index)) for index, v in enumerate(value)]
        return value

    def _text(self, text: str, keys: KeyPath) -> str:
        parts: list[str] = []
        end, kept = 0, False
        for match in EMBEDDED.finditer(text):
            name, value = match["name"], self._env.get(match["name"], "")
            if match["escape"]:
                value = f"${{{name}}}"
            elif not value:
                self.missing.setdefault(name, []).append(dotted(keys))
                value, kept = match[0], True
            parts += (text[end : match.start()], value)
            end = match.end()
            self._left -= len(value)
            if self._left < 0:
                raise ConfigError(
                    f"{dotted(keys)}: more is put in for ${{...}} than settings can be",
                    hint="look at the variables that openclaw.json refers to",
                )
        if not parts:
            return text
        result = "".join((*parts, text[end:]))
        # What a variable or an escape put in is text, also where it looks like a reference.
        return result if kept else EscapedText(result)
