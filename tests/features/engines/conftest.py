from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.features.engines.server import postgresql_server
from tests.features.sources.company import Company

# On the few rows of a test, Spark would spend most of its time on compiling and on empty partitions.
SPARK = """[connection]
engine = "spark"
master = "local[1]"
config = { "spark.sql.shuffle.partitions" = "1", "spark.sql.codegen.wholeStage" = "false", \
"spark.sql.codegen.factoryMode" = "NO_CODEGEN", "spark.sql.adaptive.enabled" = "false" }
"""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a server."""
    with postgresql_server() as address:
        yield address


@pytest.fixture(scope="session")
def connection_of(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """What sources.toml says to use an engine."""

    def section(engine: str) -> str:
        if engine == "postgresql":
            return f'[connection]\nengine = "postgresql"\nurl = "{request.getfixturevalue("postgresql")}"\n'
        return SPARK if engine == "spark" else ""

    return section


@pytest.fixture
def company_on(tmp_path: Path, connection_of: Callable[[str], str]) -> Iterator[Callable[..., Company]]:
    """A new company on an engine, connected as usual or as `section` says."""
    made: list[Company] = []

    def make(engine: str, section: str | None = None) -> Company:
        folder = tmp_path / f"{engine}{len(made)}"
        folder.mkdir()
        company = Company(folder).says("observed_until = 2025-06-30")
        made.append(company.section(connection_of(engine) if section is None else section))
        return made[-1]

    yield make
    for one in made:
        one.close()
