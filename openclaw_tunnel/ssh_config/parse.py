"""What ``ssh -G`` printed -> SshTarget. Pure but for one question it asks of the disk through ``exists``."""

import os.path
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from openclaw_tunnel.core.spec import LOCALHOST, Endpoint, Forward, listen_on
from openclaw_tunnel.errors import ConfigError, UsageError
from openclaw_tunnel.ssh_config.destination import Destination, parse_destination
from openclaw_tunnel.ssh_config.processor import computes_aes
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ssh_config.tokens import Account, HomeOf, expand_home, expand_tokens, home_of, token_values
from openclaw_tunnel.ssh_config.unsupported import differences

Printed = Mapping[str, tuple[str, ...]]
"""Keyword in lower case -> its values, in the order printed."""

_FASTEST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_LISTEN = r"(?:\[(?P<bind>[^\]]*)\]:)?(?P<port>\d+)"
_TO = r"\[(?P<host>[^\]]+)\]:(?P<hostport>\d+)"
_FORWARD = re.compile(rf"(?:{_LISTEN}|(?P<sock>/.*?)) (?:{_TO}|(?P<tosock>/.*))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the outcome depends on beside ssh's words; everything has the value of this process by default.

    Attributes:
        folder: relative paths start here.
        exists: whether a path exists.
        home: see ``HomeOf``.
        computes_aes: whether the processor has AES instructions.
    """

    account: Account
    env: Mapping[str, str]
    folder: str
    exists: Callable[[str], bool] = os.path.exists
    home: HomeOf = field(default=home_of)
    computes_aes: bool = field(default_factory=computes_aes)


def parse_printed(text: str) -> Printed:
    """Read the lines ``keyword value`` of ``ssh -G``."""
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        keyword, _, value = line.partition(" ")
        if keyword:
            found.setdefault(keyword.lower(), []).append(value)
    return {k: tuple(v) for k, v in found.items()}


def build_target(
    original: str, asked: Destination, printed: Printed, defaults: Printed, around: Surroundings, files: Sequence[str]
) -> SshTarget:
    """Put the value together.

    Args:
        printed: what ssh says of this destination.
        defaults: what it says where there is no configuration file; {} where that is not known.
        files: the configuration files it read.

    Raises:
        ConfigError: a token, a variable or a user that does not exist.
    """
    view = _View(printed)
    jumps = _jumps(view.one("proxyjump"))
    hostname, user, port = view.one("hostname", asked.host), view.one("user"), view.number("port", 22)
    values = token_values(
        around.account,
        alias=asked.host,
        hostname=hostname,
        port=port,
        user=user,
        key_alias=view.one("hostkeyalias"),
        jump_host=parse_destination(jumps[-1]).host if jumps else "",
    )
    paths = _Paths(around, values)
    command = "" if jumps else _unless_none(view.one("proxycommand"))
    target = replace(
        SshTarget(original, hostname, user, port, **_as_named(view)),
        alias=asked.host,
        proxy_jump=jumps,
        proxy_command=expand_tokens(command, values, None, "ProxyCommand"),
        known_hosts_command=_unless_none(view.one("knownhostscommand")),
        identity_files_explicit=printed.get("identityfile") != defaults.get("identityfile"),
        ciphers=_ciphers(printed, defaults, view.names("ciphers"), fast_aes=around.computes_aes),
        kex=view.names("kexalgorithms"),
        password_prompts=view.number("numberofpasswordprompts", 3),
        connect_timeout=float(view.number("connecttimeout", 0)) or None,
        rekey_limit=_rekey_limit(view.one("rekeylimit")),
        differences=differences(printed, defaults),
        local_forwards=_forwards(printed.get("localforward", ()), gateway_ports=view.yes("gatewayports")),
        **_files(view, paths),
    )
    return replace(target, files=_watch((*files, *_files_of(target))))


def _as_named(view: "_View") -> dict[str, Any]:
    """What ssh prints under the names of fields of SshTarget, each read as what its default is."""
    found: dict[str, Any] = {}
    for one in fields(SshTarget):
        keyword = one.name.replace("_", "")
        match one.default:
            case bool():
                found[one.name] = not view.no(keyword) if one.default else view.yes(keyword)
            case int():
                found[one.name] = view.number(keyword, one.default)
            case str():
                found[one.name] = view.one(keyword, one.default)
            case tuple():
                found[one.name] = view.names(keyword)
    return found


def _files(view: "_View", paths: "_Paths") -> dict[str, Any]:
    revoked = _unless_none(view.one("revokedhostkeys"))
    return {
        "identity_files": paths.many(view, "identityfile", "IdentityFile"),
        "certificate_files": paths.many(view, "certificatefile", "CertificateFile"),
        "identity_agent": _agent(view.one("identityagent"), paths.around.env, paths),
        "user_known_hosts_files": _host_files(view.one("userknownhostsfile"), paths),
        "global_known_hosts_files": _host_files(view.one("globalknownhostsfile"), paths),
        "revoked_host_keys": paths.plain(revoked, "RevokedHostKeys") if revoked else "",
    }


def _files_of(target: SshTarget) -> tuple[str, ...]:
    hosts = (*target.user_known_hosts_files, *target.global_known_hosts_files, target.revoked_host_keys)
    return (*hosts, *target.identity_files, *target.certificate_files)


@dataclass(frozen=True, slots=True)
class _View:
    printed: Printed

    def one(self, keyword: str, default: str = "") -> str:
        return self.printed.get(keyword, (default,))[0]

    def yes(self, keyword: str) -> bool:
        return self.one(keyword) in ("yes", "true")

    def no(self, keyword: str) -> bool:
        return self.one(keyword) in ("no", "false")

    def number(self, keyword: str, default: int) -> int:
        text = self.one(keyword)
        return int(text) if text.isascii() and text.isdigit() else default

    def names(self, keyword: str) -> tuple[str, ...]:
        return tuple(name for name in self.one(keyword).split(",") if name)


@dataclass(frozen=True, slots=True)
class _Paths:
    around: Surroundings
    values: Mapping[str, str]

    def plain(self, path: str, keyword: str) -> str:
        """``~`` only."""
        return os.path.join(self.around.folder, expand_home(path, keyword, self.around.home))

    def many(self, view: _View, keyword: str, name: str) -> tuple[str, ...]:
        """All values of a keyword that may stand more than once; ``none`` is no file."""
        homely = (expand_home(p, name, self.around.home) for p in view.printed.get(keyword, ()) if _unless_none(p))
        full = (expand_tokens(p, self.values, self.around.env, name) for p in homely)
        return tuple(os.path.join(self.around.folder, p) for p in full)


def _unless_none(value: str) -> str:
    return "" if value.lower() == "none" else value


def _jumps(value: str) -> tuple[str, ...]:
    hops = tuple(hop.strip() for hop in _unless_none(value).split(",") if hop.strip())
    for hop in hops:
        try:
            parse_destination(hop)
        except UsageError as error:
            raise ConfigError(f"ProxyJump {value!r}: {error.message}", hint=error.hint) from None
    return hops


def _agent(value: str, env: Mapping[str, str], paths: _Paths) -> str | None:
    """ssh -G has expanded all but the two forms that name a variable."""
    if not value or value == "SSH_AUTH_SOCK":
        return None
    if value.startswith("$") and not value.startswith("${"):
        return env.get(value[1:], "")
    return paths.plain(value, "IdentityAgent") if _unless_none(value) else ""


def _host_files(value: str, paths: _Paths) -> tuple[str, ...]:
    if not _unless_none(value):
        return ()
    return tuple(paths.plain(p, "known hosts file") for p in split_paths(value, paths.around))


def split_paths(value: str, around: Surroundings) -> tuple[str, ...]:
    """Part a list of paths that ssh prints with neither quotes nor escapes.

    A blank may part two paths or belong to one. The longest run of words that exists as a file is taken for one
    path; where none does, a path continues until a word that begins like a path (``/`` or ``~``).
    """
    words, paths = value.split(" "), []
    while words:
        joined = [" ".join(words[:n]) for n in range(len(words), 0, -1)]
        there = (p for p in joined if around.exists(os.path.join(around.folder, expand_home(p, p, around.home))))
        starts = (n for n, word in enumerate(words) if n and word.startswith(("/", "~")))
        path = next(there, None) or " ".join(words[: next(starts, len(words))])
        paths.append(path)
        words = words[path.count(" ") + 1 :]
    return tuple(p for p in paths if p)


def _ciphers(printed: Printed, defaults: Printed, ciphers: tuple[str, ...], *, fast_aes: bool) -> tuple[str, ...]:
    """In the user's order; where that is ssh's own, the fastest first: ssh begins with ChaCha20."""
    if not fast_aes or printed.get("ciphers") != defaults.get("ciphers"):
        return ciphers
    return tuple(sorted(ciphers, key=lambda c: _FASTEST.index(c) if c in _FASTEST else len(_FASTEST)))


def _rekey_limit(value: str) -> tuple[int, int] | None:
    numbers = tuple(int(n) for n in value.split() if n.isdigit())
    return (numbers[0], numbers[1]) if len(numbers) == 2 and any(numbers) else None


def _forwards(values: Sequence[str], *, gateway_ports: bool) -> tuple[Forward, ...]:
    parsed = (_forward(value, "0.0.0.0" if gateway_ports else LOCALHOST) for value in values)  # noqa: S104
    return tuple(f for f in parsed if f)


def _forward(value: str, default_bind: str) -> Forward | None:
    match = _FORWARD.fullmatch(value)
    if not match:
        return None
    try:
        to = Endpoint(path=match["tosock"]) if match["tosock"] else Endpoint(match["host"], int(match["hostport"]))
        if match["sock"]:
            return Forward(Endpoint(path=match["sock"]), to)
        bind = default_bind if match["bind"] is None else match["bind"]
        bind = "0.0.0.0" if bind in ("", "*") else bind  # noqa: S104  whoever listens on it checks that it is allowed
        return listen_on(bind, int(match["port"]), to)
    except UsageError:
        return None  # port 0, or a path longer than a socket's name can be


def _watch(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for p in paths if p and p != "/dev/null"))
