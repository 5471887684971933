"""The log: its lines, its rotation, its mode."""

import logging
import re
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from openclaw_tunnel.host.logs import MAX_BYTES, close_logging, setup_logging, tunnel_logger

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "openclaw-tunnel.log"
    setup_logging(path)
    yield path
    close_logging()
    for name in ("openclaw_tunnel", "asyncssh", "asyncio"):  # as pytest found them
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_names_time_level_and_tunnel(log_file: Path) -> None:
    tunnel_logger("dev").info("%s -> %s", "up", "backoff")
    tunnel_logger("dev").debug("not at this level")
    assert re.fullmatch(TIME + r" INFO dev: up -> backoff\n", log_file.read_text())
    assert log_file.stat().st_mode & 0o777 == 0o600


def test_a_traceback_is_indented_and_words_cannot_forge_lines(log_file: Path) -> None:
    try:
        raise ValueError("bad\n2026-11-22T06:00:01Z INFO forged\x1b[2J")
    except ValueError:
        tunnel_logger("dev").exception("dial broke")
    lines = log_file.read_text().splitlines()
    assert re.fullmatch(TIME + " ERROR dev: dial broke", lines[0])
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-1] == "  2026-11-22T06:00:01Z INFO forged?[2J"


def test_asyncssh_is_quiet_below_warning(log_file: Path) -> None:
    logging.getLogger("asyncssh").info("chatter")
    logging.getLogger("asyncssh").warning("odd")
    assert re.fullmatch(TIME + " WARNING odd\n", log_file.read_text())


def test_it_rotates_and_every_file_is_private(log_file: Path) -> None:
    logger = tunnel_logger("dev")
    for _ in range(6):
        logger.info("x" * (MAX_BYTES - 100))
    names = sorted(path.name for path in log_file.parent.iterdir())
    assert names == [log_file.name, *(f"{log_file.name}.{n}" for n in (1, 2, 3))]
    assert {path.stat().st_mode & 0o777 for path in log_file.parent.iterdir()} == {0o600}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_log_that_cannot_be_written_costs_nothing(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = logging.getLogger("openclaw_tunnel").handlers
    (file,) = [handler for handler in handlers if isinstance(handler, RotatingFileHandler)]
    before = file.setStream(Path("/dev/full").open("a"))
    assert before is not None
    before.close()
    tunnel_logger("dev").info("lost")
    close_logging()
    assert capsys.readouterr() == ("", "")


def test_to_stderr_as_well(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(log_file, level="DEBUG", to_stderr=True)
    tunnel_logger("dev").debug("hello")
    assert capsys.readouterr().err.endswith(" DEBUG dev: hello\n")
    assert log_file.read_text().endswith(" DEBUG dev: hello\n")
    assert sys.stderr is not None
