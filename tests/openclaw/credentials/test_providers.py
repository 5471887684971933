"""SecretRefs: variables, files and programs that hold secrets, and every reason not to trust them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.openclaw.credentials.providers import NotFound, at_pointer, resolve_ref
from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved
from support.aio import async_test

SECRET = "geheim-4711"


async def get(ref: tuple[str, str, str], providers: Mapping[str, Any], env: Mapping[str, str] | None = None) -> str:
    """The secret, or why there is none; nothing of a secret is ever in a reason."""
    config = {"secrets": {"providers": providers, "defaults": {"env": "vars"}}}
    outcome = await resolve_ref(SecretRef(*ref), config, env or {})
    if isinstance(outcome, Unresolved):
        assert SECRET not in outcome.why
        assert outcome.why.startswith("is the SecretRef ")
        return outcome.why.partition(", which ")[2].removeprefix("cannot be resolved: ")
    assert isinstance(outcome, Secret)
    return outcome.reveal()


@async_test
async def test_variables() -> None:
    env = {"TOKEN": f" {SECRET}\n", "EMPTY": " ", "SHOWN": "__OPENCLAW_REDACTED__"}
    listed = {"vars": {"source": "env", "allowlist": ["OTHER"]}}
    assert await get(("env", "vars", "TOKEN"), {}, env) == SECRET
    assert await get(("env", "vars", "TOKEN"), {"vars": {"source": "file", "path": "/x"}}, env) == SECRET
    assert await get(("env", "mine", "TOKEN"), {"mine": {"source": "env"}}, env) == SECRET
    assert await get(("env", "vars", "EMPTY"), {}, env) == "environment variable EMPTY is not set"
    assert await get(("env", "vars", "NONE"), {}, env) == "environment variable NONE is not set"
    unset = await resolve_ref(SecretRef("env", "default", "NONE"), {}, {"OPENCLAW_STATE_DIR": "/state"})
    assert isinstance(unset, Unresolved)
    assert unset.step == "put a line NONE=VALUE into /state/.env"
    assert await get(("env", "vars", "TOKEN"), listed, env) == "TOKEN is not in secrets.providers.vars.allowlist"
    assert await get(("env", "nope", "TOKEN"), {}, env) == "secrets.providers.nope is not configured"
    assert await get(("env", "f", "TOKEN"), {"f": {"source": "file"}}, env) == (
        "secrets.providers.f is not of source env"
    )
    assert await get(("env", "vars", "SHOWN"), {}, env) == "holds the placeholder OpenClaw shows for a secret"


@pytest.mark.parametrize(
    "ref",
    [
        ("env", "vars", "small"),
        ("env", "Vars", "TOKEN"),
        ("env", "vars", "A" * 129),
        ("file", "f", "no-pointer"),
        ("file", "f", "/a~2"),
        ("exec", "x", "../up"),
        ("exec", "x", "a/./b"),
        ("exec", "x", "-option"),
        ("exec", "x", "a" * 257),
        ("store", "s", "x\n"),
    ],
)
@async_test
async def test_ids_that_openclaw_does_not_accept(ref: tuple[str, str, str]) -> None:
    assert await get(ref, {}) == "its provider or id is not of the form that OpenClaw accepts"


@async_test
async def test_openclaw_s_own_store_is_not_ours_to_read() -> None:
    assert "only OpenClaw reads" in await get(("store", "default", "TOKEN"), {})
    assert "only OpenClaw can ask" in await get(
        ("exec", "x", "a"), {"x": {"source": "exec", "pluginIntegration": {"pluginId": "p"}}}
    )


def secret_file(folder: Path, content: str, mode: int = 0o600) -> dict[str, Any]:
    """A file, and the provider of it."""
    file = folder / "secrets.json"
    file.write_text(content)
    file.chmod(mode)
    return {"source": "file", "path": str(file)}


@async_test
async def test_a_json_file(tmp_path: Path) -> None:
    content = {"gateway": {"token": SECRET, "a/b~c": [SECRET, 5]}, "empty": "", "list": []}
    files = {"f": secret_file(tmp_path, "\ufeff" + json.dumps(content))}
    path = tmp_path / "secrets.json"
    assert await get(("file", "f", "/gateway/token"), files) == SECRET
    assert await get(("file", "f", "/gateway/a~1b~0c/0"), files) == SECRET
    assert await get(("file", "f", "/gateway/a~1b~0c/1"), files) == "is not a text or an empty one"
    assert await get(("file", "f", "/empty"), files) == "is not a text or an empty one"
    assert await get(("file", "f", "/gateway"), files) == "is not a text or an empty one"
    assert await get(("file", "f", "/gateway/none"), files) == f"{path} has nothing at /gateway/none"
    assert await get(("file", "f", "/list/0"), files) == f"{path} has nothing at /list/0"
    assert "is a pointer such as" in await get(("file", "f", "value"), files)


@async_test
async def test_a_file_of_one_value(tmp_path: Path) -> None:
    files = {"f": {**secret_file(tmp_path, f"{SECRET}\r\n"), "mode": "singleValue"}}
    assert await get(("file", "f", "value"), files) == SECRET
    assert await get(("file", "f", "/a"), files) == 'the id in a file of mode singleValue is "value"'


@async_test
async def test_a_file_in_the_home(tmp_path: Path) -> None:
    secret_file(tmp_path, SECRET)
    files = {"f": {"source": "file", "path": "~/secrets.json", "mode": "singleValue"}}
    assert await get(("file", "f", "value"), files, {"HOME": str(tmp_path)}) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
@async_test
async def test_a_file_that_others_can_read_or_write(tmp_path: Path, mode: int) -> None:
    files = {"f": secret_file(tmp_path, SECRET, mode)}
    path = tmp_path / "secrets.json"
    assert await get(("file", "f", "value"), files) == f"{path} can be read or written by others: chmod 600 {path}"


@async_test
async def test_files_that_are_none(tmp_path: Path) -> None:
    files = {"f": secret_file(tmp_path, SECRET)}
    path = tmp_path / "secrets.json"
    os.link(path, tmp_path / "other")
    assert await get(("file", "f", "value"), files) == f"{path} must not have other names (hard links)"
    (tmp_path / "other").unlink()
    link = tmp_path / "link"
    link.symlink_to(path)
    linked = {"f": {"source": "file", "path": str(link)}}
    assert await get(("file", "f", "value"), linked) == f"{link} must not be a symbolic link"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert await get(("file", "f", "value"), {"f": {"source": "file", "path": str(fifo)}}) == (
        f"{fifo} is not a regular file"
    )
    gone = tmp_path / "gone"
    assert await get(("file", "f", "value"), {"f": {"source": "file", "path": str(gone)}}) == (
        f"{gone} cannot be read: No such file or directory"
    )
    for path_setting in (None, 5, "", "a\0b"):
        broken = {"f": {"source": "file", "path": path_setting}}
        assert await get(("file", "f", "value"), broken) == "secrets.providers.f.path is no path"


@async_test
async def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    files = {"f": {**secret_file(tmp_path, SECRET * 10), "mode": "singleValue", "maxBytes": 20}}
    assert await get(("file", "f", "value"), files) == f"{tmp_path / 'secrets.json'} is larger than 20 bytes"


@pytest.mark.parametrize(("content", "why"), [("{", "is not JSON"), ("[1]", "does not hold a JSON object")])
@async_test
async def test_a_json_file_that_is_none(tmp_path: Path, content: str, why: str) -> None:
    files = {"f": secret_file(tmp_path, content)}
    assert await get(("file", "f", "/a"), files) == f"{tmp_path / 'secrets.json'} {why}"


@pytest.mark.parametrize("pointer", ["/a/00", "/a/-1", "/a/1", "/a/x", "/b", "/a/0/x"])
def test_pointers_that_lead_nowhere(pointer: str) -> None:
    with pytest.raises(NotFound, match=r"^/f has nothing at"):
        at_pointer({"a": ["x"]}, pointer, Path("/f"))


@pytest.mark.parametrize("secrets", [None, [], {"providers": []}, {"providers": {"vars": 5}, "defaults": 7}])
@async_test
async def test_settings_of_other_types_say_nothing(secrets: Any) -> None:
    outcome = await resolve_ref(SecretRef("file", "vars", "/a"), {"secrets": secrets}, {})
    assert isinstance(outcome, Unresolved)
