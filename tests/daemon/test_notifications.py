"""Notices and hooks of tunnels in a daemon, without SSH: programs that are really run, and a desktop that remembers."""

import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.notify.notices import Notice
from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.daemon.notifications import Announcer
from openclaw_tunnel.daemon.process import open_daemon
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.process import is_running
from openclaw_tunnel.settings.resolve import UpOptions, resolve
from support.aio import async_test, settle
from support.cli import Cli
from support.links import ScriptedConnector
from support.snapshots import snapshot
from support.waiting import free_port, wait_until

CHANGED = Failure(Code.HOST_KEY_CHANGED, "the host key of gw has changed", {"trust": "openclaw-tunnel trust gw"})
REFUSED = Failure(Code.REFUSED, "gw refused the connection", {"host": "gw:22"})
WRITE = 'cat > "$OUT/$OPENCLAW_TUNNEL_EVENT.json"; echo "$OPENCLAW_TUNNEL_NAME $OPENCLAW_TUNNEL_EVENT" >> "$OUT/runs"'


class Remembered:
    """A desktop that keeps what it was to show, and for whom."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.envs: list[Mapping[str, str]] = []

    async def show(self, notice: Notice, env: Mapping[str, str]) -> None:
        self.notices.append(notice)
        self.envs.append(env)

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.notices]


class Rig:
    """A daemon whose tunnels dial by script and write down their hooks in a folder."""

    def __init__(self, daemon: Daemon, desktop: Remembered, folder: Path) -> None:
        self.daemon = daemon
        self.desktop = desktop
        self.folder = folder
        self.connectors: dict[str, ScriptedConnector] = {}
        self.scripts: dict[str, list[Failure | None]] = {}

    def connector(self, spec: TunnelSpec) -> ScriptedConnector:
        self.connectors[spec.name] = ScriptedConnector(*self.scripts.get(spec.name, ()))
        return self.connectors[spec.name]

    async def up(self, name: str = "default", *script: Failure | None, announce: Announce | None = None) -> TunnelSpec:
        """Open a tunnel, with the environment of whoever asks for it."""
        self.scripts[name] = list(script)
        hook = ("sh", "-c", WRITE)
        forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", 9))
        announce = announce or Announce(up=hook, down=hook, failure=hook)
        spec = TunnelSpec(name, "gw", (forward,), probe=Probe.NONE, address="me@gw:22", announce=announce)
        await self.daemon.up(spec, env={"PATH": os.environ["PATH"], "HOME": "/", "OUT": str(self.folder)})
        return spec

    async def reaches(self, name: str, state: State) -> None:
        def there() -> bool:
            supervisor = self.daemon.supervisor(name)
            return supervisor is not None and supervisor.state is state

        await settle(there, f"{name} is {state}")

    def runs(self) -> list[str]:
        path = self.folder / "runs"
        return path.read_text().splitlines() if path.exists() else []

    async def ran(self, *runs: str) -> None:
        await settle(lambda: self.runs() == list(runs), f"{runs}, not {self.runs()}")

    def told(self, event: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{event}.json").read_text())
        return found


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="oct-", dir="/tmp") as folder:
        paths, desktop, made = Paths.from_env({"OPENCLAW_TUNNEL_HOME": folder}), Remembered(), list[Rig]()
        dial = lambda spec: made[0].connector(spec)  # noqa: E731
        async with open_daemon(paths, {}, make_connector=dial, desktop=desktop) as daemon:
            made.append(Rig(daemon, desktop, Path(folder)))
            yield made[0]


@async_test
async def test_hooks_of_a_tunnel_that_comes_up_is_lost_and_is_closed() -> None:
    async with running() as rig:
        await rig.up()
        await rig.ran("default up")
        shown = json.loads(json.dumps(rig.daemon.snapshots()[0].to_json()))
        assert rig.told("up") == {**shown, "ssh": rig.told("up")["ssh"]}
        assert (shown["state"], shown["target"]) == ("up", "me@gw:22")
        rig.connectors["default"].links[0].lose(REFUSED)
        await rig.ran("default up", "default down", "default up")
        down = rig.told("down")
        assert (down["state"], down["failure"]["message"]) == ("backoff", "gw refused the connection")
        await rig.daemon.down(None)
        await rig.ran("default up", "default down", "default up", "default down")
        assert rig.told("down")["state"] == "stopping"
    assert rig.desktop.titles == []


@async_test
async def test_hooks_that_wait_are_run_when_the_daemon_ends() -> None:
    with tempfile.TemporaryDirectory() as kept:
        async with running() as rig:
            await rig.up()
            await rig.ran("default up")
            rig.folder = Path(kept)
            slow = ("sh", "-c", f"sleep 0.2; echo down > {kept}/runs")
            supervisor = rig.daemon.supervisor("default")
            assert supervisor
            supervisor.spec = replace(supervisor.spec, announce=Announce(down=slow))
        assert rig.runs() == ["down"]


@async_test
async def test_a_hook_that_does_not_end_is_ended_with_the_daemon(tmp_path: Path) -> None:
    announcer = Announcer(Remembered())
    script = f"echo $$ > {tmp_path}/made; mv {tmp_path}/made {tmp_path}/pid; exec sleep 65"
    announcer.see(snapshot(State.UP), Announce(up=("sh", "-c", script)), {"PATH": os.environ["PATH"]})
    await settle((tmp_path / "pid").exists)
    await announcer.close(0.05)
    assert not is_running(int((tmp_path / "pid").read_text()))


@async_test
async def test_a_person_is_called_and_told_when_it_is_well_again() -> None:
    async with running() as rig:
        await rig.up("default", CHANGED, CHANGED)
        await rig.ran("default failure")
        assert rig.told("failure")["failure"]["code"] == "host_key_changed"
        rig.daemon.woke(3600.0)
        await settle(lambda: rig.desktop.notices, "the notice")
        assert rig.desktop.notices == [Notice(("default",), "default: the host key of gw has changed", CHANGED.hint)]
        assert rig.desktop.envs[0]["OUT"] == str(rig.folder)
        rig.daemon.retry()
        await settle(lambda: rig.connectors["default"].dials == 2)
        await rig.reaches("default", State.FAILED)
        rig.daemon.retry()
        await settle(lambda: len(rig.desktop.notices) == 2, "the second notice")
        assert rig.desktop.titles[1] == "default: well again"
        await rig.ran("default failure", "default up")


@async_test
async def test_several_tunnels_with_one_trouble_are_one_notice() -> None:
    async with running() as rig:
        await rig.up("a", CHANGED)
        await rig.up("b", CHANGED)
        await settle(lambda: rig.desktop.notices, "the notice")
        assert rig.desktop.titles == ["a and b: the host key of gw has changed"]


@async_test
async def test_whoever_wants_no_notices_gets_none() -> None:
    """Nor does the service of a whole system, before which nobody sits. The tunnel ``heard`` shows that time passed."""
    async with running() as rig:
        await rig.up("quiet", CHANGED, announce=Announce(notifications=False))
        await rig.up("system", CHANGED)
        rig.daemon.owners.keep("system", {"manager": "systemd", "unit": "x", "system": True})
        await rig.up("heard", CHANGED)
        rig.daemon.owners.keep("heard", {"manager": "systemd", "unit": "y", "system": False})
        await settle(lambda: rig.desktop.notices, "the notice")
        assert rig.desktop.titles == ["heard: the host key of gw has changed"]


@async_test
async def test_up_again_changes_the_hooks_and_leaves_the_connection_alone() -> None:
    async with running() as rig:
        spec = await rig.up()
        await rig.ran("default up")
        other = ("sh", "-c", 'echo other >> "$OUT/runs"')
        started, note = await rig.daemon.up(replace(spec, announce=Announce(down=other)), by_hand=True)
        assert (started, note) == (False, "")
        await rig.daemon.down(["default"])
        await rig.ran("default up", "other")
        assert rig.connectors["default"].dials == 1


@async_test
async def test_a_reload_changes_the_hooks_and_leaves_the_connection_alone() -> None:
    async with running() as rig:
        (rig.folder / "ssh_config").touch()
        tunnels, port = rig.folder / "tunnels.json5", free_port()
        env = {"PATH": os.environ["PATH"], "HOME": str(rig.folder), "OUT": str(rig.folder)}
        env["OPENCLAW_TUNNEL_SSH_CONFIG"] = str(rig.folder / "ssh_config")
        options = UpOptions(target="gw", local_port=port, remote_port=9, probe="none")
        tunnels.write_text("{}")
        tunnels.chmod(0o600)
        paths = Paths.from_env({"OPENCLAW_TUNNEL_HOME": str(rig.folder)})
        await rig.daemon.up((await resolve(options, env=env, paths=paths)).spec, options, env)
        await rig.reaches("default", State.UP)
        tunnels.write_text("{ hooks: { down: ['sh', '-c', 'echo changed >> $OUT/runs'] } }")
        await rig.daemon.reload()
        await rig.daemon.down(["default"])
        await rig.ran("changed")
        assert rig.connectors["default"].dials == 1


class Broken:
    """A desktop with a bug."""

    async def show(self, notice: Notice, env: Mapping[str, str]) -> None:
        raise ZeroDivisionError(notice.title)


@async_test
async def test_what_goes_wrong_here_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    announcer = Announcer(Broken())
    announcer.see(snapshot(State.FAILED, CHANGED), Announce(failure=("sh", "-c", "a\0")), {"PATH": os.environ["PATH"]})
    for _ in range(3):
        announcer.see(replace(snapshot(State.UP), gateway=None), Announce(), {})  # type: ignore[arg-type]
    announcer.see(snapshot(State.FAILED, CHANGED), Announce(), {})
    await settle(lambda: any("task notice failed" in line for line in caplog.messages), "the notice")
    assert caplog.messages.count("default: what became of it could not be told") == 1
    assert "hook failure cannot be run: sh: an argument cannot be passed on" in " ".join(caplog.messages)
    await announcer.close()


@async_test
async def test_no_notice_is_shown_any_more_when_the_daemon_has_ended() -> None:
    closed, goes_on = Remembered(), Remembered()
    for desktop in (closed, goes_on):
        announcer = Announcer(desktop)
        announcer.see(snapshot(State.FAILED, CHANGED), Announce(), {})
        if desktop is closed:
            await announcer.close()
    await settle(lambda: goes_on.notices, "the notice of the other one")
    assert closed.titles == []


def test_a_service_whose_tunnel_cannot_begin_tells_it(cli: Cli) -> None:
    """Its port is taken: there is no tunnel yet, and what was asked for tells whom to tell."""
    cli.tunnel_home.mkdir(mode=0o700)
    (cli.tunnel_home / "tunnels.json5").write_text(
        f"{{ hooks: {{ failure: ['sh', '-c', 'cat > {cli.home}/made; mv {cli.home}/made {cli.home}/told'] }} }}"
    )
    (cli.tunnel_home / "tunnels.json5").chmod(0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = cli.start("service", "run", f"me@127.0.0.1:{free_port()}", "-p", str(port))
        wait_until((cli.home / "told").exists, what="the hook")
        told = json.loads((cli.home / "told").read_text())
        assert (told["state"], told["failure"]["code"]) == ("failed", "cannot_begin")
        assert str(port) in told["failure"]["message"]
        service.stop()
