"""What a company is told on an engine, and what tests on engines share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from features.evidence import account_evidence
from features.readings import Evidence
from features.snapshots import accounts_in_force, build_vectors, recorded_codebooks
from features.sources import Sources, load_sources, open_database
from features.vectors import Vectors, feature_contract
from tests.oracle.company import Company
from tests.oracle.written import write_company

# PySpark leaves closing its sockets to the garbage collector.
SPARK_LEAVES_SOCKETS = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ON_SERVERS = [*SPARK_LEAVES_SOCKETS, pytest.mark.parametrize("engine", ["postgresql", "spark"])]
DATES = tuple(dt.datetime.fromisoformat(text) for text in ("2025-03-01", "2025-07-01"))


def vectors_on(connection: str, company: Company, folder: Path, dates: Sequence[dt.datetime] = DATES) -> Vectors:
    """Write the company, with what `connection` says of the engine, and read every account in force."""
    sources = _written(connection, company, folder)
    with open_database(sources) as database:
        contract = feature_contract(sources.catalogue, recorded_codebooks(database, sources.catalogue, max(dates)))
        grid = accounts_in_force(database, sources.catalogue, dates)
        return build_vectors(database, sources.catalogue, contract, grid)


def evidence_on(
    connection: str, company: Company, folder: Path, accounts: Sequence[str]
) -> list[Mapping[str, tuple[Evidence, ...]]]:
    """Write the company, with what `connection` says of the engine, and quote the rows behind all signals."""
    sources = _written(connection, company, folder)
    signals = list(sources.catalogue.definitions.signals)
    with open_database(sources) as database:
        return [account_evidence(database, sources.catalogue, one, DATES[-1], signals) for one in accounts]


def _written(connection: str, company: Company, folder: Path) -> Sources:
    folder.mkdir()
    return load_sources(write_company(company, folder, connection))
