"""Featuretools with cut-off times, from Parquet files to the Parquet file of the same values.

::

    python -m tests.bench.featuretools_contender FOLDER OUT [MONTHS]

It runs in an environment of its own (pandas 2.2.3), so nothing of Keepsight is imported here. Only the numbers
asked for are made, each once, one call for each window, with only that window's columns. A secondary time index
hides what was not recorded by the cut-off time and, where they must not count yet, rows less than so many days
back and rows that had not ended. Corrections cannot be expressed, so it is run on the tables as first recorded.
"""

from __future__ import annotations

import sys
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from tests.bench.data.columns import DAY, FIRST_DAY
from tests.bench.pairs import MONTHS, account_ids, as_of_dates
from tests.bench.shapes import SHAPES

if TYPE_CHECKING:
    import featuretools as ft

A_MOMENT = pd.Timedelta(1, "us")
SINCE = pd.Timestamp(FIRST_DAY)
NUMBERS_BELOW = 16  # 16 * place + number: the maximum is the latest row's, its remainder the number
MOMENTS = ("last_moment", "last_first_sight")
OF_LATEST = ("mean_of_latest", "lowest_of_latest")
BETWEEN = ("last_first_sight", *OF_LATEST)  # rows, values that an account has shown, accounts
NEVER = pd.Timestamp("2200-01-01")
ENDED = {"tickets": "closed_at", "feedback": "resolved_at"}
Measure = Mapping[str, Any]
Filter = Mapping[str, Any]  # of each column what is allowed: several values, or a range


# --- what is asked for ----------------------------------------------------------------------------------------


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


Formula = Callable[..., pd.Series]  # of a measure's numbers in order, moments being whole days since then
Asked = tuple[Sequence[Number], Formula]


def asked(measure: Measure) -> Asked:
    """Return the numbers that a measure is made of, and what it makes of them.

    Its `kept_days`, `history_days` and `minimum_rows` only tell where Keepsight knows no value, and only what it
    knows is compared.
    """
    return KINDS[measure["kind"]](measure)


def with_points(counted: pd.Series, bonuses: Sequence[Measure], found: Sequence[pd.Series]) -> pd.Series:
    """Return what was counted, and the points of every bonus that found rows."""
    return sum((bonus["points"] * (rows > 0) for bonus, rows in zip(bonuses, found, strict=True)), start=counted)


def _aggregate(measure: Measure) -> Asked:
    rows = dict(measure["aggregate"])
    days_ago = rows.pop("until_days_ago", 0)
    number = Number(**rows | {"window_days": rows["window_days"] + days_ago}, days_ago=days_ago)
    bonuses = measure.get("bonuses", [])
    better = [replace(number, of="rows", columns=(), also=bonus["filter"]) for bonus in bonuses]
    return [number, *better], lambda counted, *found: with_points(counted, bonuses, found)


def _days_since(measure: Measure) -> Asked:
    if measure.get("active_blocks", 1) > 1:
        raise ValueError("blocks that end with the last row cannot be expressed")
    return [Number(**measure["rows"], of="last_moment")], lambda days: days


def _newness(measure: Measure) -> Asked:
    numbers = [Number(**measure["rows"], of="last_first_sight", columns=[column]) for column in measure["columns"]]
    return numbers, lambda *days: pd.concat(days, axis=1).min(axis=1)


def _latest(measure: Measure) -> Asked:
    columns, days = [measure["by"], measure["column"]], measure["window_days"]
    number = Number(**measure["rows"], of="mean_of_latest", columns=columns, window_days=days)
    return [number], lambda mean: mean


def _coded(measure: Measure) -> Asked:
    """Of codes only one that says whether somebody's latest answer is low: counts are asked for as they are."""
    (code,) = measure["codes"]
    condition = code["condition"]
    (number,), _ = _latest(condition)
    lowest_of_latest = replace(number, of="lowest_of_latest")
    return [lowest_of_latest], lambda lowest: code["code"] * (lowest <= condition["at_most"])


def _median_duration(measure: Measure) -> Asked:
    own = Number(**measure["rows"], of="median_days", within_days=measure["window_days"])
    return [own, replace(own, everywhere=True)], lambda days, usual: days / usual


def _open_at(measure: Measure) -> Asked:
    """Open are all rows so far less those that ended so far."""
    rows, bonuses = Number(**measure["rows"]), measure.get("bonuses", [])
    ages = [0, *(bonus["open_longer_than_days"] + 1 for bonus in bonuses)]  # whole days
    ended = [measure.get("ended_within_days", 0), *(0 for _ in bonuses)]
    pairs = zip(ages, ended, strict=True)
    numbers = [replace(rows, days_ago=age, ended_days_ago=ago) for age, end in pairs for ago in (None, end)]

    def formula(*found: pd.Series) -> pd.Series:
        still, *old = [begun - gone for begun, gone in zip(found[::2], found[1::2], strict=True)]
        return with_points(still, bonuses, old)

    return numbers, formula


def _blocks(measure: Measure) -> Asked:
    """What lies in a block is what lies at least so far back, less what lies a block further back."""
    blocks, days = measure["blocks"], measure["block_days"]
    numbers = [
        Number(measure["table"], any_of=[measure[side]], window_days=blocks * days, days_ago=block * days)
        for block in range(blocks)
        for side in ("more", "than")
    ]

    def formula(*found: pd.Series) -> pd.Series:
        ahead = [more - than for more, than in zip(found[::2], found[1::2], strict=True)]
        further = [*ahead[1:], 0.0]
        return sum((a > f for a, f in zip(ahead, further, strict=True)), start=0.0)

    return numbers, formula


KINDS: Mapping[str, Callable[[Measure], Asked]] = {
    "aggregate": _aggregate,
    "recency": _days_since,
    "silence": _days_since,
    "newness": _newness,
    "latest": _latest,
    "coded": _coded,
    "median_duration": _median_duration,
    "open_at": _open_at,
    "blocks": _blocks,
}


# --- tables ---------------------------------------------------------------------------------------------------


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


def visible_from(rows: pd.DataFrame, number: Number) -> pd.Series:
    """Return from when on a column of these rows may be seen: recorded, so far back, ended."""
    seen = rows.recorded_at  # fmax passes over nulls: what has no end counts nowhere, and is seen as any other
    if number.days_ago:
        seen = np.fmax(seen, rows.occurred + pd.Timedelta(days=number.days_ago))
    if number.ended_days_ago is not None:
        seen = np.fmax(seen, rows[ENDED[number.table]] + pd.Timedelta(days=number.ended_days_ago))
    return seen - A_MOMENT  # a secondary time index hides what has its very moment too: so just before


class Tables:
    """The tables of these numbers: what is read of each, and columns made of it."""

    def __init__(self, folder: Path, numbers: Sequence[Number]) -> None:
        self.rows = {
            table: read(folder, table, [number for number in numbers if number.table == table])
            for table in sorted({number.table for number in numbers})
        }
        self.accounts = pd.DataFrame({"account_id": account_ids(folder)})
        self._made: dict[str, pd.Series] = {}

    def column(self, number: Number) -> pd.Series:
        """Return a column, made once: that it is seen later makes it no other."""
        made = replace(number, days_ago=0).column
        if made not in self._made:
            self._made[made] = column_of(self.rows[number.table], number)
        return self._made[made]

    def entities(self, numbers: Sequence[Number]) -> ft.EntitySet:
        """Return the company, its accounts and the tables of these numbers, with their time indexes.

        Without last time indexes: they would tell nothing that the rows' own do not.
        """
        import featuretools as ft  # not in the environment of test_bench.py, which imports this module

        company = ft.EntitySet()
        whole, accounts = pd.DataFrame({"company": [1]}), self.accounts.assign(company=1)
        company.add_dataframe(whole, "company", index="company", logical_types={"company": "Integer"})
        types = {"account_id": "Categorical", "company": "Integer"}
        company.add_dataframe(accounts, "accounts", index="account_id", logical_types=types)
        company.add_relationship("company", "company", "accounts", "company")
        for table in sorted({number.table for number in numbers}):
            self._add(company, table, [number for number in numbers if number.table == table])
        return company

    def _add(self, company: ft.EntitySet, table: str, numbers: Sequence[Number]) -> None:
        """Add a table, and those of the values that lie between its rows and accounts."""
        frame = self._frame(table, numbers)
        types = {n.column: "Categorical" if n.of == "distinct" else "Double" for n in numbers}
        company.add_dataframe(
            frame,
            table,
            index="row",
            time_index="occurred",
            secondary_time_index={
                until: list({n.column: None for n in numbers if n.visible_from == until})
                for until in {n.visible_from for n in numbers}
            },
            logical_types={"account_id": "Categorical", "row": "Integer", **types},
            already_sorted=True,  # no number depends on the order
        )
        company.add_relationship("accounts", "account_id", table, "account_id")
        for name in {n.between for n in numbers if n.of in BETWEEN}:
            shown = frame[[name, "account_id"]].drop_duplicates(name)
            types = {name: "Integer", "account_id": "Categorical"}
            company.add_dataframe(shown, name, index=name, logical_types=types)
            company.add_relationship("accounts", "account_id", name, "account_id")
            company.add_relationship(name, name, table, name)

    def _frame(self, table: str, numbers: Sequence[Number]) -> pd.DataFrame:
        """Return ids, moments and one column for numbers of the same rows."""
        rows = self.rows[table]
        frame = rows[["account_id", "occurred"]].assign(row=np.arange(len(rows)))
        for number in numbers:
            frame[number.column] = self.column(number)
            if number.visible_from not in frame:
                frame[number.visible_from] = visible_from(rows, number)
            if number.of in BETWEEN and number.between not in frame:
                frame[number.between] = together(rows, ["account_id", number.columns[0]])
            if number.of == "median_days":
                frame["ended"] = rows[ENDED[table]].fillna(NEVER)
                frame["open"] = rows[ENDED[table]].isna().astype(float)
        return frame


def read(folder: Path, table: str, numbers: Sequence[Number]) -> pd.DataFrame:
    """Return the columns of a table that these numbers are made of."""
    path, occurred = folder / f"{table}.parquet", SHAPES[table].at
    filters = {column for number in numbers for one in (*number.any_of, number.also) for column in one}
    ended = {ENDED[table] for number in numbers if number.ended_days_ago is not None or number.of == "median_days"}
    others = {column for number in numbers for column in number.columns} - {"day"}
    if any(number.of in OF_LATEST for number in numbers):
        others |= {*SHAPES[table].key}
    columns = sorted({"account_id", occurred, "recorded_at", *filters, *ended, *others})
    text = [of.name for of in pq.read_schema(path) if of.name in columns and of.type == "string"]
    rows = pq.read_table(path, columns=columns, read_dictionary=text).to_pandas()
    rows = rows.rename(columns={occurred: "occurred"})
    if "actor" in rows:
        rows["actor"] = rows.actor.fillna("person")
    if any("day" in number.columns for number in numbers):
        rows["day"] = (rows.occurred - A_MOMENT).dt.floor("D")
    return rows


# --- values ---------------------------------------------------------------------------------------------------


def feature(company: ft.EntitySet, number: Number) -> ft.FeatureBase:
    """Return one aggregation of the rows to the account; where values lie between, one to them and one to it."""
    import featuretools as ft
    from featuretools.entityset.relationship import RelationshipPath
    from featuretools.feature_base import AggregationFeature
    from featuretools.primitives import Max, Mean, Min, ModuloNumericScalar, NumUnique, Sum

    column = ft.IdentityFeature(company[number.table].ww[number.column])
    if number.of == "median_days":
        return median_days(company[number.table], column, number)
    if number.of == "last_first_sight":
        firsts = ft.Feature(column, parent_dataframe_name=number.between, primitive=Min)
        return ft.Feature(firsts, parent_dataframe_name="accounts", primitive=Max)
    if number.of in OF_LATEST:
        latest_rows = ft.Feature(column, parent_dataframe_name=number.between, primitive=Max)
        latest = ft.Feature(latest_rows, primitive=ModuloNumericScalar(NUMBERS_BELOW))
        of_all = Mean if number.of == "mean_of_latest" else Min
        return ft.Feature(latest, parent_dataframe_name="accounts", primitive=of_all)
    primitive = {"rows": Sum, "distinct": NumUnique, "sum": Sum, "mean": Mean, "last_moment": Max}[number.of]
    (direct,) = (
        each for each in company.relationships if (each.parent_name, each.child_name) == ("accounts", number.table)
    )
    # Said, because another path leads by the values between: of two, Featuretools takes neither.
    path = RelationshipPath([(False, direct)])
    return AggregationFeature(column, "accounts", primitive, relationship_path=path)


def median_days(rows: pd.DataFrame, ended: ft.FeatureBase, number: Number) -> ft.FeatureBase:
    """Return the median of days; what is open has lasted until the cut-off time.

    As first recorded, what has an end had ended before it was recorded.
    """
    import featuretools as ft
    from featuretools.primitives import AddNumeric, LessThanScalar, Median, MultiplyNumeric, TimeSince

    class GroupMedian(Median):
        def get_function(self) -> str:  # of groups; Featuretools' own is called for each account: 12 s more
            return "median"

    days = TimeSince(unit="days")
    age, since = (ft.Feature(ft.IdentityFeature(rows.ww[at]), primitive=days) for at in ("occurred", "ended"))
    still = ft.Feature([age, ft.IdentityFeature(rows.ww["open"])], primitive=MultiplyNumeric)
    both = ft.Feature([still, ended], primitive=AddNumeric)
    recent = ft.Feature(since, primitive=LessThanScalar(number.within_days))
    whose = "company" if number.everywhere else "accounts"
    median = ft.Feature(both, parent_dataframe_name=whose, primitive=GroupMedian, where=recent)
    return ft.DirectFeature(median, "accounts") if number.everywhere else median


def matrix(tables: Tables, numbers: Sequence[Number], pairs: pd.DataFrame, days: int) -> pd.DataFrame:
    """Return numbers of one window (0: of all time), a column each, at every pair of account and time."""
    import featuretools as ft

    company = tables.entities(numbers)
    made = ft.calculate_feature_matrix(
        [feature(company, number).rename(str(number)) for number in numbers],
        company,
        cutoff_time=pairs,
        training_window=f"{days} days" if days else None,
        cutoff_time_in_index=True,
    )
    distinct = [str(number) for number in numbers if number.of == "distinct"]
    made[distinct] = made[distinct].fillna(0)  # of no rows Featuretools makes nothing
    return made


def values(folder: Path, months: int = MONTHS) -> pd.DataFrame:
    """Return every account's values on every date, one call for each window."""
    text = Path(__file__).with_name("expressible.toml").read_text(encoding="utf-8")
    measures = {name: asked(measure) for name, measure in tomllib.loads(text).items()}
    numbers = list({str(number): number for own, _ in measures.values() for number in own}.values())
    tables = Tables(folder, numbers)
    accounts, dates = tables.accounts.account_id, as_of_dates(months).astype("datetime64[ns]")
    pairs = pd.DataFrame({"account_id": np.tile(accounts, len(dates)), "time": np.repeat(dates, len(accounts))})
    made = pd.DataFrame(index=pd.MultiIndex.from_frame(pairs))
    for days in sorted({number.window_days for number in numbers}):
        own = [number for number in numbers if number.window_days == days]
        made = made.join(matrix(tables, own, pairs, days))
    moments = [str(number) for number in numbers if number.of in MOMENTS]
    made[moments] = made[moments].rsub(seconds(pairs.time).set_axis(made.index), axis=0) // DAY
    found = pd.DataFrame(
        {name: formula(*(made[str(number)] for number in own)) for name, (own, formula) in measures.items()}
    )
    return found.reset_index().rename(columns={"time": "as_of"})


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    values(Path(sys.argv[1]), *map(int, sys.argv[3:])).to_parquet(sys.argv[2])
