"""Rows of one table as columns, and how events fall on days and come to be recorded."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.simulation.days import DAY_SECONDS, Bools, Floats, Ints, as_times
from training.simulation.history import History
from training.simulation.parameters import Parameters

PERSON = 100_000  # people are numbered account * PERSON + place
CONTACT = 99_000  # the place of an account's first contact; users lie below
LATE_SHARE = 0.015
CORRECTED_SHARE = 0.006


@dataclass(frozen=True, slots=True)
class Words:
    """A text column: a code for each row, and the words that they stand for; a negative code is no word."""

    codes: Ints
    words: Sequence[str]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Words:
        return Words(self.codes[rows], self.words)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A text column of a prefix and a number; a negative number is no text."""

    prefix: str
    numbers: Ints

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any) -> Numbered:
        return Numbered(self.prefix, self.numbers[rows])


Column = Words | Numbered | npt.NDArray[Any]
Rows = Mapping[str, Column]


@dataclass(frozen=True)
class Scene:
    """A chunk of accounts with its history, from which tables are drawn.

    Attributes
    ----------
    history
        Of n accounts.
    seed
        Of the whole company.
    chunk
        Which chunk this is.
    active
        Shape (n, m): people active in each month; filled once usage is drawn.
    champions, sponsors
        Shape (n, m): the contact who holds the role at the start of each month, or -1; filled once contacts
        are drawn.
    """

    history: History
    seed: int
    chunk: int
    parameters: Parameters
    active: Floats = field(default_factory=lambda: np.empty((0, 0)))
    champions: Ints = field(default_factory=lambda: np.empty((0, 0), np.int64))
    sponsors: Ints = field(default_factory=lambda: np.empty((0, 0), np.int64))

    def rng(self, stream: str) -> np.random.Generator:
        """Return the source of chance for one table, which no other table's draws disturb."""
        return np.random.default_rng([self.seed, self.chunk, zlib.crc32(stream.encode())])

    @property
    def shape(self) -> tuple[int, int]:
        """(accounts, months)."""
        return len(self.history.book), len(self.history.period)

    def accounts(self, places: Ints) -> Numbered:
        """Return the ids of these accounts."""
        return Numbered("A", 100_000 + self.history.book.number[places])

    def people(self, places: Ints, person: Ints) -> Numbered:
        """Return the ids of people; a negative person is nobody."""
        return Numbered("P", np.where(person < 0, -1, self.history.book.number[places] * PERSON + person))

    def keys(self, prefix: str, count: int) -> Numbered:
        """Return ids that no other chunk gives out."""
        return Numbered(prefix, self.chunk * 100_000_000 + np.arange(count))

    def known(self, rows: Rows) -> Rows:
        """Return the rows recorded by the end of the history."""
        recorded = rows["recorded_at"]
        assert isinstance(recorded, np.ndarray)
        return take(rows, recorded <= as_times(np.array([self.history.period.after * DAY_SECONDS])))


@dataclass(frozen=True, slots=True)
class Happenings:
    """Events; shape (e,) each: the account's place, the month's place, and the second since 1970."""

    account: Ints
    month: Ints
    second: Ints

    def __len__(self) -> int:
        return len(self.account)

    def of(self, rows: Bools | Ints) -> Happenings:
        """Return some of the events."""
        return Happenings(self.account[rows], self.month[rows], self.second[rows])

    @property
    def day(self) -> Ints:
        """The day of each event."""
        return self.second // DAY_SECONDS


def working_days(months: Ints, weekend: float = 0.15) -> Floats:
    """Return the running share (months, 31) of a month's events up to each day: weekends and holidays less."""
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days = first[:, None] + np.arange(31)
    weight = np.where((days + 3) % 7 >= 5, weekend, 1.0)  # 1970-01-01 was a Thursday
    weight[(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)) != months[:, None]] = 0.0
    calendar_month = months % 12
    weight[calendar_month == 11, 23:26] *= 0.15
    weight[calendar_month == 0, 0] *= 0.15
    return np.asarray(np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True))


def days_of(rng: np.random.Generator, scene: Scene, month: Ints, weekend: float = 0.15) -> Ints:
    """Draw a day in each of the months given (by place)."""
    shares = working_days(scene.history.period.months, weekend)
    luck = rng.random(len(month))
    day = np.zeros(len(month), np.int64)
    for column in range(30):
        day += luck > shares[month, column]
    return scene.history.period.starts[month] + day


def happen(rng: np.random.Generator, scene: Scene, rate: Floats) -> Happenings:
    """Draw events at `rate` (n, m) a month, on days of service, in the order of accounts and months."""
    counts = rng.poisson(rate)
    account, month = (np.repeat(places, counts.ravel()) for places in np.indices(rate.shape).reshape(2, -1))
    day = days_of(rng, scene, month)
    second = day * DAY_SECONDS + rng.integers(7 * 3600, 20 * 3600, len(day))
    serving = scene.history.in_service[account, day - scene.history.period.first]
    return Happenings(account, month, second).of(serving)


def recorded(rng: np.random.Generator, second: Ints, within: int = 1800) -> npt.NDArray[np.datetime64]:
    """Return when events came to be recorded: mostly within the hour, some of them 2 to 40 days late."""
    delay = rng.integers(30, within, len(second))
    late = rng.random(len(second)) < LATE_SHARE
    days = np.clip(rng.lognormal(1.9, 0.8, len(second)), 2, 40)
    return as_times(second + np.where(late, (days * DAY_SECONDS).astype(np.int64), delay))


def take(rows: Rows, which: Any) -> Rows:
    """Return some rows."""
    return {name: column[which] for name, column in rows.items()}


def join(*parts: Rows) -> Rows:
    """Return the rows of several parts of the same table (same words, same prefixes)."""
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(columns: Sequence[Column]) -> Column:
    first = columns[0]
    if isinstance(first, Words):
        return Words(np.concatenate([c.codes for c in columns if isinstance(c, Words)]), first.words)
    if isinstance(first, Numbered):
        return Numbered(first.prefix, np.concatenate([c.numbers for c in columns if isinstance(c, Numbered)]))
    return np.concatenate([c for c in columns if isinstance(c, np.ndarray)])


def with_corrections(
    rng: np.random.Generator, rows: Rows, changed: Mapping[str, Column], share: float = CORRECTED_SHARE
) -> Rows:
    """Add later versions of some rows: the same key, recorded 1 to 25 days later, with `changed` columns."""
    count = len(rows["recorded_at"])
    which = np.flatnonzero(rng.random(count) < share)
    later = take({**rows, **changed}, which)
    delay = rng.integers(DAY_SECONDS, 25 * DAY_SECONDS, len(which)).astype("timedelta64[s]")
    moment = later["recorded_at"]
    assert isinstance(moment, np.ndarray)
    return join(rows, {**later, "recorded_at": moment + delay})
