"""Which credential is used for a gateway, where it comes from, and why not another. Pure.

The orders are the tables of ``contracts.py``; here is the one search through them. Beyond the orders:

* Credentials that were given explicitly win, alone. An address given with ``--url`` gets those and nothing else; one in
  OPENCLAW_GATEWAY_URL gets those or the environment's.
* A SecretRef is resolved only where its secret would be used: never for a kind that ``gateway.auth.mode`` rules out,
  and not while the other kind is at hand. One that is needed and cannot be resolved ends the search: nothing that
  comes after it takes its place.
* In local mode ``gateway.remote.*`` stands in only where the same setting of ``gateway.auth`` is not there at all.
"""

from collections.abc import Iterator

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.contracts import FROM_ENVIRONMENT, Contract, Plan, Step, Surface, plan_for
from openclaw_tunnel.openclaw.credentials.secretref import (
    Secret,
    SecretInput,
    SecretRef,
    Unresolved,
    holds_reference,
    plain_input,
    read_input,
)
from openclaw_tunnel.openclaw.credentials.values import (
    CredentialChoice,
    CredentialInputs,
    Kind,
    Origin,
    Override,
    Source,
)

_KINDS_OF_MODE: dict[str, tuple[Kind, ...]] = {
    "none": (),
    "token": (Kind.TOKEN,),
    "password": (Kind.PASSWORD,),
    "trusted-proxy": (Kind.PASSWORD,),
}
"""What ``gateway.auth.mode`` lets a client log in with; any other mode leaves it open."""


def resolve_credentials(inputs: CredentialInputs, surface: Surface, contract: Contract) -> CredentialChoice:
    """Decide; ``needs`` of the answer tells whether a reference has to be resolved first.

    Raises:
        CredentialError: an address needs credentials of its own, or a needed one is configured and cannot be had.
    """
    token, password = (_explicit(inputs.token, "--token"), _explicit(inputs.password, "--password"))
    if token or password:
        others = dict.fromkeys(map(str, Source), "is not used: explicit credentials win")
        return CredentialChoice(token, password, "--token" * bool(token), "--password" * bool(password), others)
    if inputs.override is Override.OPTION:
        raise _no_own_credentials(Override.OPTION, "pass --token-file or --password-file with --url")
    remote = inputs.remote_mode and (inputs.has_remote_url or surface is Surface.NODE_HOST)
    if inputs.override is Override.NONE and inputs.remote_mode and not remote and surface.needs_remote_url:
        raise CredentialError(
            "gateway.mode is remote, and there is no gateway.remote.url",
            hint='openclaw config set gateway.remote.url "ws://127.0.0.1:18789", or set gateway.mode to local',
        )
    plan = plan_for(contract, surface, remote=remote, auth_mode=inputs.auth_mode)
    search = _Search(inputs, surface, contract, plan if inputs.override is Override.NONE else FROM_ENVIRONMENT, remote)
    choice = search.run()
    if inputs.override is Override.VARIABLE and not choice.token_source and not choice.password_source:
        if not surface.only_looks:
            raise _no_own_credentials(Override.VARIABLE, "set OPENCLAW_GATEWAY_TOKEN or OPENCLAW_GATEWAY_PASSWORD too")
    return choice


def _explicit(text: str, option: str) -> Secret | None:
    value = plain_input(text)
    if isinstance(value, Unresolved):
        raise CredentialError(f"{option} {value.why}", hint="give the credential itself")
    return value


def _no_own_credentials(override: Override, hint: str) -> CredentialError:
    return CredentialError(f"an address from {override} gets no credentials that are meant for another", hint=hint)


class _Search:
    """One search through a plan."""

    def __init__(
        self, inputs: CredentialInputs, surface: Surface, contract: Contract, plan: Plan, remote: bool
    ) -> None:
        self.inputs, self.surface, self.contract = inputs, surface, contract
        self.remote = remote and surface is not Surface.SERVICE_STATUS
        self.orders = plan.orders
        self.pair = plan.both
        self.values: dict[Source, SecretInput] = {}
        for source in Source:
            if source.of_environment:
                self.values[source] = plain_input(inputs.variables.get(source))
            else:
                value = inputs.settings.get(source)
                self.values[source] = read_input(value, inputs.defaults, shorthand=contract.shorthand)
        self.found: dict[Source, Secret] = {}
        self.why = dict.fromkeys(Source, f"is not used for {surface}")
        self.failed: Source | None = None
        self.needs: SecretRef | None = None

    def run(self) -> CredentialChoice:
        for order in self.orders:
            if self.needs is None and not (self.pair and self.failed):
                self._follow(order)
        if self.needs:
            return CredentialChoice(needs=self.needs)
        problem, remedy = self._problem()
        if problem and self.pair:
            self.found = {}
            if not self.surface.only_looks:
                raise CredentialError(problem, hint=remedy)
        names = {source.kind: source for source in self.found}
        token, password = names.get(Kind.TOKEN), names.get(Kind.PASSWORD)
        return CredentialChoice(
            self.found[token] if token else None,
            self.found[password] if password else None,
            token or "",
            password or "",
            why_not={str(source): why for source, why in self.why.items() if source not in self.found},
            warning=problem,
            remedy=remedy,
        )

    def _problem(self) -> tuple[str, str]:
        """The source that was needed and cannot be had, and the next step about it; empty for none."""
        if self.failed is None:
            return "", ""
        value = self._value(self.failed)
        step = value.step if isinstance(value, Unresolved) else ""
        remedy = f"{step or 'make the reference resolve'}, or pass --token-file or --password-file"
        return f"{self.failed} {self.why[self.failed]}", remedy

    def _follow(self, order: tuple[Step, ...]) -> None:
        taken: Step | None = None
        for step in order:
            source, value = step.source, self._value(step.source)
            if taken and not taken.with_next:
                self.why[source] = f"comes after {taken.source}"
            elif why := self._closed(source, value):
                self.why[source] = why
            elif isinstance(value, Secret):
                if not step.only_reference or isinstance(self.values[source], SecretRef):
                    self.found[source], taken = value, step
            elif why := self._needless(source):
                self.why[source] = f"is not resolved: {why}"
            elif isinstance(value, SecretRef):
                self.needs = value
                return
            elif isinstance(value, Unresolved):
                self.why[source] = value.why
                if self.failed is None and self._is_fatal(source):
                    self.failed = source
                if self.failed and (self.pair or step.ends_unresolved):
                    return

    def _value(self, source: Source) -> SecretInput:
        value = self.values[source]
        return self.inputs.resolved.get(value, value) if isinstance(value, SecretRef) else value

    def _closed(self, source: Source, value: SecretInput) -> str:
        """Why this source does not come into question at all."""
        local_pair = self.pair and not self.remote
        if value is None:
            return "is not set"
        if source.of_environment and self.failed and not self.contract.env_after_failed_ref:
            return f"does not stand in for {self.failed}"
        if local_pair and source.origin is Origin.REMOTE:
            own = Source.of(Origin.AUTH, source.kind)
            if self.values[own] is not None:
                return f"stands in only where {own} is not set"
            if source is Source.REMOTE_PASSWORD and self.inputs.auth_mode == "trusted-proxy":
                return "is never used where gateway.auth.mode is trusted-proxy"
        drops = self.contract.drops_placeholders and local_pair and not source.of_environment
        return "holds ${...} that is not set" if drops and isinstance(value, Secret) and holds_reference(value) else ""

    def _needless(self, source: Source) -> str:
        """Why a reference need not be resolved; empty where it has to be."""
        if not self.pair or source.of_environment:
            return ""
        mode = self.inputs.auth_mode
        kinds = tuple(Kind) if self.remote else _KINDS_OF_MODE.get(mode, tuple(Kind))
        if source.kind not in kinds:
            return f"gateway.auth.mode is {mode}"
        forced = len(kinds) == 1 and (source.origin is Origin.AUTH or self.contract.forces_fallback)
        other = next(self._at_hand_beside(source), None)
        return f"{other} is at hand" if other and not forced else ""

    def _at_hand_beside(self, source: Source) -> Iterator[Source]:
        """The sources of the other kind that have a value."""
        for other in (step.source for order in self.orders for step in order):
            # A fallback of another place is no reason to leave gateway.auth alone.
            fallback = other.origin is Origin.REMOTE and source.origin is Origin.AUTH and not self.remote
            value = self._value(other)
            if other.kind is not source.kind and not fallback and isinstance(value, Secret):
                if not self._closed(other, value):
                    yield other

    def _is_fatal(self, source: Source) -> bool:
        """Whether nothing may be sent when this source was needed and cannot be had."""
        if not self.pair:
            return True
        if not self.remote:
            return source.origin is Origin.AUTH
        mode_of_token = _KINDS_OF_MODE.get(self.inputs.auth_mode, (Kind.TOKEN,)) == (Kind.TOKEN,)
        return source.origin is Origin.REMOTE or (source is Source.AUTH_TOKEN and mode_of_token)
