"""What the tests of the settings share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def in_folder() -> Iterator[Callable[[Path], None]]:
    """``in_folder(path)``: work there until the test ends."""
    before = os.getcwd()
    yield os.chdir
    os.chdir(before)
