"""Who has the port, and the next step for each sort of program; a table of facts and words."""

from dataclasses import replace

import pytest

from openclaw_tunnel.host.ports.explain import Around, Kind, explain, is_gateway
from openclaw_tunnel.host.ports.launchagents import LaunchAgent
from openclaw_tunnel.host.ports.listeners import Holder, Process

ME = Around(pid=1, user="me")
SSH = ("/usr/bin/ssh", "-N", "remote-gateway")
AGENT = LaunchAgent("ai.openclaw.ssh-tunnel", "gui/501", SSH, "/Users/me/Library/LaunchAgents/a.plist")
OLD = LaunchAgent("com.openclaw.ssh-tunnel", "user/501", pid=42)
KILL = "end it: kill 42 (where it comes back, a service or a loop starts it: stop that)"
DOWN = "openclaw-tunnel down NAME"


def holder(*arguments: str, user: str = "me", parent: tuple[str, ...] = (), home: str | None = None) -> Holder:
    return Holder(42, "x", user, arguments, Process(41, parent) if parent else None, home)


CASES: dict[str, tuple[Holder, Around, Kind, str]] = {
    "a gateway by its title": (
        holder("openclaw-gateway"),
        ME,
        Kind.GATEWAY,
        "stop that gateway: openclaw gateway stop",
    ),
    "a gateway that starts": (
        holder("/usr/bin/node", "/opt/openclaw/dist/index.js", "gateway", "--port", "18789"),
        ME,
        Kind.GATEWAY,
        "stop that gateway: openclaw gateway stop",
    ),
    "a gateway of somebody else": (
        holder("openclaw-gateway", user="bob"),
        ME,
        Kind.GATEWAY,
        "ask bob, or as root stop that gateway: openclaw gateway stop",
    ),
    "a program of node": (holder("node", "server.js", "gateway"), ME, Kind.OTHER, "stop that program"),
    "a LaunchAgent by its arguments": (
        holder(*SSH),
        replace(ME, agents=(AGENT,)),
        Kind.LAUNCH_AGENT,
        "end that LaunchAgent: launchctl bootout gui/501/ai.openclaw.ssh-tunnel "
        "(while /Users/me/Library/LaunchAgents/a.plist is there it comes back at the next login)",
    ),
    "a LaunchAgent by its process": (
        holder("ssh", "-N", "edited-since"),
        replace(ME, agents=(AGENT, OLD)),
        Kind.LAUNCH_AGENT,
        "end that LaunchAgent: launchctl bootout user/501/com.openclaw.ssh-tunnel",
    ),
    "autossh of a LaunchAgent": (
        holder("/usr/bin/ssh", "-L", "1:b:2", "gw", parent=("autossh", "-M", "0", "gw")),
        replace(ME, agents=(replace(OLD, pid=41),)),
        Kind.LAUNCH_AGENT,
        "end that LaunchAgent: launchctl bootout user/501/com.openclaw.ssh-tunnel",
    ),
    "ssh that is no LaunchAgent's": (holder("ssh", "-N", "other"), replace(ME, agents=(AGENT,)), Kind.SSH, KILL),
    "ssh by hand": (holder("ssh", "-L", "18789:127.0.0.1:18789", "gw", parent=("-bash",)), ME, Kind.SSH, KILL),
    "ssh that shares a connection": (holder("ssh: /home/me/.ssh/cm-gw [mux]"), ME, Kind.SSH, KILL),
    "ssh to a host called gateway": (holder("ssh", "-F", "/me/openclaw/config", "gateway"), ME, Kind.SSH, KILL),
    "ssh of somebody else": (holder("ssh", "gw", user="bob"), ME, Kind.SSH, f"ask bob, or as root {KILL}"),
    "ssh of autossh": (
        holder("/usr/bin/ssh", "-N", "gw", parent=("/usr/lib/autossh/autossh", "-M", "0", "gw")),
        ME,
        Kind.SSH,
        "end the autossh that keeps it: kill 41",
    ),
    "ssh of OpenClaw's app": (
        holder("/usr/bin/ssh", "-N", "gw", parent=("/Applications/OpenClaw.app/Contents/MacOS/OpenClaw",)),
        ME,
        Kind.OPENCLAW_APP,
        "let the app end it: quit it, or its remote mode",
    ),
    "another tunnel": (
        holder("/usr/bin/python3.11", "-m", "openclaw_tunnel", "daemon", home="/a b"),
        ME,
        Kind.TUNNEL,
        f"close that tunnel: OPENCLAW_TUNNEL_HOME='/a b' {DOWN} "
        "(OPENCLAW_TUNNEL_HOME='/a b' openclaw-tunnel status tells the name)",
    ),
    "another tunnel, installed, with the usual folders": (
        holder("/v/bin/python", "/v/bin/openclaw-tunnel", "up", "gw"),
        ME,
        Kind.TUNNEL,
        f"close that tunnel: {DOWN} (openclaw-tunnel status tells the name)",
    ),
    "another tunnel, we have folders of our own": (
        holder("openclaw-tunnel", "up", "gw"),
        replace(ME, tunnel_home="/t"),
        Kind.TUNNEL,
        f"close that tunnel: env -u OPENCLAW_TUNNEL_HOME {DOWN} "
        "(env -u OPENCLAW_TUNNEL_HOME openclaw-tunnel status tells the name)",
    ),
    "another tunnel of somebody else": (
        holder("python3", "-m", "openclaw_tunnel", "daemon", user="bob"),
        ME,
        Kind.TUNNEL,
        "ask bob to close it",
    ),
    "this process": (
        replace(holder("python3", "-m", "openclaw_tunnel", "daemon"), pid=1),
        ME,
        Kind.OURSELVES,
        "see which, and close it: openclaw-tunnel status",
    ),
    "systemd, for a service that waits for its first client": (
        holder("/lib/systemd/systemd", "--user"),
        replace(ME, answers=True),
        Kind.MANAGER,
        "if it is the tunnel's own (openclaw-tunnel service status), open it: openclaw-tunnel service start",
    ),
    "somebody's whom the system hides": (
        Holder(None, user="bob"),
        ME,
        Kind.HIDDEN,
        "see which program it is: sudo lsof -nP -sTCP:LISTEN -iTCP:18789",
    ),
    "anything else": (holder("nginx"), ME, Kind.OTHER, "stop that program"),
    "nothing known of it": (holder(), ME, Kind.OTHER, "stop that program"),
}


@pytest.mark.parametrize(("facts", "around", "kind", "step"), CASES.values(), ids=CASES)
def test_each_sort_has_its_own_next_step(facts: Holder, around: Around, kind: Kind, step: str) -> None:
    found = explain(facts, 18789, around)
    assert (found.kind, found.step) == (kind, step)


WORDS: dict[str, tuple[Holder, Around, str]] = {
    "gateway": (holder("openclaw-gateway"), ME, "pid 42 (x) of me: an OpenClaw gateway of this computer"),
    "agent": (
        holder(*SSH),
        replace(ME, agents=(AGENT,)),
        "pid 42 (x) of me, kept by the LaunchAgent ai.openclaw.ssh-tunnel",
    ),
    "ssh": (holder("ssh", "gw"), ME, "pid 42 (x) of me"),
    "tunnel": (holder("openclaw-tunnel"), ME, "pid 42 (x) of me: another openclaw-tunnel"),
    "hidden": (Holder(None, user="bob"), ME, "a process of bob whose id the system hides"),
    "a gateway in a container": (
        holder("/usr/bin/docker-proxy", user="root"),
        replace(ME, answers=True),
        "pid 42 (x) of root, and an OpenClaw gateway answers there, its own or one that it leads to",
    ),
    "a gateway of whom nothing is known": (
        Holder(None),
        replace(ME, answers=True),
        "a process the system hides, and an OpenClaw gateway answers there, its own or one that it leads to",
    ),
    "ssh before a gateway": (holder("ssh", "gw"), replace(ME, answers=True), "pid 42 (x) of me"),
}


@pytest.mark.parametrize(("facts", "around", "by"), WORDS.values(), ids=WORDS)
def test_it_is_said_who_it_is(facts: Holder, around: Around, by: str) -> None:
    assert explain(facts, 18789, around).by == by


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        ("openclaw-gateway", True),
        ("clawdbot-gateway", True),
        ("/usr/local/bin/openclaw gateway run", True),
        ("node /usr/lib/node_modules/openclaw/openclaw.mjs --profile x gateway run", True),
        ("bun /home/me/openclaw/src/entry.ts gateway", True),
        ("node /usr/lib/node_modules/openclaw/openclaw.mjs health", False),
        ("node gateway openclaw", False),
        ("python3 /opt/openclaw/x gateway", False),
        ("", False),
    ],
)
def test_gateways_by_their_command_line(command: str, is_one: bool) -> None:
    assert is_gateway(command.split()) is is_one
