"""An ``openclaw`` that installs linked plugins and runs the command of ours, as 2026.9.6 does, in a moment."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HELP = """Options:
  --accept-capabilities  Accept the plugin's declared capabilities
  --force                Confirm non-ClawHub sources and overwrite an existing plugin
  -l, --link             Link a local path
"""


class FakeOpenClaw:
    """The program, in ``folder``; it refuses what it is told to refuse, and works otherwise.

    Args:
        home: its HOME; its settings are in ``.openclaw`` there.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.path = folder / "openclaw"
        self.settings = home / ".openclaw" / "openclaw.json"
        self._told = folder / "openclaw.told"
        self._log = folder / "openclaw.calls"
        self.path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
            f"from support.fakeopenclaw import main\nmain({str(folder)!r}, sys.argv[1:])\n"
        )
        self.path.chmod(0o755)
        self.tell()

    def tell(self, **refused: str) -> None:
        """Refuse the commands whose second word is given, and ``help``, in these words."""
        self._told.write_text(json.dumps(refused))

    def has(self) -> Any:
        """``plugins`` of its settings."""
        return json.loads(self.settings.read_text()).get("plugins") if self.settings.exists() else None

    def set(self, plugins: Mapping[str, Any]) -> None:
        """Give its settings this ``plugins``."""
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_text(json.dumps({"plugins": plugins}))

    def calls(self) -> list[str]:
        """Every call so far that may change something."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if line.startswith(("plugins ", "config ")) and "--help" not in line]


def main(folder: str, args: list[str]) -> None:
    """Be it."""
    with Path(folder, "openclaw.calls").open("a") as log:
        log.write(" ".join(args) + "\n")
    refused = json.loads(Path(folder, "openclaw.told").read_text())
    if words := refused.get("help" if "--help" in args else (*args, "", "")[1]):
        sys.exit(words)
    file = Path(os.environ["HOME"], ".openclaw", "openclaw.json")
    lines = file.read_text().splitlines() if file.exists() else ["{}"]
    settings = json.loads("\n".join(line for line in lines if not line.startswith("//")))
    plugins = settings.setdefault("plugins", {})
    if args == ["--version"]:
        sys.stdout.write("OpenClaw 2026.9.6 (eb377ac)\n")
    elif "--help" in args:
        sys.stdout.write(_HELP)
    elif args[0] == "tunnel":
        _tunnel(plugins, args[1:])
    else:
        _change(plugins, args)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(settings))


def _tunnel(plugins: dict[str, Any], args: list[str]) -> None:
    paths, entry = plugins.get("load", {}).get("paths", []), plugins.get("entries", {}).get("openclaw-tunnel", {})
    if not paths or not entry.get("enabled", True):
        sys.exit('OpenClaw does not know the command "tunnel"')
    program = json.loads(Path(paths[0], "program.json").read_text())["program"]
    os.execv(program, [program, *args])


def _change(plugins: dict[str, Any], args: list[str]) -> None:
    entries = plugins.setdefault("entries", {})
    match args:
        case ["plugins", "install", "--link", path, "--force", "--accept-capabilities"]:
            assert json.loads(Path(path, "openclaw.plugin.json").read_text())["id"] == "openclaw-tunnel"
            plugins["load"] = {"paths": [path]}
            entries.setdefault("openclaw-tunnel", {"enabled": True})  # one that is turned off stays so
        case ["plugins", "enable", "openclaw-tunnel"]:
            entries["openclaw-tunnel"] = {"enabled": True}
        case ["plugins", "uninstall", "openclaw-tunnel", "--force"]:
            if not plugins.pop("load", None):
                sys.exit('Plugin "openclaw-tunnel" is not associated with a tracked package install.')
            entries["openclaw-tunnel"] = {"enabled": False}
        case ["config", "unset", "plugins.entries.openclaw-tunnel"]:
            del entries["openclaw-tunnel"]
        case _:
            sys.exit(f"error: unknown: {args}")
