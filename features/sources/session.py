"""Where delivered rows become known ones: tables in the making, in SQL that is written once, as DuckDB has it.

A :class:`Workshop` is where the steps between delivery and the finished tables run. There are two: a DuckDB in a
temporary folder (:class:`Session`), for companies whose tables lie in files or in a PostgreSQL server, and Spark
(:mod:`features.sources.engines.spark`). What concerns one row alone (reading values, what the contract allows,
keys) is always DuckDB's work, also within Spark: every value is read by the same reader. What concerns several
rows (which accounts exist, versions, coverage) is plain SQL.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import pyarrow as pa

from features.sources import sql

if TYPE_CHECKING:
    import duckdb

    from features.sources.delivery import Delivered

RAW = "raw"  # the schema of what is delivered, as it is


class Workshop(Protocol):
    """Where a company's tables are made; statements are in DuckDB's SQL.

    Attributes
    ----------
    errors
        What its statements raise when rows or queries are at fault.
    """

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its statements raise when rows or queries are at fault."""

    def by_row(self, delivered: Delivered, select: str) -> str:
        """Return a relation for the result of a select that looks at one delivered row at a time.

        It is read lazily: what stands in a bracket after ``FROM``.
        """

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the one row of an aggregate."""

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns."""

    def store(self, name: str, select: str) -> None:
        """Make a table, or make it anew."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a table of rows at hand."""

    def replace(self, name: str, condition: str, select: str) -> None:
        """Put the rows of a select in place of those for which a condition holds."""

    def keep(self, name: str, condition: str) -> None:
        """Keep the rows for which a condition holds."""

    def drop(self, name: str) -> None:
        """Drop a table."""


class Remote(Protocol):
    """Where the queries of ``sources.toml`` run, if that is not the embedded DuckDB."""

    def bring(self, query: str, table: str, session: Session) -> str:
        """Run a table's query and return the select, in the session, of its rows, typed as delivered.

        Raises
        ------
        TableError
            The query cannot be run.
        """


class Session:
    """A DuckDB over a company's files; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    folder
        Where queries find files by relative paths.
    remote
        Where the company's queries run; None: here.
    memory_limit
        What DuckDB may hold in memory before it writes to its temporary folder.
    """

    def __init__(self, folder: Path, remote: Remote | None = None, memory_limit: str = "2GB") -> None:
        import duckdb

        self.remote = remote
        self._temporary = tempfile.TemporaryDirectory(prefix="keepsight-")
        self.place = Path(self._temporary.name)
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            str(self.place / "tables.duckdb"),
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(self.place / "spilled"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,  # reading files never reaches for the network
                "allow_community_extensions": False,
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        with contextlib.suppress(duckdb.InvalidInputException):  # in notebooks without ipywidgets there is no bar
            self.connection.execute("SET enable_progress_bar = false")  # it would be printed into the JSON
        self.connection.execute(f"SET file_search_path = {sql.text(str(_search_path(folder, self.place)))}")
        self.connection.execute(f"CREATE SCHEMA {RAW}")

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What DuckDB raises."""
        import duckdb

        return (duckdb.Error,)

    def delivered_by_query(self, query: str, table: str) -> str:
        """Return the select of the rows of a table's query, wherever it runs."""
        if self.remote is not None:
            return self.remote.bring(query, table, self)
        # A line of its own for the bracket, in case the query ends with a comment.
        return f"SELECT * FROM (\n{query}\n)"

    def view(self, relation: str, select: str) -> dict[str, str]:
        """Make a view, or make it anew; return its columns with DuckDB's names of their types."""
        self.connection.execute(f"CREATE OR REPLACE VIEW {relation} AS {select}")
        return {row[0]: row[1] for row in self.rows(f"DESCRIBE {relation}")}

    def by_row(self, delivered: Delivered, select: str) -> str:  # noqa: ARG002 - where it lies is in the select
        """Return a relation for the result of a select that looks at one delivered row at a time."""
        return f"({select})"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the one row of an aggregate."""
        return self.rows(query)[0]

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns."""
        return [row[0] for row in self.rows(f"DESCRIBE {sql.name(name)}")]

    def store(self, name: str, select: str) -> None:
        """Make a table, or make it anew."""
        # Temporary: to compress rows for a file that is deleted again costs four times what reading them does.
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {sql.name(name)} AS {select}")

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a table of rows at hand."""
        self.connection.register("_given_rows", rows)
        self.store(name, "SELECT * FROM _given_rows")
        self.connection.unregister("_given_rows")

    def replace(self, name: str, condition: str, select: str) -> None:
        """Put the rows of a select in place of those for which a condition holds; only those are written."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE _replacing AS {select}")
        self.connection.execute(f"DELETE FROM {sql.name(name)} WHERE {condition}")
        self.connection.execute(f"INSERT INTO {sql.name(name)} BY NAME SELECT * FROM _replacing")
        self.connection.execute("DROP TABLE _replacing")

    def keep(self, name: str, condition: str) -> None:
        """Keep the rows for which a condition holds."""
        self.store(name, f"SELECT * FROM {sql.name(name)} WHERE {condition}")

    def drop(self, name: str) -> None:
        """Drop a table."""
        self.connection.execute(f"DROP TABLE IF EXISTS {sql.name(name)}")

    def interrupt(self) -> None:
        """Make the query under way fail."""
        self.connection.interrupt()

    def close(self) -> None:
        """Close the connection and delete its files; a second time does nothing."""
        self.connection.close()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _search_path(folder: Path, place: Path) -> Path:
    """Return a name of the folder that DuckDB's comma-separated search path can hold."""
    folder = folder.resolve()
    if not any(character in str(folder) for character in ",*?["):
        return folder
    alias = place / "sources"
    alias.symlink_to(folder, target_is_directory=True)
    return alias
