"""A number of each account, and the column of its rows that Featuretools makes it of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.bench.data.columns import FIRST_DAY
from tests.bench.shapes import SHAPES

A_MOMENT = pd.Timedelta(1, "us")
SINCE = pd.Timestamp(FIRST_DAY)
NUMBERS_BELOW = 16  # 16 * place + number: the maximum is the latest row's, its remainder the number
ENDED = {"tickets": "closed_at", "feedback": "resolved_at"}
MOMENTS = ("last_moment", "last_first_sight")
OF_LATEST = ("mean_of_latest", "lowest_of_latest")
BETWEEN = ("last_first_sight", *OF_LATEST)  # rows, values that an account has shown, accounts
Filter = Mapping[str, Any]  # of each column what is allowed: several values, or a range


@dataclass(frozen=True)
class Number:
    """One number of each account: of the rows that match any of the filters, and `also`, in a window (0: ever).

    A row counts once it lies `days_ago` back; with `ended_days_ago`, once it ended so long ago. Of the values of
    the first column, ``last_first_sight`` is the last moment that one was seen first; of each one's latest number
    in the second column, ``mean_of_latest`` is the mean, ``lowest_of_latest`` the lowest. ``median_days`` is the
    median of days from beginning to end of rows that are open or ended in the last `within_days`; `everywhere`: of
    all accounts.
    """

    table: str
    of: str = "rows"
    columns: Sequence[str] = ()
    any_of: Sequence[Filter] = ()
    also: Filter = field(default_factory=dict)
    window_days: int = 0
    days_ago: int = 0
    ended_days_ago: int | None = None
    within_days: int = 0
    everywhere: bool = False

    @property
    def column(self) -> str:
        """The name of its column: of the same values, hidden until the same moments.

        Numbers share it that differ only in the window, or in what is made of the latest numbers.
        """
        of = "mean_of_latest" if self.of in OF_LATEST else self.of
        return str(replace(self, of=of, window_days=0, everywhere=False))

    @property
    def visible_from(self) -> str:
        """The name of the moments from which on its column may be seen.

        A secondary time index hides all columns that share them.
        """
        return f"recorded, {self.days_ago} days ago, ended {self.ended_days_ago} days ago"

    @property
    def between(self) -> str:
        """The table between rows and accounts, of the values that an account has shown."""
        return f"{self.table}.{self.columns[0]}"


def matching(rows: pd.DataFrame, any_of: Sequence[Filter]) -> pd.Series:
    """Tell which rows match any of the filters."""
    found = pd.Series(not any_of, index=rows.index)
    for one in any_of:
        match = pd.Series(True, index=rows.index)
        for column, allowed in one.items():
            if isinstance(allowed, dict):
                match &= rows[column].between(allowed.get("at_least", -np.inf), allowed.get("at_most", np.inf))
            else:
                match &= rows[column].isin(allowed)
        found |= match
    return found


def column_of(rows: pd.DataFrame, number: Number) -> pd.Series:
    """Return what the primitive is put over: a number or a category, null where a row does not count."""
    counts = matching(rows, number.any_of) & matching(rows, [number.also])
    if number.ended_days_ago is not None:
        counts &= rows[ENDED[number.table]].notna()
    match number.of:
        case "rows":
            return pd.Series(1.0, index=rows.index).where(counts)
        case "last_moment":
            return seconds(rows.occurred).where(counts)
        case "last_first_sight":
            return seconds(rows.occurred).where(counts & rows[number.columns[0]].notna())
        case "median_days":
            ended = rows[ENDED[number.table]]
            return ((ended - rows.occurred) / pd.Timedelta(days=1)).fillna(0.0).where(counts)
        case "mean_of_latest" | "lowest_of_latest":
            by_time = rows.sort_values(["occurred", "recorded_at", *SHAPES[number.table].key])
            place = pd.Series(np.arange(len(rows)), index=by_time.index)
            return (place * NUMBERS_BELOW + rows[number.columns[1]]).where(counts)
        case "distinct":
            counts &= rows[list(number.columns)].notna().all(axis=1)
            return pd.Series(together(rows, number.columns), index=rows.index).where(counts).astype("category")
        case _:
            return rows[number.columns[0]].astype(float).where(counts)


def seconds(moments: pd.Series) -> pd.Series:
    """Return moments as seconds since the data's first day: Featuretools' maximum takes numbers only."""
    return (moments - SINCE) / pd.Timedelta(seconds=1)


def together(rows: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return one number for each combination of values, a null being one of them."""
    codes = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        code, values = pd.factorize(rows[column])
        codes = codes * (len(values) + 1) + code + 1
    return pd.factorize(codes)[0]


def value_shown(rows: pd.DataFrame, number: Number) -> npt.NDArray[np.int64]:
    """Return one number for each value of the first column that an account has shown."""
    return together(rows, ["account_id", number.columns[0]])


def visible_from(rows: pd.DataFrame, number: Number) -> pd.Series:
    """Return from when on a column of these rows may be seen: recorded, so far back, ended."""
    seen = rows.recorded_at  # fmax passes over null: the column of a row without an end is null anyway
    if number.days_ago:
        seen = np.fmax(seen, rows.occurred + pd.Timedelta(days=number.days_ago))
    if number.ended_days_ago is not None:
        seen = np.fmax(seen, rows[ENDED[number.table]] + pd.Timedelta(days=number.ended_days_ago))
    return seen - A_MOMENT  # a secondary time index hides what has its very moment too: so just before
