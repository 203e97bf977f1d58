"""The `as_of` dates of one pass, as bits of an integer.

A row counts for some dates and not for others. Each row carries those dates as a bit mask, so that a row is read
once however many dates there are: masks of one person are joined by ``bit_or``, and only the few distinct masks
are expanded to dates again. Which dates lie before a moment is looked up by the moment's day in a small table:
exact, because all dates of a pass share one time of day, which is taken off first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.errors import ReadingError
from features.measures.queries import Queries

MOST_DATES = 62  # bits of a signed 64-bit integer, less the sign and one to spare
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2100, 1, 1)


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def bit_or(mask: int) -> int:
    """Union of masks; a built-in aggregate of DuckDB, PostgreSQL and Spark."""
    raise NotImplementedError


class Calendar:
    """At most 62 `as_of` dates, ascending, without repeats, all at the same time of day.

    Parameters
    ----------
    queries
        Where two small tables are stored, under `name`.
    dates
        Between :data:`FIRST_DAY` and :data:`LAST_DAY`.
    name
        The prefix of those tables.

    Raises
    ------
    ValueError
        Too many dates, dates out of order, or at different times of day.
    ReadingError
        A date out of range.
    """

    def __init__(self, queries: Queries, dates: Sequence[dt.datetime], name: str) -> None:
        if not 0 < len(dates) <= MOST_DATES or list(dates) != sorted(set(dates)):
            raise ValueError(f"a calendar holds 1 to {MOST_DATES} ascending dates, got {len(dates)}")
        if len({date.time() for date in dates}) > 1:
            raise ValueError("the dates of a calendar share one time of day")
        if dates[0].date() <= FIRST_DAY or dates[-1].date() >= LAST_DAY:
            raise ReadingError(
                f"as_of {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}: "
                f"ask about dates between {FIRST_DAY} and {LAST_DAY}."
            )
        self.dates = tuple(dates)
        self.time_of_day_seconds = int((dates[0] - dt.datetime.combine(dates[0], dt.time())).total_seconds())
        self._queries, self._name = queries, name
        queries.put(f"{name}_dates", self._bits())
        queries.put(f"{name}_days", self._lookup())

    @property
    def bits(self) -> ir.Table:
        """One row a date: its place ``i``, its ``bit``, ``as_of`` and ``day``."""
        return self._queries.table(f"{self._name}_dates")

    def _bits(self) -> dict[str, pa.Array]:
        places = range(len(self.dates))
        return {
            "i": pa.array(places, pa.int64()),
            "bit": pa.array([2**place for place in places], pa.int64()),
            "as_of": pa.array(self.dates, pa.timestamp("us")),
            "day": pa.array([date.date() for date in self.dates], pa.date32()),
        }

    def _lookup(self) -> dict[str, pa.Array]:
        """For every day, the bits of the dates on or before it."""
        days = np.arange(np.datetime64(FIRST_DAY, "D"), np.datetime64(LAST_DAY, "D") + 1)
        below = np.searchsorted(np.array([d.date() for d in self.dates], "datetime64[D]"), days, side="right")
        bits = np.array([2**count - 1 for count in range(len(self.dates) + 1)], dtype=np.int64)
        return {"lookup_day": pa.array(days, pa.date32()), "lookup": pa.array(bits[below], pa.int64())}

    def below(self, table: ir.Table, **moments: ir.Value) -> ir.Table:
        """Add columns with the bits of the dates before each moment (none of which may be null)."""
        for name, moment in moments.items():
            day = (moment - ibis.interval(seconds=self.time_of_day_seconds + 1)).date()
            inside = ibis.greatest(
                ibis.least(day, ibis.literal(LAST_DAY, type="date")), ibis.literal(FIRST_DAY, type="date")
            )
            days = self._queries.table(f"{self._name}_days").view()
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
