"""What is known of pairs of account and date, and the reasons why something is not.

The order of reasons, where several hold: not connected, not applicable, not delivered or too short a history, too
few, nothing to divide by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.catalogue import schema
from features.measures.coverage import Coverage
from features.measures.elementwise import Numbers, finite, fmax, negated, or_else, where
from features.measures.letters import KNOWN, Letters, letter
from features.measures.scope import Quantity
from features.readings import UnknownReason
from features.vectors import Floats

Mask = npt.NDArray[np.bool_]
NOT_CONNECTED, NOT_APPLICABLE = letter(UnknownReason.NOT_CONNECTED), letter(UnknownReason.NOT_APPLICABLE)


class Answer(NamedTuple):
    """Shape (n,), or of one: values (NaN where unknown) and letters (``.`` where known)."""

    values: Numbers
    letters: Numbers


@dataclass(frozen=True)
class Connected:
    """What a company delivers.

    Attributes
    ----------
    tables
        Those that are connected.
    columns
        Per table, the columns that can be read: those that the company delivers, and those with a default.
    ended
        Per table that has one, the column that says when its rows ended.
    """

    tables: frozenset[str]
    columns: Mapping[str, frozenset[str]]
    ended: Mapping[str, str]

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def unread(self, rows: schema.Rows, *columns: str) -> tuple[bool, UnknownReason]:
        """Whether the rows cannot be told apart: a column is not delivered, and null must not read as "none".

        One filter whose columns are all there is enough: what it matches is known.
        """
        there = self.columns.get(rows.table, frozenset()) | {"day"}
        filters = rows.any_of or ({},)
        readable = any(set(chosen) <= there for chosen in filters) and set(columns) <= there
        return not readable, UnknownReason.NOT_CONNECTED

    def without(self, table: str) -> tuple[bool, UnknownReason]:
        """Whether a table is not connected."""
        return table not in self.tables, UnknownReason.NOT_CONNECTED


@dataclass
class Known:
    """What is known of n pairs of account and date; asks for quantities, and remembers their numbers.

    What is of shape (n,) is a plain number where n is 1, as :mod:`~features.measures.elementwise` says why.

    Measures are read first with n = 0, to learn which quantities they need; then with the numbers, each
    worked out when it is first asked for.
    """

    size: int
    day: Floats  # the date's day since 1970
    seconds: Floats  # the date's moment, seconds since 1970
    service_start: Floats  # day since 1970, NaN unknown
    stage: npt.NDArray[np.int64]  # place in STAGES; -1 unknown
    coverage: Coverage
    connected: Connected
    measure: Callable[[Quantity], Floats]  # shape (n,)
    _numbers: dict[Quantity, Floats] = field(default_factory=dict)
    _windows: dict[tuple[str, int | None, int], Letters] = field(default_factory=dict)

    def all(self, value: Any) -> Numbers:
        """Shape (n,): the same for all."""
        return value if self.size == 1 else np.full(self.size, value)

    def number(self, quantity: Quantity) -> Numbers:
        """Shape (n,): the quantity, NaN where there are no rows, or no table."""
        found = self._numbers.get(quantity)
        if found is None:
            found = self._numbers[quantity] = self.measure(quantity)
        return found

    def count(self, quantity: Quantity) -> Numbers:
        """Shape (n,): the quantity, 0 where there are no rows."""
        return or_else(self.number(quantity), 0.0)

    def in_stage(self, stages: Sequence[str]) -> Numbers:
        """Shape (n,): whether the account is in one of the lifecycle stages; unknown is in none."""
        chosen = [*(stage in stages for stage in schema.STAGES), False]
        return chosen[self.stage] if isinstance(self.stage, int) else np.array(chosen)[self.stage]

    def service_days(self) -> Floats:
        """Shape (n,): whole days since service start; NaN unknown."""
        return self.day - self.service_start

    def window(self, table: str, window_days: int | None, until_days_ago: int = 0) -> Numbers:
        """Shape (n,): whether the window is covered, from service start on."""
        asked = (table, window_days, until_days_ago)
        found = self._windows.get(asked)
        if found is None:
            found = self._windows[asked] = self._window(*asked)
        return found

    def _window(self, table: str, window_days: int | None, until_days_ago: int) -> Numbers:
        end = self.day - until_days_ago
        if window_days is None:
            return self.since(table, self.all(-math.inf))
        start = end - window_days
        letters = self.coverage.status(table, fmax(start, self.service_start), end)
        if until_days_ago:
            # An earlier window says nothing of an account that was not there through all of it.
            return first_reason(letters, (negated(self.service_start <= start), UnknownReason.HISTORY_TOO_SHORT))
        return letters

    def since(self, table: str, start: Floats) -> Numbers:
        """Shape (n,): whether every day from `start` (or service start, if later) is covered."""
        if table not in self.coverage.spans:
            return self.all(NOT_CONNECTED)
        begin = fmax(start, self.service_start)
        begin = where(finite(begin), begin, self.coverage.first_day(table))
        begin = where(finite(begin), begin, self.day - 1)
        return self.coverage.status(table, begin, self.day)


Reason = Letters | tuple[Mask | bool, UnknownReason]


def first_reason(*reasons: Reason) -> Numbers:
    """Combine reasons, the first that holds wins; pairs of (where, why) or letters; at least one is of n pairs."""
    for reason in reasons:
        part = reason[0] if isinstance(reason, tuple) else reason
        if isinstance(part, np.ndarray):
            return _of_many(len(part), reasons)
    for reason in reasons:
        why = _letter_of_one(reason)
        if why != KNOWN:
            return why
    return KNOWN


def _letter_of_one(reason: Reason) -> Numbers:
    if not isinstance(reason, tuple):
        return reason
    return letter(reason[1]) if reason[0] else KNOWN


def _of_many(size: int, reasons: Sequence[Reason]) -> Letters:
    letters = np.full(size, KNOWN)
    for reason in reversed(reasons):
        if not isinstance(reason, tuple):
            np.copyto(letters, reason, where=reason != KNOWN)
        elif reason[0] is not False:
            np.copyto(letters, letter(reason[1]), where=reason[0])
    return letters


def answer_unless(values: Numbers, *reasons: Reason) -> Answer:
    """Give `values` where none of the reasons holds; not connected and not applicable come before all others."""
    if not isinstance(values, np.ndarray):
        why = KNOWN
        for reason in reasons:
            found = _letter_of_one(reason)
            if found == NOT_CONNECTED:
                return Answer(math.nan, found)
            if why == KNOWN or found == NOT_APPLICABLE:
                why = found
        return Answer(values if why == KNOWN else math.nan, why)
    letters = _of_many(len(values), reasons)
    for why in (NOT_APPLICABLE, NOT_CONNECTED):
        for reason in reasons:
            if not isinstance(reason, tuple):
                np.copyto(letters, why, where=reason == why)
            elif letter(reason[1]) == why and reason[0] is not False:
                np.copyto(letters, why, where=reason[0])
    return Answer(np.where(letters == KNOWN, values, np.nan), letters)


def covered_for(aggregate: schema.Aggregate, connected: Connected) -> Callable[[Known], Numbers]:
    """Return what tells, shape (n,), whether an aggregate's columns are delivered and its window is covered."""
    reach, since = aggregate.window_days, aggregate.by_known_since
    if reach is not None and since is not None:
        reach += since.days
    columns = (*aggregate.columns, since.column) if since is not None else aggregate.columns
    unread = connected.unread(aggregate, *columns)

    def covered(known: Known) -> Numbers:
        window = known.window(aggregate.table, reach, aggregate.until_days_ago)
        return first_reason(unread, window) if unread[0] else window

    return covered
