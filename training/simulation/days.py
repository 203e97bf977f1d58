"""Days and months as whole numbers: days since 1970-01-01, months since 1970-01."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

END = dt.date(2025, 6, 30)  # where the simulated history ends, always: the simulation has no clock
DAY_SECONDS = 86_400


def first_day(month: npt.ArrayLike) -> Ints:
    """Return the first day of each month.

    >>> first_day([0, 1]).tolist()
    [0, 31]
    """
    return np.asarray(month, dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)


def month_of(day: npt.ArrayLike) -> Ints:
    """Return the month that each day lies in.

    >>> month_of([30, 31]).tolist()
    [0, 1]
    """
    return np.asarray(day, dtype="datetime64[D]").astype("datetime64[M]").astype(np.int64)


def as_dates(day: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """Return days as dates; a negative day is none (NaT)."""
    dates = day.astype("datetime64[D]")
    dates[day < 0] = np.datetime64("NaT")
    return dates


def as_times(second: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """Return seconds since 1970 as times; a negative second is none (NaT)."""
    times = second.astype("datetime64[s]")
    times[second < 0] = np.datetime64("NaT")
    return times


@dataclass(frozen=True, slots=True)
class Period:
    """The months of the history, the last one ending at `END`.

    Attributes
    ----------
    months
        Shape (m,), the months.
    starts
        Shape (m + 1,), the first day of each month, and the day after the last.
    """

    months: Ints
    starts: Ints

    @classmethod
    def of(cls, months: int) -> Period:
        """Return the `months` months that end with `END`.

        >>> period = Period.of(30)
        >>> as_dates(period.starts[[0, -1]]).tolist()
        [datetime.date(2023, 1, 1), datetime.date(2025, 7, 1)]
        """
        last = int(month_of(np.datetime64(END, "D").astype(np.int64)))
        every = np.arange(last - months + 1, last + 1)
        return cls(every, first_day(np.append(every, last + 1)))

    @property
    def first(self) -> int:
        """The first day of the history."""
        return int(self.starts[0])

    @property
    def after(self) -> int:
        """The day after the history's last."""
        return int(self.starts[-1])

    @property
    def days(self) -> int:
        """How many days the history has."""
        return self.after - self.first

    def __len__(self) -> int:
        return len(self.months)
