"""Completion in the shells themselves: what bash, zsh and fish offer, and what stands on the line after TAB."""

import json
from collections.abc import Iterator

import pytest

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from support.cli import Cli
from support.fakedaemon import FakeDaemon, serving
from support.shells import Terminal, install, run

RUNS = Snapshot(
    "runs", State.UP, "2026-11-22T06:00:01Z", "me@gw.example:22", "gw", (ForwardStatus("127.0.0.1:1", "h:2", True),)
)

OFFERED = {
    "openclaw-tunnel st": ["status"],
    "openclaw-tunnel service sta": ["start", "status"],
    "openclaw-tunnel status --j": ["--json"],
    "openclaw-tunnel up --probe ": ["gateway", "none", "tcp"],
    "openclaw-tunnel logs ": ["lab", "runs"],
    "openclaw-tunnel down ": ["runs"],
    "openclaw-tunnel up ": ["gateway-host", "lab"],
    "openclaw-tunnel completion z": ["zsh"],
    "openclaw-tunnel demo ": [],
}

# Asks the function that bash calls, with the variables that bash sets.
BASH = """
eval "$(openclaw-tunnel completion bash)"
complete -p openclaw-tunnel | grep -q -- '-F _openclaw_tunnel' || echo not registered
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    _openclaw_tunnel openclaw-tunnel
    echo "$COMP_LINE=${COMPREPLY[*]}"
done
"""

# zsh's own functions are told apart from ours by what they are handed.
ZSH = """
compdef() { registered=$1 }
_describe() { local -a items=("${(@P)2}"); offered=("${(@)items%%:*}") }
source <(openclaw-tunnel completion zsh)
[[ $registered == _openclaw-tunnel ]] || echo not registered
while IFS= read -r line; do
    words=("${(@s: :)line}") offered=()
    CURRENT=$#words PREFIX=$words[-1]
    _openclaw-tunnel
    print -r -- "$line=$offered"
done
"""

FISH = """
openclaw-tunnel completion fish | source
while read -l line
    set -l offered (complete -C "$line" | string split -f1 \\t)
    echo "$line=$offered"
end
"""


@pytest.fixture
def user(cli: Cli) -> Iterator[Cli]:
    """A user with two hosts, settings of one tunnel, and another that runs."""
    cli.tunnel_home.mkdir(mode=0o700)
    (cli.home / "ssh_config").write_text("Host gateway-host lab *.example\n")
    (cli.home / "id_test").touch()
    (cli.tunnel_home / "tunnels.json5").write_text(json.dumps({"tunnels": {"lab": {"target": "lab"}}}))
    with serving(cli.tunnel_home, FakeDaemon([RUNS])):
        yield cli


@pytest.mark.parametrize(
    ("shell", "script"),
    [(["bash", "--norc"], BASH), (["zsh", "-f"], ZSH), (["fish", "--no-config"], FISH)],
    ids=["bash", "zsh", "fish"],
)
def test_what_is_offered(user: Cli, shell: list[str], script: str) -> None:
    said = run(shell, script, install(user), "".join(f"{line}\n" for line in OFFERED))
    found = {line.partition("=")[0]: sorted(line.partition("=")[2].split()) for line in said.splitlines()}
    assert found == OFFERED


def test_fish_finds_a_program_in_the_home(user: Cli) -> None:
    said = run(["fish", "--no-config"], FISH, install(user), "~/bin/openclaw-tunnel completion z\n")
    assert said == "~/bin/openclaw-tunnel completion z=zsh\n"


TYPED = {
    "stat": "status",
    "up me@gat": "up me@gateway-host",
    'up "me@gat': "up me@gateway-host",
    "up --probe=t": "up --probe=tcp",
    "up -i id_": "up -i id_test",
    "up --identity=id_": "up --identity=id_test",
}
"""What is typed, and what the line after TAB means."""


@pytest.mark.parametrize(
    ("shell", "file", "lines"),
    [
        (["bash", "--noprofile", "--rcfile", ".rc", "-i"], ".rc", 'eval "$(openclaw-tunnel completion bash)"'),
        (["zsh", "-i"], ".zshrc", "source <(openclaw-tunnel completion zsh)"),
        (["zsh", "-i"], ".zshrc", "fpath+=~/functions; autoload -Uz compinit && compinit -u"),
    ],
    ids=["bash", "zsh", "zsh-autoload"],
)
def test_what_stands_on_the_line_after_tab(user: Cli, shell: list[str], file: str, lines: str) -> None:
    (user.home / "functions").mkdir()
    (user.home / "functions/_openclaw-tunnel").write_text(user("completion", "zsh").stdout)
    (user.home / file).write_text(f"PS1=\nunset zle_bracketed_paste\n{lines}\n")
    with Terminal(shell, install(user), user.home) as terminal:
        for typed, line in TYPED.items():
            terminal.line_after(f"openclaw-tunnel {typed}\t", f"openclaw-tunnel {line}")
        terminal.line_after("~/bin/openclaw-tunnel stat\t", f"{user.home}/bin/openclaw-tunnel status")
