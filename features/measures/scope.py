"""What the quantities of a pass are asked of: its accounts, its dates, and the rows of each table."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from features.measures.calendar import Calendar, Floats, Ints, Masks, at_dates
from features.measures.frames import Counted, Demand, Filters, Frame, RowFrame
from features.measures.groups import sums

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
    """Rows of a table that a quantity has counted together."""

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


class Frames(Protocol):
    """Where a scope finds its rows."""

    def frame(self, table: str) -> Frame:
        """Return a table's rows, or their counts."""


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
    frames
        The rows of the accounts in the pass.
    everyone
        The scope of all accounts at the midnights with which the dates' days begin, in the same places, for
        reference values; the scope itself if it has all.
    """

    calendar: Calendar
    accounts: int
    grace_days: int
    connected: frozenset[str]
    frames: Frames
    everyone_else: Callable[[], Scope] | None = None
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @cached_property
    def everyone(self) -> Scope:
        """The scope of all accounts."""
        return self if self.everyone_else is None else self.everyone_else()

    @property
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
        """Return a table's rows, or their counts."""
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

    def expanded(self, account: Ints, mask: Masks) -> tuple[Ints, Ints]:
        """Expand rows to their dates: the row's place, and its cell."""
        if len(self.calendar) == 1:
            only: Ints = mask.nonzero()[0]
            return only, account[only]
        rows, places = at_dates(mask)
        return rows, account[rows] * len(self.calendar) + places

    def total(self, counted: Counted) -> Floats:
        """Shape (cells,): the amounts added up; 0 without any."""
        rows, cells = self.expanded(counted.account, counted.mask)
        return sums(cells, counted.amount[rows], self.cells)
