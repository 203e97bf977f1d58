"""Which days of which table were delivered, for each account and date.

Days are whole UTC days since 1970; an `as_of` on day D asks for days before D. An account's own rows in `feeds`
replace those for all accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.measures.letters import KNOWN, Letters, letter
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
        and ascending; an empty span where a pair has fewer.
    """

    size: int
    spans: Mapping[str, tuple[Days, Days]]

    def first_day(self, table: str) -> Days:
        """Shape (n,): the first day delivered; +inf where none was."""
        begins, ends = self.spans[table]
        first: Days = np.where(ends > begins, begins, np.inf).min(axis=1, initial=np.inf)
        return first

    def days(self, table: str, start: Days, end: Days) -> Days:
        """Shape (n,): how many days of ``[start, end)`` were delivered.

        Examples
        --------
        >>> one_hole = Coverage(1, {"usage": (np.array([[0.0, 20.0]]), np.array([[10.0, 30.0]]))})
        >>> one_hole.days("usage", np.array([5.0]), np.array([25.0]))
        array([10.])
        """
        begins, ends = self.spans[table]
        overlap = np.minimum(ends, end[:, None]) - np.maximum(begins, start[:, None])
        days: Days = np.clip(overlap, 0.0, None).sum(axis=1)
        return days

    def status(self, table: str, start: Days, end: Days) -> Letters:
        """Shape (n,): ``.`` where all of ``[start, end)`` was delivered, else why a reading is unknown.

        An empty window is covered. If only what lies before the feed's first day is missing: too short a
        history; any other hole: not delivered.

        Examples
        --------
        >>> from_day_10 = Coverage(1, {"usage": (np.array([[10.0]]), np.array([[30.0]]))})
        >>> def ask(start, end):
        ...     return chr(from_day_10.status("usage", np.array([start]), np.array([end]))[0])
        >>> [ask(10.0, 30.0), ask(5.0, 30.0), ask(10.0, 31.0)]
        ['.', 'h', 'd']
        """
        if table not in self.spans:
            return np.full(self.size, NOT_CONNECTED)
        missing = np.maximum(end - start, 0.0) - self.days(table, start, end)
        from_first = np.maximum(start, self.first_day(table))
        missing_later = np.maximum(end - from_first, 0.0) - self.days(table, from_first, end)
        before_the_feed = (missing_later <= 0) & (self.first_day(table) < end)
        return np.where(missing <= 0, KNOWN, np.where(before_the_feed, HISTORY_TOO_SHORT, NOT_DELIVERED))


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
