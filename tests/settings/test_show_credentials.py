"""Whether there are credentials, and where: what `config show` says of them."""

import json
from pathlib import Path
from typing import Any

from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.show_credentials import credentials_found
from support.aio import async_test


async def found(folder: Path, config: Any, **env: str) -> dict[str, dict[str, Any]]:
    file = folder / "openclaw.json"
    file.write_text(json.dumps(config))
    return await credentials_found(
        Settings.load({"HOME": str(folder), "OPENCLAW_CONFIG_PATH": str(file), **env}, folder / "none", folder)
    )


@async_test
async def test_where_a_credential_is_kept_and_why_there_is_none(tmp_path: Path) -> None:
    said = await found(tmp_path, {"gateway": {"remote": {"token": "geheim"}}})
    place = f"gateway.remote.token, {tmp_path}/openclaw.json line 1"
    assert said["token"] == {"set": True, "source": place, "why": None}
    assert (said["password"]["set"], said["password"]["source"]) == (False, None)
    assert "gateway.remote.password is not set" in said["password"]["why"]
    assert "geheim" not in str(said)


@async_test
async def test_a_variable_is_named(tmp_path: Path) -> None:
    said = await found(tmp_path, {}, OPENCLAW_GATEWAY_TOKEN="geheim")
    assert said["token"] == {"set": True, "source": "env OPENCLAW_GATEWAY_TOKEN", "why": None}


@async_test
async def test_one_that_cannot_be_had_is_the_reason_for_both(tmp_path: Path) -> None:
    ref = {"source": "file", "provider": "none", "id": "/x"}
    said = await found(tmp_path, {"gateway": {"remote": {"token": ref}}})
    assert said["token"] == said["password"]
    assert "gateway.remote.token" in said["token"]["why"]
