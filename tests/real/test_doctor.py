"""``doctor`` on broken set-ups: it names the true cause first, and doing what its hint says repairs it."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.cli.params import parse_up
from openclaw_tunnel.doctor.inputs import Asked
from openclaw_tunnel.doctor.run import check_up
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.up_options import UpOptions
from support.agent import SshAgent
from support.cli import environment
from support.doctorrig import Rig
from support.gateway import Gateway
from support.process import program
from support.servers import Sshd, new_key
from support.waiting import free_port

WRONG = "wrong-7d1e9a52"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    """One sshd for all of it."""
    with Sshd() as sshd:
        yield sshd


@pytest.fixture
def rig(server: Sshd, shared_gateway: Gateway) -> Iterator[Rig]:
    """A set-up in which all is well."""
    shared_gateway.start()
    shared_gateway.wait_ready()
    with Rig(server, shared_gateway) as one:
        yield one


@dataclass(frozen=True, slots=True)
class Broken:
    """One row of the table.

    Attributes:
        damage: breaks the set-up.
        part, code, words: what doctor has to name first.
        repair: does what the hint says; gets the hint.
    """

    name: str
    damage: Callable[[Rig], None]
    part: str
    code: str
    words: tuple[str, ...]
    repair: Callable[[Rig, str], None]


def look(rig: Rig) -> dict[str, Any]:
    """What ``doctor --json`` prints, asked in this process: the same, without the start of a program."""
    env = environment(rig.home, rig.cli.env)
    return asyncio.run(check_up(Asked(UpOptions(), env, Paths.from_env(env), parse_up))).to_json()


def by(pattern: str, *, answer: str = "") -> Callable[[Rig, str], None]:
    """A repair: run the command line in the hint that ``pattern`` finds."""

    def repair(rig: Rig, hint: str) -> None:
        found = re.search(pattern, hint)
        assert found, hint
        rig.shell(found[0].rstrip(), answer=answer)

    return repair


def edit_ssh(hint_says: str, **lines: Callable[[Rig], str]) -> Callable[[Rig, str], None]:
    """A repair: change ssh_config; the hint has to say so."""

    def repair(rig: Rig, hint: str) -> None:
        assert hint_says in hint
        for name, value in lines.items():
            rig.ssh[name] = value(rig)
        rig.write()

    return repair


def set_ssh(**lines: str) -> Callable[[Rig], None]:
    """Damage: lines of ssh_config."""

    def damage(rig: Rig) -> None:
        rig.ssh.update(lines)
        rig.write()

    return damage


def set_remote(**values: Any) -> Callable[[Rig], None]:
    """Damage: ``gateway.remote`` of openclaw.json; None takes a key out."""

    def damage(rig: Rig) -> None:
        rig.remote = {key: value for key, value in {**rig.remote, **values}.items() if value is not None}
        rig.write()

    return damage


# Keys and agent


def dead_agent(rig: Rig) -> None:
    """The key is locked, the agent that held it has died, and its socket is still there."""
    rig.lock_key()
    with SshAgent() as agent:
        socket = agent.socket
    rig.cli.env["SSH_AUTH_SOCK"] = str(rig.home / socket.name)
    (rig.home / socket.name).touch()


def public_half(rig: Rig) -> None:
    """ssh_config names the public half, as for a key that only the agent has, and there is no agent."""
    (rig.home / "id_ed25519.pub").write_text(Path(f"{rig.sshd.client_key}.pub").read_text())
    set_ssh(IdentityFile=str(rig.home / "id_ed25519.pub"))(rig)


def service_without_agent(rig: Rig) -> None:
    """The key is in the agent of this shell, which the service does not see."""
    public_half(rig)
    rig.shell(f'eval "$(ssh-agent -s)"; ssh-add -q {rig.key}')
    rig.key.unlink()
    rig.install_service()
    assert rig.cli("up", "-d").exit_code == 0  # what the service would have opened


def many_keys(rig: Rig) -> None:
    """More keys in the agent than the server hears, and the right one in a file alone."""
    keys = [str(new_key(rig.home / f"agent{n}")) for n in range(7)]
    rig.shell(f'eval "$(ssh-agent -s)"; ssh-add -q {" ".join(keys)}')
    set_ssh(IdentitiesOnly="no")(rig)


# Host keys


def changed_host_key(rig: Rig) -> None:
    key = new_key(rig.home / "before")
    kind, blob = Path(f"{key}.pub").read_text().split()[:2]
    rig.known_hosts = [f"[127.0.0.1]:{rig.sshd.port} {kind} {blob}"]
    rig.write()


def unknown_host_key(rig: Rig) -> None:
    rig.known_hosts = []
    rig.write()


def revoked_host_key(rig: Rig) -> None:
    rig.known_hosts = [f"@revoked {rig.sshd.host_key_line()}"]
    rig.write()


def new_host_key(rig: Rig, hint: str) -> None:
    """Whoever runs the host makes a new key."""
    assert "ask whoever runs the host for a new one" in hint
    rig.sshd.new_host_keys()
    rig.sshd.restart()
    by(r"openclaw-tunnel trust .*", answer="y\n")(rig, hint)


# The host


def allow_forwarding(rig: Rig, hint: str) -> None:
    allowed = re.search(r"AllowTcpForwarding yes", hint)
    must_list = re.search(r"PermitOpen, if set, must list (\S+);", hint)
    assert allowed
    assert must_list
    assert "systemctl reload ssh" in hint
    rig.configure_host(allowed[0], f"PermitOpen {must_list[1]}")


def start_server(rig: Rig, hint: str) -> None:
    assert hint.endswith("On that machine: systemctl status ssh, and to start it: systemctl start ssh")
    rig.sshd.start()


def web_server(rig: Rig) -> int:
    """A port on which something says ``HTTP/1.0 200 OK``."""
    port = free_port()
    page = rig.home / "page"
    page.write_text("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html>")
    rig.listen(port, f"SYSTEM:cat {page}")
    return port


def silent_port(rig: Rig) -> None:
    port = free_port()
    rig.listen(port, "SYSTEM:sleep 30")
    rig.known_hosts = [line.replace(f"]:{rig.sshd.port} ", f"]:{port} ") for line in rig.known_hosts]
    set_ssh(Port=str(port), ConnectTimeout="1")(rig)


def no_ssh(rig: Rig) -> None:
    set_ssh(Port=str(web_server(rig)))(rig)


def port_again(rig: Rig, hint: str) -> None:
    assert "port" in hint
    rig.ssh["Port"] = str(rig.sshd.port)
    rig.known_hosts = [rig.sshd.host_key_line()]
    rig.write()


# The gateway


def gateway_stopped(rig: Rig) -> None:
    port = free_port()
    (rig.home / "gateway-port").write_text(str(port))
    set_remote(remotePort=port)(rig)


def run_gateway(rig: Rig, hint: str) -> None:
    found = re.search(r"openclaw gateway run", hint)
    assert found
    rig.run_in_background(["bash", "-c", found[0]], int((rig.home / "gateway-port").read_text()))


def wrong_port(rig: Rig, port: int) -> None:
    set_remote(url=f"ws://127.0.0.1:{rig.gateway.port}", remotePort=port)(rig)


def right_token(rig: Rig, hint: str) -> None:
    found = re.search(r"openclaw config set gateway\.remote\.token VALUE", hint)
    assert found
    rig.shell(found[0].replace("VALUE", rig.gateway.token))


def put_line(rig: Rig, hint: str) -> None:
    found = re.match(r"put a line (\w+)=VALUE into (\S+)$", hint)
    assert found
    Path(found[2]).write_text(f"{found[1]}={rig.gateway.token}\n")


# The local port


def local_gateway(rig: Rig) -> None:
    child = rig.listen(rig.port, f"TCP:127.0.0.1:{rig.gateway.port}", name="openclaw-gateway")
    (rig.home / "gateway-pid").write_text(str(child.pid))


def ssh_by_hand(rig: Rig) -> None:
    forward = f"127.0.0.1:{rig.port}:127.0.0.1:{rig.gateway.port}"
    ssh: list[str | Path] = [program("ssh"), "-F", rig.ssh_config, "-N", "-L", forward, "gw"]
    rig.run_in_background(ssh, rig.port)


# Files


def typo(rig: Rig) -> None:
    set_remote(tokn="x")(rig)


def mend_typo(rig: Rig, hint: str) -> None:
    assert "did you mean token?" in hint
    set_remote(tokn=None)(rig)


def unknown_key(rig: Rig) -> None:
    rig.tunnel["localport"] = rig.tunnel.pop("localPort")
    rig.write()


def mend_key(rig: Rig, hint: str) -> None:
    found = re.search(r"did you mean (\w+)\?", hint)
    assert found
    rig.edit(rig.tunnels, '"localport"', f'"{found[1]}"')


def bad_directive(rig: Rig) -> None:
    set_ssh(Compresion="yes")(rig)


def mend_directive(rig: Rig, hint: str) -> None:
    assert hint.startswith("fix that line of the ssh configuration, try: ssh -G ")
    rig.edit(rig.ssh_config, "  Compresion yes\n", "")


TABLE = [
    Broken(
        "key others can read",
        lambda rig: rig.key.chmod(0o644),
        "keys",
        "key_exposed",
        ("id_ed25519 can be read by others (mode 0644)",),
        by(r"chmod 600 \S+"),
    ),
    Broken(
        "dead agent",
        dead_agent,
        "keys",
        "agent_unreachable",
        ("the SSH agent at ", "cannot be asked"),
        by(r'eval "\$\(ssh-agent -s\)"; ssh-add [^;]+'),
    ),
    Broken(
        "key in no agent",
        public_half,
        "keys",
        "agent_unreachable",
        ("only the public half is here", "SSH_AUTH_SOCK is not set"),
        by(r'eval "\$\(ssh-agent -s\)"; ssh-add [^,]+'),
    ),
    Broken(
        "locked key",
        lambda rig: rig.lock_key(),
        "keys",
        "key_locked",
        ("id_ed25519 is encrypted and not in the SSH agent",),
        by(r'eval "\$\(ssh-agent -s\)"; ssh-add \S+'),
    ),
    Broken(
        "changed host key",
        changed_host_key,
        "host_key",
        "host_key_changed",
        ("host key of 127.0.0.1:", " has changed: it presents ED25519 SHA256:"),
        by(r"openclaw-tunnel trust --replace .*", answer="y\n"),
    ),
    Broken(
        "unknown host key",
        unknown_host_key,
        "host_key",
        "host_key_unknown",
        ("is unknown: ED25519 SHA256:",),
        by(r"openclaw-tunnel trust .*", answer="y\n"),
    ),
    Broken("revoked host key", revoked_host_key, "host_key", "host_key_revoked", ("is revoked",), new_host_key),
    Broken(
        "wrong key",
        lambda rig: set_ssh(IdentityFile=str(rig.other_key()))(rig),
        "login",
        "auth_denied",
        ("refused the login of ", "/other (ED25519 SHA256:"),
        edit_ssh(
            "or name the right one with -i FILE (IdentityFile in ssh_config)", IdentityFile=lambda rig: str(rig.key)
        ),
    ),
    Broken(
        "too many keys",
        many_keys,
        "login",
        "auth_denied",
        ("refused the login of ", "Too many authentication failures"),
        edit_ssh("set IdentitiesOnly yes for this host in ssh_config", IdentitiesOnly=lambda _: "yes"),
    ),
    Broken(
        "forwarding off",
        lambda rig: rig.configure_host("AllowTcpForwarding no"),
        "forwarding",
        "forwarding_forbidden",
        ("forbids forwarding to 127.0.0.1:",),
        allow_forwarding,
    ),
    Broken(
        "forwarding elsewhere",
        lambda rig: rig.configure_host("PermitOpen 127.0.0.1:1"),
        "forwarding",
        "forwarding_forbidden",
        ("forbids forwarding to 127.0.0.1:",),
        allow_forwarding,
    ),
    Broken(
        "gateway stopped", gateway_stopped, "gateway", "not_listening", ("nothing listens on 127.0.0.1:",), run_gateway
    ),
    Broken(
        "web server on the remote port",
        lambda rig: wrong_port(rig, web_server(rig)),
        "gateway",
        "not_a_gateway",
        ("a web server answers on 127.0.0.1:", "; the gateway of gw answers on port "),
        by(r"openclaw config set gateway\.remote\.remotePort \d+"),
    ),
    Broken(
        "nothing on the remote port",
        lambda rig: wrong_port(rig, free_port()),
        "gateway",
        "not_listening",
        ("nothing listens on 127.0.0.1:", "; the gateway of gw answers on port "),
        by(r"openclaw config set gateway\.remote\.remotePort \d+"),
    ),
    Broken(
        "wrong token",
        set_remote(token=WRONG),
        "credentials",
        "auth_failed",
        ("refuses the credentials: ", "(sent was gateway.remote.token)"),
        right_token,
    ),
    Broken(
        "no token",
        set_remote(token=None),
        "credentials",
        "auth_missing",
        ("wants a token or password, and none was given",),
        right_token,
    ),
    Broken(
        "SecretRef without its variable",
        set_remote(token={"source": "env", "provider": "default", "id": "NO_SUCH_TOKEN"}),
        "credentials",
        "credential",
        ("gateway.remote.token is the SecretRef env:default:NO_SUCH_TOKEN", "NO_SUCH_TOKEN is not set"),
        put_line,
    ),
    Broken(
        "port taken by a local gateway",
        local_gateway,
        "local_port",
        "port_in_use",
        ("(openclaw-gateway ", "an OpenClaw gateway of this computer"),
        by(r"openclaw gateway stop"),
    ),
    Broken(
        "port taken by ssh -L",
        ssh_by_hand,
        "local_port",
        "port_in_use",
        ("is in use by pid ", "/ssh -F "),
        by(r"kill \d+"),
    ),
    Broken(
        "typo in openclaw.json",
        typo,
        "settings",
        "config",
        ("openclaw.json line 9: gateway.remote.tokn is not a known key",),
        mend_typo,
    ),
    Broken(
        "unknown key in tunnels.json5",
        unknown_key,
        "settings",
        "config",
        ("tunnels.json5 line 4: tunnels.default.localport is not a known key",),
        mend_key,
    ),
    Broken(
        "typo in ssh_config",
        bad_directive,
        "ssh_config",
        "config",
        ("config line 9: Bad configuration option: compresion",),
        mend_directive,
    ),
    Broken(
        "directive that cannot be ignored",
        set_ssh(KnownHostsCommand="/bin/true"),
        "ssh_config",
        "config",
        ("ssh_config has a KnownHostsCommand for gw, which this program does not run",),
        edit_ssh("or switch it off: KnownHostsCommand none", KnownHostsCommand=lambda _: "none"),
    ),
    Broken(
        "name without address",
        set_ssh(HostName="gateway..example"),
        "name",
        "dns",
        ("cannot find the address of gateway..example",),
        edit_ssh("check the spelling of the host", HostName=lambda _: "127.0.0.1"),
    ),
    Broken(
        "ssh port closed", lambda rig: rig.sshd.kill(), "route", "refused", ("refused the connection",), start_server
    ),
    Broken("silent ssh port", silent_port, "server", "timeout", ("(exchanging keys)",), port_again),
    Broken("no ssh on the port", no_ssh, "server", "not_ssh", ("hung up before the login",), port_again),
    Broken(
        "service without agent",
        service_without_agent,
        "service",
        "agent_unreachable",
        ("the service of default would have no key: systemd gives it no SSH agent",),
        by(r"systemctl --user import-environment SSH_AUTH_SOCK; openclaw-tunnel service restart"),
    ),
]


@pytest.mark.parametrize("broken", TABLE, ids=lambda broken: broken.name)
def test_the_cause_is_named_and_its_hint_repairs_it(rig: Rig, broken: Broken) -> None:
    broken.damage(rig)
    found = look(rig)
    first = found["first_fault"]
    assert first, found
    assert (first["name"], first["code"]) == (broken.part, broken.code), first
    for words in broken.words:
        assert words in first["message"]
    faults = [check["message"] for check in found["checks"] if check["outcome"] == "fault"]
    assert faults == [first["message"]], "one cause, and none of its consequences"
    broken.repair(rig, first["hint"])
    after = look(rig)
    assert after["ok"], after["first_fault"]
    assert {check["outcome"] for check in after["checks"] if check["name"] in ("gateway", "credentials")} == {"ok"}
    for secret in (rig.gateway.token, WRONG):
        assert secret not in str(found) + str(after)


def words_of(text: str) -> dict[str, str]:
    """The first mark of each part, as people see it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        part, mark = line[:12].strip(), line[13:21].strip()
        if part and mark:
            found.setdefault(part, mark)
    return found


def test_the_command_line_all_well_and_not(rig: Rig) -> None:
    well = rig.cli("doctor")
    assert (well.exit_code, well.stderr) == (0, "")
    marks = words_of(well.stdout)
    assert [part for part, mark in marks.items() if mark != "ok"] == ["tunnel"]
    assert list(marks) == [check["name"].replace("_", " ") for check in look(rig)["checks"]]
    assert well.stdout.endswith("\nall is well\n")
    rig.sshd.kill()
    answer = rig.cli("doctor", "--json")
    assert (answer.exit_code, answer.stderr) == (1, "")
    assert answer.json() == look(rig)
    assert [answer.json()[key] for key in ("version", "ok")] == [1, False]


def test_a_target_and_options_of_up(rig: Rig) -> None:
    rig.settings.unlink()
    rig.tunnels.unlink()
    nowhere = rig.cli("doctor")
    assert nowhere.exit_code == 1
    assert "\ntunnel       -        default does not run\n" in nowhere.stdout
    answer = rig.cli("doctor", "gw", "-r", str(free_port()), "-p", str(rig.port), "--json").json()
    assert answer["first_fault"]["code"] == "not_listening"
    port = rig.gateway.port
    answer = rig.cli("doctor", "gw", "-r", str(port), "-p", str(rig.port), "--json", env=token_of(rig)).json()
    assert answer["ok"], answer["first_fault"]
    told = {check["name"]: check["message"] for check in answer["checks"]}
    command = f"openclaw-tunnel up -d gw --local-port {rig.port} --remote-port {port}"
    assert told["tunnel"] == f"default does not run; to open it: {command}"


def token_of(rig: Rig) -> dict[str, str]:
    return {"OPENCLAW_GATEWAY_TOKEN": rig.gateway.token}


def test_a_tunnel_that_runs_and_no_settings(rig: Rig) -> None:
    """It says where to, and it is its own port that is taken."""
    assert rig.cli("up", "-d", "gw", "-n", "lab").exit_code == 0
    rig.settings.unlink()
    rig.tunnels.unlink()
    for arguments in ((), ("lab",)):
        answer = rig.cli("doctor", *arguments, "--json", env=token_of(rig)).json()
        assert answer["ok"], answer["first_fault"]
        told = {check["name"]: check["message"] for check in answer["checks"]}
        assert told["tunnel"].startswith("lab is up for ")
        assert told["local_port"].endswith(" is the running tunnel's")


@pytest.mark.parametrize("by_itself", [False, True])
def test_the_daemon_sees_it_otherwise_than_the_shell(rig: Rig, by_itself: bool) -> None:
    """A tunnel that was opened when there was no agent, and a shell that has one since."""
    rig.lock_key()
    assert rig.cli("up", "-d").exit_code == 21
    rig.shell(f'eval "$(ssh-agent -s)"; ssh-add -q {rig.key}')
    answer = look(rig)
    first = answer["first_fault"]
    assert (first["name"], first["code"], first["fix"]) == ("tunnel", "key_locked", True)
    assert " sees it otherwise than this shell: default is failed for " in first["message"]
    if by_itself:
        assert rig.cli("doctor", "--fix", "--yes").exit_code == 0
    else:
        by(r"openclaw-tunnel restart .*")(rig, first["hint"])
    assert look(rig)["ok"]


def test_fix_starts_a_service_and_lets_it_linger(rig: Rig) -> None:
    rig.install_service(state="failed", linger="no")
    assert rig.cli("up", "-d").exit_code == 0  # the tunnel that the service would have
    found = look(rig)
    assert (found["first_fault"]["name"], found["first_fault"]["code"]) == ("service", "service")
    answer = rig.cli("doctor", "--fix", "--yes")
    assert answer.exit_code == 0, answer.stdout
    assert answer.stdout.endswith("\nall is well\n")
    assert "note: started: the service of default\n" in answer.stderr


def test_fix_without_asking(rig: Rig) -> None:
    rig.key.chmod(0o644)
    rig.settings.chmod(0o644)
    answer = rig.cli("doctor", "--fix")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.endswith("hint: to repair without asking, add: --yes\n")
    answer = rig.cli("doctor", "--fix", "--yes")
    assert answer.exit_code == 0, answer.stdout
    assert answer.stdout.endswith("\nall is well\n")
    assert [oct(path.stat().st_mode & 0o777) for path in (rig.key, rig.settings)] == ["0o600", "0o600"]


def test_fix_remembers_no_host_key_that_nobody_has_seen(rig: Rig) -> None:
    rig.known_hosts = []
    rig.write()
    answer = rig.cli("doctor", "--fix", "--yes", "--json")
    assert answer.exit_code == 1
    assert answer.json()["first_fault"]["code"] == "host_key_unknown"
    assert "only a person can say" in answer.stderr
    said = rig.shell("openclaw-tunnel doctor --fix", answer="y\n")
    assert rig.sshd.fingerprint() in said
    assert "all is well" in said
    assert look(rig)["ok"]
