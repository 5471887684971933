"""Local ports, for real: who is in the way and what to do, a port that is kept, both loopback addresses, widgets."""

import getpass
import json
import os
import plistlib
import shlex
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.cli import Answer, Cli, command, environment
from support.gateway import HEALTHY, Gateway, healthz
from support.process import Child, program, root_required
from support.servers import Sshd
from support.waiting import accepts, free_port, free_ports, wait_until

CHOOSE = "choose another local port: -p PORT, or -p auto"
ME = getpass.getuser()


@pytest.fixture
def gw(cli: Cli, sshd: Sshd, gateway: Gateway) -> list[str]:
    """Arguments of ``up`` that lead to the gateway."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    return ["up", "-d", "gw", "-r", str(gateway.port)]


def refusal(answer: Answer) -> tuple[str, str]:
    """Message and hint of a port that cannot be had."""
    assert answer.exit_code == 23, (answer.stdout, answer.stderr)
    error, _, hint = answer.stderr.strip().partition("\n\n")
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return error.removeprefix("error: "), hint.removeprefix("hint: ")


def configure(cli: Cli, gateway: Gateway, port: int, token: str = "") -> None:
    """Let ``port`` be the usual local one."""
    remote = {"url": f"ws://127.0.0.1:{port}", "sshTarget": "gw", "remotePort": gateway.port}
    folder = cli.home / ".openclaw"
    folder.mkdir(exist_ok=True)
    remote |= {"token": token} if token else {}
    folder.joinpath("openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))


@contextmanager
def forwarding(sshd: Sshd, port: int, *before: str | Path) -> Iterator[Child]:
    """A real ``ssh -N -L`` that has ``port``, started by ``before``."""
    forward = f"127.0.0.1:{port}:127.0.0.1:9"
    child = Child(
        [*before, program("ssh"), "-F", sshd.ssh_config("gw"), "-N", "-L", forward, "gw"], sshd.folder / "fwd"
    )
    try:
        wait_until(lambda: accepts(port) or not child.running, 15, "ssh to listen")
        assert child.running, child.output()
        yield child
    finally:
        child.end()


# Who is in the way


def test_a_gateway_of_this_computer(cli: Cli, gateway: Gateway, gw: list[str]) -> None:
    error, hint = refusal(cli(*gw, "-p", str(gateway.port)))
    assert error.startswith(f"local port 127.0.0.1:{gateway.port} is in use by pid ")
    assert error.endswith(f" (openclaw-gateway) of {ME}: an OpenClaw gateway of this computer")
    assert hint == f"stop that gateway: openclaw gateway stop, or {CHOOSE}"
    assert healthz(gateway.port) == HEALTHY  # nothing was done to it


def test_an_ssh_that_was_started_by_hand(cli: Cli, sshd: Sshd, gw: list[str]) -> None:
    port = free_port()
    with forwarding(sshd, port) as ssh:
        error, hint = refusal(cli(*gw, "-p", str(port)))
        assert f"is in use by pid {ssh.pid} ({program('ssh')} -F " in error
        assert (
            hint
            == f"end it: kill {ssh.pid} (where it comes back, a service or a loop starts it: stop that), or {CHOOSE}"
        )
        assert ssh.running


def test_an_ssh_that_autossh_keeps(cli: Cli, sshd: Sshd, gw: list[str]) -> None:
    """A shell of that name: it starts ssh and waits for it, as autossh does."""
    port = free_port()
    keeper = ["bash", "-c", 'exec -a /usr/lib/autossh/autossh sh -c \'"$@"; :\' autossh "$@"', "bash"]
    with forwarding(sshd, port, *keeper) as autossh:
        error, hint = refusal(cli(*gw, "-p", str(port)))
        (ssh,) = autossh.descendants()
        assert f"is in use by pid {ssh} (" in error
        assert hint == f"end the autossh that keeps it: kill {autossh.pid}, or {CHOOSE}"


@pytest.mark.parametrize("label", ["ai.openclaw.ssh-tunnel", "com.openclaw.ssh-tunnel"])
def test_an_ssh_of_a_launch_agent(cli: Cli, sshd: Sshd, gw: list[str], label: str) -> None:
    """launchctl is a stand-in that has not heard of the job: the property list tells."""
    port = free_port()
    launchctl = cli.home / "bin" / "launchctl"
    launchctl.parent.mkdir()
    launchctl.write_text("#!/bin/sh\nexit 113\n")
    launchctl.chmod(0o755)
    cli.env["PATH"] = f"{launchctl.parent}:{os.environ['PATH']}"
    file = cli.home / f"Library/LaunchAgents/{label}.plist"
    file.parent.mkdir(parents=True)
    with forwarding(sshd, port) as ssh:
        arguments = Path(f"/proc/{ssh.pid}/cmdline").read_text().rstrip("\0").split("\0")
        file.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": arguments, "KeepAlive": True}))
        error, hint = refusal(cli(*gw, "-p", str(port)))
        assert error.endswith(f", kept by the LaunchAgent {label}")
        assert hint == (
            f"end that LaunchAgent: launchctl bootout gui/{os.getuid()}/{label} "
            f"(while {file} is there it comes back at the next login), or {CHOOSE}"
        )


def test_another_openclaw_tunnel(cli: Cli, gw: list[str]) -> None:
    """The hint is a command: it does what it says."""
    port = free_port()
    with Cli({"OPENCLAW_TUNNEL_SSH_CONFIG": cli.env["OPENCLAW_TUNNEL_SSH_CONFIG"]}) as other:
        assert other(*gw, "-p", str(port), "-n", "theirs").exit_code == 0
        error, hint = refusal(cli(*gw, "-p", str(port)))
        (pid,) = other.processes()
        assert error.startswith(f"local port 127.0.0.1:{port} is in use by pid {pid} (")
        assert error.endswith(": another openclaw-tunnel")
        home = f"OPENCLAW_TUNNEL_HOME={other.tunnel_home}"
        close = f"close that tunnel: {home} openclaw-tunnel down NAME ({home} openclaw-tunnel status tells the name)"
        assert hint == f"{close}, or {CHOOSE}"
        name, _, value = home.partition("=")
        assert "theirs" in cli("status", env={name: value}).stdout
        assert cli("down", "theirs", env={name: value}).exit_code == 0
    assert cli(*gw, "-p", str(port)).exit_code == 0


def test_a_port_that_another_tunnel_of_the_daemon_has(cli: Cli, gw: list[str]) -> None:
    port = free_port()
    assert cli(*gw, "-p", str(port), "-n", "first").exit_code == 0
    error, hint = refusal(cli(*gw, "-p", str(port), "-n", "second"))
    assert error == f"local port 127.0.0.1:{port} is in use by tunnel first"
    assert hint == f"close it: openclaw-tunnel down first, or {CHOOSE}"


# A port that is kept


def test_a_port_is_picked_once_and_kept(cli: Cli, gateway: Gateway, gw: list[str]) -> None:
    first = free_ports(10)
    configure(cli, gateway, first)
    with socket.create_server(("127.0.0.1", first)):
        answer = cli(*gw, "-p", "auto")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith(f"default is up: http://127.0.0.1:{first + 3} -> ")
    assert cli("down").exit_code == 0
    wait_until(lambda: not cli.processes(), 10, "the daemon's end")
    assert cli(*gw, "-p", "auto").stdout.startswith(f"default is up: http://127.0.0.1:{first + 3} -> ")
    assert healthz(first + 3) == HEALTHY
    assert cli("down").exit_code == 0
    with socket.create_server(("127.0.0.1", first + 3)):
        error, hint = refusal(cli(*gw, "-p", "auto"))
        assert f"is in use by pid {os.getpid()} (" in error
        assert error.endswith("; it is the one that tunnel default keeps (-p auto), and clients may count on it")
        assert hint == "stop that program, or give the tunnel another port and tell its clients: -p new"
        assert cli(*gw, "-p", "new").stdout.startswith(f"default is up: http://127.0.0.1:{first} -> ")
    assert cli("down").exit_code == 0
    assert cli(*gw, "-p", "auto").stdout.startswith(f"default is up: http://127.0.0.1:{first} -> ")
    assert (cli.tunnel_home / "ports.json").stat().st_mode & 0o777 == 0o600


def test_tunnels_that_start_at_one_moment_get_ports_of_their_own(cli: Cli, gateway: Gateway, gw: list[str]) -> None:
    """In one daemon and in two; the users of both begin to look at the same port."""
    first = free_ports(20)
    with Cli({"OPENCLAW_TUNNEL_SSH_CONFIG": cli.env["OPENCLAW_TUNNEL_SSH_CONFIG"]}) as other:
        starts = []
        for user, name in ((cli, "one"), (cli, "two"), (other, "three")):
            configure(user, gateway, first)
            env = environment(user.home, user.env)
            starts.append(
                subprocess.Popen(
                    command(*gw, "-p", "auto", "-n", name),
                    env=env,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        said = [start.communicate(timeout=60) for start in starts]
        assert [start.returncode for start in starts] == [0, 0, 0], said
        ports = {out.split()[3] for out, _ in said}
        assert len(ports) == 3
        # Beside the other half of the suite the first port was passed over, twice; alone never. Why is not known.
        assert ports <= {f"http://127.0.0.1:{first + step}" for step in range(0, 18, 3)}


# Both loopback addresses


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def test_localhost_is_reached_over_both_families(cli: Cli, sshd: Sshd, gw: list[str]) -> None:
    port = free_port()
    assert cli(*gw, "-p", str(port)).exit_code == 0
    (row,) = cli("status", "--json").json()["tunnels"][0]["forwards"][:1]
    assert (row["listen"], row["also"], row["note"]) == (f"127.0.0.1:{port}", [f"[::1]:{port}"], None)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert get(f"http://{host}:{port}/healthz") == HEALTHY
    sshd.cut()
    assert get(f"http://[::1]:{port}/healthz") == HEALTHY  # held, then served
    assert cli("restart").exit_code == 0
    assert get(f"http://[::1]:{port}/healthz") == HEALTHY
    assert cli("down").exit_code == 0
    assert not accepts(port, "::1")


def test_the_other_address_is_taken(cli: Cli, gw: list[str]) -> None:
    port = free_port()
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        answer = cli(*gw, "-p", str(port))
        assert answer.exit_code == 0
        assert answer.stderr.startswith(f"note: local port [::1]:{port} is in use by pid {os.getpid()} (")
        assert answer.stderr.endswith(
            f"programs that ask for localhost may get that one: let them use 127.0.0.1:{port}\n"
        )
        assert f"\n  note      local port [::1]:{port} is in use by " in cli("status").stdout
        assert healthz(port) == HEALTHY
    plain = cli(*gw, "-n", "plain", "-p", str(free_port()), "--bind", "127.0.0.1")
    assert (plain.exit_code, plain.stderr) == (0, "")


# OpenClaw's other ports

LOOK = """
import json, subprocess, sys, time, urllib.request
def rows():
    report = json.loads(subprocess.run([*program, "status", "--json"], capture_output=True, text=True).stdout)
    return report["tunnels"][0]["forwards"]
def fetch(port, path):
    with urllib.request.urlopen(f"http://localhost:{port}{path}", timeout=10) as answer:
        return answer.read().decode()
def until(what):
    end = time.monotonic() + 20
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()
program, port, sandbox = json.loads(sys.argv[1])
until(lambda: len(rows()) > 1)
print(json.dumps([{k: row[k] for k in ("role", "listen", "to", "listening", "also", "note")} for row in rows()[1:]]))
if len(sys.argv) > 2:
    print(subprocess.run([*program, "call", *json.loads(sys.argv[2])], capture_output=True, text=True).stdout)
print(fetch(sandbox, "/mcp-app-sandbox").splitlines()[3])
print(fetch(port, "/healthz"))
"""


@contextmanager
def elsewhere(cli: Cli, sshd: Sshd) -> Iterator[list[str | Path]]:
    """Before a command: lets it run on another computer, whose only way out is the one to ``sshd``."""
    root_required("a network namespace is another computer")
    unshare, ip, socat = program("unshare"), program("ip"), program("socat")
    way = cli.home / "way"
    bridge = Child([socat, f"UNIX-LISTEN:{way},fork", f"TCP:127.0.0.1:{sshd.port}"], cli.home / "socat.log")
    cli.use_ssh_config(sshd.ssh_config("gw", extra=[f"ProxyCommand {socat} - UNIX-CONNECT:{way}"]))
    try:
        wait_until(way.exists, 10, "socat to listen")
        yield [unshare, "-n", "sh", "-c", f'{ip} link set lo up; exec "$@"', "sh"]
    finally:
        bridge.end()


def look_from(cli: Cli, there: list[str | Path], up: list[str], gateway: Gateway, *call: str) -> list[str]:
    """What is seen of the tunnel on the computer that it was opened on; lines of ``LOOK``."""
    script, run = cli.home / "look.py", " ".join(map(shlex.quote, map(str, command())))
    script.write_text(LOOK)
    told = json.dumps([list(map(str, command())), 28789, gateway.port + 1])
    look = " ".join(map(shlex.quote, [str(command()[0]), str(script), told, *([json.dumps(call)] if call else [])]))
    opened = f"{run} {' '.join(up)} >&2 && {look}; code=$?; {run} down --all >&2; exit $code"
    done = subprocess.run(
        [*there, "sh", "-c", opened],
        env=environment(cli.home, cli.env),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def sandbox_row(gateway: Gateway) -> dict[str, object]:
    ends = {"listen": f"127.0.0.1:{gateway.port + 1}", "to": f"127.0.0.1:{gateway.port + 1}"}
    also = [f"[::1]:{gateway.port + 1}"]
    return {"role": "sandbox", **ends, "listening": True, "also": also, "note": None}


@pytest.mark.machine
def test_the_widget_sandbox_of_a_gateway_that_has_it_from_the_start(cli: Cli, sshd: Sshd) -> None:
    """Without any credentials: it answers, and that is enough."""
    with (
        Gateway(settings={"gateway": {"mode": "local"}, "mcp": {"apps": {"enabled": True}}}) as gateway,
        elsewhere(cli, sshd) as there,
    ):
        rows, page, health = look_from(cli, there, ["up", "-d", "gw", "-p", "28789", "-r", str(gateway.port)], gateway)
    assert json.loads(rows) == [sandbox_row(gateway)]
    assert page == "<title>MCP App sandbox</title>"
    assert json.loads(health) == HEALTHY


@pytest.mark.machine
def test_the_widget_sandbox_of_a_gateway_that_starts_it_with_the_first_widget(cli: Cli, sshd: Sshd) -> None:
    """The gateway says that it shows widgets: the port is there before the first one, and leads on to it."""
    with Gateway() as gateway, elsewhere(cli, sshd) as there:
        gateway.wait_ready()
        configure(cli, gateway, 28789, gateway.token)
        assert not accepts(gateway.port + 1)
        preview = ("canvas.document.preview", "--params", json.dumps({"html": "<b>hello</b>"}))
        rows, *answer, page, health = look_from(cli, there, ["up", "-d"], gateway, *preview)
        assert accepts(gateway.port + 1)
    assert json.loads(rows) == [sandbox_row(gateway)]
    assert f'"sandboxPort": {gateway.port + 1}' in "\n".join(answer)
    assert page == "<title>MCP App sandbox</title>"
    assert json.loads(health) == HEALTHY


def test_the_sandbox_of_a_gateway_of_this_computer_is_left_to_it(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    """It would need the port for its own first widget."""
    gateway.wait_ready()
    cli.use_ssh_config(sshd.ssh_config("gw"))
    configure(cli, gateway, free_port(), gateway.token)
    assert cli("up", "-d").exit_code == 0
    wait_until(lambda: len(cli("status", "--json").json()["tunnels"][0]["forwards"]) == 2, 20, "the sandbox's row")
    shown = cli("status")
    assert shown.exit_code == 0
    (row,) = (line for line in shown.stdout.splitlines() if line.startswith("  sandbox "))
    port = gateway.port + 1
    assert row.startswith(f"  sandbox   127.0.0.1:{port} -> 127.0.0.1:{port} (not listening: that port belongs to pid ")
    assert row.endswith(f" (openclaw-gateway) of {ME}: an OpenClaw gateway of this computer)")
    assert cli("down").exit_code == 0
    assert cli("up", "-d", "--no-extra-ports").exit_code == 0
    wait_until(lambda: "healthy" in cli("logs").stdout, 20, "the gateway to be known")
    assert "sandbox" not in cli("status").stdout


def test_browser_control_is_forwarded_where_the_settings_ask_for_it(cli: Cli, gateway: Gateway, gw: list[str]) -> None:
    port = free_ports(3)
    cli.tunnel_home.mkdir(mode=0o700)
    file = cli.tunnel_home / "tunnels.json5"
    file.write_text("{ tunnels: { gw: { target: 'gw', browserControl: true } } }")
    assert cli(*gw, "-p", str(port)).exit_code == 0
    wait_until(lambda: accepts(port + 2), 20, "the local port of browser control")
    assert f"  browser   127.0.0.1:{port + 2} -> 127.0.0.1:{gateway.port + 2}\n" in cli("status").stdout
    assert cli("down").exit_code == 0
    with socket.create_server(("127.0.0.1", port + 2)):
        assert cli(*gw, "-p", str(port)).exit_code == 0
        wait_until(lambda: "browser" in cli("status").stdout, 20, "the row")
        # by this process, or by one that it is starting: until that runs its own program it has the socket as well
        assert f"(not listening: local port 127.0.0.1:{port + 2} is in use by pid " in cli("status").stdout
    assert cli("down").exit_code == 0
    file.write_text("{ tunnels: { gw: { target: 'gw' } } }")
    assert cli(*gw, "-p", str(port)).exit_code == 0
    assert "browser" not in cli("status").stdout
