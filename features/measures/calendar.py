"""The `as_of` dates of one pass, as bits of an integer.

A row counts for some dates and not for others. Each row carries those dates as a bit mask, so that a row is looked
at once however many dates there are: masks of one person are joined by ``bit_or``, and only the few distinct masks
are expanded to dates again. Dates before a moment are a prefix of the calendar, so the later of two moments is the
greater number.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from features.errors import ReadingError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
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
        self._prefix: Masks = np.array([2**count - 1 for count in range(len(dates) + 1)], dtype=np.int64)
        self.all = int(self._prefix[-1])
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
        return self._prefix[np.searchsorted(self.seconds, moments, side="left")]

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
        rows, places = at_dates(mask)
        return rows, account[rows] * len(self.dates) + places


def at_dates(masks: Masks) -> tuple[Ints, Ints]:
    """Expand masks: the row and the date's place of every bit, row by row.

    Examples
    --------
    >>> rows, places = at_dates(np.array([0b011, 0, 0b101]))
    >>> rows.tolist(), places.tolist()
    ([0, 0, 2, 2], [0, 1, 0, 2])
    """
    counts = np.bitwise_count(masks).astype(np.int64)
    rows = np.repeat(np.arange(len(masks), dtype=np.int64), counts)
    # The k-th bit of an unbroken mask is its lowest one plus k.
    lowest = masks & -masks
    first = np.bitwise_count(lowest - 1).astype(np.int64)
    begins = np.cumsum(counts) - counts
    places = np.arange(len(rows), dtype=np.int64) - np.repeat(begins - first, counts)
    broken = ((masks + lowest) & masks) != 0
    if broken.any():
        bits = masks[broken, None] >> np.arange(MOST_DATES) & 1
        places[np.repeat(broken, counts)] = np.nonzero(bits)[1]
    return rows, places
