"""Keepsight from a company's Parquet files to the Parquet file of its vectors.

::

    python -m tests.bench.keepsight_contender FOLDER OUT [catalogue|expressible] [MEMORY_LIMIT]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from features.snapshot_file import vector_table, with_churned
from features.snapshots import build_vectors, recorded_codebooks
from features.sources import load_sources, open_database
from features.sources.config import Connection
from features.vectors import feature_contract
from tests.bench.expressible import expressible
from tests.bench.pairs import MONTHS, as_of_dates, grid


def write_vectors(
    folder: Path, out: Path, scope: str = "catalogue", memory_limit: str = "2GB", months: int = MONTHS
) -> None:
    """Read all tables of a company and write the vectors of every account on every date."""
    sources = load_sources(folder)
    connection = Connection(memory_limit=memory_limit)
    sources = replace(sources, config=sources.config.model_copy(update={"connection": connection}))
    catalogue = expressible(sources.catalogue) if scope == "expressible" else sources.catalogue
    last = as_of_dates(months)[-1].astype(object)
    with open_database(sources.with_catalogue(catalogue)) as database:
        contract = feature_contract(catalogue, recorded_codebooks(database, catalogue, last))
        vectors = build_vectors(database, catalogue, contract, grid(folder, months))
        unlabelled = np.full(len(vectors), np.nan)
        pq.write_table(with_churned(vector_table(vectors), unlabelled), out, compression="zstd")


if __name__ == "__main__":
    write_vectors(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
