"""Featuretools with cut-off times, from Parquet files to the Parquet file of the same values.

::

    python -m tests.bench.featuretools_contender FOLDER OUT [expressible] [MONTHS]

It runs in an environment of its own (pandas 2.2.3), so nothing of Keepsight is imported here. Only the features
asked for are made, one call for each window. What was not recorded by the cut-off time is hidden by a secondary
time index; corrections cannot be expressed, so it is run on the tables as first recorded.
"""

from __future__ import annotations

import sys
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tests.bench.data.columns import FIRST_DAY
from tests.bench.pairs import MONTHS, account_ids, as_of_dates
from tests.bench.shapes import SHAPES

if TYPE_CHECKING:
    import featuretools as ft

A_MOMENT = pd.Timedelta(1, "us")
SINCE = pd.Timestamp(FIRST_DAY)
Measures = Mapping[str, Mapping[str, Any]]


def measures() -> Measures:
    """Return what is asked for, each as one aggregate."""
    text = Path(__file__).with_name("expressible.toml").read_text(encoding="utf-8")
    return {
        name: {**measure["rows"], "of": "last"} if measure["kind"] == "recency" else measure["aggregate"]
        for name, measure in tomllib.loads(text).items()
    }


def matching(rows: pd.DataFrame, any_of: list[dict[str, Any]]) -> pd.Series:
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


def column_of(rows: pd.DataFrame, measure: Mapping[str, Any], occurred: str) -> pd.Series:
    """Return what the primitive is put over: a number or a category, null where a row does not count."""
    counts = matching(rows, measure.get("any_of", []))
    columns = measure.get("columns", [])
    match measure.get("of", "rows"):
        case "rows":
            return pd.Series(1.0, index=rows.index).where(counts)
        case "last":
            return ((rows[occurred] - SINCE) / pd.Timedelta(seconds=1)).where(counts)
        case "distinct":
            codes = np.zeros(len(rows), dtype=np.int64)
            for column in columns:
                code, values = pd.factorize(rows[column])
                codes = codes * (len(values) + 1) + code
                counts &= rows[column].notna()
            return pd.Series(pd.factorize(codes)[0], index=rows.index).where(counts).astype("category")
        case _:
            return rows[columns[0]].astype(float).where(counts)


def table_of(folder: Path, table: str, asked: Measures) -> pd.DataFrame:
    """Return a table with one column for each measure, and the moment from which it is known."""
    path, occurred = folder / f"{table}.parquet", SHAPES[table].at
    filters = {column for measure in asked.values() for one in measure.get("any_of", []) for column in one}
    read = {column for measure in asked.values() for column in measure.get("columns", [])} - {"day"}
    columns = sorted({"account_id", occurred, "recorded_at", *filters, *read})
    text = [field.name for field in pq.read_schema(path) if field.name in columns and field.type == "string"]
    rows = pq.read_table(path, columns=columns, read_dictionary=text).to_pandas()
    if "actor" in rows:
        rows["actor"] = rows.actor.astype(object).fillna("person")
    rows["day"] = (rows[occurred] - A_MOMENT).dt.floor("D")
    made = {name: column_of(rows, measure, occurred) for name, measure in asked.items()}
    # A secondary time index hides what has its very moment too: so just before.
    known = rows.recorded_at - A_MOMENT
    ids = {"row": np.arange(len(rows)), "account_id": rows.account_id, "occurred": rows[occurred], "known": known}
    return pd.DataFrame({**ids, **made})


def entities(folder: Path, asked: Measures) -> ft.EntitySet:
    """Return accounts and the tables of these measures, with their time indexes."""
    import featuretools as ft  # not in the environment of the tests, which read this module for its examples

    found = ft.EntitySet("company")
    accounts = pd.DataFrame({"account_id": account_ids(folder)})
    found.add_dataframe(accounts, "accounts", index="account_id", logical_types={"account_id": "Categorical"})
    for table in sorted({measure["table"] for measure in asked.values()}):
        own = {name: measure for name, measure in asked.items() if measure["table"] == table}
        types = {
            name: "Categorical" if measure.get("of") == "distinct" else "Double" for name, measure in own.items()
        }
        found.add_dataframe(
            table_of(folder, table, own),
            table,
            index="row",
            time_index="occurred",
            secondary_time_index={"known": list(own)},
            logical_types={"account_id": "Categorical", "row": "Integer", **types},
            already_sorted=False,
        )
        found.add_relationship("accounts", "account_id", table, "account_id")
    found.add_last_time_indexes()
    return found


def values(folder: Path, months: int = MONTHS) -> pd.DataFrame:
    """Return every account's values on every date, one call for each window."""
    import featuretools as ft
    from featuretools.primitives import Max, Mean, NumUnique, Sum

    primitives = {"rows": Sum, "distinct": NumUnique, "sum": Sum, "mean": Mean, "last": Max}
    asked = measures()
    company = entities(folder, asked)
    accounts, dates = account_ids(folder), as_of_dates(months).astype("datetime64[ns]")
    pairs = pd.DataFrame({"account_id": np.tile(accounts, len(dates)), "time": np.repeat(dates, len(accounts))})
    made = pd.DataFrame(index=pd.MultiIndex.from_frame(pairs))
    for days in sorted({measure.get("window_days", 0) for measure in asked.values()}):
        own = {name: measure for name, measure in asked.items() if measure.get("window_days", 0) == days}
        features = [
            ft.Feature(
                ft.IdentityFeature(company[measure["table"]].ww[name]),
                parent_dataframe_name="accounts",
                primitive=primitives[measure.get("of", "rows")],
            ).rename(name)
            for name, measure in own.items()
        ]
        matrix = ft.calculate_feature_matrix(
            features,
            company,
            cutoff_time=pairs,
            training_window=f"{days} days" if days else None,
            cutoff_time_in_index=True,
        )
        made = made.join(matrix[list(own)])
    distinct = [name for name, measure in asked.items() if measure.get("of") == "distinct"]
    made[distinct] = made[distinct].fillna(0)  # of no rows Featuretools makes nothing
    found = made.reset_index().rename(columns={"time": "as_of"})
    last = SINCE + pd.to_timedelta(found["days_since_last_use"], unit="s")
    found["days_since_last_use"] = (found.as_of - last).dt.days
    return found


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    values(Path(sys.argv[1]), *map(int, sys.argv[4:])).to_parquet(sys.argv[2])
