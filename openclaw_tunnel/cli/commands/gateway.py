"""``health``, ``probe``, ``call``: questions to the gateway, over the running tunnel or a connection just for them."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import click

from openclaw_tunnel.ask.options import read_params, read_question
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, pick, snapshots
from openclaw_tunnel.errors import (
    DaemonUnreachable,
    ExitCode,
    RequestRefused,
    TunnelError,
    UsageError,
    failure_json,
)
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output, progress
from openclaw_tunnel.ui.tunnelrows import clean

MARGIN = 2.0
"""Seconds that the daemon gets beyond the question's own timeout."""

_MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "-"}

# What a terminal may take for a command, or cannot show: written the way JSON escapes it.
_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Asking(click.Command):
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
            message = error.format_message().replace("\n", " ").rstrip(".")
            hint = f"see how it is used: openclaw-tunnel {info_name} --help"
            raise click.exceptions.Exit(
                self._print_error(UsageError(message[:1].lower() + message[1:], hint=hint))
            ) from None

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
        return _print_json({**self.no_answer, "failure": failure})


def _common(command: Callable[..., int]) -> Callable[..., int]:
    options = [
        click.option("-n", "--name", metavar="NAME", help="Tunnel to ask through.  [default: the one that runs]"),
        click.option("--url", metavar="URL", help="Ask another gateway, with credentials given here only."),
        click.option("--direct", is_flag=True, help="Ask without a tunnel: gateway.remote.url, or the gateway here."),
        click.option("--token-file", metavar="FILE", help="Token to use ('-': standard input)."),
        click.option("--password-file", metavar="FILE", help="Password to use ('-': standard input)."),
        click.option("--token", metavar="TOKEN", help="Token to use; others on this computer can see it."),
        click.option("--device", is_flag=True, help="Identify as this computer's own paired device."),
        click.option(
            "--timeout", type=float, default=10.0, show_default=True, metavar="SECONDS", help="For all of it."
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Asking)
@_common
def health(as_json: bool, **given: Any) -> int:
    """Ask the gateway for its own health.

    Exits 0 if it is well, else with the code of what is wrong (30 not listening, 31 refused, 32 no gateway). A
    gateway that is starting is waited for.
    """
    answer = _ask("health", given)
    if as_json:
        return _print_json(answer)
    _raise_failure(answer)
    version = clean(answer["version"] or "(version unknown)")
    output.say(f"healthy: OpenClaw {version}, {answer['ms']:.0f} ms, {clean(answer['via'])}")
    return ExitCode.OK


@click.command(cls=Asking)
@_common
def probe(as_json: bool, **given: Any) -> int:
    """Ask every layer between here and the gateway, and stop at the first that fails.

    Exits 0 if all is well, else with the code of what is wrong.
    """
    answer = _ask("probe", given)
    if as_json:
        return _print_json(answer)
    for layer in answer["layers"]:
        ms = "" if layer["ms"] is None else f"{layer['ms']:.1f} ms"
        output.say(clean(f"{layer['name']:<12} {_MARKS[layer['outcome']]:<7} {ms:>10}  {layer['text']}".rstrip()))
    output.say(f"{'verdict':<12} {answer['verdict']}")
    _raise_failure(answer)
    return ExitCode.OK


@click.command(cls=Asking)
@click.argument("method")
@click.option("--params", default="{}", metavar="JSON", help="A JSON object ('-': standard input).  [default: {}]")
@_common
def call(method: str, as_json: bool, **given: Any) -> int:
    """Call METHOD of the gateway and print its result as JSON.

    With --json the result comes in an object with "ok", and so does a failure.
    """
    answer = _ask("call", given, method=method, params=read_params(given["params"]))
    if as_json:
        return _print_json(answer)
    _raise_failure(answer)
    output.say(_as_json(answer["result"]))
    return ExitCode.OK


def _ask(kind: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask through the daemon where it has a tunnel, else over a connection of our own."""
    name, direct = given["name"], given["direct"]
    question = read_question(kind, given, **more)
    if given["token"]:
        output.warn("--token is visible to others in the list of processes: --token-file is not")
    paths = Paths.from_env(os.environ)
    with progress.working("asking the gateway"):
        if not (question["url"] or direct):
            answer = _ask_daemon(client_of(paths), name, question)
            if answer is not None:
                return answer
        from openclaw_tunnel.ask.direct import ask_alone

        return ask_alone(question, name=name, direct=direct, paths=paths)


def _ask_daemon(client: ControlClient, name: str | None, question: dict[str, Any]) -> dict[str, Any] | None:
    """The daemon's answer; None where no such tunnel runs."""
    deadline = Deadline(question["timeout"] + MARGIN)
    try:
        tunnel = pick(snapshots(client.call("status", timeout=deadline.left)), name).name
        return client.call("ask", {"name": tunnel, "question": question}, timeout=deadline.left)
    except DaemonUnreachable:
        return None
    except TunnelError as error:
        if error.exit_code is ExitCode.NOT_RUNNING:
            return None
        raise


def _print_json(answer: dict[str, Any]) -> int:
    output.say(_as_json(answer))
    failure = answer.get("failure")
    return int(failure["exit_code"]) if failure else ExitCode.OK


def _as_json(value: Any) -> str:
    """JSON that any terminal and any encoding of stdout can take."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=2, ensure_ascii=not utf8)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _raise_failure(answer: dict[str, Any]) -> None:
    failure = answer.get("failure")
    if failure:
        raise RequestRefused(failure["message"], hint=failure["hint"], exit_code=ExitCode(failure["exit_code"]))
