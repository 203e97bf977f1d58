"""What one company is told on two engines, side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from features.evidence import account_evidence
from features.readings import Evidence
from features.snapshots import accounts_in_force
from features.sources import Sources, load_sources, open_database
from features.vectors import Vectors, feature_contract
from tests.oracle.company import Company
from tests.oracle.written import write_company

DATES = tuple(dt.datetime.fromisoformat(text) for text in ("2025-03-01", "2025-07-01"))


def vectors_on(connection: str, company: Company, folder: Path, dates: Sequence[dt.datetime] = DATES) -> Vectors:
    """Write the company, with what `connection` says of the engine, and read every account in force."""
    from features.snapshots import build_vectors, recorded_codebooks

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
    path = write_company(company, folder)
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{connection}", encoding="utf-8")
    return load_sources(path)


def differences(ours: Vectors, theirs: Vectors) -> list[str]:
    """One line for each reading on which two engines differ; values to 1e-9, reasons exactly."""
    assert ours.contract == theirs.contract
    assert list(ours.account_ids) == list(theirs.account_ids)
    assert np.array_equal(ours.as_of, theirs.as_of)
    equal = np.isclose(ours.values, theirs.values, rtol=1e-9, atol=1e-12, equal_nan=True)
    places = zip(*np.nonzero(~equal | (ours.unknown != theirs.unknown)), strict=True)
    return [
        f"{ours.contract.names[column]} of {ours.account_ids[row]} at {ours.as_of[row]}: "
        f"{ours.values[row, column]} {ours.unknown[row, column]} and "
        f"{theirs.values[row, column]} {theirs.unknown[row, column]}"
        for row, column in places
    ]
