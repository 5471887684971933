"""The snapshot, field for field as the contract of ``status --json`` has it."""

import json
from dataclasses import replace
from typing import Any

from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import (
    ByteCounts,
    ClientCounts,
    Counters,
    DaemonInfo,
    FailureStatus,
    ForwardStatus,
    GatewayStatus,
    PastFailure,
    RetryStatus,
    Role,
    Snapshot,
    SshStatus,
    Verdict,
    Was,
    report,
)

SNAPSHOT = Snapshot(
    name="default",
    state=State.UP,
    since="2026-11-22T06:00:01Z",
    target="me@gateway.example:22",
    alias="gateway",
    forwards=(
        ForwardStatus(
            "127.0.0.1:18789",
            "127.0.0.1:18789",
            True,
            ClientCounts(2, 0, 17),
            ByteCounts(sent=1200, received=98000),
            also=("[::1]:18789",),
        ),
    ),
    ssh=SshStatus(True, "OpenSSH_9.2p1", "aes128-gcm@openssh.com", 21.4, (22.0, 21.4)),
    gateway=GatewayStatus(Verdict.HEALTHY, "2026.9.6", 24.0),
    retry=RetryStatus(),
    counters=Counters(3, 2, 5),
    last_failure=PastFailure(Was.LOST, "lost", "the connection was lost", "wait", "2026-11-22T05:59:00Z", 61.2),
)

CONTRACT: dict[str, Any] = {
    "version": 1,
    "daemon": {
        "pid": 4242,
        "started_at": "2026-11-22T06:00:00Z",
        "version": "0.1.0",
        "installed": "0.2.0",
        "services": {"default": {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}},
    },
    "tunnels": [
        {
            "name": "default",
            "state": "up",
            "since": "2026-11-22T06:00:01Z",
            "target": "me@gateway.example:22",
            "alias": "gateway",
            "forwards": [
                {
                    "listen": "127.0.0.1:18789",
                    "to": "127.0.0.1:18789",
                    "listening": True,
                    "clients": {"open": 2, "waiting": 0, "total": 17},
                    "bytes": {"sent": 1200, "received": 98000},
                    "role": "forward",
                    "also": ["[::1]:18789"],
                    "note": None,
                }
            ],
            "ssh": {
                "connected": True,
                "server": "OpenSSH_9.2p1",
                "cipher": "aes128-gcm@openssh.com",
                "rtt_ms": 21.4,
                "rtt_recent_ms": [22.0, 21.4],
            },
            "gateway": {
                "verdict": "healthy",
                "version": "2026.9.6",
                "latency_ms": 24.0,
                "detail": None,
                "expected_in_s": None,
            },
            "retry": {
                "attempt": 0,
                "next_in_s": None,
                "flapping": False,
                "on": [],
                "files": [],
                "agent": None,
            },
            "counters": {"connects": 3, "losses": 2, "held_clients": 5},
            "failure": None,
            "down_since": None,
            "last_failure": {
                "was": "lost",
                "code": "lost",
                "message": "the connection was lost",
                "hint": "wait",
                "at": "2026-11-22T05:59:00Z",
                "lasted_s": 61.2,
            },
            "asks": None,
        }
    ],
}


def test_the_contract_field_for_field() -> None:
    services = {"default": {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}}
    made = report(DaemonInfo(4242, "2026-11-22T06:00:00Z", "0.1.0", "0.2.0", services), [SNAPSHOT])
    assert json.loads(json.dumps(made)) == CONTRACT


def test_no_daemon() -> None:
    assert report(None, []) == {"version": 1, "daemon": None, "tunnels": []}


def test_a_snapshot_survives_the_wire() -> None:
    failure = FailureStatus("dns", "no such name", "check it", False, 20, "2026-11-22T06:00:01Z")
    for snapshot in (SNAPSHOT, Snapshot("n", State.FAILED, "t", "a@b:22", "b", (), failure=failure)):
        assert read(Snapshot, json.loads(json.dumps(snapshot.to_json()))) == snapshot


def test_fields_of_a_newer_daemon_are_passed_over() -> None:
    data = json.loads(json.dumps(SNAPSHOT.to_json()))
    data["new"] = 1
    data["ssh"]["new"] = data["last_failure"]["new"] = 1
    data["forwards"][0]["clients"]["new"] = 1
    data["forwards"][0]["role"] = "new"
    assert read(Snapshot, data) == SNAPSHOT


def test_a_daemon_that_knows_of_one_address_only() -> None:
    data = json.loads(json.dumps(SNAPSHOT.to_json()))
    for key in ("role", "also", "note"):
        del data["forwards"][0][key]
    (forward,) = read(Snapshot, data).forwards
    assert (forward.role, forward.also, forward.note) == (Role.FORWARD, (), None)


def test_a_forward_of_another_role_survives_the_wire() -> None:
    sandbox = replace(SNAPSHOT.forwards[0], listening=False, role=Role.SANDBOX, also=(), note="in use")
    snapshot = replace(SNAPSHOT, forwards=(*SNAPSHOT.forwards, sandbox))
    data = json.loads(json.dumps(snapshot.to_json()))
    assert data["forwards"][1]["role"] == "sandbox"
    assert read(Snapshot, data) == snapshot


def test_a_daemon_that_remembers_nothing_and_one_that_knows_more_kinds_of_trouble() -> None:
    data = json.loads(json.dumps(SNAPSHOT.to_json()))
    data["last_failure"]["was"] = "eaten"
    assert read(Snapshot, data) == replace(SNAPSHOT, last_failure=None)
    del data["last_failure"], data["ssh"]["rtt_recent_ms"]
    shown = read(Snapshot, data)
    assert (shown.last_failure, shown.ssh.rtt_recent_ms) == (None, ())
