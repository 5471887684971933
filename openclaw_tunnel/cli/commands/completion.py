"""``completion``: the script that a shell sources, and the hidden command that the script asks at each TAB."""

import contextlib
import re
import shlex
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from openclaw_tunnel.cli.completers import completers
from openclaw_tunnel.cli.shellscripts import SCRIPTS
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output

_KINDS = {"file": "files", "dir": "folders"}
_BREAKS = " \t\n\"'@><=;|&(:"
"""Where bash begins a new word unless told otherwise."""

_KEPT = ("@", "$")
"""Breaks that belong to the word after them: readline's rl_special_prefixes as bash sets it."""


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> int:
    """Print the script that completes openclaw-tunnel in SHELL.

    \b
    bash  ~/.bashrc       eval "$(openclaw-tunnel completion bash)"
    zsh   ~/.zshrc        source <(openclaw-tunnel completion zsh)
    fish  ~/.config/fish/completions/openclaw-tunnel.fish is its place

    Completes commands, options and their values, tunnels that run or have settings or a history, and hosts of
    ssh_config and known_hosts. bash 3.2, as macOS has it, will do.
    """
    output.say(SCRIPTS[shell].rstrip("\n"))
    return ExitCode.OK


@click.command(hidden=True)
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def complete(shell: str, words: tuple[str, ...]) -> int:
    """What a completion script asks: bash gives its line and where it breaks words, the others their words.

    Whatever goes wrong, nothing is said: a person is in the middle of a line.
    """
    with contextlib.suppress(Exception):
        output.say("\n".join(bash_lines(*words) if shell == "bash" else lines(words)))
    return ExitCode.OK


def lines(words: Sequence[str]) -> list[str]:
    """The answer to words, the last of which is not finished: the first line as the scripts have it, then items."""
    prefix = _prefix(words[-1]) if words else ""
    items = candidates(words)
    kinds = {_KINDS[item.type] for item in items if item.type in _KINDS}
    if kinds:
        return [f"{kinds.pop()}\t{prefix}"]
    return [f"words\t{prefix}", *(f"{item.value}\t{_about(item)}" for item in items)]


def bash_lines(line: str, breaks: str = _BREAKS) -> list[str]:
    """The answer to a line of bash up to the cursor: as ``lines``, each item as bash puts it after the last break."""
    words, quoted = _split(line)
    head, *items = lines(words[1:])
    kind, _, prefix = head.partition("\t")
    if quoted:
        return [kind, *(prefix + item.partition("\t")[0] for item in items)]
    last = max((words[-1].rfind(one) for one in breaks), default=-1)
    start = last if words[-1][last : last + 1] in _KEPT else last + 1
    return [kind, *((prefix + item.partition("\t")[0])[start:] for item in items)]


def _split(line: str) -> tuple[list[str], bool]:
    """The words of a line as a shell sees them, and whether the last one is in quotes that are still open.

    Raises:
        ValueError: they were opened within the word, or it ends in a backslash.
    """
    for end in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            words = shlex.split(line + end)
            if end and not line[: line.rindex(end)][-1:].isspace():
                break
            return (words if end or not line[-1:].isspace() else [*words, ""]), bool(end)
    raise ValueError("nobody can say how this word goes on")


def candidates(words: Sequence[str]) -> list[CompletionItem]:
    """What the last of the words can become."""
    from openclaw_tunnel.cli.registry import PROGRAM, commands

    *before, word = words or [""]
    with completers(commands, before):
        return ShellComplete(commands, {}, PROGRAM, "").get_completions(before, word)


def _prefix(word: str) -> str:
    """``--name=`` of ``--name=d``: what the values come after."""
    return word[: word.index("=") + 1] if word.startswith("--") and "=" in word else ""


def _about(item: CompletionItem) -> str:
    """The first sentence about an item, on one line."""
    text = " ".join((item.help or "").split())
    return re.split(r"(?<=[a-z)])\. |; | \[", text)[0].removesuffix(".")
