"""Which version of a row was in force when: ``[recorded_at, the next version's recorded_at)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.sources import sql

if TYPE_CHECKING:
    import duckdb

_REPEATED = "repeated_keys"


def end_replaced_rows(connection: duckdb.DuckDBPyConnection, table: str, content: Sequence[str]) -> None:
    """Give the rows of a table that were replaced later the end of their time.

    Of rows with one key, the row in force at a moment is the one with the largest ``recorded_at`` up to it.
    Of several recorded at the same second, the last by content counts. A row that only repeats the one
    before it is dropped, and so is a version that was replaced before it began to count (an event announced
    ahead and corrected before it occurred).

    Tables whose keys are unique are left as they are: only keys are compared, by hash; nothing is written.

    Parameters
    ----------
    connection
        Where the table is; its rows have ``row_key``, ``recorded_at``, ``known_from``, ``known_until``.
    table
        Its name.
    content
        The quoted columns that make a row what it is.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS "
        f"SELECT hash(row_key) AS h FROM {sql.name(table)} GROUP BY h HAVING count(*) > 1"
    )
    if not _count(connection, _REPEATED):
        return
    chosen = f"hash(row_key) IN (SELECT h FROM {_REPEATED})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE versions AS {_versions(table, chosen, content)}")
    connection.execute(f"DELETE FROM {sql.name(table)} WHERE {chosen}")
    connection.execute(f"INSERT INTO {sql.name(table)} BY NAME SELECT * FROM versions")
    connection.execute("DROP TABLE versions")


def _versions(table: str, chosen: str, content: Sequence[str]) -> str:
    order = ", ".join(f"{column} DESC NULLS LAST" for column in content)
    row = f"row({', '.join(content)})"
    last_of_the_second = (
        f"SELECT * FROM {sql.name(table)} WHERE {chosen} "
        f"QUALIFY row_number() OVER (PARTITION BY row_key, recorded_at ORDER BY {order}) = 1"
    )
    changes = (
        f"SELECT * FROM ({last_of_the_second}) WINDOW w AS (PARTITION BY row_key ORDER BY recorded_at) "
        f"QUALIFY row_number() OVER w = 1 OR {row} IS DISTINCT FROM lag({row}) OVER w"
    )
    return (
        "SELECT * FROM (SELECT * REPLACE (coalesce(lead(recorded_at) OVER "
        f"(PARTITION BY row_key ORDER BY recorded_at), {sql.NEVER}) AS known_until) FROM ({changes})) "
        "WHERE known_from < known_until"
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None  # an aggregate always gives a row
    return int(row[0])
