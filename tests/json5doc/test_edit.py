"""Changes in a JSON5 text: exactly what was meant, and every comment stays."""

import json
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.json5doc.edit import CannotEdit, Patch, apply, comments_of, edit, tokens_of

REMOTE = {"gateway": {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": "t"}}}


def test_an_empty_file_becomes_an_object_in_lines() -> None:
    assert edit("", {"gateway": {"mode": "remote", "port": 1}}) == (
        '{\n  "gateway": {\n    "mode": "remote",\n    "port": 1\n  }\n}\n'
    )
    assert edit("{}\n", {"a": 1}) == '{\n  "a": 1\n}\n'


def test_members_come_behind_the_last_and_its_comments() -> None:
    text = (
        "{\n    // ours\n    gateway: {\n        port: 1, // a port\n        // the end\n    },\n"
        "    other: [1, 2], /* x */\n}\n"
    )
    assert edit(text, REMOTE) == (
        '{\n    // ours\n    gateway: {\n        port: 1, // a port\n        // the end\n        mode: "remote",\n'
        '        remote: {\n            url: "ws://127.0.0.1:1",\n            token: "t"\n        },\n    },\n'
        "    other: [1, 2], /* x */\n}\n"
    )


def test_strict_json_stays_strict() -> None:
    text = json.dumps({"a": 1, "gateway": {"mode": "local", "remote": {"sshIdentity": "x"}}}, indent=2)
    patch: Patch = {"gateway": {"mode": None, "remote": {"sshIdentity": None, "url": "u", "tls": None}}}
    assert json.loads(edit(text, patch)) == {"a": 1, "gateway": {"remote": {"url": "u"}}}


def test_one_line_stays_one_line() -> None:
    assert edit("{a: 1 /* one */}", {"b": {"c": 2}}) == "{a: 1, /* one */ b: { c: 2 }}"
    assert edit("{a: 1, b: 2, c: 3}", {"b": None}) == "{a: 1, c: 3}"
    assert edit("{ a: 1, b: 2 }", {"b": None}) == "{ a: 1 }"
    assert edit("{ 'a': 1, }", {"a": None}) == "{ }"


def test_a_line_comment_at_the_end_does_not_swallow_the_new_key() -> None:
    assert edit("{ a: 1 // one\n}", {"b": 2}) == "{ a: 1, // one\n  b: 2\n}"


def test_lines_end_as_they_did() -> None:
    assert edit("{\r\n  a: 1\r\n}", {"b": {"c": 2}}) == "{\r\n  a: 1,\r\n  b: {\r\n    c: 2\r\n  }\r\n}"


def test_only_the_value_changes() -> None:
    text = "{gateway:{'mode' /*m*/ : /*n*/ 'local' /*o*/,},} // end"
    assert edit(text, {"gateway": {"mode": "remote"}}) == ("{gateway:{'mode' /*m*/ : /*n*/ \"remote\" /*o*/,},} // end")


def test_a_comment_between_value_and_comma_survives_the_removal() -> None:
    after = edit("{\n  a: 1, // one\n  b: 2 /* two */, // three\n  c: 3,\n}", {"b": None})
    assert json5.loads(after) == {"a": 1, "c": 3}
    assert comments_of(after) == ["// one", "/* two */", "// three"]


@pytest.mark.parametrize(
    ("text", "patch", "why"),
    [
        ("{a: 1, a: 2}", {"b": 1}, "a is there twice"),
        ("{a: 1}", {"a": {"b": 1}}, "a is not an object"),
        ("[1]", {"a": 1}, "the file is not an object"),
        ("{a: {/* why */ b: 1}}", {"a": None}, "a comment stands within a"),
        ("{a: {/* why */ b: 1}}", {"a": "x"}, "a comment stands within a"),
        ("{a: 1} {", {"a": 2}, "something follows its end"),
        ("{a: 1", {"a": 2}, "it ends too early"),
        ("{a 1}", {"a": 2}, "a has no value"),
        ("{a: }", {"a": 2}, "a value is missing"),
        ("{, a: 1}", {"a": 2}, "a key is missing"),
        ("{a: [1 2]}", {"a": 2}, "a comma is missing"),
        ("{\na: /x/}", {"a": 2}, "line 2 is not understood"),
        ("[" * 5000 + "]" * 5000, {"a": 2}, "nested too deeply"),
    ],
)
def test_what_cannot_be_changed_is_told(text: str, patch: Patch, why: str) -> None:
    with pytest.raises(CannotEdit, match=why):
        edit(text, patch)


def test_tokens_have_their_places() -> None:
    text = "{ 'a\\'b' : 1.5 /* c */ }"
    assert [(t.kind, t.text) for t in tokens_of(text)] == [
        ("mark", "{"),
        ("string", "'a\\'b'"),
        ("mark", ":"),
        ("word", "1.5"),
        ("comment", "/* c */"),
        ("mark", "}"),
    ]
    assert all(text[t.start : t.end] == t.text for t in tokens_of(text))


def reads(text: str) -> bool:
    """Whether this release of json5 does."""
    try:
        return json5.loads(text) is not None
    except ValueError:
        return False


SEPARATOR = "\u2028" if reads('"\u2028"') else ""  # older releases take none within a string
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(f"ab\"'\\/*{{}},:\n{SEPARATOR}é", max_size=4)
KEYS = st.sampled_from(["gateway", "remote", "mode", "url", "a b", "x-y", "q\"'", "$z", "token"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
PATCHES = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=3), lambda inner: st.dictionaries(KEYS, SCALARS | inner, max_size=3)
)
BOOLEANS: st.SearchStrategy[bool] = st.booleans()
GAPS = st.sampled_from(["", " ", "\n", "\n  ", "\t", "\r\n", ' // c, {"}\n', "/* } , */", "/* \n * ' */ "])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An object, and a JSON5 text for it as a person might write it."""
    value = draw(OBJECTS)

    def gap() -> str:
        return draw(GAPS)

    def written(item: Any) -> str:
        if isinstance(item, dict):
            parts = [f"{gap()}{key(k)}{gap()}:{gap()}{written(v)}{gap()}" for k, v in item.items()]
            return "{" + joined(parts) + "}"
        if isinstance(item, list):
            return "[" + joined([gap() + written(v) + gap() for v in item]) + "]"
        if isinstance(item, str) and draw(BOOLEANS):
            return "'" + json.dumps(item)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        return json.dumps(item, ensure_ascii=False)

    def key(name: str) -> str:
        return name if name.isidentifier() and draw(BOOLEANS) else written(name)

    def joined(parts: list[str]) -> str:
        return ",".join(parts) + ("," if draw(BOOLEANS) and parts else "") + gap()

    return gap() + written(value) + gap(), value


@settings(max_examples=300, deadline=None)
@given(texts(), PATCHES)
def test_whatever_the_text_the_change_is_the_one_that_was_meant(
    written: tuple[str, dict[str, Any]], patch: Any
) -> None:
    text, value = written
    after, refusal = text, ""
    try:
        after = edit(text, patch)
    except CannotEdit as error:
        refusal = str(error)
    assert refusal == "" or "is not an object" in refusal or "a comment stands within" in refusal
    assert json5.loads(after) == (value if refusal else apply(value, patch))
    assert comments_of(after) == comments_of(text)
    assert edit(after, {}) == after
