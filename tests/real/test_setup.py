"""`setup` from a fresh home: a real sshd that takes a password, a real gateway, OpenClaw's own command line."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import json5
import pytest

from openclaw_tunnel.setup.steps import Mark
from support.cli import Answer, Cli, command, environment
from support.gateway import HEALTHY, Gateway, healthz
from support.passwordsshd import PasswordSshd
from support.process import Child, send
from support.usermanager import UserManager
from support.waiting import wait_until

COMMENTED = "// mine\n{\n  agents: {}, // keep me\n}\n"


class NewUser(Cli):
    """A user whose home is empty but for an ssh_config that keeps ssh from looking into the account's own."""

    def __init__(self, sshd: PasswordSshd, gateway: Gateway) -> None:
        super().__init__()
        sshd.put(".openclaw/openclaw.json", settings_there(gateway))
        self.target = f"{sshd.user}@127.0.0.1:{sshd.port}"
        self.secrets = (gateway.token, sshd.password)
        self.password_file = self.home / "password"
        self.password_file.write_text(sshd.password + "\n")
        self.key = self.home / ".ssh" / "id_ed25519"
        self.settings = self.home / ".openclaw" / "openclaw.json"
        config = self.home / "config"
        config.write_text(
            f"IdentityFile {self.key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.home}/.ssh/known_hosts\n"
            "GlobalKnownHostsFile none\n"
        )
        self.use_ssh_config(config)

    def setup(self, *options: str, env: Mapping[str, str] | None = None) -> Answer:
        """``setup``, which never shows a secret."""
        answer = self("setup", self.target, *options, env=env)
        assert not any(secret in answer.stdout + answer.stderr for secret in self.secrets)
        return answer

    def all_at_once(self, *more: str, env: Mapping[str, str] | None = None) -> Answer:
        """``setup`` with everything that it needs so as not to ask."""
        options = ("--yes", "--password-file", str(self.password_file), "--no-service", "--no-open")
        return self.setup(*options, *more, env=env)

    def files(self) -> dict[Path, tuple[bytes, int, int]]:
        """Content, mode and time of all that setup could change: the daemon's own files are another matter."""
        touched = {self.home / "ssh_config"}
        places = (self.home / ".ssh", self.home / ".openclaw", self.tunnel_home / "tunnels.json5", self.home)
        found = {path for place in places for path in (place.iterdir() if place.is_dir() else [place])}
        files = sorted(path for path in found - touched if path.is_file())
        return {p: (p.read_bytes(), stat.S_IMODE(p.stat().st_mode), p.stat().st_mtime_ns) for p in files}

    def local_port(self) -> int:
        """Where the settings say that the gateway is reached."""
        return int(json5.loads(self.settings.read_text())["gateway"]["remote"]["url"].rpartition(":")[2])


def settings_there(gateway: Gateway) -> str:
    """The gateway's own openclaw.json."""
    auth = {"mode": "token", "token": gateway.token}
    return json.dumps({"gateway": {"mode": "local", "port": gateway.port, "auth": auth}})


@pytest.fixture(scope="module")
def sshd() -> Iterator[PasswordSshd]:
    """One server; each user begins without a key there."""
    with PasswordSshd() as server:
        yield server


@pytest.fixture
def user(sshd: PasswordSshd, gateway: Gateway) -> Iterator[NewUser]:
    """Somebody new, here and there."""
    sshd.authorized_keys.unlink(missing_ok=True)
    gateway.wait_ready()
    with NewUser(sshd, gateway) as somebody:
        yield somebody


def test_from_nothing_to_a_healthy_tunnel(user: NewUser, sshd: PasswordSshd) -> None:
    before = user.files()
    assert user.setup("--dry-run").exit_code == 0
    assert user.files() == before
    assert not sshd.authorized_keys.exists()

    first = user.all_at_once()
    assert first.exit_code == 0, first
    assert healthz(user.local_port()) == HEALTHY
    assert [stat.S_IMODE(p.stat().st_mode) for p in (user.key, user.settings, user.settings.parent)] == [
        0o600,
        0o600,
        0o700,
    ]
    for arguments in (["status"], ["health"], ["probe"], ["config", "check"], ["down"], ["up", "-d"], ["wait"]):
        answer = user(*arguments)
        assert answer.exit_code == 0, (arguments, answer)

    before = user.files()
    pid = user("status", "--json").json()["daemon"]["pid"]
    again = user.setup("--yes", "--no-open")
    assert again.exit_code == 0, again
    assert user.files() == before
    assert f"already set up: nothing was changed for {user.target}" in again.stdout
    assert {line[10:19].strip() for line in again.stdout.splitlines()[:7]} == {Mark.OK, Mark.KEPT}
    assert user("status", "--json").json()["daemon"]["pid"] == pid

    assert "would" not in user.setup("--dry-run").stdout
    assert user.files() == before


def test_comments_stay_and_the_ssh_config_is_kept(user: NewUser, gateway: Gateway) -> None:
    user.settings.parent.mkdir(mode=0o700)
    user.settings.write_text(COMMENTED)
    config = Path(user.env.pop("OPENCLAW_TUNNEL_SSH_CONFIG"))
    first = user.all_at_once("-F", str(config))
    assert first.exit_code == 0, first
    assert user.settings.read_text().startswith("// mine\n{\n  agents: {}, // keep me\n  gateway: {\n")
    assert user.settings.with_name("openclaw.json.bak").read_text() == COMMENTED
    assert user("down").exit_code == 0
    assert user("up", "-d").exit_code == 0  # with the key that only the kept ssh_config names
    assert user("health").exit_code == 0
    valid = openclaw(gateway, user, "config", "validate")
    assert valid.returncode == 0, valid


def test_through_openclaws_own_command_line(user: NewUser, gateway: Gateway) -> None:
    folder = user.home / "bin"
    folder.mkdir()
    node, script = gateway.program
    (folder / "openclaw").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "$HOME/asked"\nexec {node} {script} "$@"\n')
    (folder / "openclaw").chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}"}
    first = user.all_at_once(env=env)
    assert first.exit_code == 0, first
    assert "through openclaw config patch" in first.stdout
    assert (user.home / "asked").read_text() == "config patch --stdin\n"
    assert json.loads(user.settings.read_text())["meta"]["lastTouchedVersion"] == gateway.version
    before = user.files()
    assert user.setup("--yes", "--no-open", env=env).exit_code == 0
    assert user.files() == before
    health = openclaw(gateway, user, "health", "--json")
    assert json.loads(health.stdout)["ok"] is True, health


@pytest.mark.machine
def test_with_a_service(sshd: PasswordSshd, gateway: Gateway) -> None:
    sshd.put(".ssh/authorized_keys", sshd.client_key.with_suffix(".pub").read_text())
    sshd.put(".openclaw/openclaw.json", settings_there(gateway))
    gateway.wait_ready()
    with UserManager() as user:
        user.use_server(sshd)
        first = user("setup", "gw", "--yes", "--no-open")
        assert first.exit_code == 0, first
        assert "tunnel    changed  default opens at every login" in first.stdout
        assert user.systemctl("is-enabled", "openclaw-tunnel.service").stdout == "enabled\n"
        began = user.property("openclaw-tunnel.service", "MainPID")
        again = user("setup", "gw", "--yes", "--no-open")
        assert again.exit_code == 0, again
        assert "already set up: nothing was changed for gw" in again.stdout
        assert user.property("openclaw-tunnel.service", "MainPID") == began
        assert user("health").exit_code == 0


def openclaw(gateway: Gateway, user: NewUser, *arguments: str) -> subprocess.CompletedProcess[str]:
    """OpenClaw's own command line, in the user's home."""
    env = environment(user.home, {"OPENCLAW_NO_AUTO_UPDATE": "1"})
    argv = [*map(str, gateway.program), *arguments]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, cwd=user.home)


class OnTerminal:
    """``setup`` on a terminal; a context manager.

    Attributes:
        screen: everything it has shown so far.
    """

    def __init__(self, user: NewUser) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 200))  # wide enough for each question to be one line
        env = environment(user.home, {**user.env, "TERM": "xterm"})
        argv = command("setup", user.target, "--no-service", "--no-open")
        try:
            self.child = Child(argv, user.home / "terminal.log", env, terminal=theirs)
        finally:
            os.close(theirs)
        self.screen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.child.running:
            send(self.child.pid, signal.SIGKILL)
            self.child.wait()
        os.close(self._ours)

    def shows(self, text: str) -> bool:
        """Whether that has come."""
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self.screen += os.read(self._ours, 65536).decode()
            except OSError:  # Linux: the other end is closed
                break
        return text in self.screen

    def until(self, text: str) -> None:
        """Wait for it."""
        wait_until(lambda: self.shows(text) or not self.child.running, 20, text)
        assert self.shows(text), self.screen

    def types(self, answer: str) -> None:
        """A line."""
        os.write(self._ours, answer.encode() + b"\n")

    def echoes(self) -> bool:
        """Whether what is typed can be seen."""
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)


QUESTIONS = {
    "Is it the right one? [y/N]:": "y",
    "'s password:": "correct horse",
    "let {target} accept it? [Y/n]:": "",
    "Take the gateway's token": "y",
}


def test_interrupted_at_any_question_it_can_be_called_again(user: NewUser, sshd: PasswordSshd) -> None:
    questions = [(text.replace("{target}", user.target), answer) for text, answer in QUESTIONS.items()]
    for last, (text, _) in enumerate(questions):
        with OnTerminal(user) as terminal:
            for question, answer in questions[bool(last) : last]:  # the first is answered for good
                terminal.until(question)
                terminal.types(answer)
            terminal.until(text)
            if "password" in text:
                wait_until(lambda t=terminal: not t.echoes(), 5, "the password hidden")  # type: ignore[misc]
                assert terminal.child.end_with(signal.SIGINT) == 130
                assert terminal.echoes()
                assert sshd.password not in terminal.screen
            elif last:
                send(terminal.child.pid, signal.SIGKILL)
                terminal.child.wait()
            else:
                terminal.types("y")
                terminal.until("host key  \x1b[32mchanged")
        assert not user.settings.exists()
    with OnTerminal(user) as terminal:
        terminal.until("Take the gateway's token")
        terminal.types("y")
        terminal.until("\r\nnext: ")
        assert terminal.child.wait() == 0
    assert user("health").exit_code == 0
    assert sshd.authorized_keys.read_text().count("ssh-ed25519") == 1
