"""The one way to the credentials for a gateway: settings, environment and SecretRefs in, one answer out.

settings = await asyncio.to_thread(load_openclaw, os.environ)
choice = await load_credentials(Surface.CALL, settings=settings, explicit=Explicit(token="..."))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_tunnel.openclaw.credentials.contracts import Contract, Surface, choose_contract
from openclaw_tunnel.openclaw.credentials.precedence import resolve_credentials
from openclaw_tunnel.openclaw.credentials.providers import resolve_ref
from openclaw_tunnel.openclaw.credentials.secretref import Secret, Unresolved
from openclaw_tunnel.openclaw.credentials.values import (
    CredentialChoice,
    CredentialInputs,
    Origin,
    Override,
    Source,
    section,
)
from openclaw_tunnel.openclaw.settings import OpenClawSettings


@dataclass(frozen=True, slots=True)
class Explicit:
    """Credentials and an address that the user gave with this command; empty where they gave none."""

    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)


async def load_credentials(
    surface: Surface,
    *,
    settings: OpenClawSettings,
    explicit: Explicit | None = None,
    contract: str = "",
    way_is_known: bool = False,
) -> CredentialChoice:
    """Find the credentials to send, resolving SecretRefs only as far as they are needed.

    Args:
        surface: who needs them; decides the order.
        settings: openclaw.json with the environment it was read in: ``settings.env`` is that of the process with
            the ``.env`` files and ``env.vars`` added.
        explicit: given with this command: they win, and an address among them borrows from nowhere.
        contract: ``openclawContract`` of tunnels.json5; empty is ``auto``.
        way_is_known: the caller reaches the remote gateway through a tunnel: ``gateway.remote.url`` may be missing,
            and OPENCLAW_GATEWAY_URL means another gateway.

    Returns:
        The choice; ``token`` and ``password`` are both None where nothing is configured, and ``why_not`` says so.

    Raises:
        CredentialError: an address gets no credentials, or a needed SecretRef cannot be resolved. The message names
            the setting and the reference, never a value.
    """
    given = explicit or Explicit()
    override = Override.OPTION if given.url.strip() else override_of(settings.env)
    if way_is_known and override is Override.VARIABLE:
        override = Override.NONE
    inputs = credential_inputs(settings.config, settings.env)
    inputs = replace(
        inputs,
        token=given.token,
        password=given.password,
        override=override,
        has_remote_url=inputs.has_remote_url or way_is_known,
        # whoever comes through the tunnel asks the remote gateway: what is meant for one here is not for it
        remote_mode=inputs.remote_mode or way_is_known,
    )
    chosen = choose_contract(contract, settings.last_touched)
    choice = await resolve_with_refs(inputs, surface, chosen, settings.config, settings.env)
    return _with_shell(choice) if settings.loaded.asks_shell else choice


def _with_shell(choice: CredentialChoice) -> CredentialChoice:
    """Say where OpenClaw might know more: it imports missing variables from the login shell, and this program not."""
    unset = {str(s) for s in Source if s.of_environment and choice.why_not.get(s) == "is not set"}
    more = dict.fromkeys(unset, "is not set (the login shell, which env.shellEnv lets OpenClaw ask, is not asked here)")
    return replace(choice, why_not={**choice.why_not, **more})


async def resolve_with_refs(
    inputs: CredentialInputs, surface: Surface, contract: Contract, config: Mapping[str, Any], env: Mapping[str, str]
) -> CredentialChoice:
    """``resolve_credentials``, with every reference it asks for resolved on the way.

    Raises:
        CredentialError: as ``resolve_credentials``.
    """
    while True:
        choice = resolve_credentials(inputs, surface, contract)
        if choice.needs is None:
            return choice
        outcome: Secret | Unresolved = await resolve_ref(choice.needs, config, env)
        inputs = replace(inputs, resolved={**inputs.resolved, choice.needs: outcome})


def credential_inputs(config: Mapping[str, Any], env: Mapping[str, str]) -> CredentialInputs:
    """What openclaw.json and the environment say of credentials.

    Args:
        config: the whole file, includes and ``${NAME}`` done; values of other types than expected say nothing.
    """
    gateway = section(config, "gateway")
    sections = {origin: section(gateway, origin) for origin in (Origin.AUTH, Origin.REMOTE)}
    auth_mode, url = sections[Origin.AUTH].get("mode"), sections[Origin.REMOTE].get("url")
    defaults = section(section(config, "secrets"), "defaults")
    return CredentialInputs(
        settings={s: sections[s.origin].get(s.kind) for s in Source if not s.of_environment},
        defaults={k: v for k, v in defaults.items() if isinstance(v, str)},
        variables={
            Source.ENV_TOKEN: env.get("OPENCLAW_GATEWAY_TOKEN", ""),
            Source.ENV_PASSWORD: env.get("OPENCLAW_GATEWAY_PASSWORD", ""),
        },
        remote_mode=gateway.get("mode") == "remote",
        auth_mode=auth_mode if isinstance(auth_mode, str) else "",
        has_remote_url=isinstance(url, str) and bool(url.strip()),
    )


def override_of(env: Mapping[str, str]) -> Override:
    """Whether the environment names another address."""
    return Override.VARIABLE if env.get("OPENCLAW_GATEWAY_URL", "").strip() else Override.NONE
