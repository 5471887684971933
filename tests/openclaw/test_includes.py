"""$include: several files as one, and everything that may not be included."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import Document, load_document
from openclaw_tunnel.openclaw.includes import MAX_DEPTH, MAX_FILES, include_all, merge

WANTED = frozenset({"gateway"})


def write(folder: Path, **files: Any) -> Path:
    """Files by name (``__`` for a slash), as they are or as JSON; ``main`` is the one that is read."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "main"


def load(main: Path, *roots: Path) -> Document:
    document = load_document(main, "hint")
    assert document is not None
    return include_all(document, roots, WANTED)[0]


def value(folder: Path, **files: Any) -> Any:
    return load(write(folder, **files)).value


def why(folder: Path, *roots: Path, **files: Any) -> str:
    """The error, without the folder's own path."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, **files), *roots)
    return caught.value.message.replace(f"{folder}/", "")


def test_one_file_stands_for_what_it_holds(tmp_path: Path) -> None:
    assert value(tmp_path, main={"gateway": {"$include": "g"}}, g={"port": 1}) == {"gateway": {"port": 1}}
    assert value(tmp_path, main={"gateway": {"port": {"$include": "n"}}}, n="7") == {"gateway": {"port": 7}}
    assert value(tmp_path, main={"gateway": [{"$include": "n"}, 8]}, n="[1]") == {"gateway": [[1], 8]}


def test_keys_beside_it_win(tmp_path: Path) -> None:
    main = {"gateway": {"$include": "g", "port": 2, "remote": {"url": "u"}}}
    found = value(tmp_path, main=main, g={"port": 1, "mode": "local", "remote": {"url": "x", "token": "t"}})
    assert found == {"gateway": {"port": 2, "mode": "local", "remote": {"url": "u", "token": "t"}}}


def test_an_array_is_merged_in_order(tmp_path: Path) -> None:
    found = value(
        tmp_path,
        main={"gateway": {"$include": ["a", "b"]}},
        a={"port": 1, "list": [1], "o": {"x": 1, "y": 1}, "s": {"k": 1}},
        b={"port": 2, "list": [2], "o": {"y": 2}, "s": 5},
    )
    assert found == {"gateway": {"port": 2, "list": [1, 2], "o": {"x": 1, "y": 2}, "s": 5}}
    assert value(tmp_path, main={"gateway": {"$include": []}}) == {"gateway": {}}


def test_the_whole_file_may_be_included(tmp_path: Path) -> None:
    found = value(
        tmp_path,
        main={"$include": ["a", "b"], "other": {"$include": "not there"}},
        a={"gateway": {"port": 1}, "agents": {"$include": "not there"}},
        b={"gateway": {"mode": "local"}},
    )
    assert found == {"gateway": {"port": 1, "mode": "local"}}  # of the rest nothing is read


def test_names_that_javascript_would_stumble_over_are_left_out() -> None:
    assert merge({"__proto__": 1, "a": 1}, {"constructor": 2, "b": 2}) == {"a": 1, "b": 2}


def test_paths_start_at_the_file_that_includes(tmp_path: Path) -> None:
    files = {"sub__g": '{ $include: "./more/r" }', "sub__r": "{}"}
    write(tmp_path, **files)
    (tmp_path / "sub" / "more").mkdir()
    (tmp_path / "sub" / "more" / "r").write_text('{ $include: "../../up", port: 3, }')
    assert value(tmp_path, main={"gateway": {"$include": "sub/g"}}, up={"mode": "local"}) == {
        "gateway": {"mode": "local", "port": 3}
    }
    assert value(tmp_path, main={"gateway": {"$include": str(tmp_path / "up")}}) == {"gateway": {"mode": "local"}}


def test_errors_name_the_file_and_line_that_says_it(tmp_path: Path) -> None:
    main = '{\n"gateway": { "$include": ["a", "b"],\n "mode": "local" }}'
    document = load(write(tmp_path, main=main, a='{\n\n"port": 1, "remote": {\n "url": "x"}}', b='{"x":1}'))
    assert document.place(("gateway", "port")) == f"{tmp_path / 'a'} line 3"
    assert document.place(("gateway", "remote", "url")) == f"{tmp_path / 'a'} line 4"
    assert document.place(("gateway", "remote", "token")) == f"{tmp_path / 'a'} line 3"
    assert document.place(("gateway", "x")) == f"{tmp_path / 'b'} line 1"
    assert document.place(("gateway", "mode")) == f"{tmp_path / 'main'} line 3"
    assert document.place(("gateway",)) == f"{tmp_path / 'main'} line 2"


def test_a_key_that_is_overridden_is_where_it_was_said_last(tmp_path: Path) -> None:
    main = '{"$include": "a",\n"gateway": {\n"port": 2}}'
    document = load(write(tmp_path, main=main, a={"gateway": {"port": 1, "mode": "local"}}))
    assert document.place(("gateway", "port")) == f"{tmp_path / 'main'} line 3"
    assert document.place(("gateway", "mode")) == f"{tmp_path / 'a'} line 1"


G = {"gateway": {"$include": "g"}}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"main": {"gateway": {"$include": 5}}}, "main line 1: gateway.$include must be a path or an array of paths, not"),
    (
        {"main": {"gateway": {"$include": ["g", 5]}}, "g": "{}"},
        "main line 1: gateway.$include[1] must be a path, not a",
    ),
    ({"main": G}, "main line 1: gateway.$include includes g, which does not exist"),
    ({"main": G, "g": '{"$include": "g"}'}, "g line 1: $include includes g, which is being included already: a circle"),
    ({"main": G, "g": '{"$include": "main"}'}, "g line 1: $include includes main, which is being included already"),
    ({"main": G, "g": "{"}, "main line 1: gateway.$include cannot be included: g line 1, column 2: Unexpected end"),
    ({"main": {"gateway": {"$include": "g", "a": 1}}, "g": "[1]"}, "main line 1: gateway.$include has keys beside it"),
    ({"main": {"$include": "g"}, "g": "[]"}, "main includes an array, not an object"),
    ({"main": {"gateway": {"$include": "../g"}}}, "main line 1: gateway.$include leads out of the settings' folder: "),
    ({"main": {"gateway": {"$include": "/etc/hostname"}}}, "main line 1: gateway.$include leads out of the settings'"),
    ({"main": {"gateway": {"$include": "a\0b"}}}, "main line 1: gateway.$include is no path"),
    ({"main": {"gateway": {"$include": "a" * 4096}}}, "main line 1: gateway.$include is no path"),
    ({"main": {"gateway": {"$include": "."}}}, "main line 1: gateway.$include cannot be included: "),
]


@pytest.mark.parametrize(("files", "words"), MISTAKES)
def test_mistakes(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    assert why(tmp_path, **files).startswith(words)


def test_how_deep(tmp_path: Path) -> None:
    chain = {f"f{n}": f'{{"$include": "f{n + 1}"}}' for n in range(1, MAX_DEPTH)}
    main = {"gateway": {"$include": "f1"}}
    assert value(tmp_path, main=main, **chain, **{f"f{MAX_DEPTH}": {"port": 1}}) == {"gateway": {"port": 1}}
    deeper = {f"f{MAX_DEPTH}": {"$include": f"f{MAX_DEPTH + 1}"}, f"f{MAX_DEPTH + 1}": "{}"}
    assert "at more than 10 levels" in why(tmp_path, main=main, **chain, **deeper)


def test_how_many_and_how_much(tmp_path: Path) -> None:
    main = {"gateway": {"$include": ["g"] * (MAX_FILES + 1)}}
    assert "includes more than 100 files" in why(tmp_path, main=main, g="{}")
    large = json.dumps({"a": "x" * 1_500_000})
    assert "includes more than settings can be" in why(tmp_path, main={"gateway": {"$include": ["g"] * 3}}, g=large)
    too_large = json.dumps({"a": "x" * 2_097_152})
    assert "is larger than 2 MiB" in why(tmp_path, main=G, g=too_large)


def test_links(tmp_path: Path) -> None:
    inside, outside = tmp_path / "config", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "g").write_text('{"port": 1}')
    (inside / "real").write_text('{"port": 2}')
    (inside / "g").symlink_to(outside / "g")
    (inside / "near").symlink_to("real")
    assert "leads out of the settings' folder by a symbolic link" in why(inside, main=G)
    assert load(inside / "main", outside).value == {"gateway": {"port": 1}}
    assert value(inside, main={"gateway": {"$include": "near"}}) == {"gateway": {"port": 2}}
    os.link(inside / "real", inside / "twin")
    assert "has another name (a hard link)" in why(inside, main={"gateway": {"$include": "twin"}})
    assert "leads out of the settings' folder" in why(inside, main={"gateway": {"$include": "../outside/g"}})
    assert load(inside / "main", outside).value == {"gateway": {"port": 1}}


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "g")
    assert "is not a regular file" in why(tmp_path, main=G)
