"""The data path beside ``ssh -N -L`` and ``autossh``: who waits for whom, how fast, and at what price.

    bench/datapath.py --only upload-20 download-20 --who ours ssh --runs 1     some of it; writes nothing
    bench/datapath.py --who ours before=/path/of/another/checkout ssh          another checkout of this project as well

It takes root, ``ip``, ``nft``, ``cc``, ``ssh``, ``sshd`` and ``autossh``.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from datacontestants import OTHERS, OURS, Contestant  # noqa: E402  found beside this file, wherever it is started from
from datameasures import GROUPS, MEASUREMENTS  # noqa: E402
from datasite import Site  # noqa: E402
from figures import medians, words  # noqa: E402


def played(name: str, who: Sequence[Contestant], runs: int, length: float) -> Iterator[tuple[str, dict[str, float]]]:
    """All runs of one measurement, the programs in turns."""
    one = MEASUREMENTS[name]
    with Site(one.line) as site:
        for _ in range(runs):
            for contestant in who:
                yield contestant.name, one.measure(site, contestant, length)


def contestant(word: str, env: Mapping[str, str]) -> Contestant:
    """``ours``, ``ssh``, ``autossh``, or NAME=CHECKOUT."""
    name, equals, checkout = word.partition("=")
    if name in OTHERS:
        return Contestant(name)
    if not equals and name != "ours":
        raise SystemExit(f"{word} is not ours, {', '.join(OTHERS)} or NAME=CHECKOUT")
    path = {"PYTHONPATH": str(Path(checkout).resolve())} if equals else {}
    return Contestant(name if equals else OURS, {**env, **path})


def split(words_: Sequence[str]) -> list[str]:
    """Words, separated by blanks or commas."""
    return [word for one in words_ for word in one.split(",") if word]


def names(words_: Sequence[str] | None) -> list[str]:
    """The measurements that are meant."""
    if not words_:
        return list(MEASUREMENTS)
    found = [name for word in split(words_) for name in GROUPS.get(word, [word])]
    unknown = [name for name in found if name not in MEASUREMENTS]
    if unknown:
        raise SystemExit(f"no such measurement: {', '.join(unknown)}; there are {', '.join([*GROUPS, *MEASUREMENTS])}")
    return found


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
    for name in names(options.only):
        found: dict[str, list[dict[str, float]]] = {}
        for by, figures in played(name, who, options.runs, options.seconds):
            found.setdefault(by, []).append(figures)
            print(f"  {name:16} {by:9} {words(figures)}", flush=True)
        for by, runs in found.items():
            print(f"{name:18} {by:9} {words(medians(runs))}", flush=True)


if __name__ == "__main__":
    main()
