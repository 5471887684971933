"""When a tunnel may try the credentials: often enough to notice, seldom enough to do no harm. Pure.

A gateway slows all its loopback clients down after bad secrets (OpenClaw 2026.9: 250 ms, doubled by each, up to
5 s; behind a tunnel every user is the same loopback client), or locks them out. So a secret that was refused is not
tried again until something has changed: the secret, the gateway (another version, or it has restarted), or the mind
of the user.
"""

import hashlib
import hmac
from dataclasses import dataclass

from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.verdict import Judgement

AFTER_SUCCESS = 600.0
"""Seconds from one success to the next try on the same connection."""

AFTER_SILENCE = 60.0
"""Seconds after a try that the gateway neither took nor refused."""

_RESTART_SLACK = 5.0
"""Seconds by which a gateway's start may seem to move without a restart."""

# The gateway has seen the credentials and does not like them, or this program: the same again helps nobody.
_REFUSALS = frozenset({Verdict.AUTH_FAILED, Verdict.PROTOCOL_MISMATCH, Verdict.LIMITED_SCOPE})


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision to try is about.

    Attributes:
        credential: :func:`fingerprint` of what would be sent.
        connection: number of the SSH connection.
        now: seconds on a clock that does not go back.
        version: the gateway's, as its HTTP answers tell it; None where they do not.
        uptime: seconds since the gateway started, likewise.
    """

    credential: str
    connection: int
    now: float
    version: str | None = None
    uptime: float | None = None

    @property
    def started(self) -> float | None:
        """When the gateway started, on our clock."""
        return None if self.uptime is None else self.now - self.uptime


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last try: the situation then, and what came of it."""

    at: Situation
    judgement: Judgement


def may_try(last: Attempt | None, at: Situation) -> bool:
    """Whether the credentials may be tried now.

    Args:
        last: None where they have not been tried since the tunnel started.
    """
    if last is None or last.at.credential != at.credential or has_restarted(last.at, at):
        return True
    elapsed = at.now - last.at.now
    verdict, wait = last.judgement.verdict, last.judgement.expected_in
    if verdict in _REFUSALS:
        # Locked out for what somebody else may have done: after the time the gateway named, ours deserve one try.
        return wait is not None and elapsed >= max(wait, AFTER_SILENCE)
    if verdict is Verdict.HEALTHY:
        return last.at.connection != at.connection or elapsed >= AFTER_SUCCESS
    if verdict is Verdict.PAIRING_REQUIRED:
        return elapsed >= AFTER_SUCCESS  # somebody may have approved it; each try makes a new request, so not often
    return elapsed >= AFTER_SILENCE


def has_restarted(before: Situation, after: Situation) -> bool:
    """Whether the gateway is another one than before, as far as its answers tell.

    A computer that slept makes a start seem earlier, never later: our clock stood still, the gateway's did not.
    """
    if before.version is not None and after.version is not None and before.version != after.version:
        return True
    if before.started is None or after.started is None:
        return False
    return after.started > before.started + _RESTART_SLACK


def overall(probed: Judgement, last: Attempt | None, at: Situation) -> Judgement:
    """What is known of the gateway: what HTTP said just now and, where that is well, what became of the credentials."""
    if probed.verdict is not Verdict.HEALTHY or last is None:
        return probed
    if last.at.credential != at.credential or has_restarted(last.at, at):
        return probed
    told = last.judgement
    if told.verdict not in _REFUSALS and told.verdict is not Verdict.PAIRING_REQUIRED:
        return probed
    return Judgement(told.verdict, probed.version or told.version, told.failure, told.expected_in, probed.uptime)


def fingerprint(credentials: Credentials, key: bytes) -> str:
    """A name for credentials from which they cannot be guessed: HMAC-SHA256 under ``key``, which is random and kept
    in memory only."""
    parts = [(secret or "").encode(errors="surrogatepass") for secret in (credentials.token, credentials.password)]
    text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key, text, hashlib.sha256).hexdigest()
