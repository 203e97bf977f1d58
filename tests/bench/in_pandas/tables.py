"""The company's tables in pandas: codes for text, versions for corrections, events in the order they happened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from tests.bench.pairs import account_ids
from tests.bench.shapes import SHAPES

Floats = npt.NDArray[np.float64]
FAR = pd.Timestamp("2200-01-01")
ONE_DAY = pd.Timedelta(days=1)


class Tables:
    """All tables of a company, read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account_ids = pd.Index(account_ids(folder))
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, table: str) -> pd.DataFrame:
        if table not in self._read:
            frame = self._frame(table)
            if table == "usage":
                frame = self.prepared(frame)
            if table == "contacts":
                frame["contact"] = frame.groupby(["account", "contact_id"], observed=True).ngroup()
            self._read[table] = frame
        return self._read[table]

    def _frame(self, table: str) -> pd.DataFrame:
        shape = SHAPES[table]
        by_account = table not in ("plans", "feeds")
        text = (*shape.text, *(["account_id"] if by_account else []))
        named = {*shape.key, *shape.columns, *text, "recorded_at", *([shape.at] if shape.at else [])}
        arrow = pq.read_table(
            self.folder / f"{table}.parquet", columns=sorted(named), read_dictionary=sorted(text)
        )
        frame = arrow.to_pandas(date_as_object=False)
        frame["until"] = replaced_at(frame, list(shape.key))
        if by_account:
            ids = frame.account_id.cat
            frame["account"] = self.account_ids.get_indexer(ids.categories).astype(np.int32)[ids.codes]
            frame = frame.drop(columns="account_id")
        if shape.at is None:
            return frame
        if table != "usage":  # nothing that is asked of usage depends on its order
            frame = frame.sort_values([shape.at, "recorded_at", *shape.key], ignore_index=True)
        frame = frame.rename(columns={shape.at: "at"}).drop(columns=list(shape.key))
        # A moment at midnight belongs to the day that it ends.
        seconds = (frame["at"] - pd.Timedelta(1, "us")).astype("datetime64[s]").astype("int64")
        frame["day"] = (seconds // 86_400).astype("int32")
        return frame

    def prepared(self, usage: pd.DataFrame) -> pd.DataFrame:
        """Return usage with the people in it: whoever is named and no machine."""
        usage["human"] = usage.actor.ne("machine")
        usage["person"] = usage.user_id.where(usage.human)
        return usage.drop(columns=["user_id", "actor"])


def replaced_at(frame: pd.DataFrame, key: Sequence[str]) -> pd.Series:
    """Return when each row was replaced by a later one of the same key; far away if never."""
    until = pd.Series(FAR.to_datetime64().astype(frame.recorded_at.dtype.str), index=frame.index)
    again = frame.loc[frame.duplicated(key, keep=False), [*key, "recorded_at"]].sort_values("recorded_at")
    following = again.groupby(list(key), sort=False).recorded_at.shift(-1).dropna()
    until.loc[following.index] = following
    return until


class Moment:
    """What was known on one date, and the few things that are done with rows in plain pandas."""

    def __init__(self, tables: Tables, as_of: pd.Timestamp) -> None:
        self.tables, self.as_of = tables, as_of
        self.size = len(tables.account_ids)
        self._known: dict[str, pd.DataFrame] = {}

    def known(self, table: str) -> pd.DataFrame:
        """Return the rows recorded and not replaced by then; of events, those that had happened."""
        if table not in self._known:
            rows = self.tables[table]
            known = (rows.recorded_at <= self.as_of) & (rows.until > self.as_of)
            if SHAPES[table].at is not None:
                known &= rows["at"] <= self.as_of
            self._known[table] = rows.drop(columns=["recorded_at", "until"])[known]
        return self._known[table]

    def window(self, table: str, days: int, ago: int = 0) -> pd.DataFrame:
        """Return the known events of so many days, that ended so many days ago."""
        rows, end = self.known(table), self.as_of - ago * ONE_DAY
        return rows[(rows["at"] > end - days * ONE_DAY) & (rows["at"] <= end)]

    def count(self, accounts: pd.Series) -> Floats:
        """Count rows per account."""
        return accounts.value_counts().reindex(range(self.size), fill_value=0).to_numpy(dtype=float)

    def distinct(self, rows: pd.DataFrame, *columns: str) -> Floats:
        """Count the distinct values, or pairs of values, of each account."""
        if len(columns) == 1:
            return np.nan_to_num(self.per_account(rows.groupby("account")[columns[0]].nunique()))
        return self.count(rows.dropna(subset=columns).drop_duplicates(["account", *columns]).account)

    def newest(self, rows: pd.DataFrame, column: str) -> pd.Series:
        """Return when each account last showed a value of the column for the first time."""
        firsts = rows.groupby(["account", column], observed=True)["at"].min()
        return firsts.groupby("account").max()

    def per_account(self, series: pd.Series) -> Floats:
        """Return a series by account as one value for every account, NaN where there is none."""
        return series.reindex(range(self.size)).to_numpy(dtype=float, na_value=np.nan)

    def covered_days(self, table: str, days: int, ago: int = 0) -> tuple[Floats, Floats]:
        """Return, of the days of service in a window, how many there are and how many were delivered."""
        feeds = self.known("feeds")
        spells = feeds[feeds["table"] == table]
        last = self.as_of - (ago + 1) * ONE_DAY
        window = pd.date_range(end=last, periods=days, freq="D")
        delivered = np.zeros(days, dtype=bool)
        for begun, ended in zip(spells.covered_from, spells.covered_to.fillna(FAR), strict=True):
            delivered |= (window >= begun) & (window <= ended)
        since = (self.service_start - window[0].to_datetime64()) / np.timedelta64(1, "D")
        skipped = np.nan_to_num(since, nan=0).clip(0, days).astype(int)
        later = np.append(np.cumsum(delivered[::-1])[::-1], 0)
        return (days - skipped).astype(float), later[skipped].astype(float)

    @cached_property
    def use(self) -> pd.DataFrame:
        """Known usage by people, of all time."""
        rows = self.known("usage")
        return rows.loc[rows.human, ["account", "at", "feature", "person"]]

    @cached_property
    def service_start(self) -> npt.NDArray[np.datetime64]:
        """The first day of service of each account."""
        from tests.bench.in_pandas.contracts import service_start

        return service_start(self)


def ratio(amount: Floats, base: Floats) -> Floats:
    """Divide; nothing to divide by gives NaN."""
    return np.divide(amount, base, out=np.full(len(amount), np.nan), where=base > 0)
