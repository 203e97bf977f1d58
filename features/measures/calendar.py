"""The `as_of` dates of one pass, as bits of an integer.

A row counts for some dates and not for others. Each row carries those dates as a bit mask, so that a row is read
once however many dates there are: masks of one person are joined by ``bit_or``, and only the few distinct masks
are expanded to dates again. Which dates lie before a moment is looked up by the moment's day in a small table:
exact, because all dates of a pass share one time of day, which is taken off first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

MOST_DATES = 62  # bits of a signed 64-bit integer, less the sign and one to spare


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def bit_or(mask: int) -> int:
    """Union of masks; a built-in aggregate of DuckDB, PostgreSQL and Spark."""
    raise NotImplementedError


class Calendar:
    """At most 62 `as_of` dates, ascending, without repeats, all at the same time of day.

    Parameters
    ----------
    connection
        An Ibis backend; two small temporary tables are stored there.
    dates
        The dates.
    name
        The prefix of those tables.

    Attributes
    ----------
    bits
        One row a date: its place ``i``, its ``bit``, ``as_of`` and ``day``.

    Examples
    --------
    >>> connection = ibis.duckdb.connect()
    >>> calendar = Calendar(connection, [dt.datetime(2025, 1, 1), dt.datetime(2025, 2, 1)], "example")
    >>> rows = ibis.memtable({"known_from": [dt.datetime(2025, 1, 15)], "known_until": [dt.datetime(2025, 3, 1)]})
    >>> ranked = calendar.ranked(rows)
    >>> counted = between(ranked, ranked.known_below, ranked.until_below)
    >>> connection.to_pyarrow(counted.mask).to_pylist()  # known from 15 January: the second date only, bit 1
    [2]
    """

    def __init__(self, connection: Any, dates: Sequence[dt.datetime], name: str) -> None:
        if not 0 < len(dates) <= MOST_DATES or list(dates) != sorted(set(dates)):
            raise ValueError(f"a calendar holds 1 to {MOST_DATES} ascending dates, got {len(dates)}")
        if len({date.time() for date in dates}) > 1:
            raise ValueError("the dates of a calendar share one time of day")
        self.dates = tuple(dates)
        midnight = dt.datetime.combine(dates[0], dt.time())
        self._time_of_day_seconds = int((dates[0] - midnight).total_seconds())
        self._first = dates[0].date() - dt.timedelta(days=1)
        self._last = dates[-1].date()
        self.bits: ir.Table = connection.create_table(f"{name}_dates", self._bits(), temp=True, overwrite=True)
        self._days: ir.Table = connection.create_table(f"{name}_days", self._lookup(), temp=True, overwrite=True)

    def _bits(self) -> pa.Table:
        places = range(len(self.dates))
        return pa.table(
            {
                "i": pa.array(places, pa.int64()),
                "bit": pa.array([2**place for place in places], pa.int64()),
                "as_of": pa.array(self.dates, pa.timestamp("us")),
                "day": pa.array([date.date() for date in self.dates], pa.date32()),
            }
        )

    def _lookup(self) -> pa.Table:
        days = [self._first + dt.timedelta(days=n) for n in range((self._last - self._first).days + 1)]
        below = [2 ** sum(date.date() <= day for date in self.dates) - 1 for day in days]
        return pa.table({"lookup_day": pa.array(days, pa.date32()), "lookup": pa.array(below, pa.int64())})

    def below(self, table: ir.Table, **moments: ir.Value) -> ir.Table:
        """Add columns with the bits of the dates before each moment (none of which may be null)."""
        for name, moment in moments.items():
            day = (moment - ibis.interval(seconds=self._time_of_day_seconds + 1)).date()
            inside = ibis.greatest(
                ibis.least(day, ibis.literal(self._last, type="date")), ibis.literal(self._first, type="date")
            )
            days = self._days.view()
            keyed = table.mutate(lookup_key=inside)
            joined = keyed.join(days, keyed.lookup_key == days.lookup_day)
            table = joined.select(*table.columns, **{name: joined.lookup})
        return table

    def ranked(self, rows: ir.Table) -> ir.Table:
        """Add ``known_below`` and ``until_below``: the dates before rows are known, and are replaced."""
        return self.below(rows, known_below=rows.known_from, until_below=rows.known_until)


def between(table: ir.Table, first_below: ir.Value, until_below: ir.Value) -> ir.Table:
    """Keep the rows with some date among `until_below` and not `first_below`; those dates are their ``mask``."""
    nothing = ibis.literal(0, type="int64")
    return table.mutate(mask=ibis.greatest(until_below - first_below, nothing)).filter(ibis._.mask != 0)
