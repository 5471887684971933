"""Commands whose ``--json`` is one object, whatever happens."""

import json
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from openclaw_tunnel.errors import ExitCode, TunnelError, UsageError, failure_json
from openclaw_tunnel.ui import output

PROGRAM = "openclaw-tunnel"

# What a terminal may take for a command, or cannot show: written the way JSON escapes it.
_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonCommand(click.Command):
    """A command whose ``--json`` is one object, also where no answer comes about."""

    no_answer: Mapping[str, Any] = MappingProxyType({"ok": False, "verdict": "unknown"})
    """What the object says beside ``failure`` then."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options; the exit code of a usage error is 2."""
        as_json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if not as_json:
                raise
            raise click.exceptions.Exit(self._print_error(usage_error(error))) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Carry it out."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, click.exceptions.Exit):
            raise
        except TunnelError as error:
            if not ctx.params.get("as_json"):
                raise
            return self._print_error(error)
        except Exception:
            if ctx.params.get("as_json"):
                hint = "this is a bug of openclaw-tunnel; its log has the details: openclaw-tunnel logs"
                self._print_error(TunnelError("internal error", hint=hint, exit_code=ExitCode.BUG))
            raise

    def _print_error(self, error: TunnelError) -> int:
        failure = failure_json(error.exit_code.name.lower(), error.message, error.hint, error.exit_code)
        return print_json({**self.no_answer, "failure": failure})


def usage_error(error: click.ClickException) -> UsageError:
    """How we say what click says of a command line."""
    message = error.format_message().replace("\n", " ").rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROGRAM
    return UsageError(message[:1].lower() + message[1:], hint=f"see how it is used: {path} --help")


def print_json(answer: dict[str, Any]) -> int:
    """Print one object; the exit code of its ``failure``, 0 where it has none."""
    output.say(as_json_text(answer))
    failure = answer.get("failure")
    return int(failure["exit_code"]) if failure else ExitCode.OK


def as_json_text(value: Any) -> str:
    """JSON that any terminal and any encoding of stdout can take."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=2, ensure_ascii=not utf8)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
