"""The service under a real systemd of an unprivileged user: install, login, crash, hang, stop, failures, first use."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import Answer
from support.servers import Sshd
from support.usermanager import HOME, UID, UserManager
from support.waiting import accepts, free_port, wait_until

pytestmark = pytest.mark.machine

UNIT = "openclaw-tunnel.service"
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def user() -> Iterator[UserManager]:
    with UserManager() as manager:
        yield manager


def install(user: UserManager, sshd: Sshd, *more: str, known: bool = True) -> tuple[Answer, int]:
    """``service install`` of a tunnel to the server's own port; the answer and the local port."""
    user.use_server(sshd, known=known)
    port = free_port()
    remote = ("-r", str(sshd.port), "--probe", "tcp")
    return user("service", "install", "gw", "-p", str(port), *remote, *more), port


def pid(user: UserManager, unit: str = UNIT) -> int:
    return int(user.property(unit, "MainPID"))


def state(user: UserManager, name: str = "default") -> str:
    found = user("status", name, "--json").json()["tunnels"]
    return str(found[0]["state"]) if found else ""


def code(user: UserManager) -> str:
    """What the tunnel's present state is about."""
    found = user("status", "--json").json()["tunnels"]
    return str((found[0]["failure"] or {}).get("code")) if found else ""


def banner(port: int, timeout: float = 20.0) -> bytes:
    """What comes through the tunnel: the greeting of the SSH server behind it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        return client.recv(7)


def units(user: UserManager) -> list[str]:
    listed = user.systemctl("list-units", "--all", "--plain", "--no-legend", "openclaw-tunnel*").stdout
    return [line.split()[0] for line in listed.splitlines()]


def files(user: UserManager) -> list[str]:
    found = user.home.joinpath(".config").rglob("*")
    return sorted(str(path.relative_to(user.home)) for path in found if path.is_symlink() or path.is_file())


def test_from_install_to_uninstall(user: UserManager, sshd: Sshd) -> None:
    answer, port = install(user, sshd)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == f"installed: {HOME}/.config/systemd/user/{UNIT}"
    assert "default is up" in answer.stdout
    assert banner(port) == b"SSH-2.0"
    assert user.property(UNIT, "StatusText").startswith(f"default is up: http://127.0.0.1:{port} -> ")
    assert user.systemctl("is-enabled", UNIT).stdout == "enabled\n"
    assert "connecting -> verifying" in user.journal(UNIT)

    shown = user("service", "status")
    assert shown.exit_code == 0
    assert "service   active (running); starts at login" in shown.stdout
    first = pid(user)
    again = user("up", "-d", "gw", "-p", str(port), "-r", str(sshd.port), "--probe", "tcp")
    assert (again.exit_code, pid(user)) == (0, first), again.stderr
    assert again.stdout.startswith("default  up for ")

    removed = user("service", "uninstall")
    assert removed.exit_code == 0, removed.stderr
    assert files(user) == []
    assert units(user) == []
    assert not accepts(port)
    assert user("service", "status").exit_code == 3
    assert user("service", "uninstall").exit_code == 40


def test_down_asks_systemd_and_start_brings_it_back(user: UserManager, sshd: Sshd) -> None:
    _, port = install(user, sshd)
    closed = user("down")
    assert (closed.exit_code, closed.stdout) == (0, "closed: default\n")
    assert user.property(UNIT, "ActiveState") == "inactive"
    assert user.property(UNIT, "Result") == "success"
    assert not accepts(port)
    assert user("service", "status").exit_code == 1
    assert user("service", "start").exit_code == 0
    assert user("wait").exit_code == 0
    assert user("down", "--all").stdout == "closed: default\n"
    assert user.property(UNIT, "ActiveState") == "inactive"


def test_other_tunnels_beside_the_service(user: UserManager, sshd: Sshd) -> None:
    """A tunnel that `up` opens in the service's process ends with it, and that is said."""
    _, port = install(user, sshd)
    lab = ("up", "-d", "gw", "-n", "lab", "-p", str(free_port()), "-r", str(sshd.port), "--probe", "tcp")
    assert user(*lab).exit_code == 0
    assert "closed with it, as its process held it too: lab;" in user("service", "restart").stderr
    assert user(*lab).exit_code == 0
    assert "too: lab;" in user("down", "default").stderr
    assert user(*lab).exit_code == 0
    on_demand = ("service", "install", "gw", "-r", str(sshd.port), "--on-demand")
    warned = user(*on_demand, "-p", str(port))
    assert warned.exit_code == 0
    assert "another process has are closed: lab\n" in warned.stderr
    taken = user(*on_demand, "-p", lab[6])
    assert taken.exit_code == 23
    assert f"local port 127.0.0.1:{lab[6]} is in use by pid" in taken.stderr


def test_a_login_starts_it(user: UserManager, sshd: Sshd) -> None:
    _, port = install(user, sshd)
    user.log_in_again()
    wait_until(lambda: user.property(UNIT, "ActiveState") == "active", 20, "the service")
    assert user("wait").exit_code == 0
    assert banner(port) == b"SSH-2.0"


def test_it_begins_before_the_agent_and_the_agent_before_its_keys(user: UserManager, sshd: Sshd) -> None:
    """As at a login: nobody owns the agent's socket, then it holds no key, then somebody calls ssh-add."""
    _, port = install(user, sshd)
    key, agent = HOME / ".ssh" / sshd.client_key.name, HOME / "agent"
    config = (user.home / ".ssh/config").read_text().replace("IdentitiesOnly yes", f"IdentityAgent {agent}")
    user.write(".ssh/config", config.replace(f"IdentityFile {key}", "IdentityFile none"))
    user.log_in_again()
    wait_until(lambda: code(user) == "agent_unreachable", 20, "a dial without an agent")
    first = pid(user)
    assert user.run("ssh-agent", "-a", agent).exit_code == 0
    wait_until(lambda: code(user) == "auth_denied", 20, "a dial with an empty agent")
    assert state(user) == "failed"
    assert user.run("ssh-add", "-q", key, env={"SSH_AUTH_SOCK": str(agent)}).exit_code == 0
    wait_until(lambda: state(user) == "up", 20, "up")
    assert pid(user) == first
    assert banner(port) == b"SSH-2.0"


def test_killed_it_is_started_again(user: UserManager, sshd: Sshd) -> None:
    _, port = install(user, sshd)
    first = pid(user)
    user.run("kill", "-9", str(first))
    wait_until(lambda: pid(user) not in (0, first) and user("wait").exit_code == 0, 20, "up again")
    assert banner(port) == b"SSH-2.0"
    assert user.property(UNIT, "NRestarts") == "1"


def test_a_hang_is_noticed_by_the_watchdog(user: UserManager, sshd: Sshd) -> None:
    _, port = install(user, sshd)
    user.write(f".config/systemd/user/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    user.systemctl("daemon-reload")
    assert user("service", "restart").exit_code == 0
    first = pid(user)
    assert user.property(UNIT, "WatchdogUSec") == "2s"
    user.run("kill", "-STOP", str(first))
    wait_until(lambda: pid(user) not in (0, first) and user("wait").exit_code == 0, 20, "up again")
    assert "Watchdog timeout" in user.journal(UNIT)
    assert banner(port) == b"SSH-2.0"


def test_a_wrong_host_key_is_one_failed_tunnel_and_no_loop(user: UserManager, sshd: Sshd) -> None:
    answer, port = install(user, sshd, known=False)
    assert answer.exit_code == 22, answer.stdout
    assert "openclaw-tunnel trust" in answer.stderr
    first = pid(user)
    assert user.property(UNIT, "ActiveState") == "active"
    assert user.property(UNIT, "NRestarts") == "0"
    assert user.property(UNIT, "StatusText").startswith("default has failed: ")
    assert state(user) == "failed"
    assert user("service", "status").exit_code == 1
    trusted = user("trust", "gw", "--fingerprint", sshd.fingerprint())
    assert trusted.exit_code == 0, trusted.stderr
    wait_until(lambda: state(user) == "up", 20, "up")
    assert pid(user) == first
    assert banner(port) == b"SSH-2.0"


def test_a_port_that_is_taken_is_waited_for(user: UserManager, sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        user.use_server(sshd)
        port = holder.getsockname()[1]
        answer = user("service", "install", "gw", "-p", str(port), "-r", str(sshd.port), "--probe", "tcp")
        assert answer.exit_code == 23, answer.stdout
        assert f"127.0.0.1:{port} is in use" in answer.stderr
        first = pid(user)
        assert state(user) == "failed"
        assert user("wait").exit_code == 1
        assert "is in use" in user.property(UNIT, "StatusText")
    wait_until(lambda: state(user) == "up", 20, "up")
    assert pid(user) == first
    assert user.property(UNIT, "NRestarts") == "0"


def test_broken_settings_are_told_and_read_again(user: UserManager, sshd: Sshd) -> None:
    install(user, sshd)
    user.write(".config/openclaw-tunnel/tunnels.json5", "{ policy: ")
    assert user("service", "restart").exit_code == 0
    assert state(user) == "failed"
    assert "tunnels.json5" in user("status").stdout
    user.write(".config/openclaw-tunnel/tunnels.json5", "{ policy: { hold: 7 } }")
    first = pid(user)
    assert user.systemctl("reload", UNIT).exit_code == 0
    wait_until(lambda: state(user) == "up", 20, "up")
    assert pid(user) == first


def test_on_demand(user: UserManager, sshd: Sshd) -> None:
    answer, port = install(user, sshd, "--on-demand")
    assert answer.exit_code == 0, answer.stderr
    assert user.property(UNIT, "ActiveState") == "inactive"
    shown = user("service", "status")
    assert (shown.exit_code, shown.stdout.splitlines()[0]) == (0, "default  waits for its first client")
    assert banner(port) == b"SSH-2.0"
    first = pid(user)
    assert first
    assert user("status").exit_code == 0
    user.run("kill", "-9", str(first))
    assert banner(port) == b"SSH-2.0"  # it waited for the next one
    assert pid(user) != first

    with asking(port) as refused:
        assert user("service", "restart").exit_code == 0
        assert user("restart").exit_code == 0
        assert user.systemctl("reload", UNIT).exit_code == 0
    assert refused == []
    assert banner(port) == b"SSH-2.0"

    assert user("down").exit_code == 0
    assert not accepts(port)
    user.log_in_again()
    wait_until(lambda: accepts(port), 20, "the port")
    assert user("service", "uninstall").exit_code == 0
    assert not accepts(port)
    assert (files(user), units(user)) == ([], [])


@contextlib.contextmanager
def asking(port: int) -> Iterator[list[str]]:
    """Connect again and again meanwhile; the errors."""
    errors: list[str] = []
    end = threading.Event()

    def ask() -> None:
        while not end.wait(0.005):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except ConnectionResetError:
                pass  # it had a connection, with the process that ends
            except OSError as error:
                errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield errors
    finally:
        end.set()
        thread.join(10)


def test_two_services_are_one_daemon_and_outlive_each_other(user: UserManager, sshd: Sshd) -> None:
    _, port = install(user, sshd)
    lab = free_port()
    second = user("service", "install", "gw", "-n", "lab", "-p", str(lab), "-r", str(sshd.port), "--probe", "tcp")
    assert second.exit_code == 0, second.stderr
    other = "openclaw-tunnel@lab.service"
    assert [banner(port), banner(lab)] == [b"SSH-2.0"] * 2
    report = user("status", "--json").json()
    assert report["daemon"]["pid"] == pid(user)
    assert {name: kept["unit"] for name, kept in report["daemon"]["services"].items()} == {
        "default": UNIT,
        "lab": other,
    }
    assert user.property(other, "StatusText").startswith("lab is up")

    assert user("service", "stop", "default").exit_code == 0
    wait_until(lambda: state(user, "lab") == "up", 20, "lab in a process of its own")
    assert user("status", "--json").json()["daemon"]["pid"] == pid(user, other)
    assert banner(lab) == b"SSH-2.0"
    assert user("service", "start", "default").exit_code == 0
    wait_until(lambda: state(user) == "up", 20, "default beside it")
    assert user("down", "lab").stdout == "closed: lab\n"
    assert user.property(other, "ActiveState") == "inactive"
    wait_until(lambda: state(user) == "up", 20, "default in a process of its own")
    assert user("down", "default").exit_code == 0
    assert user.property(other, "NRestarts") == user.property(UNIT, "NRestarts") == "0"


def test_a_tunnel_of_up_is_taken_over(user: UserManager, sshd: Sshd) -> None:
    user.use_server(sshd)
    options = ("gw", "-p", str(free_port()), "-r", str(sshd.port), "--probe", "tcp")
    assert user("up", "-d", *options).exit_code == 0
    answer = user("service", "install", *options)
    assert answer.exit_code == 0, answer.stderr
    assert "default runs already; the service takes it over" in answer.stderr
    assert user("status", "--json").json()["daemon"]["pid"] == pid(user)


def test_a_unit_made_by_hand_is_replaced_only_when_told(user: UserManager, sshd: Sshd) -> None:
    made = "[Service]\nExecStart=/usr/bin/ssh -N gw\n"
    user.write(f".config/systemd/user/{UNIT}", made)
    answer, _ = install(user, sshd)
    assert answer.exit_code == 2
    assert "/usr/bin/ssh -N gw" in answer.stdout
    assert "--replace" in answer.stderr
    assert user.home.joinpath(f".config/systemd/user/{UNIT}").read_text() == made
    answer, _ = install(user, sshd, "--replace")
    assert answer.exit_code == 0, answer.stderr
    copies = list(user.home.joinpath(".local/state/openclaw-tunnel/replaced").rglob(UNIT))
    assert [copy.read_text() for copy in copies] == [made]


def test_words_arrive_as_they_are(user: UserManager, sshd: Sshd) -> None:
    user.use_server(sshd)
    odd = HOME / '.ssh/my "$HOME" 100%n \\ key'
    user.write(str(odd.relative_to(HOME)), sshd.client_key.read_text())
    user.home.joinpath(odd.relative_to(HOME)).chmod(0o600)
    options = ("-p", str(free_port()), "-r", str(sshd.port), "--probe", "tcp", "-i", str(odd))
    answer = user("service", "install", "gw", *options, env={"OPENCLAW_CONFIG_PATH": str(HOME / "a %b/c $d")})
    assert answer.exit_code == 0, answer.stderr
    inner = Path(f"{user.root}/proc/{pid(user)}")
    assert str(odd) in inner.joinpath("cmdline").read_text().split("\0")
    assert f"OPENCLAW_CONFIG_PATH={HOME}/a %b/c $d" in inner.joinpath("environ").read_text().split("\0")
    assert "NOTIFY_SOCKET" not in user("logs").stdout


def test_where_no_systemd_answers(user: UserManager, sshd: Sshd) -> None:
    user.use_server(sshd)
    answer = user("service", "install", "gw", env={"XDG_RUNTIME_DIR": "/nowhere"})
    assert answer.exit_code == 40
    assert "cannot be reached" in answer.stderr
    assert "loginctl enable-linger tunneltest" in answer.stderr
    assert files(user) == []


def test_the_manual_steps(user: UserManager, sshd: Sshd) -> None:
    """systemd/README.md, followed to the letter in a checkout; of its commands only the alias is filled in."""
    user.use_server(sshd, "my-alias")
    config = user.home / ".ssh/config"
    config.write_text(config.read_text() + f"  LocalForward {free_port()} 127.0.0.1:{sshd.port}\n")
    user.write(
        ".config/openclaw-tunnel/tunnels.json5", '{ tunnels: { default: { probe: "tcp", target: "my-alias" } } }'
    )
    for name in (UNIT, "README.md"):
        user.write(f"checkout/systemd/{name}", (CHECKOUT / "systemd" / name).read_text())
    steps = re.findall(
        r"^ {3}```\n(.*?)^ {3}```", (CHECKOUT / "systemd/README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(steps) == 7
    for number, step in enumerate(steps, start=1):
        script = step.replace("YOUR-ALIAS", "default").replace("gateway-host &&", "default &&")
        if "linger" in script:
            continue  # there is no logind here: tests/real/test_boot.py
        done = user.run("bash", "-euxc", f"cd ~/checkout\n{script}")
        assert done.exit_code == 0, f"step {number}: {done}"
        if number == 3:
            assert done.stdout == ""
        if number in (4, 6):
            wait_until(lambda: state(user) == "up", 20, "up")
    assert [name for name in files(user) if "systemd" in name] == []
    assert units(user) == []


def test_the_template(user: UserManager, sshd: Sshd) -> None:
    user.use_server(sshd)
    port = free_port()
    entry = f'{{ tunnels: {{ lab: {{ target: "gw", localPort: {port}, remotePort: {sshd.port}, probe: "tcp" }} }} }}'
    user.write(".config/openclaw-tunnel/tunnels.json5", entry)
    text = (CHECKOUT / "systemd/openclaw-tunnel@.service").read_text()
    user.write(".config/systemd/user/openclaw-tunnel@.service", text.replace("%h/.local/bin", "/run/bin"))
    assert user.systemctl("enable", "--now", "openclaw-tunnel@lab.service").exit_code == 0
    assert user("wait", "lab").exit_code == 0
    assert banner(port) == b"SSH-2.0"
    assert user("status", "--json").json()["daemon"]["services"]["lab"]["unit"] == "openclaw-tunnel@lab.service"


def test_at_login_the_agent_is_empty_and_filled_later(user: UserManager, sshd: Sshd) -> None:
    """The service starts before anybody has typed a passphrase; it connects once the agent has the key."""
    user.use_server(sshd)
    agent = f"/run/user/{UID}/agent"
    config = (user.home / ".ssh/config").read_text().replace("IdentityFile ", "#").replace("IdentitiesOnly yes", "")
    user.write(".ssh/config", f"{config}  IdentityFile none\n  IdentityAgent {agent}\n")
    begun = user.run("systemd-run", "--user", "--unit=agent", "ssh-agent", "-D", "-a", agent)
    assert begun.exit_code == 0, begun.stderr
    wait_until(lambda: user.run("ssh-add", "-l", env={"SSH_AUTH_SOCK": agent}).exit_code == 1, 20, "an empty agent")
    port = free_port()
    installed = user("service", "install", "gw", "-p", str(port), "-r", str(sshd.port), "--probe", "tcp")
    assert "load a key into the SSH agent" in installed.stderr
    assert state(user) == "failed"
    assert "the keys in the SSH agent change" in user("status").stdout
    first = pid(user)
    added = user.run("ssh-add", "-q", HOME / ".ssh" / sshd.client_key.name, env={"SSH_AUTH_SOCK": agent})
    assert added.exit_code == 0, added.stderr
    wait_until(lambda: state(user) == "up", 20, "the tunnel")
    assert banner(port) == b"SSH-2.0"
    assert pid(user) == first
