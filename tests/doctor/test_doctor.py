"""``doctor`` without servers: its sentences, and what it makes of settings, daemon, services and clocks.

Also doctor/run.py, doctor/repairs.py and cli/commands/doctor.py, as far as they need none.
"""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.cli.params import parse_up
from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.doctor.clock import clock_check
from openclaw_tunnel.doctor.gateway import probe_checks, remote_checks, where_to_set
from openclaw_tunnel.doctor.inputs import Asked, DaemonView, Plan
from openclaw_tunnel.doctor.local import (
    folder_checks,
    look_at_daemon,
    port_checks,
    tunnel_check,
    url_check,
    version_checks,
)
from openclaw_tunnel.doctor.render import first_step, summary, tables
from openclaw_tunnel.doctor.report import Finding, Outcome, Part, Remedy, Report, arrange, fault, ok, skipped, warning
from openclaw_tunnel.doctor.route import keys_checks, repair_of, way_checks
from openclaw_tunnel.doctor.service import (
    agent_check,
    agent_seen,
    installed,
    service_checks,
    service_options,
    service_state,
)
from openclaw_tunnel.doctor.settings import holds_secret, options_of, plan_of, settings_checks
from openclaw_tunnel.errors import TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.settings import load_openclaw
from openclaw_tunnel.service.manager import ManagerState
from openclaw_tunnel.service.systemd import Systemd
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.ssh.trace import Keys, Trace
from openclaw_tunnel.ui.renderables import drawn
from openclaw_tunnel.ui.tunnelrows import plain
from support.aio import async_test
from support.cli import Cli, environment
from support.faketool import Tool
from support.links import DirectLink
from support.oddanswers import HEALTHY, NOT_A_GATEWAY, UNREACHABLE, odd_gateway
from support.scripted import Script, error, json_answer, page, scripted
from support.sshtargets import make_target
from support.waiting import free_port

_DATE_NUMBERS = st.sampled_from(["0", "1", "22", "99", "9999", "99999", "-1", "", "x", "9" * 30])
NOW = datetime(2026, 11, 22, 6, 0, 0, tzinfo=UTC)
WELL = [ok(part, "well") for part in Part]
SECRET = "tok-7a61"
KEYS = Keys(1, "/id", False, "", True, None, ())


def asked(cli: Cli, **options: Any) -> Asked:
    """``doctor`` with these options, run by that user."""
    env = environment(cli.home, cli.env)
    return Asked(UpOptions(**options), env, Paths.from_env(env), parse_up, timeout=5.0)


def write(cli: Cli, gateway: Mapping[str, Any] | None = None, tunnels: Mapping[str, Any] | None = None) -> None:
    """openclaw.json and tunnels.json5."""
    if gateway is not None:
        folder = cli.home / ".openclaw"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "openclaw.json").write_text(json.dumps({"gateway": gateway}))
        (folder / "openclaw.json").chmod(0o600)
    if tunnels is not None:
        cli.tunnel_home.mkdir(mode=0o700, exist_ok=True)
        (cli.tunnel_home / "tunnels.json5").write_text(json.dumps({"tunnels": tunnels}))


def planned(cli: Cli, **options: Any) -> Plan:
    """The plan of a set-up that has one."""
    plan, findings = asyncio.run(plan_of(asked(cli, **options), DaemonView()))
    assert plan, findings
    return plan


def running(name: str = "lab", *, state: State = State.UP, listen: str = "127.0.0.1:4711", code: str = "") -> Snapshot:
    """A tunnel of the daemon."""
    forward = ForwardStatus(listen, "127.0.0.1:99", True)
    shown = Snapshot(name, state, "2026-11-22T06:00:00Z", "me@h:22", "me@h", (forward,))
    if not code:
        return shown
    return read(Snapshot, {**shown.to_json(), "failure": Failure(Code(code), "why not").to_json()})


def daemon(*tunnels: Snapshot, **about: Any) -> DaemonView:
    return DaemonView({"pid": 7, "version": "0", "services": {}, **about}, tunnels)


def outcomes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(str(finding.outcome), finding.code) for finding in findings]


# Words


def test_a_report_in_a_pipe_and_on_a_narrow_terminal() -> None:
    findings = [
        *WELL[:2],
        fault(Part.NAME, "the name\x1b[2J " + "is bad " * 12, "mend it", code="dns"),
        skipped(Part.ROUTE, "not checked"),
    ]
    report = arrange(findings)
    rows = told(report)
    assert rows[2] == ("name", "FAULT", "the name?[2J " + "is bad " * 12)
    assert rows[3] == ("", "hint", "mend it")
    assert rows[4][1] == "-"
    narrow = plain(tables(report), 60).splitlines()
    assert max(map(len, narrow)) <= 60
    assert sum("FAULT" in line for line in narrow) == 1
    assert narrow[-2:] == ["", "1 fault; begin with: name"]
    assert first_step(report) == "hint: mend it"
    coloured = drawn(tables(report), 60)
    assert "\x1b[31mFAULT" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured).splitlines() == narrow


def told(report: Report) -> list[tuple[str, str, str]]:
    """Name, mark and words of every line."""
    return [(row.columns[0][0].rstrip(), row.columns[1][0].rstrip(), row.text) for row in tables(report)[0]]


def test_what_the_other_side_said_stands_below_a_fault() -> None:
    failure = Failure(Code.PROXY, "no way", {"ssh": "gw"}, said="Loading\nerror: 403")
    (finding,) = way_checks(Trace(failure=failure), make_target())[-1:]
    rows = [line[1:] for line in told(arrange([*WELL, finding]))]
    at = rows.index(("FAULT", "no way"))
    assert rows[at + 1 : at + 3] == [("said", "Loading"), ("said", "error: 403")]
    assert rows[at + 3][0] == "hint"
    assert finding.to_json()["said"] == "Loading\nerror: 403"


def test_commands_can_be_copied_from_a_narrow_terminal() -> None:
    command = f"openclaw-tunnel trust -F /{'a' * 70}/config gw"
    report = arrange([*WELL, fault(Part.HOST_KEY, "unknown", f"remember the key: {command}", code="c")])
    for seen in (plain(tables(report), 60), drawn(tables(report), 60)):
        assert f"/{'a' * 70}/config" in seen, "no path is cut"
    assert first_step(report) == f"hint: remember the key: {command}"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "all is well"),
        ([warning(Part.SERVICE, "m", "h")], "all is well (1 warning)"),
        ([fault(Part.LOGIN, "m", "h", code="c")], "1 fault; begin with: login"),
        (
            [fault(Part.SERVICE, "m", "h", code="c"), fault(Part.LOCAL_PORT, "m", "h", code="c")]
            + [warning(Part.KEYS, "m", "h")] * 2,
            "2 faults, 2 warnings; begin with: local port",
        ),
    ],
)
def test_the_summary(more: list[Finding], words: str) -> None:
    assert summary(arrange([*WELL, *more])) == words


# The clock


@pytest.mark.parametrize(
    ("there", "outcome", "words"),
    [
        ("Sun, 22 Nov 2026 06:00:29 GMT", Outcome.OK, "agree"),
        ("Sun, 22 Nov 2026 06:00:31 GMT", Outcome.WARNING, "the clock here is 31s behind that of gw"),
        ("Sun, 22 Nov 2026 05:58:01 GMT", Outcome.WARNING, "1m 59s ahead of that of gw"),
        (
            "Sun, 22 Nov 2026 05:58:00 GMT",
            Outcome.FAULT,
            "2m ahead of that of gw: the gateway refuses what devices sign",
        ),
        ("Sun, 22 Nov 2026 07:00:00 +0100", Outcome.OK, "agree"),
        ("Sun, 22 Nov 2026 06:00:00 -0000", Outcome.OK, "agree"),
        ("", Outcome.SKIPPED, "the gateway does not tell the time"),
        ("yesterday", Outcome.SKIPPED, "the gateway does not tell the time"),
        ("Sun, 22 Nov 99999999999999999999 06:00:00 GMT", Outcome.SKIPPED, "the gateway does not tell the time"),
        ("Sun, 22 Nov 2026 06:00:00 +99999999999999999999", Outcome.SKIPPED, "the gateway does not tell the time"),
        ("Sun, 22 Nov 2026 06:00:00 GMT" + " " * 1000, Outcome.SKIPPED, "the gateway does not tell the time"),
        ("Mon, 01 Jan 0001 00:00:00 +2359", Outcome.FAULT, "ahead of that of gw"),
    ],
)
def test_two_clocks(there: str, outcome: Outcome, words: str) -> None:
    finding = clock_check(NOW, there, "gw", platform="linux")
    assert finding.outcome is outcome
    assert words in finding.message
    if outcome in (Outcome.WARNING, Outcome.FAULT):
        assert finding.hint.endswith("sudo timedatectl set-ntp true")
        assert "sntp" in clock_check(NOW, there, "gw", platform="darwin").hint


@given(
    st.text(max_size=40)
    | st.builds(
        lambda *parts: "{}, {} {} {} {}:{}:{} {}".format(*parts),
        *(st.sampled_from(["Sun", "", "Xyz"]), _DATE_NUMBERS, st.sampled_from(["Nov", "Jan", "13", ""]), _DATE_NUMBERS),
        *(_DATE_NUMBERS, _DATE_NUMBERS, _DATE_NUMBERS),
        st.sampled_from(["GMT", "+2359", "-9999", "+99999999999", "EST", "", "-0000"]),
    )
)
def test_any_date_is_compared_or_not(there: str) -> None:
    finding = clock_check(NOW, there, "gw", platform="linux")
    assert finding.outcome in Outcome
    assert finding.message.isprintable()


# Keys and the way


def test_keys() -> None:
    assert [c.message for c in keys_checks(KEYS)] == ["1 key to offer, the first is /id"]
    alone = replace(KEYS, offers=2, only_agent=True, agent="/a")
    assert keys_checks(alone)[0].message == "2 keys to offer, of the SSH agent alone"
    exposed = Failure(Code.KEY_EXPOSED, "open", {"key": "'/a b'"})
    trouble = keys_checks(replace(KEYS, troubles=(exposed,)))[1]
    assert (trouble.outcome, trouble.hint.endswith("chmod 600 '/a b'")) == (Outcome.WARNING, True)
    (none,) = keys_checks(replace(KEYS, shortage=exposed))
    assert (none.outcome, none.code) == (Outcome.FAULT, "key_exposed")
    assert none.repair
    assert (none.repair.remedy, none.repair.question) == (Remedy.CHMOD, "Let nobody else read /a b?")
    assert repair_of(Failure(Code.HOST_KEY_CHANGED, "changed", {"trust": "x"})) is None


@pytest.mark.parametrize(
    ("trace", "last", "name"),
    [
        (Trace(failure=Failure(Code.DNS, "m")), "name", None),
        (Trace(failure=Failure(Code.REFUSED, "m")), "route", "gw.example has an address"),
        (
            Trace("10.0.0.5:22", True, failure=Failure(Code.HOST_KEY_UNKNOWN, "m", {"target": "me@gw"})),
            "host_key",
            "is 10.0.0.5",
        ),
        (Trace("[fd00::5]:22", True, failure=Failure(Code.TIMEOUT, "m")), "server", "gw.example is fd00::5"),
        (Trace(failure=Failure(Code.CONFIG, "m", {"hint": "h"})), "ssh_config", None),
        (Trace(failure=Failure(Code.HOST_KEY_UNKNOWN, "of a jump host", {"target": "me@gw"})), "route", None),
        (Trace(failure=Failure(Code.AUTH_DENIED, "by a jump host")), "route", None),
        (Trace(failure=Failure(Code.TIMEOUT, "a jump host", {"stage": "exchanging keys"})), "route", None),
        (Trace(reached=True, failure=Failure(Code.FORWARDING_FORBIDDEN, "by a jump host")), "route", None),
        (Trace(reached=True, failure=Failure(Code.PROXY, "of ProxyCommand")), "route", None),
    ],
)
def test_a_way_that_ends(trace: Trace, last: str, name: str | None) -> None:
    findings = way_checks(trace, make_target(hostname="gw.example"))
    assert [finding.outcome for finding in findings[:-1]] == [Outcome.OK] * (len(findings) - 1)
    assert (str(findings[-1].part), findings[-1].outcome) == (last, Outcome.FAULT)
    if name:
        assert name in findings[0].message


def test_a_way_all_through() -> None:
    told = way_checks(Trace("127.0.0.1:22", True, "ED25519 x", "/id (ED25519 y)"), make_target())
    assert [finding.message for finding in told] == [
        "127.0.0.1 is an address",
        "127.0.0.1:22 accepts connections",
        "it speaks SSH",
        "known: ED25519 x",
        "as me, with /id (ED25519 y)",
    ]
    unreached = way_checks(Trace(failure=Failure(Code.NO_ROUTE, "m")), make_target(hostname="fd00::5"))
    assert unreached[0].message == "fd00::5 is an address"
    behind = way_checks(Trace(reached=True), make_target(hostname="gw", proxy_jump=("jump",)))
    assert behind[0].message == "gw is looked up on the way"


# Settings


def test_settings_that_can_be_used(cli: Cli) -> None:
    (none,) = settings_checks(asked(cli))
    assert none.message.startswith(f"neither {cli.home}/.openclaw/openclaw.json nor ")
    write(cli, {"remote": {"token": SECRET}}, {"default": {"target": "me@h"}})
    (well,) = settings_checks(asked(cli))
    assert well.message == f"{cli.home}/.openclaw/openclaw.json and {cli.tunnel_home}/tunnels.json5 can be used"


def test_settings_that_are_named_and_not_there(cli: Cli) -> None:
    cli.env["OPENCLAW_CONFIG_PATH"] = str(cli.home / "openclaw.json")
    _, lost = settings_checks(asked(cli))
    assert (lost.outcome, lost.hint) == (Outcome.WARNING, "mend it, or leave it out: unset OPENCLAW_CONFIG_PATH")
    assert lost.message == f"OPENCLAW_CONFIG_PATH names {cli.home}/openclaw.json, which is not there"
    (cli.home / "openclaw.json").write_text("{}")
    assert len(settings_checks(asked(cli))) == 1


def test_a_secret_that_others_can_read(cli: Cli) -> None:
    write(cli, {"remote": {"token": SECRET}})
    path = cli.home / ".openclaw" / "openclaw.json"
    path.chmod(0o640)
    finding = settings_checks(asked(cli))[1]
    assert (finding.outcome, finding.code, finding.hint) == (Outcome.WARNING, "secret_exposed", f"chmod 600 {path}")
    assert finding.repair
    assert finding.repair.subject == str(path)
    assert SECRET not in str(finding)
    write(cli, {"remote": {"token": "${TOKEN}"}})
    path.chmod(0o640)
    assert not holds_secret(load_openclaw(asked(cli).env))
    assert [finding.code for finding in settings_checks(asked(cli))] == ["", "config"], "TOKEN is not set"


def test_every_error_of_the_files(cli: Cli) -> None:
    write(cli, {"remote": {"tokn": 1}, "port": 0}, {"default": {"localport": 1}})
    findings = settings_checks(asked(cli))
    assert outcomes(findings) == [("fault", "config")] * 3
    assert [finding.message.rpartition(": ")[2].split()[0] for finding in findings] == [
        "tunnels.default.localport",
        "gateway.remote.tokn",
        "gateway.port",
    ]


def test_nobody_says_where_to(cli: Cli) -> None:
    settings = cli.home / ".openclaw" / "openclaw.json"
    plan, (finding,) = asyncio.run(plan_of(asked(cli), DaemonView()))
    assert plan is None
    assert (finding.part, finding.code) == (Part.SETTINGS, "no_destination")
    assert finding.message == f"no gateway host is given, and none is configured: there is no {settings}"
    assert finding.hint.startswith("set a tunnel up: openclaw-tunnel setup me@gateway-host, or ")
    write(cli, tunnels={"default": {}})
    plan, (finding,) = asyncio.run(plan_of(asked(cli), DaemonView()))
    assert (plan, finding.code) == (None, "config")
    assert finding.message.endswith(f"no gateway.remote.sshTarget: there is no {settings}")
    assert 'add to tunnels.default: target: "me@gateway-host"' in finding.hint
    write(cli, {})
    _, (finding,) = asyncio.run(plan_of(asked(cli), DaemonView()))
    assert finding.message.endswith("no gateway.remote.sshTarget")


def test_a_setting_that_cannot_be_meant_so(cli: Cli) -> None:
    """What is a matter of usage where it is typed is one of settings where a file says it."""
    write(cli, tunnels={"default": {"target": "me@h", "bind": "0.0.0.0"}})
    plan, (finding,) = asyncio.run(plan_of(asked(cli), DaemonView()))
    assert (plan, finding.part, finding.code) == (None, Part.SETTINGS, "config")
    assert "--allow-remote-clients" in finding.hint
    with pytest.raises(UsageError):
        asyncio.run(plan_of(asked(cli, target="me@h", bind="0.0.0.0"), DaemonView()))


def test_the_only_tunnel_that_runs_is_meant_where_nothing_else_says_so(cli: Cli) -> None:
    plan, _ = asyncio.run(plan_of(asked(cli), daemon(running())))
    assert plan
    assert (plan.resolved.spec.name, plan.resolved.spec.target) == ("lab", "me@h")
    main = plan.resolved.spec.main
    assert (str(main.listen), str(main.to)) == ("127.0.0.1:4711", "127.0.0.1:99")
    write(cli, tunnels={"work": {"target": "me@work"}})
    plan, _ = asyncio.run(plan_of(asked(cli), daemon(running())))
    assert plan
    assert plan.resolved.spec.target == "me@work"
    plan, _ = asyncio.run(plan_of(asked(cli, target="lab"), daemon(running())))
    assert plan
    assert plan.resolved.spec.target == "me@h"


def test_the_options_of_a_tunnel_that_runs() -> None:
    found = options_of(running(listen="/run/x.sock"), UpOptions(remote_port=5))
    assert (found.target, found.name, found.local_port, found.remote_port) == ("me@h", "lab", None, 5)


def test_a_key_file_that_is_not_there_is_a_matter_of_settings(cli: Cli) -> None:
    plan, (finding,) = asyncio.run(plan_of(asked(cli, target="me@h", identity="/nowhere/id"), DaemonView()))
    assert (plan, finding.part) == (None, Part.SETTINGS)
    assert "/nowhere/id (-i) does not exist" in finding.message


def test_what_ssh_config_says_and_is_not_done(cli: Cli) -> None:
    (cli.home / "ssh_config").write_text(
        "Host gw\n  HostName h.example\n  StrictHostKeyChecking accept-new\n  ProxyJump me@jump\n"
        "  LocalForward 8080 127.0.0.1:80\n  LocalForward 18789 127.0.0.1:18789\n  RemoteForward 1 127.0.0.1:2\n"
    )
    _, findings = asyncio.run(plan_of(asked(cli, target="gw"), DaemonView()))
    assert findings[0].message.endswith("@h.example:22, through me@jump")
    told = {finding.message: finding.hint for finding in findings[1:]}
    assert [finding.outcome for finding in findings[1:]] == [Outcome.WARNING] * 3
    hint = told[
        "StrictHostKeyChecking of ssh_config makes ssh accept host keys that are not known; "
        "here they are refused all the same"
    ]
    assert hint.endswith(f"openclaw-tunnel trust -F {cli.home}/ssh_config gw")
    assert told["RemoteForward of ssh_config is not opened: this program opens local forwards"].endswith(" gw")
    forward = next(hint for message, hint in told.items() if message.startswith("LocalForward "))
    assert forward == "to open it: -L localhost:8080:127.0.0.1:80"


# The gateway


def probed(failed: str = "", code: str = "x", verdict: str = "unreachable") -> list[Finding]:
    names = ("channel", "http", "handshake", "credentials", "scopes")
    layers = [{"name": n, "outcome": "failed" if n == failed else "ok", "text": f"{n} is well"} for n in names]
    failure = {"code": code, "message": "m", "hint": "h"} if failed else None
    sent = {"token": "gateway.remote.token", "password": None}
    common = {"version": "2026.9.6", "ms": 12.3, "gateway": "127.0.0.1:9", "credentials": sent}
    return list(probe_checks({"layers": layers, "failure": failure, "verdict": verdict, **common}))


def test_what_a_probe_says() -> None:
    gateway, credentials = probed()
    assert gateway.message == "OpenClaw 2026.9.6 answers on 127.0.0.1:9, 12 ms"
    assert credentials.message == "credentials is well (gateway.remote.token)"
    assert outcomes(probed("http", "not_a_gateway")) == [("fault", "not_a_gateway")]
    assert outcomes(probed("handshake", "protocol_mismatch")) == [("fault", "protocol_mismatch")]
    for layer in ("credentials", "scopes"):
        findings = probed(layer, "auth_failed")
        assert outcomes(findings) == [("ok", ""), ("fault", "auth_failed")]
        assert findings[1].part is Part.CREDENTIALS
    starting = probed("http", "gateway_starting", "starting")
    assert outcomes(starting) == [("warning", "gateway_starting"), ("skipped", "")]


def test_where_the_port_is_to_be_set(cli: Cli) -> None:
    write(cli, {"remote": {"sshTarget": "me@h", "remotePort": 1}})
    assert where_to_set(planned(cli), 9) == "tell it to the tunnel: openclaw config set gateway.remote.remotePort 9"
    assert where_to_set(planned(cli, remote_port=2), 9) == "give that port: -r 9"
    write(cli, tunnels={"default": {"remotePort": 3}})
    assert where_to_set(planned(cli), 9) == (
        f"in {cli.tunnel_home}/tunnels.json5, write for tunnel default: remotePort: 9"
    )


@async_test
async def test_the_far_end(tmp_path: Path) -> None:
    """A clock that is wrong, credentials that are, a port that is, and a link that breaks."""
    with Cli() as cli:
        date = json_answer(200, {"ok": True, "status": "live"})
        date.headers["Date"] = "Sun, 22 Nov 2020 06:00:00 GMT"
        script = Script(answer=error("INVALID_REQUEST", "no", {"code": "AUTH_TOKEN_MISMATCH"}), close=(1008, ""))
        script.http["/healthz"] = date
        web = Script(http={"/healthz": page()})
        async with scripted(script) as to, scripted(web) as other:
            write(cli, {"remote": {"sshTarget": "me@h", "token": SECRET, "url": f"ws://127.0.0.1:{to.port}"}})
            plan, _ = await plan_of(asked(cli, remote_port=to.port), DaemonView())
            assert plan
            link = DirectLink()
            findings, version = await remote_checks(link, plan, asked(cli))
            assert [(str(c.part), str(c.outcome), c.code) for c in findings] == [
                ("forwarding", "ok", ""),
                ("gateway", "ok", ""),
                ("credentials", "fault", "auth_failed"),
                ("clock", "fault", "clock"),
            ]
            assert version == "2026.9.6"
            assert findings[2].hint.endswith("openclaw config set gateway.remote.token VALUE"), "no option of probe"
            plan, _ = await plan_of(asked(cli, remote_port=other.port), DaemonView())
            assert plan
            findings, _ = await remote_checks(link, plan, asked(cli))
            assert (findings[1].code, findings[1].hint) == ("not_a_gateway", f"give that port: -r {to.port}")
            assert findings[1].message.endswith(f"; the gateway of me@h answers on port {to.port}")
            plan, _ = await plan_of(asked(cli, remote_port=free_port()), DaemonView())
            assert plan
            findings, _ = await remote_checks(link, plan, asked(cli))
            assert (findings[1].code, findings[1].hint) == ("not_listening", f"give that port: -r {to.port}")
            link.refuse = Failure(Code.FORWARDING_FORBIDDEN, "forbidden", {"to": "x"})
            assert outcomes((await remote_checks(link, plan, asked(cli)))[0]) == [("fault", "forwarding_forbidden")]
            link.lose()
            assert outcomes((await remote_checks(link, plan, asked(cli)))[0]) == [("fault", "lost")]


@async_test
async def test_odd_answers_are_findings() -> None:
    """Each has its line; none is a bug of this program."""
    with Cli() as cli:
        write(cli, {"remote": {"sshTarget": "me@h", "token": SECRET}})
        link = DirectLink()
        for name, says in {**NOT_A_GATEWAY, **UNREACHABLE, **HEALTHY}.items():
            async with odd_gateway() as (gateway, to):
                gateway.says = says
                plan, _ = await plan_of(asked(cli, remote_port=to.port), DaemonView())
                assert plan
                findings, _ = await remote_checks(link, plan, asked(cli))
            assert findings[0].outcome is Outcome.OK, name
            assert [finding.code for finding in findings if finding.outcome is Outcome.FAULT] in (
                ["not_a_gateway"],
                ["gateway_unreachable"],
            ), name


@async_test
async def test_what_is_not_asked_for_is_not_asked() -> None:
    with Cli() as cli:
        async with scripted(Script()) as to:
            link = DirectLink()
            for probe, expected in (("none", ["skipped"] * 4), ("tcp", ["ok", *["skipped"] * 3])):
                write(cli, tunnels={"default": {"target": "me@h", "probe": probe, "remotePort": to.port}})
                plan, _ = await plan_of(asked(cli), DaemonView())
                assert plan
                findings, _ = await remote_checks(link, plan, asked(cli))
                assert [str(finding.outcome) for finding in findings] == expected
            await link.close()


# This computer


def port_check(plan: Plan, daemon: DaemonView, state: ManagerState | None) -> Finding:
    """The check of the only forward."""
    (finding,) = port_checks(plan, daemon, state)
    return finding


def test_a_forward_beside_the_main_one(cli: Cli) -> None:
    """`up` would fail because of it."""
    port, further = free_port(), free_port()
    listen = f"127.0.0.1:{further}"
    write(cli, tunnels={"default": {"target": "me@h", "localPort": port, "forwards": [f"{further}:127.0.0.1:80"]}})
    plan = planned(cli)
    assert [finding.message for finding in port_checks(plan, DaemonView(), None)] == [f"127.0.0.1:{port} is free"]
    assert outcomes(list(port_checks(plan, daemon(running("default", listen=listen)), None))) == [("ok", "")]
    *_, other = port_checks(plan, daemon(running("lab", listen=listen)), None)
    assert other.message == f"local port {listen} is in use by tunnel lab"
    with socket.create_server(("127.0.0.1", further)):
        *_, taken = port_checks(plan, DaemonView(), None)
        assert (taken.outcome, taken.code) == (Outcome.FAULT, "port_in_use")
        assert taken.message.startswith(f"local port {listen} is in use by pid {os.getpid()}")
        assert taken.hint.endswith("give that forward another port (forwards in tunnels.json5, or -L)")
        held = ManagerState(True, True, False, None, "socket listens", holds_ports=True)
        assert outcomes(list(port_checks(plan, DaemonView(), held))) == [("ok", "")]


def test_the_local_port(cli: Cli) -> None:
    port = free_port()
    plan = planned(cli, target="me@h", local_port=port)
    listen = f"127.0.0.1:{port}"
    assert port_check(plan, DaemonView(), None).message == f"{listen} is free"
    own = daemon(replace(running("default", listen=listen), target=plan.resolved.spec.address))
    assert port_check(plan, own, None).message == f"{listen} is the running tunnel's"
    other = port_check(plan, daemon(running("lab", listen=listen)), None)
    assert (other.code, other.hint.startswith("close it: openclaw-tunnel down lab, or ")) == ("port_in_use", True)
    with socket.create_server(("127.0.0.1", port)):
        taken = port_check(plan, DaemonView(), None)
        assert (taken.outcome, taken.code) == (Outcome.FAULT, "port_in_use")
        assert f"local port {listen} is in use by pid {os.getpid()}" in taken.message
        held = ManagerState(True, True, False, None, "socket listens", holds_ports=True)
        assert port_check(plan, DaemonView(), held).outcome is Outcome.OK
    auto = planned(cli, target="me@h", local_port="auto")
    assert port_check(auto, DaemonView(), None).message == "the tunnel takes a free one"
    assert port_check(auto, daemon(running("default")), None).message == "127.0.0.1:4711 is the running tunnel's"


def test_the_other_loopback_address_is_taken(cli: Cli) -> None:
    port = free_port()
    try:
        taken = socket.create_server(("::1", port), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with taken:
        finding = port_check(planned(cli, target="me@h", local_port=port), DaemonView(), None)
    assert (finding.outcome, finding.code) == (Outcome.WARNING, "port_in_use")
    assert f"127.0.0.1:{port} is free; local port [::1]:{port} is in use by pid " in finding.message


@pytest.mark.parametrize(
    ("tunnel", "way_is_well", "outcome", "words"),
    [
        (None, True, Outcome.SKIPPED, "lab does not run; to open it: openclaw-tunnel up -d lab"),
        (running(), True, Outcome.OK, "lab is up for "),
        (running(), False, Outcome.OK, "lab is up for "),
        (running(state=State.BACKOFF, code="refused"), False, Outcome.SKIPPED, "why not (that is no news: see above)"),
        (running(state=State.CONNECTING), True, Outcome.WARNING, "lab is connecting for "),
        (running(state=State.FAILED, code="key_locked"), True, Outcome.FAULT, "the daemon (pid 7) sees it otherwise"),
        (running("other"), True, Outcome.SKIPPED, "lab does not run (running: other)"),
    ],
)
def test_what_the_daemon_sees(tunnel: Snapshot | None, way_is_well: bool, outcome: Outcome, words: str) -> None:
    opener = "openclaw-tunnel up -d lab"
    finding = tunnel_check("lab", daemon(*([tunnel] if tunnel else [])), "", way_is_well=way_is_well, opener=opener)
    assert finding.outcome is outcome
    assert words in finding.message
    if outcome is Outcome.FAULT:
        assert (finding.code, finding.hint) == ("key_locked", "let it connect anew: openclaw-tunnel restart lab")
        assert finding.repair
        assert (finding.repair.remedy, finding.repair.subject) == (Remedy.RESTART_TUNNEL, "lab")


def test_a_tunnel_that_nothing_would_open() -> None:
    assert tunnel_check("lab", daemon(), "", way_is_well=False).message == "lab does not run"


def test_a_tunnel_of_that_name_that_leads_elsewhere() -> None:
    assert tunnel_check("lab", daemon(running()), "me@h:22", way_is_well=True).outcome is Outcome.OK
    finding = tunnel_check("lab", daemon(running()), "me@other:22", way_is_well=True)
    assert (finding.outcome, finding.message) == (Outcome.SKIPPED, "lab runs, and leads to me@h:22")


def test_openclaw_looks_for_the_gateway_on_another_port(cli: Cli) -> None:
    remote = {"url": "ws://127.0.0.1:18789", "sshTarget": "me@h"}
    write(cli, {"mode": "remote", "remote": remote})
    assert url_check(planned(cli), asked(cli)) is None
    write(cli, tunnels={"default": {"localPort": 4711}})
    finding = url_check(planned(cli), asked(cli))
    assert finding
    assert (finding.part, finding.outcome) == (Part.LOCAL_PORT, Outcome.WARNING)
    assert finding.hint == "tell OpenClaw: openclaw config set gateway.remote.url ws://127.0.0.1:4711"
    assert url_check(planned(cli, target="me@other"), asked(cli, target="me@other")) is None
    write(cli, {"mode": "local", "remote": remote})
    assert url_check(planned(cli), asked(cli)) is None
    write(cli, {"mode": "remote", "remote": {**remote, "url": "wss://gateway.example"}})
    assert url_check(planned(cli), asked(cli)) is None
    write(cli, {"mode": "remote", "remote": {"sshTarget": "me@h"}})
    assert url_check(planned(cli), asked(cli)) is None


def test_a_daemon_that_hangs(cli: Cli) -> None:
    view = DaemonView(trouble=TunnelError("the daemon does not answer", hint="kill -9 7"))
    finding = tunnel_check("lab", view, "me@h:22", way_is_well=True)
    assert (finding.outcome, finding.code, finding.hint) == (Outcome.FAULT, "daemon", "kill -9 7")
    port = port_check(planned(cli, target="me@h"), view, None)
    assert (port.outcome, port.message) == (Outcome.SKIPPED, "not checked: because of tunnel")
    assert look_at_daemon(asked(cli)) == DaemonView()


def test_folders_that_a_tunnel_could_not_use(cli: Cli) -> None:
    assert list(folder_checks(asked(cli).paths)) == []
    assert not cli.tunnel_home.exists(), "nothing is made"
    cli.tunnel_home.mkdir(mode=0o700)
    assert list(folder_checks(asked(cli).paths)) == []
    cli.tunnel_home.rmdir()
    cli.tunnel_home.touch()
    (finding,) = folder_checks(asked(cli).paths)
    assert (finding.part, finding.outcome, finding.code) == (Part.TUNNEL, Outcome.FAULT, "config")
    assert finding.message == f"{cli.tunnel_home} is not a folder"
    within = f"{cli.tunnel_home}/t"
    cli.env["OPENCLAW_TUNNEL_HOME"] = within  # nobody can make a folder in a file, not even root
    (finding,) = folder_checks(asked(cli).paths)
    assert finding.message == f"folder {within} cannot be made: {cli.tunnel_home} cannot be written to"
    assert finding.hint == f"let yourself write there (ls -ld {cli.tunnel_home} says whose it is)"


def test_ctrl_c_while_a_daemon_hangs(cli: Cli) -> None:
    paths = Paths.from_env(asked(cli).env)
    paths.socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(paths.socket_path))
        daemon.listen()
        daemon.settimeout(20)
        doctor = cli.start("doctor")
        connection, _ = daemon.accept()
        with connection:
            doctor.signal_all(signal.SIGINT)
            assert doctor.wait(60) == 130, doctor.output()


@pytest.fixture
def systemctl(cli: Cli) -> Tool:
    """A systemctl and a loginctl that only answer, and a unit."""
    folder = cli.home / "bin"
    folder.mkdir()
    cli.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    Tool(folder, "loginctl").answer(show_user=(0, "no\n", ""))
    units = cli.home / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "openclaw-tunnel@lab.service").touch()
    return Tool(folder)


def test_no_service(cli: Cli, systemctl: Tool) -> None:
    _, state, finding = service_state("work", asked(cli, target="gw", name="work", remote_port=5))
    assert state is None
    assert finding
    command = "openclaw-tunnel service install gw --name work --remote-port 5"
    assert finding.message == f"none for work (there is one for: lab); to have it at every login: {command}"
    systemctl.answer(show=(1, "", "Failed to connect to bus: No such file"))
    _, _, finding = service_state("lab", asked(cli))
    assert finding
    assert (finding.outcome, finding.code) == (Outcome.WARNING, "service")


def test_a_service(cli: Cli, systemctl: Tool) -> None:
    systemctl.answer(show=(0, "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=1\n", ""))
    env = asked(cli).env
    manager, state, _ = service_state("lab", asked(cli))
    assert manager
    assert state
    assert installed("lab", manager, env) is None
    down, linger = service_checks("lab", manager, state, env)
    assert (down.outcome, down.hint) == (Outcome.FAULT, "start it: openclaw-tunnel service start lab")
    assert (linger.outcome, linger.hint) == (Outcome.WARNING, "loginctl enable-linger")
    assert [finding.repair.remedy for finding in (down, linger) if finding.repair] == [
        Remedy.START_SERVICE,
        Remedy.LINGER,
    ]
    Tool(cli.home / "bin", "loginctl").answer(show_user=(0, "yes\n", ""))
    (well,) = service_checks("lab", manager, ManagerState(True, True, True, 7, "active (running)"), env)
    assert well.message == "systemd: active (running)"


def test_what_a_service_was_installed_with(cli: Cli, systemctl: Tool) -> None:
    here = asked(cli)
    folder = cli.home / ".config" / "systemd" / "user"
    assert service_options("lab", here) is None, "an empty unit is not ours"
    assert service_options("default", here) is None
    run = f"ExecStart={cli.home}/gone/openclaw-tunnel service run"
    (folder / "openclaw-tunnel@lab.service").write_text(f"{run} me@h --name lab --local-port 4711\n")
    kept = service_options("lab", here)
    assert kept == UpOptions(target="me@h", name="lab", local_port=4711)
    for named in ({"target": "lab"}, {"name": "lab"}):
        plan, _ = asyncio.run(plan_of(asked(cli, **named, remote_port=5), DaemonView(), kept))
        assert plan
        spec = plan.resolved.spec
        assert (spec.name, spec.target, spec.main.listen.port, spec.main.to.port) == ("lab", "me@h", 4711, 5)
    (folder / "openclaw-tunnel@lab.service").write_text(f"{run} --nonsense\n")
    assert service_options("lab", here) is None
    (folder / "openclaw-tunnel@lab.service").unlink()
    (folder / "openclaw-tunnel@.service").write_text(f"{run} --name %i\n")
    found = installed("lab", Systemd(here.env), here.env)
    assert found
    assert found.arguments == ("--name", "lab")


def test_a_service_whose_program_is_gone(cli: Cli, systemctl: Tool) -> None:
    env = asked(cli).env
    unit = cli.home / ".config" / "systemd" / "user" / "openclaw-tunnel@lab.service"
    unit.write_text(f"ExecStart={cli.home}/gone/openclaw-tunnel service run me@h --name lab\n")
    finding = next(service_checks("lab", Systemd(env), ManagerState(True, True, True, 7, "active"), env))
    assert (finding.outcome, finding.repair) == (Outcome.FAULT, None)
    assert finding.message == f"the service of lab runs {cli.home}/gone/openclaw-tunnel, which is not there any more"
    assert finding.hint == "install it anew: openclaw-tunnel service install me@h --name lab"


def test_the_agent_that_a_service_sees(cli: Cli, systemctl: Tool) -> None:
    manager, env = Systemd(asked(cli).env), asked(cli).env
    keys = replace(KEYS, only_agent=True, agent="/run/me/agent")
    systemctl.answer(show_environment=(0, "LANG=C\n", ""))
    assert agent_seen(manager, KEYS, env) is None, "a key file will do"
    assert agent_seen(manager, replace(keys, agent_is_session=False), env) is None, "ssh_config names the agent"
    assert agent_seen(manager, keys, env) == ""
    systemctl.answer(show_environment=(0, "SSH_AUTH_SOCK=/run/me/agent\n", ""))
    assert agent_seen(manager, keys, env) is None
    lacks = Failure(Code.AUTH_DENIED, "no key")
    finding = agent_check("lab", manager, "/other", lacks, keys)
    assert finding.message.endswith("systemd gives it the SSH agent /other, not /run/me/agent")
    assert finding.hint.startswith(
        "systemctl --user import-environment SSH_AUTH_SOCK; openclaw-tunnel service restart lab; "
    )


def test_versions(cli: Cli) -> None:
    env = asked(cli).env
    (same,) = version_checks(DaemonView(), env, "", "")
    assert "; there:" not in same.message
    assert "OpenSSH_" in same.message
    kept = daemon(version="0.0.1", installed="0.0.2", services={"default": {"unit": "u"}})
    well, old = version_checks(kept, env, "OpenSSH_9", "2026.9.6")
    assert well.message.endswith("; there: OpenSSH_9, OpenClaw 2026.9.6")
    assert old.message == "version 0.0.2 is installed, and 0.0.1 still runs (pid 7)"
    assert old.hint == "to change: openclaw-tunnel service restart"
    assert old.repair
    assert old.repair.remedy is Remedy.RESTART_SERVICE
    _, by_hand = version_checks(daemon(version="0.0.1", installed="0.0.2"), env, "", "")
    assert (by_hand.repair, by_hand.hint) == (None, "to change: openclaw-tunnel down --all, then up -d")


# The command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--yes"], "--yes goes with --fix"),
        (["--fix"], "what to repair must be asked, and there is no terminal"),
        (["--timeout", "0"], "timeout"),
        (["-L", "1:h:2"], "-L"),
    ],
)
def test_called_the_wrong_way(cli: Cli, arguments: list[str], words: str) -> None:
    answer = cli("doctor", *arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert words in answer.stderr
    answer = cli("doctor", *arguments, "--json")
    assert (answer.exit_code, answer.stderr) == (2, "")
    assert set(answer.json()) == {"version", "ok", "checks", "first_fault", "failure"}
    assert answer.json()["ok"] is False


def test_which_of_several_tunnels(cli: Cli) -> None:
    write(cli, tunnels={"a": {"target": "me@a"}, "b": {"target": "me@b"}})
    answer = cli("doctor")
    assert answer.exit_code == 2
    assert "has several tunnels" in answer.stderr


def test_nothing_is_set_up(cli: Cli) -> None:
    answer = cli("doctor", "--json")
    assert (answer.exit_code, answer.stderr) == (1, "")
    found = answer.json()
    assert (found["version"], found["ok"], found["first_fault"]["code"]) == (1, False, "no_destination")
    assert [finding["name"] for finding in found["checks"]] == [str(part) for part in Part]
    assert {tuple(finding) for finding in found["checks"]} == {
        ("name", "outcome", "message", "hint", "code", "fix", "said")
    }
    answer = cli("doctor", "--fix", "--yes")
    assert (answer.exit_code, answer.stderr) == (1, "")
    assert f"\n1 fault; begin with: settings\n\nhint: {found['first_fault']['hint']}\n" in answer.stdout
