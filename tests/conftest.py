"""What every test can use, and a look at which package is tested."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import openclaw_tunnel
from support import ports, workers
from support.cli import Cli

_CHECKOUT = Path(__file__).resolve().parents[1]
_PACKAGE = Path(openclaw_tunnel.__file__).resolve().parent


# How long an example takes depends on who else works on the machine; pytest-timeout ends one that hangs.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


def pytest_configure() -> None:
    """Stop where the installed package was to be tested and the checkout's is found."""
    if os.environ.get("OPENCLAW_TUNNEL_TEST_INSTALLED") == "1" and _PACKAGE.parent == _CHECKOUT:
        pytest.exit(f"the installed package was to be tested, not {_PACKAGE}", returncode=4)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Hold the ports of this process, before a test goes into a network namespace of its own."""
    if not session.config.getoption("numprocesses", None):  # then the workers run the tests
        ports.ours()
    _end_on_ctrl_c()


def _end_on_ctrl_c() -> None:
    """A shell starts what runs in the background with SIGINT and SIGQUIT ignored, which programs inherit: those of the
    tests would not end on the Ctrl-C that tests send them."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For ``-n auto``."""
    option = config.option
    named = [] if config.args_source is pytest.Config.ArgsSource.TESTPATHS else config.args
    some = bool(option.keyword or option.markexpr or getattr(option, "lf", False))
    return workers.how_many(workers.cores(), named, some=some)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For ``--dist loadfile``: hand out pieces instead of files."""
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Pieces(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return workers.piece_of(nodeid)

    config.option.loadscopereorder = False
    return Pieces(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A worker gets them in turn."""
    if hasattr(config, "workerinput"):
        items[:] = [items[n] for n in workers.in_turn([item.nodeid for item in items])]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without the garbage collector: all of it stays, and would be walked through again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_report_header() -> str:
    """Say which package is tested."""
    return f"openclaw_tunnel: {_PACKAGE}"


@pytest.fixture(autouse=True, scope="module")
def known() -> None:
    """Leave all that is there before a file's first test out of the search below: it takes 1 ms then, not 200."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """What a test leaves open (sockets, transports, processes) is found now, not in the middle of a later test.

    A test that failed is held by its exception, and with it all that it had.
    """
    yield
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    gc.collect()


@pytest.fixture
def cli() -> Iterator[Cli]:
    """A new user with an empty home: ``cli("status", "--json")``. No process of theirs outlives the test."""
    with Cli() as user:
        yield user


@pytest.fixture
def in_folder() -> Iterator[Callable[[Path], None]]:
    """``in_folder(path)``: work there until the test ends."""
    before = os.getcwd()
    yield os.chdir
    os.chdir(before)
