"""What a completion script gets at each TAB: the words that the last one on a command line can become."""

import contextlib
import re
import shlex
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from openclaw_tunnel.cli.completers import completers

_BREAKS = " \t\n\"'@><=;|&(:"
"""Where bash begins a new word unless told otherwise."""

_KEPT = ("@", "$")
"""Breaks that belong to the word after them: readline's rl_special_prefixes as bash sets it."""


def lines(program: click.Context, words: Sequence[str]) -> list[str]:
    """The answer to words, the last of which is not finished: the first line as the scripts have it, then items.

    Args:
        program: in which the words stand, the outermost of all contexts.
    """
    prefix = _prefix(words[-1]) if words else ""
    items = candidates(program, words)
    if any(item.type == "file" for item in items):
        return [f"files\t{prefix}"]
    return [f"words\t{prefix}", *(f"{item.value}\t{_about(item)}" for item in items)]


def bash_lines(program: click.Context, line: str, breaks: str = _BREAKS) -> list[str]:
    """The answer to a line of bash up to the cursor: as ``lines``, each item as bash puts it after the last break."""
    words, quoted = _split(line)
    head, *items = lines(program, words[1:])
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


def candidates(program: click.Context, words: Sequence[str]) -> list[CompletionItem]:
    """What the last of the words can become."""
    *before, word = words or [""]
    with completers(program.command, before):
        return ShellComplete(program.command, {}, program.info_name or "", "").get_completions(before, word)


def _prefix(word: str) -> str:
    """``--name=`` of ``--name=d``: what the values come after."""
    return word[: word.index("=") + 1] if word.startswith("--") and "=" in word else ""


def _about(item: CompletionItem) -> str:
    """The first sentence about an item, on one line."""
    text = " ".join((item.help or "").split())
    return re.split(r"(?<=[a-z)])\. |; | \[", text)[0].removesuffix(".")
