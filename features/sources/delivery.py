"""What a company delivers for a table: its file or query as a view, and which column is which of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import SourcesError, TableError, near_miss
from features.sources import sql
from features.sources.config import Sources, TableSource
from features.sources.contract import RECORDED_AT, TableContract

if TYPE_CHECKING:
    import duckdb

RAW = "raw"  # the schema of what is delivered, as it is
_READERS = {
    ".parquet": "read_parquet({path})",
    ".pq": "read_parquet({path})",
    ".csv": "read_csv({path}, all_varchar = true, header = true)",
    ".tsv": "read_csv({path}, all_varchar = true, header = true, delim = '\\t')",
    ".txt": "read_csv({path}, all_varchar = true, header = true)",
}


@dataclass(frozen=True)
class Delivered:
    """One table as the company delivers it.

    Attributes
    ----------
    table
        Its name in the contract.
    relation
        SQL name of the view over the file or query.
    raw_types
        Every column of the file or query with DuckDB's name of its type.
    raw_name
        For each column of the contract (and ``recorded_at``) that is there: its name in the file.
    """

    table: str
    contract: TableContract
    source: TableSource
    relation: str
    raw_types: Mapping[str, str]
    raw_name: Mapping[str, str]

    @property
    def dated(self) -> bool:
        """Whether the rows say when they were recorded."""
        return RECORDED_AT in self.raw_name

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns that are there, or none if they cannot tell rows apart.

        An optional part of a key that is not there is the same for every row; a key of one column is not.
        """
        there = tuple(column for column in self.contract.key if column in self.raw_name)
        needed = {column for column in self.contract.key if column in self.contract.required}
        return there if needed <= set(there) else ()

    def missing_required(self) -> list[str]:
        """Say which columns that every row needs are not there, a sentence each."""
        mapped = self.source.columns
        return [
            f'{self.table}: there is no column "{mapped.get(column, column)}"'
            + (f" (for {column})" if column in mapped else "")
            + f". {near_miss(mapped.get(column, column), self.raw_types)} "
            f'Name it in sources.toml: [tables.{self.table}] columns = {{ {column} = "…" }}.'
            for column in self.contract.required
            if column not in self.raw_name
        ]

    def missing_named(self) -> list[str]:
        """Say which columns that ``sources.toml`` names are not there, a sentence each."""
        return [
            f'{self.table}: there is no column "{raw}" (for {column}). {near_miss(raw, self.raw_types)}'
            for column, raw in self.source.columns.items()
            if column not in self.raw_name and column not in self.contract.required
        ]


def deliver(connection: duckdb.DuckDBPyConnection, sources: Sources, table: str) -> Delivered:
    """Open one connected table as a view, and find the contract's columns in it.

    Raises
    ------
    SourcesError
        No such file, or a kind of file that is not read.
    TableError
        The file or query cannot be read.
    """
    source, contract = sources.config.tables[table], sources.contract(table)
    relation = f"{RAW}.{sql.name(table)}"
    select = _select(sources.folder, table, source)
    try:
        connection.execute(f"CREATE OR REPLACE VIEW {relation} AS {select}")
        rows = connection.execute(f"DESCRIBE {relation}").fetchall()
    except _duckdb_error() as error:
        what = "the query" if source.query is not None else source.path
        raise TableError(f"{table}: {what} cannot be read: {first_lines(error)}") from None
    raw_types = {row[0]: row[1] for row in rows}
    return Delivered(table, contract, source, relation, raw_types, _raw_names(contract, source, raw_types))


def first_lines(error: Exception) -> str:
    """Return what DuckDB says, without the excerpt of our own SQL and without its hints for programmers."""
    lines = str(error).split("\n\n")[0].splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("LINE ")]
    return re.sub(r"^\w[\w ]*Error: ", "", " ".join(kept[:4]))


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _select(folder: Path, table: str, source: TableSource) -> str:
    if source.query is not None:
        # A line of its own for the bracket, in case the query ends with a comment.
        return f"SELECT * FROM (\n{source.query.strip().rstrip(';')}\n)"
    assert source.path is not None  # a table has a path or a query
    path = folder / source.path
    pattern = str(path)
    if path.is_file():
        pattern = re.sub(r"([\[*?])", r"[\1]", pattern)  # a file of exactly this name, not a pattern
    elif path.is_dir():
        raise SourcesError(
            f"sources.toml, [tables.{table}]: {path} is a folder. Name its files: "
            f'path = "{source.path.rstrip("/")}/*.parquet".'
        )
    elif not any(character in source.path for character in "*?["):
        others = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SourcesError(f"sources.toml, [tables.{table}]: no such file: {path}. {near_miss(path.name, others)}")
    suffix = Path(source.path.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if suffix not in _READERS:
        raise SourcesError(
            f'sources.toml, [tables.{table}]: path = "{source.path}" is no CSV or Parquet file '
            f"({', '.join(_READERS)}, CSV also .gz). Read other formats with a query."
        )
    return f"SELECT * FROM {_READERS[suffix].format(path=sql.text(pattern))}"


def _raw_names(contract: TableContract, source: TableSource, raw_types: Mapping[str, str]) -> dict[str, str]:
    """Find each column of the contract; as in SQL, upper and lower case are the same."""
    there = {raw.casefold(): raw for raw in raw_types}
    wanted = {column: source.columns.get(column, column) for column in [*contract.columns, RECORDED_AT]}
    return {column: there[raw.casefold()] for column, raw in wanted.items() if raw.casefold() in there}
