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
from openclaw_tunnel.ssh.endpoint import Place
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


def of_os_error(exc: OSError, place: Place, *, platform: str = sys.platform) -> Failure:
    """What an error of name lookup or of the TCP connection means; ``platform`` as in ``sys.platform``."""
    if isinstance(exc, socket.gaierror):
        return place.failure(Code.DNS, f"cannot find the address of {place.name}: {clean(exc.strerror or str(exc))}")
    if exc.errno == errno.ECONNREFUSED:
        return place.failure(Code.REFUSED, f"{place.host} refused the connection")
    if exc.errno in _HUNG_UP:
        return hung_up(place)
    if exc.errno == errno.ETIMEDOUT:
        return place.failure(Code.TIMEOUT, f"{place.host} does not answer")
    reason = clean(exc.strerror or str(exc))
    if exc.errno == errno.EHOSTUNREACH and platform == "darwin":
        return place.failure(
            Code.NO_ROUTE, f"no way to {place.host}: {reason} (errno {exc.errno})", first=_LOCAL_NETWORK
        )
    if exc.errno in _NO_ROUTE:
        return place.failure(Code.NO_ROUTE, f"no way to {place.host}: {reason}")
    # What is left (too many open files, no memory) passes or is mended while we wait: never a reason to give up.
    return place.failure(Code.NO_ROUTE, f"cannot connect to {place.host}: {reason}")


def most_telling(failures: list[Failure]) -> Failure:
    """Of the failures of several addresses of one host, the one that says most."""
    return min(failures, key=lambda f: _MOST_TELLING.index(f.code) if f.code in _MOST_TELLING else len(_MOST_TELLING))


def of_dial(exc: BaseException, place: Place, opening: Opening | None = None) -> Failure:
    """What ended a connection before the login was done.

    Refusals of keys, ours and theirs, are not told here: ``hostkeys`` and ``auth`` know more of them.

    Args:
        opening: what the server sent first; None: it did not come to that.
    """
    if is_foreign(exc):
        log.debug("%s sent what asyncssh cannot read", place.host, exc_info=exc)
        return place.failure(Code.NOT_SSH, f"{place.host} sent something that is not valid SSH")
    opening = opening or Opening()
    match exc:
        case OSError(errno=number) if number in _HUNG_UP:
            return hung_up(place, opening.lines, speaks_ssh=opening.speaks_ssh)
        case OSError():
            return of_os_error(exc, place)
        case UnicodeError():
            return place.failure(Code.DNS, f"not a host name: {place.host.rsplit(':', 1)[0]}")
        case asyncssh.ChannelOpenError():
            return of_jump(exc, place)
        case asyncssh.KeyExchangeFailed() if kind := seams.not_shared(exc):
            return place.failure(Code.NEGOTIATION, f"{place.host} and this program share no {clean(kind)} algorithm")
        case asyncssh.ProtocolNotSupported():
            return other_version(place, opening.version)
        case asyncssh.ConnectionLost():
            return hung_up(place, opening.lines, speaks_ssh=opening.speaks_ssh)
        case asyncssh.DisconnectError():
            reason = seams.reason_of(exc)
            text = f"{place.host} ended the connection: {clean(reason)}"
            return place.failure(Code.NOT_SSH, text, **advice_on(reason, speaks_ssh=opening.speaks_ssh))
    return of_bug(exc, place)


def is_foreign(exc: BaseException) -> bool:
    """Whether an error that asyncssh has no name for was made by the bytes of the other side, and not by code of ours.

    asyncssh names most of what can be wrong with a packet; what it does not look at comes out as the error of whatever
    trips over it: of a codec, of arithmetic, of cryptography.
    """
    if isinstance(exc, asyncssh.Error | OSError):
        return False
    return seams.came_with_bytes(exc) and not traceback.extract_tb(exc.__traceback__)[-1].filename.startswith(_OURS)


def of_bug(exc: BaseException, place: Place, tracebacks: Tracebacks = _TRACEBACKS) -> Failure:
    """Something nobody thought of; the traceback goes into the log."""
    tracebacks.log("connecting", exc)
    return place.failure(Code.BUG, f"unexpected error while connecting to {place.host}: {type(exc).__name__}")


def of_jump(exc: asyncssh.ChannelOpenError, place: Place) -> Failure:
    """A jump host that would not, or could not, connect to the next host."""
    said = _said(exc)
    if _is_forbidden(exc):
        text = f"the jump host forbids connections to {place.host}{said}"
        return place.failure(Code.FORWARDING_FORBIDDEN, text, to=place.host)
    return place.failure(Code.PROXY, f"the jump host cannot connect to {place.host}{said}")


def of_channel(exc: asyncssh.ChannelOpenError, place: Place, to: str) -> Failure:
    """A channel that the server refused to open; ``to`` is where it was to lead.

    sshd says "Connection refused" for a port where nothing listens, and no more than "open failed" for a socket path
    that leads nowhere or that AllowStreamLocalForwarding forbids; dropbear has other words, asyncssh again others. So
    a failed connect means that nothing listens, unless the words speak of names, networks or time.
    """
    said = _said(exc)
    if _is_forbidden(exc):
        text = f"the SSH server {place.host} forbids forwarding to {to}{said}"
        return place.failure(Code.FORWARDING_FORBIDDEN, text, to=to)
    if exc.code == _CONNECT_FAILED and not any(word in said.lower() for word in _NOT_A_REFUSAL):
        return place.failure(Code.NOT_LISTENING, f"nothing listens on {to} of {place.host}{said}", to=to)
    return place.failure(Code.GATEWAY_UNREACHABLE, f"{place.host} cannot connect to {to}{said}", to=to)


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


def of_loss(exc: BaseException | None, place: Place, tracebacks: Tracebacks = _TRACEBACKS) -> Failure:
    """Why a connection that was up is gone; always transient.

    Args:
        exc: what asyncssh gave for it; None for a close without an error.
    """
    if exc is None:
        return place.failure(Code.LOST, f"{place.host} closed the connection")
    if isinstance(exc, asyncssh.ConnectionLost):
        if seams.is_keepalive_timeout(exc):
            return place.failure(Code.KEEPALIVE_TIMEOUT, f"{place.host} no longer answers")
        return place.failure(Code.LOST, f"the connection to {place.host} was cut")
    if isinstance(exc, asyncssh.DisconnectError):
        failure = place.failure(Code.LOST, f"the connection to {place.host} ended: {clean(seams.reason_of(exc))}")
        return replace(failure, said=clean_lines(last_words(exc)))
    if isinstance(exc, OSError):
        return place.failure(Code.LOST, f"the connection to {place.host} was cut: {clean(exc.strerror or str(exc))}")
    if is_foreign(exc):
        log.debug("%s sent what asyncssh cannot read", place.host, exc_info=exc)
        return place.failure(Code.LOST, f"{place.host} sent something that is not valid SSH")
    tracebacks.log("connected", exc)
    return place.failure(Code.LOST, f"the connection to {place.host} broke: {type(exc).__name__}")
