"""``completion``: what can stand where, for every command by itself, without a word when something is wrong."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from openclaw_tunnel.cli import completion
from openclaw_tunnel.cli.completers import Words, completers
from openclaw_tunnel.cli.registry import PROGRAM, SECTIONS, commands
from openclaw_tunnel.cli.shellscripts import SCRIPTS
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from support.cli import Cli, command, environment
from support.fakedaemon import FakeDaemon, serving

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("runs", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))


PROGRAM_CONTEXT = click.Context(commands, info_name=PROGRAM)


def lines(words: list[str]) -> list[str]:
    return completion.lines(PROGRAM_CONTEXT, words)


def bash_lines(*words: str) -> list[str]:
    return completion.bash_lines(PROGRAM_CONTEXT, *words)


def values(words: list[str]) -> list[str]:
    """The values without what is said about them."""
    head, *items = lines(words)
    assert head.startswith("words\t")
    return [item.partition("\t")[0] for item in items]


def asked(cli: Cli, *words: str) -> list[str]:
    """The answer to a shell, lines of it."""
    answer = cli("complete", "zsh", "--", *words)
    assert (answer.exit_code, answer.stderr) == (0, "")
    return answer.stdout.splitlines()


@pytest.fixture
def home(cli: Cli) -> Cli:
    """A user with an ssh_config, settings, and a history of a tunnel."""
    cli.tunnel_home.mkdir(mode=0o700)
    (cli.home / "ssh_config").write_text("Host gateway-host lab *.example\nHost ev;il $(x)\n")
    (cli.tunnel_home / "tunnels.json5").write_text(json.dumps({"tunnels": {"lab": {"target": "lab"}, "runs": {}}}))
    (cli.tunnel_home / "history-gone.jsonl").write_text("")
    return cli


def test_commands_and_subcommands() -> None:
    assert values([""]) == [name for entries in SECTIONS.values() for name in entries]
    assert values(["st"]) == ["status"]
    assert values(["service", "st"]) == ["start", "status", "stop"]
    assert "run" not in values(["service", ""])  # hidden
    assert values(["nonsense", ""]) == values([""])
    assert sorted(values(["-"])) == ["--help", "--version", "-h"]


def test_options_and_their_choices() -> None:
    assert {"--json", "--watch", "--history"} <= set(values(["status", "--"]))
    assert values(["up", "--probe", ""]) == ["gateway", "tcp", "none"]
    assert values(["service", "install", "--probe", "t"]) == ["tcp"]
    assert values(["up", "-p", ""]) == ["auto", "new"]
    assert values(["completion", ""]) == ["bash", "zsh", "fish"]
    assert values(["up", "--hold", ""]) == []


def test_a_value_behind_an_equals_sign() -> None:
    assert lines(["up", "--probe=t"]) == ["words\t--probe=", "tcp\t"]
    assert lines(["up", "--identity=/etc"]) == ["files\t--identity="]
    assert lines(["up", "-i", ""]) == ["files\t"]


def test_what_is_said_of_an_item_is_short() -> None:
    about = dict(item.split("\t") for item in lines(["up", "--"])[1:])
    assert about["--local-port"] == "Local port"
    assert about["--detach"] == "Run in the background"
    assert about["--bind"] == "Local address"


def test_names_of_tunnels(home: Cli) -> None:
    with serving(home.tunnel_home, FakeDaemon([UP])):
        everything = ["words\t", "runs\tup", "lab\tto lab", "gone\thas a history"]
        assert asked(home, "status", "") == everything
        assert asked(home, "service", "restart", "")[1:] == everything[1:]
        assert asked(home, "up", "-n", "l")[1:] == ["lab\tto lab"]
        assert asked(home, "health", "--name=r") == ["words\t--name=", "runs\tup"]
        assert asked(home, "down", "")[1:] == ["runs\tup"]


def test_a_daemon_that_hangs_is_not_waited_for(home: Cli) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    with serving(home.tunnel_home, FakeDaemon(status=never)):
        assert asked(home, "status", "")[1:] == ["lab\tto lab", "runs\ttunnels.json5", "gone\thas a history"]


def test_a_daemon_that_stands_still_is_not_waited_for(home: Cli) -> None:
    """Stopped, it accepts nothing: the kernel does, until its queue is full, and then nobody."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.tunnel_home / "control.sock"))
        listener.listen(0)
        assert asked(home, "down", "") == ["words\t"]
        assert asked(home, "down", "") == ["words\t"]


@pytest.mark.parametrize("words", [[""], ["st"], ["status", ""], ["down", ""], ["trust", "--"]])
def test_what_a_person_waits_for_imports_nothing_heavy(home: Cli, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, command("complete", "zsh", "--", *words)[1:])],
        env=environment(home.home),
        capture_output=True,
        text=True,
        timeout=30,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.stdout.startswith("words\t")
    assert "click" in imported
    assert imported & {"asyncssh", "tenacity", "websockets", "cryptography"} == set()


def test_hosts_where_a_target_is_wanted(home: Cli) -> None:
    assert asked(home, "up", "")[1:] == ["gateway-host\tssh_config", "lab\tssh_config"]
    assert asked(home, "trust", "gate")[1:] == ["gateway-host\tssh_config"]
    assert asked(home, "service", "install", "me@gate")[1:] == ["me@gateway-host\tssh_config"]
    assert asked(home, "up", "ssh://gate")[1:] == ["ssh://gateway-host\tssh_config"]
    assert asked(home, "up", "ssh://me@gate")[1:] == ["ssh://me@gateway-host\tssh_config"]


def test_another_ssh_config_is_looked_into(home: Cli) -> None:
    (home.home / "other").write_text("Host elsewhere\n")
    assert asked(home, "up", "-F", str(home.home / "other"), "")[1:] == ["elsewhere\tssh_config"]
    assert asked(home, "up", "-F", "none", "") == ["words\t"]


def test_profiles_of_openclaw(home: Cli) -> None:
    (home.home / ".openclaw-work").mkdir()
    assert asked(home, "config", "show", "--profile", "")[1:] == ["work\t"]


def test_broken_settings_complete_the_rest(home: Cli) -> None:
    (home.tunnel_home / "tunnels.json5").write_text("{ tunnels: ")
    assert asked(home, "logs", "")[1:] == ["gone\thas a history"]


def test_whatever_goes_wrong_nothing_is_said(home: Cli) -> None:
    """A line that is not finished, a folder that is not ours to read, no words at all."""
    unfinished = (['openclaw-tunnel up --probe="g'], ["openclaw-tunnel up g\\"])
    for words in (*unfinished, ["openclaw-tunnel status ", "", "more"], []):
        answer = home("complete", "bash", "--", *words)
        assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "", "")
    (home.home / "ssh_config").unlink()
    (home.home / "ssh_config").mkdir()
    nowhere = {"OPENCLAW_TUNNEL_SSH_CONFIG": str(home.home)}
    assert home("complete", "fish", "--", "up", "x", env=nowhere).stderr == ""


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("openclaw-tunnel stat", ["words", "status"]),
        ("openclaw-tunnel  service  sta", ["words", "start", "status"]),
        ("~/bin/openclaw-tunnel up --probe=g", ["words", "gateway"]),
        ("openclaw-tunnel up -i ~/.ss", ["files"]),
        ("openclaw-tunnel up --identity=~/.ss", ["files"]),
        ("openclaw-tunnel status --js", ["words", "--json"]),
        ("openclaw-tunnel 'stat", ["words", "status"]),
        ("openclaw-tunnel up -i '~/my ke", ["files"]),
    ],
)
def test_bash_gets_what_follows_its_last_break(line: str, answer: list[str]) -> None:
    assert bash_lines(line) == answer


def test_bash_keeps_the_at_sign_in_the_word(home: Cli) -> None:
    answer = home("complete", "bash", "--", "openclaw-tunnel up me@gat")
    assert answer.stdout == "words\n@gateway-host\n"
    answer = home("complete", "bash", "--", 'openclaw-tunnel up "me@gat')
    assert answer.stdout == "words\nme@gateway-host\n"  # there the word is all that follows the quote


def test_bash_breaks_where_it_is_told() -> None:
    assert bash_lines("openclaw-tunnel up --probe=g", " \t\n") == ["words", "--probe=gateway"]


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_a_script_says_at_its_top_how_it_is_used(cli: Cli, shell: str) -> None:
    answer = cli("completion", shell)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == SCRIPTS[shell]
    assert f"openclaw-tunnel completion {shell}" in "".join(answer.stdout.splitlines(keepends=True)[:4])


def walk(command: click.Command, path: str = PROGRAM) -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of every command."""
    yield from ((path, param) for param in command.params)
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner, f"{path} {name}")


def test_every_name_host_and_file_is_completed() -> None:
    """By its metavar: whoever writes a command need not think of it."""
    found = 0
    for path, param in walk(commands):
        wanted = {"NAME", "TARGET", "HOST", "USER@HOST", "FILE"}
        if (param.metavar or param.name or "").upper() in wanted and not getattr(param, "is_flag", False):
            before = param.type
            with completers(commands, path.split()[1:]):
                assert isinstance(param.type, Words | click.Path), f"{path}: {param}"
            assert param.type is before
            found += 1
    assert found > 20


def test_flags_take_no_value() -> None:
    command = click.Command("x", params=[click.Option(["--file"], is_flag=True, metavar="FILE")])
    before = command.params[0].type
    with completers(command, []):
        assert command.params[0].type is before


def test_a_type_that_knows_its_values_is_left_alone() -> None:
    """A port that must be a number is not offered the words that some ports may be."""
    options: list[click.Parameter] = [
        click.Option(["--local-port"], type=click.IntRange(1)),
        click.Option(["--file"], type=click.Path()),
    ]
    command = click.Command("x", params=options)
    before = [param.type for param in command.params]
    with completers(command, []):
        assert [param.type for param in command.params] == before
