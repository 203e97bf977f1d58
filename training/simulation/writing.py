"""Parquet files of the written contract, a row group for each chunk of accounts, and ``sources.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.simulation.days import END
from training.simulation.rows import Column, Numbered, Rows, Words

_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "yes_no": pa.bool_(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
}
_TRUTH = pa.schema(
    [("account_id", pa.string()), ("as_of", pa.timestamp("us")), ("true_probability", pa.float64())]
)
_SOURCES = """\
# The tables of a simulated company (`keepsight demo-data`). truth.parquet is no source: only evaluation reads it.
company = "Simulated company"
yearly_churn = {yearly_churn}
observed_until = {observed_until}
never_changing = ["accounts.industry", "accounts.region"]

[connection]
engine = "duckdb"

"""


def contract_schemas() -> dict[str, pa.Schema]:
    """Return the schema of each table of the written contract, with ``recorded_at``; no ``labels``."""
    text = files("features.sources").joinpath("contract.toml").read_text(encoding="utf-8")
    tables: dict[str, Any] = tomllib.loads(text)
    return {
        name: pa.schema(
            [(column, _TYPES[of["type"]]) for column, of in table["columns"].items()]
            + ([] if "recorded_at" in table["columns"] else [("recorded_at", _TYPES["time"])])
        )
        for name, table in tables.items()
        if name != "labels"
    }


class Writer:
    """Writes all tables of a company into a folder, part after part, in bounded memory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Written last, gone first: a folder with `sources.toml` is whole, one that was interrupted has none.
        (folder / "sources.toml").unlink(missing_ok=True)
        self._folder = folder
        schemas = {**contract_schemas(), "truth": _TRUTH}
        self.tables = tuple(name for name in schemas if name != "truth")
        self._files = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
            for name, schema in schemas.items()
        }

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def write(self, table: str, rows: Rows) -> None:
        """Append rows to a table; columns that are not given are empty, and of no columns nothing is written.

        Raises
        ------
        KeyError
            The written contract has no such table, or no such column.
        """
        if not rows:
            return
        file = self._files[table]
        count = len(next(iter(rows.values())))
        unknown = set(rows) - set(file.schema.names)
        if unknown:
            raise KeyError(f"{table}: {sorted(unknown)} is not in the written contract")
        columns = [
            _arrow(rows[field.name], field.type) if field.name in rows else pa.nulls(count, field.type)
            for field in file.schema
        ]
        file.write_table(pa.Table.from_arrays(columns, schema=file.schema), row_group_size=max(count, 1))

    def sources(self, yearly_churn: float) -> None:
        """Write ``sources.toml``, with the churn that the company states of itself."""
        head = _SOURCES.format(yearly_churn=yearly_churn, observed_until=END.isoformat())
        tables = "".join(f'[tables.{name}]\npath = "{name}.parquet"\n\n' for name in self.tables)
        (self._folder / "sources.toml").write_text(head + tables.rstrip() + "\n", encoding="utf-8")


def _arrow(column: Column, kind: pa.DataType) -> pa.Array:
    if isinstance(column, Words):
        return _words(column.codes, column.words)
    if isinstance(column, Numbered):
        numbers = pa.array(column.numbers, mask=column.numbers < 0)
        return pc.binary_join_element_wise(pa.scalar(column.prefix), numbers.cast(pa.string()), "")
    if column.dtype == np.float64 and pa.types.is_floating(kind):
        return pa.array(column, mask=np.isnan(column))
    return pa.array(column).cast(kind)


def _words(codes: np.ndarray[Any, Any], words: Sequence[str]) -> pa.Array:
    return pa.array(list(words), pa.string()).take(pa.array(codes, mask=codes < 0))
