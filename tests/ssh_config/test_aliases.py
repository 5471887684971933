"""Hosts for completion: out of ssh_config with its includes, and out of known_hosts."""

import os
from pathlib import Path

import pytest

from openclaw_tunnel.ssh_config.aliases import aliases, known_hosts
from openclaw_tunnel.ssh_config.includes import MAX_BYTES


def test_host_lines_give_their_names_but_no_patterns(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "# Host commented\n"
        "Host one two *.example ?x !not\n"
        "  HostName real.example\n"
        'HOST="quoted"\n'
        "host = three   # a remark\n"
        "Match host four\n"
        'Host "unclosed\n'
        "\tHost\tfive\n"
    )
    assert list(aliases(config, tmp_path)) == ["one", "two", "quoted", "three", "five"]


def test_includes_are_followed_from_the_folder_that_ssh_takes(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    (folder / "more.d").mkdir(parents=True)
    (folder / "config").write_text(f"Include more.d/* none\nInclude ~/other {tmp_path}/third\nHost last\n")
    (folder / "more.d/b").write_text("Host b\n")
    (folder / "more.d/a").write_text("Host a\nInclude more.d/b\n")
    (tmp_path / "other").write_text("Host other\n")
    (tmp_path / "third").write_text("Host third\n")
    assert list(aliases(folder / "config", folder)) == ["last", "a", "b", "other", "third"]


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host me\nInclude config\n")
    assert list(aliases(tmp_path / "config", tmp_path)) == ["me"]


def test_what_cannot_be_read_names_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would never end
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n\0\nHost x\n")
    large = tmp_path / "large"
    large.write_text("Host first\n" + "#" * MAX_BYTES + "\nHost behind\n")
    for name in ("none", "pipe", ".", "a\0b"):
        assert list(aliases(tmp_path / name, tmp_path)) == []
        assert list(known_hosts(tmp_path / name)) == []
    assert list(aliases(tmp_path / "bytes", tmp_path)) == ["x"]
    assert list(aliases(large, tmp_path)) == ["first"]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("gw.example,10.0.0.7 ssh-ed25519 AAAA", ["gw.example", "10.0.0.7"]),
        ("[gw.example]:2222 ssh-ed25519 AAAA", ["gw.example:2222"]),
        ("*.example,!x,plain ssh-ed25519 AAAA", ["plain"]),
        ("|1|abc=|def= ssh-ed25519 AAAA", []),
        ("@cert-authority all.example ssh-ed25519 AAAA", []),
        ("# gw.example", []),
        ("", []),
    ],
)
def test_names_of_known_hosts(tmp_path: Path, line: str, names: list[str]) -> None:
    (tmp_path / "known_hosts").write_text(line + "\n")
    assert list(known_hosts(tmp_path / "known_hosts")) == names
