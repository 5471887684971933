"""The data path beside ``ssh -N -L`` and ``autossh``: who waits for whom, how fast, and at what price.

On the loopback, and on lines with delay, a bottleneck and loss (``bench/line.c``); ``bench/datameasures.py`` says what
happens there. Each run has fresh tunnels, and the programs take turns. ``bench/results`` gets ``datapath.json``,
``.md`` and ``.svg``.

    make bench-datapath ARGS="--quick"                                once instead of five times
    make bench-datapath ARGS="--only upload-20 busy --who ours ssh"   prints the results and writes nothing
    make bench-datapath ARGS="--only changes"                         lines that change, with a series of each run
    make bench-datapath ARGS="--only upload-20 --congestion cubic"    with another congestion control of TCP
    make bench-datapath ARGS="--who ours before=../before ssh"        another checkout of this project beside it

It takes root, ``ip``, ``nft``, ``cc``, ``ssh``, ``sshd`` and ``autossh``, and a computer with nothing else to do.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from datacontestants import OTHERS, OURS, Contestant  # noqa: E402  found beside this file, wherever it is started from
from datameasures import GROUPS, MEASUREMENTS  # noqa: E402
from datareport import NOTE, Row, drawn, rows, table  # noqa: E402
from datasite import Site  # noqa: E402
from figures import summed_up, words  # noqa: E402
from machine import autossh_version, machine  # noqa: E402
from picture import picture  # noqa: E402

RUNS = 5
SECONDS = 10.0


class Bench:
    """All runs of some measurements.

    Attributes:
        results: by measurement, of each program the figures of its runs.
        failures: what could not be measured.
    """

    def __init__(self, who: Sequence[Contestant], runs: int, seconds: float, congestion: str) -> None:
        self._who = who
        self._congestion = congestion
        self._runs = runs
        self._seconds = seconds
        self.results: list[dict[str, Any]] = []
        self.failures: list[str] = []

    def play(self, name: str) -> None:
        """One measurement, the programs in turns."""
        one = MEASUREMENTS[name]
        programs: dict[str, list[Mapping[str, float]]] = {contestant.name: [] for contestant in self._who}
        with Site(one.line, self._congestion) as site:
            for _ in range(self._runs):
                for contestant in self._who:
                    programs[contestant.name] += self._run(name, site, contestant)
        for by, runs in programs.items():
            if len(runs) > 1:
                print(f"{name:18} {by:15} {words(summed_up(runs))}", flush=True)
        line = one.line.title if one.line else "loopback"
        self.results.append({"measurement": name, "line": line, "programs": programs})

    def _run(self, name: str, site: Site, contestant: Contestant) -> list[Mapping[str, float]]:
        try:
            figures = MEASUREMENTS[name].measure(site, contestant, self._seconds)
        except (RuntimeError, OSError, AssertionError) as error:
            self.failures.append(f"{name}, {contestant.name}: {error}")
            print(f"  {name:16} {contestant.name:15} FAILED: {error}", flush=True)
            return []
        print(f"  {name:16} {contestant.name:15} {words(figures)}", flush=True)
        return [{key: float(f"{value:.5g}") for key, value in figures.items()}]


def contestant(word: str, env: Mapping[str, str]) -> Contestant:
    """``ours``, ``ssh``, ``autossh``, or NAME=CHECKOUT."""
    name, equals, checkout = word.partition("=")
    if name in OTHERS:
        return Contestant(name)
    if not equals and name != "ours":
        raise SystemExit(f"{word} is not ours, {', '.join(OTHERS)} or NAME=CHECKOUT")
    return Contestant(name if equals else OURS, {**env, **(_from(checkout) if equals else {})})


def _from(checkout: str) -> dict[str, str]:
    """The environment in which that checkout is what runs."""
    return {"PYTHONPATH": str(Path(checkout).resolve())}


def split(given: Sequence[str]) -> list[str]:
    """Words, separated by blanks or commas."""
    return [word for one in given for word in one.split(",") if word]


def names(given: Sequence[str]) -> list[str]:
    """The measurements that are meant."""
    found = [name for word in split(given) for name in GROUPS.get(word, [word])]
    unknown = [name for name in found if name not in MEASUREMENTS]
    if unknown:
        raise SystemExit(f"no such measurement: {', '.join(unknown)}; there are {', '.join([*GROUPS, *MEASUREMENTS])}")
    return found or list(MEASUREMENTS)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The data path beside ssh and autossh.")
    parser.add_argument("--quick", action="store_true", help="once instead of five times")
    parser.add_argument("--only", nargs="+", default=[], metavar="WHAT", help=", ".join([*GROUPS, *MEASUREMENTS]))
    parser.add_argument("--who", nargs="+", default=[], metavar="WHO", help="ours, ssh, autossh, NAME=CHECKOUT")
    parser.add_argument("--package", metavar="CHECKOUT", help="what ours is (default: what this Python imports)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="more environment for ours")
    parser.add_argument("--runs", type=int, help=f"({RUNS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each transfer (%(default)g)")
    parser.add_argument("--congestion", default="", metavar="NAME", help="of TCP on lines (this computer's)")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the results where all was measured."""
    options = arguments()
    about = machine(("asyncssh", "cryptography"), autossh=autossh_version())
    env = dict(pair.split("=", 1) for pair in options.env) | (_from(options.package) if options.package else {})
    who = [contestant(word, env) for word in split(options.who) or ["ours", *OTHERS]]
    runs = options.runs or (1 if options.quick else RUNS)
    bench = Bench(who, runs, options.seconds, options.congestion)
    for name in names(options.only):
        bench.play(name)
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": about,
        "runs": runs,
        "seconds": options.seconds,
        "congestion": options.congestion or Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "results": bench.results,
    }
    shown = rows(results)
    print(table(shown))
    if not (options.only or options.who or options.package):
        write(results, shown)
    for row in shown:
        if row.missed:
            print(f"target missed: {row.what}: {row.verdict}; wanted {row.wanted}")
    if bench.failures:
        sys.exit("bench: not measured: " + "; ".join(bench.failures))


def write(results: dict[str, Any], shown: Sequence[Row]) -> None:
    """Write what the README shows and links to."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / "datapath.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "datapath.md").write_text(table(shown))
    (folder / "datapath.svg").write_text(picture(drawn(results), NOTE))


if __name__ == "__main__":
    main()
