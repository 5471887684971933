"""Which credentials OpenClaw tries, in which order, for whom: both releases as tables. Pure.

A lane is an order in which places are tried; its first value wins. A plan is one lane, whose winner is the only
credential, or two: one for the token, one for the password. A place is two letters: ``e`` the environment, ``a``
``gateway.auth``, ``r`` ``gateway.remote``; ``T`` the token, ``P`` the password, ``B`` both. ``?`` after it: only where
it is a SecretRef; ``!``: one that cannot be resolved ends the lane.

2026.5 is OpenClaw's documented contract of that release (docs/gateway/remote.md, "Credential precedence") with what
the release does where that page is silent; 2026.9 the same of 2026.9.6.

The status of the local service asks the local port whatever ``gateway.mode`` is: it never gets ``gateway.remote``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Surface(StrEnum):
    """Who needs credentials."""

    CALL = "a gateway call"
    STATUS = "status"
    SERVICE_STATUS = "the status of the local service"
    PROBE_REMOTE = "a probe of a remote target"
    PROBE_LOCAL = "a probe of a local target"
    NODE_HOST = "a node host"
    EXEC_APPROVALS = "exec approvals"

    @property
    def only_looks(self) -> bool:
        """Goes on without credentials, and says so, where a call would be an error."""
        return self in (Surface.STATUS, Surface.SERVICE_STATUS, Surface.PROBE_REMOTE, Surface.PROBE_LOCAL)

    @property
    def needs_remote_url(self) -> bool:
        """An error where gateway.mode is remote and no address is known."""
        return self in (Surface.CALL, Surface.EXEC_APPROVALS)


@dataclass(frozen=True, slots=True)
class Contract:
    """One release's rules.

    Attributes:
        plans: plan by surface, mode and, for some, ``gateway.auth.mode``.
        shorthand: ``$NAME`` is a SecretRef as ``${NAME}`` is.
        drops_placeholders: in local mode a secret of the file with ``${NAME}`` in it counts as configured and empty.
        forces_fallback: in local mode a SecretRef of ``gateway.remote`` is resolved for the kind that
            ``gateway.auth.mode`` asks for, also beside a credential of the other kind.
        env_after_failed_ref: a probe may use the environment after a SecretRef that cannot be resolved.
    """

    name: str
    plans: Mapping[str, str]
    shorthand: bool = False
    drops_placeholders: bool = False
    forces_fallback: bool = False
    env_after_failed_ref: bool = False


_NODE_HOST = {"node.local": "eT aT | eP aP", "node.remote": "eT rT aT | eP rP aP"}

CONTRACT_2026_5 = Contract(
    "2026.5",
    MappingProxyType(
        {
            "call.local": "eT aT rT | eP aP rP",
            "call.remote": "rT eT aT | eP rP aP",
            "status.local": "eT aT | eP aP",
            "status.remote": "rT | eP rP aP",
            "service.local": "eT aT | eP aP",
            "service.remote": " | eP aP",
            "probe.remote": "rT rP",
            "probe.local.none": "",
            "probe.local.trusted-proxy": "",
            "probe.local.token": "aT eT",
            "probe.local.password": "aP eP",
            "probe.local": "aT eT eP aP",
            **_NODE_HOST,
        }
    ),
    drops_placeholders=True,
    env_after_failed_ref=True,
)

CONTRACT_2026_9 = Contract(
    "2026.9",
    MappingProxyType(
        {
            "call.local": "aT eT rT | aP eP rP",
            "call.remote": "rT eT aT | eP rP aP",
            "status.local": "aT eT | aP eP",
            "status.remote": "rT rP eB",
            "service.local": "aT eT | aP eP",
            "service.remote": "aT eT | aP eP",
            "probe.remote": "rT rP eB",
            "probe.local.none": "",
            "probe.local.trusted-proxy": "",
            "probe.local.token": "aT eT",
            "probe.local.password": "aP eP",
            "probe.local": "aT! aP?! eT eP aP",
            **_NODE_HOST,
        }
    ),
    shorthand=True,
    forces_fallback=True,
)

CONTRACTS: Mapping[str, Contract] = MappingProxyType({c.name: c for c in (CONTRACT_2026_5, CONTRACT_2026_9)})
AUTO = "auto"
CONTRACT_CHOICES = (AUTO, *CONTRACTS)

FROM_ENVIRONMENT = "eT | eP"
"""For an address of the environment: its own credentials and nothing else."""

_FIRST_2026_9 = (2026, 7, 27)


def choose_contract(setting: str, last_touched: str) -> Contract:
    """The contract that ``openclawContract`` of tunnels.json5 names.

    Args:
        setting: ``auto`` or a contract's name; empty is ``auto``.
        last_touched: ``meta.lastTouchedVersion`` of openclaw.json, what ``auto`` goes by: 2026.9 from 2026.7.27 on.
    """
    if setting in CONTRACTS:
        return CONTRACTS[setting]
    numbers = re.match(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", last_touched.strip())
    version = tuple(int(n or 0) for n in numbers.groups()) if numbers else ()
    return CONTRACT_2026_9 if version >= _FIRST_2026_9 else CONTRACT_2026_5


def plan_for(contract: Contract, surface: Surface, *, remote: bool, auth_mode: str) -> str:
    """The row of the contract's table.

    Args:
        remote: gateway.mode is ``remote`` and says which gateway.
        auth_mode: ``gateway.auth.mode``; empty where it is not set.
    """
    place = "remote" if remote else "local"
    match surface:
        case Surface.PROBE_REMOTE:
            return contract.plans["probe.remote"]
        case Surface.PROBE_LOCAL:
            return contract.plans.get(f"probe.local.{auth_mode}", contract.plans["probe.local"])
        case Surface.NODE_HOST:
            return contract.plans[f"node.{place}"]
        case Surface.STATUS:
            return contract.plans[f"status.{place}"]
        case Surface.SERVICE_STATUS:
            return contract.plans[f"service.{place}"]
        case Surface.CALL | Surface.EXEC_APPROVALS:
            return contract.plans[f"call.{place}"]
