"""What ``ssh`` would do as ssh_config says, and this program does not do, or does more strictly. Pure.

Only what concerns a tunnel: what is for terminals and for other forwards of a session (SendEnv, RequestTTY, ForwardX11)
is not told, nor is what has the same effect here in another way (ControlMaster, ConnectionAttempts, UpdateHostKeys).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_NONE = ("", "none", "no", "false", "off")


@dataclass(frozen=True, slots=True)
class Difference:
    """One directive: what it is in ssh_config, what becomes of it here, and the next step for whoever needs it.

    ``hint`` may hold ``{target}``, the destination as it was typed, and ``{ssh}``, the same as arguments of ssh.
    """

    directive: str
    effect: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    effect: str
    hint: str
    counts: Callable[[str], bool] = lambda value: value.lower() not in _NONE


_ROWS = (
    _Row(
        "StrictHostKeyChecking",
        "makes ssh accept host keys that are not known; here they are refused all the same",
        "remember the key once, if it is not known yet: openclaw-tunnel trust {target}",
        lambda value: value in ("false", "no", "off", "accept-new"),
    ),
    _Row(
        "VerifyHostKeyDNS",
        "is not done: a host key in the DNS makes no host known here",
        "remember the key once, if it is not known yet: openclaw-tunnel trust {target}",
    ),
    _Row("RemoteForward", "is not opened: this program opens local forwards", "open it beside: ssh -N {ssh}"),
    _Row("DynamicForward", "is not opened: this program opens local forwards", "open it beside: ssh -N {ssh}"),
    _Row("PKCS11Provider", "is not asked for keys", "load its keys into the SSH agent: ssh-add -s PROVIDER"),
    _Row("BindInterface", "is not used", "name the address that the interface has: BindAddress ADDRESS in ssh_config"),
    _Row(
        "HostbasedAuthentication",
        "is not done: this program logs in with keys",
        "install a key of yours on the host: ssh-copy-id {ssh}",
    ),
)


def differences(printed: Mapping[str, Sequence[str]], defaults: Mapping[str, Sequence[str]]) -> tuple[Difference, ...]:
    """The directives of ssh_config that have another effect here.

    Args:
        printed: what ``ssh -G`` says of the destination, keywords in lower case.
        defaults: what it says without any configuration file; {} where that is not known.
    """
    found = [Difference(row.name, row.effect, row.hint) for row in _ROWS if _is_set(row, printed, defaults)]
    if "localcommand" in printed and _value(printed, "permitlocalcommand") in ("yes", "true"):
        hint = "run it when the tunnel is up: openclaw-tunnel wait && COMMAND"
        found.append(Difference("LocalCommand", "is not run", hint))
    methods = _value(printed, "preferredauthentications")
    if methods and "publickey" not in methods.split(","):
        hint = "let it hold publickey for this host, and install a key there: ssh-copy-id {ssh}"
        found.append(Difference("PreferredAuthentications", "leaves out publickey, the only way to log in here", hint))
    elif _value(printed, "pubkeyauthentication") in ("no", "false"):
        hint = "switch it on for this host, and install a key there: ssh-copy-id {ssh}"
        found.append(Difference("PubkeyAuthentication", "is off, and keys are the only way to log in here", hint))
    return tuple(found)


def _is_set(row: _Row, printed: Mapping[str, Sequence[str]], defaults: Mapping[str, Sequence[str]]) -> bool:
    keyword = row.name.lower()
    return printed.get(keyword) != defaults.get(keyword) and row.counts(_value(printed, keyword))


def _value(printed: Mapping[str, Sequence[str]], keyword: str) -> str:
    return next(iter(printed.get(keyword, ())), "")
