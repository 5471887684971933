"""When the widget sandbox gets a local port: the whole table."""

import pytest

from openclaw_tunnel.core.sandbox import Decision, Found, decide

NO = Decision(False)
TABLE: dict[tuple[Found, bool], Decision] = {
    (Found.SANDBOX, True): Decision(True),
    (Found.SANDBOX, False): Decision(True),
    (Found.NOTHING, True): Decision(True),
    (Found.NOTHING, False): NO,
    (Found.OTHER, True): Decision(False, "something else answers on that port of the gateway's host"),
    (Found.OTHER, False): NO,
    (Found.FORBIDDEN, True): Decision(
        False, "the SSH server forbids forwarding to it: AllowTcpForwarding or PermitOpen of its sshd_config"
    ),
    (Found.FORBIDDEN, False): NO,
    (Found.UNKNOWN, True): NO,
    (Found.UNKNOWN, False): NO,
}


@pytest.mark.parametrize("found", list(Found))
@pytest.mark.parametrize("reported", [True, False])
def test_every_case(found: Found, reported: bool) -> None:
    assert decide(found, reported=reported) == TABLE[found, reported]
