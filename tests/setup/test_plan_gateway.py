"""What `setup` puts into openclaw.json as a secret: setup/plan_gateway.py."""

import pytest

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.setup.plan_gateway import check_secret_text


@pytest.mark.parametrize("text", ["${TOKEN}", "a-${TOKEN}", "$TOKEN", "__OPENCLAW_REDACTED__"])
def test_a_secret_that_openclaw_would_not_take_as_it_is(text: str) -> None:
    with pytest.raises(CredentialError, match=r"^what was typed reads as a reference or a placeholder") as caught:
        check_secret_text(Secret(text), "what was typed")
    assert text not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["s3cret", "12345", "a$b", "${lower}", "päss"])
def test_a_secret_that_is_one(text: str) -> None:
    assert check_secret_text(Secret(text), "x") == Secret(text)
