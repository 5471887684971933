"""knownlines.py and knownfiles.py: the lines of a host, found as by a look at every line, and kept."""

import os
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.host.filecache import FileCache
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.knownfiles import Files, Reader, files_of, read_known_keys
from openclaw_tunnel.ssh.hostkeys.knownhosts import Entry, matches, parse_line
from openclaw_tunnel.ssh.hostkeys.knownlines import KnownLines
from support.aio import async_test
from support.sshtargets import make_target

KEY = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32
OTHER = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"o" * 32
LINE = knownhosts.key_line(KEY)

_LETTERS = st.text("ab*?", max_size=12)
_NAMES = st.sampled_from(["a", "ab", "B", "a.b", "[a]:2222", ""])
_HASHED = _NAMES.map(lambda name: knownhosts.hash_name(name, b"salt"))
_HOSTS = st.one_of(
    _HASHED,
    st.sampled_from(["|1|broken", "|2|a|b", ",", "a,"]),
    st.lists(st.one_of(_NAMES, _LETTERS, _LETTERS.map(lambda text: f"!{text}")), min_size=1, max_size=3).map(",".join),
)
_KEYS = st.sampled_from([LINE, knownhosts.key_line(OTHER), "ssh-ed25519 ***", "ssh-rsa", f"{LINE} with a comment\r"])
_MARKERS = st.sampled_from(["", "@revoked ", "@cert-authority\t", "@nonsense ", "# ", "\t"])
_LINES = st.one_of(
    st.tuples(_MARKERS, _HOSTS, _KEYS).map(lambda parts: f"{parts[0]}{parts[1]} {parts[2]}"), st.text(max_size=8)
)


@given(st.lists(_LINES, max_size=8), _NAMES)
def test_an_index_finds_what_a_look_at_every_line_finds(lines: list[str], name: str) -> None:
    lines = "\n".join(lines).split("\n")
    entries = [entry for number, line in enumerate(lines, 1) if (entry := parse_line(line, "f", number))]
    assert KnownLines(lines, "f").find(name) == tuple(entry for entry in entries if matches(name, entry.hosts))


@given(st.text("aAb.*?[", max_size=8), st.text("aAb.*?[", max_size=8))
def test_only_star_and_question_mark_are_special(name: str, pattern: str) -> None:
    as_regex = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern.lower())
    assert matches(name, pattern) is bool(re.fullmatch(as_regex, name.lower(), re.DOTALL))


def test_a_pattern_of_many_stars_is_matched_before_the_sun_goes_out() -> None:
    assert not matches("a" * 250, "*a" * 40 + "b")
    assert matches("a" * 250 + "b", "*a" * 40 + "*b")


def read(*paths: Path, names: tuple[str, ...] = ("gw",), reader: Reader | None = None) -> tuple[tuple[Entry, ...], ...]:
    return (reader or Reader())(Files(names, tuple(map(str, paths)))).found


def test_files_are_read_in_their_order_and_bytes_that_are_no_text_spoil_nothing(tmp_path: Path) -> None:
    users, systems = tmp_path / "users", tmp_path / "systems"
    users.write_bytes(b"\xff\xfe\ngw " + LINE.encode() + b" \xe9\r\n\xc3\ngw " + LINE.encode())
    systems.write_text(f"*w {LINE}\n")
    found = read(users, tmp_path / "missing", systems)
    assert [entry.place for entry in found[0]] == [f"{users}:2", f"{users}:4", f"{systems}:1"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    known = Reader()(Files(("gw",), (str(tmp_path), str(tmp_path / "missing"))))
    assert known.found == ((),)
    assert known.unread == {str(tmp_path): "Is a directory"}


def test_the_name_without_port_is_looked_for_where_the_other_has_no_key(tmp_path: Path) -> None:
    path, names = tmp_path / "known_hosts", ("[gw]:2222", "gw")
    path.write_text(f"gw {LINE}\n@revoked [gw]:2222 {LINE}\n")
    assert [[entry.line for entry in found] for found in read(path, names=names)] == [[2], [1]]
    path.write_text(f"gw {LINE}\n[gw]:2222 {LINE}\n")
    assert [[entry.line for entry in found] for found in read(path, names=names)] == [[2]]


def test_a_file_that_has_settled_is_read_once_for_each_name(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"gw {LINE}\nother {LINE}\n")
    cache = FileCache[tuple[Entry, ...]](8, clock=lambda: path.stat().st_ctime_ns + 10_000_000_000)
    reader = Reader(cache)
    first = read(path, reader=reader)
    assert read(path, reader=reader)[0][0] is first[0][0] is read(path, reader=Reader(cache))[0][0]
    assert [entry.line for entry in read(path, names=("other",), reader=reader)[0]] == [2]
    path.write_text(f"gw {LINE}\n" * 3)
    assert [entry.line for entry in read(path, reader=reader)[0]] == [1, 2, 3]


def test_a_file_that_was_only_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"gw {LINE}\n")
    cache = FileCache[tuple[Entry, ...]](8, clock=lambda: path.stat().st_ctime_ns)
    reader = Reader(cache)
    first = read(path, reader=reader)
    assert first == read(path, reader=reader)
    assert read(path, reader=reader)[0][0] is not first[0][0]


@async_test
async def test_the_files_of_a_destination_are_read_beside_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"gw {LINE}\n")
    missing = str(tmp_path / "missing")
    target = make_target(
        hostname="GW", user_known_hosts_files=(str(path),), global_known_hosts_files=(missing,), revoked_host_keys="/r"
    )
    assert files_of(target) == Files(("gw",), (str(path), missing), "/r")
    known = await read_known_keys(files_of(target))
    assert [entry.key for entry in known.found[0]] == [KEY]
    assert known.revoked
    assert known.revoked.problem == os.strerror(2)
