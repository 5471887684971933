"""The daemon behind its control socket: tunnels come, go on, are replaced and go, without SSH."""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import Endpoint, Forward, PortChoice, Probe, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.daemon.process import open_daemon
from openclaw_tunnel.daemon.requests import RELOAD_AGAIN
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused
from openclaw_tunnel.host.historyfile import history_file, load
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import UpOptions
from openclaw_tunnel.ssh.lookup import Address, look_up
from support.aio import async_test, pass_time, settle
from support.links import ScriptedConnector
from support.rawrequest import raw, raw_stream
from support.scripted import Script, scripted
from support.waiting import accepts, free_port, free_ports

UNKNOWN_KEY = Failure(Code.HOST_KEY_UNKNOWN, "the host key is not known")
REFUSED = Failure(Code.REFUSED, "refused")
Ask = Callable[..., Any]


def make_spec(name: str = "default", target: str = "gw", **fields: Any) -> TunnelSpec:
    forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", 9))
    fields = {"address": f"me@{target}:22", "probe": Probe.NONE, "forwards": (forward,), **fields}
    return TunnelSpec(name, target, **fields)


class Rig:
    """A daemon in a folder of its own whose tunnels dial by script."""

    def __init__(self, daemon: Daemon, paths: Paths, connectors: dict[str, list[ScriptedConnector]]) -> None:
        self.daemon = daemon
        self.paths = paths
        self.connectors = connectors

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        client = ControlClient(self.paths.socket_path, lock_path=self.paths.lock_path)
        return await asyncio.to_thread(client.call, raw(method, **params))

    async def up(self, spec: TunnelSpec) -> dict[str, Any]:
        return await self.ask("up", spec=asdict(spec))

    async def reaches(self, name: str, state: State) -> None:
        def there() -> bool:
            supervisor = self.daemon.supervisor(name)
            return supervisor is not None and supervisor.state is state

        await settle(there, f"{name} is {state}")


@asynccontextmanager
async def running(*script: Failure | None, env: dict[str, str] | None = None) -> AsyncIterator[Rig]:
    """The first tunnel to be made dials by ``script``."""
    connectors: dict[str, list[ScriptedConnector]] = {}
    first = list(script)

    def make_connector(spec: TunnelSpec) -> ScriptedConnector:
        connector = ScriptedConnector(*first)
        first.clear()
        connectors.setdefault(spec.name, []).append(connector)
        return connector

    with tempfile.TemporaryDirectory(prefix="oct-", dir="/tmp") as folder:
        paths = Paths.from_env({"OPENCLAW_TUNNEL_HOME": folder})
        async with open_daemon(paths, env or {}, make_connector=make_connector) as daemon:
            yield Rig(daemon, paths, connectors)


@async_test
async def test_up_status_restart_down() -> None:
    async with running() as rig:
        spec = make_spec()
        answer = await rig.up(spec)
        assert (answer["started"], answer["note"], answer["snapshot"]["name"]) == (True, "", "default")
        await rig.reaches("default", State.UP)
        report = await rig.ask("status")
        assert report["daemon"]["pid"] == os.getpid()
        assert [t["state"] for t in report["tunnels"]] == ["up"]
        assert (await rig.ask("status", name="other"))["tunnels"] == []
        assert await rig.ask("restart", name="default") == {}
        await settle(lambda: rig.connectors["default"][0].dials == 2)
        assert await rig.ask("down", name="default") == {"closed": ["default"]}
        assert rig.daemon.ending.result() is ExitCode.OK
        assert not await asyncio.to_thread(accepts, spec.main.listen.port)


def test_the_log_names_what_runs_and_when_each_ended(caplog: pytest.LogCaptureFixture) -> None:
    @async_test
    async def run() -> None:
        async with running() as rig:
            await rig.up(make_spec("dev"))
            await rig.up(make_spec("lab"))
            await rig.ask("down", name="lab")

    with caplog.at_level(logging.DEBUG, "openclaw_tunnel"):
        run()
    said = [record.getMessage() for record in caplog.records]
    assert (
        "what runs: daemon (control socket, heartbeat of the histories, reloads, announcer, tunnels (none), "
        "watch of sleep, watch of the network)"
    ) in said
    ended = [line.partition(" ended after ")[0].removeprefix("daemon: ") for line in said if " ended after " in line]
    assert ended == [
        *("tunnels: lab", "watch of the network", "watch of sleep", "tunnels: dev", "tunnels", "announcer"),
        *("reloads", "heartbeat of the histories", "control socket", "daemon"),
    ]


@async_test
async def test_what_becomes_of_a_tunnel_is_recorded_and_stays_when_the_daemon_ends() -> None:
    with tempfile.TemporaryDirectory() as kept:
        async with running() as rig:
            await rig.up(make_spec())
            await rig.reaches("default", State.UP)
            rig.connectors["default"][0].links[0].lose(REFUSED)
            await settle(lambda: len(rig.connectors["default"][0].links) == 2)
            await rig.reaches("default", State.UP)
            rig.daemon.woke(3600.0)
            await rig.ask("down", name="default")
            file = history_file(rig.paths.state_dir, "default")
            moved = file.rename(Path(kept) / file.name)
        history = load(moved).history
    assert [entry.state for entry in history.entries] == [
        *(State.CONNECTING, State.VERIFYING, State.UP),
        *(State.BACKOFF, State.VERIFYING, State.UP),
        *(State.UP, State.STOPPING, State.STOPPED),
    ]
    assert history.entries[6].asleep_s == 3600.0
    assert (history.entries[3].code, history.entries[3].message) == ("refused", "refused")
    assert history.entries[5].took_s is not None


@async_test
async def test_a_second_tunnel_joins_and_the_last_one_ends_the_daemon() -> None:
    async with running() as rig:
        await rig.up(make_spec("a"))
        await rig.up(make_spec("b"))
        assert [t["name"] for t in (await rig.ask("status"))["tunnels"]] == ["a", "b"]
        await rig.ask("down", name="a")
        assert not rig.daemon.ending.done()
        assert await rig.ask("down", all=True) == {"closed": ["b"]}
        assert rig.daemon.ending.done()


@async_test
async def test_up_again_is_no_error() -> None:
    async with running() as rig:
        spec = make_spec()
        await rig.up(spec)
        await rig.reaches("default", State.UP)
        again = await rig.up(spec)
        assert (again["started"], again["note"], again["snapshot"]["state"]) == (False, "", "up")
        other_port = await rig.up(replace(spec, forwards=make_spec().forwards))
        assert not other_port["started"]
        assert other_port["note"].startswith(f"it runs with other settings ({spec.main})")
        assert "openclaw-tunnel down default" in other_port["note"]
        rig.daemon.owners.keep("default", {"unit": "openclaw-tunnel.service"})
        kept = await rig.up(replace(spec, forwards=make_spec().forwards))
        assert "openclaw-tunnel service install" in kept["note"]
        assert len(rig.connectors["default"]) == 1


@async_test
async def test_a_tunnel_that_a_service_keeps_is_not_replaced_by_hand() -> None:
    async with running(*[REFUSED] * 9) as rig:
        spec, other = make_spec(), make_spec(target="elsewhere")
        keeper = {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}
        await rig.ask("up", spec=asdict(spec), service=keeper)
        await rig.reaches("default", State.BACKOFF)
        by_hand = await rig.up(other)
        assert (by_hand["started"], by_hand["snapshot"]["target"]) == (False, spec.address)
        assert "openclaw-tunnel service install" in by_hand["note"]
        by_service = await rig.ask("up", spec=asdict(other), service=keeper)
        assert (by_service["started"], by_service["snapshot"]["target"]) == (True, other.address)


@async_test
async def test_up_to_another_host_under_the_same_name_is_refused_while_it_is_up() -> None:
    async with running() as rig:
        await rig.up(make_spec(target="gw"))
        await rig.reaches("default", State.UP)
        with pytest.raises(RequestRefused, match="tunnel default is up already, and leads to me@gw:22") as caught:
            await rig.up(make_spec(target="other"))
        assert caught.value.exit_code is ExitCode.USAGE
        assert "openclaw-tunnel down default" in caught.value.hint


@async_test
async def test_up_again_after_a_failure_tries_again() -> None:
    async with running(UNKNOWN_KEY) as rig:
        spec = make_spec()
        await rig.up(spec)
        await rig.reaches("default", State.FAILED)
        await rig.up(spec)
        await rig.reaches("default", State.UP)
        assert rig.connectors["default"][0].dials == 2


@async_test
async def test_retry_wakes_what_failed_and_leaves_the_rest_alone() -> None:
    async with running(UNKNOWN_KEY) as rig:
        await rig.up(make_spec("failed"))
        await rig.up(make_spec("well"))
        await rig.reaches("failed", State.FAILED)
        await rig.reaches("well", State.UP)
        assert await rig.ask("retry") == {}
        await rig.reaches("failed", State.UP)
        assert rig.connectors["well"][0].dials == 1


@async_test
async def test_up_with_corrected_settings_replaces_what_failed() -> None:
    async with running(UNKNOWN_KEY) as rig:
        wrong = make_spec(target="wrong")
        await rig.up(wrong)
        await rig.reaches("default", State.FAILED)
        right = make_spec(target="right", forwards=wrong.forwards)
        assert (await rig.up(right))["started"]
        await rig.reaches("default", State.UP)
        assert (await rig.ask("status"))["tunnels"][0]["alias"] == "right"


@async_test
async def test_a_port_that_is_taken_is_refused_and_leaves_no_tunnel() -> None:
    async with running() as rig:
        first = make_spec("a")
        await rig.up(first)
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = Forward(Endpoint("127.0.0.1", other.getsockname()[1]), Endpoint("127.0.0.1", 9))
            with pytest.raises(RequestRefused, match="is in use by pid") as caught:
                await rig.up(make_spec("b", forwards=(taken,)))
        assert caught.value.exit_code is ExitCode.LOCAL_PORT
        with pytest.raises(RequestRefused, match=f"{first.main.listen} is in use by tunnel a") as ours:
            await rig.up(make_spec("b", forwards=first.forwards))
        assert ours.value.exit_code is ExitCode.LOCAL_PORT
        assert ours.value.hint.startswith("close it: openclaw-tunnel down a, or ")
        assert [t["name"] for t in (await rig.ask("status"))["tunnels"]] == ["a"]


@async_test
async def test_two_close_the_same_tunnel_at_the_same_time() -> None:
    async with running() as rig:
        await rig.up(make_spec("a"))
        await rig.up(make_spec("b"))
        answers = await asyncio.gather(*(rig.daemon.down(["a"]) for _ in range(3)))
        assert answers == [["a"]] * 3
        assert not rig.daemon.ending.done()


@async_test
async def test_a_daemon_that_closes_takes_no_more_tunnels() -> None:
    """Else they would be closed a moment after their user was told that they are up."""
    async with running() as rig:
        await rig.up(make_spec("a"))
        closing = asyncio.gather(
            rig.daemon.down(["a"]),
            rig.daemon.up(make_spec("b")),
            return_exceptions=True,
        )
        closed, refused = await closing
        assert closed == ["a"]
        assert isinstance(refused, RequestRefused)
        assert refused.exit_code is ExitCode.NOT_RUNNING
        assert rig.daemon.supervisor("b") is None


@async_test
async def test_watch_tells_each_change_until_the_tunnel_is_gone() -> None:
    async with running(REFUSED) as rig:
        await rig.up(make_spec())
        client = ControlClient(rig.paths.socket_path, lock_path=rig.paths.lock_path)

        seen: list[str] = []

        def watch() -> None:
            for event in client.stream(raw_stream("watch", name="default"), 20):
                seen.append(event["snapshot"]["state"])  # noqa: PERF401  another thread looks at it meanwhile

        watching = asyncio.get_running_loop().run_in_executor(None, watch)
        await settle(lambda: seen[-1:] == ["up"], "the watcher sees it up")
        await rig.ask("down", name="default")
        await watching  # the stream ends by itself
        assert set(seen[seen.index("up") :]) <= {"up", "stopping", "stopped"}


@pytest.mark.parametrize("method", ["down", "restart", "watch"])
def test_no_such_tunnel(method: str) -> None:
    @async_test
    async def run() -> None:
        async with running() as rig:
            with pytest.raises(RequestRefused, match="no tunnel named nobody is running") as caught:
                await rig.ask(method, name="nobody")
            assert caught.value.exit_code is ExitCode.NOT_RUNNING

    run()


@async_test
async def test_what_is_no_tunnel_and_what_is_no_method() -> None:
    async with running() as rig:
        with pytest.raises(RequestRefused, match="not a tunnel"):
            await rig.ask("up", spec={"name": "x"})
        with pytest.raises(RequestRefused, match="no tunnel named"):
            await rig.ask("down", name=["x"])
        with pytest.raises(RequestRefused, match="does not know"):
            await rig.ask("dance")
        open_to_all = asdict(make_spec())
        open_to_all["forwards"][0]["listen"]["host"] = "0.0.0.0"
        with pytest.raises(RequestRefused, match="can be reached by other computers"):
            await rig.ask("up", spec=open_to_all)


@async_test
async def test_one_daemon_at_a_time_and_the_next_one_after_it() -> None:
    async with running() as rig:
        with pytest.raises(RequestRefused, match=f"another openclaw-tunnel daemon .*pid {os.getpid()}"):
            async with open_daemon(rig.paths, {}):
                raise AssertionError("two daemons")
        assert (await rig.ask("ping"))["pid"] == os.getpid()
    with pytest.raises(DaemonUnreachable):
        await rig.ask("ping")


@async_test
async def test_signals_decide_how_it_ends() -> None:
    async with running() as rig:
        rig.daemon.on_signal(signal.SIGTERM)
        rig.daemon.on_signal(signal.SIGTERM)
        assert rig.daemon.ending.result() is ExitCode.OK
    async with running() as rig:
        rig.daemon.on_signal(signal.SIGINT)
        assert rig.daemon.ending.result() is ExitCode.INTERRUPTED
    async with running() as rig:
        rig.daemon.orphaned()
        assert rig.daemon.ending.result() is ExitCode.OK


@async_test
async def test_an_idle_daemon_ends_and_a_busy_one_does_not() -> None:
    async with running() as rig:
        await rig.up(make_spec())
        rig.daemon.end_if_idle()
        assert not rig.daemon.ending.done()
    async with running() as rig:
        rig.daemon.end_if_idle()
        assert rig.daemon.ending.done()


@async_test
async def test_reload_starts_a_changed_tunnel_anew_and_leaves_the_others(tmp_path: Path) -> None:
    """The settings are read again with the options the tunnel was made from."""
    ssh_config = tmp_path / "ssh_config"
    ssh_config.write_text("Host gw\n  HostName 127.0.0.1\n")
    first, second = free_port(), free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENCLAW_TUNNEL_SSH_CONFIG": str(ssh_config)}
    async with running(env=env) as rig:
        changing = make_spec("changing", forwards=(Forward(Endpoint("127.0.0.1", first), Endpoint("127.0.0.1", 9)),))
        options = UpOptions(target="gw", name="changing", local_port=second, remote_port=9, probe="none")
        await rig.ask("up", spec=asdict(changing), options=options.to_json())
        await rig.up(make_spec("fixed"))
        await rig.ask("reload")
        await rig.reaches("changing", State.UP)
        assert rig.daemon.supervisor("changing").spec.main.listen.port == second  # type: ignore[union-attr]
        assert len(rig.connectors["fixed"]) == 1
        ssh_config.write_text("Host gw\n  HostNam 127.0.0.1\n")
        await rig.ask("reload")
        assert rig.daemon.supervisor("changing").spec.main.listen.port == second  # type: ignore[union-attr]
        assert len(rig.connectors["changing"]) == 2


@async_test
async def test_settings_that_could_not_be_read_for_a_reason_that_passes_are_read_again(tmp_path: Path) -> None:
    """ssh is being replaced at that moment."""
    programs, port = tmp_path / "bin", free_port()
    programs.mkdir()
    env = {"PATH": str(programs), "HOME": str(tmp_path)}
    async with running(env=env) as rig:
        options = UpOptions(target="gw", name="default", local_port=port, remote_port=9, probe="none")
        await rig.ask("up", spec=asdict(make_spec()), options=options.to_json())
        await rig.ask("reload")
        assert rig.daemon.supervisor("default").spec.main.listen.port != port  # type: ignore[union-attr]
        (programs / "ssh").symlink_to(shutil.which("ssh") or "/usr/bin/ssh")
        await pass_time(RELOAD_AGAIN, lambda: True)
        await settle(lambda: (tunnel := rig.daemon.supervisor("default")) and tunnel.spec.main.listen.port == port)


@async_test
async def test_a_tunnel_that_waits_for_a_person_notices_that_its_settings_were_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """openclaw.json names another host now: no command is needed."""
    settings = tmp_path / ".openclaw" / "openclaw.json"
    settings.parent.mkdir()
    settings.write_text('{gateway: {remote: {sshTarget: "me@wrong.example"}}}')
    ssh_config = tmp_path / "ssh_config"
    ssh_config.touch()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENCLAW_TUNNEL_SSH_CONFIG": str(ssh_config)}
    async with running(UNKNOWN_KEY, env=env) as rig:
        spec = make_spec(target="me@wrong.example", address="me@wrong.example:22")
        options = UpOptions(local_port=spec.main.listen.port, remote_port=9, probe="none")
        await rig.ask("up", spec=asdict(spec), options=options.to_json())
        await rig.reaches("default", State.FAILED)
        settings.write_text("{gateway: {remote: {sshTarget: 17}}}")
        await settle(lambda: "sshTarget" in caplog.text, "the warning about the settings")
        assert rig.daemon.supervisor("default").state is State.FAILED  # type: ignore[union-attr]
        settings.write_text('{gateway: {remote: {sshTarget: "me@right.example"}}}')
        await settle(lambda: len(rig.connectors["default"]) == 2, "a tunnel with the new settings")
        await rig.reaches("default", State.UP)
        assert rig.daemon.supervisor("default").spec.target == "me@right.example"  # type: ignore[union-attr]


@async_test
async def test_every_tunnel_hears_of_sleep_and_of_the_network() -> None:
    async with running(REFUSED, REFUSED) as rig:
        await rig.up(make_spec("one"))
        await rig.reaches("one", State.BACKOFF)
        await rig.up(make_spec("two"))
        await rig.reaches("two", State.UP)
        pings = rig.connectors["two"][0].links[0].pings
        rig.daemon.woke(3600.0)
        await settle(lambda: rig.connectors["two"][0].links[0].pings > pings)
        await rig.reaches("one", State.UP)

        def moved() -> bool:  # within a second of the last dial there is no other
            rig.daemon.network_changed(frozenset({"192.0.2.99"}))
            return len(rig.connectors["two"][0].links) == 2

        await settle(moved, "a connection from the new address")


@async_test
async def test_in_debug_mode_a_turn_that_takes_long_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.get_running_loop().set_debug(True)
    async with running():
        await asyncio.sleep(0)
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        await asyncio.sleep(0)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [words for words in said if words.startswith("a turn of the event loop took ")]


@async_test
async def test_names_are_asked_for_again_after_sleep_and_on_another_network() -> None:
    """What is asked already may be asked of name servers that are out of reach now."""
    asked: list[int] = []
    end = threading.Event()

    def silent(*question: object) -> list[Address]:
        asked.append(len(asked))
        end.wait(60)
        return []

    async with running() as rig, asyncio.TaskGroup() as group:
        group.create_task(look_up("gw.example", 22, ask=silent, again=60))
        await settle(lambda: asked == [0])
        rig.daemon.woke(3600.0)
        await pass_time(60, lambda: True)
        await settle(lambda: asked == [0, 1])
        rig.daemon.network_changed(None)
        await pass_time(60, lambda: True)
        await settle(lambda: asked == [0, 1, 2])
        end.set()


@async_test
async def test_each_tunnel_has_the_settings_and_credentials_of_its_own_up(tmp_path: Path) -> None:
    """Two profiles, one daemon: neither gateway may see the other one's token, and a reload mixes nothing up."""
    scripts = {"one": Script(), "two": Script()}
    async with scripted(scripts["one"]) as one, scripted(scripts["two"]) as two:
        to = {"one": one, "two": two}
        env = {name: _home(tmp_path / name, to[name].port) for name in to}
        async with running(env=env["one"]) as rig:
            for name in to:
                forwards = (Forward(Endpoint("127.0.0.1", free_port()), to[name]),)
                spec = make_spec(name, "127.0.0.1", probe=Probe.GATEWAY, forwards=forwards)
                options = UpOptions(name=name, local_port=forwards[0].listen.port)
                await rig.ask("up", spec=asdict(spec), options=options.to_json(), env=env[name])
            for name, script in scripts.items():
                await settle(lambda script=script: script.seen, f"the login of {name}")  # type: ignore[misc]
                assert script.seen[0]["params"]["auth"] == {"token": f"token-{name}"}
            await rig.ask("reload")
            assert {n: rig.daemon.supervisor(n).spec.main.to for n in to} == to  # type: ignore[union-attr]
            assert "token" not in repr(rig.daemon._tunnels)


def _home(home: Path, port: int) -> dict[str, str]:
    """The environment of a user whose gateway listens on ``port`` of 127.0.0.1."""
    (home / ".openclaw").mkdir(parents=True)
    remote = {"sshTarget": "127.0.0.1", "remotePort": port, "token": "${MY_TOKEN}"}
    (home / ".openclaw" / "openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "MY_TOKEN": f"token-{home.name}"}
    return {**env, "OPENCLAW_TUNNEL_SSH_CONFIG": "none"}


@async_test
async def test_an_environment_is_an_object_of_strings() -> None:
    async with running() as rig:
        with pytest.raises(RequestRefused, match="not a tunnel: TypeError"):
            await rig.ask("up", spec=asdict(make_spec()), env={"A": 1})


@async_test
async def test_a_port_of_our_choice_is_kept_through_reload_down_and_up(tmp_path: Path) -> None:
    """``-p new`` is for once: what comes of it is kept like the first one."""
    first = free_ports(10)
    openclaw = tmp_path / ".openclaw" / "openclaw.json"
    openclaw.parent.mkdir()
    openclaw.write_text(json.dumps({"gateway": {"remote": {"url": f"ws://127.0.0.1:{first}"}}}))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENCLAW_TUNNEL_SSH_CONFIG": "none"}

    async with running(env=env) as rig:

        async def up(choice: PortChoice) -> int:
            spec = make_spec(forwards=(Forward(Endpoint("127.0.0.1", first), Endpoint("127.0.0.1", first)),))
            options = UpOptions(target="gw", local_port=str(choice), probe="none", no_extra_ports=True)
            asked = {"spec": asdict(replace(spec, port_choice=choice)), "options": options.to_json()}
            answer = await rig.ask("up", **asked)
            assert answer["note"] == ""
            await rig.reaches("default", State.UP)
            listen: str = answer["snapshot"]["forwards"][0]["listen"]
            return int(listen.partition(":")[2])

        await rig.up(make_spec("stays"))
        with socket.create_server(("127.0.0.1", first)):
            assert await up(PortChoice.AUTO) == first + 3
        assert await up(PortChoice.AUTO) == first + 3  # it runs already
        for _ in range(2):  # the first one makes it anew, because the settings say more than the request did
            await rig.ask("reload")
            await rig.reaches("default", State.UP)
        assert len(rig.connectors["default"]) == 2
        await rig.ask("down", name="default")
        assert await up(PortChoice.AUTO) == first + 3
        await rig.ask("down", name="default")
        assert await up(PortChoice.NEW) == first
        await rig.ask("reload")
        await rig.reaches("default", State.UP)
        assert rig.daemon.supervisor("default").spec.main.listen.port == first  # type: ignore[union-attr]
        kept = json.loads((rig.paths.state_dir / "ports.json").read_text())
        assert kept == {"version": 1, "ports": {"default": first}}


@async_test
async def test_a_kept_port_that_somebody_else_took_is_waited_for_by_clients() -> None:
    async with running() as rig:
        first = free_ports(10)
        spec = replace(
            make_spec(forwards=(Forward(Endpoint("127.0.0.1", first), Endpoint("127.0.0.1", 9)),)),
            port_choice=PortChoice.AUTO,
        )
        await rig.up(make_spec("stays"))
        await rig.up(spec)
        await rig.ask("down", name="default")
        with socket.create_server(("127.0.0.1", first)):
            with pytest.raises(RequestRefused, match=r"is in use by pid .* tunnel default keeps") as caught:
                await rig.up(spec)
            assert caught.value.exit_code is ExitCode.LOCAL_PORT
            assert caught.value.hint.endswith(", or give the tunnel another port and tell its clients: -p new")
            assert (await rig.up(replace(spec, port_choice=PortChoice.NEW)))["started"]
        assert rig.daemon.supervisor("default").spec.main.listen.port == first + 3  # type: ignore[union-attr]


@async_test
async def test_a_port_that_was_taken_for_nobody_in_particular_is_given_to_who_asks_for_it() -> None:
    async with running() as rig:
        first = make_spec("first", browser=True)
        await rig.up(first)
        await rig.reaches("first", State.UP)
        extra = first.main.listen.port + 2

        def note() -> str | None:
            rows = rig.daemon.supervisor("first").snapshot().forwards[1:]  # type: ignore[union-attr]
            return (rows[0].note or "listening") if rows else None

        await settle(lambda: note() == "listening")
        second = make_spec("second", forwards=(Forward(Endpoint("127.0.0.1", extra), Endpoint("127.0.0.1", 9)),))
        assert (await rig.up(second))["started"]
        assert note() == f"local port {extra} was given to another tunnel"


@async_test
async def test_kept_ports_that_cannot_be_read_are_in_the_way_of_those_alone_that_want_one() -> None:
    async with running() as rig:
        (rig.paths.state_dir / "ports.json").mkdir()
        fixed = make_spec()
        assert (await rig.up(fixed))["note"] == ""
        with pytest.raises(RequestRefused, match=r"ports\.json: the local ports that tunnels keep cannot be read"):
            await rig.up(replace(make_spec("other"), port_choice=PortChoice.AUTO))
