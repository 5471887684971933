"""From files and variables to the credentials of a call."""

import json
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.load import Explicit, load_credentials
from openclaw_tunnel.openclaw.credentials.values import CredentialChoice
from openclaw_tunnel.openclaw.settings import OpenClawSettings, load_openclaw
from support.aio import async_test


def settings(home: Path, config: Any = None, **env: str) -> OpenClawSettings:
    if config is not None:
        (home / "openclaw.json").write_text(json.dumps(config))
    return load_openclaw({"HOME": str(home), "OPENCLAW_STATE_DIR": str(home), **env}, home)


def sent(choice: CredentialChoice) -> tuple[str | None, str | None]:
    token, password = choice.token, choice.password
    return (token.reveal() if token else None), (password.reveal() if password else None)


REMOTE = {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": "remote-token"}}


@async_test
async def test_nothing_is_configured(tmp_path: Path) -> None:
    choice = await load_credentials(Surface.CALL, settings=settings(tmp_path))
    assert sent(choice) == (None, None)
    assert set(choice.why_not.values()) == {"is not set"}


@async_test
async def test_the_contract_goes_by_the_release_that_wrote_the_file(tmp_path: Path) -> None:
    config = {"gateway": {"auth": {"token": "auth-token"}}, "meta": {"lastTouchedVersion": "2026.9.6"}}
    found = settings(tmp_path, config, OPENCLAW_GATEWAY_TOKEN="env-token")
    assert sent(await load_credentials(Surface.CALL, settings=found)) == ("auth-token", None)
    assert sent(await load_credentials(Surface.CALL, settings=found, contract="2026.5")) == ("env-token", None)
    del config["meta"]
    found = settings(tmp_path, config, OPENCLAW_GATEWAY_TOKEN="env-token")
    assert sent(await load_credentials(Surface.CALL, settings=found, contract="auto")) == ("env-token", None)


@async_test
async def test_references_are_resolved(tmp_path: Path) -> None:
    """Through a file provider, with the variable of a .env file in its path."""
    (tmp_path / "s.json").write_text('{"gateway": {"token": "from-file"}}')
    (tmp_path / "s.json").chmod(0o600)
    (tmp_path / ".env").write_text(f"WHERE={tmp_path}\n")
    ref = {"source": "file", "provider": "files", "id": "/gateway/token"}
    config = {
        "gateway": {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": ref}},
        "secrets": {"providers": {"files": {"source": "file", "path": "${WHERE}/s.json"}}},
    }
    choice = await load_credentials(Surface.CALL, settings=settings(tmp_path, config))
    assert (sent(choice), choice.token_source) == (("from-file", None), "gateway.remote.token")


@async_test
async def test_a_missing_variable_fails_closed(tmp_path: Path) -> None:
    config = {"gateway": {**REMOTE, "remote": {**REMOTE["remote"], "token": "${NOT_THERE}"}}}  # type: ignore[dict-item]
    found = settings(tmp_path, config, OPENCLAW_GATEWAY_TOKEN="env-token")
    with pytest.raises(CredentialError) as caught:
        await load_credentials(Surface.CALL, settings=found)
    assert caught.value.message == (
        "gateway.remote.token is the SecretRef env:default:NOT_THERE, which cannot be resolved: "
        "environment variable NOT_THERE is not set"
    )


@async_test
async def test_a_variable_of_the_file_is_a_credential_not_a_reference(tmp_path: Path) -> None:
    config = {"gateway": {"auth": {"token": "${MINE}"}}, "env": {"vars": {"MINE": "from-vars"}}}
    choice = await load_credentials(Surface.CALL, settings=settings(tmp_path, config))
    assert sent(choice) == ("from-vars", None)


@async_test
async def test_addresses_of_others(tmp_path: Path) -> None:
    found = settings(tmp_path, {"gateway": REMOTE})
    other = settings(tmp_path, OPENCLAW_GATEWAY_URL="ws://other:1")
    with pytest.raises(CredentialError, match=r"^an address from --url gets"):
        await load_credentials(Surface.CALL, settings=found, explicit=Explicit(url="ws://other:1"))
    with pytest.raises(CredentialError, match=r"^an address from OPENCLAW_GATEWAY_URL gets"):
        await load_credentials(Surface.CALL, settings=other)
    mine = Explicit(url="ws://other:1", token="mine")
    assert sent(await load_credentials(Surface.CALL, settings=found, explicit=mine)) == ("mine", None)
    through_tunnel = await load_credentials(Surface.CALL, settings=other, way_is_known=True)
    assert sent(through_tunnel) == ("remote-token", None)


@async_test
async def test_a_tunnel_is_the_address(tmp_path: Path) -> None:
    found = settings(tmp_path, {"gateway": {"mode": "remote", "remote": {"token": "t"}}})
    with pytest.raises(CredentialError, match=r"there is no gateway\.remote\.url"):
        await load_credentials(Surface.CALL, settings=found)
    assert sent(await load_credentials(Surface.CALL, settings=found, way_is_known=True)) == ("t", None)


@async_test
async def test_the_login_shell_is_not_asked(tmp_path: Path) -> None:
    found = settings(tmp_path, {"env": {"shellEnv": {"enabled": True}}}, OPENCLAW_GATEWAY_TOKEN="t")
    why = (await load_credentials(Surface.CALL, settings=found)).why_not
    assert "login shell" in why["env OPENCLAW_GATEWAY_PASSWORD"]
    assert "env OPENCLAW_GATEWAY_TOKEN" not in why


def test_what_was_given_does_not_show() -> None:
    assert "geheim" not in repr(Explicit(token="geheim", password="geheim", url="ws://u:geheim@h"))


@async_test
async def test_the_token_of_the_gateway_here_is_not_sent_before_the_remote_one(tmp_path: Path) -> None:
    """gateway.mode is local, and a tunnel leads elsewhere: the order is that of the remote gateway."""
    file = tmp_path / "openclaw.json"
    auth = '{ gateway: { mode: "local", auth: { token: "here" }, remote: { token: "there" } } }'
    file.write_text(auth)
    found = load_openclaw({"OPENCLAW_CONFIG_PATH": str(file), "HOME": str(tmp_path)})
    assert sent(await load_credentials(Surface.CALL, settings=found, way_is_known=True)) == ("there", None)
    assert sent(await load_credentials(Surface.CALL, settings=found)) == ("here", None)
