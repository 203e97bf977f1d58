"""The rows of a pass, fetched at once, one query a table, and arranged when first asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.cores import AT_ONCE
from features.measures.calendar import Calendar, Masks
from features.measures.condensed import CondensedFrame
from features.measures.frames import DAY, Demand, Filters, Frame, RowFrame, ValuesFound
from features.measures.groups import smallest
from features.measures.queries import Queries
from features.measures.rows import Asked, selected, table_rows
from features.measures.scope import CountsWanted, RowsWanted

if TYPE_CHECKING:
    from features.sources import Database

ACCOUNTS = "accounts"
CHOSEN = "chosen_accounts"
# Fewer rows are looked at one by one in less time than it takes to put together those that are alike.
ROWS_WORTH_CONDENSING = 20_000
BYTES_A_ROW_AT_WORK = 800  # of one table, about, while a pass works on it


@dataclass(frozen=True)
class Wanted:
    """All that is wanted of one table; `row_by_row`: some quantity looks at the rows themselves."""

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
    """Frames of some accounts at the dates of a calendar; the rows are fetched at once.

    Parameters
    ----------
    queries
        Where they are asked of.
    database
        The company's tables.
    calendar
        The dates.
    accounts
        Their ids, in order; an account's number is its place.
    wants
        What will be asked of each table.
    of_everyone
        For reference values of all accounts: of tables that are not looked at row by row only the values that
        there are, found some accounts at a time, so that memory does not grow with the company.
    """

    def __init__(
        self,
        queries: Queries,
        database: Database,
        calendar: Calendar,
        accounts: pa.Array,
        wants: Mapping[str, Wanted],
        *,
        of_everyone: bool = False,
    ) -> None:
        self._queries, self._database, self._wants = queries, database, wants
        self._calendar, self._size = calendar, len(accounts)
        apart = [table for table, want in wants.items() if of_everyone and not want.row_by_row]
        self._frames: dict[str, Frame] = {table: self._values(table, accounts) for table in apart}
        queries.put(CHOSEN, numbered_accounts(accounts))
        with database.engine.among(accounts[0].as_py(), accounts[-1].as_py()) if accounts else nullcontext():
            self._rows = {table: self._fetch(table, wants[table].asked) for table in wants if table not in apart}

    def _values(self, table: str, accounts: pa.Array) -> ValuesFound:
        """Find the values of a table, some accounts at a time."""
        wants = {ACCOUNTS: self._wants[ACCOUNTS], table: self._wants[table]}
        size = max(1, -(-len(accounts) // parts(self._database, wants, len(accounts))))
        found = ValuesFound()
        for first in range(0, max(1, len(accounts)), size):
            some = Fetched(self._queries, self._database, self._calendar, accounts.slice(first, size), wants)
            found.add(first, some.frame(table), wants[table].demands)
        return found

    def _fetch(self, table: str, asked: Asked) -> pa.Table:
        def rows() -> ir.Table:
            return selected(rows_of(self._queries, self._database, table, CHOSEN), asked)

        return self._queries.fetch((CHOSEN, table, asked), rows)

    def frame(self, table: str) -> Frame:
        """Return a table's rows, arranged at the first call."""
        if table not in self._frames:
            self._frames[table] = self._arranged(table)
        return self._frames[table]

    def _arranged(self, table: str) -> Frame:
        want, fetched = self._wants[table], self._rows.pop(table)
        of_accounts = table != ACCOUNTS and "account_id" in self._database.tables[table].columns
        frame = table_rows(fetched, want.asked).frame(self._calendar, self._account_known if of_accounts else None)
        if want.row_by_row or fetched.num_rows <= ROWS_WORTH_CONDENSING:
            return frame
        return CondensedFrame(frame, want.demands)

    @cached_property
    def _account_known(self) -> Masks:
        """Shape (accounts,): the dates at which each account itself is known."""
        rows = self.frame(ACCOUNTS)
        assert isinstance(rows, RowFrame)  # accounts are looked at row by row
        return ~self._calendar.below(smallest(rows.account, rows.known_from, self._size))


def parts(database: Database, wants: Mapping[str, Wanted], accounts: int) -> int:
    """Return into how many parts so many accounts are cut for a part to have few enough rows of each table."""
    share = accounts / max(database.sizes[ACCOUNTS], 1)
    most = max(database.sources.config.connection.memory_limit_bytes // (BYTES_A_ROW_AT_WORK * AT_ONCE), 1)
    return max([1, *(math.ceil(share * database.sizes[table] / most) for table in wants)])
