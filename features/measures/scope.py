"""What the quantities of a pass are asked of: its accounts, its dates, and the rows of each table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from features.catalogue.schema import Aggregate, Rows
from features.measures.calendar import Calendar, Floats, Ints, Masks
from features.measures.frames import Counted, Demand, Filters, Frame, RowFrame, Spec, Together, told
from features.measures.groups import adds_up_exactly, sums

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class RowsWanted:
    """Rows of a table that a quantity looks at one by one."""

    table: str
    any_of: tuple[Filters, ...] = ()
    columns: tuple[str, ...] = ()
    ordered: bool = False
    of_everyone: bool = False  # also of accounts outside the pass: for reference values


@dataclass(frozen=True)
class CountsWanted:
    """What a quantity asks of a table without looking at each row."""

    demand: Demand
    of_everyone: bool = False


class Quantity(Protocol):
    """One number per account and date."""

    @property
    def table(self) -> str:
        """The table that it is asked of."""

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        """The rows that it needs."""

    def numbers(self, scope: Scope) -> Floats:
        """Shape (cells,): its value for each account and date, NaN where there is nothing to tell it from."""


@dataclass(frozen=True, eq=False)
class OfRows(Spec):
    """A quantity of some rows of a table."""

    rows: Rows

    @property
    def table(self) -> str:
        """The rows' table."""
        return self.rows.table

    @cached_property
    def chosen(self) -> str:
        """The text of the filters."""
        return told(self.rows.any_of)


@dataclass(frozen=True, eq=False)
class OfAggregate(Spec):
    """A quantity of the rows of an aggregate."""

    aggregate: Aggregate

    @property
    def table(self) -> str:
        """The rows' table."""
        return self.aggregate.table

    @cached_property
    def chosen(self) -> str:
        """The text of the filters."""
        return told(self.aggregate.any_of)


class Reference(Hashable, Protocol):
    """A quantity that compares with what everyone has."""

    def of_everyone(self, everyone: Scope) -> Any:
        """Return what it compares with, worked out for all accounts at once."""


class Frames(Protocol):
    """Where a scope finds its rows."""

    def frame(self, table: str) -> Frame:
        """Return a table's rows, one by one or condensed."""


@dataclass(frozen=True)
class Scope:
    """Accounts and dates asked about together; a cell is one account on one date, account by account.

    Attributes
    ----------
    calendar
        The dates.
    accounts
        How many accounts.
    grace_days
        Days without a contract that still count as continuous service.
    connected
        The tables that there are.
    frames
        The rows of the accounts in the pass.
    everyone_else
        Gives the scope of all accounts at the midnights with which the dates' days begin, in the same places, for
        reference values; None: the scope has all accounts itself.
    together
        Of one account on one date, whose rows are few: the demands that each one is counted together with. It
        takes their rows as many times as there are demands, and a tenth of the calls.
    """

    calendar: Calendar
    accounts: int
    grace_days: int
    connected: frozenset[str]
    frames: Frames
    everyone_else: Callable[[], Scope] | None = None
    together: Mapping[Demand, Together] = field(default_factory=dict)
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @cached_property
    def everyone(self) -> Scope:
        """The scope of all accounts."""
        return self if self.everyone_else is None else self.everyone_else()

    @cached_property
    def cells(self) -> int:
        """How many pairs of account and date."""
        return self.accounts * len(self.calendar)

    @cached_property
    def day(self) -> Floats:
        """Shape (cells,): each cell's day since 1970."""
        return np.tile(self.calendar.day, self.accounts)

    @cached_property
    def seconds(self) -> Floats:
        """Shape (cells,): each cell's moment in seconds since 1970."""
        return np.tile(self.calendar.seconds, self.accounts)

    def frame(self, table: str) -> Frame:
        """Return a table's rows, one by one or condensed."""
        return self.frames.frame(table)

    def rows(self, table: str) -> RowFrame:
        """Return a table's rows."""
        frame = self.frames.frame(table)
        assert isinstance(frame, RowFrame)  # whoever asks has said so in `wants`
        return frame

    def kept(self, name: Hashable, make: Callable[[Scope], Kept]) -> Kept:
        """Return what several quantities share, made when first asked for."""
        if name not in self._kept:
            self._kept[name] = make(self)
        found: Kept = self._kept[name]
        return found

    def reference(self, quantity: Reference) -> Any:
        """Return what a quantity compares with, made once for all accounts."""
        return self.everyone.kept(quantity, quantity.of_everyone)

    def expanded(self, account: Ints, mask: Masks) -> tuple[Ints, Ints]:
        """Expand rows to their dates: the row's place, and its cell."""
        return self.calendar.expanded(account, mask)

    def total(self, demand: Demand) -> Floats:
        """Shape (cells,): the amounts of a demand added up; 0 without any."""
        found: Floats | None = self._kept.get(demand)
        if found is not None:
            return found
        alike = self.together.get(demand)
        if alike is None:
            return self.added(self.frame(demand.table).counted(demand))
        totals = self.rows(demand.table).totals(alike)[:, None]
        self._kept.update(zip(alike.demands, totals, strict=True))
        return self.total(demand)

    def added(self, counted: Counted) -> Floats:
        """Shape (cells,): the amounts added up; 0 without any."""
        if not self.calendar.one and (counted.amount is None or adds_up_exactly(counted.amount)):
            return self._run_by_run(counted)
        rows, cells = self.expanded(counted.account, counted.mask)
        amount = None if counted.amount is None else counted.amount[rows]
        return sums(cells, amount, self.cells)

    def _run_by_run(self, counted: Counted) -> Floats:
        """Add up without looking at each of the dates: nearly all rows begin once to count, and end once."""
        mask, amount, dates, accounts = counted.mask, counted.amount, len(self.calendar), self.accounts
        lowest = mask & -mask
        broken = (mask + lowest) & mask != 0
        begins = np.bitwise_count(lowest - 1).astype(np.int64)
        steps = (dates + 1) * counted.account + begins
        length = np.bitwise_count(mask)
        if broken.any():
            length[broken] = 0  # ends where it begins, and is added below
        change = np.bincount(steps, amount, accounts * (dates + 1))
        change -= np.bincount(steps + length, amount, accounts * (dates + 1))
        total = change.reshape(accounts, dates + 1)[:, :-1].cumsum(axis=1).ravel().astype(np.float64)
        if broken.any():
            some = broken.nonzero()[0]
            row, cells = self.expanded(counted.account[some], mask[some])
            total += sums(cells, None if amount is None else amount[some[row]], len(total))
        return total
