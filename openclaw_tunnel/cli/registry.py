"""The list of commands, each imported when it is called."""

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from openclaw_tunnel import __version__
from openclaw_tunnel.cli.examples import epilog_of
from openclaw_tunnel.cli.jsoncommand import PROGRAM as PROGRAM
from openclaw_tunnel.cli.jsoncommand import usage_error
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.imports import uncollected


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is and how the list of commands shows it."""

    module: str
    attribute: str
    usage: str = ""
    about: str = ""


SECTIONS: dict[str, dict[str, Entry]] = {
    "Every day": {
        "up": Entry("up", "up", "[TARGET]", "open the tunnel and keep it open (-d: in the background)"),
        "status": Entry("status", "status", "[NAME]", "what is up, why not, what to do (--json, --watch, --history)"),
        "wait": Entry("wait", "wait", "[NAME]", "return when the tunnel is up (--timeout 30)"),
        "restart": Entry("restart", "restart", "[NAME]", "connect anew, keeping the local port"),
        "down": Entry("down", "down", "[NAME]", "close (--all)"),
        "logs": Entry("logs", "logs", "[NAME]", "what happened (-f follows)"),
        "open": Entry("open", "open_", "[NAME]", "the gateway's Control UI in the browser, signed in"),
    },
    "The gateway, through the tunnel": {
        "health": Entry("health", "health", "", "the gateway's own health (--json)"),
        "probe": Entry("probe", "probe", "", "which layer fails? what may these credentials do? (--json)"),
        "call": Entry("call", "call", "METHOD", "any gateway method (--params JSON)"),
    },
    "Set up": {
        "setup": Entry("setup", "setup", "USER@HOST", "from nothing to a running tunnel, in one command"),
        "trust": Entry("trust", "trust", "HOST", "show a host's key and remember it"),
        "doctor": Entry("doctor", "doctor", "[TARGET]", "check every layer, say what to do (--fix, --json)"),
        "config": Entry("config", "config", "", "the settings, and where they come from (show, path, check)"),
        "service": Entry(
            "service", "service", "COMMAND", "the tunnel at login, for good (install, status, print, ...)"
        ),
        "link": Entry("link", "link", "", "make `openclaw tunnel ...` work in the OpenClaw CLI"),
        "unlink": Entry("link", "unlink", "", "undo link"),
        "demo": Entry("demo", "demo", "", "see it work without any remote host"),
        "completion": Entry("completion", "completion", "SHELL", "complete commands and names (bash, zsh, fish)"),
    },
}
HIDDEN = {"daemon": Entry("daemon", "daemon"), "complete": Entry("completion", "complete")}


class Commands(click.Group):
    """The commands of ``SECTIONS``, imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command that is shown, in the order it is shown in."""
        return [name for entries in SECTIONS.values() for name in entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        known = {name: entry for entries in (*SECTIONS.values(), HIDDEN) for name, entry in entries.items()}
        if cmd_name not in known:
            return None
        entry = known[cmd_name]
        with uncollected():
            command = getattr(importlib.import_module(f"openclaw_tunnel.cli.commands.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)  # noqa: S101  a table entry that leads nowhere is our bug
        _give_examples(command, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, or options; no command is imported for it."""
        about = {name: entry.about for entries in SECTIONS.values() for name, entry in entries.items()}
        found = [CompletionItem(name, help=text) for name, text in about.items() if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without an empty line: with what to type before them, all of it fits one screen."""
        formatter.write(f"Usage: {ctx.command_path} COMMAND    (COMMAND -h tells the rest; --version)\n{self.help}\n")
        rows = {
            section: [(f"{name} {entry.usage}".strip(), entry.about) for name, entry in entries.items()]
            for section, entries in SECTIONS.items()
        }
        widest = max(len(usage) for entries in rows.values() for usage, _ in entries)
        for section, entries in rows.items():
            formatter.write(f"{section}\n")
            formatter.write("".join(f"  {usage:<{widest}}  {about}\n" for usage, about in entries))


@click.group(
    cls=Commands,
    options_metavar="",
    subcommand_metavar="COMMAND",
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Keep SSH tunnels to an OpenClaw Gateway open, and say why when they are not."""


def run(arguments: list[str]) -> int:
    """Run one command; its exit code, which is that of success for one that returns nothing.

    Raises:
        UsageError: there is no such command, or it is not used that way.
        KeyboardInterrupt: the user interrupted it.
        TunnelError: what the command raised.
    """
    try:
        if not arguments:
            with click.Context(commands, info_name=PROGRAM, **commands.context_settings) as context:
                click.echo(commands.get_help(context), err=True)
            return ExitCode.USAGE
        # not commands.main(): that takes Ctrl-C and broken pipes into its own hands
        with commands.make_context(PROGRAM, arguments) as context:
            result: Any = commands.invoke(context)
    except click.exceptions.Exit as end:
        result = end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise usage_error(error) from None
    sys.stdout.flush()
    return result if isinstance(result, int) else ExitCode.OK


def _give_examples(command: click.Command, path: str) -> None:
    """Have the help of a command, and of those in it, end with their examples."""
    command.epilog = epilog_of(path, PROGRAM) or command.epilog
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _give_examples(inner, f"{path} {name}")
