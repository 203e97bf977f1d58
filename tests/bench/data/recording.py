"""When rows were recorded: late ones, corrected ones, and those that ended after they were first recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.data.columns import DAY, DAYS, Flags, Ints, names, replaced, seconds_of, time
from tests.bench.shapes import SHAPES

Change = Callable[[np.random.Generator, pa.Table], pa.Table]

LATE_SHARE, MOST_DAYS_LATE = 0.01, 45
CORRECTED_SHARE, MOST_DAYS_TO_CORRECT = 0.005, 30


def recorded(rng: np.random.Generator, occurred: Ints) -> Ints:
    """Return when rows were recorded: within the hour, a few of them days late."""
    late = rng.random(len(occurred)) < LATE_SHARE
    minutes = rng.integers(10, 3_600, len(occurred))
    return occurred + np.where(late, rng.integers(1, MOST_DAYS_LATE + 1, len(occurred)) * DAY, minutes)


def corrected(rng: np.random.Generator, table: pa.Table, change: Change) -> pa.Table:
    """Return the table with its corrections: some of the rows once more, recorded later and changed."""
    again = table.take(pa.array(np.flatnonzero(rng.random(len(table)) < CORRECTED_SHARE)))
    later = rng.integers(1, MOST_DAYS_TO_CORRECT + 1, len(again)) * DAY
    recorded_at = seconds_of(again["recorded_at"]) + later
    return pa.concat_tables([table, change(rng, replaced(again, recorded_at=time(recorded_at)))])


def redrawn(column: str, values: Sequence[str]) -> Change:
    """Return the correction that gives a column other values."""

    def change(rng: np.random.Generator, table: pa.Table) -> pa.Table:
        return replaced(table, **{column: names(values, rng.integers(0, len(values), len(table)))})

    return change


def moved(column: str) -> Change:
    """Return the correction that something happened up to three days earlier."""

    def change(rng: np.random.Generator, table: pa.Table) -> pa.Table:
        before = rng.integers(0, 3 * DAY, len(table))
        return replaced(table, **{column: time(np.maximum(1, seconds_of(table[column]) - before))})

    return change


def as_it_ended(table: pa.Table, column: str, ended: Ints, known: Ints, ends: Flags) -> pa.Table:
    """Return the rows as first recorded, and once more from when their end was known.

    Rows that had ended when they were recorded have no second version.
    """
    first = known >= ended
    before = replaced(table, **{column: time(ended, ends & first)})
    second = np.flatnonzero(ends & ~first & (ended < DAYS * DAY))
    after = replaced(table, **{column: time(ended), "recorded_at": time(ended + 600)}).take(pa.array(second))
    return pa.concat_tables([before, after])


def as_first_recorded(table: pa.Table, name: str) -> pa.Table:
    """Return the first row of each key, of rows in the order of arrival."""
    keys = pc.binary_join_element_wise(*(pc.cast(table[column], pa.string()) for column in SHAPES[name].key), "/")
    _, first = np.unique(pc.fill_null(keys, "").to_numpy(), return_index=True)
    return table.take(pa.array(np.sort(first)))
