"""The data path beside ``ssh -N -L`` and ``autossh``: who waits for whom, how fast, and at what price.

    bench/datapath.py --only upload-20 download-20 --who ours ssh --runs 1     some of it; writes nothing
    bench/datapath.py --who ours before=/path/of/another/checkout ssh          another checkout of this project as well

It takes root, ``ip``, ``nft``, ``cc``, ``ssh``, ``sshd`` and ``autossh``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from datasite import OTHERS, Contestant, Line, Site, pairs, result  # noqa: E402  found beside this file, wherever it is started from
from figures import asked, medians, percentile, rate_mbit, words, worse  # noqa: E402

LINES = {
    "20": Line(20, 20),
    "100": Line(10, 100),
    "5": Line(40, 5),
    "long": Line(50),
    "lossy": Line(20, 20, loss_percent=1),
}
WARM_UP = 2.0
IDLE = 3.0
LATE = 0.7
ASK = (200, 50)
"""Bytes of a request, milliseconds from one to the next."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        seconds: how long a transfer is measured, after the warm-up.
    """

    seconds: float


Figures = dict[str, float]
Measure = Callable[[Site, Contestant, Options], Figures]


def transfer(way: str) -> Measure:
    """A client asks, first alone, then while another one uploads or downloads; one more comes only then, and asks.

    Of both the worse is reported: who was there first is served differently by some.
    """

    def measure(site: Site, contestant: Contestant, options: Options) -> Figures:
        with contestant.tunnel(site) as tunnel:
            whole = WARM_UP + options.seconds
            asking = site.load("ask", tunnel.port, *ASK, IDLE + whole)
            time.sleep(IDLE)
            began = time.monotonic()
            moving = site.load(way, tunnel.port, 0, whole)
            time.sleep(LATE)
            late = site.load("ask", tunnel.port, *ASK, whole - LATE)
            asks, late_asks = (pairs(result(client, whole + 60)) for client in (asking, late))
            seen = pairs(result(moving, 60))
        bulk = site.uploaded() if way == "up" else seen
        warm, end = began + WARM_UP, began + whole
        idle = [took for sent, took in asks[1:] if sent + took <= began]
        beside = worse(asked(asks, began, warm, end), asked(late_asks, began, warm, end))
        return {
            "idle_p50_ms": percentile(idle, 50) * 1e3,
            "idle_p95_ms": percentile(idle, 95) * 1e3,
            **beside,
            "opened_ms": late_asks[0][1] * 1e3,
            "rate_mbit": rate_mbit(bulk, warm, end),
        }

    return measure


@dataclass(frozen=True, slots=True)
class Measurement:
    """One of the table's groups of figures.

    Attributes:
        line: where; None: the loopback.
        measure: one run with one program.
    """

    line: Line | None
    measure: Measure


MEASUREMENTS = {
    f"{kind}-{name}": Measurement(line, transfer(way))
    for name, line in LINES.items()
    for kind, way in (("upload", "up"), ("download", "down"))
}


def played(name: str, who: Sequence[Contestant], runs: int, options: Options) -> Iterator[tuple[str, Figures]]:
    """All runs of one measurement, the programs in turns."""
    one = MEASUREMENTS[name]
    with Site(one.line) as site:
        for _ in range(runs):
            for contestant in who:
                yield contestant.name, one.measure(site, contestant, options)


def contestant(word: str, env: Mapping[str, str]) -> Contestant:
    """``ours``, ``ssh``, ``autossh``, or NAME=CHECKOUT."""
    name, equals, checkout = word.partition("=")
    if name in OTHERS:
        return Contestant(name, {})
    if not equals and name != "ours":
        raise argparse.ArgumentTypeError(f"{word} is not ours, {', '.join(OTHERS)} or NAME=CHECKOUT")
    return Contestant(name, {**env, **({"PYTHONPATH": str(Path(checkout).resolve())} if equals else {})})


def split(words_: Sequence[str]) -> list[str]:
    """Words, separated by blanks or commas."""
    return [word for one in words_ for word in one.split(",") if word]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The data path beside ssh and autossh.")
    parser.add_argument("--only", nargs="+", metavar="WHAT", help=", ".join(MEASUREMENTS))
    parser.add_argument("--who", nargs="+", default=["ours", *OTHERS], help="ours, ssh, autossh, NAME=CHECKOUT")
    parser.add_argument("--package", metavar="CHECKOUT", help="what ours is (default: what this Python imports)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="more environment for ours")
    parser.add_argument("--runs", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of each transfer, after the warm-up (%(default)g)")
    options = parser.parse_args()
    env = dict(pair.split("=", 1) for pair in options.env)
    who = [contestant(word, env) for word in split(options.who)]
    if options.package:
        path = {"PYTHONPATH": str(Path(options.package).resolve())}
        who = [Contestant(one.name, {**path, **one.env}) if one.ours else one for one in who]
    for name in split(options.only or list(MEASUREMENTS)):
        found: dict[str, list[Figures]] = {}
        for by, figures in played(name, who, options.runs, Options(options.seconds)):
            found.setdefault(by, []).append(figures)
            print(f"  {name:14} {by:9} {words(figures)}", flush=True)
        for by, runs in found.items():
            print(f"{name:16} {by:9} {words(medians(runs))}", flush=True)


if __name__ == "__main__":
    main()
