"""The `as_of` dates of one pass, as bits of an integer.

A row counts for some dates and not for others. Each row carries those dates as a bit mask, so that a row is looked
at once however many dates there are: masks of one person are joined, and only what is added up is expanded to
dates again. Dates before a moment are a prefix of the calendar, so the later of two moments is the greater number.
Of a calendar of one date, masks are yes or no.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.errors import ReadingError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.signedinteger[Any]]  # int64; of many rows int32 where that does
Masks = npt.NDArray[Any]  # int64; of a calendar of one date yes or no, which says the same

MOST_DATES = 62  # bits of a signed 64-bit integer, less the sign and one to spare
SECONDS_A_DAY = 86_400
EPOCH = dt.datetime(1970, 1, 1)
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2100, 1, 1)


class Calendar:
    """At most 62 `as_of` dates, ascending, without repeats, all at the same time of day.

    Attributes
    ----------
    dates
        Between :data:`FIRST_DAY` and :data:`LAST_DAY`.
    seconds, day
        Shape (dates,), float64: each date's moment in seconds since 1970, and its day since 1970.
    all
        The mask of all dates.
    one
        Whether there is one date only: then masks are yes or no.

    Raises
    ------
    ValueError
        Too many dates, dates out of order, or at different times of day.
    ReadingError
        A date out of range.

    Examples
    --------
    >>> calendar = Calendar([dt.datetime(2025, month, 1) for month in (1, 2, 3)])
    >>> [f"{mask:03b}" for mask in calendar.below(calendar.seconds)]  # those before each date
    ['000', '001', '011']
    >>> f"{calendar.below(np.array([np.nan]))[0]:03b}"  # before a moment that never comes
    '111'
    """

    def __init__(self, dates: Sequence[dt.datetime]) -> None:
        if not 0 < len(dates) <= MOST_DATES or list(dates) != sorted(set(dates)):
            raise ValueError(f"a calendar holds 1 to {MOST_DATES} ascending dates, got {len(dates)}")
        if len({date.time() for date in dates}) > 1:
            raise ValueError("the dates of a calendar share one time of day")
        if dates[0].date() <= FIRST_DAY or dates[-1].date() >= LAST_DAY:
            raise ReadingError(
                f"as_of {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}: "
                f"ask about dates between {FIRST_DAY} and {LAST_DAY}."
            )
        self.dates = tuple(dates)
        self.seconds: Floats = np.array([(date - EPOCH).total_seconds() for date in dates])
        self.day: Floats = np.floor(self.seconds / SECONDS_A_DAY)
        self.time_of_day_seconds = int(self.seconds[0] - self.day[0] * SECONDS_A_DAY)
        self.all = (1 << len(dates)) - 1
        self.one = len(dates) == 1

    def __len__(self) -> int:
        return len(self.dates)

    def midnights(self) -> Calendar:
        """Return the midnights with which the dates' days begin, in the same places."""
        if self.time_of_day_seconds == 0:
            return self
        return Calendar([dt.datetime.combine(date.date(), dt.time()) for date in self.dates])

    def below(self, moments: Floats) -> Masks:
        """Return the dates before each moment (seconds since 1970; NaN and infinity: all dates)."""
        if self.one:
            return ~(moments <= self.seconds)
        days = moments - self.time_of_day_seconds
        days /= SECONDS_A_DAY
        return self.before(np.ceil(days, out=days))

    def before(self, days: Floats) -> Masks:
        """Return the dates whose day lies before each whole day since 1970 (NaN and infinity: all dates)."""
        if self.one:
            return ~(days <= self.day)
        since_first = np.fmin(days, self.day[-1] + 1)  # NaN is passed over
        since_first -= self.day[0]
        found: Masks = self._before_day[np.maximum(since_first, 0.0, out=since_first).astype(np.int64)]
        return found

    def until(self, days: Floats) -> Masks:
        """Return the dates whose day is each whole day, or lies before it (NaN and infinity: all dates)."""
        return self.before(days + 1)

    @cached_property
    def _before_day(self) -> npt.NDArray[np.int64]:
        """The dates before each day from the first date's on: looked up 4 times as fast as searched for."""
        days = np.arange(self.day[0], self.day[-1] + 2)
        prefix = np.array([2**count - 1 for count in range(len(self) + 1)], dtype=np.int64)
        return prefix[np.searchsorted(self.day, days, side="left")]

    def known(self, since: Floats, until: Floats) -> Masks:
        """Return the dates at which rows count that are known from one moment until another."""
        if self.one:
            return (since <= self.seconds) & ~(until <= self.seconds)
        known = ~self.below(since)
        replaced = (until <= self.seconds[-1]).nonzero()[0]  # few rows are
        known[replaced] &= self.below(until[replaced])
        known &= self.all
        return known

    def within(
        self, occurred: Floats, window_days: Floats | int | None, until_days_ago: Floats | int = 0
    ) -> Masks:
        """Return the dates whose window holds each moment: ``as_of - w - u < occurred <= as_of - u``.

        Without `window_days` the window has no beginning. Rows are taken to be known only once they occurred.
        Several windows at once: an array of shape (windows, 1) of each of the two.
        """
        if (
            window_days is None and isinstance(until_days_ago, int) and until_days_ago == 0
        ):  # rows are never known before they occur
            return np.full(len(occurred), self.all, dtype=bool if self.one else np.int64)
        if self.one:
            oldest = math.inf if window_days is None else window_days + until_days_ago
            return self.aged(occurred, until_days_ago * SECONDS_A_DAY, oldest * SECONDS_A_DAY)
        begins = self.below(occurred + until_days_ago * SECONDS_A_DAY)
        if window_days is None:
            return self.all & ~begins
        return self.below(occurred + (window_days + until_days_ago) * SECONDS_A_DAY) & ~begins

    def aged(self, occurred: Floats, at_least: Floats | float, below: Floats | float) -> Masks:
        """Return, of a calendar of one date, whether each moment lies so many seconds before it."""
        age = self.seconds - occurred
        return (age >= at_least) & (age < below)

    def expanded(self, account: Ints, mask: Masks) -> tuple[Ints, Ints]:
        """Expand rows to their dates: the row's place, and its cell, the account's dates side by side."""
        if self.one:
            only: Ints = mask.nonzero()[0]
            return only, account[only]
        return self.cells(account, self.bits(mask))

    def cells(self, account: Ints, counts: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Return where rows count, of shape (rows, dates): the row's place, and its cell."""
        dates = len(self.dates)
        found = counts.ravel().nonzero()[0]
        rows = found // dates
        return rows, found + ((account - np.arange(len(account))) * dates)[rows]

    def any_of(self, account: Ints, mask: Masks, accounts: int) -> npt.NDArray[np.bool_]:
        """Shape (cells,): whether any of the rows counts."""
        if self.one:
            return np.bincount(account, mask, accounts) > 0
        joined = np.zeros(accounts, dtype=np.int64)
        np.bitwise_or.at(joined, account, mask)
        return self.bits(joined).ravel()

    def bits(self, masks: Masks) -> npt.NDArray[np.bool_]:
        """Shape (rows, dates): whether each row counts at each date.

        >>> Calendar([dt.datetime(2025, month, 1) for month in (1, 2)]).bits(np.array([0b01, 0b10])).tolist()
        [[True, False], [False, True]]
        """
        if self.one:
            return masks[:, None]
        bytes_ = np.ascontiguousarray(masks, dtype="<i8").view(np.uint8).reshape(len(masks), 8)
        return np.unpackbits(bytes_, axis=1, count=len(self.dates), bitorder="little").view(np.bool_)
