"""Calibration and the blend, from predictions of months that the models had not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from features.vectors import Floats
from models.blend import Blend
from models.calibration import SMALLEST_SLOPE, Platt
from models.numbers import sigmoid
from training.recipe import BlendRecipe, CalibrationRecipe
from training.scorecard_fit import penalised_logistic

KAPPA_RANGE = (1e-2, 1e5)


@dataclass(frozen=True, slots=True)
class Unseen:
    """What one fold said of the later months that it had not seen; arrays of shape (n,).

    `margin` is the booster's start and what it adds, `scorecard` the scorecard alone, both in log-odds; `blend`
    holds how many churned accounts the fold had learnt from, and its median coverage.
    """

    churned: Floats
    margin: Floats
    scorecard: Floats
    coverage: Floats
    accounts: npt.NDArray[np.object_]
    blend: Blend

    def blended(self, platt: Platt, kappa: float) -> Floats:
        """Return the log-odds that the blend would have had, with this calibration and kappa."""
        blend = replace(self.blend, kappa=kappa)
        return blend.log_odds(self.coverage, platt(self.margin), self.scorecard)


def fit_platt(
    margin: Floats,
    churned: Floats,
    weight: float,
    recipe: CalibrationRecipe,
    fold: npt.NDArray[np.intp] | None = None,
) -> Platt:
    """Return the calibration a + b · margin, b at least 0.05.

    Maximum likelihood with normal priors: the slope b ~ (1, slope_sd), and a shift ~ (0, shift_sd) of the level
    where most is to be learnt, so that a slope alone moves no level. Few churned accounts leave the margins as
    they are. Every fold may lie off by a level of its own ~ (0, level_sd): what goes up and down from one period
    to the next says nothing of the next one, only what all folds share does.

    Parameters
    ----------
    margin
        Shape (n,): log-odds of later months.
    churned
        Shape (n,): 1 or 0.
    weight
        What one row counts: churned accounts / churned rows.
    fold
        Shape (n,): which of 0, 1, … each row belongs to; None: levels are not told apart.

    Examples
    --------
    >>> from training.recipe import load_recipe
    >>> fit_platt(np.zeros(0), np.zeros(0), 1.0, load_recipe().calibration)
    Platt(a=0.0, b=1.0)
    """
    probability = sigmoid(margin)
    middle = float(np.average(margin, weights=probability * (1 - probability))) if len(margin) else 0.0
    levels = np.zeros((len(margin), 0)) if fold is None else fold[:, None] == np.arange(fold.max(initial=-1) + 1)
    folds = levels.shape[1]
    fitted = penalised_logistic(
        np.column_stack([levels, margin - middle]),
        churned,
        centre=np.r_[middle, np.zeros(folds), 1.0],
        spread=np.r_[recipe.shift_sd, np.full(folds, recipe.level_sd), recipe.slope_sd],
        weight=weight,
        free=folds,
    )
    slope = max(float(fitted[-1]), SMALLEST_SLOPE)
    return Platt(float(fitted[0]) - slope * middle, slope)


def fit_kappa(folds: Sequence[Unseen], platt: Platt, weight: float, recipe: BlendRecipe) -> float:
    """Return the kappa under which the blend would have told those later months best.

    One number by maximum likelihood over all folds, each at its own count of churned accounts, with a log-normal
    prior around ``kappa_prior``; never negative. No folds: the prior.

    Parameters
    ----------
    folds
        What each fold said.
    platt
        The calibration.
    weight
        What one row counts.
    """
    from scipy.optimize import minimize_scalar

    calibrated = [platt(fold.margin) for fold in folds]

    def loss(log_kappa: float) -> float:
        away = (log_kappa - math.log(recipe.kappa_prior)) / recipe.kappa_prior_log_sd
        total = 0.5 * away * away
        for fold, model in zip(folds, calibrated, strict=True):
            blend = Blend(math.exp(log_kappa), fold.blend.churned_accounts, fold.blend.median_coverage)
            log_odds = blend.log_odds(fold.coverage, model, fold.scorecard)
            total += weight * float((np.logaddexp(0.0, log_odds) - fold.churned * log_odds).sum())
        return total

    bounds = (math.log(KAPPA_RANGE[0]), math.log(KAPPA_RANGE[1]))
    return float(math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
