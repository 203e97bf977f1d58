"""Which version of a row was in force when: ``[recorded_at, the next version's recorded_at)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.sources import sql

if TYPE_CHECKING:
    from features.sources.session import Workshop


def end_replaced_rows(workshop: Workshop, table: str, content: Sequence[str]) -> None:
    """Give the rows of a table that were replaced later the end of their time.

    Of rows with one key, the row in force at a moment is the one with the largest ``recorded_at`` up to it.
    Of several recorded at the same second, the last by content counts. A row that only repeats the one
    before it is dropped, and so is a version that was replaced before it began to count (an event announced
    ahead and corrected before it occurred).

    Tables whose keys are unique are left as they are: only keys are compared, by hash; nothing is written.

    Parameters
    ----------
    workshop
        Where the table is; its rows have ``row_key``, ``recorded_at``, ``known_from``, ``known_until``.
    table
        Its name.
    content
        The quoted columns that make a row what it is.
    """
    columns = [sql.name(column) for column in workshop.columns(table) if column != "known_until"]
    workshop.replace_repeated(table, lambda rows: _versions(rows, columns, content))


def _versions(rows: str, columns: Sequence[str], content: Sequence[str]) -> str:
    """Return the select of the versions among some rows; `columns` are all but ``known_until``.

    Only rows of one second are sorted by content.
    """
    kept = ", ".join(columns)
    order = ", ".join(f"{column} DESC NULLS LAST" for column in content)
    same = " AND ".join(f"{column} IS NOT DISTINCT FROM lag({column}) OVER w" for column in content)
    return f"""
        WITH _tied AS (
            SELECT row_key, recorded_at FROM {rows} GROUP BY row_key, recorded_at HAVING count(*) > 1
        ), _placed AS (
            SELECT {kept}, row_number() OVER (PARTITION BY row_key, recorded_at ORDER BY {order}) AS _place
            FROM {rows} SEMI JOIN _tied USING (row_key, recorded_at)
        ), _one_a_second AS (
            SELECT {kept} FROM {rows} ANTI JOIN _tied USING (row_key, recorded_at)
            UNION ALL
            SELECT {kept} FROM _placed WHERE _place = 1
        ), _compared AS (
            SELECT {kept}, row_number() OVER w AS _version, {same} AS _repeats
            FROM _one_a_second WINDOW w AS (PARTITION BY row_key ORDER BY recorded_at)
        ), _ended AS (
            SELECT {kept}, lead(recorded_at) OVER (PARTITION BY row_key ORDER BY recorded_at) AS _replaced_at
            FROM _compared WHERE _version = 1 OR NOT _repeats
        )
        SELECT {kept}, coalesce(_replaced_at, {sql.NEVER}) AS known_until
        FROM _ended WHERE known_from < coalesce(_replaced_at, {sql.NEVER})
    """
