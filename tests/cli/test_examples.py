"""``--help`` of every command: it fits a screen, and ends with examples that the command itself understands."""

import shlex
from collections.abc import Iterator

import click
import pytest

from openclaw_tunnel.cli.examples import EXAMPLES, epilog_of
from openclaw_tunnel.cli.main import main
from openclaw_tunnel.cli.registry import PROGRAM, commands

SCREEN, MOST = 24, 40
"""Lines of a help; the second where the options alone take more than a screen."""

LONG = frozenset({"up", "service install", "service print"})

_SHELL = {"&&", "|", ">"}
"""Where an example ends and the shell goes on."""


def paths(command: click.Command = commands, before: str = "") -> Iterator[str]:
    """Every command that is not hidden, as it is typed after the program's name."""
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                if not inner.hidden:
                    yield f"{before}{name}"
                    yield from paths(inner, f"{before}{name} ")


PATHS = list(paths())


def help_of(path: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main([*path.split(), "--help"]) == 0
    return capsys.readouterr().out.splitlines()


def examples_of(lines: list[str]) -> list[str]:
    """The lines below ``Example:``, without the program's name."""
    heads = [number for number, line in enumerate(lines) if line in ("  Example:", "  Examples:")]
    if not heads:
        return []
    shown = [line.strip() for line in lines[heads[-1] + 1 :] if line.strip()]
    assert all(line.startswith(f"{PROGRAM} ") for line in shown)
    return [line.removeprefix(f"{PROGRAM} ") for line in shown]


def understood(words: list[str], command: click.Command, path: str = "", parent: click.Context | None = None) -> str:
    """Have the parser of the command that the words lead to read them, as it does for a user; the command's path."""
    if not isinstance(command, click.Group):
        command.make_context(path, words, parent=parent).close()
        return path
    with click.Context(command, parent=parent, info_name=path or PROGRAM) as context:
        name, found, rest = command.resolve_command(context, words)
        assert found is not None
        return understood(rest, found, f"{path} {name}".strip(), context)


def words_of(example: str) -> list[str]:
    """Its words, up to where the shell goes on."""
    words = shlex.split(example)
    ends = [number for number, word in enumerate(words) if word in _SHELL]
    return words[: ends[0]] if ends else words


@pytest.mark.parametrize("path", PATHS)
def test_help_fits_a_screen(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(path, capsys)
    assert len(lines) <= (MOST if path in LONG else SCREEN)
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("path", PATHS)
def test_every_command_has_an_example_that_it_understands(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = examples_of(help_of(path, capsys))
    assert examples != []
    for example in examples:
        told = understood(words_of(example), commands)
        assert f"{told} ".startswith(f"{path} ")


def test_every_example_is_shown() -> None:
    """Those of a command that was renamed would be shown nowhere."""
    assert set(EXAMPLES) <= set(PATHS)


def test_a_wrong_example_is_found() -> None:
    with pytest.raises(click.NoSuchOption):
        understood(words_of("status --fly > file"), commands)
    with pytest.raises(click.UsageError):
        understood(words_of("service fly"), commands)
    assert understood(words_of("service start lab && x"), commands) == "service start"


def test_the_head_counts() -> None:
    assert epilog_of("status", "p") == "\b\nExamples:\n  p status\n  p status lab --history\n  p status --json"
    assert epilog_of("restart", "p") == "\b\nExample:\n  p restart lab"
    assert epilog_of("fly", "p") is None
