"""``openclaw health`` and ``openclaw gateway probe`` beside ours, through one tunnel each, in one run.

Starts a real gateway behind a real sshd, opens our tunnel and a plain ``ssh -N -L``, asks both sides the same in
three situations (right token, wrong token, gateway down), and writes ``bench/results/probes.json`` and ``probes.md``.
The real CLI goes through the plain tunnel, as its users do; ours asks its daemon. Every number is a median.

It takes sshd, ssh and the folder that OPENCLAW_TUNNEL_TEST_GATEWAY names (``.ci/servers`` makes it).
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from machine import machine  # noqa: E402

from support.cli import Cli  # noqa: E402  found beside this file, wherever it is started from
from support.gateway import INSTALLED_AT, Gateway  # noqa: E402
from support.process import Child, program  # noqa: E402
from support.servers import Sshd  # noqa: E402
from support.waiting import accepts, free_port, wait_until  # noqa: E402

RUNS = 5
WRONG = "wrong-token-of-the-benchmark"
SITUATIONS = ("right token", "wrong token", "gateway down")
PAIRS = (
    ("health", ["health", "--json"], ["health", "--json"]),
    ("probe", ["gateway", "probe", "--json"], ["probe", "--json"]),
)
"""What is compared: a name, the arguments of ``openclaw``, those of ``openclaw-tunnel``."""


@dataclass(frozen=True, slots=True)
class Run:
    """One command: its wall time in seconds, exit code, and what it said in a few words."""

    seconds: float
    exit_code: int
    said: str


class Bench:
    """Everything that runs: gateway, sshd, both tunnels, a user of each program."""

    def __init__(self, stack: ExitStack) -> None:
        self.gateway = stack.enter_context(Gateway())
        self.gateway.wait_ready()
        sshd = stack.enter_context(Sshd())
        self.user = stack.enter_context(Cli())
        config = sshd.ssh_config("gw")
        self.user.use_ssh_config(config)
        self.plain_port = free_port()
        forward = f"127.0.0.1:{self.plain_port}:127.0.0.1:{self.gateway.port}"
        self._ssh = Child([program("ssh"), "-F", config, "-N", "-L", forward, "gw"], sshd.folder / "ssh.log")
        stack.callback(self._ssh.kill)
        wait_until(lambda: accepts(self.plain_port), 15, "ssh -N -L to listen")
        self.configure(self.gateway.token)
        up = self.user("up", "-d", "gw", "-p", str(free_port()), "-r", str(self.gateway.port))
        if up.exit_code:
            sys.exit(f"our tunnel does not come up: {up.stderr}")

    def configure(self, token: str) -> None:
        """Give both programs the same openclaw.json."""
        remote = {"url": f"ws://127.0.0.1:{self.plain_port}", "token": token}
        folder = self.user.home / ".openclaw"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))

    def forgive(self) -> None:
        """Log in with the right token: each wrong one in a row is answered later than the one before."""
        token = self.user.home / "token"
        token.write_text(self.gateway.token)
        self.user("health", "--token-file", token)

    def theirs(self, arguments: list[str]) -> Run:
        """Run ``openclaw``."""
        node, script = self.gateway.program
        env = {"HOME": str(self.user.home), "PATH": f"{Path(node).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        env |= {"TMPDIR": str(self.user.home), "OPENCLAW_NO_AUTO_UPDATE": "1", "OPENCLAW_DISABLE_BONJOUR": "1"}
        began = time.monotonic()
        done = subprocess.run(
            [node, script, *arguments], env=env, capture_output=True, text=True, timeout=120, cwd=self.user.home
        )
        return Run(time.monotonic() - began, done.returncode, said(done.stdout))

    def ours(self, arguments: list[str]) -> Run:
        """Run ``openclaw-tunnel``."""
        answer = self.user(*arguments)
        return Run(answer.seconds, answer.exit_code, said(answer.stdout))


def said(text: str) -> str:
    """The gist of an answer in JSON: of ours the verdict, of theirs what comes nearest to one."""
    try:
        found = json.loads(text)
    except ValueError:
        return "no JSON"
    if "verdict" in found:
        return str(found["verdict"])
    error = found.get("error") or {}
    reason = (error.get("details") or {}).get("code") or error.get("reason") or error.get("type")
    capability = found.get("capability")
    words = [f"ok: {json.dumps(found.get('ok'))}", f"capability {capability}" if capability else "", reason or ""]
    return ", ".join(filter(None, words))


def measure(run: Callable[[list[str]], Run], arguments: list[str], before: Callable[[], None]) -> dict[str, Any]:
    """The median of ``RUNS``, and what was answered; each answer once where they differ.

    ``before`` is called ahead of each run and not measured.
    """
    runs = []
    for _ in range(RUNS):
        before()
        runs.append(run(arguments))
    return {
        "median_s": round(statistics.median(one.seconds for one in runs), 3),
        "seconds": [round(one.seconds, 3) for one in runs],
        "exit_code": sorted({one.exit_code for one in runs}),
        "said": sorted({one.said for one in runs}),
    }


def prepare(bench: Bench, situation: str) -> None:
    """Make a situation true."""
    if situation == "gateway down":
        bench.gateway.stop()
    bench.configure(WRONG if situation == "wrong token" else bench.gateway.token)


def compare(bench: Bench) -> list[dict[str, Any]]:
    """All measurements, in the order they are shown."""
    found = []
    for situation in SITUATIONS:
        prepare(bench, situation)
        before = bench.forgive if situation == "wrong token" else lambda: None
        for name, theirs, ours in PAIRS:
            row: dict[str, Any] = {"command": name, "situation": situation}
            row["openclaw"] = {"arguments": theirs, **measure(bench.theirs, theirs, before)}
            row["openclaw-tunnel"] = {"arguments": ours, **measure(bench.ours, ours, before)}
            row["times_faster"] = round(row["openclaw"]["median_s"] / row["openclaw-tunnel"]["median_s"], 1)
            print(table([row]).splitlines()[-1], flush=True)
            found.append(row)
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| command | situation | `openclaw` | `openclaw-tunnel` | times faster |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [
            f"{row[who]['median_s']:.2f} s, exit {'/'.join(map(str, row[who]['exit_code']))}: "
            f"{' or '.join(row[who]['said'])}"
            for who in ("openclaw", "openclaw-tunnel")
        ]
        lines.append(f"| {row['command']} | {row['situation']} | {cells[0]} | {cells[1]} | {row['times_faster']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    if not os.environ.get(INSTALLED_AT):
        sys.exit(f"bench: {INSTALLED_AT} is not set: export {INSTALLED_AT}=$(.ci/servers) installs what is needed")
    with ExitStack() as stack:
        bench = Bench(stack)
        about = machine(openclaw=bench.gateway.version)
        rows = compare(bench)
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": about,
        "runs": RUNS,
        "results": rows,
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "probes.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "results" / "probes.md").write_text(table(rows))


if __name__ == "__main__":
    main()
