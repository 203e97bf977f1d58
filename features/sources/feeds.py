"""Which days of which table are covered, as the company says or, where it does not, as it is taken to be."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from features.sources import sql
from features.sources.delivery import Delivered

if TYPE_CHECKING:
    import duckdb

COVERAGE = "coverage"
Spell = tuple[dt.datetime, dt.datetime, dt.date]  # known from, known until, first day
_COLUMNS = (
    '"table" VARCHAR, account_id VARCHAR, covered_from DATE, covered_to DATE, '
    "known_from TIMESTAMP, known_until TIMESTAMP"
)


def create_coverage() -> str:
    """Return the statement that makes the (empty) table of what is covered."""
    return f"CREATE OR REPLACE TABLE {COVERAGE} ({_COLUMNS})"


def coverage_said() -> str:
    """Return the select of what the company's ``feeds`` table says."""
    return (
        f'INSERT INTO {COVERAGE} SELECT "table", account_id, covered_from, covered_to, '
        "known_from, known_until FROM feeds"
    )


def coverage_from(table: str, begins: dt.date) -> str:
    """Return the select that takes a table as covering every account from the day in ``sources.toml``."""
    return (
        f"INSERT INTO {COVERAGE} VALUES ({sql.text(table)}, NULL, DATE '{begins.isoformat()}', NULL, "
        f"{sql.ALWAYS}, {sql.NEVER})"
    )


def coverage_from_first_row(connection: duckdb.DuckDBPyConnection, delivered: Delivered) -> None:
    """Take a table as covering every account from its first row known.

    A late row that happened before all known ones moves the beginning back, from when it became known, and a
    correction may move it either way: one row of coverage for each such step.

    Parameters
    ----------
    connection
        Where the table lies under its name, with its versions, and what is covered.
    delivered
        The table.
    """
    # A moment belongs to the day that it ends, as in every window: midnight is still the day before.
    when = "occurred_at" if delivered.contract.occurred else "known_from"
    day = f"CAST({when} - INTERVAL 1 MICROSECOND AS DATE)"
    rows = connection.execute(_rows_that_may_be_first(sql.name(delivered.table), day)).fetchall()
    steps = first_days(rows)
    if steps:
        connection.executemany(
            f"INSERT INTO {COVERAGE} VALUES (?, NULL, ?, NULL, ?, ?)",
            [[delivered.table, first, known_from, known_until] for known_from, known_until, first in steps],
        )


def _rows_that_may_be_first(table: str, day: str) -> str:
    """Return the select of the few rows that bring a new first day: known_from, known_until, day.

    Of the rows never replaced, those that come before all known until then, looked at row by row only on days
    that bring one; of the replaced, those that came before these.
    """
    before = "OVER (ORDER BY {} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    kept = f"FROM {table} WHERE known_until = {sql.NEVER}"
    return f"""
        WITH days AS (
            SELECT CAST(known_from AS DATE) AS known_day, min({day}) AS first_day {kept} GROUP BY ALL
        ), new_first_days AS (
            SELECT known_day FROM days
            QUALIFY first_day < coalesce(min(first_day) {before.format("known_day")}, DATE '9999-12-31')
        ), moments AS (
            SELECT known_from, min({day}) AS first_day {kept}
            AND CAST(known_from AS DATE) IN (SELECT known_day FROM new_first_days) GROUP BY ALL
        ), steps AS (
            SELECT known_from, known_from AS since, first_day FROM moments
            QUALIFY first_day < coalesce(min(first_day) {before.format("known_from")}, DATE '9999-12-31')
        ), replaced AS (
            SELECT known_from, known_until, min({day}) AS first_day
            FROM {table} WHERE known_until < {sql.NEVER} GROUP BY ALL
        )
        SELECT known_from, {sql.NEVER} AS known_until, first_day FROM steps
        UNION ALL
        SELECT replaced.known_from, replaced.known_until, replaced.first_day
        FROM replaced ASOF LEFT JOIN steps ON replaced.known_from >= steps.known_from
        WHERE coalesce(replaced.first_day < steps.first_day, true)
    """


def first_days(rows: Iterable[Spell]) -> list[Spell]:
    """Return the first day of the rows in force, for each span of time over which it stays the same.

    Parameters
    ----------
    rows
        Each one's beginning and end of being in force, and its day.

    Returns
    -------
    list
        Beginning, end and first day, in order of time; times without a row in force are left out.

    Examples
    --------
    >>> t, d = [dt.datetime(2025, 1, day) for day in (1, 2, 3, 9)], [dt.date(2024, 1, day) for day in (1, 5)]
    >>> for known_from, known_until, day in first_days([(t[0], t[3], d[1]), (t[1], t[2], d[0])]):
    ...     print(known_from.day, known_until.day, day)
    1 2 2024-01-05
    2 3 2024-01-01
    3 9 2024-01-05
    """
    waiting = sorted(rows)
    moments = sorted({moment for known_from, known_until, _ in waiting for moment in (known_from, known_until)})
    in_force: list[tuple[dt.date, dt.datetime]] = []
    spells: list[Spell] = []
    place = 0
    for moment, following in itertools.pairwise(moments):
        while place < len(waiting) and waiting[place][0] <= moment:
            heapq.heappush(in_force, (waiting[place][2], waiting[place][1]))
            place += 1
        while in_force and in_force[0][1] <= moment:
            heapq.heappop(in_force)
        if not in_force:
            continue
        first = in_force[0][0]
        if spells and spells[-1][1:] == (moment, first):
            spells[-1] = (spells[-1][0], following, first)
        else:
            spells.append((moment, following, first))
    return spells


def end_taken_coverage_where_said(table: str) -> tuple[str, ...]:
    """Return the statements that let what was taken for a table end when ``feeds`` first names it."""
    said = f'(SELECT min(known_from) FROM feeds WHERE "table" = {sql.text(table)})'
    taken = f'"table" = {sql.text(table)}'
    ends = f"SET known_until = least(known_until, {said}) WHERE {taken} AND {said} IS NOT NULL"
    return f"UPDATE {COVERAGE} {ends}", f"DELETE FROM {COVERAGE} WHERE known_from >= known_until"
