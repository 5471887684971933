"""Outages beside ``ssh``, ``autossh`` and PyPI's ``sshtunnel``: the same fault at the same time for everybody.

Each fault has a lab of its own (two network namespaces, a real sshd) with all programs in it, and clients that connect
to each of them all the time; ``bench/faults.py`` says what happens there and what the numbers mean. Labs run side by
side, but what takes milliseconds is measured alone. ``bench/results`` gets ``outages.json``, ``.md`` and ``.svg``.

    make bench-outages ARGS="--quick"                     once instead of five times
    make bench-outages ARGS="--only woken link_down_30"   some faults; prints the results and writes nothing

It takes root, ``ip``, ``nft``, ``gcc``, ``ssh``, ``sshd`` and ``autossh``.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from faults import BACK_WITHIN, SCENARIOS, Scenario, Stage  # noqa: E402  found beside this file, wherever it is started from
from machine import autossh_version, machine  # noqa: E402
from picture import picture  # noqa: E402
from report import missed, rows, table  # noqa: E402

REPETITIONS = 5
LABS = 20
"""At once: most of the time they wait."""
LONGEST = 600.0
_LOCKS = "OUTAGES_LOCKS"


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Wait until no other lab does what ``name`` says."""
    with open(Path(os.environ[_LOCKS], name), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def play(scenario: Scenario) -> None:
    """One repetition of one fault, in this process; prints the result as JSON."""
    with ExitStack() as stack:
        with turn("start"):
            stage = Stage(stack, window=scenario.window_s, asleep=scenario.asleep, alone=lambda: turn("alone"))
        print(json.dumps(scenario.play(stage)))


class Run:
    """All repetitions of all faults, each a process of its own."""

    def __init__(self, locks: Path) -> None:
        self._env = {**os.environ, _LOCKS: str(locks)}
        self._began = time.monotonic()
        self._printing = threading.Lock()
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.failures: list[str] = []

    def side_by_side(self, names: Sequence[str], repetitions: int, labs: int) -> None:
        """Play each so often, so many at once, the longest first."""
        longest_first = sorted(names, key=lambda name: -SCENARIOS[name].window_s)
        with ThreadPoolExecutor(labs) as pool:
            list(pool.map(self._play, [name for _ in range(repetitions) for name in longest_first]))

    def _play(self, name: str) -> None:
        command = [sys.executable, str(HERE / "outages.py"), "--play", name]
        done = subprocess.run(command, capture_output=True, text=True, env=self._env, timeout=LONGEST)
        with self._printing:
            at = f"{time.monotonic() - self._began:5.0f} s"
            if done.returncode:
                self.failures.append(f"{name}: {done.stderr.strip()}")
                print(f"{at} {name} FAILED\n{done.stderr}", flush=True)
                return
            result = json.loads(done.stdout.splitlines()[-1])
            self.results.setdefault(name, []).append(result)
            print(f"{at} {name} {json.dumps(result)}", flush=True)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description="Outages beside ssh, autossh and sshtunnel.")
    parser.add_argument("--quick", action="store_true", help="once instead of five times")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), metavar="FAULT", help=", ".join(SCENARIOS))
    parser.add_argument("--labs", type=int, default=LABS, help="labs at once (%(default)s)")
    parser.add_argument("--play", choices=list(SCENARIOS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        play(SCENARIOS[options.play])
        return
    about = machine(("asyncssh", "sshtunnel", "paramiko"), autossh=autossh_version())
    names = options.only or list(SCENARIOS)
    repetitions = 1 if options.quick else REPETITIONS
    with tempfile.TemporaryDirectory(prefix="oct-") as locks:
        run = Run(Path(locks))
        run.side_by_side([name for name in names if SCENARIOS[name].alone], repetitions, repetitions)
        run.side_by_side([name for name in names if not SCENARIOS[name].alone], repetitions, options.labs)
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": about,
        "runs": repetitions,
        "results": [
            {
                "fault": name,
                "title": SCENARIOS[name].title,
                "window_s": SCENARIOS[name].window_s,
                "back_within_s": BACK_WITHIN,
                "target": SCENARIOS[name].target,
                "runs": run.results.get(name, []),
            }
            for name in names
        ],
    }
    shown = rows(results)
    print(table(shown))
    if not options.only:
        write(results, table(shown), picture(shown))
    for line in missed(results):
        print(f"target missed: {line}")
    if run.failures:
        sys.exit("bench: not measured: " + "; ".join(failure.splitlines()[-1] for failure in run.failures))


def write(results: dict[str, Any], text: str, drawing: str) -> None:
    """Write what the README shows and links to."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / "outages.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "outages.md").write_text(text)
    (folder / "outages.svg").write_text(drawing)


if __name__ == "__main__":
    main()
