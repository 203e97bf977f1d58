"""The rows of some accounts, fetched at once, one query a table, and arranged for a pass when first asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.cores import AT_ONCE
from features.measures.calendar import Calendar, Masks
from features.measures.condensed import CondensedFrame
from features.measures.frames import DAY, Demand, Filters, Frame, RowFrame, ValuesFound
from features.measures.groups import smallest
from features.measures.queries import Queries
from features.measures.rows import Asked, TableRows, selected, table_rows
from features.measures.scope import CountsWanted, RowsWanted

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.sources import Database

ACCOUNTS = "accounts"
CHOSEN = "chosen_accounts"
# Fewer rows are looked at one by one in less time than it takes to put together those that are alike.
ROWS_WORTH_CONDENSING = 20_000
BYTES_A_ROW_AT_WORK = 800  # of one table, about, while a pass works on it
BYTES_A_ROW_FETCHED = 350  # while queries and arrays hold it, and the lot before is still in use


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


def _with_numbers(queries: Queries, rows: ir.Table, accounts: str) -> ir.Table:
    """Return a table's rows with their account's number ``a``, as Ibis sees them."""
    import ibis

    if "account_id" not in rows.columns:
        return rows.mutate(a=ibis.literal(0, type="int64"))
    numbers = queries.table(accounts)
    return rows.join(numbers, "account_id").select(*[rows[c] for c in rows.columns], numbers.a)


@dataclass(frozen=True)
class Fetched:
    """Rows of some accounts, by table; a pass takes those of its own.

    Attributes
    ----------
    size
        How many accounts.
    rows
        What was fetched, each account by its number.
    wants
        What will be asked of each table.
    shared
        The tables whose rows are of no account in particular.
    """

    size: int
    rows: Mapping[str, TableRows]
    wants: Mapping[str, Wanted]
    shared: frozenset[str]

    def among(self, first: int, size: int) -> Fetched:
        """Return the rows of so many accounts from the `first` on."""
        size = min(size, self.size - first)
        if size == self.size:
            return self
        own = {
            table: rows if table in self.shared else rows.among(first, size) for table, rows in self.rows.items()
        }
        return replace(self, size=size, rows=own)

    def frames(self, calendar: Calendar) -> Arranged:
        """Return the rows as they are asked at the dates of a calendar."""
        return Arranged(calendar, self)


class Arranged:
    """Frames of fetched rows, each arranged when first asked for.

    Parameters
    ----------
    calendar
        The dates.
    fetched
        The rows.
    """

    def __init__(self, calendar: Calendar, fetched: Fetched) -> None:
        self._calendar, self._fetched = calendar, fetched
        self._rows = dict(fetched.rows)
        self._frames: dict[str, Frame] = {}

    def frame(self, table: str) -> Frame:
        """Return a table's rows, arranged at the first call."""
        if table not in self._frames:
            self._frames[table] = self._arranged(table)
        return self._frames[table]

    def _arranged(self, table: str) -> Frame:
        want, rows = self._fetched.wants[table], self._rows.pop(table)
        alone = table == ACCOUNTS or table in self._fetched.shared
        frame = rows.frame(self._calendar, None if alone else self._account_known)
        if want.row_by_row or len(rows.account) <= ROWS_WORTH_CONDENSING:
            return frame
        return CondensedFrame(frame, want.demands)

    @cached_property
    def _account_known(self) -> Masks:
        """Shape (accounts,): the dates at which each account itself is known."""
        rows = self.frame(ACCOUNTS)
        assert isinstance(rows, RowFrame)  # accounts are looked at row by row
        return ~self._calendar.below(smallest(rows.account, rows.known_from, self._fetched.size))


class OfEveryone:
    """Frames for reference values of all accounts.

    Of tables that are not looked at row by row they have only the values that there are, found some accounts at a
    time, so that memory does not grow with the company.

    Parameters
    ----------
    queries, database, accounts, wants
        As of :func:`fetch`.
    calendar
        The dates.
    """

    def __init__(
        self,
        queries: Queries,
        database: Database,
        calendar: Calendar,
        accounts: pa.Array,
        wants: Mapping[str, Wanted],
    ) -> None:
        self._values: dict[str, Frame] = {
            table: _values(queries, database, calendar, accounts, {ACCOUNTS: wants[ACCOUNTS], table: want})
            for table, want in wants.items()
            if not want.row_by_row
        }
        row_by_row = {table: want for table, want in wants.items() if want.row_by_row}
        self._rows = fetch(queries, database, accounts, row_by_row)().frames(calendar)

    def frame(self, table: str) -> Frame:
        """Return a table's rows, or its values."""
        return self._values.get(table) or self._rows.frame(table)


def _values(
    queries: Queries,
    database: Database,
    calendar: Calendar,
    accounts: pa.Array,
    wants: Mapping[str, Wanted],
) -> ValuesFound:
    """Find the values of the one table beside accounts, some accounts at a time."""
    table = next(name for name in wants if name != ACCOUNTS)
    size = max(1, -(-len(accounts) // parts(database, wants, len(accounts), BYTES_A_ROW_AT_WORK)))
    found = ValuesFound()
    for first in range(0, max(1, len(accounts)), size):
        some = fetch(queries, database, accounts.slice(first, size), wants)()
        found.add(first, some.frames(calendar).frame(table), wants[table].demands)
    return found


def fetch(
    queries: Queries, database: Database, accounts: pa.Array, wants: Mapping[str, Wanted]
) -> Callable[[], Fetched]:
    """Fetch the rows of some accounts, one query a table; return what then reads them, without the engine.

    Parameters
    ----------
    queries
        Where they are asked of.
    database
        The company's tables.
    accounts
        Their ids, in order; an account's number is its place.
    wants
        What will be asked of each table.
    """

    def rows(table: str, asked: Asked) -> pa.Table:
        stored, dictionaries = coded[table].rows, coded[table].dictionaries
        asked = asked.in_codes(dictionaries)
        key = (
            CHOSEN,
            table,
            asked,
            *dictionaries,
        )  # what is asked may name no column that is codes in one database alone
        return queries.fetch(key, lambda: selected(_with_numbers(queries, stored, CHOSEN), asked))

    coded = {table: database.in_codes(table) for table in wants}
    queries.put(CHOSEN, numbered_accounts(accounts))
    with database.engine.among(accounts[0].as_py(), accounts[-1].as_py()) if accounts else nullcontext():
        fetched = {table: rows(table, want.asked) for table, want in wants.items()}
    shared = frozenset(table for table in wants if "account_id" not in database.tables[table].columns)

    def read() -> Fetched:
        # One by one: what was fetched takes as much memory as what is made of it.
        read_rows = {
            table: table_rows(fetched.pop(table), want.asked, coded[table].dictionaries)
            for table, want in wants.items()
        }
        return Fetched(len(accounts), read_rows, wants, shared)

    return read


def parts(database: Database, wants: Mapping[str, Wanted], accounts: int, bytes_a_row: int) -> int:
    """Return into how many parts so many accounts are cut for memory to hold the rows of a part for each core."""
    share = accounts / max(database.sizes[ACCOUNTS], 1)
    most = max(database.sources.config.connection.memory_limit_bytes // (bytes_a_row * AT_ONCE), 1)
    return max([1, *(math.ceil(share * database.sizes[table] / most) for table in wants)])
