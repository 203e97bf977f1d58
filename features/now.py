"""One account, now: the same vector as in a snapshot, of rows that a prepared query fetches.

What one account needs takes a batch's queries hundreds of milliseconds, most of it for compiling and planning them
and for tables that they make. So one query over all tables, in which only the account's id is open, is made ready
once (:meth:`~features.sources.engines.Engine.prepare`); no date stands in it, since rows tell themselves when they
count. From the rows on, the way is that of every pass: the same scope, quantities and kinds, with one account and
one date. What everyone has in common (the company's median, what a plan's accounts use) is worked out once a day.
"""

from __future__ import annotations

import datetime as dt
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.measures import service
from features.measures.calendar import Calendar, Floats, Masks
from features.measures.coverage import Coverage
from features.measures.engine import Asked, Pass, Readings
from features.measures.feeds import FeedRows, covered_by, day_after, fetched_feeds
from features.measures.fetching import ACCOUNTS
from features.measures.frames import Frame, RowFrame, Texts, told
from features.measures.groups import smallest
from features.measures.letters import KNOWN, as_text
from features.measures.queries import Queries
from features.measures.rows import MOMENTS, TableRows, ranks, selected, table_rows
from features.measures.rows import Asked as Columns
from features.measures.scope import Scope
from features.snapshots import assemble, refuse_other_definitions
from features.vectors import FeatureContract, Vectors

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.sources import Database

FEEDS = " feeds"  # no table's name: what is covered, not the company's own rows
KEPT_DAYS = 64
FILTERS_A_COLUMN = 62
_PART = itemgetter(1)
_FIRST = np.zeros(1, dtype=np.int64)
_NO_KEYS = np.zeros(0, dtype=np.int64)
Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Now:
    """Vectors of single accounts of one company. Safe to ask from many threads; nothing is compiled for it.

    Parameters
    ----------
    database
        The company's tables, which stay open as long as this.
    catalogue
        The definitions.
    turn
        Guards the database's own connection, which is asked when a day is asked about for the first time.
    often
        Whether many accounts will be asked about; if not, only one thread may ask.
    """

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
        *,
        often: bool = True,
    ) -> None:
        self._catalogue, self._turn = catalogue, turn
        self._asked = Asked(database, catalogue.definitions)
        wants = {table: want.asked for table, want in self._asked.wants.items()}
        of_account = {table: asked for table, asked in wants.items() if "account_id" in _columns(database, table)}
        self._layout = _Layout(database, of_account)
        with turn():
            queries = Queries(database)
            self._shared = {
                table: table_rows(queries.fetch(("now", table, asked), _all_rows(database, table, asked)), asked)
                for table, asked in wants.items()
                if table not in of_account
            }
            self._feeds = fetched_feeds(queries, database.feeds, pa.array([], pa.string()))
            self.fetch = database.engine.prepare(
                str(database.engine.ibis.compile(self._layout.query())), often=often
            )
        self._days: _Days[dt.date, Scope] = _Days()
        self._covered: _Days[tuple[float, bytes], Coverage] = _Days()
        self.account("", database.observed_until).readings  # noqa: B018 - works out what everyone has on that day

    def vector(self, account_id: str, as_of: dt.datetime, contract: FeatureContract) -> Vectors:
        """Return one account's vector: that of :func:`~features.snapshots.build_vectors`, bit for bit."""
        return self.account(account_id, as_of).vector(contract)

    def account(self, account_id: str, as_of: dt.datetime) -> Account:
        """Return an account as known at `as_of`; of one that no table knows, nothing is."""
        calendar = Calendar([as_of.replace(microsecond=0)])
        rows = self._layout.arranged(self.fetch(account_id))
        frames = _Frames(calendar, {**self._shared, **rows}, frozenset(rows))
        scope = Scope(
            calendar,
            1,
            self._asked.definitions.lapse_grace_days,
            self._asked.connected.tables,
            frames,
            lambda: self._everyone(calendar),
            self._asked.together,
        )
        work = Pass(self._asked, scope, _FIRST, _FIRST, lambda: self._coverage(calendar, rows[FEEDS]))
        return Account(account_id, self._catalogue, scope, work)

    def _everyone(self, calendar: Calendar) -> Scope:
        """Return what everyone has in common on the calendar's day."""

        def work_out() -> Scope:
            with self._turn():
                return self._asked.everyone(calendar)

        return self._days.get(calendar.dates[0].date(), work_out)

    def _coverage(self, calendar: Calendar, own: TableRows) -> Coverage:
        """Return what is covered; most accounts have no feeds of their own, and share what they have."""
        tables = self._asked.connected.tables
        if not len(own.account):
            key = calendar.day[0], self._feeds.known(calendar).tobytes()
            return self._covered.get(key, lambda: covered_by(self._feeds, tables, calendar, _FIRST, _FIRST))
        return covered_by(_with(self._feeds, own), tables, calendar, _FIRST, _FIRST)


@dataclass(frozen=True)
class Account:
    """One account at one moment."""

    account_id: str
    catalogue: Catalogue
    scope: Scope
    work: Pass

    @property
    def in_service(self) -> bool:
        """Whether it is one of :func:`~features.snapshots.accounts_in_force`."""
        return bool(service.in_service(self.scope)[0])

    @cached_property
    def readings(self) -> Readings:
        """What the definitions read."""
        return self.work.readings()

    def vector(self, contract: FeatureContract) -> Vectors:
        """Return its vector.

        Raises
        ------
        ContractMismatchError
            The contract was made for other definitions.
        """
        refuse_other_definitions(contract, self.catalogue)
        values = np.full((1, len(contract.columns)), np.nan)
        letters = np.full(values.shape, KNOWN)
        assemble(self.readings, contract, values, letters)
        as_of = np.array([self.scope.calendar.dates[0]], dtype="datetime64[s]")
        return Vectors(contract, np.array([self.account_id], dtype=object), as_of, values, as_text(letters))


def keep_what_is_loaded() -> None:
    """Have Python's garbage collector leave alone all that is in memory now; for a process that answers for long.

    Else it looks at everything every few thousand rows that are fetched: 20 ms and more, in one request of fifty.
    """
    gc.unfreeze()
    gc.collect()  # what was loaded before
    gc.freeze()


class _Frames:
    """Frames of one account's rows, arranged when a quantity first asks for them."""

    def __init__(self, calendar: Calendar, rows: Mapping[str, TableRows], of_account: frozenset[str]) -> None:
        self._calendar, self._rows, self._of_account = calendar, rows, of_account
        self._frames: dict[str, RowFrame] = {}

    def frame(self, table: str) -> Frame:
        found = self._frames.get(table)
        if found is None:
            later = table in self._of_account and table != ACCOUNTS
            rows = self._rows[table]
            found = self._frames[table] = rows.frame(self._calendar, self._account_known if later else None)
        return found

    @cached_property
    def _account_known(self) -> Masks:
        rows = self._rows[ACCOUNTS]
        return ~self._calendar.below(smallest(rows.account, rows.moments["known_from"], 1))


@dataclass(frozen=True)
class _Part:
    """One table's rows in the query: which columns of :func:`selected` lie in the query's."""

    table: str
    rows: ir.Table
    asked: Columns
    numbers: tuple[str, ...]
    texts: tuple[str, ...]

    @cached_property
    def moments(self) -> list[tuple[str, int]]:
        """Those of :data:`~features.measures.rows.MOMENTS` that the table has, and their places in `numbers`."""
        return [(name, self.numbers.index(name)) for name in MOMENTS if name in self.numbers]

    @cached_property
    def columns(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """The columns that were asked for, with their places in `numbers`, and in `texts`."""
        named = [(name, f"c{place}") for place, name in enumerate(self.asked.columns)]
        numbers = [(name, self.numbers.index(column)) for name, column in named if column in self.numbers]
        return numbers, [(name, self.texts.index(column)) for name, column in named if column in self.texts]

    @cached_property
    def filters(self) -> list[tuple[str, int, int]]:
        """Each filter's text, the column that holds it, and its bit."""
        places = enumerate(self.asked.filters)
        return [(told(one), place // FILTERS_A_COLUMN, 1 << place % FILTERS_A_COLUMN) for place, one in places]

    @cached_property
    def masks(self) -> int:
        """How many columns the filters take."""
        return -(-len(self.asked.filters) // FILTERS_A_COLUMN)

    def in_columns(self, place: int, masks: int, numbers: int, texts: int) -> ir.Table:
        """Put the rows into columns that all parts have.

        Of one type in all parts, also where there is nothing (of no text, PostgreSQL makes a varchar): else its
        plan has a step for each union of two, and most rows go through five of them.
        """
        columns: dict[str, ir.Value] = {"account_id": self.rows.a, "part": ibis.literal(place, type="int32")}
        for number in range(masks):
            filters = [f"f{n}" for n in range(len(self.asked.filters))][FILTERS_A_COLUMN * number :]
            bits = [self.rows[name].cast("int64") * 2**bit for bit, name in enumerate(filters[:FILTERS_A_COLUMN])]
            empty = ibis.literal(None, type="int64")
            columns[f"m{number}"] = sum(bits, start=ibis.literal(0, type="int64")) if bits else empty
        for number in range(numbers):
            there = number < len(self.numbers)
            empty = ibis.literal(None, type="float64")
            columns[f"n{number}"] = _as_number(self.rows[self.numbers[number]]) if there else empty
        for number in range(texts):
            there = number < len(self.texts)
            columns[f"s{number}"] = self.rows[self.texts[number]] if there else ibis.literal("", type="string")
        return self.rows.select(**columns)


class _Layout:
    """One query over all tables that have accounts, and how to read its rows."""

    def __init__(self, database: Database, wants: Mapping[str, Columns]) -> None:
        parts = [_part(table, database.tables[table], asked) for table, asked in wants.items()]
        of_feeds = Columns(("table", "covered_from", "covered_to"), (), ordered=False)
        self._parts = [*parts, _part(FEEDS, database.feeds, of_feeds)]
        self._masks = max(part.masks for part in self._parts)
        self._numbers = max(len(part.numbers) for part in self._parts)
        self._texts = max(len(part.texts) for part in self._parts)
        self._no_rows = {part.table: self._rows(part, ()) for part in self._parts}

    def query(self) -> ir.Table:
        """Return the query; whoever runs it chooses the account."""
        size = self._masks, self._numbers, self._texts
        return ibis.union(*(part.in_columns(place, *size) for place, part in enumerate(self._parts)))

    def arranged(self, fetched: Sequence[tuple[Any, ...]]) -> dict[str, TableRows]:
        """Return the fetched rows by table."""
        by_part: list[list[tuple[Any, ...]]] = [[] for _ in self._parts]
        for place, rows in groupby(fetched, _PART):  # mostly they stand together already
            by_part[place].extend(rows)
        return {
            part.table: self._rows(part, rows) if rows else self._no_rows[part.table]
            for part, rows in zip(self._parts, by_part, strict=True)
        }

    def _rows(self, part: _Part, fetched: Sequence[tuple[Any, ...]]) -> TableRows:
        first, last = 2 + self._masks, 2 + self._masks + self._numbers
        columns = list(zip(*fetched, strict=True)) if fetched else [()] * (last + self._texts)
        values = np.array(columns[first : first + len(part.numbers)], dtype=np.float64)  # None is NaN
        masks = [np.array(column, dtype=np.int64) for column in columns[2 : 2 + part.masks]]
        of_numbers, of_texts = part.columns
        return TableRows(
            np.zeros(len(fetched), dtype=np.int64),
            {name: values[place] for name, place in part.moments},
            {name: (masks[column] & bit) != 0 for name, column, bit in part.filters},
            {name: values[place] for name, place in of_numbers},
            {name: _coded(columns[last + place]) for name, place in of_texts},
            ranks(columns[last + part.texts.index("row_key")]) if part.asked.ordered else _NO_KEYS,
        )


def _part(table: str, rows: ir.Table, asked: Columns) -> _Part:
    columns = selected(rows.mutate(a=rows.account_id), asked)
    kinds = columns.schema()
    names = [name for name in columns.columns if name != "a" and not (name[0] == "f" and name[1:].isdigit())]
    texts = tuple(name for name in names if kinds[name].is_string())
    return _Part(table, columns, asked, tuple(name for name in names if name not in texts), texts)


def _as_number(column: ir.Value) -> ir.Value:
    """Numbers, days since 1970, and yes/no, as :func:`~features.measures.rows.floats` reads them."""
    if column.type().is_date():
        column = column.epoch_days()
    if column.type().is_boolean():
        column = column.cast("int32")
    return column.cast("float64")


def _coded(column: Sequence[str | None]) -> Texts:
    place: dict[str, int] = {}
    codes = [-1 if text is None else place.setdefault(text, len(place)) for text in column]
    return Texts(np.array(codes, dtype=np.int64), tuple(place))


def _columns(database: Database, table: str) -> Sequence[str]:
    return tuple(database.tables[table].columns)


def _all_rows(database: Database, table: str, asked: Columns) -> Callable[[], ir.Table]:
    rows = database.tables[table]
    return lambda: selected(rows.mutate(a=ibis.literal(0, type="int64")), asked)


def _with(feeds: FeedRows, own: TableRows) -> FeedRows:
    """Join the feeds of all accounts and those of one."""
    table = own.texts["table"]
    names = tuple(dict.fromkeys([*feeds.table.values, *table.values]))
    own_codes = np.array([names.index(name) for name in table.values], dtype=np.int64)[table.codes]

    def both(shared: Floats, mine: Floats) -> Floats:
        return np.concatenate([shared, mine])

    return FeedRows(
        np.concatenate([feeds.account, own.account]),
        Texts(np.concatenate([feeds.table.codes, own_codes]), names),
        both(feeds.first, own.numbers["covered_from"]),
        both(feeds.after, day_after(own.numbers["covered_to"])),
        both(feeds.known_from, own.moments["known_from"]),
        both(feeds.known_until, own.moments["known_until"]),
    )


class _Days(Generic[Key, Made]):
    """What was made for the days last asked about; each is made once, also when many ask at the same moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[Key, Made] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Made]) -> Made:
        found = self._made.get(key)
        if found is not None:
            return found
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            while len(self._made) > KEPT_DAYS:
                self._made.popitem(last=False)
            return self._made[key]
