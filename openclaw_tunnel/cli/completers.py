"""What can stand where a command line wants a NAME, a TARGET, a FILE: by the word that its help shows for it.

A command need not do anything to be completed: its parameters get their completers here, and only while completing.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from openclaw_tunnel.cli.params import Type
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ssh_config.aliases import aliases, known_hosts

DAEMON_DEADLINE = 0.25
"""Seconds in which the daemon says which tunnels run; a person waits for it."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@/%+,-]*")
"""What a shell takes as it is: anything else in somebody's file is not put on a command line."""

_ANY_TEXT = (type(click.STRING), click.types.FuncParamType)
"""Types that say nothing of what they take; numbers and choices do, and click's own paths complete themselves."""

_RUNNING = frozenset({"down", "restart", "wait"})
"""Commands that can do nothing with a tunnel that does not run."""

Source = Callable[[click.Context, str], Iterable[tuple[str, str]]]
"""The context and the text so far -> values, each with a word about it."""


class Words(Type):
    """Any text; while completing, the values of a source that begin with what is there."""

    name = "text"

    def __init__(self, source: Source) -> None:
        """Args: ``source`` may raise what it likes to where it has nothing to say: OSError, TunnelError."""
        self._source = source

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The values that fit, each once."""
        found: dict[str, str] = {}
        with contextlib.suppress(OSError, TunnelError):
            for value, about in self._source(ctx, incomplete):
                if value.startswith(incomplete) and _SAFE.fullmatch(value):
                    found.setdefault(value, about)
        return [CompletionItem(value, help=about) for value, about in found.items()]


@contextlib.contextmanager
def completers(command: click.Command, words: Sequence[str]) -> Iterator[None]:
    """For a while, give completers to the parameters of ``command`` and of those in it that ``words`` lead to."""
    given: list[tuple[click.Parameter, Any]] = []
    for each in _way(command, words):
        for param in each.params:
            completer = _completer(param)
            if completer is not None:
                given.append((param, param.type))
                param.type = completer
    try:
        yield
    finally:
        for param, before in reversed(given):
            param.type = before


def _way(command: click.Command, words: Sequence[str]) -> Iterator[click.Command]:
    yield command
    for number, word in enumerate(words):
        if isinstance(command, click.Group):
            inner = command.get_command(click.Context(command, resilient_parsing=True), word)
            if inner is not None:
                yield from _way(inner, words[number + 1 :])
                return


def _completer(param: click.Parameter) -> Type | None:
    if not isinstance(param.type, _ANY_TEXT) or (isinstance(param, click.Option) and (param.is_flag or param.count)):
        return None
    if param.name in _BY_NAME:
        return _BY_NAME[param.name]
    return _BY_METAVAR.get((param.metavar or param.name or "").strip("[].").upper())


def tunnel_names(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The tunnels that run, those of the settings, and those of which a history is kept."""
    paths = Paths.from_env(os.environ)
    alone = ctx.parent is not None and ctx.parent.parent is None and ctx.info_name in _RUNNING
    for source in (_running,) if alone else (_running, _configured, _recorded):
        with contextlib.suppress(OSError, TunnelError):  # a broken file is the business of other commands
            yield from source(paths)


def _running(paths: Paths) -> Iterator[tuple[str, str]]:
    from openclaw_tunnel.control.follow import client_of
    from openclaw_tunnel.control.messages import Status

    for tunnel in client_of(paths).call(Status(), timeout=DAEMON_DEADLINE).tunnels:
        yield tunnel.name, str(tunnel.state)


def _configured(paths: Paths) -> Iterator[tuple[str, str]]:
    from openclaw_tunnel.settings.tunnels_file import load_tunnels

    for name, entry in load_tunnels(paths.tunnels_file).tunnels.items():
        yield name, f"to {entry.target}" if entry.target else paths.tunnels_file.name


def _recorded(paths: Paths) -> Iterator[tuple[str, str]]:
    from openclaw_tunnel.host.historyfile import recorded

    return ((name, "has a history") for name in recorded(paths.state_dir))


def targets(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The aliases of ssh_config, and hosts of known_hosts once something is typed; a user before them stays."""
    user, at, place = incomplete.rpartition("@")
    scheme = "ssh://" if incomplete.startswith("ssh://") else ""
    before = user + at if at else scheme
    hosts: Iterator[tuple[str, str]] = ((name, "ssh_config") for name in _aliases(ctx, os.environ))
    if place.removeprefix(scheme):
        hosts = chain(hosts, ((name, "known_hosts") for name in _known(os.environ)))
    yield from ((before + name, about) for name, about in hosts)


def _aliases(ctx: click.Context, env: Mapping[str, str]) -> Iterator[str]:
    from openclaw_tunnel.ssh_config.query import SSH_CONFIG_VARIABLE

    home = _home()
    given = ctx.params.get("ssh_config") or env.get(SSH_CONFIG_VARIABLE, "")
    if given:
        return aliases(Path(given.replace("~", str(home), 1) if given.startswith("~/") else given), home / ".ssh")
    system = Path("/etc/ssh")
    return chain(aliases(home / ".ssh/config", home / ".ssh"), aliases(system / "ssh_config", system))


def _known(env: Mapping[str, str]) -> Iterator[str]:
    return chain(known_hosts(_home() / ".ssh/known_hosts"), known_hosts(Path("/etc/ssh/ssh_known_hosts")))


def _home() -> Path:
    """As ssh has it, whatever HOME says."""
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise FileNotFoundError("no home") from None


def _profiles(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """OpenClaw's profiles: a profile NAME has its settings in ~/.openclaw-NAME."""
    home = Path(os.environ.get("HOME") or _home())
    return ((path.name.removeprefix(".openclaw-"), "") for path in sorted(home.glob(".openclaw-*")) if path.is_dir())


_TARGET = Words(targets)
_BY_METAVAR: Mapping[str, Type] = {
    "NAME": Words(tunnel_names),
    "TARGET": _TARGET,
    "HOST": _TARGET,
    "USER@HOST": _TARGET,
    "FILE": click.Path(readable=False),  # leaves it to the shell
}
_BY_NAME: Mapping[str, Type] = {"profile": Words(_profiles)}
