"""Which days of which table were delivered, for each account and date.

Days are whole UTC days since 1970; an `as_of` on day D asks for days before D. An account's own rows in `feeds`
replace those for all accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.measures.elementwise import Numbers, holds_throughout, where
from features.measures.letters import KNOWN, letter
from features.readings import UnknownReason

Days = npt.NDArray[np.float64]

NOT_CONNECTED = letter(UnknownReason.NOT_CONNECTED)
NOT_DELIVERED = letter(UnknownReason.NOT_DELIVERED)
HISTORY_TOO_SHORT = letter(UnknownReason.HISTORY_TOO_SHORT)


@dataclass(frozen=True)
class Coverage:
    """Delivered days of each table, for n pairs.

    Attributes
    ----------
    size
        n.
    spans
        Per connected table, two arrays of shape (n, most spans): first day, and the day after the last; disjoint
        and ascending; an empty span where a pair has fewer. Read column by column, so best laid out so.
    """

    size: int
    spans: Mapping[str, tuple[Days, Days]]
    _first_days: dict[str, Numbers] = field(default_factory=dict)
    _of_one: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def first_day(self, table: str) -> Numbers:
        """Shape (n,): the first day delivered; +inf where none was."""
        if table not in self._first_days:
            begins, ends = self.spans[table]
            first = np.where(ends > begins, begins, np.inf).min(axis=1, initial=np.inf)
            self._first_days[table] = first.item() if self.size == 1 else first
        return self._first_days[table]

    def days(self, table: str, start: Numbers, end: Numbers) -> Numbers:
        """Shape (n,): how many days of ``[start, end)`` were delivered.

        Examples
        --------
        >>> one_hole = Coverage(1, {"usage": (np.array([[0.0, 20.0]]), np.array([[10.0, 30.0]]))})
        >>> one_hole.days("usage", 5.0, 25.0)
        10.0
        """
        if not isinstance(start, np.ndarray):
            days_of_one = 0.0
            for first, last in self._spans_of_one(table):
                overlap = (end if end < last else last) - (start if start > first else first)
                if overlap > 0:
                    days_of_one += overlap
            return days_of_one
        begins, ends = self.spans[table]
        overlap = np.minimum(ends, end[:, None])
        overlap -= np.maximum(begins, start[:, None])
        days: Days = np.add.reduce(np.maximum(overlap, 0.0, out=overlap), axis=1)
        return days

    def _spans_of_one(self, table: str) -> list[tuple[float, float]]:
        if table not in self._of_one:
            begins, ends = self.spans[table]
            self._of_one[table] = list(zip(begins[0].tolist(), ends[0].tolist(), strict=True))
        return self._of_one[table]

    def _whole_from(self, table: str, end: Numbers) -> Numbers:
        """Shape (n,): from which day on all days before `end` were delivered; `end` if the last one was not."""
        whole = end
        if isinstance(end, np.ndarray):
            begins, ends = self.spans[table]
            for place in reversed(range(begins.shape[1])):
                begin = begins[:, place]
                whole = np.where((begin < whole) & (whole <= ends[:, place]), begin, whole)
            return whole
        for first, last in reversed(self._spans_of_one(table)):
            if first < whole <= last:
                whole = first
        return whole

    def status(self, table: str, start: Numbers, end: Numbers) -> Numbers:
        """Shape (n,): ``.`` where all of ``[start, end)`` was delivered, else why a reading is unknown.

        An empty window is covered. If only what lies before the feed's first day is missing: too short a
        history; any other hole: not delivered.

        Examples
        --------
        >>> from_day_10 = Coverage(1, {"usage": (np.array([[10.0]]), np.array([[30.0]]))})
        >>> def ask(start, end):
        ...     return chr(from_day_10.status("usage", start, end))
        >>> [ask(10.0, 30.0), ask(5.0, 30.0), ask(10.0, 31.0)]
        ['.', 'h', 'd']
        """
        if table not in self.spans:
            return self._all(NOT_CONNECTED)
        whole_from = self._whole_from(table, end)
        covered = start >= whole_from
        if holds_throughout(covered):
            return self._all(KNOWN)
        first_day = self.first_day(table)
        before_the_feed = (first_day >= whole_from) & (first_day < end)
        return where(covered, KNOWN, where(before_the_feed, HISTORY_TOO_SHORT, NOT_DELIVERED))

    def _all(self, why: np.uint8) -> Numbers:
        return why if self.size == 1 else np.full(self.size, why)


def spans(size: int, rows: npt.NDArray[np.intp], first: Days, after: Days, limit: Days) -> tuple[Days, Days]:
    """Arrange feed rows as disjoint spans per pair.

    Parameters
    ----------
    size
        How many pairs.
    rows, first, after
        Per feed row: the pair, the first day, the day after the last (+inf: still delivering).
    limit
        Shape (size,): each pair's own day; later days are cut off.
    """
    order = np.lexsort((first, rows))
    rows, first, after = rows[order], first[order], after[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    most = int(place.max(initial=-1)) + 1
    begins = np.full((size, max(most, 1)), np.inf)
    ends = np.full((size, max(most, 1)), np.inf)
    begins[rows, place] = first
    ends[rows, place] = after
    begins, ends = np.minimum(begins, limit[:, None]), np.minimum(ends, limit[:, None])
    # Spans may overlap: each begins where those before it have ended.
    reached = np.maximum.accumulate(ends, axis=1)
    begins[:, 1:] = np.maximum(begins[:, 1:], np.minimum(reached[:, :-1], ends[:, 1:]))
    return begins, ends
