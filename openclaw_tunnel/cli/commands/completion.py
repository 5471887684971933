"""``completion``: the script that a shell sources, and the hidden command that the script asks at each TAB."""

import contextlib

import click

from openclaw_tunnel.cli.completion import bash_lines, lines
from openclaw_tunnel.cli.shellscripts import SCRIPTS
from openclaw_tunnel.ui import output


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> None:
    """Print the script that completes openclaw-tunnel in SHELL.

    \b
    bash  ~/.bashrc       eval "$(openclaw-tunnel completion bash)"
    zsh   ~/.zshrc        source <(openclaw-tunnel completion zsh)
    fish  ~/.config/fish/completions/openclaw-tunnel.fish is its place

    Completes commands, options and their values, tunnels that run or have settings or a history, and hosts of
    ssh_config and known_hosts. bash 3.2, as macOS has it, will do.
    """
    output.say(SCRIPTS[shell].rstrip("\n"))


@click.command(hidden=True)
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def complete(ctx: click.Context, shell: str, words: tuple[str, ...]) -> None:
    """What a completion script asks: bash gives its line and where it breaks words, the others their words.

    Whatever goes wrong, nothing is said: a person is in the middle of a line.
    """
    with contextlib.suppress(Exception):
        program = ctx.find_root()
        output.say("\n".join(bash_lines(program, *words) if shell == "bash" else lines(program, words)))
