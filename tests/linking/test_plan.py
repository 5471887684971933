"""What link and unlink do in each situation."""

from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.linking.plan import (
    Files,
    Found,
    Kind,
    Settings,
    Step,
    after_refusal,
    install_options,
    is_status,
    plan_leftover,
    plan_link,
    plan_unlink,
    read_settings,
    why_not,
)

OPENCLAW = Path("/usr/bin/openclaw")
FOLDER = Path("/home/me/.local/state/openclaw-tunnel/openclaw-plugin")
PLACE = Path("/home/me/.local/bin/openclaw")
FILE = Path("/home/me/.openclaw/openclaw.json")
OPTIONS = ("--force", "--accept-capabilities")
LINKED = Settings(names_folder=True, entry=True)

BARE = Found(None, Settings(), FILE, FOLDER, Files.ABSENT, PLACE)
WITH_OPENCLAW = replace(BARE, openclaw=OPENCLAW)

WRITE = Step(Kind.WRITE_PLUGIN, FOLDER)
INSTALL = Step(Kind.RUN, arguments=("plugins", "install", "--link", str(FOLDER), *OPTIONS))
ENABLE = Step(Kind.RUN, arguments=("plugins", "enable", "openclaw-tunnel"))
UNINSTALL = Step(Kind.RUN, arguments=("plugins", "uninstall", "openclaw-tunnel", "--force"))
UNSET = Step(Kind.RUN, arguments=("config", "unset", "plugins.entries.openclaw-tunnel"))
REMOVE = Step(Kind.REMOVE_PLUGIN, FOLDER)
CREATE = Step(Kind.WRITE_DISPATCHER, PLACE)
DELETE = Step(Kind.REMOVE_DISPATCHER, PLACE)

HELP_2026_9 = """
Options:
  --accept-capabilities                 Accept the plugin's declared
                                        capabilities (default: false)
  --dangerously-force-unsafe-install    Deprecated no-op; security.installPolicy
                                        may still block (default: false)
  --force                               Confirm non-ClawHub sources and
                                        overwrite an existing plugin or hook
  -l, --link                            Link a local path instead of copying
"""
HELP_2026_5 = """
Options:
  --dangerously-force-unsafe-install  Bypass built-in dangerous-code install
                                      blocking (plugin hooks may still block)
  --force                             Overwrite an existing installed plugin or
                                      hook pack (default: false)
  -l, --link                          Link a local path instead of copying
"""


def test_the_options_of_each_release() -> None:
    assert install_options(HELP_2026_9) == OPTIONS
    assert install_options(HELP_2026_5) == ("--dangerously-force-unsafe-install",)
    assert install_options("") == ()


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (WITH_OPENCLAW, (WRITE, INSTALL)),
        (replace(WITH_OPENCLAW, files=Files.OLD, settings=LINKED), (WRITE,)),
        (replace(WITH_OPENCLAW, files=Files.CURRENT, settings=LINKED), ()),
        (replace(WITH_OPENCLAW, files=Files.CURRENT, settings=replace(LINKED, excluded=True)), (INSTALL,)),
        (replace(WITH_OPENCLAW, settings=Settings(entry=False)), (WRITE, INSTALL, ENABLE)),
        (replace(WITH_OPENCLAW, dispatchers=(PLACE,), place_current=True), (WRITE, INSTALL, DELETE)),
        (replace(WITH_OPENCLAW, place_taken=True, place_on_path=False), (WRITE, INSTALL)),
        (BARE, (CREATE,)),
        (replace(BARE, dispatchers=(PLACE,), place_current=True), ()),
        (replace(BARE, dispatchers=(PLACE,)), (CREATE,)),
        (replace(BARE, dispatchers=(PLACE,), place_current=True, place_writable=False), ()),
    ],
)
def test_link(found: Found, steps: tuple[Step, ...]) -> None:
    assert plan_link(found, OPTIONS) == steps


@pytest.mark.parametrize(
    ("found", "message", "hint"),
    [
        (
            replace(WITH_OPENCLAW, settings=Settings(plugins_off=True)),
            f"{FILE} turns all plugins off",
            "openclaw config set plugins.enabled true",
        ),
        (replace(BARE, place_taken=True), f"{PLACE} is there, and not ours", "move it out of the way"),
        (replace(BARE, place_on_path=False), "its folder is not on PATH", 'export PATH="/home/me/.local/bin:$PATH"'),
        (replace(BARE, place_writable=False), f"{PLACE} cannot be made", "pipx install openclaw-tunnel"),
    ],
)
def test_link_says_why_it_cannot(found: Found, message: str, hint: str) -> None:
    with pytest.raises(TunnelError) as refused:
        plan_link(found, OPTIONS)
    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (BARE, ()),
        (WITH_OPENCLAW, ()),
        (replace(WITH_OPENCLAW, files=Files.CURRENT, settings=LINKED), (UNINSTALL, REMOVE)),
        (replace(WITH_OPENCLAW, settings=LINKED), (UNINSTALL,)),
        (replace(WITH_OPENCLAW, settings=Settings(entry=False)), (UNSET,)),
        (replace(WITH_OPENCLAW, files=Files.OLD, dispatchers=(PLACE,)), (DELETE, REMOVE)),
        (replace(BARE, files=Files.CURRENT, settings=LINKED), (REMOVE,)),
        (
            replace(BARE, dispatchers=(PLACE, PLACE.with_name("x"))),
            (DELETE, replace(DELETE, path=PLACE.with_name("x"))),
        ),
    ],
)
def test_unlink(found: Found, steps: tuple[Step, ...]) -> None:
    assert plan_unlink(found) == steps


def test_what_the_uninstaller_leaves_goes_too() -> None:
    assert plan_leftover(Settings(entry=False)) == (UNSET,)
    assert plan_leftover(Settings()) == ()


@pytest.mark.parametrize(
    ("plugins", "settings"),
    [
        (None, Settings()),
        ({"load": {"paths": ["/other", str(FOLDER)]}}, Settings(names_folder=True)),
        ({"load": {"paths": ["~/.local/state/openclaw-tunnel/openclaw-plugin"]}}, Settings(names_folder=True)),
        ({"load": {"paths": ["/other", 7]}, "entries": {"other": {}}}, Settings()),
        ({"entries": {"openclaw-tunnel": {"enabled": False}}}, Settings(entry=False)),
        ({"entries": {"openclaw-tunnel": {}}}, Settings(entry=True)),
        ({"allow": ["other"]}, Settings(excluded=True)),
        ({"allow": []}, Settings()),
        ({"allow": ["other", "openclaw-tunnel"]}, Settings()),
        ({"deny": ["openclaw-tunnel"]}, Settings(excluded=True)),
        ({"enabled": False}, Settings(plugins_off=True)),
        ({"load": [], "entries": 1, "allow": "openclaw-tunnel"}, Settings()),
    ],
)
def test_what_the_settings_say(plugins: object, settings: Settings) -> None:
    assert read_settings(plugins, FOLDER, Path("/home/me")) == settings


@pytest.mark.parametrize(
    ("settings", "is_linked"),
    [
        (Settings(names_folder=True), True),
        (LINKED, True),
        (Settings(entry=True), False),
        (Settings(names_folder=True, entry=False), False),
        (replace(LINKED, excluded=True), False),
        (replace(LINKED, plugins_off=True), False),
    ],
)
def test_when_it_is_linked(settings: Settings, is_linked: bool) -> None:
    assert settings.is_linked is is_linked


def test_why_the_command_is_not_known() -> None:
    assert "plugins.allow" in why_not(replace(LINKED, excluded=True))
    assert "OPENCLAW_CONFIG_PATH" in why_not(Settings())
    assert (
        why_not(Settings(names_folder=True, entry=False)) == "it is turned off: openclaw plugins enable openclaw-tunnel"
    )
    assert why_not(LINKED) == ""


def test_what_to_do_after_a_refusal() -> None:
    assert f"plugins.load.paths in {FILE}" in after_refusal(UNINSTALL, FILE)
    assert "openclaw doctor" in after_refusal(INSTALL, FILE)


def test_our_status_is_recognised() -> None:
    assert is_status('{"version": 1, "daemon": null, "tunnels": []}')
    assert not is_status('{"ok": false, "error": {}}')
    assert not is_status("OpenClaw 2026.5.5")
    assert not is_status("[]")
