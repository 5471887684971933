"""A public key put into a host's authorized_keys, and the proof that it opens the door."""

from functools import partial

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, DialOptions
from openclaw_tunnel.ssh.enroll.authorized import Answer, likely_cause, read_answer, script_to_add
from openclaw_tunnel.ssh.enroll.bootstrap import SCRIPT_SECONDS, HowIn, SetupConnection, how_in
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey
from openclaw_tunnel.ssh.enroll.shell import Ran
from openclaw_tunnel.ssh.hostkeys.trust import as_error
from openclaw_tunnel.ssh.words import clean

_REFUSALS = (Code.AUTH_DENIED, Code.KEY_LOCKED, Code.KEY_EXPOSED)


async def install_key(connection: SetupConnection, key: ChosenKey, *, timeout: float = SCRIPT_SECONDS) -> Answer:
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
        return answer
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


async def prove_key(options: DialOptions, key: ChosenKey, installed: Answer) -> HowIn:
    """Log in anew with that key alone, and leave again.

    Raises:
        TunnelError: it is refused; with the likely cause.
    """
    dial = Dial(options)
    try:
        logged_in, stack = await under_deadline(dial, partial(Dial.log_in, only=key.public))
    except DialFailed as exc:
        raise _not_proved(exc.failure, key, installed, dial.ring) from exc
    await stack.aclose()
    return how_in(logged_in)


def _not_proved(failure: Failure, key: ChosenKey, installed: Answer, ring: KeyRing | None) -> TunnelError:
    # a login with other keys is a jump host's, which has no part in this
    if ring is None or not ring.only or failure.code not in _REFUSALS or (ring.asked and not ring.offered):
        return as_error(failure)
    host = failure.facts["host"]
    text = f"{host} does not take the key that stands in {installed.file} there ({key.shown})"
    cause, remedy = likely_cause(installed)
    if ring.taken:
        cause, remedy = "it wants more than a key", "let a key alone do for this user (AuthenticationMethods publickey)"
    if not ring.asked and not cause:
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
