"""The daemon's own credentials: those of openclaw.json, looked up again when a file changes and not before."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.daemon.credentials import RETRY, SettingsCredentials
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.watch import Looks
from support.aio import async_test

SPEC = TunnelSpec(
    "dev",
    "gw",
    (Forward(Endpoint("127.0.0.1", 28789), Endpoint("127.0.0.1", 18789)),),
    address="me@gw.example:22",
)


def write(home: Path, remote: dict[str, object]) -> Path:
    path = home / ".openclaw" / "openclaw.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))
    return path


def source(home: Path, **env: str) -> SettingsCredentials:
    return SettingsCredentials({"HOME": str(home), **env}, home / "tunnels.json5", SPEC)


@async_test
async def test_no_file_no_credentials(tmp_path: Path) -> None:
    assert await source(tmp_path)() == Credentials()


def test_the_token_of_the_remote_gateway_and_its_changes(tmp_path: Path) -> None:
    @async_test
    async def run() -> None:
        find = source(tmp_path)
        write(tmp_path, {"token": "one"})
        assert await find() == Credentials(token="one")
        write(tmp_path, {"token": "three"})
        assert await find() == Credentials(token="three")

    run()


class Hung(OffLoop[Looks]):
    """A home on a network that goes away, and comes back."""

    away = False

    async def run(self, call: Callable[[], Looks], *, timeout: float) -> Looks | None:
        return None if self.away else await super().run(call, timeout=timeout)


@async_test
async def test_files_that_cannot_be_looked_at_leave_what_was_known(tmp_path: Path) -> None:
    hung = Hung("hung")
    find = SettingsCredentials({"HOME": str(tmp_path)}, tmp_path / "tunnels.json5", SPEC, off_loop=hung)
    write(tmp_path, {"token": "one"})
    assert await find() == Credentials(token="one")
    write(tmp_path, {"token": "three"})
    hung.away = True
    assert await find() == Credentials(token="one")
    hung.away = False
    assert await find() == Credentials(token="three")


def test_a_change_of_any_file_that_a_secret_comes_from_is_noticed(tmp_path: Path) -> None:
    """``.env``, an included file, the file of a SecretRef: a corrected token has to be tried, wherever it is."""
    path, secret = write(tmp_path, {}), tmp_path / "secret"
    by_file = {"source": "file", "provider": "f", "id": "value"}
    providers = {"f": {"source": "file", "path": str(secret), "mode": "singleValue"}}

    @async_test
    async def run() -> None:
        find = source(tmp_path)
        assert await find() == Credentials()
        write(tmp_path, {"token": "${MINE}"})
        for token in ("in-env", "in-env-again"):
            (path.parent / ".env").write_text(f"MINE={token}\n")
            assert await find() == Credentials(token=token)
        path.write_text('{"gateway": {"$include": "gateway.json"}}')
        for token in ("included", "included-again"):
            (path.parent / "gateway.json").write_text(json.dumps({"mode": "remote", "remote": {"token": token}}))
            assert await find() == Credentials(token=token)
        config = {"gateway": {"mode": "remote", "remote": {"token": by_file}}, "secrets": {"providers": providers}}
        path.write_text(json.dumps(config))
        assert await find() == Credentials()
        for token in ("of-file", "of-file-again"):
            secret.write_text(token)
            secret.chmod(0o600)
            assert await find() == Credentials(token=token)

    run()


def test_a_broken_include_is_looked_at_until_it_is_mended(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_text('{"gateway": {"$include": "gateway.json"}}')
    (path.parent / "gateway.json").write_text("{")

    @async_test
    async def run() -> None:
        find = source(tmp_path)
        assert await find() == Credentials()
        (path.parent / "gateway.json").write_text('{"mode": "remote", "remote": {"token": "mended"}}')
        assert await find() == Credentials(token="mended")

    run()


def test_a_reference_that_could_not_be_resolved_is_tried_again_after_a_while(tmp_path: Path) -> None:
    """A keyring that was locked when the computer started is open later, and no file says so."""
    keyring, opened = tmp_path / "keyring", tmp_path / "opened"
    keyring.write_text(
        f'#!/bin/sh\n[ -e {opened} ] || exit 1\necho \'{{"protocolVersion":1,"values":{{"t":"s3"}}}}\'\n'
    )
    keyring.chmod(0o700)
    path = write(tmp_path, {"token": {"source": "exec", "provider": "v", "id": "t"}})
    config = json.loads(path.read_text())
    config["secrets"] = {"providers": {"v": {"source": "exec", "command": str(keyring)}}}
    path.write_text(json.dumps(config))

    @async_test
    async def run() -> None:
        now = 0.0
        find = SettingsCredentials({"HOME": str(tmp_path)}, tmp_path / "tunnels.json5", SPEC, clock=lambda: now)
        assert await find() == Credentials()
        opened.touch()
        now = RETRY - 1
        assert await find() == Credentials()
        now = RETRY
        assert await find() == Credentials(token="s3")

    run()


def test_a_look_up_that_was_given_up_does_not_count(tmp_path: Path) -> None:
    """The connection may be lost while a provider is being asked; with the next one it is asked again."""
    slow, go = tmp_path / "slow", tmp_path / "go"
    slow.write_text(
        f'#!/bin/sh\n[ -e {go} ] || exec sleep 60\necho \'{{"protocolVersion":1,"values":{{"t":"s3"}}}}\'\n'
    )
    slow.chmod(0o700)
    path = write(tmp_path, {"token": {"source": "exec", "provider": "v", "id": "t"}})
    config = json.loads(path.read_text())
    config["secrets"] = {"providers": {"v": {"source": "exec", "command": str(slow), "timeoutMs": 60_000}}}
    path.write_text(json.dumps(config))

    @async_test
    async def run() -> None:
        find = source(tmp_path)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(find(), 0.2)
        go.touch()
        assert await find() == Credentials(token="s3")

    run()


@pytest.mark.parametrize(
    ("remote", "meant"),
    [
        ({}, True),
        ({"sshTarget": "gw"}, True),
        ({"sshTarget": "me@gw.example:22"}, True),
        ({"sshTarget": "other"}, False),
        ({"url": "ws://127.0.0.1:28789"}, True),
        ({"url": "ws://127.0.0.1:18789"}, False),
        ({"url": "ws://127.0.0.1:28789", "sshTarget": "other"}, True),  # OpenClaw itself sends the token there
        ({"url": "ws://127.0.0.1:18789", "sshTarget": "gw"}, True),
    ],
)
def test_a_secret_goes_unasked_only_to_the_gateway_it_is_for(
    tmp_path: Path, remote: dict[str, object], meant: bool
) -> None:
    write(tmp_path, {"token": "secret", **remote})

    @async_test
    async def run() -> None:
        assert await source(tmp_path)() == (Credentials(token="secret") if meant else Credentials())

    run()


def test_a_program_that_gives_the_secret_runs_once(tmp_path: Path) -> None:
    """Each run of an exec provider may ask a person for a touch."""
    script, counter = tmp_path / "secret", tmp_path / "runs"
    script.write_text(f'#!/bin/sh\necho run >> {counter}\necho \'{{"protocolVersion":1,"values":{{"t":"s3"}}}}\'\n')
    script.chmod(0o700)
    write(tmp_path, {"token": {"source": "exec", "provider": "vault", "id": "t"}})
    path = tmp_path / ".openclaw" / "openclaw.json"
    config = json.loads(path.read_text())
    config["secrets"] = {"providers": {"vault": {"source": "exec", "command": str(script)}}}
    path.write_text(json.dumps(config))

    @async_test
    async def run() -> None:
        find = source(tmp_path)
        for _ in range(3):
            assert await find() == Credentials(token="s3")
        assert counter.read_text() == "run\n"

    run()


def test_what_cannot_be_used_is_said_once_and_goes_without(tmp_path: Path) -> None:
    path = write(tmp_path, {"token": "one"})
    path.write_text("{ gateway: { port: 0 } }")

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("openclaw_tunnel.daemon.credentials")
    logger.addHandler(handler)

    @async_test
    async def run() -> None:
        find = source(tmp_path)
        assert await find() == Credentials()
        assert await find() == Credentials()

    try:
        run()
    finally:
        logger.removeHandler(handler)
    assert len(said) == 1
    assert "gateway.port" in said[0]
