"""Which credential is used for a gateway, where it comes from, and why not another. Pure.

The orders are the tables of ``contracts.py``; here is the one walk through them. Beyond the orders:

* Credentials that were given explicitly win, alone. An address given with ``--url`` gets those and nothing else; one in
  OPENCLAW_GATEWAY_URL gets those or the environment's.
* A SecretRef is resolved only where its secret would be used: never for a kind that ``gateway.auth.mode`` rules out,
  and not while the other kind is at hand. One that is needed and cannot be resolved ends the search: nothing that
  comes after it takes its place.
* In local mode ``gateway.remote.*`` stands in only where the same setting of ``gateway.auth`` is not there at all.
"""

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.contracts import FROM_ENVIRONMENT, Contract, Surface, plan_for
from openclaw_tunnel.openclaw.credentials.secretref import (
    Secret,
    SecretInput,
    SecretRef,
    Unresolved,
    holds_reference,
    plain_input,
    read_input,
)
from openclaw_tunnel.openclaw.credentials.values import PLACES, CredentialChoice, CredentialInputs, Override

__all__ = ["PLACES", "CredentialChoice", "CredentialInputs", "Override", "resolve_credentials"]

_KINDS_OF_MODE = {"none": "", "token": "T", "password": "P", "trusted-proxy": "P"}


def resolve_credentials(inputs: CredentialInputs, surface: Surface, contract: Contract) -> CredentialChoice:
    """Decide; ``needs`` of the answer tells whether a reference has to be resolved first.

    Raises:
        CredentialError: an address needs credentials of its own, or a needed one is configured and cannot be had.
    """
    token, password = (_explicit(inputs.token, "--token"), _explicit(inputs.password, "--password"))
    if token or password:
        others = dict.fromkeys(PLACES.values(), "is not used: explicit credentials win")
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
    walk = _Walk(inputs, surface, contract, plan if inputs.override is Override.NONE else FROM_ENVIRONMENT, remote)
    choice = walk.run()
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


class _Walk:
    """One walk through a plan."""

    def __init__(self, inputs: CredentialInputs, surface: Surface, contract: Contract, plan: str, remote: bool) -> None:
        self.inputs, self.surface, self.contract = inputs, surface, contract
        self.remote = remote and surface is not Surface.SERVICE_STATUS
        self.lanes = [lane.replace("eB", "eT& eP").split() for lane in plan.split("|")]
        self.pair = len(self.lanes) == 2
        self.places: dict[str, SecretInput] = {p: plain_input(inputs.variables.get(p)) for p in ("eT", "eP")}
        for place in ("aT", "aP", "rT", "rP"):
            value = inputs.settings.get(place)
            self.places[place] = read_input(value, inputs.defaults, shorthand=contract.shorthand)
        self.found: dict[str, Secret] = {}
        self.why = {place: f"is not used for {surface}" for place in PLACES}
        self.failed = ""
        self.needs: SecretRef | None = None

    def run(self) -> CredentialChoice:
        for lane in self.lanes:
            if self.needs is None and not (self.pair and self.failed):
                self._follow(lane)
        if self.needs:
            return CredentialChoice(needs=self.needs)
        problem = f"{PLACES[self.failed]} {self.why[self.failed]}" if self.failed else ""
        if problem and self.pair:
            self.found = {}
            if not self.surface.only_looks:
                raise CredentialError(problem, hint=self._remedy())
        names = {place[1]: place for place in self.found}
        token, password = names.get("T", ""), names.get("P", "")
        return CredentialChoice(
            self.found.get(token),
            self.found.get(password),
            PLACES.get(token, ""),
            PLACES.get(password, ""),
            why_not={PLACES[place]: why for place, why in self.why.items() if place not in self.found},
            warning=problem,
            remedy=self._remedy() if problem else "",
        )

    def _remedy(self) -> str:
        value = self._value(self.failed)
        step = value.step if isinstance(value, Unresolved) else ""
        return f"{step or 'make the reference resolve'}, or pass --token-file or --password-file"

    def _follow(self, lane: list[str]) -> None:
        taken = ""
        for step in lane:
            place, value = step[:2], self._value(step[:2])
            if taken and not taken.endswith("&"):
                self.why[place] = f"comes after {PLACES[taken[:2]]}"
            elif why := self._closed(place, value):
                self.why[place] = why
            elif isinstance(value, Secret):
                if "?" not in step or isinstance(self.places[place], SecretRef):
                    self.found[place], taken = value, step
            elif why := self._needless(place):
                self.why[place] = f"is not resolved: {why}"
            elif isinstance(value, SecretRef):
                self.needs = value
                return
            elif isinstance(value, Unresolved):
                self.why[place] = value.why
                self.failed = self.failed or (place if self._is_fatal(place) else "")
                if self.failed and (self.pair or "!" in step):
                    return

    def _value(self, place: str) -> SecretInput:
        value = self.places[place]
        return self.inputs.resolved.get(value, value) if isinstance(value, SecretRef) else value

    def _closed(self, place: str, value: SecretInput) -> str:
        """Why this place does not come into question at all."""
        local_pair = self.pair and not self.remote
        if value is None:
            return "is not set"
        if place[0] == "e" and self.failed and not self.contract.env_after_failed_ref:
            return f"does not stand in for {PLACES[self.failed]}"
        if local_pair and place[0] == "r" and self.places["a" + place[1]] is not None:
            return f"stands in only where {PLACES['a' + place[1]]} is not set"
        if local_pair and place == "rP" and self.inputs.auth_mode == "trusted-proxy":
            return "is never used where gateway.auth.mode is trusted-proxy"
        drops = self.contract.drops_placeholders and local_pair and place[0] != "e"
        return "holds ${...} that is not set" if drops and isinstance(value, Secret) and holds_reference(value) else ""

    def _needless(self, place: str) -> str:
        """Why a reference need not be resolved; empty where it has to be."""
        if not self.pair or place[0] == "e":
            return ""
        mode = self.inputs.auth_mode
        kinds = "TP" if self.remote else _KINDS_OF_MODE.get(mode, "TP")
        if place[1] not in kinds:
            return f"gateway.auth.mode is {mode}"
        # A fallback of another place is no reason to leave gateway.auth alone.
        passed = "r" if place[0] == "a" and not self.remote else ""
        others = [p[:2] for lane in self.lanes for p in lane if p[1] != place[1] and p[0] not in passed]
        at_hand = (p for p in others if isinstance(v := self._value(p), Secret) and not self._closed(p, v))
        forced = len(kinds) == 1 and (place[0] == "a" or self.contract.forces_fallback)
        other = PLACES.get(next(at_hand, ""), "")
        return f"{other} is at hand" if other and not forced else ""

    def _is_fatal(self, place: str) -> bool:
        """Whether nothing may be sent when this place was needed and cannot be had."""
        if not self.pair or not self.remote:
            return place[0] == "a" or not self.pair
        return place[0] == "r" or (place == "aT" and _KINDS_OF_MODE.get(self.inputs.auth_mode, "T") == "T")
