"""daemon/requests.py: what comes with a request is looked at before it is used, and never repeated."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.daemon.requests import DaemonCloses, environment, refusal
from openclaw_tunnel.errors import ExitCode


def test_an_environment_is_an_object_of_strings() -> None:
    assert environment(None) is None
    assert environment({"HOME": "/h"}) == {"HOME": "/h"}


@pytest.mark.parametrize("told", [["HOME=/h"], {"TOKEN": 17}, {"A": "b", "TOKEN": None}, "HOME=/h"])
def test_anything_else_is_refused_without_a_word_of_it(told: object) -> None:
    with pytest.raises(TypeError, match="an environment is an object of strings"):
        environment(told)


def test_a_failure_ends_a_command_with_its_own_code_and_hint() -> None:
    error = refusal(Failure(Code.PORT_IN_USE, "local port 127.0.0.1:1 is in use"))
    assert (error.message, error.exit_code) == ("local port 127.0.0.1:1 is in use", ExitCode.LOCAL_PORT)
    assert "-p PORT" in error.hint
    assert DaemonCloses().exit_code is ExitCode.NOT_RUNNING
