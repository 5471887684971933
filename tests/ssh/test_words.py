"""ssh/words.py, ssh/opening.py, ssh/hungup.py: foreign bytes as text that is safe and short, whatever they are."""

from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hungup import briefly, hung_up
from openclaw_tunnel.ssh.opening import Opening
from openclaw_tunnel.ssh.words import Transcript, clean, clean_lines, is_text, printable

GW = Hop("gw", "gw:22")


@given(st.text())
def test_cleaned_words_are_printable_and_short(text: str) -> None:
    assert printable(text).isprintable()
    assert len(clean(text)) <= 200
    lines = clean_lines(text)
    assert all(line.isprintable() and line for line in lines.splitlines())
    assert len(lines.encode("utf-8", "replace")) <= 2048


def test_colours_and_titles_are_left_out() -> None:
    assert clean("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07no \x9b31mway\x1b") == "error: no way"


def test_of_many_lines_the_first_and_the_last_are_kept() -> None:
    text = "".join(f"line {number} {'x' * 90}\n" for number in range(200))
    lines = clean_lines(text).splitlines()
    assert lines[0].startswith("line 0 ")
    assert lines[-1].startswith("line 199 ")
    assert lines.count("...") == 1
    assert 1500 < len("\n".join(lines)) <= 2048


@given(st.lists(st.binary(max_size=3000), max_size=10))
def test_a_transcript_keeps_beginning_and_end(pieces: list[bytes]) -> None:
    transcript, whole = Transcript(), b"".join(pieces)
    for piece in pieces:
        transcript.add(piece)
    assert transcript.data == (whole if len(whole) <= 8000 else whole[:4000] + whole[-4000:])


def test_what_is_text() -> None:
    assert is_text(b"")
    assert is_text("Pr\u00e9sentation du serveur\r\n".encode())
    assert is_text(b"Pr\xe9sentation du serveur\r\n")
    assert not is_text(b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe")


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_cut_anywhere_are_an_opening(pieces: list[bytes]) -> None:
    opening = Opening()
    for piece in pieces:
        opening.feed(piece)
        if opening.version:
            break
    assert all(line.isprintable() for line in opening.lines)
    assert opening.version == "" or opening.version.startswith("SSH-")


@given(st.integers(min_value=1, max_value=40))
def test_a_version_is_found_however_it_is_cut(size: int) -> None:
    data = b"Authorized use only\r\nWelcome\n\nSSH-2.0-OpenSSH_9.2p1 Debian\r\n\x00\x00\x05\xdc"
    opening = Opening()
    for start in range(0, len(data), size):
        if not opening.version:
            opening.feed(data[start : start + size])
    assert opening.version == "SSH-2.0-OpenSSH_9.2p1 Debian"
    assert opening.speaks_ssh
    assert opening.lines == ["Authorized use only", "Welcome"]


def test_a_last_line_without_its_end_counts() -> None:
    opening = Opening()
    opening.feed(b"Not allowed at this time")
    assert opening.lines == ["Not allowed at this time"]
    assert not opening.speaks_ssh


def test_many_lines_are_told_by_their_last_one() -> None:
    assert briefly(["a", "b"]) == "a / b"
    assert briefly(["x" * 150, "y" * 150]) == "y" * 150
    notice = ["Authorized use only, " + "x" * 170, "and nothing else, says the management", "Too many users"]
    failure = hung_up(GW, notice)
    assert (failure.code, failure.message) == (Code.NOT_SSH, "gw:22 hung up before the login was done: Too many users")
    assert failure.hint.startswith("that server limits connections")
