"""What is on this computer, for :mod:`openclaw_tunnel.linking.plan` to decide upon."""

import os
from collections.abc import Mapping
from pathlib import Path

from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.json5doc.document import load_document
from openclaw_tunnel.linking import dispatcher, plugin
from openclaw_tunnel.linking.openclaw import is_on_path, search
from openclaw_tunnel.linking.plan import Files, Found, Settings, read_settings
from openclaw_tunnel.openclaw.includes import include_all
from openclaw_tunnel.openclaw.layers import HINT, Layers
from openclaw_tunnel.openclaw.paths import config_file, include_roots, openclaw_home


def look(env: Mapping[str, str], paths: Paths, program: str, beside: Path) -> Found:
    """Everything but what OpenClaw's command line would have to be asked for.

    Args:
        program: the absolute path of our executable.
        beside: the folder for a dispatcher.

    Raises:
        ConfigError: openclaw.json is of interest, and cannot be used.
    """
    path = env.get("PATH", os.defpath)
    place = Path(os.path.realpath(beside)) / dispatcher.NAME
    openclaw, dispatchers = search(f"{path}{os.pathsep}{place.parent}")
    folder = plugin.folder_of(paths)
    files = plugin.state_of(folder, program)
    of_interest = openclaw is not None or files is not Files.ABSENT
    settings_file, settings = plugin_settings(env, folder) if of_interest else (config_file(env), Settings())
    return Found(
        openclaw=openclaw,
        settings=settings,
        settings_file=settings_file,
        folder=folder,
        files=files,
        place=place,
        place_taken=dispatcher.is_taken(place),
        place_writable=os.access(place.parent, os.W_OK),
        place_on_path=is_on_path(place.parent, path),
        place_current=dispatcher.is_current(place, program),
        dispatchers=dispatchers,
    )


def plugin_settings(env: Mapping[str, str], folder: Path) -> tuple[Path, Settings]:
    """The file that OpenClaw reads in this environment, and what it says of the plugin in ``folder``.

    Raises:
        ConfigError: the file cannot be used.
    """
    layers = Layers.of_process(env)
    file = config_file(layers.env)
    document = load_document(file, HINT)
    if document is None:
        return file, Settings()
    document, _ = include_all(document, include_roots(layers.env), frozenset({"plugins"}))
    return file, read_settings(document.value.get("plugins"), folder, openclaw_home(layers.env))
