"""``config``: what the settings come to and where they are said, which files hold them, and whether they are valid."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from openclaw_tunnel.errors import ConfigError, ExitCode
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.layers import working_folder
from openclaw_tunnel.openclaw.paths import config_file, dotenv_files, profile_environment
from openclaw_tunnel.openclaw.settings import load_openclaw
from openclaw_tunnel.settings.check import all_problems
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.show import all_settings
from openclaw_tunnel.settings.show_credentials import credentials_found
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.tunnelrows import clean

VERSION = 1
"""Of the object that ``show --json`` prints."""


@click.group(no_args_is_help=True)
def config() -> None:
    """Settings: what they come to, where they are, and whether they are valid."""


_profile = click.option("--profile", metavar="NAME", help="As openclaw --profile NAME sees it.")


@config.command()
@_profile
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def show(profile: str | None, as_json: bool) -> None:
    """Show what every setting comes to, and where it is said.

    Of credentials it says whether they are set and where; SecretRefs are resolved for that, and nothing of a secret
    is shown.
    """
    env = _environment(profile)
    settings = Settings.load(env, Paths.from_env(env).tunnels_file)
    found = all_settings(settings, env)
    credentials = asyncio.run(credentials_found(settings))
    if as_json:
        answer = {"version": VERSION, "settings": [asdict(s) for s in found], "credentials": credentials}
        output.say(json.dumps(answer, indent=2))
        return
    rows = [(s.name, s.words, s.source) for s in found]
    rows += [(kind, _credential_shown(kind, said), "") for kind, said in credentials.items()]
    widths = [min(44, max(len(row[column]) for row in rows)) for column in (0, 1)]
    for name, value, source in rows:
        said = f"  ({source})" if source and source != value else ""
        output.say(clean(f"{name:<{widths[0]}}  {value:<{widths[1]}}{said}".rstrip()))


@config.command()
@_profile
def path(profile: str | None) -> None:
    """Show which files are read, the one that wins first, and whether they exist."""
    env = _environment(profile)
    folder = working_folder()
    dotenv = [folder / ".env"] if folder else []
    files: list[tuple[str, Path]] = [("tunnels.json5", Paths.from_env(env).tunnels_file)]
    try:
        loaded = load_openclaw(env).loaded
        files += [("openclaw.json", loaded.path), *(("included", file) for file in loaded.included)]
    except ConfigError as error:
        files.append(("openclaw.json", config_file(env)))
        output.note(error.message)
    files += [("variables", file) for file in (*dotenv, *dotenv_files(env))]
    for what, file in files:
        state = "read" if file.is_file() else "not there"
        output.say(clean(f"{what:<13}  {state:<9}  {file}"))


@config.command()
@_profile
def check(profile: str | None) -> int:
    """Check all files; every error is told. Exits 0 if there is none, else 10."""
    env = _environment(profile)
    tunnels_file = Paths.from_env(env).tunnels_file
    problems = all_problems(env, tunnels_file)
    for problem in problems:
        output.print_error(problem)
    if problems:
        return ExitCode.CONFIG
    for name, places in Settings.load(env, tunnels_file).openclaw.loaded.missing.items():
        output.note(f"{', '.join(places)} of openclaw.json: ${{{name}}} is not set")
    output.say("the settings are valid")
    return ExitCode.OK


def _environment(profile: str | None) -> Mapping[str, str]:
    return profile_environment(profile, os.environ) if profile else dict(os.environ)


def _credential_shown(kind: str, said: Mapping[str, Any]) -> str:
    return f"set (from {said['source']})" if said["set"] else f"not set ({said['why']})"
