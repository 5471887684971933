"""ssh_config/includes.py: every file that ssh -G could read, ssh or not; compared with what ssh says it reads."""

import os
import subprocess
from pathlib import Path

import pytest

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.ssh_config.includes import MAX_DEPTH, MAX_FILES, Includes, included
from openclaw_tunnel.ssh_config.query import config_roots
from openclaw_tunnel.ssh_config.tokens import Account
from support.process import program

ME = Account("me", 1000, "/home/me", "here.example")


def found(path: Path, env: dict[str, str] | None = None, account: Account = ME) -> list[str]:
    """What is found from a file on, without itself."""
    includes = Includes(account, env or {})
    includes.look_through(str(path), str(path.parent))
    assert includes.found[0] == str(path)
    return list(includes.found[1:])


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("Include a", ["a"]),
        ("  include\ta  b ", ["a", "b"]),
        ("INCLUDE=a", ["a"]),
        ("Include = a", ["a"]),
        ('"Include" "a b" c', ["a b", "c"]),
        ("Include a # b", ["a"]),
        ("Include a#b", ["a#b"]),
        ("Include a\r", ["a"]),
        ("# Include a", []),
        ("Includes a", []),
        ("Include", []),
        ("HostName Include", []),
    ],
)
def test_lines(line: str, paths: list[str]) -> None:
    assert list(included(f"Host x\n{line}\nPort 1")) == paths


def test_files_within_files(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include one missing\nInclude config\nMatch host x\n  Include /etc/x\n")
    (tmp_path / "one").write_text(f"Include {tmp_path}/two one\n")
    (tmp_path / "two").mkdir()
    assert found(tmp_path / "config") == [f"{tmp_path}/{name}" for name in ("one", "two", "missing")] + ["/etc/x"]


def test_a_wildcard_is_looked_up_again_each_time(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include config.d/*.conf other\n")
    assert found(tmp_path / "config") == [f"{tmp_path}/other"]
    (tmp_path / "config.d").mkdir()
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / "config.d" / name).touch()
    assert found(tmp_path / "config")[:2] == [f"{tmp_path}/config.d/{name}.conf" for name in "ab"]


def test_what_a_path_may_begin_with_and_hold(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"Include ~/a ~root/b ~nobody-of-this-name/c %d/%u/%i/%% ${{OWN}}/d {tmp_path}/for-%h {tmp_path}/${{UNSET}}.x\n"
    )
    for name in ("for-gw", "some.x"):
        (tmp_path / name).touch()
    root = os.path.expanduser("~root")
    assert found(tmp_path / "config", {"OWN": "/own"}) == [
        "/home/me/a",
        f"{root}/b",
        f"{tmp_path}/~nobody-of-this-name/c",
        "/home/me/me/1000/%",
        "/own/d",
        f"{tmp_path}/for-gw",
        f"{tmp_path}/some.x",
    ]


def test_it_ends(tmp_path: Path) -> None:
    for number in range(MAX_DEPTH + 4):
        (tmp_path / str(number)).write_text(f"Include {number + 1}\n")
    assert found(tmp_path / "0")[-1] == f"{tmp_path}/{MAX_DEPTH}"
    (tmp_path / "many").write_text("Include " + " ".join(f"x{n}" for n in range(2 * MAX_FILES)))
    assert len(found(tmp_path / "many")) == MAX_FILES - 1


def test_what_cannot_be_read_names_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bytes").write_bytes(b"\xff\0Include x\nInclude fifo bytes \0\n")
    assert found(tmp_path / "bytes")[0] == f"{tmp_path}/fifo"
    assert found(tmp_path) == found(tmp_path / "missing") == []


def test_it_finds_what_ssh_reads(tmp_path: Path) -> None:
    own = Account.of_process()
    (tmp_path / "d").mkdir()
    for number in range(3):
        (tmp_path / "d" / f"{number}.conf").write_text(f"Host h{number}\n  Include {tmp_path}/inner\n")
    (tmp_path / "inner").write_text("Port 7\n")
    config = tmp_path / "config"
    config.write_text(f"Match host other\n  Include {tmp_path}/d/*.conf\nInclude {tmp_path}/'d/0.conf'\n")
    done = subprocess.run(
        [program("ssh"), "-G", "-v", "-F", config, "gw"], capture_output=True, text=True, timeout=20, check=True
    )
    mark = "Reading configuration data "
    read = {line.partition(mark)[2].strip() for line in done.stderr.splitlines() if mark in line}
    assert read > {str(config)}
    assert read <= {str(config), *found(config, account=own)}


def test_where_ssh_begins() -> None:
    user, system = ("/home/me/.ssh/config", "/home/me/.ssh"), ("/etc/ssh/ssh_config", "/etc/ssh")
    assert config_roots("", {}, "/home/me") == (user, system)
    assert config_roots("/c", {}, "/home/me") == (("/c", "/home/me/.ssh"),)
    assert config_roots("c", {}, "/home/me") == ((os.path.join(os.getcwd(), "c"), "/home/me/.ssh"),)
    assert config_roots("none", {}, "/home/me") == ()
    assert config_roots("", {"OPENCLAW_TUNNEL_SSH_CONFIG": "/v"}, "/home/me") == (("/v", "/home/me/.ssh"),)
    with pytest.raises(ConfigError):
        config_roots("", {"OPENCLAW_TUNNEL_SSH_CONFIG": "~nobody-of-this-name/v"}, "/home/me")
