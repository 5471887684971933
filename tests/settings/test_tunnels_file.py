"""tunnels.json5."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.settings.tunnels_file import TunnelEntry, TunnelsFile, load_tunnels
from openclaw_tunnel.ssh_config.tokens import home_of


def load(folder: Path, text: str) -> TunnelsFile:
    file = folder / "tunnels.json5"
    file.write_text(text)
    return load_tunnels(file)


def entry(folder: Path, text: str) -> TunnelEntry:
    return load(folder, f"{{ tunnels: {{ t: {text} }} }}").tunnels["t"]


def error(folder: Path, text: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.message.removeprefix(f"{folder}/tunnels.json5 "), caught.value.hint


def test_no_file(tmp_path: Path) -> None:
    file = load_tunnels(tmp_path / "no")
    assert file == TunnelsFile(tmp_path / "no")
    assert dict(file.tunnels) == {}
    assert file.policy == Policy()


def test_everything(tmp_path: Path) -> None:
    file = load(
        tmp_path,
        """{
      tunnels: {
        work: {
          target: "me@gw:2222", localPort: 28789, remotePort: 18790, bind: "127.0.0.2", identity: "keys/k",
          sshConfig: "~/other", forwards: ["8080:127.0.0.1:80", "[::1]:1:/run/x.sock"], hold: 20, probe: "tcp",
          allowRemoteClients: true, policy: { connectTimeout: 5, flapLosses: 3 },
        },
        plain: {},
      },
      policy: { keepaliveInterval: 30, keepaliveCount: 2, hold: 5 },
    }""",
    )
    general = Policy(keepalive_interval=30.0, keepalive_count=2, hold=5.0)
    assert file.policy == general
    assert file.tunnels["plain"] == TunnelEntry("plain", policy=general)
    assert file.tunnels["work"] == TunnelEntry(
        name="work",
        target="me@gw:2222",
        local_port=28789,
        remote_port=18790,
        bind="127.0.0.2",
        identity=str(tmp_path / "keys/k"),
        ssh_config=home_of() + "/other",
        forwards=(
            Forward(Endpoint("127.0.0.1", 8080), Endpoint("127.0.0.1", 80)),
            Forward(Endpoint("::1", 1), Endpoint(path="/run/x.sock")),
        ),
        probe=Probe.TCP,
        allow_remote_clients=True,
        policy=replace(general, connect_timeout=5.0, flap_losses=3, hold=20.0),
    )


def test_every_number_of_the_policy_can_be_set(tmp_path: Path) -> None:
    keys = [f.name.split("_")[0] + "".join(w.title() for w in f.name.split("_")[1:]) for f in fields(Policy)]
    values = ", ".join(f"{key}: {n}" for n, key in enumerate(keys, 2))
    policy = load(tmp_path, f"{{ policy: {{ {values} }} }}").policy
    for number, name in enumerate((f.name for f in fields(Policy)), 2):
        assert getattr(policy, name) == number
        assert type(getattr(policy, name)) is type(getattr(Policy(), name))


def test_the_ports_that_go_with_the_gateway_s(tmp_path: Path) -> None:
    found = entry(tmp_path, '{ localPort: "auto", extraPorts: false, browserControl: true }')
    assert (found.local_port, found.extra_ports, found.browser_control) == ("auto", False, True)
    assert entry(tmp_path, "{ extraPorts: true }").extra_ports is True
    plain = entry(tmp_path, "{}")
    assert (plain.local_port, plain.extra_ports, plain.browser_control) == (None, None, False)


def test_no_waiting_at_all_can_be_set(tmp_path: Path) -> None:
    assert entry(tmp_path, "{ hold: 0 }").policy.hold == 0
    assert load(tmp_path, "{ policy: { stableAfter: 0, hold: 0 } }").policy.stable_after == 0


KNOWN = (
    "target, localPort, remotePort, bind, identity, sshConfig, forwards, hold, probe, allowRemoteClients, extraPorts, "
    "browserControl, notifications, hooks, policy"
)
MEND = "mend the file there"
MISTAKES: list[tuple[str, str, str]] = [
    ("[]", "line 1: must be an object, not an array", MEND),
    (
        "{ tunnel: {} }",
        "line 1: tunnel is not a known key",
        "did you mean tunnels? known keys: tunnels, notifications, hooks, policy, openclawContract",
    ),
    ("{ tunnels: [] }", "line 1: tunnels must be an object, not an array", MEND),
    ("{ tunnels: {\n t: 1 } }", "line 2: tunnels.t must be an object, not a number", MEND),
    (
        '{ tunnels: {\n "a b": {} } }',
        'line 2: tunnels."a b" cannot be the name of a tunnel',
        "letters, digits, - and _, at most 64, the first a letter or digit",
    ),
    (
        "{ tunnels: { t: {\n locaPort: 1 } } }",
        "line 2: tunnels.t.locaPort is not a known key",
        f"did you mean localPort? known keys: {KNOWN}",
    ),
    (
        "{ tunnels: { t: {\n localPort: 'new' } } }",
        'line 2: tunnels.t.localPort must be a port from 1 to 65535 or "auto", not "new"',
        MEND,
    ),
    (
        "{ tunnels: { t: {\n localPort: 0 } } }",
        "line 2: tunnels.t.localPort must be a port from 1 to 65535, not 0",
        MEND,
    ),
    ("{ tunnels: { t: { extraPorts: 0 } } }", "line 1: tunnels.t.extraPorts must be true or false, not a number", MEND),
    ("{ tunnels: { t: { target: 1 } } }", "line 1: tunnels.t.target must be a string, not a number", MEND),
    (
        "{ tunnels: { t: { target: '-x' } } }",
        "line 1: tunnels.t.target cannot be used: not an SSH destination: '-x'",
        "write an alias of ssh_config, user@host, user@host:port, user@[v6]:port or ssh://user@host:port",
    ),
    (
        "{ tunnels: { t: { bind: 'gw' } } }",
        "line 1: tunnels.t.bind cannot be used: not an address to listen on: 'gw'",
        "write an IP address of this computer, such as 127.0.0.1",
    ),
    (
        "{ tunnels: { t: { forwards: [\n'1:b:2',\n 'x'] } } }",
        "line 3: tunnels.t.forwards[1] cannot be used: not a forward: 'x'",
        "write [BIND:]PORT:HOST:HOSTPORT, for example 8080:127.0.0.1:80",
    ),
    (
        "{ tunnels: { t: { identity: '~nobody-here/k' } } }",
        "line 1: tunnels.t.identity cannot be used: identity '~nobody-here/k': no user 'nobody-here' on this computer",
        "write the path out",
    ),
    (
        "{ tunnels: { t: { probe: 'http' } } }",
        'line 1: tunnels.t.probe must be one of "gateway", "tcp", "none", not "http"',
        MEND,
    ),
    ("{ tunnels: { t: { hold: -1 } } }", "line 1: tunnels.t.hold must be a number from 0 to 604800, not -1", MEND),
    (
        "{ tunnels: { t: { allowRemoteClients: 1 } } }",
        "line 1: tunnels.t.allowRemoteClients must be true or false, not a number",
        MEND,
    ),
    (
        "{ policy: { connectTimeout: 0 } }",
        "line 1: policy.connectTimeout must be a number from 0.01 to 604800, not 0",
        MEND,
    ),
    ("{ policy: { dialGap: 0 } }", "line 1: policy.dialGap must be a number from 0.1 to 604800, not 0", MEND),
    (
        "{ policy: { keepaliveCount: 1.5 } }",
        "line 1: policy.keepaliveCount must be a whole number from 1 to 1000, not 1.5",
        MEND,
    ),
    (
        "{ tunnels: { t: { policy: {\n backoffFirst: 100 } } } }",
        "line 2: tunnels.t.policy.backoffFirst leaves backoffFirst larger than backoffMax",
        MEND,
    ),
    ("{ policy: { backoffMax: 0.5 } }", "line 1: policy.backoffMax leaves backoffFirst larger than backoffMax", MEND),
]


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES)
def test_mistakes(tmp_path: Path, text: str, message: str, hint: str) -> None:
    assert error(tmp_path, text) == (message, hint)


def test_an_unknown_number_of_the_policy(tmp_path: Path) -> None:
    message, hint = error(tmp_path, "{ policy: { keepAliveInterval: 1 } }")
    assert message == "line 1: policy.keepAliveInterval is not a known key"
    assert hint.startswith("did you mean keepaliveInterval? known keys: connectTimeout, ")


@pytest.mark.parametrize(("text", "contract"), [("{}", "auto"), ('{openclawContract: "2026.5"}', "2026.5")])
def test_the_contract_is_a_choice(tmp_path: Path, text: str, contract: str) -> None:
    path = tmp_path / "tunnels.json5"
    path.write_text(text)
    assert load_tunnels(path).contract == contract


def test_a_contract_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "tunnels.json5"
    path.write_text('{openclawContract: "2027"}')
    with pytest.raises(ConfigError, match="line 1: openclawContract must be one of"):
        load_tunnels(path)
