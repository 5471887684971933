"""Everything that is wrong with the settings files, not only the first of it."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import Document, load_document
from openclaw_tunnel.openclaw.layers import Loaded, read_openclaw, working_folder
from openclaw_tunnel.openclaw.settings import pick_settings
from openclaw_tunnel.settings.hooks import hook_problems
from openclaw_tunnel.settings.tunnels_file import HINT, read_tunnels

MOST = 50
"""Problems that are reported at most; a file with more of them is the wrong file."""

_OPENCLAW_DEPTH = 3  # gateway.remote.KEY; a SecretRef is one value
_TUNNELS_DEPTH = 4  # tunnels.NAME.policy.KEY


def all_problems(env: Mapping[str, str], tunnels_file: Path) -> list[ConfigError]:
    """What is wrong with the files that ``Settings.load`` reads; empty where it can read them."""
    return [*tunnels_problems(tunnels_file), *openclaw_problems(env, working_folder())]


def tunnels_problems(path: Path) -> list[ConfigError]:
    """What is wrong with tunnels.json5; nothing where there is none."""
    try:
        document = load_document(path, HINT)
    except ConfigError as error:
        return [error]
    if document is None:
        return []
    found = _problems(document, lambda part: read_tunnels(part, path), _TUNNELS_DEPTH)
    return found or list(hook_problems(document, path, os.environ))[:MOST]


def openclaw_problems(env: Mapping[str, str], cwd: Path | None) -> list[ConfigError]:
    """What is wrong with openclaw.json and what it includes, as far as it concerns us."""
    try:
        loaded: Loaded = read_openclaw(env, cwd)
    except ConfigError as error:
        return [error]
    document = loaded.document
    if document is None:
        return []
    ours = replace(document, value={"gateway": document.value["gateway"]} if "gateway" in document.value else {})
    return _problems(ours, lambda part: pick_settings(part, loaded.path), _OPENCLAW_DEPTH)


def _problems(document: Document, read: Callable[[Document], object], depth: int) -> list[ConfigError]:
    """The errors of each value alone, and, where there are none, of all together."""
    found: dict[str, ConfigError] = {}
    for value in (*parts(document.value, depth), document.value):
        if len(found) >= MOST or (found and value is document.value):
            break
        try:
            read(replace(document, value=value))
        except ConfigError as error:
            found.setdefault(error.message, error)
    return list(found.values())


def parts(value: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """``{a: {b: 1, c: 2}}`` as ``{a: {b: 1}}`` and ``{a: {c: 2}}``: each value alone in its objects.

    Args:
        depth: objects deeper than this are not taken apart.
    """
    for key, inner in value.items():
        if depth > 1 and isinstance(inner, dict) and inner:
            yield from ({key: part} for part in parts(inner, depth - 1))
        else:
            yield {key: inner}
