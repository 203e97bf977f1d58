"""The company's tables as Featuretools takes them: a column for each number, with the moments that hide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tests.bench.in_featuretools.numbers import (
    A_MOMENT,
    BETWEEN,
    ENDED,
    OF_LATEST,
    Number,
    column_of,
    value_shown,
    visible_from,
)
from tests.bench.pairs import account_ids
from tests.bench.shapes import SHAPES

if TYPE_CHECKING:
    import featuretools as ft

NEVER = pd.Timestamp("2200-01-01")


class Tables:
    """The tables of these numbers: what is read of each, and the columns made of it, once for all windows."""

    def __init__(self, folder: Path, numbers: Sequence[Number]) -> None:
        self.rows = {
            table: read(folder, table, [number for number in numbers if number.table == table])
            for table in sorted({number.table for number in numbers})
        }
        self.accounts = pd.DataFrame({"account_id": account_ids(folder)})
        self._made: dict[tuple[str, str], Any] = {}

    def entities(self, numbers: Sequence[Number]) -> ft.EntitySet:
        """Return the company, its accounts and the tables of these numbers, with their time indexes.

        Without last time indexes: they would tell nothing that the rows' own do not.
        """
        import featuretools as ft  # not in the environment of test_bench.py, which imports this

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
        kinds = {"account_id": "Categorical", "row": "Integer", "ended": "Datetime", "open": "Double"}
        types = {name: kinds.get(name, "Datetime") for name in frame}  # said, since guessing them takes its time
        types |= {n.between: "Integer" for n in numbers if n.of in BETWEEN}
        types |= {n.column: "Categorical" if n.of == "distinct" else "Double" for n in numbers}
        company.add_dataframe(
            frame,
            table,
            index="row",
            time_index="occurred",
            secondary_time_index={
                moments: sorted({n.column for n in numbers if n.visible_from == moments})
                for moments in {n.visible_from for n in numbers}
            },
            logical_types=types,
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
        """Return ids, moments and the columns of these numbers."""
        rows = self.rows[table]
        columns = {"account_id": rows.account_id, "occurred": rows.occurred, "row": np.arange(len(rows))}
        for number in numbers:
            columns |= self._columns(number)
        return pd.DataFrame(columns)

    def _columns(self, number: Number) -> dict[str, Any]:
        """Return the columns that one number needs; most of them others need too."""
        values = replace(number, days_ago=0).column  # seen later, they are the same
        columns = {
            number.column: self._once(number, values, column_of),
            number.visible_from: self._once(number, number.visible_from, visible_from),
        }
        if number.of in BETWEEN:
            columns[number.between] = self._once(number, number.between, value_shown)
        if number.of == "median_days":
            ended = self.rows[number.table][ENDED[number.table]]
            columns |= {"ended": ended.fillna(NEVER), "open": ended.isna().astype(float)}
        return columns

    def _once(self, number: Number, name: str, make: Callable[[pd.DataFrame, Number], Any]) -> Any:
        key = number.table, name
        if key not in self._made:
            self._made[key] = make(self.rows[number.table], number)
        return self._made[key]


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
