"""``setup``: from nothing to a running tunnel, in one command that can be called again at any time."""

import os
from dataclasses import replace
from functools import partial
from typing import Any

import click

from openclaw_tunnel.ask.options import read_secret
from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.cli.params import check_fingerprint
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.setup.steps import Options


def _port(text: str) -> int:
    port: int = click.IntRange(1, 65535)(text)
    return port


@click.command()
@click.argument("target", metavar="USER@HOST")
@click.option("--yes", is_flag=True, help="Do not ask; a new host key is believed.")
@click.option("--dry-run", is_flag=True, help="Look, and say what would be done; change nothing.")
@click.option("-p", "--local-port", type=_port, metavar="PORT", help="Local port.  [default: the gateway's, if free]")
@click.option("-r", "--remote-port", type=_port, metavar="PORT", help="Gateway's port.  [default: as it says there]")
@click.option("-i", "--identity", metavar="FILE", help="Private key to log in with.")
@click.option("-F", "--ssh-config", metavar="FILE", help="ssh_config to read, now and later.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="The host's key has to be this one.")
@click.option("--password-file", metavar="FILE", help="Password of the first login ('-': stdin).")
@click.option("--token-file", metavar="FILE", help="The gateway's token ('-': stdin).")
@click.option("--no-token", is_flag=True, help="Leave the token alone.")
@click.option("--replace", is_flag=True, help="What is set for another gateway makes way.")
@click.option("--no-service", is_flag=True, help="No service: not opened at every login.")
@click.option("--no-open", is_flag=True, help="Do not open the Control UI.")
def setup(target: str, no_open: bool, password_file: str | None, **given: Any) -> int:
    """From nothing to a running tunnel: host key, login by key, the gateway's port
    and token, openclaw.json, a service. What is there already is kept.
    """
    options = _options(target, password_file, given)
    password = read_secret(password_file, "--password-file") if password_file else None
    return _set_up(options, password, no_open)


def _options(target: str, password_file: str | None, given: dict[str, Any]) -> Options:
    check_fingerprint(given["fingerprint"])
    token_file = given.pop("token_file")
    if token_file and given["no_token"]:
        raise UsageError("--token-file and --no-token exclude each other", hint="give one of them")
    if [token_file, password_file].count("-") > 1:
        raise UsageError("standard input can be read once only", hint="give one of them as a file")
    if given["ssh_config"] == "none":
        raise UsageError("-F none cannot be kept", hint="name a file, or set OPENCLAW_TUNNEL_SSH_CONFIG=none")
    files = UpOptions(identity=given.pop("identity"), ssh_config=given.pop("ssh_config"))
    token = read_secret(token_file, "--token-file")
    return Options(
        target,
        identity=files.identity or "",
        ssh_config=files.ssh_config or "",
        token=Secret(token) if token else None,
        **given,
    )


def _set_up(options: Options, password: str | None, no_open: bool) -> int:
    # Imported late: asyncssh takes longer to load than --help takes to show.
    from openclaw_tunnel.setup.computer import ThisComputer
    from openclaw_tunnel.setup.flow import set_up
    from openclaw_tunnel.setup.prompts import Prompts, find_terminal
    from openclaw_tunnel.setup.remote import RemoteHost
    from openclaw_tunnel.setup.report import show_step

    env, paths = dict(os.environ), Paths.from_env(os.environ)
    terminal = find_terminal()
    options = replace(options, can_ask=terminal is not None and not options.yes)
    prompts = Prompts(yes=options.yes, terminal=terminal, password=None if password is None else lambda: password)

    make_host = partial(RemoteHost, options.target, env=env)
    show = partial(show_step, home=env.get("HOME", ""))
    opens = terminal is not None and not no_open
    computer = ThisComputer(env, paths, agree)
    return set_up(options, make_host, computer, prompts, show, env=env, paths=paths, opens=opens)
