"""An SSH destination as a user types it: an alias, ``user@host``, ``user@host:port``, ``ssh://user@host:port``."""

import ipaddress
import re
import shlex
from dataclasses import dataclass
from urllib.parse import unquote

from openclaw_tunnel.errors import UsageError

_HINT = "write an alias of ssh_config, user@host, user@host:port, user@[v6]:port or ssh://user@host:port"
_NOT_IN_HOST = frozenset("'`\"$\\;&<>|(){}")  # OpenSSH's valid_hostname(): a shell may see the name
_NOT_IN_USER = frozenset("'`\";&<>|(){}")  # OpenSSH's valid_ruser()
_BRACKETS = re.compile(r"\[([^\[\]]+)\](?::(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Destination:
    """What the text says; ``user`` empty and ``port`` None where it leaves them to ssh_config."""

    host: str
    user: str = ""
    port: int | None = None


def parse_destination(text: str) -> Destination:
    """Read an SSH destination; also one hop of a ProxyJump list.

    A user name may hold ``@``: the last one splits, as in OpenSSH. Brackets around an IPv6 address are removed;
    an IPv6 address without brackets has no port.

    Raises:
        UsageError: it is none. A destination that begins with ``-`` or holds blanks is refused, because some
            program behind us might take it for an option.
    """
    if not text or text.startswith("-") or any(c.isspace() or not c.isprintable() for c in text):
        raise _wrong(text)
    is_url = text[:6].lower() == "ssh://"
    rest = text[6:].removesuffix("/") if is_url else text
    user, at, place = rest.rpartition("@")
    if is_url:
        if ":" in user:
            raise UsageError("a password does not belong into an SSH destination", hint="write ssh://user@host:port")
        user = unquote(user)
    host, port = _split_port(place)
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise UsageError(f"not an SSH destination: {text!r}: no port: {port!r}", hint="ports are 1 to 65535")
    if (at and not _valid_user(user)) or not _valid_host(host) or (is_url and "/" in host):
        raise _wrong(text)
    return Destination(host, user, None if port is None else int(port))


def as_ssh_words(text: str, ssh_config: str = "") -> str:
    """A destination as the arguments of ``ssh`` and ``ssh-copy-id``, which know no ``user@host:port``, for a shell.

    ``me@host:2222`` gives ``-p 2222 me@host``; what is no destination is left as it is.

    Args:
        ssh_config: the file of ``-F``; empty for none.
    """
    options = ["-F", ssh_config] if ssh_config else []
    try:
        asked = parse_destination(text)
    except UsageError:
        return shlex.join([*options, text])
    options += ["-p", str(asked.port)] if asked.port else []
    return shlex.join([*options, f"{asked.user}@{asked.host}" if asked.user else asked.host])


def _wrong(text: str) -> UsageError:
    return UsageError(f"not an SSH destination: {text!r}", hint=_HINT)


def _split_port(place: str) -> tuple[str, str | None]:
    if match := _BRACKETS.fullmatch(place):
        return match[1], match[2]
    if place.count(":") == 1:
        host, _, port = place.partition(":")
        return host, port
    return place, None


def _valid_user(user: str) -> bool:
    blank = any(c.isspace() or not c.isprintable() for c in user)
    return bool(user) and user[0] != "-" and not blank and user[-1] != "\\" and not _NOT_IN_USER.intersection(user)


def _valid_host(host: str) -> bool:
    if not host or host[0] == "-" or "[" in host or "]" in host or _NOT_IN_HOST.intersection(host):
        return False
    if ":" not in host:
        return True
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
