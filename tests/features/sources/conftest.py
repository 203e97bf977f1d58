from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.features.sources.company import Company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    made = Company(tmp_path)
    yield made
    made.close()


@pytest.fixture
def company_in(tmp_path: Path) -> Iterator[Callable[[str], Company]]:
    made: list[Company] = []

    def make(folder: str) -> Company:
        (tmp_path / folder).mkdir(parents=True)
        made.append(Company(tmp_path / folder))
        return made[-1]

    yield make
    for one in made:
        one.close()
