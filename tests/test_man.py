"""The manual page: made from the commands, complete, and the one that is checked in and installed."""

import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType

import click
import pytest
from platformdirs.macos import MacOS

from openclaw_tunnel.cli.registry import PROGRAM, commands
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.paths import xdg_folders

ROOT = Path(__file__).parents[1]
CHECKED_IN = ROOT / "man/openclaw-tunnel.1"


def writer() -> ModuleType:
    """man/write.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("man_write", ROOT / "man/write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITER = writer()
EXITS, FILES, VARIABLES, page = WRITER.EXITS, WRITER.FILES, WRITER.VARIABLES, WRITER.page
NEWEST = tuple(map(int, importlib.metadata.version("click").split(".")[:2])) >= (8, 2)


@pytest.mark.skipif(not NEWEST, reason="older releases of click write some values in another way")
def test_the_page_that_is_checked_in_is_the_one_of_these_commands() -> None:
    assert CHECKED_IN.read_text() == page(), "make man writes it anew"


@pytest.mark.skipif(os.environ.get("OPENCLAW_TUNNEL_TEST_INSTALLED") != "1", reason="the checkout is tested")
def test_the_page_is_installed() -> None:
    files = importlib.metadata.files("openclaw-tunnel") or []
    installed = [file for file in files if str(file).endswith("share/man/man1/openclaw-tunnel.1")]
    assert [file.read_text() for file in installed] == [CHECKED_IN.read_text()]


def test_every_command_and_every_option_is_in_it() -> None:
    text = page().replace("\\-", "-")

    def look(command: click.Command, path: str) -> None:
        if path:
            assert f'\n.SS "{path}' in text
        for param in command.params:
            if path and isinstance(param, click.Option) and not param.hidden:
                assert all(re.search(rf"^\.B .*{re.escape(name)}\b", text, re.MULTILINE) for name in param.opts)
        if isinstance(command, click.Group):
            with click.Context(command, info_name=PROGRAM) as context:
                for name in command.list_commands(context):
                    inner = command.get_command(context, name)
                    assert inner is not None
                    if not inner.hidden:
                        look(inner, f"{path} {name}".strip())

    look(commands, "")
    assert "daemon" not in re.findall(r'\.SS "(\w+)', text)


def test_every_exit_code_is_explained() -> None:
    assert set(EXITS) == set(ExitCode)


def test_variables_are_those_that_are_read() -> None:
    source = "".join(path.read_text() for path in (ROOT / "openclaw_tunnel").rglob("*.py"))
    assert [name for name in VARIABLES if f'"{name}"' not in source] == []


def test_files_are_where_they_are() -> None:
    ours = xdg_folders({"HOME": "/h"}, is_ours=lambda path: False)
    mac = MacOS("openclaw-tunnel", appauthor=False)
    home = str(Path.home())
    there = {
        f"{ours.config}/tunnels.json5".replace("/h/", "~/"),
        f"{ours.state}/".replace("/h/", "~/"),
        f"{ours.log}/openclaw-tunnel.log".replace("/h/", "~/"),
        f"{mac.user_config_dir}/".replace(home, "~"),
        f"{mac.user_log_dir}/openclaw-tunnel.log".replace(home, "~"),
    }
    assert there <= set(FILES)
    assert mac.user_state_dir == mac.user_config_dir


def test_roff_takes_no_word_for_a_command() -> None:
    known = {"TH", "SH", "SS", "PP", "TP", "RS", "RE", "nf", "fi", "nh", "ad", "B", "BR", "I"}
    assert set(re.findall(r"^\.(\w+)", page(), re.MULTILINE)) <= known
    assert re.search(r"^'", page(), re.MULTILINE) is None
