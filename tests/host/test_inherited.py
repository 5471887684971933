"""Listening sockets from the service manager: systemd's numbers, launchd's function."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from support.cli import environment
from support.process import program

_SHOW = """
import json, os, socket, sys
from openclaw_tunnel.host import inherited
env = dict(os.environ)
if "LISTEN_FDS" in env: env["LISTEN_PID"] = env.get("LISTEN_PID") or str(os.getpid())
count = inherited.adopt(env, json.loads(sys.argv[1]))
port = int(sys.argv[2])
first, second = inherited.take(("127.0.0.1", port)), inherited.take(("127.0.0.1", port))
for sock in first: sock.close()
print(json.dumps({
    "count": count, "known": inherited.count(),
    "left": sorted(set(env) & {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}),
    "accepts": [s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for s in second],
    "blocking": [s.getblocking() for s in second],
    "other": len(inherited.take(("127.0.0.1", port + 1))), "path": len(inherited.take(sys.argv[3])),
    "inheritable": [os.get_inheritable(s.fileno()) for s in second],
}))
"""


def show(
    home: Path, port: int, env: dict[str, str], fds: list[int], names: list[str], path: str = "/x"
) -> dict[str, object]:
    """What a process of its own inherits; ``fds`` become 3, 4, ..."""

    def move() -> None:
        for place, descriptor in enumerate(fds, start=3):
            os.dup2(descriptor, place)

    done = subprocess.run(
        [sys.executable, "-c", _SHOW, json.dumps(names), str(port), path],
        env={**environment(home), **env},
        pass_fds=range(3, 3 + len(fds)),
        preexec_fn=move,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


EXPECTED = {"left": [], "accepts": [1], "blocking": [False], "other": 0, "path": 0, "inheritable": [False]}


def test_systemd(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        fds = [os.dup(server.fileno()), os.dup(unix.fileno())]
        high = [os.dup2(fd, 50 + n) for n, fd in enumerate(fds)]
        port = server.getsockname()[1]
        found = show(tmp_path, port, {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, high, [], str(tmp_path / "s"))
        for fd in (*fds, *high):
            os.close(fd)
    assert found == {**EXPECTED, "count": 2, "known": 2, "path": 1}


def test_sockets_of_another_process_are_none_of_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = show(tmp_path, port, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, [], [])
    assert (found["count"], found["accepts"], found["left"]) == (0, [], [])


def test_launchd(tmp_path: Path) -> None:
    library = launch_library(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        high = os.dup2(server.fileno(), 50)
        env = {"LD_PRELOAD": str(library), "FAKE_LAUNCH_SOCKETS": "Listener1=3"}
        found = show(tmp_path, port, env, [high], ["Listener1", "Listener2"])
        os.close(high)
    assert found == {**EXPECTED, "count": 1, "known": 1}


def test_not_a_job_of_launchd(tmp_path: Path) -> None:
    found = show(tmp_path, 1, {"LD_PRELOAD": str(launch_library(tmp_path))}, [], ["Listener1"])
    assert found["count"] == 0
    found = show(tmp_path, 1, {}, [], ["Listener1"])  # this system has no such function
    assert found["count"] == 0


def launch_library(folder: Path) -> Path:
    """launch_activate_socket(3), for a system that has none."""
    library = folder / "launch.so"
    source = Path(__file__).parents[1] / "support" / "launchsocket.c"
    subprocess.run([program("cc"), "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    return library
