"""ssh/enroll/authorized.py: the script is run by the shells that are here, in homes of all kinds."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from openclaw_tunnel.ssh.enroll.authorized import Answer, Mode, likely_cause, read_answer, script_to_add
from openclaw_tunnel.ssh.hostkeys.knownhosts import key_line


def line_of(byte: bytes, comment: str = "me@here") -> str:
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + byte * 32
    return f"{key_line(blob)} {comment}"


KEY, OTHER = line_of(b"\xfb"), line_of(b"o", "other")  # KEY has + and / in it
BARE = KEY.rpartition(" ")[0]
SHELLS = [name for name in ("dash", "bash", "busybox", "ksh", "sh") if shutil.which(name)]


def add(home: Path, line: str = KEY, shell: str = "sh") -> Answer:
    """Run the script as the far shell would: from standard input."""
    argv = ["busybox", "sh"] if shell == "busybox" else [shell]
    done = subprocess.run(
        argv,
        input=script_to_add(line).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd="/",
        timeout=30,
    )
    return read_answer(done.stdout)


def keys(home: Path) -> Path:
    return home / ".ssh" / "authorized_keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_home_without_anything(tmp_path: Path, shell: str) -> None:
    line = f'{BARE} it\'s "me" $(id) \\n'
    answer = add(tmp_path, line, shell)
    assert (answer.added, answer.there, answer.file, answer.complaint) == (True, False, "~/.ssh/authorized_keys", "")
    assert keys(tmp_path).read_text() == line + "\n"
    assert (mode(keys(tmp_path)), mode(keys(tmp_path).parent)) == (0o600, 0o700)
    again = add(tmp_path, line, shell)
    assert (again.added, again.there) == (False, True)
    assert keys(tmp_path).read_text() == line + "\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{OTHER}\n", f"{OTHER}\n{KEY}\n"),
        (OTHER, f"{OTHER}\n{KEY}\n"),
        ("", f"{KEY}\n"),
        ("# no newline", f"# no newline\n{KEY}\n"),
        (f"#{KEY}\n  # {KEY}\n", f"#{KEY}\n  # {KEY}\n{KEY}\n"),
        (f"{BARE}AAAA\n", f"{BARE}AAAA\n{KEY}\n"),
        (f"ssh-rsa {BARE.split()[1]}\n", f"ssh-rsa {BARE.split()[1]}\n{KEY}\n"),
    ],
)
def test_a_line_is_added_and_what_is_there_stays(tmp_path: Path, before: str, after: str) -> None:
    keys(tmp_path).parent.mkdir(mode=0o750)
    keys(tmp_path).write_text(before)
    keys(tmp_path).chmod(0o640)
    assert add(tmp_path).added
    assert keys(tmp_path).read_text() == after
    assert (mode(keys(tmp_path)), mode(keys(tmp_path).parent)) == (0o640, 0o750)


@pytest.mark.parametrize(
    "before",
    [
        BARE,
        f"{OTHER}\n{BARE} another comment\n{OTHER}\n",
        f'from="10.0.0.0/8",command="echo a b" {KEY}\n',
        f"  {BARE.replace(' ', '   ')}\r\n",
        f"restrict\t{BARE}\t{'x' * 10}\n",
    ],
)
def test_a_key_that_is_there_is_not_added_again(tmp_path: Path, before: str) -> None:
    keys(tmp_path).parent.mkdir()
    keys(tmp_path).write_text(before, newline="")
    answer = add(tmp_path)
    assert (answer.there, answer.added) == (True, False)
    assert keys(tmp_path).read_bytes() == before.encode()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    keys(tmp_path).parent.mkdir()
    (tmp_path / "elsewhere").write_text(OTHER + "\n")
    keys(tmp_path).symlink_to(tmp_path / "elsewhere")
    assert add(tmp_path).added
    assert keys(tmp_path).is_symlink()
    assert (tmp_path / "elsewhere").read_text() == f"{OTHER}\n{KEY}\n"


def test_what_cannot_be_written_is_said_in_the_tools_own_words(tmp_path: Path) -> None:
    (tmp_path / ".ssh").write_text("a file")
    answer = add(tmp_path)
    assert (answer.added, answer.there) == (False, False)
    assert "exists" in answer.complaint
    assert (tmp_path / ".ssh").read_text() == "a file"
    keys(tmp_path / "h").parent.mkdir(parents=True)
    keys(tmp_path / "h").mkdir()
    answer = add(tmp_path / "h")
    assert not answer.added
    assert "irectory" in answer.complaint
    answer = add(tmp_path / "nowhere")
    assert not answer.added
    assert answer.complaint


def test_modes_are_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    found = add(tmp_path)
    assert found.uid == str(os.getuid())
    assert [(m.path, m.bits[:10], m.uid, m.others_write) for m in found.modes] == [
        (".", "drwxrwxr-x", found.uid, True),
        (".ssh", "drwx------", found.uid, False),
        (".ssh/authorized_keys", "-rw-------", found.uid, False),
    ]
    assert [m.shown for m in found.modes] == ["~", "~/.ssh", "~/.ssh/authorized_keys"]


def test_openwrt_keeps_the_keys_of_root_with_dropbear() -> None:
    said = b"\nadded\nfile /etc/dropbear/authorized_keys\nuid 0\nmode /etc/dropbear drwxr-xr-x 2 0 0 0\nmode .ssh \n"
    assert read_answer(said) == Answer(
        there=False,
        added=True,
        file="/etc/dropbear/authorized_keys",
        uid="0",
        modes=(Mode("/etc/dropbear", "drwxr-xr-x", "0"),),
        complaint="",
    )
    assert "file=/etc/dropbear/authorized_keys" in script_to_add(KEY)


GOOD = Mode(".", "drwx------", "7")


@pytest.mark.parametrize(
    ("modes", "settings", "cause", "remedy"),
    [
        ((GOOD,), (), "", ""),
        ((Mode(".", "drwxr-xr-x", "0"),), (), "", ""),
        ((GOOD, Mode(".ssh", "drwx-w----", "7")), (), "others may write to ~/.ssh there", "chmod go-w ~/.ssh"),
        ((Mode(".", "drwxr-xrwx.", "7"),), (), "others may write to ~ there (drwxr-xrwx.)", "chmod go-w ~"),
        ((Mode(".", "drwx------", "8"),), (), "~ there belongs to user 8, not 7", "chown 7 ~"),
        ((GOOD,), ("PubkeyAuthentication no",), "its sshd_config has PubkeyAuthentication no", "set Pubkey"),
        ((GOOD,), ("PubkeyAuthentication yes", "pubkeyauthentication no"), "", ""),
        ((GOOD,), ("AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2",), "", ""),
        ((GOOD,), ("AuthorizedKeysFile %h/.ssh/authorized_keys",), "", ""),
        ((GOOD,), ("authorizedkeysfile /etc/keys/%u",), "its sshd looks for keys in /etc/keys/%u", "put the line"),
        ((GOOD,), ("AuthenticationMethods publickey,password",), "its sshd wants more than a key", "let a key alone"),
        ((GOOD,), ("AuthenticationMethods publickey",), "", ""),
    ],
)
def test_why_sshd_would_refuse(modes: tuple[Mode, ...], settings: tuple[str, ...], cause: str, remedy: str) -> None:
    found = likely_cause(Answer(True, "", "7", modes, settings))
    assert found[0].startswith(cause)
    assert found[1].startswith(remedy)
    assert bool(found[0]) == bool(cause)


def test_settings_are_read_as_sshd_writes_them() -> None:
    answer = read_answer(b"sshd   AuthorizedKeysFile=/etc/keys\nsshd PubkeyAuthentication\tno\n")
    assert answer.settings == ("AuthorizedKeysFile /etc/keys", "PubkeyAuthentication no")
