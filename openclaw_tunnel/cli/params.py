"""Options as parameters of click: those of ``up``, and what several commands take."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from openclaw_tunnel.cli.jsoncommand import usage_error
from openclaw_tunnel.core.spec import Probe
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.up_options import OPTIONS, PORT_WORDS, Kind, Option, UpOptions

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")

PORT = click.IntRange(1, 65535)

if TYPE_CHECKING:
    Type = click.ParamType[Any]
else:  # older releases of click have no parameter there
    Type = click.ParamType


class LocalPort(Type):
    """A port, or a word that leaves the choice to the daemon."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number or one of the words."""
        return value if value in PORT_WORDS else PORT.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words."""
        about = ("a free port that the tunnel keeps", "another free port")
        pairs = zip(PORT_WORDS, about, strict=True)
        return [CompletionItem(word, help=words) for word, words in pairs if word.startswith(incomplete)]


_TYPES: dict[Kind, Type] = {
    Kind.PORT: PORT,
    Kind.LOCAL_PORT: LocalPort(),
    Kind.SECONDS: click.FloatRange(min=0),
    Kind.PROBE: click.Choice([str(probe) for probe in Probe]),
}


def up_params(*names: str) -> list[click.Parameter]:
    """TARGET and the options of ``up``; those of ``names`` alone where there are any.

    Args:
        names: fields of ``UpOptions``, which the parameters are named after.
    """
    return [_param(name, option) for name, option in OPTIONS.items() if not names or name in names]


def parse_up(words: Sequence[str]) -> UpOptions:
    """Read the arguments of ``up``, as a service has them in its file.

    Raises:
        UsageError: they are none.
        ConfigError: as :class:`UpOptions`.
    """
    command = click.Command("up", params=up_params(), add_help_option=False)
    try:
        with command.make_context("up", [*words]) as context:
            return UpOptions(**context.params)
    except click.ClickException as error:
        raise usage_error(error) from None


def _param(name: str, option: Option) -> click.Parameter:
    if not option.flags:
        return click.Argument([name], required=False)
    about = option.help + (f"  [default: {option.default_words}]" if option.default_words else "")
    if option.kind is Kind.FLAG:
        return click.Option([*option.flags, name], is_flag=True, help=about)
    return click.Option(
        [*option.flags, name],
        type=_TYPES.get(option.kind),
        metavar=option.kind.metavar or None,
        multiple=option.kind is Kind.FORWARDS,
        help=about,
    )


def check_fingerprint(text: str) -> None:
    """The argument of ``--fingerprint``; empty where it was not given.

    Raises:
        UsageError: it is none.
    """
    if text and not _FINGERPRINT.fullmatch(text):
        raise UsageError(f"not a fingerprint: {text!r}", hint="write SHA256: and 43 characters, as ssh-keygen -l")
