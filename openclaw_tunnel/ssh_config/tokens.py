"""``~``, ``%``-tokens and ``${VAR}``, for the settings that ``ssh -G`` prints unexpanded.

Measured with OpenSSH 9.2: ``ssh -G`` expands HostName, UserKnownHostsFile, IdentityAgent and LocalForward, and leaves
IdentityFile, CertificateFile, ProxyCommand, RevokedHostKeys and GlobalKnownHostsFile as written.
"""

import hashlib
import os
import pwd
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from openclaw_tunnel.errors import ConfigError

NO_FILE = "none"
"""What ``-F`` takes for "read no file at all"."""

HomeOf = Callable[[str], str]
"""User name ("" is the one who runs this) -> home in the password database. Raises KeyError: no such user."""

_PERCENT = re.compile(r"%(.?)", re.DOTALL)
_BOTH = re.compile(r"%(.?)|\$\{([^}]*)(\}?)", re.DOTALL)


def home_of(user: str = "") -> str:
    """The home folder in the password database, which is what ssh means by ``~``, whatever HOME says.

    Raises:
        KeyError: there is no such user.
    """
    return (pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())).pw_dir


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs ssh, and where."""

    name: str
    uid: int
    home: str
    hostname: str

    @classmethod
    def of_process(cls, uid: int | None = None) -> "Account":
        """The account of this process (or of ``uid``), with the computer's name as gethostname(2) has it.

        Raises:
            ConfigError: the password database does not know it.
        """
        uid = os.getuid() if uid is None else uid
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise ConfigError(
                f"user id {uid} is not in the password database", hint="ssh cannot run for such a user either"
            ) from None
        return cls(entry.pw_name, uid, entry.pw_dir, socket.gethostname())


def token_values(
    account: Account, *, alias: str, hostname: str, port: int, user: str, key_alias: str, jump_host: str
) -> Mapping[str, str]:
    """The tokens of ssh_config(5) that do not depend on the host's key.

    ``%C`` is OpenSSH's hash of ``%l%h%p%r%j``. Releases before 9.6 leave ``%j`` out, which differs only behind a
    ProxyJump.
    """
    text = f"{account.hostname}{hostname}{port}{user}{jump_host}"
    return {
        "%": "%",
        "C": hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest(),
        "d": account.home,
        "h": hostname,
        "i": str(account.uid),
        "j": jump_host,
        "k": key_alias or alias,
        "L": account.hostname.split(".", 1)[0],
        "l": account.hostname,
        "n": alias,
        "p": str(port),
        "r": user,
        "u": account.name,
    }


def expand_tokens(text: str, values: Mapping[str, str], env: Mapping[str, str] | None, keyword: str) -> str:
    """Replace ``%x`` and, where ``env`` is given, ``${VAR}``.

    Raises:
        ConfigError: an unknown token or a variable that is not set; ssh refuses to run with either.
    """

    def replace(match: re.Match[str]) -> str:
        token = match[1]
        if token is not None:
            if token not in values:
                raise ConfigError(
                    f"{keyword} {text!r}: no token %{token}",
                    hint=f"see TOKENS in ssh_config(5); write %% for a percent sign in {keyword}",
                )
            return values[token]
        if env is None or not match[3] or match[2] not in env:
            raise ConfigError(
                f"{keyword} {text!r}: the variable {match[2]!r} is not set",
                hint=f"set it where openclaw-tunnel is started, or write the path out in {keyword}",
            )
        return env[match[2]]

    return (_PERCENT if env is None else _BOTH).sub(replace, text)


def expand_home(path: str, keyword: str, home: HomeOf = home_of) -> str:
    """Replace a leading ``~`` or ``~user``.

    Raises:
        ConfigError: there is no such user.
    """
    if not path.startswith("~"):
        return path
    user, slash, rest = path[1:].partition("/")
    try:
        return home(user) + slash + rest
    except KeyError:
        raise ConfigError(f"{keyword} {path!r}: no user {user!r} on this computer", hint="write the path out") from None
