"""``up``: open a tunnel and keep it open, on this terminal or in the background."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from openclaw_tunnel.cli.commands.control import CLOSE_DEADLINE, show_outcome
from openclaw_tunnel.cli.commands.foreground import Foreground
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, failure_of, our_agent, settle, snapshots, watch
from openclaw_tunnel.core.spec import DEFAULT_NAME, PortChoice
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.outlook import hint_without
from openclaw_tunnel.daemon.spawn import ensure_daemon
from openclaw_tunnel.daemon.standby import absolute_environment
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused, TunnelError
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.ui import output, progress

if TYPE_CHECKING:
    from openclaw_tunnel.daemon.tunnels import Daemon

PATIENCE = 15.0
"""Seconds beyond the connect deadline in which ``up -d`` wants to know how the attempt ended."""

AGAIN_DEADLINE = 25.0
"""The same where the connect deadline is only the daemon's to know."""

_STEP = 0.05

_PORT = click.IntRange(1, 65535)


def local_port(text: str) -> int | str:
    """The argument of ``-p``: a port, or a word that leaves the choice to the daemon."""
    if text in (PortChoice.AUTO, PortChoice.NEW):
        return text
    port: int = _PORT(text)
    return port


@click.command()
@click.argument("target", required=False)
@click.option("-n", "--name", metavar="NAME", help="Name of the tunnel.  [default: default]")
@click.option(
    "-p",
    "--local-port",
    type=local_port,
    metavar="PORT",
    help="Local port; auto: a free one that the tunnel keeps from then on; new: another one.  [default: 18789]",
)
@click.option("-r", "--remote-port", type=_PORT, metavar="PORT", help="Gateway's port.  [default: 18789]")
@click.option("--bind", metavar="ADDR", help="Local address.  [default: 127.0.0.1, and ::1 where there is one]")
@click.option("--allow-remote-clients", is_flag=True, help="Allow an ADDR that other computers can reach.")
@click.option("-i", "--identity", metavar="FILE", help="Private key to log in with.")
@click.option("-F", "--ssh-config", metavar="FILE", help="ssh_config to read instead of yours.")
@click.option("-L", "forwards", multiple=True, metavar="[BIND:]PORT:HOST:HOSTPORT", help="Forward this as well.")
@click.option("--no-extra-ports", is_flag=True, help="The gateway's own port only, not its widget sandbox.")
@click.option("--hold", type=click.FloatRange(min=0), metavar="SECONDS", help="How long clients wait for a lost link.")
@click.option("--probe", type=click.Choice(["gateway", "tcp", "none"]), help="What up means.  [default: gateway]")
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when it is up.")
def up(detach: bool, forwards: tuple[str, ...], **given: Any) -> int:
    """Open the tunnel to TARGET and keep it open.

    TARGET is an alias of ssh_config, user@host, user@host:port or ssh://user@host:port. Without one: the tunnel
    in tunnels.json5, else gateway.remote.sshTarget of openclaw.json.
    """
    paths = Paths.from_env(os.environ)
    options = UpOptions(extra_forwards=forwards, **given)
    try:
        with progress.working("reading the settings"):
            resolved = asyncio.run(resolve(options, env=os.environ, paths=paths))
    except NoDestination as nowhere:
        return _again(client_of(paths), options.name or DEFAULT_NAME, nowhere)
    for notice in resolved.notices if detach or not output.can_redraw(sys.stdout) else ():
        output.note(notice)
    for forward in resolved.spec.forwards:
        if not forward.listen.is_local_only:
            output.warn(f"other computers can reach {forward.listen}: whoever does talks to the gateway")
    return _detached(paths, options, resolved) if detach else _foreground(paths, options, resolved)


def _again(client: ControlClient, name: str, nowhere: NoDestination) -> int:
    """Show the tunnel that is meant if it runs already; it needs no destination any more."""
    try:
        answer = client.call("up", {"name": name, **our_agent()})
    except TunnelError:
        raise nowhere from None
    tunnel = Snapshot.from_json(answer["snapshot"])
    if tunnel.state is not State.UP:
        return show_outcome(settle(client, name, AGAIN_DEADLINE))
    output.print_rows([output.rows_of(tunnel)])
    return ExitCode.OK


def _detached(paths: Paths, options: UpOptions, resolved: Resolved) -> int:
    return _show_detached(client_of(paths), _ask_up(paths, options, resolved), resolved)


def _show_detached(client: ControlClient, answer: dict[str, Any], resolved: Resolved) -> int:
    tunnel = Snapshot.from_json(answer["snapshot"])
    if tunnel.state is not State.UP:
        policy = resolved.spec.policy
        tunnel = settle(client, tunnel.name, policy.connect_timeout + PATIENCE)
    if answer["started"] or tunnel.state is not State.UP:
        return show_outcome(tunnel)
    output.print_rows([output.rows_of(tunnel)])
    return ExitCode.OK


def _ask_up(paths: Paths, options: UpOptions, resolved: Resolved) -> dict[str, Any]:
    """Ask the daemon for the tunnel; one that is just closing is waited for, and the next one asked."""
    env = absolute_environment(os.environ)
    asked = {"spec": resolved.spec.to_json(), "options": options.to_json(), "env": env, **our_agent()}
    deadline = Deadline(PATIENCE)
    while True:
        with progress.working("starting the background process"):
            ensure_daemon(paths)
        try:
            with progress.working(f"opening {resolved.spec.name}"):
                answer = client_of(paths).call("up", asked)
        except TunnelError as error:
            if error.exit_code is not ExitCode.NOT_RUNNING or not deadline.left:
                raise
            time.sleep(_STEP)
            continue
        if answer.get("note"):
            output.note(answer["note"])
        return answer


def _foreground(paths: Paths, options: UpOptions, resolved: Resolved) -> int:
    try:
        client_of(paths).call("ping")
    except DaemonUnreachable:
        code = _be_the_daemon(paths, options, resolved)
        if code is not None:
            return code
    return _join(paths, options, resolved)


def _be_the_daemon(paths: Paths, options: UpOptions, resolved: Resolved) -> int | None:
    """Hold the tunnel in this process; None where another process became the daemon meanwhile."""
    from openclaw_tunnel.control.lock import DaemonRuns
    from openclaw_tunnel.daemon.process import serve
    from openclaw_tunnel.host.logs import setup_logging

    ensure_private_dir(paths.log_dir)
    setup_logging(paths.log_file)
    name = resolved.spec.name
    with Foreground(resolved.notices) as shown:

        def changed(daemon: "Daemon") -> None:
            # those of others, too: they end with this process
            shown.show(*sorted(snapshots(daemon.report()), key=lambda tunnel: tunnel.name != name))

        try:
            return asyncio.run(serve(paths, os.environ, resolved.spec, options, on_change=changed))
        except DaemonRuns:
            return None
        except RequestRefused as error:
            raise _closed_after(error, name) from None


def _join(paths: Paths, options: UpOptions, resolved: Resolved) -> int:
    """Let the daemon that runs hold the tunnel, show it, and close it on Ctrl-C, SIGTERM, or with the terminal."""
    client = client_of(paths)
    answer = _ask_up(paths, options, resolved)
    if not answer["started"]:
        return _show_detached(client, answer, resolved)
    name = resolved.spec.name
    signal.signal(signal.SIGTERM, _exit_in_order)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it to go on
        signal.signal(signal.SIGHUP, _exit_in_order)
    with Foreground(resolved.notices) as shown:
        try:
            was_up = False
            for tunnel in watch(client, name):
                shown.show(tunnel)
                was_up |= tunnel.state is State.UP
                if tunnel.state is State.FAILED and not was_up:
                    client.call("down", {"name": name})
                    raise _closed_after(failure_of(tunnel), name)
        except DaemonUnreachable:
            raise TunnelError(
                f"{name} is closed: the daemon that held it has ended",
                hint="its log may say why: openclaw-tunnel logs; then bring it up again",
                exit_code=ExitCode.NOT_RUNNING,
            ) from None
        except (KeyboardInterrupt, SystemExit):
            shown.closing()
            with contextlib.suppress(TunnelError):  # gone already
                client.call("down", {"name": name}, CLOSE_DEADLINE)
            shown.closed()
            raise
        shown.closed()
    return ExitCode.OK


def _closed_after(error: RequestRefused, name: str) -> RequestRefused:
    """The error of a tunnel that was never up, and ends with the command."""
    return RequestRefused(str(error), hint=hint_without(name, error.hint), exit_code=error.exit_code)


def _exit_in_order(number: int, frame: object) -> None:
    """What a signal does in the foreground of a daemon that runs elsewhere; it ends the daemon itself the same way."""
    raise SystemExit(ExitCode.OK)
