"""What a company delivers for a table: its file or query as a view, and which column is which of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import SourcesError, TableError, near_miss
from features.sources import sql
from features.sources.config import Sources, TableSource
from features.sources.contract import RECORDED_AT, TableContract
from features.sources.csv_files import CsvFault, first_fault, header_of, is_csv, separator
from features.sources.session import RAW, Session

if TYPE_CHECKING:
    from features.sources.dictionaries import Dictionary

# Nothing is guessed from the rows: with one line too long, DuckDB would take all columns for one, or a row for the
# header. And columns go by name over all files: else those that the first file lacks are lost without a word, and
# numbers rounded to the type that they have in it.
_CSV = (
    "read_csv({path}, all_varchar = true, header = true, union_by_name = true, "
    "quote = '\"', escape = '\"', comment = '', skip = 0{separator})"
)
_LONGEST_SENTENCE = 600  # DuckDB repeats a line that it cannot read, however long
_READERS = {
    ".parquet": "read_parquet({path}, union_by_name = true)",
    ".pq": "read_parquet({path}, union_by_name = true)",
    ".csv": _CSV,
    ".tsv": _CSV,
    ".txt": _CSV,
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
    size
        About how many rows there are, told without reading them.
    files
        Where they lie; none for a query.
    dictionaries
        The columns of the contract that the relation has as codes of texts, each with its dictionary
        (:mod:`features.sources.coded`).
    """

    table: str
    contract: TableContract
    source: TableSource
    relation: str
    raw_types: Mapping[str, str]
    raw_name: Mapping[str, str]
    size: int
    files: tuple[Path, ...] = ()
    dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)

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
            if column in self.contract.columns  # else one that only a proposed overlay reads
            if column not in self.raw_name and column not in self.contract.required
        ]

    def repeated(self) -> list[str]:
        """Say which columns are there twice, a sentence each: DuckDB calls the second ``x_1``.

        Who names the column in ``sources.toml`` has said which one is meant.
        """
        return [
            f'{self.table}: the column "{raw}" is there twice, the second time read as "{raw}_1". Deliver one of '
            f'them, or say which: [tables.{self.table}] columns = {{ {column} = "{raw}" }}.'
            for column, raw in self.raw_name.items()
            if column not in self.source.columns and _same(f"{raw}_1", self.raw_types)
        ]


def deliver(session: Session, sources: Sources, table: str) -> Delivered:
    """Open one connected table as a view, and find the contract's columns in it.

    Raises
    ------
    SourcesError
        No such file, or a kind of file that is not read.
    TableError
        The file or query cannot be read.
    """
    source, contract = sources.tables[table], sources.contracts[table]
    relation = f"{RAW}.{sql.name(table)}"
    try:
        if source.query is not None:
            select = session.delivered_by_query(source.query.strip().rstrip(";"), table)
        else:
            select = _select_of_files(sources.folder, table, source)
        raw_types, size = session.view(relation, select), session.about(relation)
    except _duckdb_error() as error:
        what = "the query" if source.query is not None else source.path
        said = f"{table}: {what} cannot be read: {first_lines(error)}"
        raise TableError(csv_sentence(sources, [table]) or said) from None
    if list(raw_types) == ["column0"] and (sentence := csv_sentence(sources, [table])):
        raise TableError(sentence)  # of an empty file DuckDB makes a table without rows
    raw_names = _raw_names(contract, source, raw_types)
    files = tuple(files_of(sources.folder, source))
    return Delivered(table, contract, source, relation, raw_types, raw_names, size, files)


def csv_sentence(sources: Sources, tables: Iterable[str]) -> str | None:
    """Say of the first of these tables that has a CSV line that cannot be read: which line, why, and what to do.

    All lines are looked at, which takes its time: ask once reading has failed.
    """
    for table in tables:
        if (fault := csv_fault(sources.folder, sources.tables[table])) is not None:
            return f"{table}: {fault.sentence} {fault.remedy}"
    return None


def first_lines(error: Exception) -> str:
    """Return what DuckDB says, without the excerpt of our own SQL and without its hints for programmers."""
    lines = str(error).split("\n\n")[0].splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("LINE ")]
    said = re.sub(r"^\w[\w ]*Error: ", "", " ".join(kept[:4]))
    return said if len(said) <= _LONGEST_SENTENCE else f"{said[: _LONGEST_SENTENCE - 3]}..."


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _select_of_files(folder: Path, table: str, source: TableSource) -> str:
    assert source.path is not None  # a table has a path or a query
    path, here = folder / source.path, folder.absolute()  # in DuckDB's search path a relative one is not found
    pattern = Path(_literal(here / source.path)) if path.is_file() else Path(_literal(here)) / source.path
    if path.is_dir():
        raise SourcesError(
            f"sources.toml, [tables.{table}]: {path} is a folder. Name its files: "
            f'path = "{source.path.rstrip("/")}/*.parquet".'
        )
    if not path.is_file() and not any(character in source.path for character in "*?["):
        others = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SourcesError(f"sources.toml, [tables.{table}]: no such file: {path}. {near_miss(path.name, others)}")
    suffix = Path(source.path.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if suffix not in _READERS:
        raise SourcesError(
            f'sources.toml, [tables.{table}]: path = "{source.path}" is no CSV or Parquet file '
            f"({', '.join(_READERS)}, CSV also .gz). Read other formats with a query."
        )
    found = sql.text(str(pattern))
    return f"SELECT * FROM {_READERS[suffix].format(path=found, separator=_separator(folder, source))}"


def _literal(path: Path) -> str:
    """Return the pattern that only this path matches."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def files_of(folder: Path, source: TableSource) -> list[Path]:
    """Return the files that a table's path names, in order; none for a query."""
    if source.path is None:
        return []
    path = folder / source.path
    pattern = Path(_literal(folder.absolute())) / source.path
    return (
        [path] if path.is_file() else sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    )


def refuse_to_replace_tables(sources: Sources, out: Path) -> None:
    """Raise if a file to be written is one of the company's own.

    Raises
    ------
    SourcesError
        It is one that a table is read from.
    """
    for table, source in sources.tables.items():
        if any(out.resolve() == path.resolve() for path in files_of(sources.folder, source)):
            raise SourcesError(f"{out} is what the table {table} is read from. Name another file to write.")


def csv_fault(folder: Path, source: TableSource) -> CsvFault | None:
    """Return the first line of a table's CSV files that cannot be read, if that can be told."""
    return first_fault(files_of(folder, source)) if source.path is not None and is_csv(source.path) else None


def _separator(folder: Path, source: TableSource) -> str:
    """Return what to tell DuckDB of the separator: nothing where the header cannot be read here."""
    headers = [header_of(file) for file in files_of(folder, source)[:1] if is_csv(file.name)]
    return f", delim = {sql.text(separator(headers[0]))}" if any(headers) else ""


def _same(name: str, others: Iterable[str]) -> bool:
    """Return whether SQL takes a name for one of the others: upper and lower case are the same."""
    return name.casefold() in {other.casefold() for other in others}


def _raw_names(contract: TableContract, source: TableSource, raw_types: Mapping[str, str]) -> dict[str, str]:
    """Find each column of the contract; as in SQL, upper and lower case are the same."""
    there = {raw.casefold(): raw for raw in raw_types}
    wanted = {column: source.columns.get(column, column) for column in [*contract.columns, RECORDED_AT]}
    return {column: there[raw.casefold()] for column, raw in wanted.items() if raw.casefold() in there}
