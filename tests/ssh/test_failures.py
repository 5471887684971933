"""The border: every foreign error becomes one of our failures, in our words."""

import errno
import logging
import os
import socket
from collections.abc import Callable

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.ssh import failures
from openclaw_tunnel.ssh.hop import Hop, show_address
from openclaw_tunnel.ssh.words import clean

GW = Hop("gw", "gateway.example:22")


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("exc", "code", "message"),
    [
        (os_error(errno.ECONNREFUSED), Code.REFUSED, "gateway.example:22 refused the connection"),
        (os_error(errno.ETIMEDOUT), Code.TIMEOUT, "gateway.example:22 does not answer"),
        (os_error(errno.ENETUNREACH), Code.NO_ROUTE, "no way to gateway.example:22: Network is unreachable"),
        (os_error(errno.EHOSTUNREACH), Code.NO_ROUTE, "no way to gateway.example:22: No route to host"),
        (os_error(errno.EACCES), Code.NO_ROUTE, "no way to gateway.example:22: Permission denied"),
        (os_error(errno.EINVAL), Code.NO_ROUTE, "no way to gateway.example:22: Invalid argument"),
        (os_error(errno.EMFILE), Code.NO_ROUTE, "cannot connect to gateway.example:22: Too many open files"),
        (os_error(errno.ECONNRESET), Code.NOT_SSH, "gateway.example:22 hung up before the login was done"),
        (os_error(errno.EPIPE), Code.NOT_SSH, "gateway.example:22 hung up before the login was done"),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            Code.DNS,
            "cannot find the address of gateway.example: Temporary failure in name resolution",
        ),
        (UnicodeError("label too long"), Code.DNS, "not a host name: gateway.example"),
        (
            asyncssh.ConnectionLost("Connection lost"),
            Code.NOT_SSH,
            "gateway.example:22 hung up before the login was done",
        ),
        (
            asyncssh.KeyExchangeFailed("No matching encryption algorithm found, sent a and received b"),
            Code.NEGOTIATION,
            "gateway.example:22 and this program share no encryption algorithm",
        ),
        (
            asyncssh.KeyExchangeFailed("Key exchange failed"),
            Code.NOT_SSH,
            "gateway.example:22 ended the connection: Key exchange failed",
        ),
        (
            asyncssh.ProtocolNotSupported("Unsupported SSH version"),
            Code.NOT_SSH,
            "gateway.example:22 speaks a version of SSH that is not supported",
        ),
        (
            asyncssh.DisconnectError(12, "Too many\x1b[31m connections\n"),
            Code.NOT_SSH,
            "gateway.example:22 ended the connection: Too many connections",
        ),
        (
            asyncssh.ChannelOpenError(2, "Connection refused"),
            Code.PROXY,
            "the jump host cannot connect to gateway.example:22: Connection refused",
        ),
        (
            asyncssh.ChannelOpenError(1, "open failed"),
            Code.FORWARDING_FORBIDDEN,
            "the jump host forbids connections to gateway.example:22: open failed",
        ),
    ],
)
def test_why_a_dial_failed(exc: Exception, code: Code, message: str) -> None:
    failure = failures.of_dial(exc, GW)
    assert (failure.code, failure.message) == (code, message)
    assert failure.facts["target"] == "gw"
    assert "{" not in failure.hint


def test_what_nobody_thought_of_is_a_bug_with_its_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    seen = Tracebacks(logging.getLogger("seen"))
    failure = failures.of_bug(ZeroDivisionError("secret"), GW, seen)
    assert (failure.code, failure.message) == (
        Code.BUG,
        "unexpected error while connecting to gateway.example:22: ZeroDivisionError",
    )
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].levelno == logging.ERROR
    failures.of_bug(ZeroDivisionError("secret"), GW, seen)
    assert len(caplog.records) == 1, "one a minute"
    assert failures.of_dial(KeyError("secret"), GW).code is Code.BUG


@pytest.mark.parametrize(
    ("exc", "code", "message"),
    [
        (None, Code.LOST, "gateway.example:22 closed the connection"),
        (asyncssh.ConnectionLost("Connection lost"), Code.LOST, "the connection to gateway.example:22 was cut"),
        (
            asyncssh.ConnectionLost("Server not responding to keepalive"),
            Code.KEEPALIVE_TIMEOUT,
            "gateway.example:22 no longer answers",
        ),
        (
            asyncssh.DisconnectError(2, "going down\r\nfor \x07maintenance" + "x" * 300),
            Code.LOST,
            f"the connection to gateway.example:22 ended: going down for maintenance{'x' * 171}...",
        ),
        (
            os_error(errno.ECONNRESET),
            Code.LOST,
            "the connection to gateway.example:22 was cut: Connection reset by peer",
        ),
        (KeyError("x"), Code.LOST, "the connection to gateway.example:22 broke: KeyError"),
    ],
)
def test_why_a_connection_was_lost(exc: Exception | None, code: Code, message: str) -> None:
    failure = failures.of_loss(exc, GW)
    assert (failure.code, failure.message) == (code, message)
    assert not failure.permanent


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (2, "Connection refused", Code.NOT_LISTENING),  # sshd, dropbear
        (2, "open failed", Code.NOT_LISTENING),  # sshd, a socket path
        (2, "[Errno 111] Connect call failed ('127.0.0.1', 1)", Code.NOT_LISTENING),  # asyncssh
        (2, "Name or service not known", Code.GATEWAY_UNREACHABLE),
        (2, "Connection timed out", Code.GATEWAY_UNREACHABLE),
        (2, "No route to host", Code.GATEWAY_UNREACHABLE),
        (2, "Error resolving 'x' port '80'. ", Code.GATEWAY_UNREACHABLE),  # dropbear
        (1, "open failed", Code.FORWARDING_FORBIDDEN),  # sshd
        (1, "", Code.FORWARDING_FORBIDDEN),  # dropbear -j
        (1, "only one 'session' channel allowed", Code.FORWARDING_FORBIDDEN),  # tinysshd
        (4, "administratively prohibited", Code.FORWARDING_FORBIDDEN),
        (3, "", Code.GATEWAY_UNREACHABLE),  # dropbear, a socket path
        (4, "resource shortage", Code.GATEWAY_UNREACHABLE),
    ],
)
def test_why_a_channel_was_refused(code: int, reason: str, expected: Code) -> None:
    failure = failures.of_channel(asyncssh.ChannelOpenError(code, reason), GW, "127.0.0.1:18789")
    assert failure.code is expected
    assert failure.facts["to"] == "127.0.0.1:18789"
    assert failure.message.endswith(reason.strip() or ("127.0.0.1:18789"))


def test_of_several_addresses_the_most_telling_failure_is_shown() -> None:
    def of(number: int) -> Failure:
        return failures.of_os_error(os_error(number), GW)

    told: Callable[..., Failure] = lambda *numbers: failures.most_telling([of(n) for n in numbers])  # noqa: E731
    assert told(errno.ENETUNREACH, errno.ECONNREFUSED).code is Code.REFUSED
    assert told(errno.ENETUNREACH, errno.ETIMEDOUT).code is Code.TIMEOUT
    assert told(errno.ENETUNREACH).code is Code.NO_ROUTE


def test_foreign_words_are_made_safe() -> None:
    assert clean("a\x1b]0;x\x07b\n\n c\u202ed") == "ab c d"
    assert len(clean("x" * 1000)) == 200


def test_hints_are_commands_that_ssh_takes() -> None:
    hop = Hop("me@gw:2222", "gw:2222", "/etc/mine")
    assert hop.failure(Code.TIMEOUT, "m").hint.endswith("Try: ssh -v -F /etc/mine -p 2222 me@gw")
    assert "ssh-copy-id -F /etc/mine -p 2222 me@gw, " in hop.failure(Code.AUTH_DENIED, "m").hint


def test_addresses_and_commands_as_people_write_them() -> None:
    assert show_address("gw", 22) == "gw:22"
    assert show_address("::1", 22) == "[::1]:22"
    assert Hop("gw", "gw:22").trust_command() == "openclaw-tunnel trust gw"
    assert Hop("gw", "gw:22", "/a b").trust_command(replace=True) == "openclaw-tunnel trust --replace -F '/a b' gw"


def test_macos_keeps_programs_from_the_local_network() -> None:
    """errno 65 there; elsewhere it says no more than that there is no route."""
    error = os_error(errno.EHOSTUNREACH)
    hint = failures.of_os_error(error, GW, platform="darwin").hint
    assert "System Settings, Privacy & Security, Local Network" in hint
    assert hint.endswith("check the network, or the VPN the host is behind")
    assert "System Settings" not in failures.of_os_error(error, GW, platform="linux").hint
    assert "System Settings" not in failures.of_os_error(os_error(errno.ENETUNREACH), GW, platform="darwin").hint
