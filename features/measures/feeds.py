"""What the rows of ``feeds`` make of some pairs of account and date: the days of each table that are covered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.measures.calendar import Calendar, Floats, Ints, Masks
from features.measures.coverage import Coverage, spans
from features.measures.fetching import numbered_accounts
from features.measures.frames import Texts
from features.measures.groups import pairs_within
from features.measures.queries import Queries
from features.measures.rows import coded, floats, seconds

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class FeedRows:
    """Rows of ``feeds``: account (its number; -1: all accounts), table, days, and when the row is known.

    Days since 1970; `after` is the day after the last (+inf: still delivering). Moments in seconds since 1970.
    """

    account: Ints
    table: Texts
    first: Floats
    after: Floats
    known_from: Floats
    known_until: Floats

    def among(self, first: int, size: int) -> FeedRows:
        """Return those of all accounts, and of so many from the `first` on, which are numbered anew."""
        rows = np.flatnonzero((self.account < 0) | ((self.account >= first) & (self.account < first + size)))
        account = self.account[rows]
        return FeedRows(
            np.where(account < 0, account, account - first),
            self.table.take(rows),
            self.first[rows],
            self.after[rows],
            self.known_from[rows],
            self.known_until[rows],
        )

    def known(self, calendar: Calendar) -> Masks:
        """Return the dates at which each row counts."""
        return calendar.below(self.known_until) & ~calendar.below(self.known_from)


def day_after(last: Floats) -> Floats:
    """Return the day after the last one delivered; NaN, no last one: never."""
    return np.where(np.isnan(last), np.inf, last + 1)


def fetched_feeds(queries: Queries, feeds: ir.Table, accounts: pa.Array) -> FeedRows:
    """Fetch the rows of all accounts, and those of some."""
    queries.put("feed_accounts", numbered_accounts(accounts))

    def of_accounts() -> ir.Table:
        numbers = queries.table("feed_accounts")
        named = feeds.left_join(numbers, feeds.account_id == numbers.account_id)
        return named.filter(feeds.account_id.isnull() | numbers.a.notnull()).select(
            feeds.table,
            feeds.covered_from,
            feeds.covered_to,
            a=numbers.a.fill_null(-1),
            known_from=seconds(feeds.known_from),
            known_until=seconds(feeds.known_until),
        )

    rows = queries.fetch("feeds", of_accounts)
    return FeedRows(
        rows["a"].to_numpy().astype(np.int64),
        coded(rows["table"]),
        floats(rows["covered_from"]),
        day_after(floats(rows["covered_to"])),
        floats(rows["known_from"]),
        floats(rows["known_until"]),
    )


def covered_by(rows: FeedRows, tables: Iterable[str], calendar: Calendar, account: Ints, place: Ints) -> Coverage:
    """Return what is covered of each table.

    Parameters
    ----------
    rows
        Of all accounts and of those asked about.
    tables
        The connected ones.
    calendar
        The dates.
    account, place
        Shape (n,): each pair's account and date.
    """
    known = rows.known(calendar)
    pairs = _Pairs(rows, known, calendar, account, place)
    codes, names = rows.table.codes, rows.table.values
    return Coverage(
        len(account),
        {name: pairs.spans(codes == names.index(name) if name in names else None) for name in tables},
    )


@dataclass(frozen=True)
class _Pairs:
    rows: FeedRows
    known: Masks
    calendar: Calendar
    account: Ints
    place: Ints

    def spans(self, of_table: npt.NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
        rows, calendar, size = self.rows, self.calendar, len(self.account)
        if of_table is None:
            return np.full((size, 1), np.inf), np.full((size, 1), np.inf)
        for_all, for_one = (
            np.flatnonzero(of_table & (rows.account < 0)),
            np.flatnonzero(of_table & (rows.account >= 0)),
        )
        row, place = calendar.expanded(np.zeros(len(for_all), dtype=np.int64), self.known[for_all])
        row = for_all[row]
        begins, ends = spans(len(calendar), place, rows.first[row], rows.after[row], calendar.day)
        begins, ends = begins.T[:, self.place].T, ends.T[:, self.place].T
        if not len(for_one):
            return begins, ends
        row, cells = calendar.expanded(rows.account[for_one], self.known[for_one])
        found, pair = pairs_within(cells, self.account * len(calendar) + self.place)
        row = for_one[row[found]]
        own_begins, own_ends = spans(size, pair, rows.first[row], rows.after[row], calendar.day[self.place])
        own = np.bincount(pair, minlength=size) > 0
        return _chosen(own, own_begins, begins), _chosen(own, own_ends, ends)


def _chosen(own: npt.NDArray[np.bool_], mine: Floats, others: Floats) -> Floats:
    """Rows of one array or the other, as wide as the wider; a span that is not there is empty, at infinity."""
    width = max(mine.shape[1], others.shape[1])
    wide = [np.pad(m, ((0, 0), (0, width - m.shape[1])), constant_values=np.inf).T for m in (mine, others)]
    return np.where(own, *wide).T
