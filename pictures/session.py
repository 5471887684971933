"""The README's pictures of a terminal, made from the real program: ``make pictures``. Linux, with tmux and unshare.

In namespaces of its own, so that names, addresses and folders are those of the story and nothing of this computer is
seen or touched: an SSH server and a small gateway run in this process, and tmux has a shell of 80 columns at which the
commands of the story are typed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terminal import Screen, parse, picture

from openclaw_tunnel.gateway.standin import StandIn
from openclaw_tunnel.ssh.demoserver import DemoServer

COLUMNS, ROWS = 80, 22
HOME = Path("/home/me")
HERE = Path(__file__).parent
GATEWAY = ("127.0.0.1", 18789)
DEADLINE = 20.0
UPTIME = 8.0
"""Seconds that the tunnel is up before the outage: there shall be a history to tell."""

_INSIDE = "OPENCLAW_TUNNEL_PICTURES"

# /home is the story's; what this program itself needs of the real one is put back.
_STAGE = r"""
set -eu
ip link set lo up
mkdir "$1/home"
mount --rbind /home "$1/home"
mount -t tmpfs tmpfs /home
for folder in "$1"/home/*/; do
    [ -d "$folder" ] || continue
    mkdir "/home/$(basename "$folder")"
    mount --rbind "$folder" "/home/$(basename "$folder")"
done
mkdir -p -m 700 /home/me/.ssh
printf '127.0.0.1 localhost gateway.example\n127.0.0.2 lab.example\n' > "$1/hosts"
printf 'me:x:0:0::/home/me:/bin/bash\n' > "$1/passwd"
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/passwd" /etc/passwd
shift
mkdir -m 700 /home/me/run
cd /home/me
exec env -i PATH="$PATH" HOME=/home/me XDG_RUNTIME_DIR=/home/me/run TMUX_TMPDIR=/home/me LANG=C.UTF-8 \
    TERM=xterm-256color OPENCLAW_TUNNEL_PICTURES=1 "$@"
"""

_SSH_CONFIG = """\
Host gateway-host
  HostName gateway.example
Host lab
  HostName lab.example
"""


class Film:
    """A shell of 80 columns, and what was seen in it."""

    def __init__(self) -> None:
        self.screens: list[Screen] = []
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "env", "PS1=$ ", "bash", "--norc", "--noprofile")
        self._tmux("set-option", "-g", "status", "off")

    def close(self) -> None:
        """End the shell."""
        self._tmux("kill-server")

    async def clear(self) -> None:
        """Begin with an empty screen."""
        self.press("C-l")
        await self.see(lambda lines: lines == ["$"])

    async def type(self, words: str, *, pause: float = 0.9) -> None:
        """Type words as a person does, a few letters at a time, and have them seen for ``pause`` seconds."""
        line = self.capture()[-1]
        for end in range(5, len(words) + 5, 5):
            self._tmux("send-keys", "-l", words[end - 5 : end])
            await self.see(lambda lines, to=end: lines[-1] == f"{line} {words[:to]}".rstrip())  # type: ignore[misc]
            self.shoot(0.13 if end < len(words) else pause)

    async def run(self, command: str, seconds: float, until: str = "$") -> None:
        """Type a command, and have what it says seen for that long; it is done when ``until`` begins the last line."""
        await self.type(command)
        self.press("Enter")
        await self.see(lambda lines: lines[-1].startswith(until) and not lines[-1].endswith(command))
        self.shoot(seconds)

    def press(self, key: str) -> None:
        """Press one key, by the name that tmux has for it."""
        self._tmux("send-keys", key)

    def shoot(self, seconds: float) -> None:
        """Take what is seen now."""
        self.screens.append(Screen(parse(self.capture("-e")), seconds))

    def capture(self, *options: str) -> list[str]:
        """The lines of the screen, down to the last that is not empty."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p", *options).rstrip().split("\n")]

    async def see(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait for a screen."""
        await until(lambda: condition(self.capture()), lambda: "\n".join(self.capture()))

    @staticmethod
    def _tmux(*words: str) -> str:
        return subprocess.run(["tmux", "-L", "film", *words], check=True, capture_output=True, text=True).stdout


async def until(condition: Callable[[], bool], told: Callable[[], str]) -> None:
    """Wait for something; the end of this program, with what is told, where it does not come."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"this is not what should be seen:\n{told()}")
        await asyncio.sleep(0.02)


def tunnels() -> list[dict[str, Any]]:
    """What ``status --json`` says."""
    done = subprocess.run(["openclaw-tunnel", "status", "--json"], capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["tunnels"]
    return found


async def patience(name: str, least: float) -> None:
    """Wait until the tunnel waits for its next try, and has at least that many seconds to go."""

    def waits() -> bool:
        [tunnel] = [one for one in tunnels() if one["name"] == name]
        return tunnel["state"] == "backoff" and (tunnel["retry"]["next_in_s"] or 0) >= least

    await until(waits, lambda: json.dumps(tunnels(), indent=2))


async def first_session(film: Film, server: DemoServer) -> None:
    """From nothing to a tunnel, an outage, and what is told about it."""
    await film.see(lambda lines: lines == ["$"])
    film.shoot(0.6)
    await film.run("openclaw-tunnel trust gateway-host", 1.6, until="Remember this key?")
    await film.type("y", pause=0.4)
    film.press("Enter")
    await film.see(lambda lines: lines[-1] == "$")
    film.shoot(1.4)
    await film.run("openclaw-tunnel up -d gateway-host", 1.6)
    await film.run("curl http://127.0.0.1:18789/healthz; echo", 1.6)
    await film.run("openclaw-tunnel status", 3.5)
    await asyncio.sleep(UPTIME)
    await film.clear()
    await film.type("# the SSH server goes away", pause=1.0)
    film.press("Enter")
    await server.fail()
    await patience("default", 4.0)
    await film.type("openclaw-tunnel status --watch")
    film.press("Enter")
    await film.see(lambda lines: any("backoff" in line for line in lines))
    for _ in range(4):
        film.shoot(1.0)
        await asyncio.sleep(1.0)
    film.press("C-c")
    await film.see(lambda lines: lines[-1] == "$")
    await film.type("# and comes back", pause=0.8)
    film.press("Enter")
    await server.begin()
    await film.see(lambda lines: lines[-1] == "$")
    await film.run("openclaw-tunnel wait", 2.0)
    await film.clear()
    await film.run("openclaw-tunnel status --history", 6.0)


async def two_tunnels(film: Film) -> Screen:
    """What ``status`` says of a tunnel that is up and of one that is not."""
    await film.run("openclaw-tunnel up -d -n lab -p auto lab", 0)
    await patience("lab", 4.0)
    await film.clear()
    await film.run("openclaw-tunnel status", 0)
    return film.screens[-1]


async def shoot() -> None:
    """Play the story, write the pictures."""
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(StandIn("Hello", version="2026.9.6"))
        server = DemoServer(("127.0.0.1", gateway.port), asked=GATEWAY, user="me")
        server.port = 22
        await stack.enter_async_context(server)
        (HOME / ".ssh/config").write_text(_SSH_CONFIG)
        (HOME / ".ssh/id_ed25519").touch(mode=0o600)
        (HOME / ".ssh/id_ed25519").write_bytes(server.client_key)
        film = Film()
        stack.callback(film.close)
        await first_session(film, server)
        about = "A terminal: trust, up, status; the SSH server goes away, status says why and counts down; it is back"
        write("session.svg", picture(film.screens, COLUMNS, ROWS, "openclaw-tunnel", about))
        still = await two_tunnels(film)
        lines = still.lines[:-1]
        words = "\n".join("".join(run.text for run in line) for line in lines)
        write("status.svg", picture([Screen(lines)], COLUMNS, len(lines), "openclaw-tunnel", words))
        await film.run("openclaw-tunnel down --all", 0)


def write(name: str, svg: str) -> None:
    """Write a picture beside this file."""
    (HERE / name).write_text(svg)
    print(f"{name}: {len(svg) / 1000:.0f} kB")


def enter() -> int:
    """Run this file again, in namespaces."""
    for needed in ("unshare", "ip", "tmux", "ssh", "curl"):
        if not shutil.which(needed):
            print(f"{needed} is missing: apt-get install util-linux iproute2 tmux openssh-client curl", file=sys.stderr)
            return 1
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        words = [*unshare, "sh", "-c", _STAGE, "sh", folder, sys.executable, str(Path(__file__).resolve())]
        return subprocess.run(words, env={"PATH": path}).returncode


if __name__ == "__main__":
    if os.environ.get(_INSIDE):
        asyncio.run(shoot())
    else:
        sys.exit(enter())
