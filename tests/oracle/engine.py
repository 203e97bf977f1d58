"""The real engine, from files to vectors, as the commands use it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from features.catalogue import Catalogue
from features.vectors import Vectors, feature_contract
from tests.oracle.company import Company
from tests.oracle.written import write_company


def grid_table(grid: Sequence[tuple[str, dt.datetime]]) -> pa.Table:
    """Account and date pairs as ``build_vectors`` takes them."""
    accounts, dates = [pair[0] for pair in grid], [pair[1] for pair in grid]
    return pa.table({"account_id": pa.array(accounts, pa.string()), "as_of": pa.array(dates, pa.timestamp("s"))})


def vectors_of(
    company: Company,
    folder: Path,
    grid: Sequence[tuple[str, dt.datetime]],
    *,
    truncated_at: dt.datetime | None = None,
    catalogue: Catalogue | None = None,
) -> Vectors:
    """Write the company to `folder` and build the vectors of `grid` from the files, by `catalogue` if given."""
    from features.snapshots import build_vectors, recorded_codebooks
    from features.sources import load_sources, open_database

    sources = load_sources(write_company(company, folder))
    with open_database(sources, truncated_at=truncated_at) as database:
        catalogue = catalogue or sources.catalogue
        codebooks = recorded_codebooks(database, catalogue, max(as_of for _, as_of in grid))
        contract = feature_contract(catalogue, codebooks)
        return build_vectors(database, catalogue, contract, grid_table(grid))
