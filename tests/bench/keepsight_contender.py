"""Keepsight from a company's Parquet files to the Parquet file of its vectors.

::

    python -m tests.bench.keepsight_contender FOLDER OUT [catalogue|expressible] [MEMORY_LIMIT]
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.snapshot_file import CHURNED, vector_schema, vector_table, with_churned
from features.snapshots import recorded_codebooks, vectors_in_order
from features.sources import load_sources, open_database
from features.sources.config import Connection
from features.vectors import Vectors, feature_contract
from tests.bench.expressible import expressible
from tests.bench.pairs import MONTHS, as_of_dates, grid

ROWS_A_GROUP = 150_000  # at least, but for the last: the file is 1.5% larger than in one group, with 100,000 2.3%


def write_vectors(
    folder: Path, out: Path, scope: str = "catalogue", memory_limit: str = "2GB", months: int = MONTHS
) -> None:
    """Read all tables of a company and write the vectors of every account on every date."""
    sources = load_sources(folder)
    connection = Connection(memory_limit=memory_limit)
    sources = replace(sources, config=sources.config.model_copy(update={"connection": connection}))
    catalogue = expressible(sources.catalogue) if scope == "expressible" else sources.catalogue
    last = as_of_dates(months)[-1].astype(object)
    with ExitStack() as when_closed:
        with open_database(sources.with_catalogue(catalogue)) as database:
            contract = feature_contract(catalogue, recorded_codebooks(database, catalogue, last))
            schema = vector_schema(contract).append(CHURNED)
            file = when_closed.enter_context(pq.ParquetWriter(out, schema, compression="zstd"))
            # What is finished is written while the rest is computed, the last rows while the tables are closed.
            writer = when_closed.enter_context(ThreadPoolExecutor(1))
            with closing(vectors_in_order(database, catalogue, contract, grid(folder, months))) as parts:
                written = [writer.submit(_write, file, some) for some in _groups(parts)]
        for each in written:
            each.result()


def _groups(parts: Iterable[Vectors]) -> Iterator[list[Vectors]]:
    """Put small parts together."""
    group: list[Vectors] = []
    for part in parts:
        group.append(part)
        if sum(map(len, group)) >= ROWS_A_GROUP:
            yield group
            group = []
    if group:
        yield group


def _write(file: pq.ParquetWriter, parts: Sequence[Vectors]) -> None:
    tables = [with_churned(vector_table(part), np.full(len(part), np.nan)) for part in parts]
    file.write_table(pa.concat_tables(tables))


if __name__ == "__main__":
    gc.freeze()  # what is imported stays: to look for garbage among it, and again when leaving, took 0.1 s
    write_vectors(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
