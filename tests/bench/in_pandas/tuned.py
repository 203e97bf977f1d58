"""The same measures by somebody who tunes: usage sorted by time, whole-number keys, arrays instead of groups.

Sorted once, the rows known and every window are slices. A person and a feature of an account are one number each,
so that distinct values are found in one array, and the first row of each is the first time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.bench.in_pandas.tables import ONE_DAY, Floats, Moment, Tables
from tests.bench.shapes import SHAPES

MOST_DAYS = 100_000  # more than the days since 1970: a person and a day in one number


class TunedTables(Tables):
    """Tables whose people and features are numbers that no two accounts share; -1: nobody."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.account_of: dict[str, npt.NDArray[Any]] = {}

    def prepared(self, usage: pd.DataFrame) -> pd.DataFrame:
        usage = usage.sort_values("at", kind="stable", ignore_index=True)
        account, user = usage.account.to_numpy(), usage.user_id.cat.codes.to_numpy()
        feature, features = usage.feature.cat.codes.to_numpy(), len(usage.feature.cat.categories)
        usage["human"] = usage.actor.ne("machine")
        named = usage.human.to_numpy() & (user >= 0)
        both = account.astype(np.int64) * len(usage.user_id.cat.categories) + user
        person = np.full(len(usage), -1, dtype=np.int32)
        person[named], found = pd.factorize(both[named])
        self.account_of["person"] = found // len(usage.user_id.cat.categories)
        self.account_of["feature"] = np.repeat(np.arange(len(self.account_ids)), features)
        usage["person"] = person
        usage["feature"] = np.where(feature >= 0, account * features + feature, -1)
        return usage.drop(columns=["user_id", "actor"])


class TunedMoment(Moment):
    """What was known on one date, by slices and arrays."""

    tables: TunedTables

    def known(self, table: str) -> pd.DataFrame:
        if SHAPES[table].at is None:
            return super().known(table)
        if table not in self._known:
            rows = self.tables[table]
            rows = rows.iloc[: rows["at"].searchsorted(self.as_of, side="right")]
            known = (rows.recorded_at <= self.as_of) & (rows.until > self.as_of)
            self._known[table] = rows.drop(columns=["recorded_at", "until"])[known]
        return self._known[table]

    def window(self, table: str, days: int, ago: int = 0) -> pd.DataFrame:
        rows, end = self.known(table), self.as_of - ago * ONE_DAY
        first, last = rows["at"].searchsorted([end - days * ONE_DAY, end], side="right")
        return rows.iloc[first:last]

    def count(self, accounts: pd.Series | npt.NDArray[Any]) -> Floats:
        return np.bincount(accounts, minlength=self.size).astype(float)

    def distinct(self, rows: pd.DataFrame, *columns: str) -> Floats:
        match columns:
            case ("person" | "feature" as column,):
                found = rows[column][rows[column] >= 0].unique()
                return self.count(self.tables.account_of[column][found])
            case ("person", "day"):
                rows = rows[rows.person >= 0]
                pairs = (rows.person.astype("int64") * MOST_DAYS + rows.day).unique()
                return self.count(self.tables.account_of["person"][pairs // MOST_DAYS])
            case _:
                return super().distinct(rows, *columns)

    def newest(self, rows: pd.DataFrame, column: str) -> pd.Series:
        firsts = rows[(rows[column] >= 0) & ~rows[column].duplicated()]
        return firsts.groupby("account")["at"].max()
