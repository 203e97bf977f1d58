"""Which days of which table are covered, as the company says or, where it does not, as it is taken to be."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from features.sources import sql

if TYPE_CHECKING:
    from features.sources.delivery import Delivered
    from features.sources.session import Workshop

COVERAGE = "_coverage"
ALWAYS, NEVER = dt.datetime(1900, 1, 1), dt.datetime(9999, 12, 31)
Spell = tuple[dt.datetime, dt.datetime, dt.date]  # known from, known until, first day
_TAKEN = "_coverage_taken"


@dataclass(frozen=True, slots=True)
class Taken:
    """A table taken to cover every account from a day on, in force from one moment until another."""

    table: str
    covered_from: dt.date
    known_from: dt.datetime = ALWAYS
    known_until: dt.datetime = NEVER


def taken_from_first_row(workshop: Workshop, delivered: Delivered) -> list[Taken]:
    """Take a table as covering every account from its first row known.

    A late row that happened before all known ones moves the beginning back, from when it became known, and a
    correction may move it either way: one row of coverage for each such step.

    Parameters
    ----------
    workshop
        Where the table lies under its name, with its versions.
    delivered
        The table.
    """
    # A moment belongs to the day that it ends, as in every window: midnight is still the day before.
    when = "occurred_at" if delivered.contract.occurred else "known_from"
    first_day = f"CAST(min({when}) - INTERVAL 1 MICROSECOND AS DATE)"
    spells = first_days(_rows_that_may_be_first(workshop, delivered.table, first_day))
    return [Taken(delivered.table, first, known_from, until) for known_from, until, first in spells]


def said_since(workshop: Workshop) -> dict[str, dt.datetime]:
    """Return from when on the company's ``feeds``, of which there is the table, say what is covered of a table."""
    return dict(workshop.rows('SELECT "table", min(known_from) FROM feeds GROUP BY "table"'))


def write_coverage(workshop: Workshop, taken: Sequence[Taken], since: Mapping[str, dt.datetime] | None) -> None:
    """Write down what is covered: what the company's ``feeds`` say, and until they say it, what is taken.

    Parameters
    ----------
    workshop
        Where the table :data:`COVERAGE` is made.
    taken
        What is taken to be covered.
    since
        From when on ``feeds`` say it, by table; None: there is no such table.
    """
    said = since or {}
    ends = [(one, min(one.known_until, said.get(one.table, NEVER))) for one in taken]
    rows = [(one, until) for one, until in ends if one.known_from < until]
    workshop.put(
        _TAKEN,
        pa.table(
            {
                "table": pa.array([one.table for one, _ in rows], pa.string()),
                "account_id": pa.nulls(len(rows), pa.string()),
                "covered_from": pa.array([one.covered_from for one, _ in rows], pa.date32()),
                "covered_to": pa.nulls(len(rows), pa.date32()),
                "known_from": pa.array([one.known_from for one, _ in rows], pa.timestamp("us")),
                "known_until": pa.array([until for _, until in rows], pa.timestamp("us")),
            }
        ),
    )
    columns = '"table", account_id, covered_from, covered_to, known_from, known_until'
    parts = [f"SELECT {columns} FROM {source}" for source in (_TAKEN, *([] if since is None else ["feeds"]))]
    workshop.store(COVERAGE, " UNION ALL ".join(parts))
    workshop.drop(_TAKEN)


def _rows_that_may_be_first(workshop: Workshop, table: str, first_day: str) -> list[Spell]:
    """Return the few rows that bring a new first day: known from, known until, day.

    Of the rows never replaced, those that come before all known until then, looked at row by row only on days
    that bring one; of the replaced, those that came before these.
    """
    days, moments, replaced = (f"_{what}_of_{table}" for what in ("days", "moments", "replaced"))
    lasting, known = f"known_until = {sql.NEVER}", "CAST(known_from AS DATE)"

    def gather(name: str, columns: str, which: str, by: str) -> None:
        select = f"SELECT {columns}, {first_day} AS first_day FROM"
        workshop.gather(name, table, lambda rows: f"{select} {rows} WHERE {which} GROUP BY {by}")

    gather(days, f"{known} AS known", lasting, known)
    new = f"SELECT known FROM ({_earlier_than_all_before(sql.name(days))})"
    gather(moments, "known_from AS known", f"{lasting} AND {known} IN ({new})", "known_from")
    gather(replaced, "known_from, known_until", f"NOT ({lasting})", "known_from, known_until")
    found = workshop.rows(f"""
        WITH _steps AS ({_earlier_than_all_before(sql.name(moments))}
        ), _both_kinds AS (
            SELECT known AS known_from, {sql.NEVER} AS known_until, first_day, first_day AS step FROM _steps
            UNION ALL
            SELECT known_from, known_until, first_day, CAST(NULL AS DATE) AS step FROM {sql.name(replaced)}
        ), _compared AS (
            SELECT known_from, known_until, first_day, step, min(step) OVER (ORDER BY known_from) AS first_by_then
            FROM _both_kinds
        )
        SELECT known_from, known_until, first_day FROM _compared
        WHERE step IS NOT NULL OR first_by_then IS NULL OR first_day < first_by_then
    """)
    for name in (days, moments, replaced):
        workshop.drop(name)
    return [(known_from, known_until, first) for known_from, known_until, first in found]


def _earlier_than_all_before(rows: str) -> str:
    """Return the select of the rows (``known``, ``first_day``) whose first day lies before that of all earlier.

    What is known at once may stand in several rows.
    """
    before = "min(first_day) OVER (ORDER BY known ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return f"""
            SELECT known, first_day
            FROM (
                SELECT known, first_day, {before} AS first_before
                FROM (SELECT known, min(first_day) AS first_day FROM {rows} GROUP BY known) AS at_once
            ) AS in_order
            WHERE first_before IS NULL OR first_day < first_before"""


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
