"""``open``: the gateway's Control UI in the browser, through the tunnel, signed in."""

import os
import pwd
from collections.abc import Mapping
from typing import Any

import click

from openclaw_tunnel.ask.options import read_question
from openclaw_tunnel.control.follow import can_try, client_of, failure_of, pick, settle, snapshots
from openclaw_tunnel.controlui.browser import browsers, show
from openclaw_tunnel.controlui.gateway import Gateway, Page
from openclaw_tunnel.controlui.page import page_url
from openclaw_tunnel.controlui.ticket import Ticket
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot, Verdict
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output, progress, tunnelrows

BROWSER_TIMEOUT = 30.0
"""Seconds for a browser to start and fetch the page."""

_SETTLE = 15.0
"""Seconds for a tunnel that is just coming up."""

_ASK_TIMEOUT = 10.0
"""Seconds for the gateway to say what is wrong."""

_GOING = frozenset({State.CONNECTING, State.VERIFYING, State.BACKOFF, State.FAILED})
"""States that a moment's patience, or another try, makes something of."""


@click.command(name="open")
@click.argument("name", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address, without token, and open nothing.")
@click.option("--token-file", metavar="FILE", help="Token to sign in with ('-': standard input).")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=BROWSER_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="For the browser to come.",
)
def open_(name: str | None, only_print: bool, token_file: str | None, timeout: float) -> int:
    """Open the gateway's Control UI in the browser, through the tunnel NAME, signed in.

    The token is that of health. No list of processes, log or terminal shows it; the browser's own history keeps the
    address it came with, as it does for a link of "openclaw dashboard". A password is typed into the page.

    Exits 0 when the browser has come, 1 if none does, else with the code of what is wrong.
    """
    return open_control_ui(name, only_print=only_print, token_file=token_file, timeout=timeout)


def open_control_ui(
    name: str | None = None,
    *,
    only_print: bool = False,
    token_file: str | None = None,
    timeout: float = BROWSER_TIMEOUT,
) -> int:
    """What ``open`` does; 0 when the browser has come for the page.

    Args:
        name: of the tunnel; None: the one that runs.
        only_print: print the address without token, whatever state the tunnel is in.
        token_file: of ``--token-file``; None: the token of OpenClaw's settings.
        timeout: seconds for the browser.

    Raises:
        TunnelError: no such tunnel runs (exit code 3) or it is not up (that of its failure); the gateway refuses the
            token (31); settings or credentials cannot be used (10, 11); there is no browser, or it did not come (1).
    """
    paths = Paths.from_env(os.environ)
    question = _question(token_file)
    client = client_of(paths)
    tunnel = pick(snapshots(client.call("status")), name)
    if only_print:
        origin = _origin(tunnel)
        up = tunnel.state is State.UP
        output.say(page_url(origin, Gateway(client, tunnel, origin, question).base_path(paths) if up else ""))
        return ExitCode.OK
    if (tunnel.state in _GOING and can_try(tunnel)) or tunnel.gateway.verdict is Verdict.STARTING:
        tunnel = settle(client, tunnel.name, _SETTLE, asks=True)
    if tunnel.state is not State.UP:
        raise failure_of(tunnel)
    with progress.working("asking the gateway for its Control UI"):
        page = Gateway(client, tunnel, _origin(tunnel), question).page(paths)
    return _open(page, timeout, os.environ)


def _question(token_file: str | None) -> dict[str, Any]:
    given = dict.fromkeys(("url", "token", "password_file", "name", "direct", "device"))
    return read_question(
        "call",
        {**given, "device": False, "timeout": _ASK_TIMEOUT, "token_file": token_file},
        method="config.get",
        params={},
    )


def _origin(tunnel: Snapshot) -> str:
    """``http://host:port`` of the tunnel."""
    forward = tunnel.forwards[0]
    origin = tunnelrows.url(forward)
    if not origin.startswith("http"):
        raise TunnelError(
            f"{tunnel.name} listens on a socket, {forward.listen}, which browsers cannot open",
            hint=f"give it a local port: openclaw-tunnel down {tunnel.name}, then up -p PORT",
        )
    return origin


def _open(page: Page, timeout: float, env: Mapping[str, str]) -> int:
    commands = browsers(env)
    if not commands:
        named = env.get("BROWSER", "")
        why = f"; BROWSER names none: {named}" if named else ""
        raise TunnelError(f"there is no browser here that could be started{why}", hint=_by_hand(page))
    with progress.working("waiting for the browser"), Ticket(page.location) as ticket:
        came = show(ticket.url, commands, ticket, timeout)
    for uid in list(ticket.turned_away):
        output.warn(f"{_user(uid)} tried to fetch the link that was made for your browser, and was turned away")
    if not came:
        tried = ", ".join(dict.fromkeys(command[0] for command in commands))
        raise TunnelError(f"no browser came for the page (tried: {tried})", hint=_by_hand(page))
    output.say(f"opened {page.url} in the browser" + ("" if page.signs_in else _asks(page)))
    return ExitCode.OK


def _by_hand(page: Page) -> str:
    """What to do without us; the token is shown nowhere."""
    return f"open it yourself, in a browser on this computer: {page.url}{_asks(page)}"


def _asks(page: Page) -> str:
    if not page.wants:
        return ""
    return f"; the page asks for the gateway's {page.wants}" + (f", as in {page.kept_in}" if page.kept_in else "")


def _user(uid: int | None) -> str:
    if uid is None:
        return "somebody"
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
