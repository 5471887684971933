"""The user with an empty home, ``support.cli``, and ports, ``support.ports``: what other tests rely on."""

import json
import os
import re
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from support.cli import Cli, environment
from support.ports import PortBlock, blocks, free_port
from support.process import Child, program
from support.waiting import wait_until
from support.workers import how_many, in_turn, piece_of


def test_a_command_runs_in_a_home_of_its_own(cli: Cli) -> None:
    answer = cli("status", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)) == (3, {**answer.json(), "daemon": None, "tunnels": []})


def test_the_account_stays_outside(cli: Cli) -> None:
    env = environment(cli.home, {"MORE": "1"})
    assert {env["HOME"], env["OPENCLAW_TUNNEL_HOME"]} == {str(cli.home), str(cli.home / "t")}
    assert "SSH_AUTH_SOCK" not in env
    assert env["MORE"] == "1"
    assert os.path.getsize(env["OPENCLAW_TUNNEL_SSH_CONFIG"]) == 0
    assert len(str(cli.tunnel_home / "control.sock")) < 60


def test_a_process_that_is_left_over_is_killed_and_fails_the_test() -> None:
    user = Cli(grace=0.1)
    left = subprocess.Popen([program("sleep"), "60"], env=environment(user.home))
    try:
        with pytest.raises(AssertionError, match=r"sleep 60"), user:
            assert user.processes() == [left.pid]
        assert left.wait(5) < 0
        assert not user.home.exists()
    finally:
        left.kill()
        left.wait()


def test_a_command_that_goes_on_is_ended_with_its_user() -> None:
    with Cli() as user:
        child: Child = user.start("status", "--watch")
        assert child.running
    assert not child.running


LAST_FIRST = blocks("32768 60999")[::-1]
"""Other runs of these tests look from the other end."""


def held_elsewhere(block: int) -> bool:
    """Whether another process could not have the block."""
    code = "import sys; from support.ports import PortBlock; PortBlock([int(sys.argv[1])])"
    env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code, str(block)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or "every block of ports is held" in done.stderr, done.stderr
    return done.returncode != 0


def test_two_processes_never_choose_from_the_same_ports() -> None:
    """The first one has its block although none of its ports is bound, and gives it back when it ends."""
    ours = PortBlock(LAST_FIRST)
    assert held_elsewhere(ours.first)
    other = PortBlock(LAST_FIRST)
    assert other.first != ours.first
    for block in (other, ours, ours):
        block.release()
    wait_until(lambda: not held_elsewhere(ours.first), 30, "the block")


def test_a_port_comes_again_only_when_all_others_had_their_turn_and_never_while_it_is_used() -> None:
    block = PortBlock(LAST_FIRST)
    first = block.take(3)
    with socket.create_server(("127.0.0.1", first + 1)):
        before, taken = first, [block.take(3)]
        while taken[-1] > before:
            before = taken[-1]
            taken.append(block.take(3))
        *others, again = taken
        assert all(after - before >= 3 for before, after in pairwise([first, *others]))
        assert others[-1] + 3 <= block.first + 600
        assert again > first + 1
        with pytest.raises(OSError, match="no 600 neighbouring ports"):
            block.take(600)
    block.release()


@pytest.mark.parametrize("address", ["127.0.0.1", "", "::1"])
def test_a_port_that_somebody_has_on_any_loopback_address_is_not_chosen(address: str) -> None:
    block = PortBlock(LAST_FIRST)
    port = block.take()
    try:
        other = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError:
        block.release()
        pytest.skip("this computer has no IPv6 loopback address")
    with other:
        everything = {block.take() for _ in range(250)}
    assert len(everything) > 150
    assert port not in everything
    block.release()


def test_the_kernel_gives_none_of_them_to_a_connection() -> None:
    for kernels in ("32768 60999", "49152\t65535\n", "25000 60999"):
        first, last = map(int, kernels.split())
        assert all(not first <= port <= last for block in blocks(kernels) for port in (block, block + 199))
    assert blocks("1024 65535") == blocks("64000 65535")
    assert free_port() != free_port()


LEAKS = """
import socket

class Cycle:
    def __init__(self):
        self.itself, self.left = self, socket.create_server(("127.0.0.1", 0))

def test_leaves_a_socket():
    Cycle()

def test_leaves_one_and_fails():
    left = Cycle()
    assert not left

def test_innocent():
    import gc
    gc.collect()
"""


def test_what_a_test_leaves_open_is_blamed_on_that_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    options = ["-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-W", "error", "-rA"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path / "test_leaks.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENCLAW_TUNNEL_TEST_INSTALLED": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = [line.split(" - ")[0] for line in done.stdout.splitlines() if re.match("(PASSED|FAILED|ERROR) ", line)]
    assert sorted(line.replace("test_leaks.py::test_", "") for line in told) == [
        "ERROR leaves_a_socket",
        "ERROR leaves_one_and_fails",
        "FAILED leaves_one_and_fails",
        "PASSED innocent",
        "PASSED leaves_a_socket",
    ], done.stdout


FILES = ["tests/cli/test_a.py", "tests/core/test_b.py", "tests/real/test_boot.py", "tests/real/test_doctor.py"]
FILES += ["tests/real/test_setup.py", "tests/real/test_wake.py", "tests/ssh/test_c.py", "tests/ui/test_d.py"]


def test_what_waits_is_handed_out_between_what_computes_and_gateways_first() -> None:
    turns = [FILES[n] for n in in_turn(FILES)]
    names = [turn.removesuffix(".py").partition("test_")[2] for turn in turns]
    assert names == ["doctor", "setup", "a", "boot", "b", "wake", "c", "d"]
    tests = [f"{file}::test_{n}" for file in FILES for n in range(2)]
    assert [tests[n] for n in in_turn(tests)] == [f"{turn}::test_{n}" for turn in turns for n in range(2)]
    assert piece_of(tests[6]) == piece_of(tests[8]) != piece_of(tests[4])


def test_a_few_tests_that_somebody_names_need_no_workers() -> None:
    assert how_many(2, [], some=False) == how_many(2, ["tests/real"], some=False) == 5
    assert how_many(64, [], some=False) == 12
    assert how_many(2, [], some=True) == how_many(2, ["tests/a.py", "tests/b.py::test_c"], some=False) == 0


MACHINES = re.compile(r"support\.(netns|netlab|bootedsystem|usermanager|watchednet)\b|program\(.unshare.\)")


def test_what_needs_a_whole_machine_says_so() -> None:
    files = [path for path in Path(__file__).parent.rglob("test_*.py") if MACHINES.search(path.read_text())]
    assert len(files) > 5
    assert [path.name for path in files if "pytest.mark.machine" not in path.read_text()] == []
