"""An overlay written for one test: only what the test is about."""

from collections.abc import Callable
from pathlib import Path

import pytest

WriteOverlay = Callable[[dict[str, str]], Path]


@pytest.fixture
def overlay(tmp_path: Path) -> WriteOverlay:
    def write(files: dict[str, str]) -> Path:
        folder = tmp_path / "overlay"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        return folder

    return write
