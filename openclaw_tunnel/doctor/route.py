"""The SSH side of a check: what became of keys and of each stage of a dial, as lines. Pure."""

import shlex
from contextlib import suppress
from ipaddress import ip_address

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.doctor.report import WAY, Finding, Part, Remedy, Repair, of_failure, ok, stage_of, warning
from openclaw_tunnel.ssh.trace import Keys, Trace
from openclaw_tunnel.ssh_config.target import SshTarget


def keys_checks(keys: Keys) -> list[Finding]:
    """What there is to log in with."""
    if keys.shortage:
        return [of_failure(Part.KEYS, keys.shortage, repair=repair_of(keys.shortage))]
    what = "1 key" if keys.offers == 1 else f"{keys.offers} keys"
    source = "of the SSH agent alone" if keys.only_agent else keys.first and f"the first is {keys.first}"
    troubles = (
        warning(Part.KEYS, trouble.message, trouble.hint, code=str(trouble.code), repair=repair_of(trouble))
        for trouble in keys.troubles
    )
    return [ok(Part.KEYS, f"{what} to offer" + (f", {source}" if source else "")), *troubles]


def way_checks(trace: Trace, target: SshTarget) -> list[Finding]:
    """The stages of a dial up to the one that failed."""
    words = {
        Part.NAME: _name(trace, target),
        Part.ROUTE: f"{trace.address} accepts connections" if trace.address else "the way there is open",
        Part.SERVER: f"it is {trace.link.server.version}" if trace.link else "it speaks SSH",
        Part.HOST_KEY: f"known: {trace.host_key}" if trace.host_key else "known",
        Part.LOGIN: f"as {target.user}" + (f", with {trace.key}" if trace.key else ""),
    }
    failure = trace.failure
    if failure is None:
        return [ok(part, words[part]) for part in WAY]
    ended = _ended(trace.reached, failure)
    passed = WAY[: WAY.index(ended)] if ended in WAY else ()
    failure = failure.with_facts(start=", and to start it: systemctl start ssh")
    return [*(ok(part, words[part]) for part in passed), of_failure(ended, failure, repair=repair_of(failure))]


def _ended(reached: bool, failure: Failure) -> Part:
    """The part that a failure belongs to: what goes wrong at a jump host or in a ProxyCommand is a matter of the way.

    Args:
        reached: the way to the server was open, as far as one sees from here.
    """
    stage = stage_of(failure)
    if failure.code in (Code.PROXY, Code.PROXY_DENIED, Code.FORWARDING_FORBIDDEN):
        return Part.ROUTE
    if reached:
        return Part.SERVER if stage in (Part.NAME, Part.ROUTE) else stage
    return stage if stage not in WAY or stage is Part.NAME else Part.ROUTE


def repair_of(failure: Failure) -> Repair | None:
    """What can be done about a failure, where it is safe."""
    if failure.code is Code.KEY_EXPOSED:
        names = " and ".join(shlex.split(failure.facts["key"]))
        return Repair(Remedy.CHMOD, failure.facts["key"], f"Let nobody else read {names}?")
    if failure.code is Code.HOST_KEY_UNKNOWN:
        return Repair(Remedy.TRUST, failure.facts["target"], "", failure.facts.get("ssh_config", ""))
    return None


def _name(trace: Trace, target: SshTarget) -> str:
    host = target.hostname
    with suppress(ValueError):
        return f"{ip_address(host)} is an address"
    if not trace.address:
        return (
            f"{host} is looked up on the way" if target.proxy_jump or target.proxy_command else f"{host} has an address"
        )
    return f"{host} is {trace.address.rpartition(':')[0].strip('[]')}"
