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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tests.bench.data.columns import DAY
from tests.bench.in_featuretools.asked import asked
from tests.bench.in_featuretools.numbers import MOMENTS, NUMBERS_BELOW, OF_LATEST, Number, seconds
from tests.bench.in_featuretools.tables import Tables
from tests.bench.pairs import MONTHS, as_of_dates

if TYPE_CHECKING:
    import featuretools as ft


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
    # The path is given because another may lead by way of the values between: of two, Featuretools takes neither.
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
