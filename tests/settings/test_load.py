"""All settings files read at once."""

from pathlib import Path

import pytest

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.load import Explicit
from openclaw_tunnel.settings.check import all_problems
from openclaw_tunnel.settings.load import Settings
from support.aio import async_test


def files(folder: Path, ours: str, theirs: str) -> tuple[dict[str, str], Path]:
    """The environment that leads to openclaw.json, and tunnels.json5."""
    (folder / "openclaw.json").write_text(theirs)
    (folder / "tunnels.json5").write_text(ours)
    return {"OPENCLAW_CONFIG_PATH": str(folder / "openclaw.json"), "HOME": str(folder)}, folder / "tunnels.json5"


def test_both_files_are_read_and_those_that_are_missing_say_nothing(tmp_path: Path) -> None:
    env, ours = files(tmp_path, "{tunnels: {a: {target: 'gw'}}}", '{"gateway": {"port": 5}}')
    settings = Settings.load(env, ours, tmp_path)
    assert (settings.tunnels.tunnels["a"].target, settings.openclaw.gateway_port) == ("gw", 5)
    nothing = Settings.load({"HOME": str(tmp_path)}, tmp_path / "none", tmp_path)
    assert (dict(nothing.tunnels.tunnels), nothing.openclaw.loaded.document) == ({}, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "first"),
    [("{", "{", "tunnels.json5"), ("{}", "{", "openclaw.json"), ("{", "{}", "tunnels.json5")],
)
def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path, ours: str, theirs: str, first: str) -> None:
    env, path = files(tmp_path, ours, theirs)
    with pytest.raises(ConfigError) as caught:
        Settings.load(env, path, tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / first} line 1")
    problems = [problem.message for problem in all_problems(env, path)]
    assert problems[0] == caught.value.message
    assert len(problems) == [ours, theirs].count("{")


@async_test
async def test_credentials_follow_the_contract_of_tunnels_json5(tmp_path: Path) -> None:
    theirs = '{"gateway": {"auth": {"token": "of the file"}}}'
    for contract, token in (("2026.5", "of the variable"), ("2026.9", "of the file")):
        env, ours = files(tmp_path, f"{{openclawContract: '{contract}'}}", theirs)
        settings = Settings.load({**env, "OPENCLAW_GATEWAY_TOKEN": "of the variable"}, ours, tmp_path)
        choice = await settings.credentials(Surface.CALL)
        assert choice.token is not None
        assert choice.token.reveal() == token
        choice = await settings.credentials(Surface.CALL, explicit=Explicit(token="typed"))
        assert choice.token is not None
        assert choice.token.reveal() == "typed"
