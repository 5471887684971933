"""``demo``: see a tunnel work on this computer."""

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C.")
def demo(keep: bool) -> int:
    """See a tunnel work on this computer, outage and recovery included.

    An SSH server and a small gateway run inside this command; the tunnel between them is a real one. It needs no
    network, no key, no agent and no ssh_config of yours, and leaves nothing behind. Exits 0 only if everything it
    shows has really happened.
    """
    from openclaw_tunnel.demo.run import run  # late: asyncssh takes longer to load than most commands take to run

    return run(keep)
