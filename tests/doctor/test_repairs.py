"""What becomes of repairs (doctor/repairs.py); with real servers: tests/real/test_doctor.py."""

import shlex
from pathlib import Path

from openclaw_tunnel.actions.agreement import Question
from openclaw_tunnel.doctor.repairs import carry_out
from openclaw_tunnel.doctor.report import Remedy, Repair


def chmod(path: Path) -> Repair:
    return Repair(Remedy.CHMOD, shlex.quote(str(path)), f"Let nobody else read {path.name}?")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def unasked(question: Question) -> bool:
    raise AssertionError(f"asked: {question.text}")


def test_what_was_agreed_to_is_done_one_after_the_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.touch(0o644)
    asked: list[str] = []

    def agree(question: Question) -> bool:
        asked.append(question.text)
        return "two" in question.text

    done = carry_out([chmod(one), chmod(two)], agree, yes=False, person=True)
    repaired = next(done)
    assert (repaired.done, repaired.notes, repaired.error) == (True, (f"only you can read {two} now",), None)
    assert [*done] == []
    assert asked == ["Let nobody else read one?", "Let nobody else read two?"]
    assert (mode(one), mode(two)) == (0o644, 0o600)


def test_yes_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.touch(0o644)
    assert [one.done for one in carry_out([chmod(path)], unasked, yes=True, person=False)] == [True]
    assert mode(path) == 0o600


def test_a_repair_that_fails_does_not_keep_the_next_from_being_made(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.touch(0o644)
    failed, done = carry_out([chmod(tmp_path), chmod(path)], unasked, yes=True, person=False)
    assert (failed.done, done.done) == (False, True)
    assert failed.error
    assert failed.error.message == f"{tmp_path} is not a file of this user"


def test_a_host_key_needs_a_person() -> None:
    trust = Repair(Remedy.TRUST, "me@gw", "", "/a b/config")
    (one,) = carry_out([trust], unasked, yes=True, person=False)
    assert not one.done
    assert one.notes == (
        "whether a host key is the right one only a person can say: openclaw-tunnel trust -F '/a b/config' me@gw",
    )
