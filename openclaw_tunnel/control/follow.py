"""What the commands about running tunnels share: which tunnel is meant, and following it until it settles."""

import os
import time
from collections.abc import Sequence

from openclaw_tunnel.control.client import ControlClient, StreamTimeout
from openclaw_tunnel.control.messages import Report, Status, Watch
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, Snapshot, Verdict
from openclaw_tunnel.core.wording.outlook import outlook
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import progress
from openclaw_tunnel.ui.tunnelrows import change

SETTLED = frozenset({State.UP, State.DEGRADED, State.BACKOFF, State.FAILED})
"""States that say how an attempt ended."""

_SLOW = {
    State.CONNECTING: ExitCode.UNREACHABLE,
    State.VERIFYING: ExitCode.NOT_LISTENING,
    State.DEGRADED: ExitCode.NOT_LISTENING,
}


def client_of(paths: Paths | None = None) -> ControlClient:
    """The client for the daemon of this user."""
    paths = paths or Paths.from_env(os.environ)
    return ControlClient(paths.socket_path, lock_path=paths.lock_path)


def our_agent() -> str:
    """The SSH agent of this session, if it has one, for a daemon that may have been started in another session."""
    return os.environ.get("SSH_AUTH_SOCK", "")


def look_at_tunnels(client: ControlClient, name: str | None = None) -> Report:
    """The tunnels that run, or the one of that name; there is none where no daemon runs.

    Raises:
        TunnelError: the daemon does not answer.
    """
    try:
        return client.call(Status(name))
    except DaemonUnreachable:
        return Report.of_nobody()


def pick(tunnels: Sequence[Snapshot], name: str | None) -> Snapshot:
    """The tunnel that is meant: the one of that name; without a name the only one, else ``default``.

    Raises:
        TunnelError: there is none (exit code 3).
        UsageError: there are several.
    """
    by_name = {tunnel.name: tunnel for tunnel in tunnels}
    names = ", ".join(sorted(by_name))
    if name is not None:
        if name in by_name:
            return by_name[name]
        raise TunnelError(
            f"no tunnel named {name} is running",
            hint=f"running: {names}" if names else "start one: openclaw-tunnel up",
            exit_code=ExitCode.NOT_RUNNING,
        )
    if not by_name:
        raise TunnelError("no tunnel is running", hint="start one: openclaw-tunnel up", exit_code=ExitCode.NOT_RUNNING)
    if len(by_name) > 1 and "default" not in by_name:
        raise UsageError("which tunnel is meant?", hint=f"give one of these names: {names}")
    return by_name["default"] if "default" in by_name else tunnels[0]


def can_try(tunnel: Snapshot) -> bool:
    """Whether it dials at all: one that cannot even begin is tried again by the service that keeps it."""
    return any(forward.listening for forward in tunnel.forwards)


def settle(client: ControlClient, name: str, timeout: float, *, asks: bool = False) -> Snapshot:
    """Wait until it is known how the present attempt ended, or with ``asks`` another one.

    Raises:
        TunnelError: it was not known within ``timeout`` seconds, or the tunnel was closed meanwhile.
    """
    last, tries = None, None
    try:
        with progress.working(f"waiting for {name}") as work:
            for last in client.stream(Watch(name, waits=True, asks=asks), timeout):
                if (last.state in SETTLED and not _is_on_its_way(last)) or _is_trying_again(last, tries):
                    return last
                tries = last.retry.attempt if tries is None else tries
                work.what = change(last)
    except StreamTimeout:
        state = last.state if last else "silent"
        if last and last.asks:
            raise waits_for_a_person(last, ExitCode.LOGIN) from None
        raise TunnelError(
            f"{name} is still {state} after {timeout:.0f} s",
            hint=f"it goes on trying in the background; see how it stands: openclaw-tunnel status {name}",
            exit_code=_SLOW.get(last.state, ExitCode.NO) if last else ExitCode.NO,
        ) from None
    raise closed(name)


def _is_trying_again(tunnel: Snapshot, tries: int | None) -> bool:
    """Whether a try has failed since there were ``tries``: the next one may begin before anybody has seen the wait."""
    return tunnel.state is State.CONNECTING and tries is not None and tunnel.retry.attempt > tries


def _is_on_its_way(tunnel: Snapshot) -> bool:
    """A gateway that says that it is starting is no outcome yet: it will be up in a moment."""
    return tunnel.state is State.DEGRADED and tunnel.gateway.verdict is Verdict.STARTING


def waits_for_a_person(tunnel: Snapshot, exit_code: ExitCode) -> TunnelError:
    """The error of a command that waits no longer for a tunnel that is not up before a person has done something."""
    return TunnelError(
        f"{tunnel.name} waits for you: {tunnel.asks}",
        hint=f"it connects once that is done; see how it stands: openclaw-tunnel status {tunnel.name}",
        exit_code=exit_code,
    )


def closed(name: str) -> TunnelError:
    """The error of a command whose tunnel was closed by somebody else."""
    return TunnelError(f"{name} was closed meanwhile", exit_code=ExitCode.NOT_RUNNING)


def failure_of(tunnel: Snapshot) -> RequestRefused:
    """The error of a command that wanted ``tunnel`` up."""
    failure = tunnel.failure or FailureStatus("unknown", change(tunnel), "", False, int(ExitCode.NOT_LISTENING))
    code = failure.exit_code
    return RequestRefused(
        failure.message,
        hint=failure.hint,
        exit_code=ExitCode(code) if code in set(ExitCode) else ExitCode.NO,
    )


def goes_on(tunnel: Snapshot) -> str:
    """What the tunnel does automatically after a command that wanted it up gave up."""
    if tunnel.state is State.FAILED:
        return (
            f"{tunnel.name} tries again {outlook(tunnel.retry)}; try now: openclaw-tunnel restart {tunnel.name}; "
            f"close it: openclaw-tunnel down {tunnel.name}"
        )
    return (
        f"{tunnel.name} keeps trying in the background; watch it: openclaw-tunnel status {tunnel.name}, "
        f"close it: openclaw-tunnel down {tunnel.name}"
    )


class Deadline:
    """Seconds that are left of a time that began now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Never negative."""
        return max(0.0, self._end - time.monotonic())
