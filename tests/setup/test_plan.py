"""What `setup` decides: facts and answers in, steps out, or what has to be known first."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.setup.facts import Computer, Facts, read_local
from openclaw_tunnel.setup.plan import Plan, plan
from openclaw_tunnel.setup.steps import Do, Look, Mark, Note, Options, Question, Step
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from support.setupfakes import BY_KEY, WITH_TOKEN, FakeHost

TARGET = "me@gateway-host"
ASKED = Options(TARGET, can_ask=True)


class Case:
    """Somebody new: nothing is known here, everything is well there."""

    def __init__(self, folder: Path) -> None:
        host = FakeHost(folder)
        env = {"HOME": str(folder), "OPENCLAW_TUNNEL_HOME": str(folder / "t")}
        self.facts = Facts(
            read_local(Options(TARGET), env, Paths.from_env(env)),
            host=asyncio.run(host.look()),
            login=BY_KEY,
            remote=WITH_TOKEN,
            probes=(asyncio.run(host.probe(18789)),),
            computer=Computer("", False, None),
            ports=((18789, ""),),
        )
        self.refusing = asyncio.run(host.probe(1))

    def __call__(self, options: Options = ASKED, answers: dict[str, bool | str] | None = None, **facts: Any) -> Plan:
        return plan(options, replace(self.facts, **facts), answers or {})


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


YES: dict[str, bool | str] = {"trust host key": True, "take secret": True, "service": True, "install key": True}


def todo(planned: Plan) -> list[Do]:
    """What there is to be done."""
    return [step.do for step in planned.steps if isinstance(step, Step) and step.do]


def test_one_thing_after_the_other_has_to_be_known(case: Case) -> None:
    """The steps that a plan had come first in the next one, whatever was found meanwhile."""
    known = Facts(case.facts.local)
    answers: dict[str, bool | str] = {}
    needs: list[str] = []
    before: tuple[Step | Note, ...] = ()
    while (planned := plan(ASKED, known, answers)).needs:
        assert planned.steps[: len(before)] == before
        before = planned.steps
        if isinstance(planned.needs, Question):
            needs.append(f"? {planned.needs.topic}")
            answers[planned.needs.topic] = True
        else:
            what = planned.needs.what
            needs.append(what)
            known = replace(known, **{what: getattr(case.facts, what)})
    assert needs == [
        "host",
        "? trust host key",
        "login",
        "remote",
        "probes",
        "? take secret",
        "computer",
        "? service",
        "ports",
    ]
    assert planned == case(answers=YES)
    assert todo(planned) == [Do.REMEMBER_KEY, Do.WRITE_SETTINGS, Do.INSTALL_SERVICE]
    assert planned.changes
    assert planned.can_ask


def test_a_dry_run_has_nothing_to_do_and_nothing_to_ask(case: Case) -> None:
    planned = case(replace(ASKED, dry_run=True), login=None)
    assert planned.needs is None
    assert todo(planned) == [Do.CHECK_SETTINGS]
    steps = [step for step in planned.steps if isinstance(step, Step)]
    assert [step.name for step in steps if step.mark is Mark.WOULD] == ["host key", "gateway", "settings", "tunnel"]
    assert steps[-1].words == "call: service install"


def test_a_key_is_made_and_installed_where_only_a_password_is_accepted(case: Case) -> None:
    with_password = HowIn("password")
    assert case(answers=YES, login=with_password).needs == Look("key", f"logging in to {TARGET}")
    key = FakeHost(Path()).chosen
    assert todo(case(answers=YES, login=with_password, key=key))[:3] == [
        Do.REMEMBER_KEY,
        Do.MAKE_KEY,
        Do.INSTALL_KEY,
    ]
    declined = case(answers={**YES, "install key": False}, login=with_password, key=key)
    assert declined.error is not None
    assert declined.error.message == f"{TARGET} accepts no key of yours, and a tunnel cannot log in with a password"


def test_a_refused_login_ends_it_and_the_steps_before_stay(case: Case) -> None:
    refused = TunnelError("refused", hint="install a key", exit_code=ExitCode.LOGIN)
    planned = case(answers=YES, login=refused)
    assert planned.error is not None
    assert planned.error.exit_code is ExitCode.LOGIN
    assert todo(planned) == [Do.REMEMBER_KEY]


def test_each_port_that_is_none_is_asked_about_once_more(case: Case) -> None:
    refusing, healthy = case.refusing, case.facts.probes[0]
    assert healthy.verdict is Verdict.HEALTHY
    first = case(answers=YES, probes=(refusing,))
    assert isinstance(first.needs, Question)
    assert first.needs.topic == "port 0"
    again = case(answers={**YES, "port 0": "19001"}, probes=(refusing,))
    assert isinstance(again.needs, Look)
    assert again.needs.ports == (19001,)
    assert isinstance(case(answers={**YES, "port 0": "19001"}, probes=(refusing, refusing)).needs, Question)
    found = case(answers={**YES, "port 0": "19001"}, probes=(refusing, healthy))
    assert Step("gateway", Mark.OK, f"127.0.0.1:19001 of {TARGET}: healthy, version 2026.9.6") in found.steps
    for no_port in ("", "0", "65536", "12a"):
        assert case(answers={**YES, "port 0": no_port}, probes=(refusing,)).error is not None


def test_settings_for_another_gateway(case: Case) -> None:
    local = replace(case.facts.local, elsewhere="me@old")
    asked = case(local=local)
    assert isinstance(asked.needs, Question)
    assert asked.needs.topic == "replace settings"
    assert asked.steps == ()
    assert isinstance(case(replace(ASKED, yes=True), local=local).error, ConfigError)
    assert case(replace(ASKED, replace=True), YES, local=local).needs is None
    dry = case(replace(ASKED, dry_run=True), login=None, local=local)
    assert dry.steps[0] == Step("settings", Mark.WOULD, f"ask whether {TARGET} takes the place of me@old")


def test_a_dry_run_says_that_it_would_ask_for_a_token(case: Case) -> None:
    dry = replace(ASKED, dry_run=True)
    unreadable = replace(WITH_TOKEN, token=None, token_problem="is elsewhere")
    words = "ask for it: gateway.auth.token there is elsewhere"
    assert Step("token", Mark.WOULD, words) in case(dry, remote=unreadable).steps
