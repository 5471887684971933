"""Ask a gateway, over the tunnel that runs, else over a connection just for the question."""

from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.ask.options import read_question
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, pick
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Ask
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import progress
from openclaw_tunnel.ui.tunnelrows import clean

MARGIN = 2.0
"""Seconds that the daemon gets beyond the question's own timeout."""

_UNSAID = dict.fromkeys(("url", "token", "password_file", "name", "direct")) | {"device": False, "timeout": 10.0}


def ask_gateway(question: Mapping[str, Any], *, name: str | None, direct: bool, paths: Paths) -> dict[str, Any]:
    """The answer, as ``health``, ``probe`` and ``call`` print it with ``--json``.

    Args:
        question: as ``read_question`` makes it.
        name: of the tunnel to ask through; None: the one that runs.
        direct: ask without a tunnel.

    Raises:
        TunnelError: nothing could be asked; a gateway that answers something bad is an answer.
    """
    with progress.working("asking the gateway"):
        if not (question["url"] or direct):
            answer = _ask_daemon(client_of(paths), name, question)
            if answer is not None:
                return answer
        from openclaw_tunnel.ask.direct import ask_alone  # late: asyncssh takes longer to load than the daemon to ask

        return ask_alone(dict(question), name=name, direct=direct, paths=paths)


def usual_question(kind: str, *, token_file: str | None = None, **more: Any) -> dict[str, Any]:
    """A question with the credentials of the settings, as without any option.

    Args:
        token_file: holds the token instead.

    Raises:
        ConfigError: that file cannot be used.
    """
    return read_question(kind, {**_UNSAID, "token_file": token_file}, **more)


def raise_failure(answer: Mapping[str, Any]) -> None:
    """Return where the answer is a good one.

    Raises:
        RequestRefused: what its ``failure`` says.
    """
    failure = answer.get("failure")
    if failure:
        raise RequestRefused(failure["message"], hint=failure["hint"], exit_code=ExitCode(failure["exit_code"]))


def healthy(answer: Mapping[str, Any]) -> str:
    """What is said of a gateway that is well.

    Raises:
        RequestRefused: it is not.
    """
    raise_failure(answer)
    version = clean(answer["version"] or "(version unknown)")
    return f"healthy: OpenClaw {version}, {answer['ms']:.0f} ms, {clean(answer['via'])}"


def _ask_daemon(client: ControlClient, name: str | None, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """The daemon's answer; None where no such tunnel runs."""
    deadline = Deadline(question["timeout"] + MARGIN)
    try:
        tunnel = pick(client.call(Status(), timeout=deadline.left).tunnels, name).name
        return client.call(Ask(tunnel, question), timeout=deadline.left)
    except DaemonUnreachable:
        return None
    except TunnelError as error:
        if error.exit_code is ExitCode.NOT_RUNNING:
            return None
        raise
