"""The border: what asyncssh, the sockets and the keys raise becomes a Failure in our words."""

import errno
import logging
import os
import socket
import sys
import traceback
from dataclasses import replace

import asyncssh

import openclaw_tunnel
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.ssh import asyncssh_seams as seams
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hungup import advice_on, hung_up, other_version
from openclaw_tunnel.ssh.opening import Opening
from openclaw_tunnel.ssh.words import clean, clean_lines

log = logging.getLogger(__name__)
_TRACEBACKS = Tracebacks(log)

_NO_ROUTE = {
    # A blackhole route answers EINVAL, an unreachable one EHOSTUNREACH, a prohibit one EACCES, a local reject EPERM.
    errno.EINVAL,
    errno.EHOSTUNREACH,
    errno.EACCES,
    errno.EPERM,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}
# macOS 15 and later refuse a LaunchAgent's connections to the local network with EHOSTUNREACH (errno 65) until the user
# allows them. Terminal and its children, root's daemons and addresses elsewhere are exempt.
_LOCAL_NETWORK = (
    "where ping or ssh in Terminal reach that address, macOS keeps this program from the local network: allow it in "
    "System Settings, Privacy & Security, Local Network (openclaw-tunnel, or the Python that runs it), then "
    "openclaw-tunnel restart; where they do not, "
)
_HUNG_UP = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}
_MOST_TELLING = (Code.REFUSED, Code.NOT_SSH, Code.TIMEOUT, Code.NO_ROUTE)

# RFC 4254 section 5.1
_PROHIBITED, _CONNECT_FAILED = 1, 2
_OURS = os.path.join(os.path.dirname(openclaw_tunnel.__file__), "")
_NOT_A_REFUSAL = ("known", "resol", "route", "unreachable", "timed out", "timeout", "name")


def of_os_error(exc: OSError, hop: Hop, *, platform: str = sys.platform) -> Failure:
    """What an error of name lookup or of the TCP connection means; ``platform`` as in ``sys.platform``."""
    if isinstance(exc, socket.gaierror):
        return hop.failure(Code.DNS, f"cannot find the address of {hop.name}: {clean(exc.strerror or str(exc))}")
    if exc.errno == errno.ECONNREFUSED:
        return hop.failure(Code.REFUSED, f"{hop.host} refused the connection")
    if exc.errno in _HUNG_UP:
        return hung_up(hop)
    if exc.errno == errno.ETIMEDOUT:
        return hop.failure(Code.TIMEOUT, f"{hop.host} does not answer")
    reason = clean(exc.strerror or str(exc))
    if exc.errno == errno.EHOSTUNREACH and platform == "darwin":
        return hop.failure(Code.NO_ROUTE, f"no way to {hop.host}: {reason} (errno {exc.errno})", first=_LOCAL_NETWORK)
    if exc.errno in _NO_ROUTE:
        return hop.failure(Code.NO_ROUTE, f"no way to {hop.host}: {reason}")
    # What is left (too many open files, no memory) passes or is mended while we wait: never a reason to give up.
    return hop.failure(Code.NO_ROUTE, f"cannot connect to {hop.host}: {reason}")


def most_telling(failures: list[Failure]) -> Failure:
    """Of the failures of several addresses of one host, the one that says most."""
    return min(failures, key=lambda f: _MOST_TELLING.index(f.code) if f.code in _MOST_TELLING else len(_MOST_TELLING))


def of_dial(exc: BaseException, hop: Hop, opening: Opening | None = None) -> Failure:
    """What ended a connection before the login was done.

    Refusals of keys, ours and theirs, are not told here: ``hostkeys`` and ``auth`` know more of them.

    Args:
        opening: what the server sent first; None: it did not come to that.
    """
    if is_foreign(exc):
        log.debug("%s sent what asyncssh cannot read", hop.host, exc_info=exc)
        return hop.failure(Code.NOT_SSH, f"{hop.host} sent something that is not valid SSH")
    opening = opening or Opening()
    match exc:
        case OSError(errno=number) if number in _HUNG_UP:
            return hung_up(hop, opening.lines, speaks_ssh=opening.speaks_ssh)
        case OSError():
            return of_os_error(exc, hop)
        case UnicodeError():
            return hop.failure(Code.DNS, f"not a host name: {hop.host.rsplit(':', 1)[0]}")
        case asyncssh.ChannelOpenError():
            return of_jump(exc, hop)
        case asyncssh.KeyExchangeFailed() if kind := seams.not_shared(exc):
            return hop.failure(Code.NEGOTIATION, f"{hop.host} and this program share no {clean(kind)} algorithm")
        case asyncssh.ProtocolNotSupported():
            return other_version(hop, opening.version)
        case asyncssh.ConnectionLost():
            return hung_up(hop, opening.lines, speaks_ssh=opening.speaks_ssh)
        case asyncssh.DisconnectError():
            reason = seams.reason_of(exc)
            text = f"{hop.host} ended the connection: {clean(reason)}"
            return hop.failure(Code.NOT_SSH, text, **advice_on(reason, speaks_ssh=opening.speaks_ssh))
    return of_bug(exc, hop)


def is_foreign(exc: BaseException) -> bool:
    """Whether an error that asyncssh has no name for was made by the bytes of the other side, and not by code of ours.

    asyncssh names most of what can be wrong with a packet; what it does not look at comes out as the error of whatever
    trips over it: of a codec, of arithmetic, of cryptography.
    """
    if isinstance(exc, asyncssh.Error | OSError):
        return False
    return seams.came_with_bytes(exc) and not traceback.extract_tb(exc.__traceback__)[-1].filename.startswith(_OURS)


def of_bug(exc: BaseException, hop: Hop, tracebacks: Tracebacks = _TRACEBACKS) -> Failure:
    """Something nobody thought of; the traceback goes into the log."""
    tracebacks.log("connecting", exc)
    return hop.failure(Code.BUG, f"unexpected error while connecting to {hop.host}: {type(exc).__name__}")


def of_jump(exc: asyncssh.ChannelOpenError, hop: Hop) -> Failure:
    """A jump host that would not, or could not, connect to the next host."""
    said = _said(exc)
    if _is_forbidden(exc):
        text = f"the jump host forbids connections to {hop.host}{said}"
        return hop.failure(Code.FORWARDING_FORBIDDEN, text, to=hop.host)
    return hop.failure(Code.PROXY, f"the jump host cannot connect to {hop.host}{said}")


def of_channel(exc: asyncssh.ChannelOpenError, hop: Hop, to: str) -> Failure:
    """A channel that the server refused to open; ``to`` is where it was to lead.

    sshd says "Connection refused" for a port where nothing listens, and no more than "open failed" for a socket path
    that leads nowhere or that AllowStreamLocalForwarding forbids; dropbear has other words, asyncssh again others. So
    a failed connect means that nothing listens, unless the words speak of names, networks or time.
    """
    said = _said(exc)
    if _is_forbidden(exc):
        text = f"the SSH server {hop.host} forbids forwarding to {to}{said}"
        return hop.failure(Code.FORWARDING_FORBIDDEN, text, to=to)
    if exc.code == _CONNECT_FAILED and not any(word in said.lower() for word in _NOT_A_REFUSAL):
        return hop.failure(Code.NOT_LISTENING, f"nothing listens on {to} of {hop.host}{said}", to=to)
    return hop.failure(Code.GATEWAY_UNREACHABLE, f"{hop.host} cannot connect to {to}{said}", to=to)


def _said(exc: asyncssh.ChannelOpenError) -> str:
    """The server's words, ready to be appended; dropbear often has none."""
    words = clean(exc.reason)
    return f": {words}" if words else ""


def _is_forbidden(exc: asyncssh.ChannelOpenError) -> bool:
    """By the code, or by the words where a server uses another code."""
    return exc.code == _PROHIBITED or "prohibited" in exc.reason.lower()


def last_words(exc: BaseException | None) -> str:
    """The text of the other side's DISCONNECT, if that ended a connection; to be asked before it is raised."""
    return seams.reason_of(exc) if seams.is_from_other_side(exc) else ""


def of_loss(exc: BaseException | None, hop: Hop, tracebacks: Tracebacks = _TRACEBACKS) -> Failure:
    """Why a connection that was up is gone; always transient.

    Args:
        exc: what asyncssh gave for it; None for a close without an error.
    """
    if exc is None:
        return hop.failure(Code.LOST, f"{hop.host} closed the connection")
    if isinstance(exc, asyncssh.ConnectionLost):
        if seams.is_keepalive_timeout(exc):
            return hop.failure(Code.KEEPALIVE_TIMEOUT, f"{hop.host} no longer answers")
        return hop.failure(Code.LOST, f"the connection to {hop.host} was cut")
    if isinstance(exc, asyncssh.DisconnectError):
        failure = hop.failure(Code.LOST, f"the connection to {hop.host} ended: {clean(seams.reason_of(exc))}")
        return replace(failure, said=clean_lines(last_words(exc)))
    if isinstance(exc, OSError):
        return hop.failure(Code.LOST, f"the connection to {hop.host} was cut: {clean(exc.strerror or str(exc))}")
    if is_foreign(exc):
        log.debug("%s sent what asyncssh cannot read", hop.host, exc_info=exc)
        return hop.failure(Code.LOST, f"{hop.host} sent something that is not valid SSH")
    tracebacks.log("connected", exc)
    return hop.failure(Code.LOST, f"the connection to {hop.host} broke: {type(exc).__name__}")
