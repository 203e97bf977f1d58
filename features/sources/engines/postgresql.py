"""A PostgreSQL server: queries of the company run there, and so does what fetches rows for measures.

What the queries give is read by the embedded DuckDB, as everything is, and the finished tables are copied into a
schema of the session's own, sorted and indexed by account. Every value is thus read by one reader, whatever the
server makes of dates, spaces or numbers in text; the price is that the rows pass by here once.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

from features.errors import SourcesError, TableError
from features.sources import sql
from features.sources.delivery import first_lines
from features.sources.session import Session

if TYPE_CHECKING:
    import psycopg

    from features.sources.config import Connection, Sources
    from features.sources.dictionaries import Dictionary
    from features.sources.engines import RowsOfAccount

_REMARK = "Working tables of Keepsight; dropped when its session ends."
_LOCKS = 0x6B656570  # the class of our advisory locks: "keep"
# Numeric text in any length cannot be a DECIMAL of DuckDB's, nor hold NaN there.
_NUMERIC = 1700
_DUCKDB_TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    700: "FLOAT",
    701: "DOUBLE",
    1082: "DATE",
    1114: "TIMESTAMP",
    1184: "TIMESTAMP WITH TIME ZONE",
}
_POSTGRESQL_TYPES = {
    # Compared byte by byte, as the other engines do, whatever the language of the database.
    "VARCHAR": 'text COLLATE "C"',
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET extra_float_digits = 1",  # floats as text are exact
    "SET jit = off",  # it compiles for seconds what runs for milliseconds
    "SET work_mem = '128MB'",
    "SET synchronous_commit = off",  # nothing that we write need outlive us
)
_AT_A_TIME = 1 << 20  # bytes
# Texts may be long and hold line ends: then only one who reads from the beginning knows where a row begins.
_WITH_LONG_TEXTS = "max_line_size = 16000000, buffer_size = 64000000, parallel = false"


class Server:
    """A connection to PostgreSQL, where the company's queries run.

    Parameters
    ----------
    connection
        From ``sources.toml``.

    Raises
    ------
    SourcesError
        The driver is not installed, no address is given, or the server cannot be reached.
    """

    def __init__(self, connection: Connection) -> None:
        try:
            import psycopg
        except ImportError:
            raise SourcesError(
                '[connection] engine = "postgresql" needs a driver: pip install "keepsight[postgresql]".'
            ) from None
        try:
            self.connection = psycopg.connect(
                _address(connection), autocommit=True, connect_timeout=10, application_name="keepsight"
            )
            for setting in _SETTINGS:
                self.connection.execute(setting)
        except psycopg.Error as error:
            where = "url" if connection.url is not None else f"the variable {connection.url_env}"
            raise SourcesError(
                f"[connection] PostgreSQL cannot be reached: {_first_line(error)}. "
                f"Check {where} and that the server runs."
            ) from None

    def bring(self, query: str, table: str, session: Session) -> str:
        """Run a table's query and return the select, in the session, of its rows, typed as delivered."""
        import psycopg

        file = session.place / f"{table}.csv"
        try:
            columns = self._columns(query)
            # Scales are no part of a number: 7.00 is the account "7".
            names = [
                f"trim_scale({sql.name(name)}) AS {sql.name(name)}" if oid == _NUMERIC else sql.name(name)
                for name, oid in columns
            ]
            self._save(f"SELECT {', '.join(names)} FROM (\n{query}\n) AS delivered", file)
        except psycopg.Error as error:
            raise TableError(f"{table}: the query cannot be read: {_first_line(error)}.") from None
        types = ", ".join(
            f"{sql.text(name)}: {sql.text(_DUCKDB_TYPES.get(oid, 'VARCHAR'))}" for name, oid in columns
        )
        return (
            f"SELECT * FROM read_csv({sql.text(str(file))}, auto_detect = false, header = false, "
            f"columns = {{{types}}}, delim = ',', quote = '\"', escape = '\"', nullstr = '\\N', "
            f"allow_quoted_nulls = false, new_line = '\\n', {_WITH_LONG_TEXTS})"
        )

    def _columns(self, query: str) -> list[tuple[str, int]]:
        """Return the names and type ids of a query's columns."""
        found = self.connection.execute(f"SELECT * FROM (\n{query}\n) AS delivered LIMIT 0")
        return [(column.name, column.type_code) for column in found.description or ()]

    def _save(self, select: str, file: Path) -> None:
        with (
            file.open("wb") as opened,
            self.connection.cursor() as cursor,
            cursor.copy(f"COPY ({select}) TO STDOUT (FORMAT csv, NULL '\\N')") as rows,
        ):
            for part in rows:
                opened.write(part)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class PostgreSQL:
    """See :class:`~features.sources.engines.Engine`."""

    dialect = "postgres"

    def __init__(self, sources: Sources) -> None:
        import ibis

        self._address = sources.config.connection
        self._server = Server(self._address)
        self._beside: _Beside | None = None
        self.connection: psycopg.Connection[Any] = self._server.connection
        try:
            self._schema = _own_schema(self.connection)
            self.ibis: Any = ibis.postgres.from_connection(self.connection)
            self.files = self.workshop = Session(sources.folder, sources.config.connection, self._server)
        except BaseException:
            self._server.close()
            raise

    def load(self) -> None:
        """Ibis is loaded already."""

    def settle(self, tables: Sequence[str], by_account: Sequence[str]) -> None:
        """Copy the finished tables into the schema of the session; the DuckDB is done with.

        Sorted by account: the rows of one account lie in a few pages next to one another.
        """
        path = self.connection.execute("SHOW search_path").fetchone()
        assert path is not None  # it always has a value
        # Only now: the company's queries, which have run, were not to find our tables in place of theirs.
        self.connection.execute(f"SET search_path = {self._schema}, {path[0]}")
        self.files.read_all_accounts()  # other connections have read those that lie in files
        for table in tables:
            self._copy(table, "ORDER BY account_id" if table in by_account else "")
            if table in by_account:
                self.connection.execute(f"CREATE INDEX ON {sql.name(table)} (account_id)")
            self.connection.execute(f"ANALYZE {sql.name(table)}")
        self.files.close()

    def _copy(self, table: str, order: str) -> None:
        import psycopg

        columns = {row[0]: row[1] for row in self.files.rows(f"DESCRIBE {sql.name(table)}")}
        declared = ", ".join(f"{sql.name(name)} {_POSTGRESQL_TYPES[kind]}" for name, kind in columns.items())
        self.connection.execute(f"CREATE UNLOGGED TABLE {self._schema}.{sql.name(table)} ({declared})")
        file = self.files.place / f"{table}.csv"
        texts = ", ".join(sql.name(name) for name, kind in columns.items() if kind == "VARCHAR")
        self.files.connection.execute(
            f"COPY (SELECT * FROM {sql.name(table)} {order}) TO {sql.text(str(file))} "
            f"(FORMAT csv, HEADER false, NULLSTR '\\N', FORCE_QUOTE ({texts}))"
        )
        try:
            with file.open("rb") as parts:
                self._copy_in(table, iter(lambda: parts.read(_AT_A_TIME), b""), "\\N")
        except psycopg.DataError as error:
            raise TableError(f"{table}: PostgreSQL cannot hold a value: {_first_line(error)}.") from None
        file.unlink()

    def _copy_in(self, table: str, parts: Iterator[bytes], null: str) -> None:
        copying = f"COPY {sql.name(table)} FROM STDIN (FORMAT csv, NULL {sql.text(null)})"
        with self.connection.cursor() as cursor, cursor.copy(copying) as copy:
            for part in parts:
                copy.write(part)

    def dictionaries(self, table: str) -> Mapping[str, Dictionary]:  # noqa: ARG002 - as on every engine
        """Return nothing: it has all texts as texts."""
        return {}

    def among(self, first: str, last: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the index knows
        """Do nothing: the index finds the accounts."""
        return nullcontext()

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a small working table."""
        declared = ", ".join(f"{sql.name(field.name)} {_of_arrow(field.type)}" for field in rows.schema)
        written = io.BytesIO()
        # All text is quoted, so that nothing between two commas is null, and "" is text.
        pyarrow.csv.write_csv(rows, written, pyarrow.csv.WriteOptions(include_header=False))
        with self.connection.transaction():
            self._anew(name, f"({declared})")
            self._copy_in(name, iter([written.getvalue()]), "")
            self.connection.execute(f"ANALYZE {sql.name(name)}")

    def _anew(self, name: str, definition: str) -> None:
        self.drop(name)
        self.connection.execute(f"CREATE UNLOGGED TABLE {self._schema}.{sql.name(name)} {definition}")

    def fetch(self, select: str, schema: pa.Schema) -> pa.Table:
        """Run a query; its rows come as text, which holds what Ibis believes of types (a sum is no numeric)."""
        gathered = io.BytesIO()
        copying = f"COPY ({select}) TO STDOUT (FORMAT csv, NULL '\\N')"
        with self.connection.cursor() as cursor, cursor.copy(copying) as rows:
            for part in rows:
                gathered.write(part)
        if not gathered.tell():
            return schema.empty_table()
        gathered.seek(0)
        return pyarrow.csv.read_csv(
            gathered,
            pyarrow.csv.ReadOptions(column_names=schema.names),
            pyarrow.csv.ParseOptions(newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=schema,
                null_values=["\\N"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )

    def prepare(self, select: str, *, often: bool) -> RowsOfAccount:  # noqa: ARG002 - the indexes are there
        """Prepare the query on the server, over the tables' indexes, on a connection of its own.

        It is planned once, and again if the connection was lost. Threads take turns, which the driver sees to; the
        rows come in binary.
        """
        if self._beside is None:
            self._beside = _Beside(self._connected_beside)
        ask = self._beside.rows
        query = f"SELECT * FROM ({select}) AS asked WHERE account_id = ".replace("%", "%%") + "%s"
        ask(query, "")  # plans it
        return lambda account_id: ask(query, account_id)

    def _connected_beside(self) -> Server:
        server = Server(self._address)
        server.connection.execute(f"SET search_path = {self._schema}")
        server.connection.execute("SET plan_cache_mode = force_generic_plan")
        return server

    def drop(self, name: str) -> None:
        """Drop a working table."""
        self.connection.execute(f"DROP TABLE IF EXISTS {self._schema}.{sql.name(name)}")

    def interrupt(self) -> None:
        """Make the query under way fail."""
        self.connection.cancel()

    def close(self) -> None:
        """Drop the schema and close the connection; a second time does nothing."""
        import psycopg

        self.files.close()
        if self._beside is not None:
            self._beside.close()
        if not self.connection.closed:
            with contextlib.suppress(psycopg.Error):  # the next session drops it
                self.connection.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")
            self._server.close()


class _Beside:
    """A connection beside the session's own, for prepared queries; made anew, once a question, if it was lost.

    Servers are restarted, and networks drop what was quiet for long: who serves for weeks will see it.
    """

    def __init__(self, connect: Callable[[], Server]) -> None:
        self._connect, self._lock, self._closed = connect, threading.Lock(), False
        self._server = connect()

    def rows(self, query: str, value: str) -> list[tuple[Any, ...]]:
        """Run a query that has one value open; it is prepared the first time."""
        import psycopg

        server = self._server
        try:
            return _rows(server, query, value)
        except psycopg.OperationalError:
            if not server.connection.closed:
                raise
        return _rows(self._in_place_of(server), query, value)

    def _in_place_of(self, lost: Server) -> Server:
        with self._lock:  # of many threads that see it lost, one connects
            if self._server is lost and not self._closed:
                self._server = self._connect()
            return self._server

    def close(self) -> None:
        """Close the connection for good."""
        with self._lock:
            self._closed = True
            self._server.close()


def _rows(server: Server, query: str, value: str) -> list[tuple[Any, ...]]:
    with server.connection.cursor(binary=True) as cursor:
        return cursor.execute(query, [value], prepare=True).fetchall()


def _address(connection: Connection) -> str:
    if connection.url is not None:
        return connection.url
    name = connection.url_env or ""
    address = os.environ.get(name)
    if not address:
        raise SourcesError(
            f"[connection] url_env: the environment variable {name} is not set. "
            f"Set it to the server's address: export {name}=postgresql://user:password@host:5432/database"
        )
    return address


def _own_schema(connection: psycopg.Connection[Any]) -> str:
    """Make a schema for this session, after dropping those of sessions that ended without doing so.

    Each session holds a lock as long as it is connected: who gets the lock of another's schema knows it dead.

    Raises
    ------
    SourcesError
        The user may not make a schema.
    """
    import psycopg

    left = connection.execute(
        "SELECT nspname FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner "
        "WHERE rolname = current_user AND nspname ~ '^keepsight_[0-9a-f]{8}$' "
        "AND obj_description(pg_namespace.oid, 'pg_namespace') = %s",
        [_REMARK],
    ).fetchall()
    for (schema,) in left:
        if _locked(connection, schema):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, _lock_of(schema)])
    schema = f"keepsight_{secrets.token_hex(4)}"
    _locked(connection, schema)
    try:
        with connection.transaction():  # with its remark at once: no other session sees it without
            connection.execute(f"CREATE SCHEMA {schema}")
            connection.execute(f"COMMENT ON SCHEMA {schema} IS {sql.text(_REMARK)}")
    except psycopg.errors.InsufficientPrivilege:
        info = connection.info
        raise SourcesError(
            f"[connection] {info.user} may not make a schema for working tables in the database {info.dbname}. "
            f'Let it: GRANT CREATE ON DATABASE "{info.dbname}" TO "{info.user}".'
        ) from None
    return schema


def _locked(connection: psycopg.Connection[Any], schema: str) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, _lock_of(schema)]).fetchone()
    return bool(row and row[0])


def _lock_of(schema: str) -> int:
    """Return the number of a schema's lock, as a signed 32-bit integer."""
    number = int(schema.removeprefix("keepsight_"), 16)
    return number - (1 << 32 if number >> 31 else 0)


def _of_arrow(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_floating(kind):
        return "double precision"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_date(kind):
        return "date"
    return "timestamp" if pa.types.is_timestamp(kind) else _POSTGRESQL_TYPES["VARCHAR"]


def _first_line(error: Exception) -> str:
    return re.sub(r"\.$", "", first_lines(error).splitlines()[0]) if str(error) else type(error).__name__
