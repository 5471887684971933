"""A service as the text of a LaunchAgent or of systemd's units. Pure: the same on every computer."""

import plistlib
import re
from typing import Any

from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import ExitCode, UsageError
from openclaw_tunnel.service.spec import RUN, SYSTEM_HOME, SYSTEM_USER, PlainSpec, ServiceSpec, label_of, unit_of

SOCKET_NAME = "Listener{}"
"""How launchd calls the sockets that it holds for us, counted from 1."""

MAC_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin:/usr/local/bin"
"""launchd's own PATH has no Homebrew, where a ProxyCommand may be. Apple's ssh comes first: it knows UseKeychain."""

PERMANENT = (
    ExitCode.USAGE,
    ExitCode.CONFIG,
    ExitCode.CREDENTIAL,
    ExitCode.LOGIN,
    ExitCode.HOST_KEY,
    ExitCode.LOCAL_PORT,
    ExitCode.FORWARDING,
)
"""Exit codes of what only a person can mend: starting again does not help."""

WATCHDOG = 30
"""Seconds without a sign of life after which systemd starts the service again."""

_USER_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
"""
# What is not there: MemoryDenyWriteExecute would break a ProxyCommand or secret provider that compiles at run time
# (node), and all that needs a mount namespace works in user units with PrivateUsers only, which many kernels forbid.

_SYSTEM_HARDENING = """\
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
RemoveIPC=yes
SystemCallFilter=~@privileged @resources
"""


def render_plist(spec: ServiceSpec) -> str:
    """The LaunchAgent; its file is named after its label."""
    job: dict[str, Any] = {
        "Label": label_of(spec.name),
        "ProgramArguments": [spec.program, *RUN, *spec.arguments],
        "EnvironmentVariables": {"PATH": MAC_PATH, **(spec.environment or {})},
    }
    if spec.listen:
        job["Sockets"] = {SOCKET_NAME.format(n): _sock(end) for n, end in enumerate(spec.listen, start=1)}
    else:
        job["RunAtLoad"] = True
        job["KeepAlive"] = {"SuccessfulExit": False}
    job |= {
        "ThrottleInterval": 10,
        "ExitTimeOut": 20,
        "ProcessType": "Interactive",
        "LegacyTimers": True,
        "LimitLoadToSessionType": ["Aqua", "Background"],
        "Umask": 0o077,
        "StandardOutPath": f"{spec.log_dir}/launchd.log",
        "StandardErrorPath": f"{spec.log_dir}/launchd.log",
    }
    return _plist(job)


def render_plain_plist(spec: PlainSpec) -> str:
    """The LaunchAgent of OpenClaw's documentation, to the letter."""
    return _plist(
        {
            "Label": label_of(spec.name),
            "ProgramArguments": [spec.program, *spec.arguments],
            "KeepAlive": True,
            "RunAtLoad": True,
        }
    )


def render_service(spec: ServiceSpec) -> str:
    """The service unit, of the user or of the system."""
    # a template cannot know the instance's name before it has one
    arguments = [*map(_word, spec.arguments), *(() if spec.name else ("--name", "%i"))]
    command = " ".join([_program(spec), *RUN, *arguments])
    environment = "".join(
        f"Environment={_quoted(f'{name}={value}')}\n" for name, value in (spec.environment or {}).items()
    )
    return f"""\
[Unit]
Description=SSH tunnel to the OpenClaw Gateway{"" if spec.name else " (%i)"}
{_after(spec)}# It goes on trying by itself: this only stops a program that cannot even start.
StartLimitIntervalSec=300
StartLimitBurst=20

[Service]
Type=notify
{_account(spec)}{environment}ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
# Faults that only a person can mend.
RestartPreventExitStatus={" ".join(str(int(code)) for code in PERMANENT)}
WatchdogSec={WATCHDOG}
TimeoutStartSec=60
TimeoutStopSec=20
{_USER_HARDENING}{_SYSTEM_HARDENING if spec.system else ""}{_installed_in(spec)}"""


def render_socket(spec: ServiceSpec) -> str:
    """The socket unit: the ports that systemd holds until the service, and through its restarts."""
    listen = "".join(f"ListenStream={_specifiers(str(_numeric(end)))}\n" for end in spec.listen)
    return f"""\
[Unit]
Description=Local port of the SSH tunnel to the OpenClaw Gateway

[Socket]
{listen}BindIPv6Only=ipv6-only
SocketMode=0600

[Install]
WantedBy=sockets.target
"""


def render_plain_service(spec: PlainSpec) -> str:
    """The same as the documented LaunchAgent for systemd: started again whenever it ends, at most every 10 s."""
    return f"""\
[Unit]
Description=SSH tunnel to the OpenClaw Gateway (ssh alone)
StartLimitIntervalSec=0

[Service]
ExecStart={spec.program} {" ".join(map(_word, spec.arguments))}
Restart=always
RestartSec=10

[Install]
WantedBy=default.target
"""


def render_account() -> str:
    """The account of a service of the whole computer, for systemd-sysusers."""
    return f'u {SYSTEM_USER} - "SSH tunnel to the OpenClaw Gateway" {SYSTEM_HOME}\n'


def _plist(job: dict[str, Any]) -> str:
    text = plistlib.dumps(job, sort_keys=False).decode()
    return re.sub(r"^\t+", lambda tabs: "    " * len(tabs[0]), text, flags=re.MULTILINE)


def _sock(end: Endpoint) -> dict[str, Any]:
    if end.path:
        return {"SockPathName": end.path, "SockPathMode": 0o600}
    end = _numeric(end)
    family = "IPv6" if ":" in end.host else "IPv4"
    return {"SockNodeName": end.host, "SockServiceName": str(end.port), "SockType": "stream", "SockFamily": family}


def _numeric(end: Endpoint) -> Endpoint:
    """systemd takes no names, and launchd's two addresses of ``localhost`` would be two sockets."""
    return Endpoint("127.0.0.1", end.port) if end.host == "localhost" else end


def _after(spec: ServiceSpec) -> str:
    lines = ""
    if spec.system:
        lines += "Wants=network-online.target\nAfter=network-online.target\n"
    if spec.listen:
        lines += f"Requires={unit_of(spec.name, 'socket')}\n"
    return lines


def _account(spec: ServiceSpec) -> str:
    if not spec.system:
        return ""
    folder = SYSTEM_HOME.rpartition("/")[2]
    return f"User={SYSTEM_USER}\nStateDirectory={folder}\nStateDirectoryMode=0700\nWorkingDirectory={SYSTEM_HOME}\n"


def _installed_in(spec: ServiceSpec) -> str:
    if spec.listen:
        return ""  # the socket starts it
    return f"\n[Install]\nWantedBy={'multi-user' if spec.system else 'default'}.target\n"


def _program(spec: ServiceSpec) -> str:
    if set(spec.program) & set("'\"\\"):
        raise UsageError(
            f"systemd runs no program with quotes or backslashes in its path: {spec.program}",
            hint="install openclaw-tunnel in another folder",
        )
    if spec.home and spec.program.startswith(spec.home + "/"):
        return "%h" + _specifiers(spec.program.removeprefix(spec.home))
    return _bare(spec.program) or _quoted(spec.program)


def _word(text: str) -> str:
    """One word of a command line of systemd, which expands % and $ and knows quotes: systemd.service(5)."""
    text = text.replace("$", "$$")
    return _bare(text) or _quoted(text)


def _bare(text: str) -> str:
    """The text as it stands in a unit without quotes; empty where it needs them."""
    return _specifiers(text) if re.fullmatch(r"[\w@%+=:,./$-]+", text) else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_specifiers(escaped)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
