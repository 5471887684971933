"""How something that was asked for ended, shown, with the exit code for it: the same for all who ask."""

from typing import TYPE_CHECKING

from openclaw_tunnel.control.follow import failure_of, goes_on
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output, tunnelrows

if TYPE_CHECKING:  # wait and restart open nothing
    from openclaw_tunnel.actions.agreement import Agree
    from openclaw_tunnel.actions.install_service import Installed
    from openclaw_tunnel.actions.open_tunnel import Opened
    from openclaw_tunnel.host.paths import Paths


def show_opened(opened: "Opened") -> ExitCode:
    """Show a tunnel that was asked for.

    Raises:
        TunnelError: it is not known how the attempt ended.
    """
    for note in opened.notes:
        output.note(note)
    if opened.unsettled is not None:
        raise opened.unsettled
    if not opened.was_up:
        return show_outcome(opened.tunnel)
    output.print_rows([output.rows_of(opened.tunnel)])
    return ExitCode.OK


def show_outcome(tunnel: Snapshot) -> ExitCode:
    """Show how an attempt ended that should have brought ``tunnel`` up."""
    if tunnel.state is State.UP:
        output.say(tunnelrows.change(tunnel))
        for note in tunnelrows.notes(tunnel):
            output.note(note)
        return ExitCode.OK
    failure = failure_of(tunnel)
    output.print_error(failure)
    output.note(goes_on(tunnel))
    return failure.exit_code


def show_installed(installed: "Installed", paths: "Paths", agree: "Agree", *, yes: bool) -> ExitCode:
    """Show a service that was installed and, where it opens its tunnel now, how that went.

    Args:
        agree: asked about what makes the service better, unless ``yes`` says it.

    Raises:
        TunnelError: its tunnel does not show up, or nothing is known of it in time.
    """
    from openclaw_tunnel.actions.install_service import about_account, first_state, offer_linger

    for path in installed.replaced:
        output.say(f"replaced: {path} (a copy is in {installed.backup})")
    for path in installed.files:
        output.say(f"installed: {path}")
    for note in installed.notes:
        output.note(note)
    done, words = offer_linger(installed, agree, yes=yes)
    if words:
        (output.say if done else output.note)(words)
    tunnel = first_state(installed, paths)
    if tunnel is not None:
        return show_outcome(tunnel)
    output.say(f"{installed.spec.name}: {installed.manager.state(installed.spec.name).words}")
    if account := about_account(installed):
        output.note(account)
    return ExitCode.OK
