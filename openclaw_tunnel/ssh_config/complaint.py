"""What an ``ssh -G`` that failed has said: a mistake in a file, which its author fixes, or something that passes."""

import re
import shlex
import signal

from openclaw_tunnel.errors import ConfigError, HelperError, NameNotFound, TunnelError

_FATAL = 255  # what ssh itself ends with; another code is a loader's, a shell's or a wrapper's
_PLACE = re.compile(r"(?P<file>.+?):? line (?P<line>\d+): (?P<what>.*?)\.?\r?")
_OPEN = re.compile(r"Bad owner or permissions on (.+?)\r?")
_TALK = re.compile(r"debug\d: |OpenSSH_|Pseudo-terminal|Warning: |.*: terminating, \d+ bad ")
_UNRESOLVED = re.compile(r'(?:.*: )?Could not resolve host(?:name)? "?(?P<name>[^\s":]+)"?(?:: (?P<why>.*?))?\r?')
_PASSES = re.compile(
    # of the system, in the words of strerror(3)
    r"Cannot allocate memory|Resource temporarily unavailable|Too many open files|No space left on device"
    r"|Input/output error|Stale (NFS )?file handle|Text file busy|Interrupted system call|Disk quota exceeded"
    # a package is being replaced
    r"|error while loading shared libraries|symbol lookup error|OpenSSL version mismatch|Library not loaded"
    # the directory that has the accounts is away
    r"|No user exists for uid"
    # a Match exec could not be run, or was killed; that it answers no is no error
    r"|match exec '.*' error|exited abnormally|is not executable"
)


def complaint(code: int, stderr: str, command: str) -> TunnelError:
    """The error of an ``ssh -G`` that failed, in its own words.

    Args:
        code: its exit code; negative for the signal that ended it.
        command: what to type to see it.

    Returns:
        A ConfigError that names file, line and directive; HelperError, NameNotFound for what may pass.
    """
    if code < 0:
        return HelperError(f"{command} was ended by {_signal(-code)}", hint=f"try: {command}", command=command)
    lines = [line.strip() for line in stderr.split("\n") if line.strip() and not _TALK.match(line)]
    unresolved = [match for line in stderr.split("\n") if (match := _UNRESOLVED.fullmatch(line))]
    if unresolved and code == _FATAL:
        return _not_found(unresolved, command)
    said = "; ".join(lines) or f"it gave no reason (exit code {code})"
    if code != _FATAL or not lines or any(_PASSES.search(line) for line in lines):
        return HelperError(f"{command} failed: {said}", hint=f"try: {command}", command=command)
    placed = next((m for line in lines if (m := _PLACE.fullmatch(line))), None)
    if placed:
        return _mistake(placed["file"], int(placed["line"]), placed["what"], command)
    open_to_others = next((m[1] for line in lines if (m := _OPEN.fullmatch(line))), "")
    hint = f"let nobody else write to it: chmod 600 {shlex.quote(open_to_others)}" if open_to_others else ""
    return ConfigError(f"ssh cannot use its configuration: {said}", hint=hint or f"try: {command}")


def _not_found(found: list[re.Match[str]], command: str) -> NameNotFound:
    """CanonicalizeHostname tries one domain after the other, and says why only where it continues without."""
    name = found[-1]["name"]
    why = next((match["why"] for match in found if match["why"]), "") or "CanonicalizeHostname finds it in no domain"
    return NameNotFound(f"cannot find the address of {name}: {why}", hint=f"try: {command}", command=command)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _mistake(path: str, number: int, what: str, command: str) -> ConfigError:
    directive = _directive(path, number)
    if directive and directive.lower() not in what.lower():
        what += f" ({directive})"
    hint = f"fix that line of the ssh configuration, try: {command}"
    return ConfigError(f"{path} line {number}: {what}", hint=hint)


def _directive(path: str, number: int) -> str:
    """The keyword of a line; never its value, which may be private."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            line = next((text for n, text in enumerate(file, 1) if n == number), "")
    except OSError:
        return ""
    match = re.match(r"\s*([A-Za-z0-9]+)", line)
    return match[1] if match else ""
