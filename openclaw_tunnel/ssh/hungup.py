"""A server that hangs up before the login is done: what it said first tells what it is, and what helps."""

import re
from collections.abc import Sequence

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.words import clean

# OpenSSH's words for MaxStartups and PerSourcePenalties, and those of firewalls and inetd before it.
_BUSY = re.compile(
    r"exceeded maxstartups|not allowed at this time|too many (connections|sessions|users)", re.IGNORECASE
)
_LIMITED = "that server limits connections and wants to be left alone for a while: the tunnel waits longer each time"
_OWN_REASON = "an SSH server answers there, and its log says why it hangs up (there: journalctl -u ssh)"
_WEB = "a web server answers there and no SSH server: check host and port"
_SSH_1 = "SSH 1 has been unsafe for decades: let that server speak SSH 2 (Cisco: ip ssh version 2)"
# OpenSSH's client, which ProxyCommand often is: "me@jump: Permission denied (publickey,password)."
_LOGIN_REFUSED = re.compile(r"permission denied \([a-z]|too many authentication failures", re.IGNORECASE)
_LONGEST = 200


def advice_on(words: str, *, speaks_ssh: bool) -> dict[str, str]:
    """The fact ``advice`` for a NOT_SSH failure; nothing where the usual one fits."""
    if _BUSY.search(words):
        return {"advice": _LIMITED}
    if words.startswith("HTTP/"):
        return {"advice": _WEB}
    return {"advice": _OWN_REASON} if speaks_ssh else {}


def hung_up(hop: Hop, lines: Sequence[str] = (), *, speaks_ssh: bool = False) -> Failure:
    """The failure of a connection that the server closed.

    Args:
        lines: what it said before its SSH protocol began, cleaned.
        speaks_ssh: that began.
    """
    text = f"{hop.host} hung up before the login was done"
    words = "\n".join(lines)
    if lines and not speaks_ssh:
        text += f": {briefly(lines)}"
    return hop.failure(Code.NOT_SSH, text, **advice_on(words, speaks_ssh=speaks_ssh))


def other_version(hop: Hop, version: str) -> Failure:
    """The failure of a server whose version of SSH is not ours."""
    text = f"{hop.host} speaks a version of SSH that is not supported"
    if version:
        text += f": {version}"
    return hop.failure(Code.NOT_SSH, text, **({"advice": _SSH_1} if version.startswith("SSH-1.") else {}))


def barred_by_proxy(hop: Hop, said: Sequence[str], words: str) -> Failure:
    """The failure of a ProxyCommand that did not get through.

    Args:
        said: the lines of its standard error.
        words: what to show of them.
    """
    denied = any(_LOGIN_REFUSED.search(line) for line in said)
    code = Code.PROXY_DENIED if denied else Code.PROXY
    return hop.failure(code, f"ProxyCommand did not get through to {hop.host}: {words}")


def briefly(lines: Sequence[str]) -> str:
    """Lines as one, or the last of them where that would be too long."""
    joined = " / ".join(lines)
    return joined if len(joined) <= _LONGEST else clean(lines[-1])
