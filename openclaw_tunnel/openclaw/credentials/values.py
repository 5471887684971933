"""What the choice of credentials depends on, and what comes out of it. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved

PLACES = {
    "eT": "env OPENCLAW_GATEWAY_TOKEN",
    "eP": "env OPENCLAW_GATEWAY_PASSWORD",
    "aT": "gateway.auth.token",
    "aP": "gateway.auth.password",
    "rT": "gateway.remote.token",
    "rP": "gateway.remote.password",
}
"""Every place a credential can come from, by its letters in the tables, with its name for people."""


class Override(StrEnum):
    """Who named an address other than the configured one."""

    NONE = ""
    OPTION = "--url"
    VARIABLE = "OPENCLAW_GATEWAY_URL"


@dataclass(frozen=True, slots=True)
class CredentialInputs:
    """Everything the answer depends on. Nothing in it shows a secret.

    Attributes:
        settings: what openclaw.json has at ``gateway.auth.token`` and so on, by letters; unresolved.
        defaults: ``secrets.defaults``: provider by source.
        variables: OPENCLAW_GATEWAY_TOKEN (``eT``) and OPENCLAW_GATEWAY_PASSWORD (``eP``).
        remote_mode: ``gateway.mode`` is ``remote``.
        has_remote_url: ``gateway.remote.url`` is set, or the caller knows the way to the remote gateway.
        token, password: given explicitly.
        resolved: what became of the references that were asked for so far.
    """

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
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
