"""known_hosts as OpenSSH reads it: what a line means, and what the lines say of a key."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.knownhosts import (
    Entry,
    Trust,
    Verdict,
    judge,
    matches,
    order_algorithms,
    parse_line,
)


def blob(kind: str, content: bytes) -> bytes:
    """A key in wire format, as far as known_hosts looks at it."""
    name = kind.encode()
    return len(name).to_bytes(4, "big") + name + len(content).to_bytes(4, "big") + content


ED, ED2, RSA = blob("ssh-ed25519", b"a" * 32), blob("ssh-ed25519", b"b" * 32), blob("ssh-rsa", b"c" * 64)
CA = blob("ssh-ed25519", b"d" * 32)


def line(hosts: str, key: bytes, marker: str = "") -> str:
    return f"{marker} {hosts} {knownhosts.key_line(key)}".strip()


def parse(text: str, file: str) -> tuple[Entry, ...]:
    """The usable lines of a file."""
    found = (parse_line(line, file, number) for number, line in enumerate(text.split("\n"), 1))
    return tuple(entry for entry in found if entry)


def judge_host(entries: Sequence[Entry], names: Sequence[str], **certificate: Any) -> Verdict:
    """What these lines say of the key ED of a host of these names."""
    return judge([[entry for entry in entries if matches(name, entry.hosts)] for name in names], ED, **certificate)


@pytest.mark.parametrize(
    ("name", "hosts", "expected"),
    [
        ("gw", "gw", True),
        ("gw", "GW", True),
        ("gw", "other,gw", True),
        ("gw", "gwx", False),
        ("gw.example", "*.example", True),
        ("gw.example", "g?.example", True),
        ("gw.example", "*.example,!gw.example", False),
        ("gw.example", "!*.test,*.example", True),
        ("gw.example", "!gw.example", False),
        ("gw", "[gw]:22", False),
        ("[gw]:2222", "gw", False),
        ("[gw]:2222", "[gw]:2222", True),
        ("[gw]:2222", "[gw]:*", True),
        ("10.0.0.7", "10.0.0.0/8", False),  # OpenSSH knows no ranges here
        ("gw", "[g]w", False),  # no character classes
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("gw", "|1|broken", False),
        ("gw", "|2|aaaa|aaaa", False),
        ("gw", "|1|***|***", False),
    ],
)
def test_a_host_field_means_a_name(name: str, hosts: str, expected: bool) -> None:
    assert matches(name, hosts) is expected


def test_a_hashed_name_means_exactly_that_name() -> None:
    hashed = knownhosts.hash_name("[gw]:2222", b"s" * 20)
    assert matches("[gw]:2222", hashed)
    assert not matches("gw", hashed)


def test_one_malformed_line_spoils_nothing() -> None:
    text = "\n".join(
        [
            "# comment",
            "",
            "gw",
            "gw ssh-ed25519",
            "gw ssh-ed25519 ***",
            "gw ssh-rsa " + base64.b64encode(ED).decode(),  # type and content disagree
            "@nonsense gw " + knownhosts.key_line(ED),
            "@revoked",
            "\udcff\udcfe",
            line("gw", ED) + " a comment",
            "\t" + line("gw", RSA) + "\r",
        ]
    )
    entries = parse(text, "f")
    assert [(e.line, e.key) for e in entries] == [(10, ED), (11, RSA)]
    assert entries[0].place == "f:10"


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text())
def test_any_text_at_all_is_parsed_and_matched(text: str, name: str) -> None:
    for entry in parse(text + "\n" + line("gw", ED), "f"):
        matches(name, entry.hosts)
    assert parse("gw " + knownhosts.key_line(ED), "f")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("gw", ED)], Trust.OK),
        ([line("gw", RSA), line("gw", ED)], Trust.OK),
        ([line("gw", ED2), line("gw", ED)], Trust.OK),
        ([], Trust.UNKNOWN),
        ([line("other", ED)], Trust.UNKNOWN),
        ([line("gw", RSA)], Trust.UNKNOWN),
        ([line("gw", ED2)], Trust.CHANGED),
        ([line("gw", ED), line("*", ED, "@revoked")], Trust.REVOKED),
        ([line("gw", ED2), line("gw", ED, "@revoked")], Trust.REVOKED),
        ([line("gw", ED, "@cert-authority")], Trust.UNKNOWN),
        ([line("gw", ED), line("gw", ED2, "@revoked")], Trust.OK),
    ],
)
def test_verdict_on_a_plain_key(lines: list[str], expected: Trust) -> None:
    assert judge_host(parse("\n".join(lines), "f"), ("gw",)).trust is expected


@pytest.mark.parametrize(
    ("lines", "certified", "expected"),
    [
        ([line("gw", CA, "@cert-authority")], True, Trust.OK),
        ([line("gw", CA, "@cert-authority")], False, Trust.UNKNOWN),
        ([line("other", CA, "@cert-authority")], True, Trust.UNKNOWN),
        ([line("gw", CA)], True, Trust.CHANGED),  # a host key that happens to be the authority's
        ([line("gw", ED)], False, Trust.OK),  # back from certificate to key, as OpenSSH does
        ([line("gw", ED2), line("gw", CA, "@cert-authority")], True, Trust.OK),
        ([line("gw", CA, "@cert-authority"), line("*", CA, "@revoked")], True, Trust.REVOKED),
        ([line("gw", CA, "@cert-authority"), line("*", ED, "@revoked")], True, Trust.REVOKED),
    ],
)
def test_verdict_on_a_certificate(lines: list[str], certified: bool, expected: Trust) -> None:
    entries = parse("\n".join(lines), "f")
    assert judge_host(entries, ("gw",), authority=CA, certified=certified).trust is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("[gw]:2222", ED)], Trust.OK),
        ([line("gw", ED)], Trust.OK),
        ([line("gw", ED2)], Trust.UNKNOWN),  # the host on port 22 may well be another one
        ([line("[gw]:2222", ED2), line("gw", ED)], Trust.CHANGED),
        ([line("[gw]:2222", RSA), line("gw", ED)], Trust.UNKNOWN),
        ([line("gw", ED), line("gw", ED, "@revoked")], Trust.REVOKED),
        ([line("gw", CA, "@cert-authority")], Trust.OK),
    ],
)
def test_the_name_without_port_counts_only_for_a_match(lines: list[str], expected: Trust) -> None:
    entries = parse("\n".join(lines), "f")
    assert judge_host(entries, ("[gw]:2222", "gw"), authority=CA, certified=True).trust is expected


def test_a_changed_key_names_the_old_lines_of_its_type() -> None:
    entries = parse("\n".join([line("gw", RSA), line("gw", ED2)]), "f")
    assert [e.line for e in judge_host(entries, ("gw",)).entries] == [2]


DEFAULT = ("ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", "ssh-ed25519", "rsa-sha2-512")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], DEFAULT),
        ([line("gw", ED)], DEFAULT),  # the best type is known: the list stays as it is
        ([line("gw", RSA)], (DEFAULT[1], DEFAULT[3], DEFAULT[0], DEFAULT[2])),
        ([line("gw", CA, "@cert-authority")], DEFAULT),
        ([line("gw", RSA), line("gw", CA, "@cert-authority")], (DEFAULT[0], DEFAULT[1], DEFAULT[3], DEFAULT[2])),
        ([line("gw", RSA, "@revoked")], DEFAULT),
    ],
)
def test_known_types_are_asked_for_first(lines: list[str], expected: tuple[str, ...]) -> None:
    assert order_algorithms(DEFAULT, parse("\n".join(lines), "f")) == expected


def test_how_keys_are_called() -> None:
    assert knownhosts.short_type(ED) == "ED25519"
    assert knownhosts.short_type(blob("ecdsa-sha2-nistp256", b"x")) == "ECDSA"
    assert knownhosts.short_type(blob("sk-ssh-ed25519@openssh.com", b"x")) == "ED25519-SK"
    assert knownhosts.short_type(b"") == "unknown type"
    assert knownhosts.plain_type("sk-ssh-ed25519-cert-v01@openssh.com") == "sk-ssh-ed25519@openssh.com"
    assert knownhosts.host_name("GW.example", 22) == "gw.example"
    assert knownhosts.host_name("::1", 2222) == "[::1]:2222"


def test_the_length_of_an_rsa_key() -> None:
    exponent, modulus = b"\x01\x00\x01", b"\x00" + b"\xff" * 128
    key = b"\0\0\0\x07ssh-rsa" + b"".join(len(n).to_bytes(4, "big") + n for n in (exponent, modulus))
    assert knownhosts.rsa_bits(key) == 1024
    assert knownhosts.rsa_bits(ED) == 0
