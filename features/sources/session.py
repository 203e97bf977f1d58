"""Where delivered rows become known ones: tables in the making, in SQL that is written once, as DuckDB has it.

A :class:`Workshop` is where the steps between delivery and the finished tables run. There are two: a DuckDB in a
temporary folder (:class:`Session`), for companies whose tables lie in files or in a PostgreSQL server, and Spark
(:mod:`features.sources.engines.spark`). What concerns one row alone (reading values, what the contract allows,
keys) is always DuckDB's work, also within Spark: every value is read by the same reader. What concerns several
rows (which accounts exist, versions, coverage) is plain SQL.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

import pyarrow as pa

from features.cores import AT_ONCE
from features.errors import TableError
from features.sources import spool, sql
from features.sources.layout import (
    ACCOUNT_IDS,
    AS_THEY_ARE,
    CODE,
    PLACE,
    TEXT,
    Layout,
    layout_of,
    name_in_codes,
    texts_of,
)
from features.sources.spool import HASH, HASH_OF_KEY, Spool, places_of_several

if TYPE_CHECKING:
    import duckdb

    from features.sources.config import Connection
    from features.sources.delivery import Delivered
    from features.sources.dictionaries import Dictionary

_PREFIX, _LOCK = "keepsight-", "alive"  # of temporary folders, and what whoever uses one holds
RAW = "raw"  # the schema of what is delivered, as it is
BYTES_A_STORED_ROW = 150  # of an event, about


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

    def beside(self) -> Sequence[Workshop]:
        """Return this workshop and others on the same tables: each may be used by a thread of its own."""

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

    def store_known(self, delivered: Delivered, rows: str, known: str) -> None:
        """Make a table of the rows of a relation of :meth:`by_row` that belong to an account that is known.

        `known` is the condition that a row does.
        """

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a table of rows at hand."""

    def gather(self, name: str, table: str, select: Callable[[str], str]) -> None:
        """Make a table of what a select finds in each part of a table that may lie in parts.

        `select` is given what to read from: rows with ``row_key`` and all moments; they may lack other columns.
        """

    def replace_repeated(self, name: str, select: Callable[[str], str]) -> None:
        """Put other rows in place of those whose ``row_key`` has the hash of another row's.

        `select` is given the name under which those lie for a while, and returns the select of the others.
        """

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

    A company's table is a view of what is stored of it, in the DuckDB or in files, by its
    :class:`~features.sources.layout.Layout`.

    Parameters
    ----------
    folder
        Where queries find files by relative paths.
    remote
        Where the company's queries run; None: here.
    settings
        What it may hold in memory, before it writes to its temporary folder.
    stores_codes
        Whether texts of large tables may be stored as codes.

    Attributes
    ----------
    memory
        How many bytes it may hold.
    dictionaries
        Of each table that is stored, the columns that are stored as codes, each with its dictionary.
    """

    def __init__(
        self, folder: Path, settings: Connection, remote: Remote | None = None, *, stores_codes: bool = False
    ) -> None:
        import duckdb

        self.remote, self.stores_codes = remote, stores_codes
        self.dictionaries: dict[str, Mapping[str, Dictionary]] = {}
        _remove_what_the_dead_left()
        self._temporary = tempfile.TemporaryDirectory(prefix=_PREFIX)
        self.place = Path(self._temporary.name)
        self._alive = _held(self.place / _LOCK)
        # In memory: to compress rows for a file that is deleted again costs four times what reading them does.
        # What memory cannot hold is written to the temporary folder.
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": settings.memory_limit,
                "temp_directory": str(self.place / "spilled"),
                "preserve_insertion_order": False,
                "checkpoint_threshold": "1TB",  # in memory there is nothing to save, and looking takes its time
                "autoinstall_known_extensions": False,  # reading files never reaches for the network
                "allow_community_extensions": False,
            },
        )
        self._settings = [
            "SET TimeZone = 'UTC'",
            f"SET file_search_path = {sql.text(_search_path(folder, self.place))}",
            "SET python_enable_replacements = false",  # a query that names no table names no variable of ours
        ]
        self._beside: list[Session] = []
        self._layouts: dict[str, Layout] = {}
        self._stored: dict[str, str] = {}
        self._spools: dict[str, Spool] = {}
        self.memory = settings.memory_limit_bytes
        self._set()
        self.connection.execute(f"CREATE SCHEMA {RAW}")

    def _set(self) -> None:
        import duckdb

        for setting in self._settings:
            self.connection.execute(setting)
        with contextlib.suppress(duckdb.InvalidInputException):  # in notebooks without ipywidgets there is no bar
            self.connection.execute("SET enable_progress_bar = false")  # it would be printed into the JSON

    def beside(self) -> Sequence[Session]:
        """Return this session and others on the same tables: each may be used by a thread of its own.

        DuckDB works on one table of some ten thousand rows with one core alone.
        """
        while len(self._beside) < AT_ONCE - 1:
            other = copy.copy(self)
            other.connection = self.connection.cursor()
            other._set()
            self._beside.append(other)
        return [self, *self._beside]

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

    def types_of(self, schema: pa.Schema) -> dict[str, str]:
        """Return DuckDB's names of the types of Arrow's columns."""
        self.connection.register("_typed", pa.RecordBatchReader.from_batches(schema, []))
        try:
            return {row[0]: row[1] for row in self.rows("DESCRIBE _typed")}
        finally:
            self.connection.unregister("_typed")

    def about(self, relation: str) -> int:
        """Return about how many rows there are, without reading them."""
        plan = json.loads(self.rows(f"EXPLAIN (FORMAT json) SELECT * FROM {relation}")[0][1])
        return int(plan[0]["extra_info"].get("Estimated Cardinality", 0))

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
        self.connection.execute(f"CREATE OR REPLACE TABLE {sql.name(name)} AS {select}")

    def store_known(self, delivered: Delivered, rows: str, known: str) -> None:
        """Make a table of the rows of known accounts; in files, where memory is too small for them."""
        name, size, layout = delivered.table, delivered.size, layout_of(delivered).also(HASH, HASH_OF_KEY)
        if not layout.placed:
            rows = f"(SELECT * FROM {rows} AS kept WHERE {known})"
        packed = layout.packed_as_codes(rows) if delivered.dictionaries else layout.packed(rows)
        if layout.placed and size * BYTES_A_STORED_ROW >= self.memory:
            self._spool(name, packed, size)
            stored = _files_of(name)
        else:
            stored = sql.name(f"_stored_{name}")
            self.connection.execute(f"CREATE TABLE {stored} AS {packed}")
        self.dictionaries[name] = {column: delivered.dictionaries[column] for column in layout.texts}
        for column, dictionary in self.dictionaries[name].items():
            codes = pa.array(range(len(dictionary.texts)), pa.int32())
            self.put(texts_of(name, column), pa.table({CODE: codes, TEXT: dictionary.texts}))
        self._layouts[name] = layout
        self._show(name, stored)

    def _relation(self, name: str) -> str:
        """Return the relation of what is stored of a table; of a working table that is itself."""
        return self._stored.get(name, sql.name(name))

    def _show(self, name: str, stored: str) -> None:
        """Have a table be the view of what is stored of it."""
        self._stored[name], layout = stored, self._layouts[name]
        self.connection.execute(f"CREATE OR REPLACE VIEW {sql.name(name)} AS {layout.unpacked(stored)}")
        if layout.texts:
            in_codes = sql.name(name_in_codes(name))
            self.connection.execute(f"CREATE OR REPLACE VIEW {in_codes} AS {layout.unpacked_as_codes(stored)}")

    def _spool(self, name: str, select: str, size: int) -> None:
        """Lay rows out in files."""
        accounts = self.rows(f"SELECT account_id FROM {ACCOUNT_IDS} ORDER BY {PLACE}")
        batches = self.connection.sql(select).to_arrow_reader(spool.ROWS_A_BATCH)
        folder = self.place / f"{name} by account"
        files = Spool(folder, [row[0] for row in accounts], batches.schema, size)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(shutil.rmtree, folder, ignore_errors=True)  # the rows may be read again, as texts
                files.fill(batches)
                undo.pop_all()
        except OSError as error:
            raise TableError(
                f"{name}: its rows cannot be laid out in {self.place} ({error}). Make room there, or name another "
                "folder by the variable TMPDIR; with a larger memory_limit under [connection] they stay in memory."
            ) from None
        self._spools[name] = files
        self._read(name, files.rows())

    def read_all_accounts(self) -> None:
        """Have this connection read the rows of all accounts in tables that lie in files."""
        for name, files in self._spools.items():
            self._read(name, files.rows())

    def read_accounts(self, first: str, last: str) -> None:
        """Have this connection read, in tables that lie in files, those of the accounts from `first` to `last`."""
        for name, files in self._spools.items():
            self._read(name, files.rows_of(first, last))

    def _read(self, name: str, rows: pa.Table) -> None:
        self.connection.register(_files_of(name, quoted=False), rows)

    def gather(self, name: str, table: str, select: Callable[[str], str]) -> None:
        """Make a table of what a select finds in each part of a table; those of a spooled one are its files.

        So no more than one file's pages are in memory.
        """
        found = select(self._relation(table))
        if table not in self._spools:
            self.store(name, found)
            return
        for number, part in enumerate(self._spools[table].parts()):
            self._read(table, part)
            if number:
                self.connection.execute(f"INSERT INTO {sql.name(name)} {found}")
            else:
                self.store(name, found)
        self._read(table, self._spools[table].rows())

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a table of rows at hand."""
        self.connection.register("_given_rows", rows)
        self.store(name, "SELECT * FROM _given_rows")
        self.connection.unregister("_given_rows")

    def replace_repeated(self, name: str, select: Callable[[str], str]) -> None:
        """Put other rows in place of those whose key has the hash of another row's; only those are written."""
        if name in self._spools:
            self._lay_beside(name, select)
            return
        stored, layout = self._relation(name), self._layouts.get(name, AS_THEY_ARE)
        hashed = HASH if HASH in layout.instead else f"{HASH_OF_KEY} AS {HASH}"
        rows = self.connection.sql(f"SELECT rowid AS number, {hashed} FROM {stored}").to_arrow_table()
        places = places_of_several(rows[HASH].to_numpy())
        if not len(places):
            return
        repeated, chosen = f"_repeated_in_{name}", f"_chosen_of_{name}"
        self.put(repeated, rows.select(["number"]).take(places))
        of_these = f"{stored} WHERE rowid IN (SELECT number FROM {sql.name(repeated)})"
        self.store(chosen, layout.unpacked(f"(SELECT * FROM {of_these})"))
        self.connection.execute(f"DELETE FROM {of_these}")
        instead = layout.packed(f"({select(sql.name(chosen))})")
        self.connection.execute(f"INSERT INTO {stored} BY NAME {instead}")
        self.drop(chosen)
        self.drop(repeated)

    def _lay_beside(self, name: str, select: Callable[[str], str]) -> None:
        """Leave the files as they are: the rows that replace some of them lie beside them."""
        several = self._spools[name].hashes_of_several()
        if not len(several):
            return
        hashes, chosen, instead = f"_hashes_in_{name}", f"_chosen_of_{name}", f"_instead_in_{name}"
        self.put(hashes, pa.table({HASH: several}))
        files, layout = _files_of(name), self._layouts[name]
        these = f"{sql.name(hashes)} USING ({HASH})"
        self.gather(chosen, name, lambda rows: layout.unpacked(f"(SELECT * FROM {rows} SEMI JOIN {these})"))
        self.store(instead, layout.packed(f"({select(sql.name(chosen))})"))
        self.drop(chosen)
        others = f"SELECT * FROM {files} ANTI JOIN {these}"
        self._show(name, f"({others} UNION ALL BY NAME SELECT * FROM {sql.name(instead)})")

    def drop(self, name: str) -> None:
        """Drop a table."""
        self.connection.execute(f"DROP TABLE IF EXISTS {sql.name(name)}")

    def interrupt(self) -> None:
        """Make the queries under way fail."""
        for session in (self, *self._beside):
            session.connection.interrupt()

    def close(self) -> None:
        """Close the connections and delete their files; a second time does nothing."""
        for session in (*self._beside, self):
            session.connection.close()
        self._temporary.cleanup()
        self._alive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _held(path: Path) -> IO[str]:
    """Make a file whose lock is held before it can be seen by its name."""
    unnamed = path.with_suffix(".new")
    file = unnamed.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    unnamed.rename(path)
    return file


def _remove_what_the_dead_left() -> None:
    """Remove the folders of processes that were killed: nobody holds their lock any more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), lock.open("r+") as file:  # held, gone by now, or another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def _files_of(name: str, *, quoted: bool = True) -> str:
    """Name the files of a spooled table, as a relation of a connection."""
    relation = f"_files_of_{name}"
    return sql.name(relation) if quoted else relation


def _search_path(folder: Path, place: Path) -> str:
    """Return a name of the folder that DuckDB's comma-separated search path can hold."""
    folder = folder.resolve()
    if not any(character in str(folder) for character in ",*?["):
        return str(folder)
    alias = place / "sources"
    alias.symlink_to(folder, target_is_directory=True)
    return str(alias)
