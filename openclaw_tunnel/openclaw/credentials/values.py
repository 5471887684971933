"""What the choice of credentials depends on, and what comes out of it. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved


def section(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at ``key``; an empty one where there is none."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}


class Kind(StrEnum):
    """What a credential is; the name of its setting in openclaw.json as well."""

    TOKEN = "token"  # noqa: S105
    PASSWORD = "password"  # noqa: S105  the name of a setting


class Origin(StrEnum):
    """Where a credential is kept; for those of openclaw.json the section of ``gateway``."""

    ENVIRONMENT = "environment"
    AUTH = "auth"
    REMOTE = "remote"


class Source(StrEnum):
    """Every place that a credential can come from. The value is its name for people."""

    origin: Origin
    kind: Kind

    ENV_TOKEN = "env OPENCLAW_GATEWAY_TOKEN", Origin.ENVIRONMENT, Kind.TOKEN
    ENV_PASSWORD = "env OPENCLAW_GATEWAY_PASSWORD", Origin.ENVIRONMENT, Kind.PASSWORD
    AUTH_TOKEN = "gateway.auth.token", Origin.AUTH, Kind.TOKEN
    AUTH_PASSWORD = "gateway.auth.password", Origin.AUTH, Kind.PASSWORD
    REMOTE_TOKEN = "gateway.remote.token", Origin.REMOTE, Kind.TOKEN
    REMOTE_PASSWORD = "gateway.remote.password", Origin.REMOTE, Kind.PASSWORD

    def __new__(cls, name: str, origin: Origin, kind: Kind) -> "Source":
        """A member."""
        source = str.__new__(cls, name)
        source._value_ = name
        source.origin, source.kind = origin, kind
        return source

    @classmethod
    def of(cls, origin: Origin, kind: Kind) -> "Source":
        """The one of that origin and kind."""
        return next(source for source in cls if source.origin is origin and source.kind is kind)

    @property
    def of_environment(self) -> bool:
        """It is a variable, not a setting of openclaw.json."""
        return self.origin is Origin.ENVIRONMENT


class Override(StrEnum):
    """Who named an address other than the configured one."""

    NONE = ""
    OPTION = "--url"
    VARIABLE = "OPENCLAW_GATEWAY_URL"


@dataclass(frozen=True, slots=True)
class CredentialInputs:
    """Everything the answer depends on. Nothing in it shows a secret.

    Attributes:
        settings: what openclaw.json has at ``gateway.auth.token`` and so on; unresolved.
        defaults: ``secrets.defaults``: provider by source.
        variables: what OPENCLAW_GATEWAY_TOKEN and OPENCLAW_GATEWAY_PASSWORD hold.
        remote_mode: ``gateway.mode`` is ``remote``.
        has_remote_url: ``gateway.remote.url`` is set, or the caller knows the way to the remote gateway.
        token, password: given explicitly.
        resolved: what became of the references that were asked for so far.
    """

    settings: Mapping[Source, Any] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[Source, str] = field(default_factory=dict, repr=False)
    remote_mode: bool = False
    auth_mode: str = ""
    has_remote_url: bool = False
    override: Override = Override.NONE
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    resolved: Mapping[SecretRef, Secret | Unresolved] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CredentialChoice:
    """The answer.

    Attributes:
        token, password: what is sent; None: nothing.
        token_source, password_source: a name such as ``gateway.remote.token`` or ``--token``; empty: nothing.
        why_not: for each other place one clause, such as "is not set".
        warning: what a probe or status goes on without; ``remedy``: the next step about it.
        needs: a reference to resolve before this is the answer: add it to ``resolved`` and ask again.
    """

    token: Secret | None = None
    password: Secret | None = None
    token_source: str = ""
    password_source: str = ""
    why_not: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""
    remedy: str = ""
    needs: SecretRef | None = None
