"""What is known of pairs of account and date, and the reasons why something is not.

The order of reasons, where several hold: not connected, not applicable, not delivered or too short a history, too
few, nothing to divide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.catalogue import schema
from features.measures.coverage import Coverage, Letters
from features.measures.rows import Quantity
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import Floats

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answer:
    """Shape (n,) values (NaN where unknown) and letters (``.`` where known)."""

    values: Floats
    letters: Letters


@dataclass
class Known:
    """What is known of n pairs of account and date; asks for quantities, and remembers which were asked for.

    Measures are read twice: first with n = 0, to learn which quantities they need; then with the numbers.
    """

    size: int
    day: Floats  # the date's day since 1970
    seconds: Floats  # the date's moment, seconds since 1970
    service_start: Floats  # day since 1970, NaN unknown
    stage: npt.NDArray[np.str_]  # "" unknown
    coverage: Coverage
    connected: frozenset[str]
    delivered: Mapping[str, frozenset[str]]  # per table: the columns that the company delivers, or that default
    ended_columns: Mapping[str, str]
    numbers: dict[Quantity, Floats] = field(default_factory=dict)
    asked: dict[Quantity, None] = field(default_factory=dict)

    def number(self, quantity: Quantity) -> Floats:
        """Shape (n,): the quantity, NaN where there are no rows."""
        if quantity.table not in self.connected:
            return np.full(self.size, np.nan)
        self.asked[quantity] = None
        return self.numbers.get(quantity, np.full(self.size, np.nan))

    def count(self, quantity: Quantity) -> Floats:
        """Shape (n,): the quantity, 0 where there are no rows."""
        return np.nan_to_num(self.number(quantity), nan=0.0)

    def unread(self, rows: schema.Rows, *columns: str) -> tuple[Mask, UnknownReason]:
        """Whether the rows cannot be told apart: a column is not delivered, and null must not read as "none".

        One filter whose columns are all there is enough: what it matches is known.
        """
        there = self.delivered.get(rows.table, frozenset()) | {"day"}
        filters = rows.any_of or ({},)
        readable = any(set(chosen) <= there for chosen in filters) and set(columns) <= there
        return np.full(self.size, not readable), UnknownReason.NOT_CONNECTED

    def service_days(self) -> Floats:
        """Shape (n,): whole days since service start; NaN unknown."""
        return self.day - self.service_start

    def window(self, table: str, window_days: int | None, until_days_ago: int = 0) -> Letters:
        """Shape (n,): whether the window is covered, from service start on."""
        end = self.day - until_days_ago
        if window_days is None:
            return self.since(table, np.full(self.size, -np.inf))
        start = end - window_days
        letters = self.coverage.status(table, np.fmax(start, self.service_start), end)
        if until_days_ago:
            # An earlier window says nothing of an account that was not there through all of it.
            return first_reason(letters, (self.service_start > start, UnknownReason.HISTORY_TOO_SHORT))
        return letters

    def since(self, table: str, start: Floats) -> Letters:
        """Shape (n,): whether every day from `start` (or service start, if later) is covered."""
        if table not in self.coverage.spans:
            return np.full(self.size, UnknownReason.NOT_CONNECTED.letter)
        begin = np.fmax(start, self.service_start)
        begin = np.where(np.isfinite(begin), begin, self.coverage.first_day(table))
        begin = np.where(np.isfinite(begin), begin, self.day - 1)
        return self.coverage.status(table, begin, self.day)


def first_reason(*reasons: Letters | tuple[Mask, UnknownReason]) -> Letters:
    """Combine reasons, the first that holds wins; pairs of (where, why) or letters."""
    found = [np.where(r[0], r[1].letter, KNOWN_LETTER) if isinstance(r, tuple) else r for r in reasons]
    letters: Letters = found[0]
    for later in found[1:]:
        letters = np.where(letters == KNOWN_LETTER, later, letters)
    return letters


def answer_unless(values: Floats, *reasons: Letters | tuple[Mask, UnknownReason]) -> Answer:
    """Give `values` where none of the reasons holds; not connected and not applicable come before all others."""
    letters = _in_order(first_reason(*reasons), reasons)
    return Answer(np.where(letters == KNOWN_LETTER, values, np.nan), letters)


def _in_order(letters: Letters, reasons: tuple[Letters | tuple[Mask, UnknownReason], ...]) -> Letters:
    """Not connected, then not applicable, win over whatever was found first."""
    for reason in (UnknownReason.NOT_APPLICABLE, UnknownReason.NOT_CONNECTED):
        for given in reasons:
            if isinstance(given, tuple):
                holds = given[0] if given[1] is reason else np.zeros(len(letters), dtype=bool)
            else:
                holds = given == reason.letter
            letters = np.where(holds, reason.letter, letters)
    return letters


def divided(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; by zero, the result is not finite, and the caller gives the reason."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator


def covered_for(aggregate: schema.Aggregate, known: Known) -> Letters:
    """Shape (n,): whether an aggregate can be told: its columns are delivered, and its window is covered."""
    reach, since = aggregate.window_days, aggregate.by_known_since
    if reach is not None and since is not None:
        reach += since.days
    columns = (*aggregate.columns, since.column) if since is not None else aggregate.columns
    return first_reason(
        known.unread(aggregate, *columns), known.window(aggregate.table, reach, aggregate.until_days_ago)
    )
