"""Quantities of any table: counts, last times, durations, answers, ratings.

A quantity is what a measure asks of the tables, as a frozen value, so that two signals which need the same number
ask for it once. Those of contacts stand in :mod:`~features.measures.contacts`, those of contracts in
:mod:`~features.measures.contracts`. Times are seconds since 1970, days are days since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from typing import Literal

import numpy as np

from features.catalogue.schema import KnownSince
from features.measures.calendar import SECONDS_A_DAY, Floats, Ints, Masks
from features.measures.contacts import CONTACTS, role_holders
from features.measures.frames import DAY, Demand, RowFrame, Spec
from features.measures.groups import (
    as_places,
    firsts,
    followers,
    largest,
    last_in_group,
    medians,
    numbered,
    ordered_by,
    smallest,
    sums,
    where_so,
)
from features.measures.scope import CountsWanted, OfAggregate, OfRows, RowsWanted, Scope
from features.measures.service import AGREEMENTS, service_runs

DurationNumber = Literal["median", "count", "company_median"]
AnswersNumber = Literal["mean", "change", "low", "low_in_role"]


@dataclass(frozen=True, eq=False)
class Total(OfAggregate):
    """Rows, distinct combinations or a sum; with `given_only`, how many values a mean has."""

    given_only: bool = False

    @cached_property
    def demand(self) -> Demand:
        aggregate = self.aggregate
        of = {"mean": "given" if self.given_only else "sum"}.get(aggregate.of, aggregate.of)
        return Demand(
            of,  # type: ignore[arg-type]  # one of Demand's
            aggregate.table,
            aggregate.any_of,
            aggregate.columns,
            aggregate.window_days,
            aggregate.until_days_ago,
        )

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        since = self.aggregate.by_known_since
        if since is None:
            return (CountsWanted(self.demand),)
        columns = tuple(c for c in (*self.aggregate.columns, since.column) if c != DAY)
        return (RowsWanted(self.table, (self.aggregate.any_of,), columns),)

    def numbers(self, scope: Scope) -> Floats:
        """Count or add up the rows of each mask, and expand the masks to dates."""
        since = self.aggregate.by_known_since
        if since is None:
            return scope.total(self.demand)
        rows = scope.rows(self.table)
        if not np.count_nonzero(rows.matching(self.chosen)):
            return np.zeros(scope.cells)
        return scope.added(settled(rows, since).counted(self.demand))


def settled(rows: RowFrame, since: KnownSince | None) -> RowFrame:
    """Return the rows with the dates at which each is by somebody known long enough; all, without `since`."""
    if since is None:
        return rows
    return replace(rows, known=rows.known & _seen_long_ago(rows, since.column, since.days))


def _seen_long_ago(rows: RowFrame, column: str, days_ago: int) -> Masks:
    """For each row: the dates at which a row, older than `days_ago`, by the same somebody is known."""
    old = rows.known & ~rows.calendar.below(rows.occurred + (days_ago + 1) * SECONDS_A_DAY)
    codes = rows.codes(column)
    who = as_places([rows.account, codes + 1])
    dates = np.zeros(int(who.max(initial=-1)) + 1, dtype=old.dtype)
    np.bitwise_or.at(dates, who, old)
    return where_so(dates[who], codes >= 0)


@dataclass(frozen=True, eq=False)
class Nameless(OfAggregate):
    """Rows of an aggregate that name nobody in its first column: sums by day, or events without a person."""

    @cached_property
    def demand(self) -> Demand:
        aggregate = self.aggregate
        return Demand(
            "nameless",
            aggregate.table,
            aggregate.any_of,
            aggregate.columns[:1],
            aggregate.window_days,
            aggregate.until_days_ago,
        )

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (CountsWanted(self.demand),)

    def numbers(self, scope: Scope) -> Floats:
        """Count them."""
        return scope.total(self.demand)


@dataclass(frozen=True, eq=False)
class ServiceWindow(OfAggregate):
    """A distinct count over days `from_day` to `to_day` of the account's service (day 1 is its start)."""

    from_day: int
    to_day: int
    nameless: bool = False

    @cached_property
    def demand(self) -> Demand:
        columns = self.aggregate.columns
        return Demand(
            "served",
            self.table,
            self.aggregate.any_of,
            columns[:1] if self.nameless else columns,
            service_days=(self.from_day, self.to_day),
            unnamed=self.nameless,
        )

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (CountsWanted(self.demand), AGREEMENTS)

    def numbers(self, scope: Scope) -> Floats:
        """An account has few service starts: count once for each, and take the one in force on the date."""
        starts, at = service_runs(scope)
        counted, start = scope.frame(self.table).served(self.demand, starts)
        rows, cells = scope.expanded(counted.account, counted.mask & at[start])
        return sums(cells, None if counted.amount is None else counted.amount[rows], scope.cells)


@dataclass(frozen=True, eq=False)
class LastTime(OfRows):
    """When the last of the rows occurred, in seconds."""

    @cached_property
    def demand(self) -> Demand:
        return Demand("last", self.rows.table, self.rows.any_of)

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (CountsWanted(self.demand),)

    def numbers(self, scope: Scope) -> Floats:
        """The latest so far, date by date."""
        counted = scope.frame(self.table).counted(self.demand)
        assert counted.amount is not None  # the demand asks for moments
        return latest_so_far(scope, counted.account, counted.mask, counted.amount)


def latest_so_far(scope: Scope, account: Ints, mask: Masks, moment: Floats) -> Floats:
    """Shape (cells,): the latest moment of rows known at each date, NaN without any.

    A row that stays known counts from its first date on, so that only a running maximum is left to take.
    """
    if scope.calendar.one:
        rows, cells = scope.expanded(account, mask)
        return largest(cells, moment[rows], scope.cells)
    lasting = (mask | (mask - 1)) == scope.calendar.all  # all dates from the lowest on
    lasting &= mask != 0
    first = np.bitwise_count((mask & -mask) - 1).astype(np.int64)
    some, others = lasting.nonzero()[0], (~lasting).nonzero()[0]
    begins = account[some] * len(scope.calendar) + first[some]
    begun = largest(begins, moment[some], scope.cells).reshape(scope.accounts, -1)
    rows, cells = scope.expanded(account[others], mask[others])
    passing = largest(cells, moment[others][rows], scope.cells)
    return np.fmax(np.fmax.accumulate(begun, axis=1).ravel(), passing)


@dataclass(frozen=True, eq=False)
class LastDebut(OfRows):
    """When a value of `column` was seen for the first time most recently, in seconds."""

    column: str

    @cached_property
    def demand(self) -> Demand:
        return Demand("debuts", self.rows.table, self.rows.any_of, (self.column,))

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (CountsWanted(self.demand),)

    def numbers(self, scope: Scope) -> Floats:
        """The first time of each value, as known on each date; then the latest of those.

        A row known from its own moment on settles the first time unless a row known later lies before it.
        """
        seen = scope.frame(self.table).valued(self.demand)
        who = as_places([seen.account, seen.code])
        size = int(who.max(initial=-1)) + 1
        if scope.calendar.one:  # every row that is seen counts
            account = np.zeros(size, dtype=np.int64)
            account[who] = seen.account
            return largest(account, smallest(who, seen.occurred, size), scope.cells)
        timely = seen.mask == scope.calendar.all & ~scope.calendar.below(seen.occurred)
        settled = smallest(who[timely], seen.occurred[timely], size)
        earlier = ~timely & ~(seen.occurred >= settled[who])  # NaN: only such rows are there
        disputed = np.zeros(size, dtype=bool)
        disputed[who[earlier]] = True
        plain = timely & (seen.occurred == settled[who])
        lasting = plain & ~disputed[who]
        answer = latest_so_far(scope, seen.account[lasting], seen.mask[lasting], seen.occurred[lasting])
        some = ((plain | earlier) & disputed[who]).nonzero()[0]
        rows, cells = scope.expanded(seen.account[some], seen.mask[some])
        rows = some[rows]
        order = np.lexsort((seen.occurred[rows], who[rows], cells))
        debut = order[firsts(cells[order] * size + who[rows][order])]
        return np.fmax(answer, largest(cells[debut], seen.occurred[rows[debut]], scope.cells))


@dataclass(frozen=True, eq=False)
class OpenAt(OfRows):
    """Rows open at `as_of`, or ended in the last `ended_within_days`; of some age at least."""

    ended: str
    ended_within_days: int = 0
    older_than_days: int | None = None

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (RowsWanted(self.table, (self.rows.any_of,), (self.ended,)),)

    def numbers(self, scope: Scope) -> Floats:
        """An open row counts until its end (and a while after) for every date from when it is known."""
        rows = scope.rows(self.table)
        end = rows.numbers[self.ended] + self.ended_within_days * SECONDS_A_DAY
        mask = rows.known & scope.calendar.below(end)
        if self.older_than_days is not None:  # ages are whole days
            mask &= ~scope.calendar.below(rows.occurred + (self.older_than_days + 1) * SECONDS_A_DAY)
        chosen = rows.matching(self.chosen)
        _, cells = scope.expanded(rows.account[chosen], mask[chosen])
        return sums(cells, None, scope.cells)


@dataclass(frozen=True, eq=False)
class Duration(OfRows):
    """Median days from beginning to end of rows that ended in the window or are open; or how many they are."""

    ended: str
    window_days: int
    number: DurationNumber

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        of_everyone = self.number == "company_median"
        return (RowsWanted(self.table, (self.rows.any_of,), (self.ended,), of_everyone=of_everyone),)

    def numbers(self, scope: Scope) -> Floats:
        """Open rows have the age that they have reached on the date."""
        if self.number == "company_median":
            return np.tile(scope.reference(self), scope.accounts)
        shared = "lasted", self.chosen, self.table, self.window_days
        cells, lasted = scope.kept(shared, self._lasted)
        return medians(cells, lasted, scope.cells) if self.number == "median" else sums(cells, None, scope.cells)

    def of_everyone(self, everyone: Scope) -> Floats:
        """Shape (dates,): the median of all accounts' rows."""
        cells, lasted = self._lasted(everyone)
        dates = len(everyone.calendar)
        return medians(cells % dates, lasted, dates)

    def _lasted(self, scope: Scope) -> tuple[Ints, Floats]:
        rows = scope.rows(self.table)
        end = rows.numbers[self.ended]
        mask = rows.known & scope.calendar.below(end + self.window_days * SECONDS_A_DAY)
        chosen = (rows.matching(self.chosen) & (mask != 0)).nonzero()[0]
        row, cells = scope.expanded(rows.account[chosen], mask[chosen])
        row = chosen[row]
        reached = np.fmin(end[row], scope.seconds[cells])
        return cells, (reached - rows.occurred[row]) / SECONDS_A_DAY


@dataclass(frozen=True, eq=False)
class Answers(OfRows):
    """The latest answers, one a respondent: their mean, the mean change, or how many are low.

    ``number``: ``mean``, ``change`` (latest less the one before, mean over those with two), ``low`` (latest at
    most `at_most`), ``low_in_role`` (those by a contact who holds one of `roles` on the date).
    """

    by: str
    column: str
    window_days: int
    number: AnswersNumber
    at_most: float = 0.0
    roles: tuple[str, ...] = ()

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        own = RowsWanted(self.table, (self.rows.any_of,), (self.by, self.column), ordered=True)
        return (own, CONTACTS) if self.number == "low_in_role" else (own,)

    def numbers(self, scope: Scope) -> Floats:
        """Of each respondent the latest, as known on each date; nameless ones are one respondent."""
        row, who, mask = scope.kept(
            ("answers", self.table, self.chosen, self.by, self.column, self.window_days), self._in_order
        )
        if not len(row):
            return np.full(scope.cells, np.nan)
        rows = scope.rows(self.table)
        answer, by = rows.numbers[self.column], rows.codes(self.by)
        if self.number == "change":
            before, after, pair, last = followers(who, mask)
            pair &= last[after]
            pair[by[row[before]] < 0] = 0  # nameless answers are no pair
            change = answer[row[after]] - answer[row[before]]
            return _means(scope, rows.account[row[after]], pair, change)
        mask, latest, account = last_in_group(who, mask), answer[row], rows.account[row]
        if self.number == "mean":
            return _means(scope, account, mask, latest)
        if self.number == "low_in_role":
            holders = role_holders(scope, self.roles)
            code_of = dict(zip(holders.contacts, range(len(holders.contacts)), strict=True))
            of_name = np.array([*map(code_of.get, rows.texts[self.by].values, repeat(-1)), -1], dtype=np.int64)
            mask &= holders.at(account, of_name[by[row]])
        _, cells = scope.expanded(account, where_so(mask, latest <= self.at_most))
        answered = scope.calendar.any_of(account, mask, scope.accounts)
        return np.where(answered, sums(cells, None, scope.cells), np.nan)

    def _in_order(self, scope: Scope) -> tuple[Ints, Ints, Masks]:
        """Rows by respondent and in order of time, the respondents, and the dates in whose window each counts."""
        rows = scope.rows(self.table)
        mask = rows.known & scope.calendar.within(rows.occurred, self.window_days)
        some = (rows.matching(self.chosen) & ~np.isnan(rows.numbers[self.column]) & (mask != 0)).nonzero()[0]
        who = numbered([rows.account[some], rows.codes(self.by)[some] + 1])
        order = oldest_first(rows, some, who)
        return some[order], who[order], mask[some[order]]


def _means(scope: Scope, account: Ints, mask: Masks, values: Floats) -> Floats:
    """Shape (cells,): the mean value of the rows that count; NaN without any."""
    order = values.argsort()  # added up in one order, whoever answered first
    row, cells = scope.expanded(account[order], mask[order])
    with np.errstate(invalid="ignore"):
        return sums(cells, values[order[row]], scope.cells) / sums(cells, None, scope.cells)  # 0 / 0: nobody


def oldest_first(rows: RowFrame, row: Ints, within: Ints) -> Ints:
    """Order rows within groups by when they occurred; ties: recorded later, then the greater key."""
    return ordered_by(within, rows.occurred[row], rows.known_from[row], rows.key_rank[row])


@dataclass(frozen=True, eq=False)
class ActiveBlocks(OfRows):
    """In how many of the `of_blocks` blocks of `block_days` that end with the last row there are rows."""

    of_blocks: int
    block_days: int

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (RowsWanted(self.table, (self.rows.any_of,)),)

    def numbers(self, scope: Scope) -> Floats:
        """The last row differs from date to date, so the rows are expanded to dates first."""
        rows = scope.rows(self.table)
        chosen = (rows.matching(self.chosen) & (rows.known != 0)).nonzero()[0]
        row, cells = scope.expanded(rows.account[chosen], rows.known[chosen])
        occurred = rows.occurred[chosen[row]]
        last = largest(cells, occurred, scope.cells)
        block = np.floor((last[cells] - occurred) / (self.block_days * SECONDS_A_DAY))
        inside = block < self.of_blocks
        seen = np.zeros((self.of_blocks, scope.cells), dtype=bool)
        seen[block[inside].astype(np.int64), cells[inside]] = True
        count: Floats = seen.sum(axis=0).astype(np.float64)
        return count


@dataclass(frozen=True, eq=False)
class Rating(Spec):
    """The latest assessment of a factor: its ``rating``, or the second when it was made (``at``)."""

    factor: str
    number: Literal["rating", "at"]

    @property
    def table(self) -> str:
        return "assessments"

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (RowsWanted("assessments", (), ("factor", "rating"), ordered=True),)

    def numbers(self, scope: Scope) -> Floats:
        """The latest by day of assessment."""
        factors = scope.rows("assessments").texts["factor"].values
        place = factors.index(self.factor) if self.factor in factors else -1
        latest: Floats = scope.kept("latest ratings", _latest_ratings)[self.number][place]
        return latest


def _latest_ratings(scope: Scope) -> dict[str, Floats]:
    """Shape (factors + 1, cells): each factor's latest ratings, and when they were made; the last has none."""
    rows = scope.rows("assessments")
    codes = rows.codes("factor")
    some = ((rows.known != 0) & (codes >= 0)).nonzero()[0]
    which = numbered([codes[some], rows.account[some]])
    order = oldest_first(rows, some, which)
    some, which = some[order], which[order]
    place, cells = scope.expanded(rows.account[some], last_in_group(which, rows.known[some]))
    row = some[place]
    ratings, moments = np.full((2, len(rows.texts["factor"].values) + 1, scope.cells), np.nan)
    ratings[codes[row], cells], moments[codes[row], cells] = rows.numbers["rating"][row], rows.occurred[row]
    return {"rating": ratings, "at": moments}


@dataclass(frozen=True, eq=False)
class CsmSince(Spec):
    """Since when, in seconds, the account has had its present CSM; absent if it never had another."""

    @property
    def table(self) -> str:
        return "accounts"

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (RowsWanted("accounts", (), ("csm",)),)

    def numbers(self, scope: Scope) -> Floats:
        """Every version known by the date counts, also those replaced since."""
        rows = scope.rows("accounts")
        named = (rows.codes("csm") >= 0).nonzero()[0]
        who, account = rows.codes("csm")[named].astype(np.float64), rows.account[named]
        several = smallest(account, who, scope.accounts) < largest(account, who, scope.accounts)
        some = several[rows.account].nonzero()[0]
        if not len(some):  # most accounts never had another one
            return np.full(scope.cells, np.nan)
        account, csm, known_from = rows.account[some], rows.codes("csm")[some], rows.known_from[some]
        ever = scope.calendar.all & ~scope.calendar.below(known_from)
        row, cells = scope.expanded(account, rows.known[some])
        present = np.full(scope.cells, -1, dtype=np.int64)
        present[cells] = csm[row]
        row, cells = scope.expanded(account, np.where(csm >= 0, ever, 0))
        now = present[cells]
        other = (now >= 0) & (csm[row] != now)
        last_other = largest(cells[other], known_from[row[other]], scope.cells)
        since = (csm[row] == now) & (known_from[row] > last_other[cells])
        return smallest(cells[since], known_from[row[since]], scope.cells)
