"""What OpenClaw's own releases answered, against our resolver; and the script that compares them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vectors import DECISIONS, Answer, Case, compare, decided

TESTS = Path(__file__).parents[1]
FILE = TESTS / "vectors" / "credentials.json"


def test_every_vector_agrees_or_is_decided() -> None:
    report = compare(json.loads(FILE.read_text()))
    assert report.mismatches == []
    assert report.agree > 2000
    assert set(report.decided) == {decision.reason for decision in DECISIONS}


def test_the_script_says_how_many_agree() -> None:
    done = subprocess.run(
        [sys.executable, TESTS / "vectors.py", FILE], capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == compare(json.loads(FILE.read_text())).summary


def test_the_script_fails_on_a_mismatch(tmp_path: Path) -> None:
    wrong = {"name": "w", "surface": "call", "cfg": {"gateway": {}}, "env": {}, "options": {}}
    file = tmp_path / "v.json"
    file.write_text(json.dumps([{**wrong, "expected": {"2026.9.6": {"token": "t"}, "2026.5.5": {}}}]))
    done = subprocess.run([sys.executable, TESTS / "vectors.py", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("mismatch: w (2026.9.6): {'token': 't'}; ours: ")
    assert done.stdout.splitlines()[-1] == "1 of 2 agree, 0 decided otherwise"


@pytest.mark.parametrize("surface", ["call", "probe", "node-host"])
def test_sending_more_than_a_release_is_never_decided(surface: str) -> None:
    vector = {
        "surface": surface,
        "cfg": {"gateway": {"mode": "remote", "remote": {"token": "r"}}},
        "env": {},
        "options": {},
    }
    unresolved = frozenset({"gateway.remote.token"})
    ours = Answer({"token": "x"}, about="gateway.remote.token", warning=True)
    assert decided(Case(vector, "2026.5.5", Answer({"token": "r"}), ours, unresolved)) is None


def test_a_remote_secret_for_the_local_port_is_never_decided() -> None:
    remote = {"token": "r", "password": "p"}
    vector = {"surface": "gateway-status", "cfg": {"gateway": {"mode": "remote", "remote": remote}}}
    theirs = Answer({"token": "r", "password": "p"})
    assert decided(Case(vector, "2026.5.5", theirs, Answer({"password": "p"}), frozenset())) is None
    assert decided(Case(vector, "2026.5.5", theirs, Answer({"password": "a"}), frozenset())) is DECISIONS[0]
