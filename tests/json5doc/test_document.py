"""Settings files: any bytes, and what the getters say of values that are not as they should be."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import MAX_BYTES, MAX_JSON5_BYTES, Section, load_document, parse_document
from openclaw_tunnel.json5doc.lines import dotted, key_lines, line_of

HINT = "mend it"


def section(text: str) -> Section:
    return parse_document("/f", text.encode(), HINT).root


def error_of(action: Callable[[], Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        action()
    return caught.value


def parse_error(data: bytes) -> tuple[str, str]:
    error = error_of(lambda: parse_document("/f", data, HINT))
    return error.message, error.hint


def test_json_and_json5() -> None:
    for text in ('{"a": {"b": 1}}', "\ufeff{a: {b: 1,}, /* x */}", "// c\n{'a': {\"b\": +1}}"):
        assert section(text).values == {"a": {"b": 1}}


BYTES: dict[bytes, tuple[str, str]] = {
    b"": ("/f line 1: the file is empty; write at least {}", HINT),
    b" \n": ("/f line 1: the file is empty; write at least {}", HINT),
    b"{a: 1\n b: 2}": ('/f line 2, column 2: Unexpected "b"', HINT),
    b"{\n  'a'": ("/f line 2, column 6: Unexpected end of input", HINT),
    b"[1]": ("/f line 1: must be an object, not an array", HINT),
    b"null": ("/f line 1: must be an object, not null", HINT),
    b"true": ("/f line 1: must be an object, not a boolean", HINT),
    b'"a"': ("/f line 1: must be an object, not a string", HINT),
    b"1": ("/f line 1: must be an object, not a number", HINT),
    b"{}\n\n\xff": ("/f line 3: not UTF-8 text", "save the file as UTF-8"),
    b'{"a":' * 3000 + b"1" + b"}" * 3000: ("/f is nested too deeply", HINT),
    b"{a:" * 3000 + b"1" + b"}" * 3000: ("/f is nested too deeply", HINT),
    b" " * (MAX_BYTES + 1): ("/f is larger than 2 MiB", "is that the right file?"),
    b"{}\n" + b" " * MAX_JSON5_BYTES + b"!": (
        "/f line 2, column 262145: not JSON",
        "JSON5 (comments, trailing commas) is read up to 256 KiB: make it plain JSON",
    ),
    b'{"a": ' + b"1" * 5000 + b"," + b" " * MAX_JSON5_BYTES + b"}": (
        "/f: not JSON",
        "JSON5 (comments, trailing commas) is read up to 256 KiB: make it plain JSON",
    ),
}


@pytest.mark.parametrize(("data", "wanted"), BYTES.items(), ids=[repr(b[:12]) for b in BYTES])
def test_what_is_no_settings_file(data: bytes, wanted: tuple[str, str]) -> None:
    assert parse_error(data) == wanted


def test_a_number_of_5000_digits_is_an_error_like_any_other() -> None:
    assert parse_error(b'{"a": ' + b"1" * 5000 + b"}") == ("/f line 1: not JSON5", HINT)


def test_a_file_as_large_as_allowed() -> None:
    assert parse_document("/f", b"{}" + b" " * (MAX_BYTES - 2), HINT).value == {}


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text("{}[]:,\"'\\/*ab10.-+ \n", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    try:
        document = parse_document("/f", data, HINT)
    except ConfigError as error:
        said = error
    else:
        said = document.root.error(next(iter(document.value), "none"), "is looked at")
    assert said.message.startswith("/f")
    assert said.hint


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "f"
    assert load_document(file, HINT) is None
    assert load_document(file / "below", HINT) is None
    file.write_bytes(b'{"a": 1}')
    document = load_document(file, HINT)
    assert document is not None
    assert (document.path, document.value) == (str(file), {"a": 1})


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert error_of(lambda: load_document(fifo, HINT)).message == f"{fifo} is not a regular file"
    assert error_of(lambda: load_document(Path("/dev/null"), HINT)).message == "/dev/null is not a regular file"
    assert error_of(lambda: load_document(tmp_path, HINT)).message == f"{tmp_path} cannot be read: Is a directory"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    error = error_of(lambda: load_document(loop, HINT))
    assert error.message == f"{loop} cannot be read: Too many levels of symbolic links"
    assert error.hint == "check the file and who may read it"
    error = error_of(lambda: load_document(Path("/f\0"), HINT))
    assert error.message == "/f\0 cannot be read: embedded null byte"


GETTERS: list[tuple[str, Callable[[Section], Any], Any]] = [
    ("{a: {b: 1}}", lambda s: s.section("a").values, {"b": 1}),
    ("{}", lambda s: s.section("a").section("b").values, {}),
    ("{a: ' x '}", lambda s: s.text("a"), "x"),
    ("{a: '  '}", lambda s: s.text("a"), None),
    ("{}", lambda s: s.text("a"), None),
    ("{a: false}", lambda s: s.flag("a"), False),
    ("{}", lambda s: s.flag("a"), None),
    ("{a: ['x', 'y']}", lambda s: s.texts("a"), ("x", "y")),
    ("{}", lambda s: s.texts("a"), ()),
    ("{a: 'x'}", lambda s: s.choice("a", ("x", "y")), "x"),
    ("{a: ''}", lambda s: s.choice("a", ("x", "y")), None),
    ("{a: 65535}", lambda s: s.port("a"), 65535),
    ("{a: 80.0}", lambda s: s.port("a"), 80),
    ("{}", lambda s: s.port("a"), None),
    ("{a: 0.5}", lambda s: s.number("a", least=0, most=1), 0.5),
    ("{a: 3.0}", lambda s: s.number("a", least=1, most=9, whole=True), 3),
    ("{}", lambda s: s.number("a", least=1, most=9), None),
    ("{a: 1, b: 2}", lambda s: s.only(("b", "a")).values, {"a": 1, "b": 2}),
]


@pytest.mark.parametrize(("text", "get", "wanted"), GETTERS)
def test_getters(text: str, get: Callable[[Section], Any], wanted: Any) -> None:
    assert get(section(text)) == wanted


COMPLAINTS: list[tuple[str, Callable[[Section], Any], str]] = [
    ("{a: 1}", lambda s: s.section("a"), "a must be an object, not a number"),
    ("{a: null}", lambda s: s.section("a"), "a must be an object, not null"),
    ("{a: []}", lambda s: s.text("a"), "a must be a string, not an array"),
    ('{a: "x\\u0000"}', lambda s: s.text("a"), "a must not hold a NUL character"),
    ("{a: 'yes'}", lambda s: s.flag("a"), "a must be true or false, not a string"),
    ("{a: 'x'}", lambda s: s.texts("a"), "a must be an array of strings, not a string"),
    ("{a: ['x', {}]}", lambda s: s.texts("a"), "a[1] must be a string, not an object"),
    ("{a: 'z'}", lambda s: s.choice("a", ("x", "y")), 'a must be one of "x", "y", not "z"'),
    ("{a: 0}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not 0"),
    ("{a: 65536}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not 65536"),
    ("{a: 80.5}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not 80.5"),
    ("{a: true}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not true"),
    ("{a: null}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not null"),
    ("{a: '80'}", lambda s: s.port("a"), 'a must be a port from 1 to 65535, not "80"'),
    ("{a: {}}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not an object"),
    ("{a: 1e400}", lambda s: s.port("a"), "a must be a port from 1 to 65535, not Infinity"),
    (
        "{a: '" + "x" * 50 + "'}",
        lambda s: s.port("a"),
        'a must be a port from 1 to 65535, not "' + "x" * 36 + "...",
    ),
    ("{a: -1}", lambda s: s.number("a", least=0, most=9), "a must be a number from 0 to 9, not -1"),
    ("{a: NaN}", lambda s: s.number("a", least=0, most=9), "a must be a number from 0 to 9, not NaN"),
    ("{a: true}", lambda s: s.number("a", least=0, most=9), "a must be a number from 0 to 9, not true"),
    ("{a: 1.5}", lambda s: s.number("a", least=0, most=9, whole=True), "a must be a whole number from 0 to 9, not 1.5"),
]


@pytest.mark.parametrize(("text", "get", "words"), COMPLAINTS)
def test_complaints(text: str, get: Callable[[Section], Any], words: str) -> None:
    error = error_of(lambda: get(section("\n\n" + text)))
    assert error.message == f"/f line 3: {words}"
    assert error.hint == HINT


def test_a_number_too_long_to_write_down() -> None:
    error = error_of(lambda: section("{a: 0x" + "f" * 5000 + "}").port("a"))
    assert error.message == "/f line 1: a must be a port from 1 to 65535, not a very large number"


def test_unknown_keys() -> None:
    error = error_of(lambda: section("{target: 1,\n locaPort: 2}").only(("target", "localPort")))
    assert error.message == "/f line 2: locaPort is not a known key"
    assert error.hint == "did you mean localPort? known keys: target, localPort"
    error = error_of(lambda: section('{"x y": 1}').only(("target",)))
    assert error.message == '/f line 1: "x y" is not a known key'
    assert error.hint == "known keys: target"


TEXT = """// { a: 1 }
{ /* b:
     2 */
  gateway: {
    "port": 1, 'quo"te': 2, 'it\\'s': "}", "es\\u0063": 0, '\\x41\\v\\-\\q\\\"': 1,
    list: [1, {
      deep: 2 },
      [], "x"],
    remote:
      { url: "ws://x" },
  },
  twice: 1,
  twice: 2
}"""


def test_lines_of_keys() -> None:
    assert key_lines(TEXT) == {
        ("gateway",): 4,
        ("gateway", "port"): 5,
        ("gateway", 'quo"te'): 5,
        ("gateway", "it's"): 5,
        ("gateway", "esc"): 5,
        ("gateway", 'A\x0b-q"'): 5,
        ("gateway", "list"): 6,
        ("gateway", "list", 0): 6,
        ("gateway", "list", 1): 6,
        ("gateway", "list", 1, "deep"): 7,
        ("gateway", "list", 2): 8,
        ("gateway", "list", 3): 8,
        ("gateway", "remote"): 9,
        ("gateway", "remote", "url"): 10,
        ("twice",): 13,
    }


def test_line_of_what_is_not_there() -> None:
    assert line_of(TEXT, ("gateway", "remote", "gone", "deeper")) == 9
    assert line_of(TEXT, ("nothing",)) == 1
    assert line_of("} ] , : x", ("x",)) == 1
    assert line_of('{\n"\\u12": 1}', ("\\u12",)) == 2


def test_keys_with_dots() -> None:
    assert dotted(("tunnels", "a.b", "forwards", 2, "c-d")) == 'tunnels."a.b".forwards[2].c-d'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {p for key, inner in items for p in {(*at, key), *paths(inner, (*at, key))}}


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.booleans())
def test_every_key_has_a_line(value: dict[str, Any], as_json5: bool) -> None:
    text = json5.dumps(value, indent=1) if as_json5 else json.dumps(value, indent=1)
    lines = key_lines(text)
    assert set(lines) == paths(value)
    assert max(lines.values(), default=1) <= text.count("\n") + 1
