"""Questions where no terminal is; on one: tests/ssh/hostkeys/test_real_trust.py."""

import pytest

from openclaw_tunnel.actions.agreement import Question
from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.errors import UsageError


def test_what_need_not_be_asked_is_not_agreed_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert agree(Question("Go on?", shown=("this", "that"))) is False
    with pytest.raises(UsageError, match="must be asked"):
        agree(Question("Go on?", unasked=UsageError("it must be asked")))
    assert capsys.readouterr() == ("this\nthat\n", "")
