"""The keys of a LaunchAgent and their types: launchd.plist(5). launchd itself says nothing about mistakes."""

import plistlib
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def _is(kind: type) -> Check:
    return lambda value: isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _positive(value: Any) -> bool:
    return _is(int)(value) and value > 0


def _absolute(value: Any) -> bool:
    return _is(str)(value) and value.startswith("/") and not any(sign in value for sign in "~$")


def _strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is(str), value))


def _one_of(*choices: str) -> Check:
    return lambda value: value in choices


def _dictionary(keys: dict[str, Check]) -> Check:
    return lambda value: isinstance(value, dict) and all(k in keys and keys[k](v) for k, v in value.items())


def _each(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and bool(value) and all(map(check, value.values()))


def _keep_alive(value: Any) -> bool:
    # the conditions are ORed: more than one of them would start the job after a clean end as well
    conditions = {"SuccessfulExit": _is(bool), "Crashed": _is(bool)}
    return _is(bool)(value) or (_dictionary(conditions)(value) and len(value) == 1)


def _sessions(value: Any) -> bool:
    known = {"Aqua", "Background", "LoginWindow", "StandardIO", "System"}
    return value in known if isinstance(value, str) else _strings(value) and set(value) <= known


_SOCKET = {
    "SockType": _one_of("stream", "dgram", "seqpacket"),
    "SockPassive": _is(bool),
    "SockNodeName": _is(str),
    "SockServiceName": lambda value: _is(str)(value) or _is(int)(value),
    "SockFamily": _one_of("IPv4", "IPv6", "IPv4v6"),
    "SockProtocol": _one_of("TCP", "UDP"),
    "SockPathName": _absolute,
    "SockPathMode": _is(int),
    "SecureSocketWithKey": _is(str),
}

KEYS: dict[str, Check] = {
    "Label": _is(str),
    "Disabled": _is(bool),
    "Program": _absolute,
    "ProgramArguments": lambda value: _strings(value) and _absolute(value[0]),
    "EnvironmentVariables": _each(_is(str)),
    "RunAtLoad": _is(bool),
    "KeepAlive": _keep_alive,
    "ThrottleInterval": _positive,
    "ExitTimeOut": _positive,  # 0 is "for ever"
    "ProcessType": _one_of("Background", "Standard", "Adaptive", "Interactive"),
    "LegacyTimers": _is(bool),
    "LimitLoadToSessionType": _sessions,
    "AbandonProcessGroup": _is(bool),
    "Umask": _is(int),
    "WorkingDirectory": _absolute,
    "StandardInPath": _absolute,
    "StandardOutPath": _absolute,
    "StandardErrorPath": _absolute,
    "StartInterval": _positive,
    "Nice": _is(int),
    "Sockets": _each(_dictionary(_SOCKET)),
}


def mistakes(text: str) -> list[str]:
    """What launchd would misunderstand or ignore in the text of a LaunchAgent.

    Raises:
        plistlib.InvalidFileException, ValueError, xml.parsers.expat.ExpatError: it is no property list.
    """
    job = plistlib.loads(text.encode(), fmt=plistlib.FMT_XML)
    found = [f"{key}: {value!r}" for key, value in job.items() if key not in KEYS or not KEYS[key](value)]
    found += [f"{key} is missing" for key in ("Label", "ProgramArguments") if key not in job]
    if text.count("<key>Label</key>") != 1:
        found.append("Label more than once")
    return found
