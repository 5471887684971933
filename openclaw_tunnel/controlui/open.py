"""Open the Control UI of the gateway behind a tunnel in the user's browser, signed in."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_tunnel.ask.gateway import usual_question
from openclaw_tunnel.control.follow import can_try, client_of, failure_of, pick, settle
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.controlui.browser import browsers, show
from openclaw_tunnel.controlui.gateway import Gateway, Page
from openclaw_tunnel.controlui.page import page_url
from openclaw_tunnel.controlui.ticket import Ticket
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot, Verdict
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import progress, tunnelrows

BROWSER_TIMEOUT = 30.0
"""Seconds for a browser to start and fetch the page."""

_SETTLE = 15.0
"""Seconds for a tunnel that is just coming up."""

_GOING = frozenset({State.CONNECTING, State.VERIFYING, State.BACKOFF, State.FAILED})
"""States that a moment's patience, or another try, makes something of."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of a page that a browser was to show.

    Attributes:
        error: why no browser shows it, with what to do by hand.
        turned_away: what to say of users who tried to fetch the link that was made for the browser.
    """

    page: Page
    error: TunnelError | None = None
    turned_away: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was done."""
        signed_in = self.page.location != self.page.url
        return f"opened {self.page.url} in the browser" + ("" if signed_in else _asks(self.page))


def open_control_ui(
    name: str | None, paths: Paths, env: Mapping[str, str], *, token_file: str | None = None, timeout: float
) -> Shown:
    """Show the page in a browser.

    Args:
        name: of the tunnel; None: the one that runs.
        env: says which browsers there are.
        token_file: of ``--token-file``; None: the token of OpenClaw's settings.
        timeout: seconds for the browser.

    Raises:
        TunnelError: no such tunnel runs (exit code 3) or it is not up (that of its failure); the gateway refuses the
            token (31); settings or credentials cannot be used (10, 11).
    """
    question = usual_question("call", token_file=token_file, method="config.get", params={})
    client = client_of(paths)
    tunnel = pick(client.call(Status()).tunnels, name)
    if (tunnel.state in _GOING and can_try(tunnel)) or tunnel.gateway.verdict is Verdict.STARTING:
        tunnel = settle(client, tunnel.name, _SETTLE, asks=True)
    if tunnel.state is not State.UP:
        raise failure_of(tunnel)
    with progress.working("asking the gateway for its Control UI"):
        page = Gateway(client, tunnel, _origin(tunnel), question).page(paths)
    return _show(page, timeout, env)


def address(name: str | None, paths: Paths, *, token_file: str | None = None) -> str:
    """The address of the page, without token, whatever state the tunnel is in.

    Raises:
        TunnelError: no such tunnel runs (exit code 3), or it listens on a socket.
    """
    question = usual_question("call", token_file=token_file, method="config.get", params={})
    client = client_of(paths)
    tunnel = pick(client.call(Status()).tunnels, name)
    origin = _origin(tunnel)
    up = tunnel.state is State.UP
    return page_url(origin, Gateway(client, tunnel, origin, question).base_path(paths) if up else "")


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


def _show(page: Page, timeout: float, env: Mapping[str, str]) -> Shown:
    commands = browsers(env)
    if not commands:
        named = env.get("BROWSER", "")
        why = f"; BROWSER names none: {named}" if named else ""
        return Shown(page, TunnelError(f"there is no browser here that could be started{why}", hint=_by_hand(page)))
    with progress.working("waiting for the browser"), Ticket(page.location) as ticket:
        came = show(ticket.url, commands, ticket.wait, timeout)
    turned_away = tuple(
        f"{_user(uid)} tried to fetch the link that was made for your browser, and was turned away"
        for uid in ticket.turned_away
    )
    tried = ", ".join(dict.fromkeys(command[0] for command in commands))
    error = None if came else TunnelError(f"no browser came for the page (tried: {tried})", hint=_by_hand(page))
    return Shown(page, error, turned_away)


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
