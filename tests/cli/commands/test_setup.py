"""`setup` with a host, a computer and a person that are made up: what it asks, does, keeps and refuses.

In cli/commands/setup.py, setup/flow.py, setup/edge.py and the plan.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.spec import parse_forward
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError, CredentialError, ExitCode, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.openclaw.remote_host import RemoteGateway
from openclaw_tunnel.setup.flow import set_up
from openclaw_tunnel.setup.prompts import Prompts, Terminal
from openclaw_tunnel.setup.report import show_step
from openclaw_tunnel.setup.steps import Options
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey
from openclaw_tunnel.ui.tunnelrows import plain
from support.cli import Cli
from support.setupfakes import KEY, TOKEN, FakeComputer, FakeHost

TARGET = "me@gateway-host"
COMPLETE: dict[str, Any] = {
    "mode": "remote",
    "remote": {
        "url": "ws://127.0.0.1:18789",
        "transport": "ssh",
        "sshTarget": TARGET,
        "remotePort": 18789,
        "token": TOKEN,
    },
}


class Person(Terminal):
    """Answers by a part of the question; a question that nobody expected fails the test."""

    def __init__(self, **answers: str) -> None:
        self.answers = {key.replace("_", " "): answer for key, answer in answers.items()}
        self.questions: list[str] = []

    def tell(self, text: str) -> None:
        self.questions.append(text)

    async def ask(self, prompt: str, *, hidden: bool) -> str:
        self.questions.append(prompt)
        return next(answer for part, answer in self.answers.items() if part in prompt)


class Setup:
    """A user who calls setup, in a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = FakeHost(folder)
        self.computer = FakeComputer()
        self.env = {"HOME": str(folder), "PATH": "", "OPENCLAW_TUNNEL_HOME": str(folder / "t")}
        self.lines: list[str] = []
        self.opens = False
        self.settings_file = folder / ".openclaw" / "openclaw.json"
        self.tunnels_file = folder / "t" / "tunnels.json5"

    def __call__(self, person: Person | None = None, *, yes: bool = False, password: str = "", **given: Any) -> int:
        self.lines, self.host.calls, self.computer.calls = [], [], []
        prompts = Prompts(yes=yes, terminal=person, password=(lambda: password) if password else None)
        can_ask = person is not None and not yes
        return set_up(
            Options(given.pop("target", TARGET), yes=yes, can_ask=can_ask, **given),
            self.host.made,
            self.computer,
            prompts,
            partial(show_step, show=lambda tables: self.lines.append(plain(tables))),
            env=self.env,
            paths=Paths.from_env(self.env),
            opens=self.opens,
        )

    @property
    def marks(self) -> dict[str, str]:
        """Each step and what became of it."""
        return {line[:10].strip(): line[10:19].strip() for line in self.lines if not line.startswith("{")}

    @property
    def gateway(self) -> Any:
        """What openclaw.json says of the gateway."""
        return json.loads(self.settings_file.read_text())["gateway"]

    def has(self, gateway: Any) -> None:
        """Write an openclaw.json."""
        self.settings_file.parent.mkdir(exist_ok=True)
        self.settings_file.write_text(json.dumps({"gateway": gateway}))

    def has_tunnels(self, **tunnels: Any) -> None:
        """Write a tunnels.json5."""
        self.tunnels_file.parent.mkdir(exist_ok=True)
        self.tunnels_file.write_text(json.dumps({"tunnels": tunnels}))

    def trusts(self) -> None:
        """The host's key is known."""
        self(yes=True, no_service=True)
        self.settings_file.unlink()

    def files(self) -> dict[Path, tuple[bytes, int]]:
        """All of them, with the time of their last change."""
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.folder.rglob("*") if p.is_file()}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_the_host_is_said_once(setup: Setup) -> None:
    """That its port is the usual one is no news."""
    setup(yes=True, no_service=True, target="me@gateway.example")
    assert setup.lines[0] == "host      ok       me@gateway.example:22"


def test_with_yes_all_of_it(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.host.password = "secret"
    assert setup(yes=True, password="secret") == 0
    assert setup.host.calls == [
        "remember",
        "log in",
        "make /home/me/.ssh/id_ed25519",
        "install /home/me/.ssh/id_ed25519",
        "close",
    ]
    assert setup.gateway == COMPLETE
    assert setup.computer.calls == ["service install --yes", "health -n default"]
    assert list(setup.marks) == ["host", "host key", "key", "login", "gateway", "token", "port", "settings", "tunnel"]
    shown = "\n".join(setup.lines) + "".join(capsys.readouterr())
    assert "nobody compared the new key of gateway.example:22: ED25519 SHA256:" in shown
    assert TOKEN not in shown


def test_a_second_time_nothing_changes_and_it_says_so(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup(yes=True)
    setup.computer.installed = True
    setup.computer.opened()
    before = setup.files()
    assert setup(yes=True) == 0
    assert setup.files() == before
    assert set(setup.marks.values()) == {"ok", "kept"}
    assert setup.computer.calls == ["wait default", "health -n default"]
    assert f"already set up: nothing was changed for {TARGET}" in capsys.readouterr().out


def test_a_tunnel_that_is_set_up_and_not_well_tries_again(setup: Setup) -> None:
    setup(yes=True)
    setup.computer.installed = True
    setup.computer.opened(state=State.FAILED)
    setup(yes=True)
    assert setup.computer.calls == ["up -d", "health -n default"]


def test_a_person_answers(setup: Setup) -> None:
    setup.host.password = "secret"
    person = Person(Is_it_the_right_one="y", password="secret", Make_a_key="", Take_the_gateway="", every_login="n")
    assert setup(person) == 0
    assert setup.gateway == COMPLETE
    assert setup.computer.calls == ["up -d", "health -n default"]
    assert [question.partition("?")[2] for question in person.questions] == [
        " [y/N]: ",
        "",
        " [Y/n]: ",
        " [Y/n]: ",
        " [Y/n]: ",
    ]


@pytest.mark.parametrize(
    ("asked", "answered", "reason"),
    [
        ("the right one", "", "the host's key is not remembered"),
        ("Make a key", "n", "accepts no key of yours, and a tunnel cannot log in with a password"),
    ],
)
def test_a_person_declines(setup: Setup, asked: str, answered: str, reason: str) -> None:
    setup.host.password = "secret"
    person = Person(**{"the right one": "y", "password": "secret", asked: answered})
    with pytest.raises(TunnelError, match=reason) as caught:
        setup(person)
    assert caught.value.exit_code is ExitCode.NO
    assert not setup.settings_file.exists()
    assert setup.computer.calls == []


@pytest.mark.parametrize(
    ("prepare", "wish", "question", "flag"),
    [
        (lambda s: None, {}, "whether the key of gateway.example:22 is the right one", "--fingerprint SHA256:"),
        (Setup.trusts, {}, f"whether to take the gateway's token from {TARGET}", "--token-file FILE or --no-token"),
        (Setup.trusts, {"no_token": True}, "whether the tunnel opens at every login", "--yes or --no-service"),
        (lambda s: s.has({"remote": {"sshTarget": "me@old"}}), {}, "takes the place of me@old", "--replace"),
        (
            lambda s: (s.trusts(), s.has({"mode": "local"})),
            {"no_token": True},
            "whether gateway.mode, which is local, becomes remote",
            "--yes, which leaves it",
        ),
    ],
)
def test_nobody_to_ask(
    setup: Setup, prepare: Callable[[Setup], Any], wish: dict[str, Any], question: str, flag: str
) -> None:
    prepare(setup)
    with pytest.raises(UsageError) as caught:
        setup(**wish)
    assert question in caught.value.message
    assert flag in caught.value.hint


def test_without_terminal_a_password_needs_a_file(setup: Setup) -> None:
    setup.host.password = "secret"
    with pytest.raises(TunnelError, match="refused the login") as caught:
        setup(yes=True)
    assert caught.value.exit_code is ExitCode.LOGIN
    assert (
        caught.value.hint
        == "install a key; or call it on a terminal, or with --password-file FILE, and it installs a key"
    )


def test_a_fingerprint_is_an_answer(setup: Setup) -> None:
    with pytest.raises(TunnelError, match="has another fingerprint") as caught:
        setup(yes=True, fingerprint="SHA256:" + "A" * 43)
    assert caught.value.exit_code is ExitCode.HOST_KEY
    assert not (setup.folder / "known_hosts").exists()


def test_a_changed_key_is_never_accepted(setup: Setup) -> None:
    setup.trusts()
    known = setup.folder / "known_hosts"
    known.write_text(known.read_text().replace("a2tr", "b2tr"))
    with pytest.raises(TunnelError) as caught:
        setup(Person(the_right_one="y"), yes=True)
    assert caught.value.exit_code is ExitCode.HOST_KEY
    assert setup.host.calls == ["close"]


def test_a_key_that_only_the_agent_has(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.host.password = "secret"
    setup.host.chosen = ChosenKey("", KEY, "me@here", in_file=False)
    setup(Person(right_one="y", password="secret", the_key_of_your_agent="y"), no_token=True, no_service=True)
    assert "only your SSH agent has that key" in capsys.readouterr().err


def test_a_login_by_the_agent_alone(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.host.how = HowIn("publickey", "ED25519 SHA256:x of the agent", from_agent=True)
    setup(yes=True)
    assert "only your SSH agent has that key" in capsys.readouterr().err


# Dry runs


def test_a_dry_run_with_nothing_known_changes_nothing(setup: Setup) -> None:
    assert setup(dry_run=True) == 0
    assert setup.files() == {}
    assert setup.host.calls == ["close"]
    assert setup.computer.calls == []
    assert setup.marks["host key"] == setup.marks["settings"] == setup.marks["tunnel"] == "would"


def test_a_dry_run_looks_as_far_as_it_can(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.trusts()
    before = setup.files()
    assert setup(dry_run=True) == 0
    assert setup.files() == before
    assert setup.marks == {
        "host": "ok",
        "host key": "kept",
        "login": "kept",
        "gateway": "ok",
        "token": "would",
        "port": "ok",
        "settings": "would",
        "tunnel": "would",
    }
    out = capsys.readouterr().out
    assert '"token": "THE TOKEN"' in out
    assert TOKEN not in out
    assert setup.lines[-1].endswith("call: service install")


def test_a_dry_run_without_a_key_asks_no_password(setup: Setup) -> None:
    setup.trusts()
    setup.host.password = "secret"
    assert setup(Person(), dry_run=True) == 0
    assert setup.marks["login"] == setup.marks["gateway"] == "would"


def test_a_dry_run_of_what_is_set_up(setup: Setup) -> None:
    setup(yes=True, no_service=True)
    setup.computer.opened()
    setup(dry_run=True, no_service=True)
    assert set(setup.marks.values()) == {"ok", "kept"}


# The gateway and its token


def test_the_port_that_its_own_settings_say(setup: Setup) -> None:
    setup.host.settings = RemoteGateway(port=19001, auth_mode="none")
    setup.host.ports = {19001: Verdict.STARTING}
    setup(yes=True)
    assert setup.gateway["remote"]["remotePort"] == 19001
    assert setup.gateway["remote"]["url"] == "ws://127.0.0.1:19001"
    assert "token" not in setup.gateway["remote"]


def test_no_gateway_there(setup: Setup) -> None:
    setup.host.ports = {}
    with pytest.raises(TunnelError, match=r"nothing listens on 127\.0\.0\.1:18789") as caught:
        setup(yes=True)
    assert caught.value.exit_code is ExitCode.NOT_LISTENING
    assert f"start the gateway on {TARGET}" in caught.value.hint
    assert caught.value.hint.endswith("or say where it listens: --remote-port PORT")


def test_a_host_that_is_a_client_itself(setup: Setup) -> None:
    setup.host.settings, setup.host.ports = RemoteGateway(path="/home/me/.openclaw/openclaw.json", mode="remote"), {}
    with pytest.raises(TunnelError, match="nothing listens") as caught:
        setup(yes=True)
    assert caught.value.hint.startswith("gateway.mode is remote in /home/me/.openclaw/openclaw.json there: set up the")
    assert "start the gateway" not in caught.value.hint


def test_a_person_knows_the_port(setup: Setup) -> None:
    setup.trusts()
    setup.host.ports = {19001: Verdict.HEALTHY}
    person = Person(Port_of_the_gateway="19001", Take_the_gateway="y")
    assert setup(person, no_service=True) == 0
    assert setup.gateway["remote"]["remotePort"] == 19001
    with pytest.raises(TunnelError, match="nothing listens"):
        setup(Person(Port_of_the_gateway=""), no_service=True, target="me@gateway-host:23", replace=True)


def test_a_gateway_with_tls(setup: Setup) -> None:
    setup.host.settings, setup.host.ports = RemoteGateway(tls=True), {}
    with pytest.raises(ConfigError, match="speaks TLS"):
        setup(yes=True)


def test_a_password_gateway(setup: Setup) -> None:
    setup.host.settings = RemoteGateway(auth_mode="password", password=Secret("pw-1"), password_source="its password")
    setup(yes=True)
    assert setup.gateway["remote"]["password"] == "pw-1"
    assert "token" not in setup.gateway["remote"]


def test_a_token_that_was_changed_there(setup: Setup) -> None:
    setup(yes=True, no_service=True)
    setup.computer.opened()
    setup.host.settings = RemoteGateway(token=Secret("new-token"), token_source="its token")
    setup(yes=True, no_service=True)
    assert setup.gateway["remote"]["token"] == "new-token"
    assert setup.computer.calls == ["close default", "up -d", "health -n default"]


@pytest.mark.parametrize("mine", ["${MY_TOKEN}", {"source": "env", "provider": "default", "id": "MY_TOKEN"}])
def test_a_reference_of_the_users_stays(setup: Setup, mine: Any) -> None:
    setup.env["MY_TOKEN"] = "something"
    setup.has({**COMPLETE, "remote": {**COMPLETE["remote"], "token": mine}})
    assert setup(yes=True, no_service=True) == 0
    assert setup.gateway["remote"]["token"] == mine
    assert setup.marks["token"] == "kept"


def test_a_token_that_is_given(setup: Setup) -> None:
    setup(yes=True, token=Secret("mine"))
    assert setup.gateway["remote"]["token"] == "mine"
    with pytest.raises(CredentialError):
        setup(yes=True, token=Secret("${MINE}"))


def test_a_token_that_cannot_be_read_there_is_typed(setup: Setup) -> None:
    setup.trusts()
    setup.host.settings = RemoteGateway(auth_mode="token", token_problem="is kept in a reference")
    person = Person(it_is_not_shown="typed-token")
    setup(person, no_service=True)
    assert setup.gateway["remote"]["token"] == "typed-token"
    assert setup.computer.calls[-1] == "health -n default"


def test_no_token_is_an_answer(setup: Setup) -> None:
    setup.host.settings = RemoteGateway(problem="runs no commands")
    assert setup(yes=True) == 0
    assert "token" not in setup.gateway["remote"]
    assert setup.marks["token"] == "skipped"
    assert setup.computer.calls == ["service install --yes"]
    setup(yes=True, no_token=True)
    assert setup.marks["token"] == "skipped"


# Settings that are there


def test_another_gateway_makes_way_only_when_told(setup: Setup) -> None:
    setup.has({"mode": "remote", "remote": {"sshTarget": "me@old", "token": "old-token", "password": "old"}})
    before = setup.files()
    with pytest.raises(ConfigError, match=r"leads to me@old \(gateway.remote\), and --yes does not replace") as caught:
        setup(yes=True)
    assert setup.files() == before
    assert "add --replace" in caught.value.hint
    assert setup(yes=True, replace=True) == 0
    assert setup.gateway == COMPLETE
    assert setup.computer.calls[0] == "service install --yes --replace"
    assert json.loads(Path(f"{setup.settings_file}.bak").read_text())["gateway"]["remote"]["token"] == "old-token"


def test_a_person_decides_about_another_gateway(setup: Setup) -> None:
    setup.has({"remote": {"sshTarget": "me@old"}})
    with pytest.raises(TunnelError, match="nothing was changed"):
        setup(Person(leads_to_me="n"))
    assert setup(Person(leads_to_me="y", right_one="y", Take="y", login="n")) == 0


def test_a_gateway_of_this_computer_goes_on(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.has({"mode": "local", "auth": {"token": "own"}})
    setup(yes=True)
    assert setup.gateway == {"mode": "local", "auth": {"token": "own"}, "remote": COMPLETE["remote"]}
    assert "gateway.mode stays local" in capsys.readouterr().err
    setup(Person(mode_is_local="y"), no_service=True)
    assert setup.gateway["mode"] == "remote"


def test_comments_stay(setup: Setup) -> None:
    setup.settings_file.parent.mkdir()
    setup.settings_file.write_text("// mine\n{ agents: {} }\n")
    setup(yes=True)
    assert setup.settings_file.read_text().startswith("// mine\n{ agents: {}, gateway: {")


def test_a_managed_file_is_shown_what_it_lacks(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.env["OPENCLAW_NIX_MODE"] = "1"
    with pytest.raises(ConfigError, match="is managed elsewhere") as caught:
        setup(yes=True)
    assert caught.value.exit_code is ExitCode.CONFIG
    out = capsys.readouterr().out
    assert '"sshTarget": "me@gateway-host"' in out
    assert TOKEN not in out
    assert not setup.settings_file.exists()


def test_the_key_file_is_kept_for_later(setup: Setup) -> None:
    setup(yes=True, identity="/home/me/.ssh/own")
    assert setup.gateway["remote"]["sshIdentity"] == "/home/me/.ssh/own"
    (setup.folder / "own").write_text("")
    setup(yes=True)
    assert setup.host.made_with == ("/home/me/.ssh/own", "")


def test_the_ssh_config_is_kept_for_later(setup: Setup) -> None:
    setup.tunnels_file.parent.mkdir()
    setup.tunnels_file.write_text("// mine\n{policy: {keepaliveInterval: 30}}\n")
    setup(yes=True, ssh_config="/home/me/cfg", dry_run=True)
    assert "sshConfig" not in setup.tunnels_file.read_text()
    setup(yes=True, ssh_config="/home/me/cfg")
    assert setup.marks["ssh"] == "changed"
    assert setup.tunnels_file.read_text().startswith("// mine\n{policy: {keepaliveInterval: 30}, tunnels: {")
    setup(yes=True)
    assert setup.host.made_with == ("", "/home/me/cfg")
    setup(yes=True, ssh_config="/home/me/cfg")
    assert "ssh" not in setup.marks


def test_later_commands_have_to_mean_this_tunnel(setup: Setup) -> None:
    setup.has_tunnels(default={"target": "me@other"})
    with pytest.raises(ConfigError, match="the tunnel default leads to me@other"):
        setup(yes=True)
    assert setup.host.calls == []
    setup.has_tunnels(default={"localPort": "auto"})
    with pytest.raises(ConfigError, match=r"tunnels\.default has localPort 'auto', and openclaw.json names one"):
        setup(yes=True)
    assert setup.host.calls == []
    setup.has_tunnels(default={"localPort": 1234})
    with pytest.raises(ConfigError, match=r"\(tunnels.default\) has other ports for this tunnel: 127.0.0.1:1234"):
        setup(yes=True, local_port=1235)
    setup.has_tunnels(default={"remotePort": 1234})
    with pytest.raises(ConfigError, match="has other ports"):
        setup(yes=True)
    assert not setup.settings_file.exists()
    setup.has_tunnels(default={"localPort": 1234})
    assert setup(yes=True) == 0
    assert setup.gateway["remote"]["url"] == "ws://127.0.0.1:1234"


def test_a_tunnel_of_the_file_is_no_host(setup: Setup) -> None:
    setup.has_tunnels(lab={"target": "me@lab"}, work={"target": "me@work"})
    with pytest.raises(UsageError, match="lab is a tunnel of"):
        setup(yes=True, target="lab")


# Ports and the tunnel


def test_a_port_that_is_taken(setup: Setup) -> None:
    setup.computer.taken = {18789: "pid 7 (ssh)"}
    setup(yes=True)
    assert setup.gateway["remote"]["url"] == "ws://127.0.0.1:18792"
    assert "(18789 is used by pid 7 (ssh))" in next(line for line in setup.lines if line.startswith("port"))
    with pytest.raises(TunnelError, match="no local port is free") as caught:
        setup(yes=True, local_port=18789)
    assert caught.value.exit_code is ExitCode.LOCAL_PORT


def test_the_port_that_ssh_config_has(setup: Setup) -> None:
    setup.host.forwards = (parse_forward("20000:127.0.0.1:18789"),)
    setup(yes=True)
    assert setup.gateway["remote"]["url"] == "ws://127.0.0.1:20000"
    with pytest.raises(ConfigError, match="LocalForward of ssh_config has other ports"):
        setup(yes=True, local_port=20001)


def test_the_tunnels_own_port_is_not_taken(setup: Setup) -> None:
    setup(yes=True, no_service=True)
    setup.computer.opened()
    setup.computer.taken = {18789: "this program"}
    setup(yes=True, no_service=True)
    assert setup.marks["port"] == "kept"
    assert setup.gateway == COMPLETE


def test_a_tunnel_that_led_elsewhere_makes_way(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.computer.opened(local=18789, remote=1)
    setup(yes=True, no_service=True)
    assert setup.computer.calls == ["close default", "up -d", "health -n default"]
    was = "default was 127.0.0.1:18789 -> 127.0.0.1:1 of me@gateway.example:22"
    assert f"{was}, and is closed" in capsys.readouterr().err


def test_a_tunnel_that_was_opened_by_hand_keeps_its_port(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.computer.opened(local=40111)
    setup.computer.taken = {40111: "this program"}
    setup(yes=True, no_service=True)
    assert setup.gateway["remote"]["url"] == "ws://127.0.0.1:40111"
    assert "is closed" not in capsys.readouterr().err


def test_no_service_manager(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.computer.problem = "there is no systemd"
    setup(yes=True)
    assert setup.computer.calls == ["up -d", "health -n default"]
    assert "no service: there is no systemd; the tunnel is opened without" in capsys.readouterr().err
    assert setup.lines[-1] == "tunnel    changed  default runs in the background"
    setup.computer.problem = ""
    setup(yes=True, no_service=True)
    assert setup.lines[-1].endswith("to have it at every login: openclaw-tunnel service install")


def test_a_service_that_is_there_learns_of_a_change(setup: Setup) -> None:
    setup.computer.installed = True
    setup(yes=True, no_service=True)
    assert setup.computer.calls == ["service install --yes", "health -n default"]


def test_a_service_that_is_there_is_no_question(setup: Setup) -> None:
    setup(yes=True)
    setup.computer.installed = True
    setup.computer.opened()
    assert setup(Person()) == 0
    assert setup.marks["tunnel"] == "kept"


def test_a_tunnel_that_does_not_come_up(setup: Setup) -> None:
    setup.computer.code = ExitCode.NOT_LISTENING
    assert setup(yes=True) == ExitCode.NOT_LISTENING
    assert setup.computer.calls == ["service install --yes"]


def test_the_control_ui_opens_once(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.opens = True
    setup(yes=True, no_service=True)
    assert setup.computer.calls == ["up -d", "health -n default", "open default"]
    assert "next:" not in capsys.readouterr().out
    setup.computer.opened()
    setup(yes=True, no_service=True)
    assert setup.computer.calls == ["wait default", "health -n default"]
    assert capsys.readouterr().out.endswith("next: openclaw-tunnel open\n")


def test_without_a_browser_the_tunnel_is_set_up_all_the_same(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.opens = True
    setup.computer.raises["open"] = TunnelError("there is no browser here", hint="open it yourself")
    assert setup(yes=True) == 0
    out, err = capsys.readouterr()
    assert out.endswith("next: open it yourself\n")
    assert "note: there is no browser here" in err


def test_another_profile_has_its_own_tunnel(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.env["OPENCLAW_PROFILE"] = "work"
    setup(yes=True)
    assert setup.computer.calls == ["service install --yes", "health -n work"]
    assert capsys.readouterr().out.endswith("next: openclaw-tunnel open work\n")


def test_a_gateway_that_refuses_the_token(setup: Setup) -> None:
    setup.computer.raises["health"] = TunnelError("refuses", exit_code=ExitCode.GATEWAY_REFUSED)
    with pytest.raises(TunnelError, match="refuses"):
        setup(yes=True)


# The command line


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "openclaw-tunnel setup me@gateway-host"),
        ([], 2, "missing argument"),
        (["gw", "--fingerprint", "x"], 2, "not a fingerprint: 'x'"),
        (["gw", "--token-file", "t", "--no-token"], 2, "--token-file and --no-token exclude each other"),
        (["gw", "--token-file", "-", "--password-file", "-"], 2, "standard input can be read once only"),
        (["gw", "-F", "none"], 2, "-F none cannot be kept"),
        (["gw", "--token-file", "nothing"], 10, "--token-file nothing cannot be read"),
        (["-x"], 2, "no such option"),
        (["a b"], 2, "not an SSH destination: 'a b'"),
        (["me@127.0.0.1:1", "--yes"], 20, "127.0.0.1:1 refused the connection"),
    ],
)
def test_the_command_line(cli: Cli, arguments: list[str], code: int, words: str) -> None:
    answer = cli("setup", *arguments)
    assert answer.exit_code == code, answer
    assert words in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (cli.home / ".openclaw").exists()
