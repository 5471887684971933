"""Why a client is not served, in words for whoever waits: a program, or a person before a browser. Pure."""

import ipaddress
import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import UNAVAILABLE, FailureStatus, Snapshot, Verdict
from openclaw_tunnel.core.wording.outlook import ONLY_ON_REQUEST, outlook

_WAIT = {State.FAILED: 30.0}
_SHORT_WAIT = 2.0
"""Seconds after which asking again is worth while, where no next try is known: the gateway is looked for that often."""

_SETTLED = (State.UP, State.VERIFYING)
"""Not yet about the outage of a client: how long they last says nothing of it."""

_ASKED_THERE = "what has to be done is shown on the computer that runs the tunnel: openclaw-tunnel status"

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  nothing is bound here

_TITLES = {
    Code.NOT_LISTENING: "No gateway is listening",
    Code.LOOP: "The tunnel leads back to itself",
    Code.GATEWAY_STARTING: "The gateway is starting",
    Code.GATEWAY_UNREACHABLE: "The gateway does not answer",
    Code.FORWARDING_FORBIDDEN: "The SSH server forbids forwarding",
}

_KEEPS_TRYING = "The tunnel keeps trying by itself. This page goes on to the gateway as soon as it answers."
_LOOKS_FOR_IT = (
    "SSH is connected, and the tunnel looks for the gateway every few seconds. This page goes on to it as soon as it "
    "answers."
)
_OPENS = "This page opens the gateway as soon as it responds."
_ACTION_REQUIRED = f"{_OPENS} The tunnel tries again {{when}}{{by_hand}}: openclaw-tunnel restart {{name}}"
_ASKS = f"The tunnel connects once that is done. {_OPENS}"
_FLAPPING = "The connection was lost several times within minutes, so the tunnel waits longer between tries. "

# The programs that hints name, each with what tells a command from mere mention of it.
_COMMAND = re.compile(
    r"(?<![\w./-])"
    r"(?:openclaw (?:gateway|config|devices|logs|update)\b|openclaw-tunnel (?:trust|up|logs|status|restart)\b"
    r"|ssh -\w|ssh-copy-id |ssh-add |chmod \d+|systemctl \w|pip install|openssl \w)"
    r"(?:(?! (?:shows?|must|has|or|and)\b)(?:'[^']*'|\"[^\"]*\"|[^,;()'\"]))*"
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a client is told; None and empty where there is nothing to tell, or it must not be told.

    Attributes:
        code: the failure's, see ``core.failures``.
        title: in a few words.
        message: what happened, to what.
        hint: the next step for a person.
        outlook: what happens by itself.
        state: the tunnel's.
        since: RFC 3339 time at which the outage began: the connection was lost, or the present state entered.
        retry_in_s: seconds to the next try.
    """

    title: str
    message: str
    hint: str
    outlook: str
    code: str | None = None
    state: str | None = None
    tunnel: str | None = None
    target: str | None = None
    permanent: bool | None = None
    since: str | None = None
    retry_in_s: float | None = None

    @property
    def commands(self) -> list[str]:
        """The command lines within hint and outlook, in their order."""
        return [found[0].rstrip() for text in (self.hint, self.outlook) for found in _COMMAND.finditer(text)]

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least one, after which asking again is worth while."""
        state = State(self.state) if self.state else State.BACKOFF
        usual = _WAIT.get(state, _SHORT_WAIT)
        wait = usual if self.retry_in_s is None else self.retry_in_s
        if state is State.FAILED:
            wait = min(wait, usual)  # a person may fix it long before the next automatic try
        return max(1, math.ceil(wait))

    def to_json(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"type": UNAVAILABLE, **asdict(self), "commands": self.commands}}


NO_DETAILS = ErrorBody(
    title="The gateway cannot be reached",
    message="the tunnel behind this port cannot serve this request at the moment",
    hint="to see why, on the computer that runs it: openclaw-tunnel status",
    outlook=_KEEPS_TRYING,
)
"""For whoever may be somebody else's web page."""


def error_body(tunnel: Snapshot, refusal: Failure | None, host: str, *, is_local: bool = True) -> ErrorBody:
    """What to tell a client of the main forward.

    A web site can give its own name the address 127.0.0.1 and so read what this port answers to its visitor's browser.
    The browser then sends that name as Host. So names of hosts, keys and users are told only to a Host that no web
    site can have: localhost, a loopback address, or, on a port that is open to other computers, the address that it
    listens on (any address where it listens on all).

    What a person is asked to do, and what a server or a ProxyCommand has said, may hold the URL of a login with its
    code: that is told to clients of this computer only.

    Args:
        tunnel: the tunnel at this moment.
        refusal: why the client's own channel was refused; None where there was no connection to open one over.
        host: whom the client believes it speaks to.
        is_local: the client is on this computer.
    """
    found = _found(tunnel if is_local else _for_other_computers(tunnel), refusal)
    if not _is_trusted(host, tunnel.forwards[0].listen):
        # that it is a loop names nobody, and the tunnel's own probe, which is one of its clients then, has to know it
        code = found.code if found.code == Code.LOOP else None
        return replace(NO_DETAILS, retry_in_s=found.retry_in_s, code=code)
    return found


def _for_other_computers(tunnel: Snapshot) -> Snapshot:
    failure = replace(tunnel.failure, said=None) if tunnel.failure else None
    if failure and failure.code == Code.NOT_CONFIRMED:
        failure = replace(failure, message="a person was asked, and said no or nothing")
    return replace(tunnel, failure=failure, asks=_ASKED_THERE if tunnel.asks else None)


def _found(tunnel: Snapshot, refusal: Failure | None) -> ErrorBody:
    failure = _failure(tunnel, refusal)
    return ErrorBody(
        code=failure.code if failure else None,
        title=_title(tunnel, failure),
        message=_clean(_message(failure) if failure and not tunnel.asks else _progress(tunnel)),
        hint=_clean(tunnel.asks or (failure.hint if failure else "nothing to do: this takes a moment")),
        outlook=_outlook(tunnel),
        state=str(tunnel.state),
        tunnel=tunnel.name,
        target=_clean(tunnel.target if tunnel.alias in tunnel.target else f"{tunnel.target} ({tunnel.alias})"),
        permanent=failure.permanent if failure else False,
        since=None if tunnel.state in _SETTLED else tunnel.down_since or tunnel.since,
        retry_in_s=_retry_in(tunnel),
    )


def _failure(tunnel: Snapshot, refusal: Failure | None) -> FailureStatus | None:
    """What to blame: the client's own refusal where there is one, unless the gateway is known to be restarting."""
    if refusal is None or tunnel.state not in LINK_STATES:
        return tunnel.failure
    if tunnel.gateway.verdict is Verdict.STARTING:
        refusal = Failure(Code.GATEWAY_STARTING, tunnel.gateway.detail or "the gateway is starting")
    elif refusal.code is Code.TIMEOUT:
        refusal = Failure(Code.GATEWAY_UNREACHABLE, refusal.message, refusal.facts)
    known = refusal.with_facts(target=tunnel.alias, host=tunnel.target, to=tunnel.forwards[0].to)
    return FailureStatus(**known.to_json())


def _message(failure: FailureStatus) -> str:
    """What happened, with the words of the other side."""
    said = [line for line in (failure.said or "").splitlines() if line not in failure.message]
    return f"{failure.message}; it said: {' | '.join(said)}" if said else failure.message


def _title(tunnel: Snapshot, failure: FailureStatus | None) -> str:
    if failure and failure.code in _TITLES:
        return _TITLES[Code(failure.code)]
    match tunnel.state:
        case State.FAILED:
            return "Action required"
        case State.CONNECTING if tunnel.asks:
            return "The tunnel waits for you"
        case State.CONNECTING if failure is None:
            return f"Connecting to {_clean(tunnel.alias)}"
        case State.CONNECTING | State.BACKOFF:
            return f"No connection to {_clean(tunnel.alias)}"
        case State.DEGRADED:
            return "The gateway is not well"
        case _:
            return "The connection is back"


def _progress(tunnel: Snapshot) -> str:
    if tunnel.state in LINK_STATES:
        return f"the tunnel is connected to {tunnel.target} again"
    if tunnel.asks:
        return f"the tunnel is connecting to {tunnel.target}, and waits for you: {tunnel.asks}"
    return f"the tunnel is connecting to {tunnel.target}"


def _outlook(tunnel: Snapshot) -> str:
    if tunnel.state is State.FAILED:
        when = outlook(tunnel.retry)
        by_hand = "" if when == ONLY_ON_REQUEST else ", or at once with"
        return _ACTION_REQUIRED.format(when=when, by_hand=by_hand, name=tunnel.name)
    if tunnel.asks:
        return _ASKS
    if tunnel.state in LINK_STATES:
        return _LOOKS_FOR_IT
    return (_FLAPPING if tunnel.retry.flapping else "") + _KEEPS_TRYING


def _retry_in(tunnel: Snapshot) -> float | None:
    return tunnel.gateway.expected_in_s if tunnel.state in LINK_STATES else tunnel.retry.next_in_s


def _is_trusted(host: str, listen: str) -> bool:
    bound = listen.rpartition(":")[0].strip("[]")
    if listen.startswith("/") or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or bound in _EVERYWHERE or host == bound


def _clean(text: str) -> str:
    """The text without control characters: parts of it are other people's words."""
    return "".join(c if c.isprintable() else "?" for c in text)
