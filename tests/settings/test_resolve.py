"""The whole way from options and files to one tunnel, with the real ssh."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import PortChoice, Probe
from openclaw_tunnel.errors import ConfigError, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.settings.tunnels_file import TunnelsFile
from openclaw_tunnel.settings.up_options import absolute
from openclaw_tunnel.ssh_config.tokens import home_of


class User:
    """Somebody with an empty home: ``user(target="gw")`` is ``openclaw-tunnel up gw``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh_config = folder / "ssh_config"
        self.ssh_config.touch()
        self.openclaw = folder / "openclaw.json"
        self.tunnels = folder / "tunnels.json5"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "OPENCLAW_TUNNEL_HOME": str(folder),
            "OPENCLAW_TUNNEL_SSH_CONFIG": str(self.ssh_config),
            "OPENCLAW_CONFIG_PATH": str(self.openclaw),
        }

    def has_remote(self, **remote: Any) -> None:
        self.openclaw.write_text(json.dumps({"gateway": {"port": remote.pop("port", 18789), "remote": remote}}))

    def has_tunnels(self, text: str) -> None:
        self.tunnels.write_text(f"{{ tunnels: {text} }}")

    def has_key(self, name: str) -> str:
        (self.folder / name).touch()
        return str(self.folder / name)

    def __call__(self, **options: Any) -> Resolved:
        return asyncio.run(resolve(UpOptions(**options), env=self.env, paths=Paths.from_env(self.env)))

    def forwards(self, **options: Any) -> list[str]:
        return [str(forward) for forward in self(**options).spec.forwards]

    def error(self, kind: type[TunnelError], **options: Any) -> tuple[str, str]:
        with pytest.raises(kind) as caught:
            self(**options)
        return caught.value.message, caught.value.hint


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_a_destination_is_enough(user: User) -> None:
    resolved = user(target="me@gw.example:2222")
    spec = resolved.spec
    assert (spec.name, spec.target, spec.address) == ("default", "me@gw.example:2222", "me@gw.example:2222")
    assert str(spec.main) == "127.0.0.1:18789 -> 127.0.0.1:18789"
    assert (spec.identity, spec.ssh_config, spec.probe) == ("", str(user.ssh_config), Probe.GATEWAY)
    assert spec.policy == Policy()
    assert not spec.allow_remote_clients
    assert resolved.ssh.hostname == "gw.example"
    assert resolved.notices == ()


def test_all_options(user: User) -> None:
    key = user.has_key("key")
    other = user.has_key("other_config")
    spec = user(
        target="gw",
        name="work",
        local_port=1,
        remote_port=2,
        bind="0.0.0.0",
        identity=key,
        ssh_config=other,
        extra_forwards=("3:b:4", "/s:/t"),
        hold=0,
        probe="none",
        allow_remote_clients=True,
    ).spec
    assert [str(f) for f in spec.forwards] == ["0.0.0.0:1 -> 127.0.0.1:2", "127.0.0.1:3 -> b:4", "/s -> /t"]
    assert (spec.name, spec.identity, spec.ssh_config, spec.probe) == ("work", key, other, Probe.NONE)
    assert spec.policy == Policy(hold=0.0)
    assert spec.allow_remote_clients


def test_nothing_said_and_nothing_configured(user: User) -> None:
    assert user.error(NoDestination) == (
        "no gateway host is given, and none is configured",
        'name it: openclaw-tunnel up me@host, or once for all: openclaw config set gateway.remote.sshTarget "me@host"',
    )


def test_openclaw_s_own_target_key_and_ports(user: User) -> None:
    key = user.has_key("key")
    user.has_remote(sshTarget="ssh me@gw:2222", sshIdentity="~/key", remotePort=5, url="ws://127.0.0.1:6", port=7)
    spec = user().spec
    assert (spec.target, spec.identity) == ("me@gw:2222", key)
    assert str(spec.main) == "127.0.0.1:6 -> 127.0.0.1:5"


@pytest.mark.parametrize(
    ("remote", "wanted"),
    [
        ({"remotePort": 5}, "127.0.0.1:5 -> 127.0.0.1:5"),
        ({"url": "ws://127.0.0.1:6"}, "127.0.0.1:6 -> 127.0.0.1:6"),
        ({"url": "ws://127.0.0.1", "port": 7}, "127.0.0.1:7 -> 127.0.0.1:7"),
    ],
)
def test_ports_of_openclaw(user: User, remote: dict[str, Any], wanted: str) -> None:
    user.has_remote(**remote)
    assert user.forwards(target="gw") == [wanted]


def test_openclaw_s_key_is_for_openclaw_s_target(user: User) -> None:
    user.has_remote(sshTarget="gw", sshIdentity="/no/such/key")
    assert user(target="other").spec.identity == ""


def test_identities_relative_to_openclaw_json(user: User) -> None:
    user.has_remote(sshTarget="gw", sshIdentity="keys/k")
    (user.folder / "keys").mkdir()
    key = user.has_key("keys/k")
    assert user().spec.identity == key


IDENTITY_HINT = "name the private key file, for example ~/.ssh/id_ed25519"


def test_key_files_that_do_not_exist(user: User) -> None:
    user.has_remote(sshTarget="gw", sshIdentity="/no/key")
    assert user.error(ConfigError) == (
        f"identity file /no/key (gateway.remote.sshIdentity of {user.openclaw}) does not exist",
        IDENTITY_HINT,
    )
    assert user.error(ConfigError, target="gw", identity="/no/k") == (
        "identity file /no/k (-i) does not exist",
        IDENTITY_HINT,
    )
    assert user.error(ConfigError, target="gw", identity="/") == ("identity file / (-i) is no file", IDENTITY_HINT)
    user.has_tunnels("{ t: { target: 'gw', identity: 'k' } }")
    assert user.error(ConfigError, target="t") == (
        f"identity file {user.folder}/k (identity of a tunnel in {user.tunnels}) does not exist",
        IDENTITY_HINT,
    )


def test_a_config_file_that_does_not_exist(user: User) -> None:
    message, hint = user.error(ConfigError, target="gw", ssh_config="/no/config")
    assert message == "ssh configuration file /no/config cannot be read: No such file or directory"
    assert hint == "give another file with -F, or leave -F out"


TUNNELS = "{ work: { target: 'w', localPort: 1 }, default: { target: 'd' }, home: { target: 'h' } }"
NAMES: list[tuple[str, str, dict[str, Any], tuple[str, str]]] = [
    (TUNNELS, "", {}, ("default", "d")),
    (TUNNELS, "", {"target": "work"}, ("work", "w")),
    (TUNNELS, "", {"name": "home"}, ("home", "h")),
    (TUNNELS, "", {"target": "work", "name": "mine"}, ("mine", "w")),
    (TUNNELS, "", {"target": "me@x"}, ("default", "me@x")),
    (TUNNELS, "", {"target": "me@x", "name": "work"}, ("work", "me@x")),
    (TUNNELS, "home", {}, ("home", "h")),
    (TUNNELS, "other", {}, ("default", "d")),
    (TUNNELS, "default", {}, ("default", "d")),
    ("{ work: { target: 'w' } }", "", {}, ("work", "w")),
    ("{}", "home", {"target": "gw"}, ("home", "gw")),
    ("{}", "not a name", {"target": "gw"}, ("default", "gw")),
]


@pytest.mark.parametrize(("tunnels", "profile", "options", "wanted"), NAMES)
def test_which_tunnel(user: User, tunnels: str, profile: str, options: dict[str, Any], wanted: tuple[str, str]) -> None:
    user.has_tunnels(tunnels)
    user.env["OPENCLAW_PROFILE"] = profile
    spec = user(**options).spec
    assert (spec.name, spec.target) == wanted


def test_a_named_tunnel_keeps_its_settings_for_another_host(user: User) -> None:
    user.has_tunnels(TUNNELS)
    assert user.forwards(target="me@x", name="work") == ["127.0.0.1:1 -> 127.0.0.1:18789"]
    assert user.forwards(target="me@x") == ["127.0.0.1:18789 -> 127.0.0.1:18789"]


def test_a_name_without_an_entry_is_for_openclaw_s_target(user: User) -> None:
    user.has_remote(sshTarget="gw")
    user.has_tunnels(TUNNELS)
    spec = user(name="fresh").spec
    assert (spec.name, spec.target) == ("fresh", "gw")


def test_an_entry_without_target_takes_openclaw_s(user: User) -> None:
    user.has_tunnels("{ t: { localPort: 5, hold: 3 } }")
    assert user.error(ConfigError) == (
        f"{user.tunnels}: tunnels.t has no target, and openclaw.json no gateway.remote.sshTarget",
        'add to tunnels.t: target: "me@gateway-host"',
    )
    user.has_remote(sshTarget="gw", sshIdentity=user.has_key("key"))
    spec = user().spec
    assert (spec.name, spec.target, spec.main.listen.port, spec.policy.hold) == ("t", "gw", 5, 3.0)
    assert spec.identity == str(user.folder / "key")


def test_several_tunnels_and_none_named(user: User) -> None:
    user.has_tunnels("{ a: { target: 'a' }, b: { target: 'b' } }")
    assert user.error(UsageError) == (
        f"{user.tunnels} has several tunnels, and none is named default",
        "say which: openclaw-tunnel up NAME, where NAME is one of: a, b",
    )


def test_options_beat_tunnels_json5_which_beats_openclaw_json(user: User) -> None:
    user.has_remote(sshTarget="o", remotePort=30, url="ws://127.0.0.1:31")
    user.has_tunnels(
        "{ t: { target: 't', localPort: 21, remotePort: 20, bind: '127.0.0.2', probe: 'tcp', hold: 2,"
        " allowRemoteClients: true, forwards: ['7:a:8', '9:a:10'], sshConfig: 'ssh_config' } }"
    )
    spec = user().spec
    assert [str(f) for f in spec.forwards] == [
        "127.0.0.2:21 -> 127.0.0.1:20",
        "127.0.0.1:7 -> a:8",
        "127.0.0.1:9 -> a:10",
    ]
    assert (spec.probe, spec.policy.hold, spec.allow_remote_clients) == (Probe.TCP, 2.0, True)
    spec = user(local_port=11, remote_port=10, bind="::1", probe="none", hold=1, extra_forwards=("7:b:8",)).spec
    assert [str(f) for f in spec.forwards] == [
        "[::1]:11 -> 127.0.0.1:10",
        "127.0.0.1:7 -> b:8",
        "127.0.0.1:9 -> a:10",
    ]
    assert (spec.probe, spec.policy.hold) == (Probe.NONE, 1.0)


def test_a_local_forward_of_the_alias_is_the_listen_address(user: User) -> None:
    user.ssh_config.write_text(
        "Host gw\n  LocalForward 28789 localhost:18789\n  LocalForward 8080 db:80\n  LocalForward [::1]:9 /run/s\n"
    )
    resolved = user(target="gw")
    assert [str(f) for f in resolved.spec.forwards] == ["127.0.0.1:28789 -> 127.0.0.1:18789"]
    assert resolved.notices == (
        "LocalForward 127.0.0.1:8080 -> db:80 of ssh_config is not opened; to open it: -L localhost:8080:db:80",
        "LocalForward [::1]:9 -> /run/s of ssh_config is not opened; to open it: -L [::1]:9:/run/s",
    )
    resolved = user(target="gw", extra_forwards=("8080:db:80", "[::1]:9:/run/s"))
    assert len(resolved.spec.forwards) == 3
    assert resolved.notices == ()


def test_a_wide_local_forward_needs_permission(user: User) -> None:
    user.ssh_config.write_text("GatewayPorts yes\nLocalForward 28789 localhost:18789\n")
    resolved = user(target="gw")
    assert str(resolved.spec.main.listen) == "127.0.0.1:28789"
    assert resolved.notices[0].startswith("LocalForward 0.0.0.0:28789 -> localhost:18789 would let other computers in")
    assert str(user(target="gw", allow_remote_clients=True).spec.main.listen) == "0.0.0.0:28789"


@pytest.mark.parametrize(
    ("options", "entry", "choice", "port"),
    [
        ({}, "", PortChoice.FIXED, 18789),
        ({"local_port": "auto"}, "", PortChoice.AUTO, 18789),
        ({"local_port": "new"}, "localPort: 5", PortChoice.NEW, 18789),
        ({}, "localPort: 'auto'", PortChoice.AUTO, 18789),
        ({"local_port": 5}, "localPort: 'auto'", PortChoice.FIXED, 5),
    ],
)
def test_a_port_of_our_choice(user: User, options: dict[str, Any], entry: str, choice: PortChoice, port: int) -> None:
    user.has_tunnels("{ default: { target: 'gw', " + entry + " } }")
    spec = user(**options).spec
    assert (spec.port_choice, spec.main.listen.port) == (choice, port)


def test_a_port_of_our_choice_begins_where_openclaw_looks_and_makes_way_for_others(user: User) -> None:
    user.has_remote(url="ws://127.0.0.1:28789")
    spec = user(target="gw", local_port="auto", extra_forwards=("28789:b:1",)).spec
    assert [f.listen.port for f in spec.forwards] == [28789, 28789]


@pytest.mark.parametrize(
    ("options", "entry", "sandbox", "browser"),
    [
        ({}, "", True, False),
        ({"no_extra_ports": True}, "extraPorts: true, browserControl: true", False, False),
        ({}, "extraPorts: false, browserControl: true", False, False),
        ({}, "browserControl: true", True, True),
        ({"probe": "tcp"}, "browserControl: true", False, True),
        ({}, "probe: 'none'", False, False),
    ],
)
def test_openclaw_s_other_ports(user: User, options: dict[str, Any], entry: str, sandbox: bool, browser: bool) -> None:
    user.has_tunnels("{ default: { target: 'gw', " + entry + " } }")
    spec = user(**options).spec
    assert (spec.sandbox, spec.browser) == (sandbox, browser)


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"target": ""}, "not an SSH destination: ''", "write an alias of ssh_config"),
    ({"target": "-x"}, "not an SSH destination: '-x'", "write an alias of ssh_config"),
    ({"target": "gw", "name": "a b"}, "not a tunnel name: 'a b'", "letters, digits, - and _"),
    ({"target": "gw", "local_port": 0}, "not a port: 0", "ports are 1 to 65535"),
    ({"target": "gw", "local_port": "any"}, "not a port: 'any'", "ports are 1 to 65535; auto picks a free one"),
    ({"target": "gw", "remote_port": 65536}, "not a port: 65536", "ports are 1 to 65535"),
    ({"target": "gw", "bind": "here"}, "not an address to listen on: 'here'", "write an IP address"),
    ({"target": "gw", "bind": "*"}, "0.0.0.0:18789 can be reached by other computers", "listen on 127.0.0.1, or say"),
    ({"target": "gw", "hold": -1}, "clients cannot be held for -1 s", "--hold takes 0 to 604800 seconds"),
    ({"target": "gw", "hold": float("nan")}, "clients cannot be held for nan s", "--hold takes 0 to 604800 seconds"),
    ({"target": "gw", "probe": "http"}, "not a probe: 'http'", "one of: gateway, tcp, none"),
    ({"target": "gw", "extra_forwards": ("x",)}, "not a forward: 'x'", "write [BIND:]PORT:HOST:HOSTPORT"),
    (
        {"target": "gw", "extra_forwards": ("18789:b:1",)},
        "two forwards listen on 127.0.0.1:18789",
        "give each forward a listen port of its own",
    ),
    (
        {"target": "gw", "extra_forwards": ("1:b:1", "1:b:2")},
        "two forwards listen on 127.0.0.1:1",
        "give each forward a listen port of its own",
    ),
]


@pytest.mark.parametrize(("options", "message", "hint"), MISTAKES)
def test_mistakes_on_the_command_line(user: User, options: dict[str, Any], message: str, hint: str) -> None:
    said = user.error(UsageError, **options)
    assert said[0] == message
    assert said[1].startswith(hint)


def test_a_broken_settings_file_is_an_error_even_when_everything_is_typed(user: User) -> None:
    user.openclaw.write_text("{")
    message, _ = user.error(ConfigError, target="gw", local_port=1, remote_port=2)
    assert message.startswith(f"{user.openclaw} line 1")


def test_paths_mean_the_same_in_a_daemon_elsewhere(tmp_path: Path, in_folder: Callable[[Path], None]) -> None:
    in_folder(tmp_path)
    options = UpOptions(identity="key", ssh_config="~/cfg", extra_forwards=("1:b:2",), target="gw")
    assert options.identity == str(tmp_path / "key")
    assert options.ssh_config == home_of() + "/cfg"
    in_folder(Path("/"))
    assert UpOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert UpOptions.from_json({}) == UpOptions()
    assert UpOptions(local_port="new").kept() == UpOptions(local_port="auto")
    assert UpOptions(local_port=5).kept() == UpOptions(local_port=5)


def test_settings_that_were_read_already_are_not_read_again(user: User) -> None:
    user.openclaw.write_text("{")
    nothing = Settings(TunnelsFile(Path("/none")), OpenClawSettings(user.openclaw))
    made = resolve(UpOptions(target="gw"), env=user.env, paths=Paths.from_env(user.env), settings=nothing)
    assert asyncio.run(made).spec.target == "gw"


def test_no_ssh_config_at_all(user: User) -> None:
    user.ssh_config.write_text("Port 99\n")
    assert UpOptions(ssh_config="none").ssh_config == "none"
    assert user(target="gw", ssh_config="none").ssh.port == 22
    user.env["OPENCLAW_TUNNEL_SSH_CONFIG"] = "none"
    assert user(target="gw").spec.ssh_config == "none"


def test_absolute() -> None:
    assert absolute(None, "-i") is None
    assert absolute("", "-i") is None
    assert absolute("/a/../b", "-i") == "/b"
    assert absolute("none", "-F", "none") == "none"
    with pytest.raises(ConfigError, match="no user 'nobody-here'"):
        absolute("~nobody-here/k", "-i")


def test_whom_it_tells_and_hooks_that_cannot_be_run(user: User) -> None:
    user.has_tunnels("{ work: { target: 'gw', notifications: false, hooks: { up: ['sh'], down: ['./no'] } } }")
    user.tunnels.chmod(0o600)
    resolved = user(target="work")
    assert resolved.spec.announce == Announce(False, up=("sh",), down=(str(user.folder / "no"),))
    assert resolved.notices == (f"the hook down of tunnels.json5 cannot be run: {user.folder / 'no'} does not exist",)


def test_what_is_said_for_all_tunnels_holds_for_one_without_an_entry(user: User) -> None:
    user.tunnels.write_text("{ hooks: { up: ['sh'] } }")
    user.tunnels.chmod(0o600)
    assert user(target="gw").spec.announce == Announce(up=("sh",))
