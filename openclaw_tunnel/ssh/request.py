"""Whether words ask a person for something: to log in at a URL, to touch a key, to approve on a phone.

The words are those of a server's banner and of a ProxyCommand's standard error. Both are full of addresses that nobody
is to visit: of manuals, release notes, rules. A URL counts where the words before it say what to do there.
"""

import re

from openclaw_tunnel.ssh.words import printable

_MOST = 300
_LONGEST_LINE = 2500  # a URL with all that a login puts into it
_URL = re.compile(r"https?://[^\s<>\"'`\x00-\x20\x7f-\x9f]+", re.IGNORECASE)
_AFTER_URL = ".,;:!?)]}"
_TO_DO = re.compile(
    r"\b(browser|visit|log ?in|sign[ -]?in|authenticate|authori[sz]e|authentication|verification|verify|approve|"
    r"(open|click|follow|use|go to|navigate to|browse to)\b.{0,80}\b(link|url|page|address|https?)|"
    r"(go|open|navigate|browse)( to)? https?)\b",
    re.IGNORECASE,
)
_TO_READ = re.compile(
    r"\b(see|read|learn|manual|documentation|docs|instructions|information|details|help|support|contact|report|issues?|"
    r"policy|policies|terms|rules|accept|agree|upgrade|update|updates|outdated|version|release|deprecated|install|"
    r"installing|consider|warning)\b",
    re.IGNORECASE,
)
_AT_ONCE = re.compile(
    r"\b(log ?in|sign[ -]?in|authenticate|authori[sz]e|in (your|a|the|any) .{0,80}browser)\b", re.IGNORECASE
)
_BY_HAND = re.compile(
    r"\b(confirm user presence|(touch|tap|press) (your|the|any) .{0,80}\b(key|token|device|button|yubikey|sensor)|"
    r"(check|approve|confirm)\b.{0,80}\b(on|in) your .{0,80}\b(phone|device|authenticator|app)|"
    r"(push|approval) (request|notification) .{0,80}sent)\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(user presence confirmed|success\w*|logged in|authenticated|approved|"
    r"(log ?in|authentication) (complete\w*|ok))\b",
    re.IGNORECASE,
)
# The way beyond is barred: that passes without anybody's help.
_FAILED = re.compile(
    r"\b(connection (refused|reset|closed|timed out)|connect failed|no route to host|"
    r"(network|host) is (unreachable|down)|operation timed out|i/o timeout|handshake timeout|could not resolve|"
    r"name or service not known|no such host|nodename nor servname|no address associated|"
    r"temporary failure in name resolution)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"\bcode\b", re.IGNORECASE)
_ALREADY = re.compile(r"\b(open|visit|browser|follow|click)\b", re.IGNORECASE)


def request_in(text: str) -> str:
    """What ``text`` asks a person to do last, in one line with its URL; empty for none, and where that is settled."""
    lines = [line for part in text.splitlines() if (line := printable(part[:_LONGEST_LINE]).lstrip("#*|>- "))]
    found = ""
    for number, line in enumerate(lines):
        if url := _url(line):
            found = _asked_at(lines, number, url) or found
        elif _BY_HAND.search(line) and not _DONE.search(line):
            found = line[:_MOST]
        elif _FAILED.search(line) or (_DONE.search(line) and not _TO_DO.search(line)):
            found = ""
    return found


def _url(line: str) -> str:
    found = _URL.search(line)
    return found[0].rstrip(_AFTER_URL) if found else ""


def _asked_at(lines: list[str], number: int, url: str) -> str:
    """What the words around a URL ask for; empty where they do not."""
    line = lines[number]
    words = line.replace(url, " https ")
    if len(words.split()) < 4:  # it stands alone, and belongs to the line before
        words = f"{lines[number - 1] if number else ''} {words}"
        line = f"{lines[number - 1]} {line}" if number else line
    if not _TO_DO.search(words) or (_TO_READ.search(words) and not _AT_ONCE.search(words)):
        return ""
    if _says_where_to_read(words) or (_DONE.search(words) and not _ALREADY.search(words)):
        return ""
    return _one_line(line, url, _code(lines, number))


def _says_where_to_read(words: str) -> bool:
    before = words.partition(" https ")[0]
    return bool(re.search(r"\b(see|read|information|documentation|docs|help|instructions)\b[\s:]*$", before, re.I))


def _code(lines: list[str], number: int) -> str:
    """The code that is to be typed there, where the lines behind the URL have one."""
    for at in range(number + 1, min(number + 3, len(lines))):
        if _CODE.search(lines[at]) and not _url(lines[at]):
            follows = lines[at + 1] if lines[at].endswith(":") and at + 1 < len(lines) else ""
            return f"{lines[at]} {follows}".rstrip()
    return ""


def _one_line(line: str, url: str, code: str) -> str:
    """As much of it as there is room for, and the whole of the URL in any case."""
    for text in (f"{line} {code}".rstrip(), line):
        if len(text) <= _MOST:
            return text
    return f"open {url}"
