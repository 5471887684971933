"""Programs that only answer, in the place of real ones: for what is asked of them, and for their refusals."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Tool:
    """A program that answers as it is told: ``systemctl`` or ``loginctl``."""

    folder: Path
    name: str = "systemctl"

    def __post_init__(self) -> None:
        self.answers: dict[str, tuple[int, str, str]] = {}
        self.path = self.folder / self.name
        self.path.write_text(
            f"#!{sys.executable} -IS\nimport json, sys\nfrom pathlib import Path\n"
            f"folder = Path({str(self.folder)!r})\n"
            f"log = (folder / '{self.name}.calls').open('a')\nlog.write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"answers = json.loads((folder / '{self.name}.answers').read_text())\n"
            "verb = next(word for word in sys.argv[1:] if not word.startswith('--'))\n"
            "code, out, err = answers.get(verb, (0, '', ''))\n"
            "sys.stdout.write(out); sys.stderr.write(err); sys.exit(code)\n"
        )
        self.path.chmod(0o755)
        self.answer()

    def answer(self, **verbs: tuple[int, str, str]) -> None:
        """Exit code, stdout and stderr by verb; ``_`` stands for ``-``."""
        told = {verb.replace("_", "-"): answer for verb, answer in verbs.items()}
        (self.folder / f"{self.name}.answers").write_text(json.dumps(told))

    def calls(self) -> list[str]:
        """Every call so far, without those that only ask."""
        log = self.folder / f"{self.name}.calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.removeprefix("--user ") for line in lines if " show" not in line]


class Program:
    """A program that writes down its arguments and answers as told."""

    def __init__(self, folder: Path, name: str) -> None:
        self._calls = folder / f"{name}.calls"
        self._answer = folder / f"{name}.answer"
        self._pid = folder / f"{name}.pid"
        self.path = folder / name
        self.path.write_text(
            f"#!{sys.executable} -IS\nimport json, os, sys, time\n"
            f"open({str(self._pid)!r}, 'w').write(str(os.getpid()))\n"
            f"open({str(self._calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
            f"code, out, pause = json.load(open({str(self._answer)!r}))\n"
            "print(out); sys.stdout.flush(); time.sleep(pause); sys.exit(code)\n"
        )
        self.path.chmod(0o755)
        self.answers()

    def answers(self, code: int = 0, out: str = "", pause: float = 0.0) -> None:
        self._answer.write_text(json.dumps([code, out, pause]))

    def calls(self) -> list[list[str]]:
        """The arguments of every call since the last time."""
        text = self._calls.read_text() if self._calls.exists() else ""
        self._calls.write_text("")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def was_called(self) -> bool:
        """Whether there is a call that :meth:`calls` has not told yet."""
        return self._calls.exists() and self._calls.read_text().endswith("\n")

    def pid(self) -> int:
        """The process of the last call."""
        return int(self._pid.read_text())
