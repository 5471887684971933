"""``trust``: show a host's key and remember it."""

import click

from openclaw_tunnel.actions.trust_key import (
    agree_to_key,
    check_fingerprint,
    check_key,
    described,
    file_of,
    has_changed,
    look_at_key,
    remember_key,
)
from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output


@click.command()
@click.argument("target")
@click.option("-F", "--ssh-config", default="", metavar="FILE", help="ssh_config to read instead of yours.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), metavar="PORT", help="The host's SSH port.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="Remember the key only if it is this one.")
@click.option("--replace", is_flag=True, help="Remember it in place of an old key.")
@click.option("--yes", is_flag=True, help="Do not ask: this network is trusted.")
def trust(target: str, ssh_config: str, port: int | None, fingerprint: str, replace: bool, yes: bool) -> int:
    """Show the key of the host that TARGET leads to, and remember it in known_hosts.

    Compare the fingerprint with one that you got in another way: on the host itself, ssh-keygen -l -f
    /etc/ssh/ssh_host_ed25519_key.pub prints it.
    """
    check_fingerprint(fingerprint)
    found = look_at_key(target, ssh_config=ssh_config, port=port)
    for line in described(found):
        output.say(line)
    if replace and found.failure and has_changed(found):
        output.say(f"note  {found.failure.message}")
    if check_key(found, fingerprint, replace):
        output.say(f"known already: {found.verdict.entries[0].place}")
        return ExitCode.OK
    output.say(f"file  {file_of(found)}")
    if not fingerprint and not yes:
        agree_to_key(found, agree)
    remember_key(found, replace=replace)
    output.say("remembered")
    return ExitCode.OK
