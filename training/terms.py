"""An account's contracts as terms of service: runs of them without a long gap, and notice on all that runs.

All moments are midnights, UTC: a date counts from the end of its day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Term:
    """One contract, as known when the history ends.

    Attributes
    ----------
    start, end
        First and last day of service; no end: open.
    notice
        The day notice was given.
    renews_itself
        Whether it goes on unless somebody says otherwise; None where nobody says.
    cut_short
        An earlier version of it ended later.
    signed
        The day it was agreed.
    licences, value
        What it is for; None unknown.
    features
        What its plan offers; None unknown.
    """

    start: dt.date
    end: dt.date | None = None
    notice: dt.date | None = None
    renews_itself: bool | None = None
    cut_short: bool = False
    signed: dt.date | None = None
    licences: float | None = None
    value: float | None = None
    features: frozenset[str] | None = None

    @property
    def last_day(self) -> dt.date:
        """The last day of service, or the last day of all where it is open."""
        return self.end or dt.date.max


def end_of(day: dt.date) -> dt.datetime:
    """Return the midnight that ends `day`.

    >>> end_of(dt.date(2025, 6, 30))
    datetime.datetime(2025, 7, 1, 0, 0)
    """
    return beginning_of(day) + DAY


def beginning_of(day: dt.date) -> dt.datetime:
    """Return the midnight that begins `day`."""
    return dt.datetime.combine(day, dt.time())


def runs(terms: Iterable[Term], grace_days: int) -> list[list[Term]]:
    """Group terms into runs: a gap of at most `grace_days` days without service continues a run.

    Examples
    --------
    >>> first = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31))
    >>> late = Term(dt.date(2025, 1, 31), dt.date(2025, 12, 31))
    >>> len(runs([first, late], grace_days=30)), len(runs([first, late], grace_days=29))
    (1, 2)
    """
    found: list[list[Term]] = []
    last = dt.date.min
    for term in sorted(terms, key=lambda term: (term.start, term.last_day)):
        if term.last_day < term.start:
            continue  # cancelled before it began: never in force
        if found and (last >= term.start or (term.start - last).days - 1 <= grace_days):
            found[-1].append(term)
            last = max(last, term.last_day)
        else:
            found.append([term])
            last = term.last_day
    return found


def last_day_of(run: Sequence[Term]) -> dt.date:
    """Return the last day of service of a run; ``date.max`` where it is open."""
    return max(term.last_day for term in run)


def notice_of(run: Sequence[Term]) -> dt.date | None:
    """Return the first day at the end of which every contract that goes on is under notice.

    Notice on one of several contracts is a contraction, and notice that a renewal overtook is none. Where another
    contract just ends, the day is that of its end: what is left then is under notice.

    Examples
    --------
    >>> year = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31), notice=dt.date(2024, 9, 1))
    >>> notice_of([year])
    datetime.date(2024, 9, 1)
    >>> notice_of([year, Term(dt.date(2025, 1, 1))]) is None
    True
    """
    noticed = [term for term in run if term.notice]
    if not noticed:
        return None
    for day in sorted({day for term in run for day in (term.notice, term.end) if day}):
        given = [term for term in noticed if term.notice and term.notice <= day]
        if any(term.last_day >= day for term in given) and all(t in given for t in run if t.last_day > day):
            return day
    return None
