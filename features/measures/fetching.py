"""The rows of a pass, fetched when a quantity first asks for them: one query a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.measures.calendar import Calendar, Floats
from features.measures.condensed import CondensedFrame, CountedTable, Within
from features.measures.frames import DAY, Demand, Filters, Frame, RowFrame
from features.measures.groups import smallest
from features.measures.queries import Queries
from features.measures.rows import Asked, selected, table_rows
from features.measures.scope import CountsWanted, RowsWanted

if TYPE_CHECKING:
    from features.sources import Database

ACCOUNTS = "accounts"
# Under so many rows, fetching them costs less than having the engine count them first.
ROWS_WORTH_COUNTING = 300_000


@dataclass(frozen=True)
class Wanted:
    """All that is wanted of one table: to be fetched row by row, or counted by the engine first."""

    asked: Asked
    demands: tuple[Demand, ...]
    row_by_row: bool


def by_table(wants: Iterable[RowsWanted | CountsWanted]) -> dict[str, Wanted]:
    """Return what is wanted of each table."""
    rows: dict[str, list[RowsWanted]] = {}
    demands: dict[str, dict[Demand, None]] = {}
    for want in wants:
        if isinstance(want, CountsWanted):
            demands.setdefault(want.demand.table, {})[want.demand] = None
        else:
            rows.setdefault(want.table, []).append(want)
    return {
        table: _of_table(rows.get(table, []), list(demands.get(table, {})), row_by_row=table in rows)
        for table in {**rows, **demands}
    }


def _of_table(rows: Sequence[RowsWanted], demands: Sequence[Demand], *, row_by_row: bool) -> Wanted:
    filters: dict[str, Filters] = {}
    columns: dict[str, None] = {}
    for one in [*(any_of for want in rows for any_of in want.any_of), *(demand.any_of for demand in demands)]:
        if one:
            filters[repr(one)] = one
    for name in [*(c for want in rows for c in want.columns), *(c for d in demands for c in d.columns)]:
        if name != DAY:
            columns[name] = None
    ordered = any(want.ordered for want in rows)
    return Wanted(Asked(tuple(columns), tuple(filters.values()), ordered), tuple(demands), row_by_row)


class Counting:
    """Large tables, counted once for all the accounts that are asked about at the dates of a calendar.

    Parameters
    ----------
    database
        The company's tables.
    calendar
        The dates.
    accounts
        Their ids, in order; an account's number is its place.
    wants
        What will be asked of each table.
    name
        The prefix of what is stored.
    """

    def __init__(
        self, database: Database, calendar: Calendar, accounts: pa.Array, wants: Mapping[str, Wanted], name: str
    ) -> None:
        self.accounts, self._name = accounts, name
        self._database, self._calendar, self._wants = database, calendar, wants
        self._queries = Queries(database)
        self._tables: dict[str, CountedTable] = {}

    def worth(self, table: str, accounts: int) -> bool:
        """Return whether a table's rows of so many accounts are better counted than fetched."""
        want, sizes = self._wants[table], self._database.sizes
        share = min(1.0, accounts / max(sizes[ACCOUNTS], 1))
        return not want.row_by_row and sizes[table] * share > ROWS_WORTH_COUNTING

    def table(self, table: str) -> CountedTable:
        """Return a table, counted when first asked for."""
        if table not in self._tables:
            if not self._tables:
                self._queries.put(f"{self._name}_accounts", numbered_accounts(self.accounts))
            self._tables[table] = CountedTable(
                self._queries,
                self._calendar,
                lambda: rows_of(self._queries, self._database, table, f"{self._name}_accounts"),
                self._wants[table].demands,
                f"{self._name}_{table}",
            )
        return self._tables[table]

    def forget(self) -> None:
        """Drop what was counted, to give back its room."""
        self._queries.forget()


def numbered_accounts(accounts: pa.Array) -> dict[str, pa.Array]:
    """Return accounts with their numbers, as a small table."""
    return {"account_id": accounts.cast(pa.string()), "a": pa.array(np.arange(len(accounts)), pa.int64())}


def rows_of(queries: Queries, database: Database, table: str, accounts: str) -> ir.Table:
    """Return a table's rows with their account's number ``a``, as Ibis sees them."""
    rows = database.tables[table]
    if "account_id" not in rows.columns:
        return rows.mutate(a=ibis.literal(0, type="int64"))
    numbers = queries.table(accounts)
    return rows.join(numbers, "account_id").select(*[rows[c] for c in rows.columns], numbers.a)


class Fetched:
    """Frames of some accounts at the dates of a calendar.

    Parameters
    ----------
    queries
        Where they are asked of.
    database
        The company's tables.
    calendar
        The dates.
    counting
        The accounts that are asked about, and what is counted of them.
    within
        Which of them these frames are of.
    wants
        What will be asked of each table.
    name
        The prefix of what is stored for them.
    """

    def __init__(
        self,
        queries: Queries,
        database: Database,
        calendar: Calendar,
        counting: Counting,
        within: Within,
        wants: Mapping[str, Wanted],
        name: str,
    ) -> None:
        self._accounts = f"{name}_accounts"
        self._queries, self._database, self._calendar, self._wants = queries, database, calendar, wants
        self._counting, self._within = counting, within
        self._frames: dict[str, Frame] = {}
        queries.put(self._accounts, numbered_accounts(counting.accounts.slice(within.first, within.size)))

    def frame(self, table: str) -> Frame:
        """Return a table's rows, or their counts, fetched at the first call."""
        if table not in self._frames:
            self._frames[table] = self._fetch(table)
        return self._frames[table]

    def account_known_from(self) -> Floats:
        """Shape (accounts,): when each account itself became known; NaN: never."""
        rows = self.frame(ACCOUNTS)
        assert isinstance(rows, RowFrame)  # accounts are never counted
        return smallest(rows.account, rows.known_from, self._within.size)

    def _fetch(self, table: str) -> Frame:
        asked = self._wants[table].asked
        if self._counting.worth(table, self._within.size):
            before_known = self._calendar.below(self.account_known_from())
            return CondensedFrame(self._counting.table(table), self._within, before_known)

        def rows() -> ir.Table:
            return selected(rows_of(self._queries, self._database, table, self._accounts), asked)

        fetched = self._queries.fetch((self._accounts, table, asked), rows)
        of_accounts = table != ACCOUNTS and "account_id" in self._database.tables[table].columns
        return table_rows(fetched, asked).frame(self._calendar, self.account_known_from if of_accounts else None)
