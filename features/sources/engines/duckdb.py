"""The embedded DuckDB: the tables lie where they were made."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.sources import sql
from features.sources.session import Session

if TYPE_CHECKING:
    import duckdb

    from features.sources.config import Sources
    from features.sources.dictionaries import Dictionary
    from features.sources.engines import RowsOfAccount

_BYTES_A_SORTED_ROW = 1_300  # of the benchmark's: 1.5 million take under 2 GB
_AT_ONCE = 4  # accounts asked about at the same moment


class DuckDB:
    """See :class:`~features.sources.engines.Engine`."""

    dialect = "duckdb"

    def __init__(self, sources: Sources) -> None:
        self.files = self.workshop = Session(sources.folder, sources.config.connection, stores_codes=True)
        self._memory = sources.config.connection.memory_limit_bytes
        self._prepared = 0
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    @cached_property
    def ibis(self) -> Any:
        """Its Ibis backend."""
        import ibis

        return ibis.duckdb.from_connection(self.files.connection)

    def load(self) -> None:
        """Load Ibis; connecting it waits, since a connection that reads a table refuses to be asked."""
        import ibis.backends.duckdb  # noqa: F401

    def settle(self, tables: Sequence[str], by_account: Sequence[str]) -> None:  # noqa: ARG002 - they stay
        """Leave the tables where they are."""
        self.files.read_all_accounts()

    def dictionaries(self, table: str) -> Mapping[str, Dictionary]:
        """Return the columns of a table that it also has as codes of texts."""
        return self.files.dictionaries.get(table, {})

    @contextmanager
    def among(self, first: str, last: str) -> Iterator[None]:
        """Read the files of these accounts alone, of tables that lie in files by account."""
        self.files.read_accounts(first, last)
        try:
            yield
        finally:
            self.files.read_all_accounts()

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a small table."""
        self.files.put(name, rows)

    def fetch(self, select: str, schema: pa.Schema) -> pa.Table:
        """Run a query."""
        return self.files.connection.sql(select).to_arrow_table().cast(schema)

    def prepare(self, select: str, *, often: bool) -> RowsOfAccount:
        """Store what is selected once more, sorted by account, so that one account's rows lie in one place.

        If not `often`, every call reads the tables as they are, on the session's own connection.

        A query over all tables took 0.7 ms for each of them, since DuckDB plans it at every execution; over one
        table it takes 1 ms in all. Neither an index nor a prepared statement makes it faster.
        """
        connection = self.files.connection
        if not often:
            one = f"SELECT * FROM ({select}) WHERE account_id = $1"
            return lambda account_id: connection.execute(one, [account_id]).fetchall()
        self._prepared += 1
        table = f"of_accounts_{self._prepared}"  # not temporary: those are seen by one connection only
        (rows,) = self.files.row(f"SELECT count(*) FROM ({select})")
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM ({select}) LIMIT 0")
        for condition in self._accounts_in_parts(-(-rows * _BYTES_A_SORTED_ROW // self._memory)):
            connection.execute(
                f"INSERT INTO {table} SELECT * FROM ({select}) WHERE {condition} ORDER BY account_id"
            )
        query = f"SELECT * FROM {table} WHERE account_id = $1"
        free: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()
        for cursor in [connection.cursor() for _ in range(_AT_ONCE)]:
            self._cursors.append(cursor)
            free.put(cursor)

        def rows_of(account_id: str) -> list[tuple[Any, ...]]:
            cursor = free.get()
            try:
                return cursor.execute(query, [account_id]).fetchall()
            finally:
                free.put(cursor)

        rows_of("")  # the first execution takes longer
        return rows_of

    def _accounts_in_parts(self, parts: int) -> list[str]:
        """Return conditions that cut the accounts, in order, into parts of as many each."""
        cut = (
            "SELECT min(account_id) FROM (SELECT account_id, ntile(?) OVER (ORDER BY account_id) AS part "
            "FROM (SELECT DISTINCT account_id FROM accounts)) GROUP BY part ORDER BY 1"
        )
        lows = [row[0] for row in self.files.connection.execute(cut, [max(parts, 1)]).fetchall()]
        edges = [None, *lows[1:], None]
        return [
            " AND ".join(
                [
                    "account_id IS NOT NULL",
                    *([f"account_id >= {sql.text(low)}"] if low is not None else []),
                    *([f"account_id < {sql.text(high)}"] if high is not None else []),
                ]
            )
            for low, high in itertools.pairwise(edges)
        ]

    def interrupt(self) -> None:
        """Make the query under way fail."""
        self.files.interrupt()

    def close(self) -> None:
        """Close the DuckDB and delete its files."""
        while self._cursors:
            self._cursors.pop().close()
        self.files.close()
