"""Writes the manual page, openclaw-tunnel(1), from the commands themselves: ``make man``.

Text is roff with the macros of man(7), which groff (Linux) and mandoc (macOS, BSD, Alpine) both read.
"""

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping

import click

from openclaw_tunnel import __version__
from openclaw_tunnel.cli.examples import EXAMPLES
from openclaw_tunnel.cli.registry import PROGRAM, SECTIONS, commands
from openclaw_tunnel.errors import ExitCode

EXITS: Mapping[ExitCode, str] = {
    ExitCode.OK: "Done, or all is well.",
    ExitCode.NO: "The answer is no: not up, not healthy, a check failed.",
    ExitCode.USAGE: "Wrong usage, or something would have to be asked and there is no terminal.",
    ExitCode.NOT_RUNNING: "No tunnel of that name runs.",
    ExitCode.CONFIG: "The configuration cannot be used; file, line and key are named.",
    ExitCode.CREDENTIAL: "No usable credential, or a SecretRef that cannot be resolved.",
    ExitCode.UNREACHABLE: "The host is not reachable: name, refusal, timeout or route.",
    ExitCode.LOGIN: "The login was refused, or the key needs a passphrase, touch or PIN that nobody can give.",
    ExitCode.HOST_KEY: "The host key is unknown, changed or revoked.",
    ExitCode.LOCAL_PORT: "The local port is in use or not allowed.",
    ExitCode.FORWARDING: "The server forbids forwarding.",
    ExitCode.NOT_LISTENING: "SSH is fine, and nothing answers on the gateway's port.",
    ExitCode.GATEWAY_REFUSED: "The gateway refuses the credentials, or asks for pairing.",
    ExitCode.NOT_A_GATEWAY: "What answers is no OpenClaw gateway, or speaks another version of the protocol.",
    ExitCode.SERVICE: "launchctl or systemctl refused.",
    ExitCode.BUG: "A bug; the log has its traceback.",
    ExitCode.INTERRUPTED: "Interrupted.",
}

VARIABLES: Mapping[str, str] = {
    "OPENCLAW_TUNNEL_HOME": "One folder for everything in FILES that is this program's own.",
    "OPENCLAW_TUNNEL_SSH_CONFIG": "The ssh_config to read where -F is not given.",
    "OPENCLAW_CONFIG_PATH": "OpenClaw's settings file.",
    "OPENCLAW_STATE_DIR": "The folder of OpenClaw's settings and of this computer's paired device.",
    "OPENCLAW_PROFILE": "The profile of OpenClaw whose settings are meant.",
    "SSH_AUTH_SOCK": "The SSH agent, where ssh_config names no other.",
    "NO_COLOR": "If set, nothing is coloured.",
}

FILES: Mapping[str, str] = {
    "~/.config/openclaw-tunnel/tunnels.json5": "Tunnels by name, and the numbers of the behaviour.",
    "~/.local/state/openclaw-tunnel/": "Histories of tunnels, and the ports chosen for them.",
    "~/.local/state/openclaw-tunnel/log/openclaw-tunnel.log": "The log, rotated.",
    "~/Library/Application Support/openclaw-tunnel/": "Settings, histories and ports on macOS.",
    "~/Library/Logs/openclaw-tunnel/openclaw-tunnel.log": "The log on macOS.",
    "~/.ssh/config, ~/.ssh/known_hosts": "Read as ssh reads them.",
    "~/.openclaw/openclaw.json": "OpenClaw's settings: the gateway's port, its SSH target, its credentials.",
}

_ABOUT = """\
openclaw-tunnel opens an SSH tunnel to an OpenClaw Gateway, whose port listens on the loopback of its host, and keeps it
open through sleep, changes of networks and restarts of servers. The local port is taken once and stays; a client that
comes during an outage waits and is then served. Where the tunnel cannot be opened, every command says why and what to
do, and has an exit code for it.

TARGET is an alias of ssh_config, user@host, user@host:port, user@[v6]:port or ssh://user@host:port. Without one, the
tunnel in tunnels.json5 is meant, else gateway.remote.sshTarget of openclaw.json.

The first time: setup does all of it in one go. Step by step: trust remembers the host's key, up -d opens the tunnel,
service install opens it at every login."""


def page() -> str:
    """The whole manual page, as roff."""
    lines = [
        '.\\" Made by "make man" from the commands themselves: do not edit.',
        f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_text(PROGRAM)} \\- keeps SSH tunnels to an OpenClaw Gateway open",
        ".SH SYNOPSIS",
        f".B {_text(PROGRAM)}",
        ".I COMMAND",
        "[OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_paragraphs(_ABOUT),
        ".SH COMMANDS",
        "Every command tells its options with",
        f".BR {_text('--help')} .",
    ]
    with click.Context(commands, info_name=PROGRAM, **commands.context_settings) as context:
        for name in (name for entries in SECTIONS.values() for name in entries):
            command = commands.get_command(context, name)
            assert command is not None  # noqa: S101  it is in the table
            lines += _command(command, name, context)
    lines += ['.SH "EXIT STATUS"', *_list((str(int(code)), about) for code, about in EXITS.items())]
    lines += [".SH ENVIRONMENT", *_list(VARIABLES.items()), ".SH FILES", *_list(FILES.items())]
    lines += ['.SH "SEE ALSO"', ".BR ssh (1),", ".BR ssh_config (5),", ".BR ssh\\-keygen (1)"]
    return "\n".join(lines) + "\n"


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """A command, and below it those in it."""
    with click.Context(command, parent=parent, info_name=name) as context:
        path = context.command_path.removeprefix(f"{PROGRAM} ")
        pieces = " ".join(piece for piece in command.collect_usage_pieces(context))
        yield f'.SS "{_text(f"{path} {pieces}".replace(" [OPTIONS]", ""))}"'
        yield from _paragraphs(command.help or "")
        params = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
        yield from _list(record for param in params if (record := param.get_help_record(context)))
        if path in EXAMPLES:
            yield from (".PP", ".RS", ".nf", *(_text(f"{PROGRAM} {line}") for line in EXAMPLES[path]), ".fi", ".RE")
        if isinstance(command, click.Group):
            for inner in (command.commands[one] for one in command.list_commands(context)):
                if not inner.hidden:
                    yield from _command(inner, inner.name or "", context)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs; one that begins with the mark of click keeps its lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        lines = paragraph.strip("\n").split("\n")
        if number:
            yield ".PP"
        if lines[0].strip() == "\b":
            yield from (".nf", *(_text(line) for line in lines[1:]), ".fi")
        else:
            yield from _wrapped(" ".join(line.strip() for line in lines))


def _list(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, about in items:
        yield from (".TP", f".B {_text(term)}", *_wrapped(about))


def _wrapped(text: str) -> Iterator[str]:
    """Words that are filled, on lines of a length that roff asks for."""
    yield from map(_text, textwrap.wrap(" ".join(text.split()), 66, break_long_words=False, break_on_hyphens=False))


def _text(text: str) -> str:
    """Words that roff shows as they are."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    sys.stdout.write(page())
