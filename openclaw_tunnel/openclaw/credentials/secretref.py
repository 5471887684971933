"""Secret values that never show themselves, and references to secrets as openclaw.json holds them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

SOURCES = ("env", "file", "exec", "store")
DEFAULT_PROVIDER = "default"
PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SINGLE_VALUE = "value"
"""The id of the secret in a file that holds nothing else."""

_ENV_ID = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_IDS = {
    "env": _ENV_ID,
    "store": _ENV_ID,
    "file": re.compile(rf"{SINGLE_VALUE}|(?:/(?:[^/~]|~[01])*)+"),  # or a JSON pointer
    "exec": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}"),
}

PLACEHOLDERS = frozenset(
    {
        "__OPENCLAW_REDACTED__",
        "REDACTED",
        "xoxb-REDACTED",
        "xapp-REDACTED",
        "***",
        "[redacted]",
        "[REDACTED]",
        "<redacted>",
        "[REDACTED_PRIVATE_KEY]",
        "[REDACTED CREDENTIAL]",
    }
)
"""What OpenClaw 2026.9.6 shows in place of a secret: never a credential."""

_TEMPLATE = re.compile(r"\$\{([A-Z][A-Z0-9_]{0,127})\}")
_SHORTHAND = re.compile(r"\$([A-Z][A-Z0-9_]{0,127})")
EMBEDDED = re.compile(r"\$(?P<escape>\$?)\{(?P<name>[A-Z_][A-Z0-9_]*)\}")
"""``${NAME}`` within a text, and ``$${NAME}``, which only looks like it."""


class Secret:
    """A token or password. ``repr``, ``str``, formatting, pickling and logging never show it; ``reveal()`` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value: for the wire only, never for a message, a log or an argument of a process."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled or copied to another process")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is kept: OpenClaw's ``{source, provider, id}``."""

    source: str
    provider: str
    id: str

    def __str__(self) -> str:
        return f"{self.source}:{self.provider}:{self.id}"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A credential that is configured and cannot be had; ``why`` completes "gateway.auth.token ...".

    ``step`` is what would repair it; empty where that is not known.
    """

    why: str
    step: str = ""


class EscapedText(str):
    """Text that came out of a ``$${NAME}`` escape: it only looks like a reference."""

    __slots__ = ()


SecretInput = Secret | SecretRef | Unresolved | None
"""What one setting that may hold a secret says; None where it says nothing."""


def read_input(value: Any, defaults: Mapping[str, str], *, shorthand: bool) -> SecretInput:
    """What a credential setting of openclaw.json means, as OpenClaw's ``coerceSecretRef`` has it.

    A reference is an object ``{source, provider, id}`` (``provider`` may be missing), or a whole string ``${NAME}``.
    Anything else that is a string is the secret itself; blank strings and other types say nothing.

    Args:
        defaults: provider by source, ``secrets.defaults``.
        shorthand: whether ``$NAME`` is a reference, as since 2026.9.
    """
    if isinstance(value, dict):
        return _object_ref(value, defaults)
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    if text in PLACEHOLDERS:
        return Unresolved("holds the placeholder that OpenClaw shows in place of a secret")
    match = _TEMPLATE.fullmatch(text) or (_SHORTHAND.fullmatch(text) if shorthand else None)
    if match and not isinstance(value, EscapedText):
        return SecretRef("env", defaults.get("env", "").strip() or DEFAULT_PROVIDER, match[1])
    return Secret(text)


def plain_input(value: str | None) -> Secret | Unresolved | None:
    """A value of the environment or the command line: never a reference."""
    text = (value or "").strip()
    if text in PLACEHOLDERS:
        return Unresolved("holds the placeholder that OpenClaw shows in place of a secret")
    return Secret(text) if text else None


def holds_reference(secret: Secret) -> bool:
    """Whether ``${NAME}`` stands anywhere in it without a ``$`` before."""
    return any(not match["escape"] for match in EMBEDDED.finditer(secret.reveal()))


def is_id(source: str, name: str) -> bool:
    """Whether a provider of that source can have a secret of that id."""
    dots = source == "exec" and {".", ".."} & set(name.split("/"))
    return source in _IDS and _IDS[source].fullmatch(name) is not None and not dots


def _object_ref(value: Mapping[str, Any], defaults: Mapping[str, str]) -> SecretRef | None:
    source, provider, name = value.get("source"), value.get("provider"), value.get("id")
    if source not in SOURCES or not isinstance(name, str) or not name.strip():
        return None
    if "provider" not in value:
        return SecretRef(source, defaults.get(source, "").strip() or DEFAULT_PROVIDER, name)
    if len(value) != 3 or not isinstance(provider, str) or not provider.strip():
        return None
    return SecretRef(source, provider, name)
