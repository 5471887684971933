"""Set-ups of a tunnel that can be broken, and repaired by doing what a hint says to the letter.

One sshd and one gateway stand for all of them. What a hint has somebody run is run by a shell, with programs of the
same names in front of its PATH where the real ones are no test's business: ``openclaw``, and ``systemctl`` of a user.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import openclaw_tunnel
from support.cli import Cli, command
from support.gateway import Gateway
from support.process import Child, make, program
from support.servers import Sshd, new_key
from support.waiting import accepts, free_port, wait_until

PASSPHRASE = "a passphrase of the tests"

_OPENCLAW = """#!{python} -SE
import json, os, sys
from pathlib import Path
words, file = sys.argv[1:], Path({config!r})
if words[:2] == ["config", "set"]:
    settings = json.loads(file.read_text())
    *parents, key = words[2].split(".")
    place = settings
    for parent in parents:
        place = place.setdefault(parent, {{}})
    place[key] = int(words[3]) if words[3].isdigit() else words[3]
    file.write_text(json.dumps(settings, indent=2))
elif words == ["gateway", "run"]:
    os.execv({socat!r}, ["socat", "TCP-LISTEN:" + Path({run!r}).read_text() + ",bind=127.0.0.1,reuseaddr,fork", {to!r}])
elif words == ["gateway", "stop"]:
    os.kill(int(Path({pid!r}).read_text()), 15)
else:
    sys.exit("unknown: " + " ".join(words))
"""

# The systemd of this user, and its logind: a service that can be started, and an environment that can be changed.
_SYSTEMCTL = """#!/bin/sh
folder={folder}
[ "$1" = --user ] && shift
case "$1" in
  show) printf 'ActiveState=%s\\nMainPID=1\\nResult=success\\nUnitFileState=enabled\\n' "$(cat "$folder/state")" ;;
  start|restart) echo active > "$folder/state" ;;
  show-environment) echo LANG=C.UTF-8; cat "$folder/environment" ;;
  import-environment) echo "$2=$(printenv "$2")" > "$folder/environment" ;;
esac
"""
_LOGINCTL = """#!/bin/sh
folder={folder}
case "$1" in
  show-user) cat "$folder/linger" ;;
  enable-linger) echo yes > "$folder/linger" ;;
esac
"""


class Rig:
    """One user of ``gw``, whose tunnel leads to the gateway; a context manager.

    Attributes:
        cli: the user.
        key: the private key, which the server lets in; a copy, for this set-up alone.
        ssh: the lines of the Host block, by keyword; :meth:`write` writes them.
        known_hosts: lines of known_hosts.
        remote: ``gateway.remote`` of openclaw.json.
        tunnel: the tunnel ``default`` of tunnels.json5.
        port: the local port.
    """

    def __init__(self, sshd: Sshd, gateway: Gateway) -> None:
        self.sshd, self.gateway = sshd, gateway
        self.cli = Cli()
        self.home = self.cli.home
        self.key = self.home / "id_ed25519"
        self.port = free_port()
        self.ssh_config = self.home / "config"
        self.known_hosts = [sshd.host_key_line()]
        self.ssh: dict[str, str] = {
            "HostName": "127.0.0.1",
            "Port": str(sshd.port),
            "User": sshd.user,
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.home / "known_hosts"),
            "GlobalKnownHostsFile": "none",
        }
        self.remote: dict[str, Any] = {
            "url": f"ws://127.0.0.1:{self.port}",
            "sshTarget": "gw",
            "remotePort": gateway.port,
            "token": gateway.token,
        }
        self.tunnel: dict[str, Any] = {"localPort": self.port}
        self._children: list[Child] = []
        self._pids: list[int] = []
        self._host_is_as_found = True

    @property
    def settings(self) -> Path:
        """openclaw.json."""
        return self.home / ".openclaw" / "openclaw.json"

    @property
    def tunnels(self) -> Path:
        """tunnels.json5."""
        return self.cli.tunnel_home / "tunnels.json5"

    def write(self) -> None:
        """Write everything as the attributes have it."""
        lines = "".join(f"  {name} {value}\n" for name, value in self.ssh.items())
        self.ssh_config.write_text(f"Host gw\n{lines}")
        (self.home / "known_hosts").write_text("".join(f"{line}\n" for line in self.known_hosts))
        self.settings.write_text(json.dumps({"gateway": {"mode": "remote", "remote": self.remote}}, indent=2))
        self.settings.chmod(0o600)
        self.tunnels.write_text(json.dumps({"tunnels": {"default": self.tunnel}}, indent=2))

    def __enter__(self) -> Self:
        shutil.copy(self.sshd.client_key, self.key)
        self.key.chmod(0o600)
        self.settings.parent.mkdir(mode=0o700)
        self.cli.tunnel_home.mkdir(mode=0o700)
        self.cli.use_ssh_config(self.ssh_config)
        self._make_programs()
        self.write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for child in self._children:
            child.end()
        for pid in self._pids:
            os.kill(pid, 15)
        if not self._host_is_as_found:
            self.configure_host()
        self.sshd.start()
        self.cli.__exit__(kind, error, tb)

    def _make_programs(self) -> None:
        folder = self.home / "bin"
        folder.mkdir()
        words = {
            "python": sys.executable,
            "config": str(self.settings),
            "socat": program("socat"),
            "run": str(self.home / "gateway-port"),
            "to": f"TCP:127.0.0.1:{self.gateway.port}",
            "pid": str(self.home / "gateway-pid"),
        }
        ours = shlex.join(map(str, command()))
        askpass = f"#!/bin/sh\necho '{PASSPHRASE}'\n"
        texts = {"openclaw": _OPENCLAW.format(**words), "openclaw-tunnel": f'#!/bin/sh\nexec {ours} "$@"\n'}
        for name, text in {**texts, "askpass": askpass}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.cli.env["PATH"] = f"{folder}:{os.environ['PATH']}"

    # What breaks a set-up

    def lock_key(self) -> None:
        """Give the private key a passphrase."""
        make([program("ssh-keygen"), "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", self.key])

    def configure_host(self, *lines: str) -> None:
        """Let sshd have these lines of configuration, until the set-up ends."""
        self._host_is_as_found = not lines
        self.sshd.configure(lines)
        self.sshd.restart()

    def other_key(self) -> Path:
        """A key that the server does not know."""
        return new_key(self.home / "other")

    def listen(self, port: int, to: str, *, name: str = "socat") -> Child:
        """A program called ``name`` on a local port, which hands connections to ``to`` (an address of socat)."""
        argv = [
            "bash",
            "-c",
            'exec -a "$0" "$@"',
            name,
            program("socat"),
            f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
        ]
        child = Child([*argv, to], self.home / "listen.log")
        self._children.append(child)
        wait_until(lambda: accepts(port) or not child.running, 10, f"{name} to listen")
        return child

    def run_in_background(self, argv: Iterable[str | Path], port: int) -> Child:
        """A program that goes on; returns when it has a port."""
        child = Child(list(argv), self.home / "background.log", {**os.environ, **self.environment()})
        self._children.append(child)
        wait_until(lambda: accepts(port) or not child.running, 10, "a program to listen")
        assert child.running, child.output()
        return child

    def install_service(self, *, state: str = "active", linger: str = "yes") -> None:
        """A unit that is there, and a systemctl and a loginctl that say how it stands."""
        units = self.home / ".config" / "systemd" / "user"
        units.mkdir(parents=True)
        (units / "openclaw-tunnel.service").write_text(f"ExecStart={self.home}/bin/openclaw-tunnel service run\n")
        folder = self.home / "systemd"
        folder.mkdir()
        for name, text in {"environment": "", "state": state, "linger": linger}.items():
            (folder / name).write_text(text)
        for name, script in {"systemctl": _SYSTEMCTL, "loginctl": _LOGINCTL}.items():
            path = self.home / "bin" / name
            path.write_text(script.format(folder=folder))
            path.chmod(0o755)

    # What is done about it

    def environment(self) -> dict[str, str]:
        """What a shell of this user has, beside what the computer gives it."""
        python = str(Path(openclaw_tunnel.__file__).parents[1])
        home = {"HOME": str(self.home), "OPENCLAW_TUNNEL_HOME": str(self.cli.tunnel_home), "PYTHONPATH": python}
        config = {"OPENCLAW_TUNNEL_SSH_CONFIG": str(self.ssh_config)}
        asks = {"SSH_ASKPASS": str(self.home / "bin" / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        return {**home, **config, **asks, **self.cli.env}

    def shell(self, line: str, *, answer: str = "") -> str:
        """Run a command line in the user's shell; what it leaves behind in the environment stays.

        Args:
            answer: typed on a terminal; empty: there is none.
        """
        after = self.home / "after"
        script = f"{line}\ncode=$?\nenv > {after}\nexit $code"
        argv = ["bash", "-c", script]
        if answer:
            argv = [program("script"), "-qec", shlex.join(argv), "/dev/null"]
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.environment()}
        done = subprocess.run(argv, input=answer, capture_output=True, text=True, timeout=30, env=env, cwd=self.home)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        self._adopt(dict(entry.split("=", 1) for entry in after.read_text().splitlines() if "=" in entry), done.stdout)
        return done.stdout

    def _adopt(self, left: Mapping[str, str], said: str) -> None:
        """Take over an agent that the shell has started, and end it with the set-up."""
        for name in ("SSH_AUTH_SOCK", "SSH_AGENT_PID"):
            if name in left:
                self.cli.env[name] = left[name]
        pids = [left.get("SSH_AGENT_PID", ""), *re.findall(r"SSH_AGENT_PID=(\d+);", said)]
        self._pids += [int(pid) for pid in dict.fromkeys(pids) if pid and int(pid) not in self._pids]

    def edit(self, file: Path, old: str, new: str) -> None:
        """Change a file by hand; ``old`` is in it once."""
        text = file.read_text()
        assert text.count(old) == 1, (old, text)
        file.write_text(text.replace(old, new))
