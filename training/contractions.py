"""When a stay went on with less: fewer licences, lower value, or a plan of fewer features.

A level on one day proves little: a renewal may overlap the contract that it renews, or follow some days late.
So a fall counts if the level on every day of the grace after it is lower than on every day of the grace before.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence

from training.terms import DAY, Term, beginning_of, end_of, last_day_of

Held = Sequence[Term]
Level = Callable[[Held], float | None]


def _total(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return math.fsum(known) if len(known) == len(amounts) else None


def _licences(held: Held) -> float | None:
    return _total([term.licences for term in held])


def _value(held: Held) -> float | None:
    return _total([term.value for term in held])


def _features(held: Held) -> float | None:
    offered = [term.features for term in held if term.features is not None]
    return float(len(frozenset().union(*offered))) if len(offered) == len(held) else None


LEVELS: tuple[Level, ...] = (_licences, _value, _features)


def contractions_of(
    run: Sequence[Term], grace_days: int, observed_until: dt.datetime
) -> tuple[tuple[dt.datetime, ...], tuple[dt.datetime, ...]]:
    """Return when a run of contracts went on with less, and when nobody can tell (yet); both in order.

    The moment is when the smaller level took effect or, if that came first, when it was agreed: the signature of
    what follows, or notice for what ends. A contract that only ended may still be renewed: it is judged when the
    grace is over, and is part of leaving where the whole run ends within it. Where none of licences, value and
    features is known before and after, nobody can tell.

    Examples
    --------
    >>> year = Term(dt.date(2024, 1, 1), dt.date(2024, 12, 31), licences=10)
    >>> smaller = Term(dt.date(2025, 1, 1), signed=dt.date(2024, 11, 30), licences=8)
    >>> contractions_of([year, smaller], 30, dt.datetime(2025, 7, 1))
    ((datetime.datetime(2024, 12, 1, 0, 0),), ())
    >>> contractions_of([year, Term(dt.date(2025, 1, 1))], 30, dt.datetime(2025, 7, 1))
    ((), (datetime.datetime(2025, 1, 1, 0, 0),))
    """
    if len(run) == 1:
        return (), ()
    last = last_day_of(run)
    days = sorted({term.start for term in run} | {term.end + DAY for term in run if term.end and term.end < last})
    held = [[term for term in run if term.start <= day <= term.last_day] for day in days]
    told: dict[bool, set[dt.datetime]] = {True: set(), False: set()}
    for place in range(1, len(days)):
        day, until = days[place], days[place] + grace_days * DAY
        if not held[place]:
            continue
        before = [held[at] for at in range(place) if held[at] and days[at + 1] >= day - grace_days * DAY]
        after = [held[at] for at in range(place, len(days)) if held[at] and days[at] <= until]
        fell = _fell(before, after)
        if fell is False:
            continue
        begun = [term for term in held[place] if term.start == day]
        agreed = _agreed(begun, [term for term in before[-1] if term.last_day < day])
        if not begun and agreed is None and end_of(until) > observed_until:
            fell = None
        elif not begun and last < until:
            continue
        told[fell is True].add(min(beginning_of(day), end_of(agreed)) if agreed else beginning_of(day))
    return tuple(sorted(told[True])), tuple(sorted(told[False]))


def _fell(before: Sequence[Held], after: Sequence[Held]) -> bool | None:
    """Say whether any level after is lower than all before; None where no level can be compared."""
    compared = False
    for level in LEVELS:
        levels = [[level(held) for held in side] for side in (before, after)]
        lowest, highest = (
            None if None in side else pick(amount for amount in side if amount is not None)
            for side, pick in zip(levels, (min, max), strict=True)
        )
        if lowest is None or highest is None:
            continue
        if highest < lowest and not math.isclose(highest, lowest, rel_tol=1e-9):
            return True
        compared = True
    return False if compared else None


def _agreed(begun: Held, ended: Held) -> dt.date | None:
    """Return the day from which it was agreed: all that follows signed, or all that ended under notice."""
    days = [term.signed for term in begun] if begun else [term.notice for term in ended]
    known = [day for day in days if day is not None]
    return max(known) if days and len(known) == len(days) else None
