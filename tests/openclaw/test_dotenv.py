""".env files. The results are those of the dotenv package (npm, version 17), which OpenClaw uses."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.openclaw.dotenv import MAX_BYTES, parse_dotenv, read_dotenv

TEXTS: dict[str, dict[str, str]] = {
    "": {},
    "A=1\nB=2": {"A": "1", "B": "2"},
    "A=1\r\nB=2\rC=3": {"A": "1", "B": "2", "C": "3"},
    "\ufeffA=1": {"A": "1"},
    "  export A = 1  ": {"A": "1"},
    "A: 1": {"A": "1"},
    "A:1": {},
    "A=": {"A": ""},
    "A": {},
    "# A=1": {},
    "A=1 # comment": {"A": "1"},
    "A=1#2": {"A": "1"},
    'A="1#2"': {"A": "1#2"},
    "A='1#2' # comment": {"A": "1#2"},
    'A=`it\'s "x"`': {"A": 'it\'s "x"'},
    'A="a\\nb"': {"A": "a\nb"},
    "A='a\\nb'": {"A": "a\\nb"},
    'A="a\nb"\nB=2': {"A": "a\nb", "B": "2"},
    'A="a\nB=2': {"A": '"a', "B": "2"},
    'A=" b "': {"A": " b "},
    'A="b" c': {"A": '"b" c'},
    'A="say \\"x\\""': {"A": 'say \\"x\\"'},
    "A=1\nA=2": {"A": "2"},
    "A.B=1\nA-B=1\n1A=1\n_A1=1": {"_A1": "1"},
    "A=${B}": {"A": "${B}"},
}


@pytest.mark.parametrize(("text", "found"), TEXTS.items())
def test_texts(text: str, found: dict[str, str]) -> None:
    assert parse_dotenv(text) == found


@given(st.text(st.sampled_from("A=:\"'`\\\n\r# exportb"), max_size=60) | st.text(max_size=40))
def test_any_text_ends(text: str) -> None:
    assert all(name.isidentifier() for name in parse_dotenv(text))


@pytest.mark.parametrize("line", [b"\n", b'A="\n', b"A='x\\'\n", b" ", b"A=1 "])
def test_no_text_is_slow(line: bytes, tmp_path: Path) -> None:
    """A megabyte of the worst there is takes seconds at most, and no pattern explodes."""
    file = tmp_path / ".env"
    file.write_bytes(line * (MAX_BYTES // len(line)))
    assert len(read_dotenv(file)) <= 1


def test_files_that_are_ignored(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / "none") == {}
    assert read_dotenv(tmp_path) == {}
    os.mkfifo(tmp_path / "fifo")
    assert read_dotenv(tmp_path / "fifo") == {}
    large = tmp_path / "large"
    large.write_text("A=1\n" + "#" * MAX_BYTES)
    assert read_dotenv(large) == {}
    strange = tmp_path / "strange"
    strange.write_bytes(b"A=\xff\nB=2")
    assert read_dotenv(strange) == {"A": "\ufffd", "B": "2"}
    link = tmp_path / "link"
    link.symlink_to(strange)
    assert read_dotenv(link)["B"] == "2"
