"""An account's spells of service, from contracts and recorded outcomes: when each began, and how it ended.

A *spell* is one stay of an account with us: contracts whose gaps are at most ``lapse_grace_days`` belong to
one spell; who returns later starts anew. All moments are midnights, UTC: a date counts from the end of its day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from training.contractions import contractions_of
from training.definition import CANCELLATION, LAPSE, NON_RENEWAL
from training.terms import DAY, Term, beginning_of, end_of, last_day_of, notice_of, runs

Moments = tuple[dt.datetime, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """One recorded outcome that ended the service on `day`, or made it smaller from then on.

    `notice` is the day they said so, if they did.
    """

    day: dt.date
    notice: dt.date | None = None
    involuntary: bool = False
    kind: str = CANCELLATION

    def known_at(self, observed_until: dt.datetime) -> dt.datetime | None:
        """Return the first moment of the two that has come."""
        days = [self.day] if self.notice is None else [self.notice, self.day]
        return min((end_of(day) for day in days if end_of(day) <= observed_until), default=None)


@dataclass(frozen=True, slots=True)
class Spell:
    """One stay of an account.

    Attributes
    ----------
    begins
        First moment of service.
    event
        Notice or the end of service, whichever came first: from then on it is no longer ours to lose. None where
        neither happened.
    kind, involuntary
        How it left; empty where it did not.
    doubtful_from
        From here on nobody knows yet: a contract ended and it is too early to call it lapsed, or it ended
        and the company's own record of outcomes does not say how.
    contractions
        When it went on with less, before it left; in order.
    unclear
        When it may have, and nobody can tell; in order.
    """

    begins: dt.datetime
    event: dt.datetime | None = None
    kind: str = ""
    involuntary: bool = False
    doubtful_from: dt.datetime | None = None
    contractions: Moments = ()
    unclear: Moments = ()


def derived_spells(terms: Iterable[Term], grace_days: int, observed_until: dt.datetime) -> list[Spell]:
    """Return the spells that contracts alone tell of.

    A run that ended is churn once `grace_days` have passed without a new contract, or at once where notice
    had been given; before that nobody knows.

    Examples
    --------
    >>> year = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31))
    >>> [spell] = derived_spells([year], 30, dt.datetime(2025, 3, 1))
    >>> spell.event, spell.kind
    (datetime.datetime(2025, 1, 1, 0, 0), 'lapse')
    >>> [spell] = derived_spells([year], 30, dt.datetime(2025, 1, 15))
    >>> spell.event, spell.doubtful_from
    (None, datetime.datetime(2025, 1, 1, 0, 0))
    """
    until = observed_until
    return [
        with_contractions(_derived(run, grace_days, until), *contractions_of(run, grace_days, until))
        for run in runs(terms, grace_days)
    ]


def with_contractions(spell: Spell, contractions: Moments, unclear: Moments = ()) -> Spell:
    """Return the spell with what happened between its beginning and its leaving."""

    def inside(moments: Moments) -> Moments:
        return tuple(at for at in moments if at > spell.begins and (spell.event is None or at < spell.event))

    return replace(spell, contractions=inside(contractions), unclear=inside(unclear))


def _derived(run: Sequence[Term], grace_days: int, observed_until: dt.datetime) -> Spell:
    open_ = _still_open(run, observed_until)
    if open_ is not None:
        return open_
    begins, notice, ended = beginning_of(run[0].start), _notice_by(run, observed_until), end_of(last_day_of(run))
    if notice is None and ended + grace_days * DAY > observed_until:
        return Spell(begins, doubtful_from=ended)
    return Spell(begins, min(notice, ended) if notice else ended, _kind(run, notice))


def _still_open(run: Sequence[Term], observed_until: dt.datetime) -> Spell | None:
    """Return the spell of a run that has not ended, perhaps under notice; None if it has ended."""
    last = last_day_of(run)
    if last != dt.date.max and end_of(last) <= observed_until:
        return None
    notice = _notice_by(run, observed_until)
    return Spell(beginning_of(run[0].start), notice, _kind(run, notice) if notice else "")


def _kind(run: Sequence[Term], notice: dt.datetime | None) -> str:
    """Say how a run ended or will end: what ends by itself is not renewed, all else is cancelled or lapses."""
    last = last_day_of(run)
    final = [term for term in run if term.last_day == last]
    if all(term.renews_itself is False and term.end is not None and not term.cut_short for term in final):
        return NON_RENEWAL
    said = notice is not None and (last == dt.date.max or notice <= end_of(last))
    return CANCELLATION if said else LAPSE


def _notice_by(run: Sequence[Term], observed_until: dt.datetime) -> dt.datetime | None:
    day = notice_of(run)
    return end_of(day) if day and end_of(day) <= observed_until else None


def recorded_spells(
    terms: Sequence[Term],
    endings: Iterable[Ending],
    grace_days: int,
    observed_until: dt.datetime,
    contractions: Iterable[Ending] | None = None,
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
    contractions
        Outcomes of the kind contraction; None: the company names none, and the contracts tell.
    """
    known = None
    if contractions is not None:
        moments = (one.known_at(observed_until) for one in contractions)
        known = tuple(sorted({moment for moment in moments if moment is not None}))

    def told(spell: Spell, run: Sequence[Term]) -> Spell:
        found = contractions_of(run, grace_days, observed_until) if known is None else (known, ())
        return with_contractions(spell, *found)

    spells: list[Spell] = []
    left = list(terms)
    for ending in sorted(endings, key=lambda ending: ending.day):
        over = end_of(ending.day)
        before = runs((term for term in left if beginning_of(term.start) < over), grace_days)
        left = [term for term in left if beginning_of(term.start) >= over]
        spells += [told(_unrecorded(run, observed_until), run) for run in before[:-1]]
        spells += [told(_recorded(run, ending, observed_until), run) for run in before[-1:]]
    return spells + [told(_unrecorded(run, observed_until), run) for run in runs(left, grace_days)]


def _unrecorded(run: Sequence[Term], observed_until: dt.datetime) -> Spell:
    open_ = _still_open(run, observed_until)
    if open_ is not None:
        return open_
    begins, notice, ended = beginning_of(run[0].start), _notice_by(run, observed_until), end_of(last_day_of(run))
    return Spell(begins, doubtful_from=min(notice, ended) if notice else ended)


def _recorded(run: Sequence[Term], ending: Ending, observed_until: dt.datetime) -> Spell:
    moments = (_notice_by(run, observed_until), ending.known_at(observed_until))
    event = min((moment for moment in moments if moment is not None), default=None)
    spell = Spell(beginning_of(run[0].start), event)
    return replace(spell, kind=ending.kind, involuntary=ending.involuntary) if event else spell
