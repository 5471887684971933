"""Options as click has them."""

import click
import pytest

from openclaw_tunnel.cli.params import PORT, LocalPort, check_fingerprint, up_params
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.up_options import OPTIONS

PRINT = "SHA256:" + "A" * 43


def test_every_option_is_a_parameter_of_its_field_s_name() -> None:
    assert [param.name for param in up_params()] == list(OPTIONS)
    assert [param.name for param in up_params("local_port", "target")] == ["target", "local_port"]
    assert all(isinstance(param, click.Option) and param.help for param in up_params()[1:])


def test_a_default_is_in_the_help_where_it_says_one() -> None:
    helps = {param.name: param.help for param in up_params() if isinstance(param, click.Option)}
    assert helps["remote_port"] == "Gateway's port.  [default: 18789]"
    assert helps["hold"] == "How long clients wait for a lost link."


def test_a_local_port_may_be_a_word() -> None:
    kind = LocalPort()
    assert [kind.convert(text, None, None) for text in ("auto", "new", "4711")] == ["auto", "new", 4711]
    for text in ("fixed", "0", "65536"):
        with pytest.raises(click.BadParameter) as ports:
            PORT(text)
        with pytest.raises(click.BadParameter) as ours:
            kind(text)
        assert str(ours.value) == str(ports.value)


def test_the_words_of_a_local_port_are_completed() -> None:
    with click.Context(click.Command("x")) as context:
        option = click.Option(["-p"])
        assert [item.value for item in LocalPort().shell_complete(context, option, "")] == ["auto", "new"]
        assert [item.value for item in LocalPort().shell_complete(context, option, "n")] == ["new"]


@pytest.mark.parametrize("text", ["", PRINT, PRINT + "="])
def test_a_fingerprint_is_one(text: str) -> None:
    check_fingerprint(text)


@pytest.mark.parametrize("text", ["SHA256:", "MD5:aa", PRINT + "A", PRINT[7:]])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a fingerprint"):
        check_fingerprint(text)
