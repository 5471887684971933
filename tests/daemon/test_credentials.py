"""The daemon's own credentials: those of openclaw.json, looked up again when a file changes and not before."""

import json
import logging
from pathlib import Path

from openclaw_tunnel.daemon.credentials import SettingsCredentials
from openclaw_tunnel.gateway.hello import Credentials
from support.aio import async_test


def write(home: Path, remote: dict[str, object]) -> Path:
    path = home / ".openclaw" / "openclaw.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))
    return path


def source(home: Path, **env: str) -> SettingsCredentials:
    return SettingsCredentials({"HOME": str(home), **env}, home / "tunnels.json5")


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
