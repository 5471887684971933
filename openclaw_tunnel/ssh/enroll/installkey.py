"""A public key put into a host's authorized_keys, and the proof that it opens the door."""

from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, LoggedIn, Resolve, Way
from openclaw_tunnel.ssh.enroll.authorized import Answer, Findings, likely_cause, read_answer, script_to_add
from openclaw_tunnel.ssh.enroll.bootstrap import SCRIPT_SECONDS, HowIn, SetupConnection, how_in
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey
from openclaw_tunnel.ssh.enroll.shell import Ran
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.trust import as_error
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.query import resolve_ssh
from openclaw_tunnel.ssh_config.target import SshTarget

_REFUSALS = (Code.AUTH_DENIED, Code.KEY_LOCKED, Code.KEY_EXPOSED)


@dataclass(frozen=True, slots=True)
class Installed:
    """A key stands in a file over there.

    Attributes:
        added: by us; False: it was there before.
        file: as one writes it over there: ``~/.ssh/authorized_keys``.
        findings: what may keep the server from taking it, for ``prove_key``.
    """

    added: bool
    file: str
    findings: Findings


async def install_key(connection: SetupConnection, key: ChosenKey, *, timeout: float = SCRIPT_SECONDS) -> Installed:
    """Add a key to the account's authorized_keys, as ssh-copy-id does: once, and nothing that is there changes.

    Interrupted, it has been added or not: it is one append.

    Args:
        timeout: seconds for all of it.

    Raises:
        TunnelError: the account may not run commands there, or the file cannot be written. The hint has the line to
            add by hand.
    """
    ran = await connection.run(script_to_add(key.line), timeout=timeout)
    answer = read_answer(ran.output)
    if ran.reached and (answer.there or answer.added):
        return Installed(answer.added, answer.file, answer.findings)
    raise _not_installed(connection, key, ran, answer)


def _not_installed(connection: SetupConnection, key: ChosenKey, ran: Ran, answer: Answer) -> TunnelError:
    host, user = connection.hop.host, connection.target.user
    hint = f"on that computer, add this line to {answer.file} of {user}, then call this again: {key.line}"
    if not ran.in_time:
        text = f"{host} let {user} in, and did not run a command in time"
    elif not ran.reached:
        said = f": {ran.words}" if ran.words else " (its shell is nologin, or only file transfer is allowed)"
        text = f"{host} let {user} in, and runs no commands for that account{said}"
    else:
        text = f"{answer.file} on {host} cannot be written: {clean(answer.complaint) or 'is the disk full?'}"
    return TunnelError(text, hint=hint, exit_code=ExitCode.LOGIN)


async def prove_key(
    typed: str,
    key: ChosenKey,
    installed: Installed,
    *,
    identity: str = "",
    ssh_config: str = "",
    env: Mapping[str, str],
    resolve: Resolve = resolve_ssh,
    policy: Policy | None = None,
    asks: Asks = nobody_asked,
) -> HowIn:
    """Log in anew with that key alone, and leave again; arguments as of ``bootstrap.log_in``.

    Raises:
        TunnelError: it is refused; with the likely cause.
    """
    ring: KeyRing | None = None

    async def enter(dial: Dial, target: SshTarget, hop: Hop, way: Way) -> LoggedIn:
        nonlocal ring
        try:
            return await dial.log_in(target, hop, way, only=key.public)
        finally:
            ring = dial.ring

    try:
        logged_in, stack = await under_deadline(
            typed,
            enter,
            identity=identity,
            ssh_config=ssh_config,
            env=env,
            resolve=resolve,
            policy=policy or Policy(),
            asks=asks,
        )
    except DialFailed as exc:
        raise _not_proved(exc.failure, key, installed, ring) from exc
    await stack.aclose()
    return how_in(logged_in)


def _not_proved(failure: Failure, key: ChosenKey, installed: Installed, ring: KeyRing | None) -> TunnelError:
    asked = ring is not None and ring.asked
    if failure.code not in _REFUSALS or (ring and asked and not ring.offered):
        return as_error(failure)
    host = failure.facts["host"]
    text = f"{host} does not take the key that stands in {installed.file} there ({key.shown})"
    cause, remedy = likely_cause(installed.findings)
    if ring and ring.taken:
        cause, remedy = "it wants more than a key", "let a key alone do for this user (AuthenticationMethods publickey)"
    if not asked and not cause:
        cause, remedy = "it takes no keys at all", "set PubkeyAuthentication yes in its sshd_config"
    if not installed.added and not cause:
        cause, remedy = (
            "its line was there before",
            f"look at the options and dates before that key in {installed.file}",
        )
    if not cause:
        return TunnelError(
            f"{text}: {failure.message}",
            hint="its own log says why: on that computer, journalctl -u ssh (or /var/log/auth.log)",
            exit_code=ExitCode.LOGIN,
        )
    return TunnelError(f"{text}: {cause}", hint=f"on that computer: {remedy}", exit_code=ExitCode.LOGIN)
