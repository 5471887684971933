"""Which keys may be remembered; with a real sshd: tests/ssh/hostkeys/test_real_trust.py."""

import base64

import pytest

from openclaw_tunnel.actions.agreement import Question
from openclaw_tunnel.actions.trust_key import (
    agree_to_key,
    check_key,
    described,
    has_changed,
)
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.knownhosts import Trust, Verdict
from openclaw_tunnel.ssh.hostkeys.trust import Found
from support.sshtargets import make_target

KEY = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ")
PRINT = "SHA256:" + "A" * 43


def found(code: Code | None) -> Found:
    """A key that a tunnel would fail with so; None: it is known."""
    failure = None if code is None else Failure(code, f"it is {code}")
    target = make_target(user_known_hosts_files=("/home/me/known_hosts",))
    return Found(Hop("gw", "gw:22"), target, KEY, Verdict(Trust.OK), failure)


UNKNOWN, CHANGED = found(Code.HOST_KEY_UNKNOWN), found(Code.HOST_KEY_CHANGED)


def test_whose_key_it_is() -> None:
    assert described(UNKNOWN) == ("host  gw:22", f"key   ED25519 {UNKNOWN.fingerprint}")


def test_a_key_that_is_known_and_one_that_is_not() -> None:
    assert check_key(found(None), "", replace=False)
    assert not check_key(UNKNOWN, "", replace=False)
    assert not check_key(UNKNOWN, UNKNOWN.fingerprint, replace=False)


def test_another_fingerprint_is_refused() -> None:
    with pytest.raises(TunnelError, match="has another fingerprint") as raised:
        check_key(UNKNOWN, PRINT, replace=False)
    assert raised.value.exit_code is ExitCode.HOST_KEY


def test_only_a_changed_key_can_be_replaced_and_only_on_request() -> None:
    assert [has_changed(one) for one in (UNKNOWN, CHANGED, found(None))] == [False, True, False]
    assert not check_key(CHANGED, "", replace=True)
    for one, replace in ((CHANGED, False), (found(Code.HOST_KEY_REVOKED), True)):
        with pytest.raises(TunnelError, match="it is host_key"):
            check_key(one, "", replace=replace)


def test_a_person_says_whether_it_is_the_right_one() -> None:
    asked: list[Question] = []

    def agree(question: Question) -> bool:
        asked.append(question)
        return len(asked) == 1

    agree_to_key(UNKNOWN, agree, shown=("host  gw:22",))
    with pytest.raises(TunnelError, match="the key is not remembered"):
        agree_to_key(UNKNOWN, agree)
    assert (asked[0].text, asked[0].shown) == ("Remember this key?", ("host  gw:22",))
    assert asked[0].unasked
    assert f"--fingerprint {UNKNOWN.fingerprint}" in asked[0].unasked.hint
