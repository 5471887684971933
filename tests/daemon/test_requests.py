"""daemon/requests.py: how a request is refused."""

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.daemon.requests import DaemonCloses, refusal
from openclaw_tunnel.errors import ExitCode


def test_a_failure_ends_a_command_with_its_own_code_and_hint() -> None:
    error = refusal(Failure(Code.PORT_IN_USE, "local port 127.0.0.1:1 is in use"))
    assert (error.message, error.exit_code) == ("local port 127.0.0.1:1 is in use", ExitCode.LOCAL_PORT)
    assert "-p PORT" in error.hint
    assert DaemonCloses().exit_code is ExitCode.NOT_RUNNING
