"""It heals from everything that heals: what stops a tunnel in ordinary life, against real servers and agents.

What is waited for comes automatically; no test waits for a try of its own that is minutes away.
"""

import json
import os
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from support.agent import SshAgent
from support.cli import Cli
from support.fakeagent import fake_agent
from support.gateway import Gateway
from support.middleman import Middleman
from support.process import make, program
from support.servers import Sshd, new_key
from support.threaded import in_thread
from support.waiting import free_port, wait_until

QUICK = ("--probe", "none")


def up(cli: Cli, *more: str, exit_code: int = 0, env: dict[str, str] | None = None) -> int:
    """``up -d gw`` that asks no gateway; the local port."""
    port = free_port()
    answer = cli("up", "-d", "gw", "-p", str(port), *QUICK, *more, env=env)
    assert answer.exit_code == exit_code, answer.stderr
    return port


def tunnel(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("status", "--json").json()["tunnels"][0]
    return found


def state(cli: Cli) -> str:
    return str(tunnel(cli)["state"])


def code(cli: Cli) -> str:
    return str((tunnel(cli)["failure"] or {}).get("code"))


def reaches(cli: Cli, wanted: str, deadline: float = 20.0) -> None:
    wait_until(lambda: state(cli) == wanted, deadline, f"{wanted}, is {tunnel(cli)}")


def agent_only(sshd: Sshd, agent: Path | str) -> Path:
    """ssh_config of an alias whose only keys are the agent's."""
    config = sshd.ssh_config("gw", extra=["IdentitiesOnly no", f"IdentityAgent {agent}"])
    config.write_text(config.read_text().replace(f"IdentityFile {sshd.client_key}", "IdentityFile none"))
    return config


def is_back(cli: Cli, connects: int) -> bool:
    found = tunnel(cli)
    return bool(found["state"] == "up" and found["counters"]["connects"] == connects)


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def unavailable(port: int) -> dict[str, Any]:
    """The JSON that a client gets which cannot be served."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60)
    with refused.value as answer:
        found: dict[str, Any] = json.load(answer)["error"]
        return found


@pytest.fixture
def way(sshd: Sshd) -> Iterator[Middleman]:
    """Somebody between the tunnel and its server."""
    with Middleman(sshd.port) as between:
        yield between


def through(way: Middleman, sshd: Sshd) -> Path:
    """ssh_config of an alias that leads through ``way``, and knows the server's key by that way."""
    config = sshd.ssh_config("gw", extra=[f"HostKeyAlias {sshd.host_key_line().split()[0]}", f"Port {way.port}"])
    return config


def test_a_server_that_boots_and_refuses_a_good_key(cli: Cli, sshd: Sshd) -> None:
    """Homes are mounted late, say. It has accepted the same login before: it is tried again after 5 and 15 s."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up(cli)
    good = sshd.authorized_keys.read_text()
    sshd.authorized_keys.write_text("")
    sshd.cut()
    reaches(cli, "failed")
    shown = tunnel(cli)
    assert shown["failure"]["code"] == "auth_denied"
    assert shown["failure"]["permanent"] is True
    assert 0 <= shown["retry"]["next_in_s"] <= 5
    assert shown["retry"]["on"] == ["files", "wake", "network"]  # there is no agent
    assert str(sshd.client_key) in shown["retry"]["files"]
    text = cli("status").stdout
    assert "action required" in text
    assert "then      it tries again in " in text
    assert "now       openclaw-tunnel restart default" in text
    sshd.authorized_keys.write_text(good)
    reaches(cli, "up", 60)


def test_an_agent_that_is_filled_later(cli: Cli, sshd: Sshd, ssh_agent: SshAgent) -> None:
    """At login the agent is empty; ``ssh-add`` comes later."""
    cli.use_ssh_config(agent_only(sshd, "SSH_AUTH_SOCK"))
    answer = cli("up", "-d", "gw", "-p", str(free_port()), *QUICK, env={"SSH_AUTH_SOCK": str(ssh_agent.socket)})
    assert answer.exit_code == 21
    assert "hint: load a key into the SSH agent: ssh-add" in answer.stderr
    assert "when the keys in the SSH agent change" in answer.stderr
    assert tunnel(cli)["retry"]["agent"] == str(ssh_agent.socket)
    ssh_agent.add(sshd.client_key)
    reaches(cli, "up")


def test_a_certificate_that_is_renewed(cli: Cli, sshd: Sshd) -> None:
    """``FILE-cert.pub`` beside the key has expired over night."""
    authority = new_key(sshd.folder / "ca")
    sshd.configure([f"TrustedUserCAKeys {authority}.pub"])
    sshd.authorized_keys.write_text("")
    sshd.restart()

    def sign(validity: str) -> None:
        who = ["-I", "me", "-n", sshd.user, "-V", validity]
        make([program("ssh-keygen"), "-q", "-s", authority, *who, f"{sshd.client_key}.pub"])

    sign("-2h:-1h")
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up(cli, exit_code=21)
    assert f"{sshd.client_key}-cert.pub" in tunnel(cli)["retry"]["files"]
    sign("-1m:+1h")
    reaches(cli, "up")


def test_an_included_file_that_is_repaired(cli: Cli, sshd: Sshd) -> None:
    config = sshd.ssh_config("gw")
    more = sshd.folder / "config.d" / "work.conf"
    more.parent.mkdir()
    more.write_text("Compression no\n")
    config.write_text(f"Include {more.parent}/*.conf\n" + config.read_text())
    cli.use_ssh_config(config)
    up(cli)
    more.write_text("Compresion no\n")
    sshd.cut()
    reaches(cli, "failed")
    shown = tunnel(cli)
    assert shown["failure"]["code"] == "config"
    assert str(more) in shown["retry"]["files"]
    more.write_text("Compression no\n")
    reaches(cli, "up")


@pytest.mark.parametrize("helper", ["ssh", "Match exec"])
def test_a_helper_that_fails_once(cli: Cli, sshd: Sshd, helper: str) -> None:
    """openssh-client is being upgraded; a ``Match exec`` asks the network."""
    bad = sshd.folder / "bad"
    tools = sshd.folder / "bin"
    tools.mkdir()
    ssh = executable(tools / "ssh", f'#!/bin/sh\nexec {program("ssh")} "$@"\n')
    config = sshd.ssh_config("gw")
    if helper == "Match exec":
        config.write_text(f'Match exec "test -e {bad} && kill -KILL $PPID; true"\n' + config.read_text())
    cli.use_ssh_config(config)
    up(cli, env={"PATH": f"{tools}:/usr/bin:/bin" if helper == "Match exec" else str(tools)})
    if helper == "ssh":
        ssh.rename(tools / "ssh.dpkg-new")
    else:
        bad.touch()
    sshd.cut()
    wait_until(lambda: code(cli) == "helper", 20, "the failure")
    shown = tunnel(cli)
    assert shown["state"] in ("backoff", "connecting")
    assert shown["failure"]["permanent"] is False
    bad.unlink(missing_ok=True)
    if helper == "ssh":
        (tools / "ssh.dpkg-new").rename(ssh)
    assert cli("wait").exit_code == 0  # and it makes it try now


def test_one_malformed_packet_before_the_login(cli: Cli, sshd: Sshd, way: Middleman) -> None:
    """Somebody on the way, or a line that corrupts bytes: a KEXINIT whose name-list is longer than its packet."""
    cli.use_ssh_config(through(way, sshd))
    up(cli)
    before = way.connections
    way.instead = b"SSH-2.0-x\r\n" + b"\0\0\x01\x0c\x0a\x14" + b"\xff" * 266
    way.cut()
    wait_until(lambda: way.connections > before and state(cli) in ("backoff", "failed"), 20, "the bad answer")
    assert state(cli) == "backoff"
    assert code(cli) == "not_ssh"
    way.instead = None
    assert cli("wait").exit_code == 0
    assert "Traceback" not in cli("logs").stdout


def test_a_foreign_network_shows_another_host_key(cli: Cli, sshd: Sshd, way: Middleman) -> None:
    """A captive portal, a wrong VPN: refused and shown, looked at again, and never accepted."""
    cli.use_ssh_config(through(way, sshd))
    port = up(cli)
    with Sshd() as foreign:
        way.to = foreign.port
        way.cut()
        reaches(cli, "failed")
        shown = tunnel(cli)
        assert shown["failure"]["code"] == "host_key_changed"
        assert foreign.fingerprint() in shown["failure"]["message"]
        assert 0 <= shown["retry"]["next_in_s"] <= 15
        assert shown["retry"]["on"] == ["files", "wake", "network"]
        error = unavailable(port)
        assert (error["code"], error["permanent"]) == ("host_key_changed", True)
        assert "tries again in " in error["outlook"]
        assert cli("wait").exit_code != 0  # a person asks: it looks again, and refuses again
        assert code(cli) == "host_key_changed"
        assert foreign.connections() == []
    way.to = sshd.port
    reaches(cli, "up", 60)


def test_a_gateway_whose_answer_is_odd_once(cli: Cli, sshd: Sshd) -> None:
    """A chunk size of 60 digits once ended the one who asks, and ``status`` said up for ever."""
    with Middleman(1) as gateway:
        gateway.instead = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"9" * 60 + b"\r\n{}"
        cli.use_ssh_config(sshd.ssh_config("gw"))
        answer = cli("up", "-d", "gw", "-p", str(free_port()), "-r", str(gateway.port), "--no-extra-ports")
        assert answer.exit_code == 32
        shown = tunnel(cli)
        assert (shown["state"], shown["gateway"]["verdict"]) == ("degraded", "not_a_gateway")
        assert cli("doctor").exit_code != 70
        asked = gateway.connections
        wait_until(lambda: gateway.connections > asked + 2, 20, "the next probes")
        body = b'{"ok":true,"status":"live"}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        gateway.instead = head.encode() + body
        reaches(cli, "up")


def test_a_line_that_is_cut_again_and_again(cli: Cli, sshd: Sshd) -> None:
    """Bad Wi-Fi: each connection lasts, and each loss is followed by a try at once."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up(cli)
    for _ in range(6):
        threading.Event().wait(2.5)  # the least life of a connection that counts as one that lasted
        before = tunnel(cli)["counters"]
        sshd.cut()
        wait_until(partial(is_back, cli, before["connects"] + 1), 20, "another connection")
    lost = [line for line in cli("logs").stdout.splitlines() if ": up -> backoff" in line]
    assert len(lost) == 6
    assert all(line.endswith("retry at once") for line in lost)
    assert tunnel(cli)["retry"]["flapping"] is True


def test_a_command_that_waits_brings_it_back(cli: Cli, sshd: Sshd) -> None:
    """sshd is away; whoever waits makes it dial each second, as a client does."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up(cli)
    sshd.kill()
    wait_until(lambda: tunnel(cli)["retry"]["attempt"] > 2, 30, "some tries")
    waiting = cli.start("wait", "--timeout", "100")
    wait_until(lambda: tunnel(cli)["retry"]["attempt"] > 8, 30, "tries that were hurried")
    sshd.start()
    assert waiting.wait(60) == 0
    assert state(cli) == "up"


def test_an_agent_that_refuses_is_asked_once(cli: Cli, sshd: Sshd) -> None:
    """Two clients that keep coming ask nobody anything."""
    key = asyncssh.read_private_key(sshd.client_key)
    with in_thread(lambda: fake_agent(cli.home / "agent", key)) as agent:
        agent.refuses = True
        cli.use_ssh_config(agent_only(sshd, cli.home / "agent"))
        port = up(cli, exit_code=21)
        assert code(cli) == "not_confirmed"
        assert agent.asked == 1
        for _ in range(10):
            error = unavailable(port)
            assert (error["code"], error["state"]) == ("not_confirmed", "failed")
        assert tunnel(cli)["retry"]["next_in_s"] is None
        assert "it tries again only on request" in cli("status").stdout
        assert agent.asked == 1
        assert cli("wait").exit_code == 1  # a person asks
        assert agent.asked == 2
        agent.refuses = False
        assert cli("restart").exit_code == 0


def test_a_proxy_command_that_needs_a_login(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    """It prints a URL and waits: it gets its time, the URL is shown, and clients start no second one."""
    done, starts = sshd.folder / "logged-in", sshd.folder / "starts"
    proxy = executable(
        sshd.folder / "proxy",
        f"#!/bin/sh\necho start >>{starts}\n"
        "printf 'Open the following URL to log in:\\nhttps://login.example/abc123\\n' >&2\n"
        f"while ! test -e {done}; do sleep 0.1; done\n"
        f"exec {program('socat')} - TCP:127.0.0.1:{sshd.port}\n",
    )
    cli.use_ssh_config(sshd.ssh_config("gw", extra=[f"ProxyCommand {proxy}"]))
    cli.set_policy(connectTimeout=2, hold=1)
    port = free_port()
    bringing = cli.start("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    wait_until(lambda: os.path.exists(starts) and tunnel(cli)["asks"], 20, "the request")
    assert "https://login.example/abc123" in tunnel(cli)["asks"]
    assert "asks you  " in cli("status").stdout
    for _ in range(3):  # longer than the time that a dial has
        error = unavailable(port)
        assert "https://login.example/abc123" in error["message"]
    assert state(cli) == "connecting"
    done.touch()
    reaches(cli, "up", 60)
    assert tunnel(cli)["asks"] is None
    assert starts.read_text().split() == ["start"]
    bringing.wait(60)


@pytest.mark.parametrize("event", ["stop while it is asked", "stop while it dials"])
def test_down_ends_whatever_happens(cli: Cli, sshd: Sshd, event: str) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw"))
    up(cli)
    sshd.freeze()
    if event == "stop while it dials":
        child = cli.start("restart")
        reaches(cli, "connecting")
        child.kill()
    assert cli("down").exit_code == 0
    sshd.thaw()
    assert cli.processes() == []
