"""A thousand forced reconnects of one daemon: what is it then that it was not after the first?

Every second time the connection is killed at the server, every other time ``restart`` is asked for; with a policy in
which losses do not slow the next dial down. Writes ``bench/results/reconnects.json``; ends with 1 where descriptors or
threads are more than after the first, or memory by 5 MB. It takes root, ``ip``, ``nft`` and ``sshd``.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from machine import machine  # noqa: E402  found beside this file, wherever it is started from

from support.cli import Cli  # noqa: E402
from support.netlab import Lab  # noqa: E402
from support.tunnelview import TIRELESS, TunnelView  # noqa: E402
from support.waiting import DeadlinePassed, wait_until  # noqa: E402

RECONNECTS = 1000
EVERY = 100
MOST_KB = 5 * 1024


def main() -> None:
    """Measure and write the results."""
    about = machine(("asyncssh", "cryptography"))
    with Lab() as lab, Cli() as cli:
        cli.set_policy(**TIRELESS)
        lab.up(cli)
        view = TunnelView(cli)
        view.restart()
        began = time.monotonic()
        rows = [_row(view, 1)]
        for number in range(2, RECONNECTS + 1):
            if number % 2:
                view.restart()
            else:
                view.lose(lab)
            if number % EVERY == 0:
                rows.append(_row(view, number))
                print(rows[-1], flush=True)
        seconds = time.monotonic() - began
        rows[-1] = _settled(view, rows[0], RECONNECTS)
    first, last = rows[0], rows[-1]
    grown = {name: last[name] - first[name] for name in ("descriptors", "threads", "resident_kb")}
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": about,
        "seconds": round(seconds, 1),
        "grown": grown,
        "after": rows,
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "reconnects.json").write_text(json.dumps(results, indent=1) + "\n")
    print(grown)
    if grown["descriptors"] > 0 or grown["threads"] > 0 or grown["resident_kb"] >= MOST_KB:
        sys.exit("bench: reconnects leave something behind")


def _row(view: TunnelView, number: int) -> dict[str, Any]:
    footprint = view.footprint()
    descriptors, threads = footprint.counts
    return {
        "reconnects": number,
        "descriptors": descriptors,
        "threads": threads,
        "resident_kb": footprint.resident_kb,
    }


def _settled(view: TunnelView, first: dict[str, Any], number: int) -> dict[str, Any]:
    """The last row, once what was just closed is gone."""
    try:
        wait_until(lambda: view.footprint().counts <= (first["descriptors"], first["threads"]), 15)
    except DeadlinePassed:
        pass  # the row says so
    return _row(view, number)


if __name__ == "__main__":
    main()
