"""What is on this computer: who has the local port, what the daemon says, which versions there are."""

import os
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata

from openclaw_tunnel import __version__
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import Forward, PortChoice
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.durations import duration
from openclaw_tunnel.core.wording.upgrade import to_change
from openclaw_tunnel.doctor.inputs import Asked, DaemonView, Plan
from openclaw_tunnel.doctor.report import Finding, Part, Remedy, Repair, fault, of_failure, ok, skipped, title, warning
from openclaw_tunnel.errors import ConfigError, DaemonUnreachable, TunnelError
from openclaw_tunnel.gateway.url import is_loopback, parse_url
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.relay.bind import BindFailed, bind
from openclaw_tunnel.service.manager import ManagerState
from openclaw_tunnel.ssh_config.query import find_ssh
from openclaw_tunnel.ui import tunnelrows

_BUSY = (State.CONNECTING, State.VERIFYING, State.STOPPING)


def look_at_daemon(asked: Asked) -> DaemonView:
    """Ask the daemon of this user, if one runs."""
    try:
        answer = client_of(asked.paths).call(Status(), timeout=5.0)
    except DaemonUnreachable:
        return DaemonView()
    except TunnelError as error:
        return DaemonView(trouble=error)
    return DaemonView(answer.daemon, answer.tunnels)


def port_checks(plan: Plan, daemon: DaemonView, state: ManagerState | None) -> Iterator[Finding]:
    """Whether the tunnel has its local ports, or could have them."""
    if daemon.trouble:  # it may be the one that has them, and cannot be asked
        yield skipped(Part.LOCAL_PORT, f"not checked: because of {title(Part.TUNNEL)}")
        return
    yield _main_check(plan, daemon, state)
    if state is None or not state.holds_ports:
        spec = plan.resolved.spec
        yield from filter(None, (_further_check(spec.name, forward, daemon) for forward in spec.forwards[1:]))


def _further_check(name: str, forward: Forward, daemon: DaemonView) -> Finding | None:
    """A forward beside the main one that could not be had; one that cannot keeps the whole tunnel from starting."""
    holder = _holder(str(forward.listen), daemon)
    if holder:
        return None if holder.name == name else _taken(str(forward.listen), holder)
    try:
        bind(forward).close()
    except BindFailed as refused:
        otherwise = "give that forward another port (forwards in tunnels.json5, or -L)"
        return of_failure(Part.LOCAL_PORT, refused.failure.with_facts(otherwise=otherwise))
    return None


def _holder(listen: str, daemon: DaemonView) -> Snapshot | None:
    return next((t for t in daemon.tunnels if any(f.listening and f.listen == listen for f in t.forwards)), None)


def _taken(listen: str, holder: Snapshot) -> Finding:
    facts = {"step": f"close it: openclaw-tunnel down {holder.name}", "listen": listen}
    message = f"local port {listen} is in use by tunnel {holder.name}"
    return of_failure(Part.LOCAL_PORT, Failure(Code.PORT_IN_USE, message, facts))


def _main_check(plan: Plan, daemon: DaemonView, state: ManagerState | None) -> Finding:
    spec, main = plan.resolved.spec, plan.resolved.spec.main
    listen = str(main.listen)
    holder = _holder(listen, daemon)
    if holder and (holder.name, holder.target) == (spec.name, spec.address):
        return ok(Part.LOCAL_PORT, f"{listen} is the running tunnel's")
    if holder:
        return _taken(listen, holder)
    running = daemon.tunnel(spec.name)
    if spec.port_choice is not PortChoice.FIXED:
        held = running.forwards[0].listen if running else ""
        return ok(Part.LOCAL_PORT, f"{held} is the running tunnel's" if held else "the tunnel takes a free one")
    if state is not None and state.holds_ports:
        return ok(Part.LOCAL_PORT, f"{listen} is held by the service, which waits for its first client")
    try:
        bound = bind(main)
    except BindFailed as refused:
        return of_failure(Part.LOCAL_PORT, refused.failure)
    bound.close()
    if bound.note:
        hint = "stop what uses that address, or choose another local port: -p PORT, or -p auto"
        return warning(Part.LOCAL_PORT, f"{listen} is free; {bound.note}", hint, code=str(Code.PORT_IN_USE))
    return ok(Part.LOCAL_PORT, f"{listen} is free")


def url_check(plan: Plan, asked: Asked) -> Finding | None:
    """Where OpenClaw's own programs would not find the tunnel that is meant for them; else None."""
    settings, spec = plan.settings.openclaw, plan.resolved.spec
    named = asked.options.target or asked.options.name
    if named or settings.mode != "remote" or spec.port_choice is not PortChoice.FIXED:
        return None
    try:
        url = parse_url(settings.remote_url)
    except ConfigError:
        return None
    if not is_loopback(url.host) or url.port == spec.main.listen.port:
        return None
    message = (
        f"OpenClaw looks for the gateway on port {url.port} (gateway.remote.url), the tunnel has {spec.main.listen}"
    )
    there = f"{'wss' if url.secure else 'ws'}://{spec.main.listen}{url.path.partition('?')[0].rstrip('/')}"
    hint = f"tell OpenClaw: openclaw config set gateway.remote.url {there}"
    return warning(Part.LOCAL_PORT, message, hint, code="other_port")


def tunnel_check(name: str, daemon: DaemonView, address: str, *, way_is_well: bool, opener: str = "") -> Finding:
    """What the daemon sees, beside what was found here.

    Args:
        address: where the tunnel that was checked leads; empty where that is not known.
        way_is_well: from this shell, everything up to the gateway is.
        opener: the command that opens it; empty where none would, before something else is repaired.
    """
    if daemon.trouble:
        return fault(Part.TUNNEL, daemon.trouble.message, daemon.trouble.hint, code="daemon")
    tunnel = daemon.tunnel(name)
    if tunnel is None:
        others = ", ".join(t.name for t in daemon.tunnels)
        words = f"{name} does not run" + (f" (running: {others})" if others else "")
        return skipped(Part.TUNNEL, f"{words}; to open it: {opener}" if opener else words)
    if address and tunnel.target != address:
        return skipped(Part.TUNNEL, f"{name} runs, and leads to {tunnel.target}")
    lasts = f"{tunnel.state} for {duration(tunnelrows.lasted(tunnel, tunnelrows.utc_now()))}"
    if tunnel.state is State.UP:
        return ok(Part.TUNNEL, f"{name} is {lasts}, in pid {daemon.about.get('pid')}")
    said = f"{name} is {lasts}" + (f": {tunnel.failure.message}" if tunnel.failure else "")
    if not way_is_well:
        return skipped(Part.TUNNEL, f"{said} (that is no news: see above)")
    if tunnel.state in _BUSY:
        return warning(Part.TUNNEL, said, f"see how it goes on: openclaw-tunnel wait {name}", code=str(tunnel.state))
    code = tunnel.failure.code if tunnel.failure else str(tunnel.state)
    message = f"the daemon (pid {daemon.about.get('pid')}) sees it otherwise than this shell: {said}"
    repair = Repair(Remedy.RESTART_TUNNEL, name, f"Let tunnel {name} connect anew, with the SSH agent of this shell?")
    return fault(Part.TUNNEL, message, f"let it connect anew: openclaw-tunnel restart {name}", code=code, repair=repair)


def folder_checks(paths: Paths) -> Iterator[Finding]:
    """Folders of our own that a tunnel could not use; one that is not there yet is not made."""
    for folder in dict.fromkeys((paths.socket_path.parent, paths.state_dir, paths.log_dir)):
        try:
            if os.path.lexists(folder):
                ensure_private_dir(folder)
                continue
        except ConfigError as error:
            yield fault(Part.TUNNEL, error.message, error.hint, code=str(Code.CONFIG))
            continue
        parent = next(path for path in folder.parents if path.exists())
        if not os.access(parent, os.W_OK | os.X_OK):
            hint = f"let yourself write there (ls -ld {shlex.quote(str(parent))} says whose it is)"
            message = f"folder {folder} cannot be made: {parent} cannot be written to"
            yield fault(Part.TUNNEL, message, hint, code=str(Code.CONFIG))


def version_checks(daemon: DaemonView, env: Mapping[str, str], server: str, gateway: str) -> Iterator[Finding]:
    """Which versions there are, and whether the daemon is the one that is installed."""
    here = [f"openclaw-tunnel {__version__}", f"Python {platform.python_version()}"]
    here += [f"asyncssh {metadata.version('asyncssh')}", ssh_version(env)]
    there = [server, f"OpenClaw {gateway}" if gateway else ""]
    far = ", ".join(filter(None, there))
    yield ok(Part.VERSIONS, ", ".join(filter(None, here)) + (f"; there: {far}" if far else ""))
    running, installed = daemon.about.get("version"), daemon.about.get("installed") or __version__
    if running and running != installed:
        kept = next(iter(daemon.services), "")
        question = f"Restart the service of {kept}? Its clients have to connect again."
        yield warning(
            Part.VERSIONS,
            f"version {installed} is installed, and {running} still runs (pid {daemon.about.get('pid')})",
            f"to change: {to_change(daemon.services)}",
            code="old_version",
            repair=Repair(Remedy.RESTART_SERVICE, kept, question) if kept else None,
        )


def ssh_version(env: Mapping[str, str]) -> str:
    """``OpenSSH_9.2p1``; empty where ssh does not say."""
    try:
        ssh = find_ssh(env, platform.system().lower())
        done = subprocess.run([ssh, "-V"], capture_output=True, text=True, timeout=5, check=False, env=dict(env))
    except (ConfigError, OSError, subprocess.SubprocessError):
        return ""
    return done.stderr.strip().partition(",")[0].partition(" ")[0]
