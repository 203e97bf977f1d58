"""Other horizons than the model's own: one discrete-time hazard, so that none contradicts another.

The model answers for one horizon. Of those who leave within it, sigmoid(shift + slope · z) have left by the next
shorter one, z being the answer's log-odds; of those who are still there at its end, sigmoid(shift + slope · z)
leave until the next longer one: a discrete-time hazard. Such shares lie between 0 and 1, and slopes are never
negative: a later horizon is never less probable than an earlier one, and more risk at one horizon is never less
at another.

Singer and Willett, *It's about time: using discrete-time survival analysis* (1993), for the stretches by
themselves; that a stretch is logistic in one score of the account is what few churned accounts can tell.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from features.errors import BundleError
from features.vectors import Floats
from models.numbers import sigmoid


class Horizon(NamedTuple):
    """One horizon of one answer; `extrapolated`: no later months have shown that its probability holds."""

    days: int
    churn_probability: float
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """The days between one horizon and the next, away from the model's own.

    Attributes
    ----------
    days
        The horizon that it leads to.
    shift, slope
        Of the log-odds: of having left by then, of those who leave within the longer horizon (shorter ones); of
        leaving within the stretch (longer ones).
    proven
        Whether later months have shown that the probability holds.
    """

    days: int
    shift: float
    slope: float
    proven: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shift) and math.isfinite(self.slope) and self.slope >= 0):
            raise BundleError(
                f"horizon of {self.days} days: shift {self.shift}, slope {self.slope}; both must be finite and "
                "the slope not negative, so that more risk never becomes less. Train again (`keepsight train`)."
            )

    def log_odds(self, z: Floats) -> Floats:
        """Shape (n,): of accounts whose answer has the log-odds `z`."""
        return self.shift + self.slope * z


@dataclass(frozen=True, slots=True)
class Hazard:
    """How the model's own horizon is cut into shorter ones, and goes on to longer ones.

    Attributes
    ----------
    days
        The model's own horizon.
    sooner, later
        Stretches, from the own horizon outwards.

    Examples
    --------
    >>> Hazard.constant(90, [30, 365]).probabilities(np.array([-2.0])).round(3).tolist()
    [[0.04, 0.119, 0.377]]
    """

    days: int
    sooner: tuple[Stretch, ...] = ()
    later: tuple[Stretch, ...] = ()

    def __post_init__(self) -> None:
        if list(self.horizons) != sorted(set(self.horizons)) or self.horizons[0] < 1:
            raise BundleError(f"horizons {[*self.horizons]}: not in order. Train again (`keepsight train`).")

    @classmethod
    def constant(cls, days: int, horizons: Collection[int]) -> Hazard:
        """Return the hazard that stays about what it is: nothing is known of when accounts leave."""
        sooner = sorted((d for d in horizons if d < days), reverse=True)
        later = sorted(d for d in horizons if d > days)
        shares = [Stretch(d, share_shift(d, longer), 0.0) for longer, d in pairwise([days, *sooner])]
        after = [Stretch(d, *as_before(days, begin, d)) for begin, d in pairwise([days, *later])]
        return cls(days, tuple(shares), tuple(after))

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days of all horizons, ascending."""
        return (*(one.days for one in reversed(self.sooner)), self.days, *(one.days for one in self.later))

    @property
    def extrapolated(self) -> tuple[bool, ...]:
        """Of each horizon, whether nothing has shown that it holds."""
        return (*(not one.proven for one in reversed(self.sooner)), False, *(not one.proven for one in self.later))

    def probabilities(self, z: Floats) -> Floats:
        """Return the probabilities of leaving within each horizon.

        Parameters
        ----------
        z
            Shape (n,): log-odds of the answers for the own horizon.

        Returns
        -------
        Floats
            Shape (n, horizons), not falling from left to right; the own horizon's is ``sigmoid(z)``, bit for bit.
        """
        own = sigmoid(z)
        columns, last = [own], own
        for one in self.sooner:
            last = last * sigmoid(one.log_odds(z))
            columns.insert(0, last)
        last = own
        for one in self.later:
            last = np.minimum(last + (1.0 - last) * sigmoid(one.log_odds(z)), 1.0)
            columns.append(last)
        return np.column_stack(columns)

    def answers(self, z: Floats) -> list[tuple[Horizon, ...]]:
        """Return the horizons of each of n answers."""
        rows = self.probabilities(z).tolist()
        return [tuple(map(Horizon, self.horizons, row, self.extrapolated)) for row in rows]

    def with_proven(self, days: Collection[int]) -> Hazard:
        """Return it with these horizons, and no others, marked as proven."""

        def marked(stretches: Sequence[Stretch]) -> tuple[Stretch, ...]:
            return tuple(replace(one, proven=one.days in days) for one in stretches)

        return replace(self, sooner=marked(self.sooner), later=marked(self.later))

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any]) -> Hazard:
        """Read back what :func:`dataclasses.asdict` made.

        Raises
        ------
        BundleError, KeyError, TypeError
            Not that of a hazard.
        """
        sooner, later = (tuple(Stretch(**one) for one in raw[name]) for name in ("sooner", "later"))
        return cls(int(raw["days"]), sooner, later)


def share_shift(days: int, longer: int) -> float:
    """Return the log-odds of having left after `days`, of those who leave within `longer` days, about.

    >>> share_shift(45, 90)
    0.0
    """
    return math.log(days / (longer - days))


def as_before(own: int, begin: int, end: int) -> tuple[float, float]:
    """Return shift and slope of a stretch from `begin` to `end` days, if accounts leave about as before.

    >>> as_before(90, 90, 180)
    (0.0, 1.0)
    """
    return math.log((end - begin) / own), 1.0
