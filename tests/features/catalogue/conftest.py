"""An overlay written for one test: only what the test is about."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.files import write_files

WriteOverlay = Callable[[dict[str, str]], Path]


@pytest.fixture
def overlay(tmp_path: Path) -> WriteOverlay:
    def write(files: dict[str, str]) -> Path:
        return write_files(tmp_path / "overlay", files)

    return write
