"""``notifications`` and ``hooks`` in tunnels.json5: how they are read, and what is refused."""

import os
from pathlib import Path

import pytest

from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import parse_document
from openclaw_tunnel.settings.check import tunnels_problems
from openclaw_tunnel.settings.hooks import unusable, unusable_hooks
from openclaw_tunnel.settings.tunnels_file import TunnelsFile, load_tunnels, read_tunnels
from openclaw_tunnel.ssh_config.tokens import home_of


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "tunnels.json5"
    file.write_text(text)
    file.chmod(mode)
    return file


def load(folder: Path, text: str) -> TunnelsFile:
    return load_tunnels(write(folder, text))


def error(folder: Path, text: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.message.removeprefix(f"{folder}/tunnels.json5 "), caught.value.hint


def test_nothing_said(tmp_path: Path) -> None:
    file = load(tmp_path, "{ tunnels: { a: {} } }")
    assert file.announce == file.tunnels["a"].announce == Announce()


def test_a_tunnel_s_own_replace_the_general_ones_event_by_event(tmp_path: Path) -> None:
    file = load(
        tmp_path,
        """{
      notifications: false, hooks: { up: ["mount", "a b"], failure: ["bin/page", "~/x"] },
      tunnels: {
        plain: {},
        own: { notifications: true, hooks: { up: ["~/bin/up"], down: ["/bin/down"] } },
        quiet: { hooks: { up: false } },
      },
    }""",
    )
    page = (str(tmp_path / "bin/page"), "~/x")  # of the program only: what its arguments mean it knows itself
    general = Announce(False, up=("mount", "a b"), failure=page)
    assert file.announce == file.tunnels["plain"].announce == general
    own = Announce(True, up=(home_of() + "/bin/up",), down=("/bin/down",), failure=page)
    assert file.tunnels["own"].announce == own
    assert file.tunnels["quiet"].announce == Announce(False, failure=page)


WRITE = 'write the program and its arguments: up: ["program", "argument"], or false for none'
MISTAKES: list[tuple[str, str, str]] = [
    ("{ notifications: 'no' }", "line 1: notifications must be true or false, not a string", "mend the file there"),
    ("{ hooks: [] }", "line 1: hooks must be an object, not an array", "mend the file there"),
    (
        "{\n hooks: {\n upp: ['x'] } }",
        "line 3: hooks.upp is not a known key",
        "did you mean up? known keys: up, down, failure",
    ),
    (
        "{ tunnels: { t: {\n hooks: { up: 'mount \"my share\" -q' } } } }",
        "line 2: tunnels.t.hooks.up must be a list of a program and its arguments, not a string",
        'write up: ["mount", "my share", "-q"]',
    ),
    (
        "{ hooks: { down: 'say down | cat > $HOME/x' } }",
        "line 1: hooks.down must be a list of a program and its arguments, not a string",
        'write down: ["sh", "-c", "say down | cat > $HOME/x"]',
    ),
    (
        '{ hooks: { down: "it\'s" } }',
        "line 1: hooks.down must be a list of a program and its arguments, not a string",
        'write down: ["sh", "-c", "it\'s"]',
    ),
    ("{ hooks: { up: [] } }", "line 1: hooks.up names no program", WRITE),
    ("{ hooks: { up: [' ', 'x'] } }", "line 1: hooks.up names no program", WRITE),
    ("{ hooks: { up: '' } }", "line 1: hooks.up must be a list of a program and its arguments, not a string", WRITE),
    ("{ hooks: { up: true } }", "line 1: hooks.up must be a list of a program and its arguments, not a boolean", WRITE),
    ("{ hooks: { up: ['x',\n 1] } }", "line 2: hooks.up[1] must be a string, not a number", "mend the file there"),
    ("{ hooks: { up: ['x', 'a\\0b'] } }", "line 1: hooks.up must not hold a NUL character", WRITE),
    (
        "{ hooks: { up: ['~nobody-here/x'] } }",
        "line 1: hooks.up cannot be used: up '~nobody-here/x': no user 'nobody-here' on this computer",
        "write the path out",
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES)
def test_mistakes(tmp_path: Path, text: str, message: str, hint: str) -> None:
    assert error(tmp_path, text) == (message, hint)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_commands_that_others_could_have_written_are_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, "{ tunnels: { a: { hooks: { up: ['true'] } } } }", mode)
    with pytest.raises(ConfigError) as caught:
        load_tunnels(path)
    assert caught.value.message == (
        f"{path} can be written by others (mode {mode:04o}), and it has hooks: commands that run as you"
    )
    assert caught.value.hint == f"let nobody else write it: chmod go-w {path}"
    assert [problem.message for problem in tunnels_problems(path)] == [caught.value.message]


def test_without_hooks_the_mode_does_not_matter(tmp_path: Path) -> None:
    assert load_tunnels(write(tmp_path, "{ notifications: false, hooks: {} }", 0o666)).announce == Announce(False)


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file away")
def test_commands_of_another_user_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "{ hooks: { up: ['true'] } }")
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError) as caught:
        load_tunnels(path)
    assert caught.value.message.startswith(f"{path} belongs to another user (12345), and it has hooks")
    assert caught.value.hint == f"make it yours: chown 0 {path}"


def test_a_file_that_was_gone_when_its_mode_was_asked_for(tmp_path: Path) -> None:
    document = parse_document("x", b'{"hooks": {"up": ["true"]}}', "")
    with pytest.raises(ConfigError, match=r"tunnels\.json5 cannot be read: No such file"):
        read_tunnels(document, tmp_path / "tunnels.json5")


def test_programs_that_cannot_be_run(tmp_path: Path) -> None:
    program = tmp_path / "p"
    program.touch(0o600)
    env = {"PATH": str(tmp_path)}
    assert unusable((str(program),), env) == f"{program} may not be executed: chmod u+x {program}"
    assert unusable(("p",), env) == "p is not in PATH"
    program.chmod(0o700)
    assert unusable((str(program),), env) == unusable(("p", "x"), env) == unusable((), env) == ""
    assert unusable(("p",), {}) == "p is not in PATH"
    assert unusable((str(tmp_path),), env) == f"{tmp_path} is no file"
    assert unusable((f"{tmp_path}/no",), env) == f"{tmp_path}/no does not exist"
    assert unusable_hooks(Announce(up=("p",), down=("q",)), env) == (
        "the hook down of tunnels.json5 cannot be run: q is not in PATH",
    )


def test_a_check_names_every_program_that_is_not_there(tmp_path: Path) -> None:
    text = "{\n hooks: { up: ['sh'], down: ['no-such-program'] },\n tunnels: { t: { hooks: {\n failure: ['./x'] } } } }"
    path = write(tmp_path, text)
    assert [problem.message for problem in tunnels_problems(path)] == [
        f"{path} line 2: hooks.down cannot be run: no-such-program is not in PATH",
        f"{path} line 4: tunnels.t.hooks.failure cannot be run: {tmp_path}/x does not exist",
    ]
    assert tunnels_problems(write(tmp_path, "{ hooks: { up: ['sh'] } }")) == []


def test_a_mistake_is_told_before_programs_are_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "{ hooks: { up: ['no-such-program'], down: 'x' } }")
    assert [problem.message for problem in tunnels_problems(path)] == [
        f"{path} line 1: hooks.down must be a list of a program and its arguments, not a string"
    ]
