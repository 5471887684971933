"""Writes docs/settings.md from the tables that the program itself uses: ``make docs-settings``."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Probe
from openclaw_tunnel.settings.tunnels_file import POLICY_KEYS
from openclaw_tunnel.settings.up_options import OPTIONS, VALUES_FIRST, Kind, Option

_HEAD = """\
# Settings

The command line beats `tunnels.json5`, which beats `openclaw.json`, which beats the defaults. `config show` shows what
every setting comes to and where it is said, `config path` the files, `config check` every error in them.

This page is made by `make docs-settings`.

## A tunnel

The options of `up`, which `service install` also takes, and the keys under `tunnels.NAME`. Relative paths in the
file start at its folder. `extraPorts: false` is what `--no-extra-ports` says.
"""

_OTHERS = {
    "browserControl": ("false", "Also forward the gateway's browser control: operator access."),
    "notifications": ("true", "Notices on the desktop. Also at the top, for all tunnels."),
    "hooks": (
        "none",
        "Programs for `up`, `down` and `failure`, each a list of words. Also at the top, for all tunnels.",
    ),
    "policy": ("", "The numbers below, for this tunnel alone."),
}

_NUMBERS = """
## The numbers

The keys of `policy`, at the top for all tunnels or in a tunnel. Times are seconds.
"""

_TOP = """
## Credentials

`openclawContract` at the top: `auto`, which goes by the release that wrote `openclaw.json`, or the release whose order
of credentials is meant, such as `2026.9`.
"""


def page() -> str:
    """The whole page, as Markdown."""
    options = [_row(OPTIONS[name]) for name in VALUES_FIRST]
    others = [("", f"`{key}`", default, about) for key, (default, about) in _OTHERS.items()]
    tunnel = _table(("option", "key", "default", "meaning"), (*options, *others))
    return "\n".join(
        (_HEAD, *tunnel, _NUMBERS, *_table(("key", "default", "meaning"), _numbers()), _TOP.rstrip("\n"), "")
    )


def _row(option: Option) -> tuple[str, ...]:
    flags = [f"`{flag}`" for flag in option.flags[:-1]]
    value = "\\|".join(Probe) if option.kind is Kind.PROBE else option.kind.metavar
    flags.append(f"`{' '.join((*option.flags[-1:], value)).strip()}`")
    default = str(option.default).lower() if option.kind is Kind.FLAG else option.default_words
    if option.key in POLICY_KEYS:
        default = f"{getattr(Policy(), POLICY_KEYS[option.key]):g}"
    return ", ".join(flags), f"`{option.key}`" if option.key else "", default, option.help


def _numbers() -> Iterator[tuple[str, ...]]:
    """Each number, with its comment in the source."""
    lines = dict(re.findall(r"^    (\w+): \w+ = (.+(?:\n        .+)*)", inspect.getsource(Policy), re.MULTILINE))
    for key, name in POLICY_KEYS.items():
        about = lines[name].partition("# ")[2]
        yield f"`{key}`", f"{getattr(Policy(), name):g}", about.partition("\n")[0]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for cells in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
