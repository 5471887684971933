"""The README's pictures of a terminal, made from the real program: ``make pictures``. Linux, as root, with tmux.

In namespaces of its own, so that names, addresses and folders are those of the story and nothing of this computer is
seen or touched: gateway.example is a network away and runs a real sshd and a real OpenClaw Gateway (the one that
OPENCLAW_TUNNEL_TEST_GATEWAY names), and tmux has a shell of 80 columns at which the commands of the story are typed.
"""

import asyncio
import contextlib
import http.client
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

from gatewayhost import INSTALLED_AT, PASSWORD, GatewayHost, gateway_program
from terminal import Screen, parse, picture

COLUMNS, ROWS = 80, 28
HOME = Path("/home/me")
HERE = Path(__file__).parent
DEADLINE = 40.0
UPTIME = 15.0
"""Seconds that the tunnel is up before the still is taken: its last pings are of a time at which all is quiet."""

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
printf '127.0.0.1 localhost\n192.0.2.10 gateway.example\n192.0.2.11 lab.example\n' > "$1/hosts"
printf 'me:x:0:0::/home/me:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n' > "$1/passwd"
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/passwd" /etc/passwd
echo desk > /proc/sys/kernel/hostname
installed=$2
shift 2
mkdir -m 700 /home/me/run
cd /home/me
exec env -i PATH="$PATH" HOME=/home/me XDG_RUNTIME_DIR=/home/me/run TMUX_TMPDIR=/home/me LANG=C.UTF-8 \
    TERM=xterm-256color OPENCLAW_TUNNEL_PICTURES=1 OPENCLAW_TUNNEL_TEST_GATEWAY="$installed" "$@"
"""

_TUNNELS = "{ policy: { probeInterval: 0.5 } }\n"
"""A ping comes with each probe: so often that there are many when the still is taken."""


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

    async def type(self, words: str, *, pause: float = 0.9, step: int = 5) -> None:
        """Type words as a person does, a few letters at a time, and have them seen for ``pause`` seconds."""
        line = self.capture()[-1]
        for end in range(step, len(words) + step, step):
            self._tmux("send-keys", "-l", words[end - step : end])
            await self.see(lambda lines, to=end: lines[-1] == f"{line} {words[:to]}".rstrip())  # type: ignore[misc]
            self.shoot(0.13 if end < len(words) else pause)

    async def answer(self, question: str, words: str, seconds: float, *, hidden: bool = False) -> None:
        """Have a question, which ends so, seen for that long, and answer it."""
        await self.see(lambda lines: "".join(lines).replace(" ", "").endswith(question.replace(" ", "")))
        self.shoot(seconds)
        if hidden:
            self._tmux("send-keys", "-l", words)
        elif words:
            await self.type(words, pause=0.5)
        self.press("Enter")

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


async def until(condition: Callable[[], bool], told: Callable[[], str], every: float = 0.02) -> None:
    """Wait for something; the end of this program, with what is told, where it does not come."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"this is not what should be seen:\n{told()}")
        await asyncio.sleep(every)


def tunnel(name: str) -> dict[str, Any]:
    """What ``status --json`` says of a tunnel."""
    done = subprocess.run(["openclaw-tunnel", "status", name, "--json"], capture_output=True, text=True)
    [found] = json.loads(done.stdout)["tunnels"]
    return dict(found)


async def patience(name: str, least: float) -> None:
    """Wait until the tunnel waits for its next try, and has at least that many seconds to go."""

    def waits() -> bool:
        found = tunnel(name)
        return found["state"] == "backoff" and (found["retry"]["next_in_s"] or 0) >= least

    await until(waits, lambda: json.dumps(tunnel(name), indent=2), every=0.3)


async def from_nothing(film: Film) -> None:
    """One command, and there is a tunnel."""
    await film.see(lambda lines: lines == ["$"])
    setup = "openclaw-tunnel setup me@gateway.example --no-service --no-open"
    await film.type(setup, pause=1.5, step=len(setup))
    film.press("Enter")
    await film.answer("[y/N]:", "y", 2.5)
    await film.answer("password:", PASSWORD, 1.8, hidden=True)
    await film.answer("accept it? [Y/n]:", "y", 2.0)
    await film.answer("openclaw.json)? [Y/n]:", "y", 2.0)
    await film.see(lambda lines: lines[-1] == "$")
    film.shoot(5.0)
    await film.clear()
    await film.run("openclaw-tunnel status", 4.0)


async def two_tunnels(film: Film) -> Screen:
    """What ``status`` says of a tunnel that is up, with clients, and of one that is not; none of it is in the film."""
    seen = len(film.screens)
    with contextlib.ExitStack() as stack:
        await film.run("openclaw-tunnel up -d -n lab -p auto me@lab.example", 0)
        await asyncio.sleep(UPTIME)
        await patience("lab", 4.0)
        for number in range(5):
            client = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", 18789)))
            client.request("GET", "/")
            client.getresponse().read()
            if number > 1:
                client.close()
        await film.clear()
        await film.run("openclaw-tunnel status", 0)
        still = film.screens[-1]
    await film.run("openclaw-tunnel down lab", 0)
    await film.clear()
    del film.screens[seen:]
    return still


async def outage(film: Film, host: GatewayHost) -> None:
    """The SSH server goes away and comes back, and what is told about it."""
    await film.type("# the SSH server goes away", pause=1.0)
    film.press("Enter")
    host.fail()
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
    host.begin()
    await film.see(lambda lines: lines[-1] == "$")
    await film.run("curl http://127.0.0.1:18789/healthz; echo", 1.6)
    await asyncio.sleep(3)
    await film.run("openclaw-tunnel status", 3.5)
    await film.clear()
    await film.run("openclaw-tunnel status default --history", 6.0)


async def shoot() -> None:
    """Play the story, write the pictures."""
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(GatewayHost())
        await until(host.is_live, host.log, every=0.3)
        host.begin()
        config = HOME / ".config/openclaw-tunnel"
        config.mkdir(mode=0o700, parents=True)
        (config / "tunnels.json5").write_text(_TUNNELS)
        film = Film()
        stack.callback(film.close)
        await from_nothing(film)
        still = await two_tunnels(film)
        await outage(film, host)
        about = (
            "A terminal: setup makes a tunnel from nothing; the SSH server goes away, status says why and counts "
            "down; it is back"
        )
        write("session.svg", picture(film.screens, COLUMNS, ROWS, "openclaw-tunnel", about))
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
    if os.geteuid() != 0:
        sys.exit("an sshd with an account of its own takes root: sudo -E make pictures")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    for needed in ("unshare", "ip", "tmux", "ssh", "sshd", "openssl", "curl"):
        if not shutil.which(needed, path=path):
            sys.exit(f"{needed} is missing: apt-get install util-linux iproute2 tmux openssh-server openssl curl")
    gateway_program()
    unshare = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with tempfile.TemporaryDirectory() as folder:
        stage = [*unshare, "sh", "-c", _STAGE, "sh", folder, os.environ[INSTALLED_AT]]
        return subprocess.run([*stage, sys.executable, str(Path(__file__).resolve())], env={"PATH": path}).returncode


if __name__ == "__main__":
    if os.environ.get(_INSIDE):
        asyncio.run(shoot())
    else:
        sys.exit(enter())
