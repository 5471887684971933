"""Real servers as fixtures: one of each for a test, the slow gateway once for the whole run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent import SshAgent
from support.gateway import Gateway
from support.servers import Dropbear, Sshd, Tinysshd

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is in this folder needs real servers."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """A real sshd; for other settings use ``Sshd(extra=[...])`` as a context manager."""
    with Sshd() as server:
        yield server


@pytest.fixture
def dropbear() -> Iterator[Dropbear]:
    """A real dropbear."""
    with Dropbear() as server:
        yield server


@pytest.fixture
def tinysshd() -> Iterator[Tinysshd]:
    """A real tinysshd, which cannot forward."""
    with Tinysshd() as server:
        yield server


@pytest.fixture
def ssh_agent() -> Iterator[SshAgent]:
    """A real ssh-agent without keys."""
    with SshAgent() as agent:
        yield agent


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Gateway]:
    """The gateway of the whole run; tests take ``gateway``."""
    with Gateway() as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """The real gateway, running, even where the test before stopped it."""
    shared_gateway.start()
    return shared_gateway
