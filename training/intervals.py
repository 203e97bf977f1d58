"""The interval of a probability: how far later months lay from what was said, beyond chance; and whether it holds.

Answers are sorted and cut into bins. In each, the share that churned misses what was said by chance (an account
fills several monthly rows, and counts as one), by what the interval already has in it, and by what is left: the
world moved, or the model was wrong there. What is left is a standard deviation in log-odds, tau. Its likelihood
over the bins of all folds is normal in the relative miss, its prior half-normal; the interval takes the root of
the mean of tau squared, which stays above 0 where few churned accounts cannot tell it from chance.

DerSimonian and Laird, *Meta-analysis in clinical trials* (1986), for variance between groups beyond chance; the
mean over a prior instead of their estimate, since that is 0 half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.vectors import Floats
from models.blend import NORMAL_90, Interval
from models.calibration import Platt
from models.numbers import sigmoid
from training.calibrating import Unseen
from training.recipe import IntervalRecipe

MOST_BINS = 10
LARGEST_TAU, STEPS = 2.0, 401


@dataclass(frozen=True, slots=True)
class Binned:
    """Answers in bins, the least probable first; arrays of shape (bins,).

    `miss` is (observed - expected) / expected, `noise` the variance that it has by chance, `places` the rows of
    each bin.
    """

    miss: Floats
    noise: Floats
    places: tuple[npt.NDArray[np.intp], ...]


def binned(probability: Floats, churned: Floats, accounts: npt.NDArray[np.object_], bins: int) -> Binned:
    """Sort n answers into bins of as many rows each."""
    places = tuple(np.array_split(np.argsort(probability, kind="stable"), bins))
    expected = np.array([probability[rows].sum() for rows in places])
    observed = np.array([churned[rows].sum() for rows in places])
    repeats = np.array([_repeats(accounts[rows][churned[rows] == 1]) for rows in places])
    return Binned((observed - expected) / expected, repeats / expected, places)


def _repeats(accounts: npt.NDArray[np.object_]) -> float:
    """How much wider chance is since accounts churn with all their rows: mean rows, each row counted once."""
    if not len(accounts):
        return 1.0
    _, rows = np.unique(accounts.astype(str), return_counts=True)
    return float((rows**2).sum() / rows.sum())


def bins_for(churned_accounts: float, fewest: int) -> int:
    """Return how many bins so many churned accounts fill with at least `fewest` each; at least one, at most ten.

    >>> bins_for(23.0, 5), bins_for(2.0, 5), bins_for(500.0, 5)
    (4, 1, 10)
    """
    return int(np.clip(churned_accounts // fewest, 1, MOST_BINS))


def fit_interval(
    folds: Sequence[Unseen],
    platt: Platt,
    kappa: float,
    weight: float,
    parameters: float,
    recipe: IntervalRecipe,
) -> Interval:
    """Return the recipe of the interval, with tau as the later months of all folds have it.

    Parameters
    ----------
    folds
        What each fold said of later months. None: tau is what the prior makes it.
    platt, kappa
        The calibration and blend that turn it into answers.
    weight
        Churned accounts / churned rows.
    parameters
        That outcomes have moved freely. What they leave open of single accounts evens out in bins, but for the
        level.
    recipe
        The prior, and what else the interval is made of.
    """
    miss, variance = [np.zeros(0)], [np.zeros(0)]
    for fold in folds:
        said = sigmoid(fold.blended(platt, kappa))
        found = binned(said, fold.churned, fold.accounts, bins_for(weight * said.sum(), recipe.fewest_churned))
        miss.append(found.miss)
        variance.append(found.noise + 1.0 / (fold.blend.churned_accounts + recipe.prior_accounts))
    tau = _root_mean_square(np.concatenate(miss), np.concatenate(variance), recipe.later_sd)
    return Interval(recipe.prior_accounts, recipe.disagreement, recipe.unknown, tau, parameters)


def _root_mean_square(miss: Floats, variance: Floats, spread: float) -> float:
    tau = np.linspace(0.0, LARGEST_TAU, STEPS)
    total = variance[:, None] + tau**2
    log_density = -0.5 * (np.log(total) + miss[:, None] ** 2 / total).sum(axis=0) - 0.5 * (tau / spread) ** 2
    density = np.exp(log_density - log_density.max())
    return float(np.sqrt((density * tau**2).sum() / density.sum()))


@dataclass(frozen=True, slots=True)
class IntervalCheck:
    """Whether intervals hold on months that nothing had learnt from.

    Attributes
    ----------
    bins, held
        How many bins there are, and in how many the share that churned lies in the interval, chance allowed for.
    half_width
        Mean half-width, in log-odds.
    chi_squared, limit
        Squared misses over their variances, and what they pass once in a hundred if the intervals hold.
    """

    bins: int
    held: int
    half_width: float
    chi_squared: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether later months missed by no more than intervals and chance explain."""
        return self.chi_squared <= self.limit


def check_intervals(
    log_odds: Floats,
    half: Floats,
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    weight: float,
    recipe: IntervalRecipe,
) -> IntervalCheck:
    """Judge n answers, with half the width of their intervals, by what happened."""
    from scipy.stats import chi2

    said = sigmoid(log_odds)
    found = binned(said, churned, accounts, bins_for(weight * said.sum(), recipe.fewest_churned))
    own = np.array([(half[rows].mean() / NORMAL_90) ** 2 for rows in found.places])
    squared = found.miss**2 / (found.noise + own)
    return IntervalCheck(
        bins=len(squared),
        held=int((squared <= NORMAL_90**2).sum()),
        half_width=float(half.mean()),
        chi_squared=float(squared.sum()),
        limit=float(chi2.ppf(0.99, len(squared))),
    )
