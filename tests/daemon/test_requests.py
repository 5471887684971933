"""daemon/requests.py: how a request is refused."""

from dataclasses import replace

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import PortChoice, TunnelSpec, parse_forward
from openclaw_tunnel.daemon.requests import DaemonCloses, clash, refusal
from openclaw_tunnel.errors import ExitCode


def test_a_failure_ends_a_command_with_its_own_code_and_hint() -> None:
    error = refusal(Failure(Code.PORT_IN_USE, "local port 127.0.0.1:1 is in use"))
    assert (error.message, error.exit_code) == ("local port 127.0.0.1:1 is in use", ExitCode.LOCAL_PORT)
    assert "-p PORT" in error.hint
    assert DaemonCloses().exit_code is ExitCode.NOT_RUNNING


SPEC = TunnelSpec("t", "gw", (parse_forward("18789:127.0.0.1:18789"), parse_forward("8080:db:80")))


def taken(listen: str) -> Failure:
    return Failure(
        Code.PORT_IN_USE, f"local port {listen} is in use by pid 7 (x)", {"listen": listen, "step": "stop x"}
    )


MAIN, EXTRA = taken("127.0.0.1:18789"), taken("127.0.0.1:8080")


def test_the_port_of_the_gateway() -> None:
    error = clash(SPEC, MAIN, {})
    assert error.message == MAIN.message
    assert error.hint == "stop x, or choose another local port: -p PORT, or -p auto"
    assert error.exit_code is ExitCode.LOCAL_PORT


def test_the_port_of_another_forward() -> None:
    assert clash(SPEC, EXTRA, {}).hint == "stop x, or give that forward another port: -L"


def test_the_path_of_another_forward() -> None:
    facts = {"listen": "/run/a.sock", "step": "look", "otherwise": "give -L another path"}
    spec = replace(SPEC, forwards=(*SPEC.forwards, parse_forward("/run/a.sock:db:80")))
    error = clash(spec, Failure(Code.PORT_IN_USE, "another process listens on /run/a.sock", facts), {})
    assert error.hint == "look, or give -L another path"


def test_another_tunnel_of_this_daemon_is_called_by_its_name() -> None:
    running = {"far": replace(SPEC, forwards=(parse_forward("1:b:2"),)), "lab": replace(SPEC, name="lab")}
    error = clash(SPEC, MAIN, running)
    assert error.message == "local port 127.0.0.1:18789 is in use by tunnel lab"
    assert error.hint == "close it: openclaw-tunnel down lab, or choose another local port: -p PORT, or -p auto"
    assert (
        clash(SPEC, EXTRA, running).hint == "close it: openclaw-tunnel down lab, or give that forward another port: -L"
    )


def test_the_port_that_a_tunnel_keeps() -> None:
    error = clash(replace(SPEC, port_choice=PortChoice.AUTO), MAIN, {})
    kept = "; it is the one that tunnel t keeps (-p auto), and clients may count on it"
    assert error.message == MAIN.message + kept
    assert error.hint == "stop x, or give the tunnel another port and tell its clients: -p new"
    assert clash(replace(SPEC, port_choice=PortChoice.AUTO), EXTRA, {}).message == EXTRA.message


def test_a_port_that_is_not_allowed_is_no_clash() -> None:
    failure = Failure(Code.PORT_NOT_ALLOWED, "cannot listen on 127.0.0.1:1")
    error = clash(SPEC, failure, {"lab": SPEC})
    assert (error.message, error.hint) == (failure.message, failure.hint)
