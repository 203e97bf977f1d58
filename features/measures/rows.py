"""What every quantity is written with: rows of a pass, and the dates at which they count.

A quantity is what a measure asks of the tables, as a frozen value, so that two signals which need the same number
ask for it once; it knows how to ask it in Ibis. Its relation has the columns ``account_id``, ``i`` (the date's
place in the calendar) and ``value`` (float64); pairs without rows are absent. Times are seconds since 1970, days
are days since 1970.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir

from features.catalogue.schema import Aggregate, Between, Filter
from features.measures.calendar import Calendar, between, bit_or

FAR = dt.datetime(9999, 12, 31)
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Scope:
    """What a pass may ask of: the calendar, the pairs, and the rows of the accounts in the pass."""

    calendar: Calendar
    pairs: Callable[[], ir.Table]  # g, account_id, i
    agreements: Callable[[], ir.Table]  # account_id, i, day and the contracts known then
    # Rows of one table with `known_below` and `until_below` (the dates before they are known, and before they
    # are replaced): of the accounts in this pass; and of every account, for reference values only.
    rows_of: Callable[[str], ir.Table]
    all_rows_of: Callable[[str], ir.Table]


class Quantity(Protocol):
    """One number per account and date."""

    @property
    def table(self) -> str:
        """The table that it is asked of."""

    def relation(self, scope: Scope) -> ir.Table:
        """Rows of ``account_id``, ``i``, ``value``."""


@dataclass(frozen=True, eq=False)
class Spec:
    """A quantity's definition: equal when it says the same (filters are mappings, which cannot be hashed)."""

    def _identity(self) -> tuple[str, str]:
        return type(self).__name__, repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


def matching(table: ir.Table, filters: tuple[Filter, ...]) -> ir.Table:
    """Keep the rows that match any of the filters (all of its columns); a null never matches."""
    if not filters:
        return table
    return table.filter(ibis.or_(*[_holds(table, chosen) for chosen in filters]))


def _holds(table: ir.Table, chosen: Filter) -> ir.BooleanValue:
    conditions: list[ir.Value] = []
    for name, wanted in chosen.items():
        column = table[name]
        if isinstance(wanted, Between):
            if wanted.at_least is not None:
                conditions.append(column >= wanted.at_least)
            if wanted.at_most is not None:
                conditions.append(column <= wanted.at_most)
        else:
            conditions.append(column.isin(list(wanted)))
    return ibis.and_(*conditions).fill_null(False)


def days(count: int) -> ir.Value:
    """An interval of whole days."""
    return ibis.interval(days=count)


def second() -> ir.Value:
    """The smallest step of time that tables hold."""
    return ibis.interval(seconds=1)


def day_of(moment: ir.Value) -> ir.Value:
    """The whole UTC day that a row belongs to; midnight belongs to the day that ends."""
    return (moment - second()).date()


def seconds(moment: ir.Value) -> ir.Value:
    """Seconds since 1970 as float64."""
    return moment.epoch_seconds().cast("float64")


def whenever_known(table: ir.Table) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known; rows never known at any of them go."""
    return between(table, table.known_below, table.until_below)


def visible(table: ir.Table, scope: Scope, window_days: int | None = None, until_days_ago: int = 0) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known and lie in the window; rows never seen go."""
    begins = table.occurred_at + days(until_days_ago) if until_days_ago else None
    ends = table.occurred_at + days(window_days + until_days_ago) if window_days is not None else None
    return visible_between(table, scope, from_moment=begins, to_moment=ends)


def visible_between(
    table: ir.Table, scope: Scope, *, from_moment: ir.Value | None = None, to_moment: ir.Value | None = None
) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known and ``from_moment <= as_of < to_moment``.

    Dates before a moment are a prefix of the calendar, so the later of two moments is the greater number.
    """
    moments = {name: m for name, m in (("begins", from_moment), ("ends", to_moment)) if m is not None}
    ranked = scope.calendar.below(table, **moments)
    first, until = ranked.known_below, ranked.until_below
    if from_moment is not None:
        first = ibis.greatest(first, ranked.begins)
    if to_moment is not None:
        until = ibis.least(until, ranked.ends)
    return between(ranked, first, until).drop(*moments)


def at_dates(masked: ir.Table, bits: ir.Table) -> ir.Table:
    """One row for each row and date in its mask, with ``i``, ``as_of`` and ``day``."""
    return masked.join(bits, (masked.mask & bits.bit) != 0).drop("mask", "bit")


def _seen_long_ago(table: ir.Table, scope: Scope, column: str, days_ago: int) -> ir.Table:
    """Per account and somebody: the dates at which a row of theirs older than `days_ago` is known."""
    masked = visible_between(table, scope, from_moment=table.occurred_at + days(days_ago + 1))
    return masked.group_by("account_id", who=masked[column]).agg(long_known=bit_or(masked.mask))


def windowed(aggregate: Aggregate, scope: Scope) -> ir.Table:
    """Rows of an aggregate with their mask."""
    table = matching(scope.rows_of(aggregate.table), aggregate.any_of)
    masked = visible(table, scope, aggregate.window_days, aggregate.until_days_ago)
    since = aggregate.by_known_since
    if since is None:
        return masked
    known = _seen_long_ago(scope.rows_of(aggregate.table), scope, since.column, since.days)
    joined = masked.join(known, [masked.account_id == known.account_id, masked[since.column] == known.who])
    both = joined.mutate(mask=ibis._.mask & ibis._.long_known).drop("long_known", "who")
    return both.select([name for name in both.columns if not name.endswith("_right")]).filter(ibis._.mask != 0)


def by_mask(masked: ir.Table, scope: Scope, partial: Mapping[str, ir.Value]) -> ir.Table:
    """Aggregate by mask first, and expand the few masks to dates; `partial` results are still to be joined."""
    return at_dates(masked.group_by("account_id", "mask").agg(**partial), scope.calendar.bits)


def newest_first(dated: ir.Table, *within: str) -> Any:
    """Order rows by when they occurred; ties: recorded later, then the greater key."""
    return ibis.window(
        group_by=list(within), order_by=[dated.occurred_at.desc(), dated.known_from.desc(), dated.row_key.desc()]
    )
