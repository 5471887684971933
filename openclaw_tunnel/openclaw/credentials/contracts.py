"""Which credentials OpenClaw tries, in which order, for whom: each release as a table, one row per case. Pure.

2026.5 is OpenClaw's documented contract of that release (docs/gateway/remote.md, "Credential precedence") with what
the release does where that page is silent; 2026.9 the same of 2026.9.6.

The status of the local service asks the local port whatever ``gateway.mode`` is: it never gets ``gateway.remote``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from openclaw_tunnel.openclaw.credentials.values import Kind, Origin, Source


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
class Step:
    """One source in an order.

    Attributes:
        only_reference: it counts only where it holds a SecretRef.
        ends_unresolved: a SecretRef that cannot be resolved ends the order.
        with_next: the next source is looked at even where this one has a value.
    """

    source: Source
    only_reference: bool = False
    ends_unresolved: bool = False
    with_next: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried: the order for a token and that for a password, or one order for either."""

    orders: tuple[tuple[Step, ...], ...]

    @property
    def both(self) -> bool:
        """Whether a token and a password may be sent together."""
        return len(self.orders) == 2


def both(*origins: Origin, password: tuple[Origin, ...] | None = None) -> Plan:
    """A token and a password: the first of each that is found, the password from the same origins unless it is said."""
    by_kind = ((Kind.TOKEN, origins), (Kind.PASSWORD, origins if password is None else password))
    return Plan(tuple(tuple(Step(Source.of(origin, kind)) for origin in order) for kind, order in by_kind))


def one_of(*order: Step) -> Plan:
    """A token or a password: the first that is found is the only credential."""
    return Plan((order,))


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a contract.

    Attributes:
        surfaces: who needs credentials.
        remote: ``gateway.mode`` is ``remote`` and says which gateway; None: in any case.
        auth_modes: the values of ``gateway.auth.mode`` it is for; empty: every other one.
        plan: what is tried.
    """

    surfaces: tuple[Surface, ...]
    remote: bool | None
    plan: Plan
    auth_modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """One release's rules.

    Attributes:
        rows: the first that fits a case is its plan.
        shorthand: ``$NAME`` is a SecretRef as ``${NAME}`` is.
        drops_placeholders: in local mode a secret of the file with ``${NAME}`` in it counts as configured and empty.
        forces_fallback: in local mode a SecretRef of ``gateway.remote`` is resolved for the kind that
            ``gateway.auth.mode`` asks for, also beside a credential of the other kind.
        env_after_failed_ref: a probe may use the environment after a SecretRef that cannot be resolved.
    """

    name: str
    rows: tuple[Row, ...]
    shorthand: bool = False
    drops_placeholders: bool = False
    forces_fallback: bool = False
    env_after_failed_ref: bool = False


_CALLS = (Surface.CALL, Surface.EXEC_APPROVALS)
_STATUS = (Surface.STATUS,)
_SERVICE = (Surface.SERVICE_STATUS,)
_PROBE_LOCAL = (Surface.PROBE_LOCAL,)
_PROBE_REMOTE = (Surface.PROBE_REMOTE,)
_NODE_HOST = (Surface.NODE_HOST,)
_LOCAL, _REMOTE = False, True
_ENV, _AUTH, _REM = Origin.ENVIRONMENT, Origin.AUTH, Origin.REMOTE
_ENV_TOKEN, _ENV_PASSWORD = Step(Source.ENV_TOKEN), Step(Source.ENV_PASSWORD)
_ENV_TOKEN_AND = Step(Source.ENV_TOKEN, with_next=True)
_AUTH_TOKEN_OR_END = Step(Source.AUTH_TOKEN, ends_unresolved=True)
_AUTH_PASSWORD_REF = Step(Source.AUTH_PASSWORD, only_reference=True, ends_unresolved=True)
_AUTH_TOKEN, _AUTH_PASSWORD = Step(Source.AUTH_TOKEN), Step(Source.AUTH_PASSWORD)
_REMOTE_TOKEN, _REMOTE_PASSWORD = Step(Source.REMOTE_TOKEN), Step(Source.REMOTE_PASSWORD)

_OF_BOTH_RELEASES = (
    Row(_CALLS, _REMOTE, both(_REM, _ENV, _AUTH, password=(_ENV, _REM, _AUTH))),
    Row(_PROBE_LOCAL, None, one_of(), auth_modes=("none", "trusted-proxy")),
    Row(_PROBE_LOCAL, None, one_of(_AUTH_TOKEN, _ENV_TOKEN), auth_modes=("token",)),
    Row(_PROBE_LOCAL, None, one_of(_AUTH_PASSWORD, _ENV_PASSWORD), auth_modes=("password",)),
    Row(_NODE_HOST, _LOCAL, both(_ENV, _AUTH)),
    Row(_NODE_HOST, _REMOTE, both(_ENV, _REM, _AUTH)),
)
_ROWS_2026_5 = (
    *_OF_BOTH_RELEASES,
    Row(_CALLS, _LOCAL, both(_ENV, _AUTH, _REM)),
    Row(_STATUS, _LOCAL, both(_ENV, _AUTH)),
    Row(_STATUS, _REMOTE, both(_REM, password=(_ENV, _REM, _AUTH))),
    Row(_SERVICE, _LOCAL, both(_ENV, _AUTH)),
    Row(_SERVICE, _REMOTE, both(password=(_ENV, _AUTH))),
    Row(_PROBE_REMOTE, None, one_of(_REMOTE_TOKEN, _REMOTE_PASSWORD)),
    Row(_PROBE_LOCAL, None, one_of(_AUTH_TOKEN, _ENV_TOKEN, _ENV_PASSWORD, _AUTH_PASSWORD)),
)
_ROWS_2026_9 = (
    *_OF_BOTH_RELEASES,
    Row(_CALLS, _LOCAL, both(_AUTH, _ENV, _REM)),
    Row(_STATUS, _LOCAL, both(_AUTH, _ENV)),
    Row(_STATUS, _REMOTE, one_of(_REMOTE_TOKEN, _REMOTE_PASSWORD, _ENV_TOKEN_AND, _ENV_PASSWORD)),
    Row(_SERVICE, None, both(_AUTH, _ENV)),
    Row(_PROBE_REMOTE, None, one_of(_REMOTE_TOKEN, _REMOTE_PASSWORD, _ENV_TOKEN_AND, _ENV_PASSWORD)),
    Row(_PROBE_LOCAL, None, one_of(_AUTH_TOKEN_OR_END, _AUTH_PASSWORD_REF, _ENV_TOKEN, _ENV_PASSWORD, _AUTH_PASSWORD)),
)

CONTRACT_2026_5 = Contract("2026.5", _ROWS_2026_5, drops_placeholders=True, env_after_failed_ref=True)
CONTRACT_2026_9 = Contract("2026.9", _ROWS_2026_9, shorthand=True, forces_fallback=True)
CONTRACTS: Mapping[str, Contract] = MappingProxyType({c.name: c for c in (CONTRACT_2026_5, CONTRACT_2026_9)})
AUTO = "auto"
CONTRACT_CHOICES = (AUTO, *CONTRACTS)

FROM_ENVIRONMENT = both(_ENV)
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


def plan_for(contract: Contract, surface: Surface, *, remote: bool, auth_mode: str) -> Plan:
    """The plan of the first row that fits; ``auth_mode`` is empty where ``gateway.auth.mode`` is not set."""
    return next(
        row.plan
        for row in contract.rows
        if surface in row.surfaces
        and row.remote in (None, remote)
        and (not row.auth_modes or auth_mode in row.auth_modes)
    )
