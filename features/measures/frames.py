"""Rows of one table in a pass, and what can be asked of them.

A *demand* is what a quantity asks without looking at each row: how many, how much, how many different, the last,
the first of each. Two kinds of frames answer it: :class:`RowFrame` looks at row by row;
:class:`~features.measures.condensed.CondensedFrame`, of many rows, puts those together that are alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import Filter
from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints, Masks
from features.measures.groups import firsts, joined_masks, numbered, pairs_within, sums

Filters = tuple[Filter, ...]
DAY = "day"


class _OneOfEach(type):
    """Makes definitions that say the same one object, so that looking them up costs what looking up a name does.

    Found by their text: filters are mappings, which cannot be hashed.
    """

    _made: ClassVar[WeakValueDictionary[tuple[str, str], Any]] = WeakValueDictionary()

    def __call__(cls, *given: Any, **named: Any) -> Any:
        new = super().__call__(*given, **named)
        return cls._made.setdefault((cls.__qualname__, repr(new)), new)


@dataclass(frozen=True, eq=False)
class Spec(metaclass=_OneOfEach):
    """A definition: equal when it says the same."""


def told(any_of: Filters) -> str:
    """Return the text by which filters are known; none without filters."""
    return repr(any_of) if any_of else ""


@dataclass(frozen=True, eq=False)
class Demand(Spec):
    """One thing asked of a table's rows.

    Attributes
    ----------
    of
        ``rows`` (how many), ``sum`` (of the one column), ``given`` (how many have it), ``nameless`` (how many have
        it not), ``distinct`` (how many different combinations of `columns`; a null in any leaves the row out),
        ``values`` (which different ones), ``last`` (when the last occurred), ``debuts`` (when each value of the
        one column occurred first), ``served`` (different combinations on days of the account's service).
    table, any_of
        Which rows.
    columns
        ``day`` is the row's day.
    window_days, until_days_ago
        As in :class:`~features.catalogue.schema.Aggregate`.
    service_days
        Of ``served``: first and last day of the account's service (day 1 is its start).
    unnamed
        Of ``served``: how many rows have no value in the one column, instead.
    """

    of: Literal["rows", "sum", "given", "nameless", "distinct", "values", "last", "debuts", "served"]
    table: str
    any_of: Filters
    columns: tuple[str, ...] = ()
    window_days: int | None = None
    until_days_ago: int = 0
    service_days: tuple[int, int] = (0, 0)
    unnamed: bool = False

    @cached_property
    def chosen(self) -> str:
        """The text of the filters."""
        return told(self.any_of)


@dataclass(frozen=True)
class Together:
    """Demands of one table that are counted at once, of one account on one date."""

    demands: tuple[Demand, ...]

    @cached_property
    def _ages(self) -> tuple[Floats, Floats]:
        """Shape (demands, 1): how old rows are at least, and less than what, in seconds."""
        lengths = np.array([math.inf if one.window_days is None else one.window_days for one in self.demands])
        ends = np.array([one.until_days_ago for one in self.demands])
        return SECONDS_A_DAY * ends[:, None], SECONDS_A_DAY * (lengths + ends)[:, None]

    @cached_property
    def alike(self) -> list[Demand]:
        """One demand of those that ask for the same rows, whatever the window."""
        return list({_rows_of(demand): demand for demand in reversed(self.demands)}.values())

    @cached_property
    def like(self) -> list[int]:
        """Each demand's place among :attr:`alike`."""
        places = {_rows_of(demand): place for place, demand in enumerate(self.alike)}
        return [places[_rows_of(demand)] for demand in self.demands]

    @cached_property
    def looked_at(self) -> list[tuple[int, Demand]]:
        """The places of those for which the number of their rows does not do, and these themselves."""
        return [(n, one) for n, one in enumerate(self.demands) if one.of in ("distinct", "sum")]

    @cached_property
    def _ever(self) -> list[int]:
        """The places of those without a window; tables of state know no moment."""
        return [n for n, one in enumerate(self.demands) if one.window_days is None and one.until_days_ago == 0]

    def windows(self, calendar: Calendar, occurred: Floats) -> Masks:
        """Shape (demands, rows): whether each row lies in each window."""
        masks = calendar.aged(occurred, *self._ages)
        if self._ever:
            masks[self._ever] = True
        return masks


def _rows_of(demand: Demand) -> tuple[str, str, tuple[str, ...]]:
    return demand.chosen, demand.of, demand.columns


@dataclass(frozen=True)
class Counted:
    """Rows counted together: account, dates for which they count, and how many or how much (None: one each)."""

    account: Ints
    mask: Masks
    amount: Floats | None


@dataclass(frozen=True)
class Valued:
    """Values of one column: account, the value's code, its dates, and (of ``debuts`` alone) when it occurred.

    `values` are those that the codes stand for.
    """

    account: Ints
    code: Ints
    mask: Masks
    occurred: Floats
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Texts:
    """Text as codes: the place in `values`, -1 where null."""

    codes: Ints  # of one pair a plain number
    values: tuple[str, ...]

    def take(self, rows: Ints | npt.NDArray[np.bool_]) -> Texts:
        """Return the chosen rows."""
        return Texts(self.codes[rows], self.values)


@dataclass(frozen=True)
class Starts:
    """The starts of service that an account has on some date: account, and day since 1970."""

    account: Ints
    day: Floats


class Frame(Protocol):
    """What can be asked of a table's rows."""

    def counted(self, demand: Demand) -> Counted:
        """Answer ``rows``, ``sum``, ``given``, ``nameless``, ``distinct``, and ``last`` (seconds as amount)."""

    def valued(self, demand: Demand) -> Valued:
        """Answer ``values`` and ``debuts``."""

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Answer ``served``; with the place in `starts` that each count belongs to."""


@dataclass(eq=False)  # frozen, it would take four times as long to make; one account needs 13
class RowFrame:
    """Rows as they are, of the accounts in a pass; versions that count at no date too.

    Attributes
    ----------
    calendar
        The dates.
    account
        Each row's account, numbered within the pass.
    occurred, known_from, known_until
        Seconds since 1970; `occurred` is NaN in tables of state.
    known
        The dates at which each row counts.
    matches
        By filters: which rows match.
    numbers, texts
        Columns that were asked for: numbers (days since 1970 for dates, seconds for times, 0 and 1 for yes/no;
        NaN where null), and text.
    key_rank
        The place of each row's key in order of text, to break ties.
    """

    calendar: Calendar
    account: Ints
    occurred: Floats
    known_from: Floats
    known_until: Floats
    known: Masks
    matches: Mapping[str, npt.NDArray[np.bool_]]
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    texts: Mapping[str, Texts] = field(default_factory=dict)
    key_rank: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _combined: dict[tuple[str, ...], Ints] = field(default_factory=dict, init=False)

    def take(self, rows: Ints | npt.NDArray[np.bool_]) -> RowFrame:
        """Return the chosen rows."""
        return RowFrame(
            self.calendar,
            self.account[rows],
            self.occurred[rows],
            self.known_from[rows],
            self.known_until[rows],
            self.known[rows],
            {chosen: match[rows] for chosen, match in self.matches.items()},
            {name: values[rows] for name, values in self.numbers.items()},
            {name: texts.take(rows) for name, texts in self.texts.items()},
            self.key_rank[rows] if len(self.key_rank) else self.key_rank,
        )

    def matching(self, chosen: str) -> npt.NDArray[np.bool_]:
        """Return which rows match any of the filters, by their text (all rows without one)."""
        return self.matches[chosen] if chosen else self._all_rows

    @cached_property
    def _all_rows(self) -> npt.NDArray[np.bool_]:
        return np.ones(len(self.account), dtype=bool)

    @cached_property
    def day(self) -> Ints:
        """The whole UTC day that each row belongs to; midnight belongs to the day that ends."""
        return day_of(self.occurred).astype(np.int64)

    def codes(self, column: str) -> Ints:
        """Return a column as codes, -1 where null."""
        if column == DAY:
            return self.day
        if column in self.texts:
            return self.texts[column].codes
        values, codes = np.unique(self.numbers[column], return_inverse=True)
        return np.where(np.isnan(values)[codes], -1, codes).astype(np.int64)

    def given(self, column: str) -> npt.NDArray[np.bool_]:
        """Return which rows have a value in a column."""
        return ~np.isnan(self.numbers[column]) if column in self.numbers else self.codes(column) >= 0

    def values(self, column: str) -> tuple[Any, ...]:
        """Return what the codes of a column stand for."""
        return self.texts[column].values if column in self.texts else tuple(np.unique(self.numbers[column]))

    def counted(self, demand: Demand) -> Counted:
        """Count the rows that match, each with the dates in whose window it is known."""
        mask = self.known & self.calendar.within(self.occurred, demand.window_days, demand.until_days_ago)
        rows = (self._chosen(demand) & (mask != 0)).nonzero()[0]
        account, mask, amount = self.account[rows], mask[rows], self._amount(demand)
        if demand.of == "distinct":
            keys = [self.codes(column)[rows] for column in demand.columns]
            first, union = joined_masks(numbered([account, *keys]), mask)
            return Counted(account[first], union, None)
        if amount is None:
            return Counted(account, mask, None)
        amount = amount[rows]
        if demand.of != "sum":
            return Counted(account, mask, amount)
        order = np.lexsort((amount, account))  # in one order floats have one sum, in whatever order the rows came
        return Counted(account[order], mask[order], amount[order])

    def totals(self, together: Together) -> Floats:
        """Shape (demands,): what :meth:`counted` of each demand adds up to, of one account on one date."""
        if not len(self.account):
            return np.zeros(len(together.demands))
        chosen = np.array([self._chosen(demand) for demand in together.alike])[together.like]
        inside = together.windows(self.calendar, self.occurred) & self.known & chosen
        totals: Floats = np.add.reduce(inside, axis=1, dtype=np.float64)
        for which, demand in together.looked_at:
            if totals[which] == 0:
                continue
            rows = inside[which]
            if demand.of == "distinct":
                totals[which] = np.count_nonzero(firsts(np.sort(self._combinations(demand.columns)[rows])))
            else:
                amount = np.sort(self.numbers[demand.columns[0]][rows])
                totals[which] = sums(np.zeros(len(amount), dtype=np.int64), amount, 1)[0]
        return totals

    def _chosen(self, demand: Demand) -> npt.NDArray[np.bool_]:
        """Return which rows match a demand's filters, and have, or lack, what it asks for."""
        rows = self.matching(demand.chosen)
        if demand.of in ("sum", "given"):
            return rows & ~np.isnan(self.numbers[demand.columns[0]])
        if demand.of == "nameless":
            return rows & (self.codes(demand.columns[0]) < 0)
        if demand.of == "distinct":
            for column in demand.columns:
                rows = rows & (self.codes(column) >= 0)
        return rows

    def _combinations(self, columns: tuple[str, ...]) -> Ints:
        """Number the rows' combinations of some columns."""
        if columns not in self._combined:
            self._combined[columns] = numbered([self.codes(column) for column in columns])
        return self._combined[columns]

    def _amount(self, demand: Demand) -> Floats | None:
        if demand.of == "last":
            return self.occurred
        return self.numbers[demand.columns[0]] if demand.of == "sum" else None

    def valued(self, demand: Demand) -> Valued:
        """Return each row that has a value, or each different value with the dates of all its rows."""
        (column,) = demand.columns
        codes = self.codes(column)
        mask = self.known & self.calendar.within(self.occurred, demand.window_days, demand.until_days_ago)
        rows = (self.matching(demand.chosen) & (mask != 0) & (codes >= 0)).nonzero()[0]
        if demand.of == "values":
            first, union = joined_masks(numbered([self.account[rows], codes[rows]]), mask[rows])
            rows = rows[first]
            return Valued(self.account[rows], codes[rows], union, self.occurred[rows], self.values(column))
        return Valued(self.account[rows], codes[rows], mask[rows], self.occurred[rows], self.values(column))

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Count different combinations within the days of service that begins at each start."""
        chosen = self.matching(demand.chosen) & (self.known != 0)
        keys = [self.codes(column) for column in demand.columns]
        if demand.unnamed:
            chosen = chosen & (keys[0] < 0)
            keys = [np.arange(len(chosen), dtype=np.int64)]
        rows = (chosen & np.logical_and.reduce([key >= 0 for key in keys])).nonzero()[0]
        row, start = pairs_within(self.account[rows], starts.account)
        row, begin, day = rows[row], starts.day[start], day_of(self.occurred)[rows[row]]
        first_day, last_day = demand.service_days
        inside = (day >= begin + first_day - 1) & (day <= begin + last_day - 1)
        row, start = row[inside], start[inside]
        first, union = joined_masks(numbered([start, *(key[row] for key in keys)]), self.known[row])
        return Counted(self.account[row][first], union, None), start[first]


class ValuesFound:
    """Which values there are, found some accounts at a time: a frame that can be asked for nothing else."""

    def __init__(self) -> None:
        self._found: dict[Demand, list[Valued]] = {}
        self._places: dict[Demand, dict[Any, int]] = {}

    def add(self, first: int, frame: Frame, demands: Sequence[Demand]) -> None:
        """Ask a frame of accounts that are numbered from `first` on."""
        for demand in demands:
            found, places = frame.valued(demand), self._places.setdefault(demand, {})
            place = np.array([places.setdefault(value, len(places)) for value in found.values], dtype=np.int64)
            moved = replace(found, account=found.account + first, code=place[found.code], values=())
            self._found.setdefault(demand, []).append(moved)

    def valued(self, demand: Demand) -> Valued:
        """Answer ``values``."""
        found = self._found[demand]
        return Valued(
            np.concatenate([part.account for part in found]),
            np.concatenate([part.code for part in found]),
            np.concatenate([part.mask for part in found]),
            np.concatenate([part.occurred for part in found]),
            tuple(self._places[demand]),
        )

    def counted(self, demand: Demand) -> Counted:
        """Refuse."""
        raise NotImplementedError(f"no reference value is a count: {demand}")

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Refuse."""
        raise NotImplementedError(f"no reference value is counted by days of service: {demand}, {starts}")


def day_of(moment: Floats) -> Floats:
    """Return the whole UTC day, since 1970, that a moment belongs to; midnight belongs to the day that ends."""
    return np.floor((moment - 1) / SECONDS_A_DAY)
