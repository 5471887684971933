"""``trust``: show a host's key and remember it."""

import click

from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.cli.params import check_fingerprint
from openclaw_tunnel.ui import output


@click.command()
@click.argument("target")
@click.option("-F", "--ssh-config", default="", metavar="FILE", help="ssh_config to read instead of yours.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), metavar="PORT", help="The host's SSH port.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="Remember the key only if it is this one.")
@click.option("--replace", is_flag=True, help="Remember it in place of an old key.")
@click.option("--yes", is_flag=True, help="Do not ask: this network is trusted.")
def trust(target: str, ssh_config: str, port: int | None, fingerprint: str, replace: bool, yes: bool) -> None:
    """Show the key of the host that TARGET leads to, and remember it in known_hosts.

    Compare the fingerprint with one that you got in another way: on the host itself, ssh-keygen -l -f
    /etc/ssh/ssh_host_ed25519_key.pub prints it.
    """
    check_fingerprint(fingerprint)
    # Imported late: asyncssh takes longer to load than --help takes to show.
    from openclaw_tunnel.actions import trust_key
    from openclaw_tunnel.ssh.hostkeys.trust import where_to_write

    found = trust_key.look_at_key(target, ssh_config=ssh_config, port=port)
    output.say(*trust_key.described(found))
    if replace and found.failure and trust_key.has_changed(found):
        output.say(f"note  {found.failure.message}")
    if trust_key.check_key(found, fingerprint, replace):
        output.say(f"known already: {found.verdict.entries[0].place}")
        return
    output.say(f"file  {where_to_write(found)}")
    if not fingerprint and not yes:
        trust_key.agree_to_key(found, agree)
    trust_key.remember_key(found, replace=replace)
    output.say("remembered")
