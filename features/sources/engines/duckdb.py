"""The embedded DuckDB: the tables lie where they were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.sources.session import Session

if TYPE_CHECKING:
    from features.sources.config import Sources


class DuckDB:
    """See :class:`~features.sources.engines.Engine`."""

    dialect = "duckdb"

    def __init__(self, sources: Sources) -> None:
        import ibis

        self.files = self.workshop = Session(sources.folder)
        self.ibis: Any = ibis.duckdb.from_connection(self.files.connection)

    def settle(self, tables: Sequence[str], by_account: Sequence[str]) -> None:
        """Leave the tables where they are."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a small temporary table."""
        connection = self.files.connection
        connection.register("given_columns", rows)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_columns")
        connection.unregister("given_columns")

    def make(self, name: str, select: str) -> None:
        """Make a temporary table; large ones lie in the temporary folder."""
        self.files.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")

    def fetch(self, select: str, schema: pa.Schema) -> pa.Table:
        """Run a query."""
        return self.files.connection.sql(select).to_arrow_table().cast(schema)

    def drop(self, name: str) -> None:
        """Drop a temporary table."""
        self.files.connection.execute(f"DROP TABLE IF EXISTS temp.main.{name}")

    def interrupt(self) -> None:
        """Make the query under way fail."""
        self.files.interrupt()

    def close(self) -> None:
        """Close the DuckDB and delete its files."""
        self.files.close()
