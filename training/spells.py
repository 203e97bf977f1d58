"""An account's spells of service, from contracts and recorded outcomes: when each began, and how it ended.

A *spell* is one stay of an account with us: contracts whose gaps are at most ``lapse_grace_days`` belong to
one spell; who returns later starts anew. All moments are midnights, UTC: a date counts from the end of its day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Term:
    """One contract: first and last day of service (None: open-ended), and the day notice was given."""

    start: dt.date
    end: dt.date | None = None
    notice: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """One recorded outcome that ended the service on `day`; `notice` is the day they said so, if they did."""

    day: dt.date
    notice: dt.date | None = None
    involuntary: bool = False


@dataclass(frozen=True, slots=True)
class Spell:
    """One stay of an account.

    Attributes
    ----------
    begins
        First moment of service.
    event
        Notice or churn, whichever came first; None where neither happened.
    ended
        The moment from which the account is no longer ours to lose, counted as churn or not.
    doubtful_from
        From here on nobody knows yet: a contract ended and it is too early to call it lapsed, or it ended
        and the company's own record of outcomes does not say how.
    """

    begins: dt.datetime
    event: dt.datetime | None = None
    ended: dt.datetime | None = None
    doubtful_from: dt.datetime | None = None


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
    for term in sorted(terms, key=lambda term: (term.start, term.end or dt.date.max)):
        end = term.end or dt.date.max
        if end < term.start:
            continue  # cancelled before it began: never in force
        if found and (last >= term.start or (term.start - last).days - 1 <= grace_days):
            found[-1].append(term)
            last = max(last, end)
        else:
            found.append([term])
            last = end
    return found


def notice_of(run: Sequence[Term]) -> dt.date | None:
    """Return the day from which every contract of the run that had not ended by then was under notice.

    Notice on one of several contracts is a contraction, and notice that a renewal overtook is none.

    Examples
    --------
    >>> year = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31), notice=dt.date(2024, 9, 1))
    >>> notice_of([year])
    datetime.date(2024, 9, 1)
    >>> notice_of([year, Term(dt.date(2025, 1, 1))]) is None
    True
    """
    for day in sorted({term.notice for term in run if term.notice}):
        left = [term for term in run if term.end is None or term.end >= day]
        if all(term.notice is not None and term.notice <= day for term in left):
            return day
    return None


def derived_spells(terms: Iterable[Term], grace_days: int, observed_until: dt.datetime) -> list[Spell]:
    """Return the spells that contracts alone tell of.

    A run that ended is churn once `grace_days` have passed without a new contract, or at once where notice
    had been given; before that nobody knows.

    Examples
    --------
    >>> year = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31))
    >>> [spell] = derived_spells([year], 30, dt.datetime(2025, 3, 1))
    >>> spell.event
    datetime.datetime(2025, 1, 1, 0, 0)
    >>> [spell] = derived_spells([year], 30, dt.datetime(2025, 1, 15))
    >>> spell.event, spell.doubtful_from
    (None, datetime.datetime(2025, 1, 1, 0, 0))
    """
    return [_derived(run, grace_days, observed_until) for run in runs(terms, grace_days)]


def _derived(run: Sequence[Term], grace_days: int, observed_until: dt.datetime) -> Spell:
    begins, notice, ended = beginning_of(run[0].start), _notice_by(run, observed_until), _end_of_run(run)
    if ended is None or ended > observed_until:
        return Spell(begins, event=notice, ended=notice)
    if notice is None and ended + grace_days * DAY > observed_until:
        return Spell(begins, doubtful_from=ended)
    event = min(notice, ended) if notice else ended
    return Spell(begins, event=event, ended=event)


def _end_of_run(run: Sequence[Term]) -> dt.datetime | None:
    last = max(term.end or dt.date.max for term in run)
    return None if last == dt.date.max else end_of(last)


def _notice_by(run: Sequence[Term], observed_until: dt.datetime) -> dt.datetime | None:
    day = notice_of(run)
    return end_of(day) if day and end_of(day) <= observed_until else None


def recorded_spells(
    terms: Sequence[Term],
    endings: Iterable[Ending],
    grace_days: int,
    observed_until: dt.datetime,
    involuntary_counts: bool = True,
) -> list[Spell]:
    """Return the spells where the company records outcomes: its record says what was churn, and when.

    A contract run that is over without a recorded ending is doubtful from its end (or notice): neither
    churned nor stayed. Notice on a contract still running counts, recorded or not.

    Parameters
    ----------
    terms
        The account's contracts; where none are connected, one open-ended term from when it came, and one from
        each day it came back.
    endings
        Outcomes of a kind that ends the service.
    grace_days, observed_until
        As for :func:`derived_spells`.
    involuntary_counts
        Whether an involuntary ending is churn; if not, the account leaves without having churned.
    """
    spells: list[Spell] = []
    left = list(terms)
    for ending in sorted(endings, key=lambda ending: ending.day):
        over = end_of(ending.day)
        before = runs((term for term in left if beginning_of(term.start) < over), grace_days)
        left = [term for term in left if beginning_of(term.start) >= over]
        spells += [_unrecorded(run, observed_until) for run in before[:-1]]
        spells += [_recorded(run, ending, observed_until, involuntary_counts) for run in before[-1:]]
    return spells + [_unrecorded(run, observed_until) for run in runs(left, grace_days)]


def _unrecorded(run: Sequence[Term], observed_until: dt.datetime) -> Spell:
    begins, notice, ended = beginning_of(run[0].start), _notice_by(run, observed_until), _end_of_run(run)
    if ended is None or ended > observed_until:
        return Spell(begins, event=notice, ended=notice)
    return Spell(begins, doubtful_from=min(notice, ended) if notice else ended)


def _recorded(run: Sequence[Term], ending: Ending, observed_until: dt.datetime, involuntary_counts: bool) -> Spell:
    begins, notice = beginning_of(run[0].start), _notice_by(run, observed_until)
    said = [notice] if notice else []
    days = [ending.day] if ending.notice is None else [ending.notice, ending.day]
    event = min([*said, *(end_of(day) for day in days if end_of(day) <= observed_until)], default=None)
    counts = involuntary_counts or not ending.involuntary
    return Spell(begins, event=event if counts else None, ended=event)
