"""Which credential, from where, and why not another: each rule for itself. The releases' answers: test_vectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.errors import CredentialError, ExitCode
from openclaw_tunnel.openclaw.credentials.contracts import (
    CONTRACT_2026_5,
    CONTRACT_2026_9,
    CONTRACTS,
    Contract,
    Surface,
    choose_contract,
    plan_for,
)
from openclaw_tunnel.openclaw.credentials.precedence import resolve_credentials
from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved
from openclaw_tunnel.openclaw.credentials.values import CredentialChoice, CredentialInputs, Override, Source

REF = {"source": "env", "provider": "default", "id": "A"}
KEY = SecretRef("env", "default", "A")
EVERYTHING: dict[str, Any] = {
    "settings": {
        Source.AUTH_TOKEN: "a-token",
        Source.AUTH_PASSWORD: "a-pw",
        Source.REMOTE_TOKEN: "r-token",
        Source.REMOTE_PASSWORD: "r-pw",
    },
    "variables": {Source.ENV_TOKEN: "e-token", Source.ENV_PASSWORD: "e-pw"},
}
NEW, OLD = CONTRACT_2026_9, CONTRACT_2026_5


def ask(surface: Surface = Surface.CALL, contract: Contract = NEW, **inputs: Any) -> CredentialChoice:
    return resolve_credentials(CredentialInputs(**inputs), surface, contract)


def remote(surface: Surface = Surface.CALL, contract: Contract = NEW, **inputs: Any) -> CredentialChoice:
    return ask(surface, contract, **{"remote_mode": True, "has_remote_url": True, **inputs})


def sources(choice: CredentialChoice) -> tuple[str, str]:
    return choice.token_source, choice.password_source


@pytest.mark.parametrize("surface", Surface)
@pytest.mark.parametrize("override", Override)
def test_explicit_credentials_win_alone(surface: Surface, override: Override) -> None:
    choice = remote(surface, **EVERYTHING, token=" mine ", override=override)
    assert choice.token == Secret("mine")
    assert choice.password is None
    assert sources(choice) == ("--token", "")
    assert choice.why_not["gateway.remote.token"] == "is not used: explicit credentials win"


def test_blank_explicit_credentials_are_none() -> None:
    assert ask(token="  ", password="\n", settings={Source.AUTH_TOKEN: "t"}).token == Secret("t")


@pytest.mark.parametrize("surface", Surface)
def test_an_address_of_the_command_line_borrows_nothing(surface: Surface) -> None:
    with pytest.raises(CredentialError) as caught:
        ask(surface, **EVERYTHING, override=Override.OPTION)
    assert caught.value.message == "an address from --url gets no credentials that are meant for another"
    assert caught.value.hint == "pass --token-file or --password-file with --url"
    assert caught.value.exit_code == ExitCode.CREDENTIAL


@pytest.mark.parametrize("surface", Surface)
@pytest.mark.parametrize("contract", CONTRACTS.values())
def test_an_address_of_the_environment_gets_the_environment_s(surface: Surface, contract: Contract) -> None:
    choice = remote(surface, contract, **EVERYTHING, override=Override.VARIABLE)
    assert sources(choice) == ("env OPENCLAW_GATEWAY_TOKEN", "env OPENCLAW_GATEWAY_PASSWORD")


def test_an_address_of_the_environment_without_credentials() -> None:
    with pytest.raises(CredentialError, match="an address from OPENCLAW_GATEWAY_URL gets no credentials"):
        ask(settings=EVERYTHING["settings"], override=Override.VARIABLE)
    looked = ask(Surface.STATUS, settings=EVERYTHING["settings"], override=Override.VARIABLE)
    assert sources(looked) == ("", "")


def test_remote_mode_without_an_address() -> None:
    with pytest.raises(CredentialError, match=r"^gateway\.mode is remote, and there is no gateway\.remote\.url$"):
        ask(**EVERYTHING, remote_mode=True)
    assert ask(Surface.STATUS, **EVERYTHING, remote_mode=True).token == Secret("a-token")
    assert ask(**EVERYTHING, remote_mode=True, token="t").token == Secret("t")


ORDERS: list[tuple[Surface, bool, str, str, str]] = [
    # surface, remote, contract, token, password
    (Surface.CALL, False, "2026.5", "env OPENCLAW_GATEWAY_TOKEN", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.CALL, False, "2026.9", "gateway.auth.token", "gateway.auth.password"),
    (Surface.CALL, True, "2026.5", "gateway.remote.token", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.CALL, True, "2026.9", "gateway.remote.token", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.EXEC_APPROVALS, True, "2026.9", "gateway.remote.token", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.STATUS, True, "2026.5", "gateway.remote.token", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.STATUS, True, "2026.9", "gateway.remote.token", ""),
    (Surface.SERVICE_STATUS, True, "2026.5", "", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.SERVICE_STATUS, True, "2026.9", "gateway.auth.token", "gateway.auth.password"),
    (Surface.PROBE_REMOTE, True, "2026.5", "gateway.remote.token", ""),
    (Surface.PROBE_LOCAL, False, "2026.9", "gateway.auth.token", ""),
    (Surface.NODE_HOST, False, "2026.9", "env OPENCLAW_GATEWAY_TOKEN", "env OPENCLAW_GATEWAY_PASSWORD"),
    (Surface.NODE_HOST, True, "2026.5", "env OPENCLAW_GATEWAY_TOKEN", "env OPENCLAW_GATEWAY_PASSWORD"),
]


@pytest.mark.parametrize(("surface", "is_remote", "contract", "token", "password"), ORDERS)
def test_the_orders(surface: Surface, is_remote: bool, contract: str, token: str, password: str) -> None:
    choice = (remote if is_remote else ask)(surface, CONTRACTS[contract], **EVERYTHING)
    assert sources(choice) == (token, password)


def test_a_probe_of_the_remote_target_uses_the_environment_only_where_nothing_is_configured() -> None:
    variables = EVERYTHING["variables"]
    assert sources(remote(Surface.PROBE_REMOTE, variables=variables)) == (Source.ENV_TOKEN, Source.ENV_PASSWORD)
    assert sources(remote(Surface.PROBE_REMOTE, variables=variables, settings={Source.REMOTE_PASSWORD: "p"})) == (
        "",
        Source.REMOTE_PASSWORD,
    )
    assert sources(remote(Surface.PROBE_REMOTE, OLD, variables=variables)) == ("", "")


def test_why_not_the_others() -> None:
    choice = ask(**{**EVERYTHING, "settings": {**EVERYTHING["settings"], Source.REMOTE_PASSWORD: None}})
    assert choice.why_not == {
        "env OPENCLAW_GATEWAY_TOKEN": "comes after gateway.auth.token",
        "env OPENCLAW_GATEWAY_PASSWORD": "comes after gateway.auth.password",
        "gateway.remote.token": "comes after gateway.auth.token",
        "gateway.remote.password": "comes after gateway.auth.password",
    }
    assert remote(Surface.PROBE_REMOTE, **EVERYTHING).why_not["gateway.auth.token"] == (
        "is not used for a probe of a remote target"
    )


def test_the_remote_fallback_is_for_unset_settings_only() -> None:
    choice = ask(contract=OLD, settings={Source.AUTH_TOKEN: "a-${NOT_SET}", Source.REMOTE_TOKEN: "r"})
    assert choice.token is None
    assert choice.why_not["gateway.remote.token"] == "stands in only where gateway.auth.token is not set"
    assert choice.why_not["gateway.auth.token"] == "holds ${...} that is not set"
    assert ask(settings={Source.REMOTE_PASSWORD: "r"}, auth_mode="trusted-proxy").password is None


def test_a_reference_is_asked_for_before_it_is_used() -> None:
    first = ask(settings={Source.AUTH_TOKEN: REF})
    assert first.needs == KEY
    assert ask(settings={Source.AUTH_TOKEN: REF}, resolved={KEY: Secret("s")}).token == Secret("s")


def test_a_reference_that_is_not_needed_is_not_asked_for() -> None:
    choice = ask(settings={Source.AUTH_TOKEN: REF, Source.AUTH_PASSWORD: "pw"})
    assert (choice.needs, sources(choice)) == (None, ("", "gateway.auth.password"))
    assert choice.why_not["gateway.auth.token"] == "is not resolved: gateway.auth.password is at hand"
    choice = ask(settings={Source.AUTH_TOKEN: REF}, auth_mode="none")
    assert choice.why_not["gateway.auth.token"] == "is not resolved: gateway.auth.mode is none"


FAILED = {KEY: Unresolved("is the SecretRef env:default:A, which cannot be resolved: x")}
MASKS: list[dict[str, Any]] = [
    {"settings": {Source.AUTH_TOKEN: REF, Source.REMOTE_TOKEN: "r"}},
    {
        "settings": {Source.AUTH_TOKEN: REF, Source.REMOTE_PASSWORD: "r"}
    },  # OpenClaw itself sends the remote password here
    {"settings": {Source.AUTH_TOKEN: REF}, "variables": {Source.ENV_TOKEN: "e"}},
    {"settings": {Source.REMOTE_TOKEN: REF, Source.AUTH_TOKEN: "a"}, "remote_mode": True, "has_remote_url": True},
    {
        "settings": {Source.REMOTE_TOKEN: REF},
        "variables": {Source.ENV_TOKEN: "e"},
        "remote_mode": True,
        "has_remote_url": True,
    },
    {"settings": {Source.REMOTE_PASSWORD: REF, Source.AUTH_PASSWORD: "a"}, "remote_mode": True, "has_remote_url": True},
    {"settings": {Source.AUTH_TOKEN: REF}, "remote_mode": True, "has_remote_url": True},
]


@pytest.mark.parametrize("inputs", MASKS)
def test_nothing_masks_a_reference_that_cannot_be_resolved(inputs: dict[str, Any]) -> None:
    with pytest.raises(CredentialError) as caught:
        ask(**inputs, resolved=FAILED)
    assert caught.value.message.endswith("is the SecretRef env:default:A, which cannot be resolved: x")
    assert caught.value.exit_code == ExitCode.CREDENTIAL


def test_status_goes_on_without_and_says_so() -> None:
    choice = remote(
        Surface.STATUS, settings={Source.REMOTE_TOKEN: REF}, variables={Source.ENV_TOKEN: "e"}, resolved=FAILED
    )
    assert sources(choice) == ("", "")
    assert choice.warning.startswith("gateway.remote.token is the SecretRef env:default:A")
    assert choice.remedy == "make the reference resolve, or pass --token-file or --password-file"
    sibling = remote(Surface.STATUS, settings={Source.REMOTE_TOKEN: REF, Source.REMOTE_PASSWORD: "p"}, resolved=FAILED)
    assert (sources(sibling), bool(sibling.warning)) == (("", "gateway.remote.password"), True)


def test_the_placeholder_of_a_secret_is_never_sent() -> None:
    with pytest.raises(CredentialError, match=r"^gateway\.auth\.token holds the placeholder"):
        ask(settings={Source.AUTH_TOKEN: "__OPENCLAW_REDACTED__", Source.REMOTE_TOKEN: "r"})
    with pytest.raises(CredentialError, match=r"^--token holds the placeholder"):
        ask(token="__OPENCLAW_REDACTED__", settings={Source.AUTH_TOKEN: "t"})
    choice = remote(settings={Source.AUTH_TOKEN: "t"}, variables={Source.ENV_TOKEN: "__OPENCLAW_REDACTED__"})
    assert (choice.token, choice.token_source) == (Secret("t"), "gateway.auth.token")


RELEASES = [
    ("auto", "", "2026.5"),
    ("", "2026.7.26", "2026.5"),
    ("auto", "2026.7.27", "2026.9"),
    ("auto", " v2026.9.6-beta.1", "2026.9"),
    ("auto", "2027.1", "2026.9"),
    ("auto", "2026.10.1", "2026.9"),
    ("auto", "latest", "2026.5"),
    ("auto", "9" * 400 + ".1", "2026.5"),
    ("2026.5", "2026.9.6", "2026.5"),
    ("2026.9", "", "2026.9"),
]


@pytest.mark.parametrize(("setting", "last_touched", "name"), RELEASES)
def test_which_contract(setting: str, last_touched: str, name: str) -> None:
    assert choose_contract(setting, last_touched).name == name


@pytest.mark.parametrize("surface", Surface)
@pytest.mark.parametrize("contract", CONTRACTS.values())
@pytest.mark.parametrize("is_remote", [True, False])
def test_every_case_has_a_row(surface: Surface, contract: Contract, is_remote: bool) -> None:
    for mode in ("", "none", "token", "password", "trusted-proxy", "something else"):
        plan = plan_for(contract, surface, remote=is_remote, auth_mode=mode)
        assert plan in [row.plan for row in contract.rows if surface in row.surfaces]


@pytest.mark.parametrize("contract", CONTRACTS.values())
def test_no_row_is_in_vain(contract: Contract) -> None:
    """Each is the first that fits some case."""
    modes = ("", "none", "token", "password", "trusted-proxy")
    cases = [(s, is_remote, mode) for s in Surface for is_remote in (True, False) for mode in modes]
    used = {id(plan_for(contract, s, remote=is_remote, auth_mode=mode)) for s, is_remote, mode in cases}
    assert used == {id(row.plan) for row in contract.rows}


VALUES = st.none() | st.sampled_from(
    ["lit", "${A}", "$A", "a-${A}", " ", "__OPENCLAW_REDACTED__", 1, REF, {**REF, "id": "B"}]
)
MIXES = st.builds(
    CredentialInputs,
    settings=st.fixed_dictionaries(
        dict.fromkeys((Source.AUTH_TOKEN, Source.AUTH_PASSWORD, Source.REMOTE_TOKEN, Source.REMOTE_PASSWORD), VALUES)
    ),
    variables=st.fixed_dictionaries(
        dict.fromkeys((Source.ENV_TOKEN, Source.ENV_PASSWORD), st.sampled_from(["", "env", " "]))
    ),
    remote_mode=st.booleans(),
    has_remote_url=st.booleans(),
    auth_mode=st.sampled_from(["", "none", "token", "password", "trusted-proxy", "x"]),
    override=st.sampled_from([Override.NONE, Override.NONE, Override.VARIABLE]),
)


@given(MIXES, st.sampled_from(Surface), st.sampled_from(list(CONTRACTS.values())), st.booleans())
def test_every_question_has_an_answer(
    inputs: CredentialInputs, surface: Surface, contract: Contract, works: bool
) -> None:
    """At most four references are asked for, each once; a credential and its source come together."""
    outcome = Secret("got") if works else Unresolved("is nowhere")
    known: dict[SecretRef, Secret | Unresolved] = {}
    for _ in range(5):
        try:
            choice = resolve_credentials(
                CredentialInputs(**{k: getattr(inputs, k) for k in CredentialInputs.__slots__} | {"resolved": known}),
                surface,
                contract,
            )
        except CredentialError:
            assert not surface.only_looks or inputs.override is not Override.NONE
            return
        if choice.needs is None:
            break
        assert choice.needs not in known
        known[choice.needs] = outcome
    assert choice.needs is None
    assert bool(choice.token) == bool(choice.token_source)
    assert bool(choice.password) == bool(choice.password_source)
    assert set(choice.why_not) | {choice.token_source, choice.password_source} >= set(Source)
