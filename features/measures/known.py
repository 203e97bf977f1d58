"""What is known of pairs of account and date, and the reasons why something is not.

The order of reasons, where several hold: not connected, not applicable, not delivered or too short a history, too
few, nothing to divide by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.catalogue import schema
from features.measures.coverage import Coverage
from features.measures.letters import KNOWN, Letters, letter
from features.measures.scope import Quantity
from features.readings import UnknownReason
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

    Measures are read twice: first with n = 0, to learn which quantities they need; then with the numbers, each
    worked out when it is first asked for.
    """

    size: int
    day: Floats  # the date's day since 1970
    seconds: Floats  # the date's moment, seconds since 1970
    service_start: Floats  # day since 1970, NaN unknown
    stage: npt.NDArray[np.int64]  # place in STAGES; -1 unknown
    coverage: Coverage
    connected: frozenset[str]
    delivered: Mapping[str, frozenset[str]]  # per table: the columns that the company delivers, or that default
    ended_columns: Mapping[str, str]
    measure: Callable[[Quantity], Floats]  # shape (n,)
    numbers: dict[Quantity, Floats] = field(default_factory=dict)

    def number(self, quantity: Quantity) -> Floats:
        """Shape (n,): the quantity, NaN where there are no rows."""
        if quantity.table not in self.connected:
            return np.full(self.size, np.nan)
        if quantity not in self.numbers:
            self.numbers[quantity] = self.measure(quantity)
        return self.numbers[quantity]

    def count(self, quantity: Quantity) -> Floats:
        """Shape (n,): the quantity, 0 where there are no rows."""
        return np.nan_to_num(self.number(quantity), nan=0.0)

    def unread(self, rows: schema.Rows, *columns: str) -> tuple[bool, UnknownReason]:
        """Whether the rows cannot be told apart: a column is not delivered, and null must not read as "none".

        One filter whose columns are all there is enough: what it matches is known.
        """
        there = self.delivered.get(rows.table, frozenset()) | {"day"}
        filters = rows.any_of or ({},)
        readable = any(set(chosen) <= there for chosen in filters) and set(columns) <= there
        return not readable, UnknownReason.NOT_CONNECTED

    def in_stage(self, stages: Sequence[str]) -> Mask:
        """Shape (n,): whether the account is in one of the lifecycle stages; unknown is in none."""
        chosen = np.array([*(stage in stages for stage in schema.STAGES), False])
        return chosen[self.stage]

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
            return first_reason(letters, (~(self.service_start <= start), UnknownReason.HISTORY_TOO_SHORT))
        return letters

    def since(self, table: str, start: Floats) -> Letters:
        """Shape (n,): whether every day from `start` (or service start, if later) is covered."""
        if table not in self.coverage.spans:
            return np.full(self.size, letter(UnknownReason.NOT_CONNECTED))
        begin = np.fmax(start, self.service_start)
        begin = np.where(np.isfinite(begin), begin, self.coverage.first_day(table))
        begin = np.where(np.isfinite(begin), begin, self.day - 1)
        return self.coverage.status(table, begin, self.day)


Reason = Letters | tuple[Mask | bool, UnknownReason]


def first_reason(*reasons: Reason) -> Letters:
    """Combine reasons, the first that holds wins; pairs of (where, why) or letters."""
    parts = [reason[0] if isinstance(reason, tuple) else reason for reason in reasons]
    letters = np.full(np.broadcast_shapes(*(np.shape(part) for part in parts)), KNOWN)
    for reason in reversed(reasons):
        if isinstance(reason, tuple):
            np.copyto(letters, letter(reason[1]), where=reason[0])
        else:
            np.copyto(letters, reason, where=reason != KNOWN)
    return letters


def answer_unless(values: Floats, *reasons: Reason) -> Answer:
    """Give `values` where none of the reasons holds; not connected and not applicable come before all others."""
    letters = np.full(len(values), KNOWN)
    np.copyto(letters, first_reason(*reasons))
    for why in (UnknownReason.NOT_APPLICABLE, UnknownReason.NOT_CONNECTED):
        for reason in reasons:
            if not isinstance(reason, tuple):
                np.copyto(letters, letter(why), where=reason == letter(why))
            elif reason[1] is why:
                np.copyto(letters, letter(why), where=reason[0])
    return Answer(np.where(letters == KNOWN, values, np.nan), letters)


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
