"""When within the model's horizon accounts leave, and after it: the stretches of :mod:`models.hazard`, fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from features.vectors import Floats
from models.hazard import Hazard, Stretch, as_before, share_shift
from training.recipe import HorizonRecipe
from training.scorecard_fit import penalised_logistic


@dataclass(frozen=True, slots=True)
class Told:
    """Answers about months that the model had not seen, and what happened; arrays of shape (n,).

    `log_odds` are those of the answers for the own horizon; `churned` holds by horizon 1, 0 or NaN (nobody knows
    yet); `weight` is what a row counts: churned accounts / churned rows.
    """

    log_odds: Floats
    churned: Mapping[int, Floats]
    weight: float


def fit_hazard(own: int, told: Told, recipe: HorizonRecipe) -> Hazard:
    """Return the hazard by which the answers would have told all horizons best.

    Each stretch by penalised likelihood, drawn to a hazard that stays what it is: of a shorter horizon, who of
    those that left within the longer one had left by then; of a longer one, who of those that were still there
    left until then. Without such rows a stretch stays where it is drawn to.

    Parameters
    ----------
    own
        The model's own horizon, in days.
    told
        Pooled out-of-time answers, with labels of all horizons.
    recipe
        The horizons, and how strong the priors are.
    """
    sooner = sorted((days for days in recipe.days if days < own), reverse=True)
    later = sorted(days for days in recipe.days if days > own)
    return Hazard(
        own,
        tuple(_sooner(days, longer, told, recipe) for longer, days in pairwise([own, *sooner])),
        tuple(_later(days, shorter, own, told, recipe) for shorter, days in pairwise([own, *later])),
    )


def _sooner(days: int, longer: int, told: Told, recipe: HorizonRecipe) -> Stretch:
    by_then, by_longer = told.churned[days], told.churned[longer]
    left = (by_longer == 1) & ~np.isnan(by_then)
    centre = share_shift(days, longer), 0.0
    return Stretch(days, *_drawn(told.log_odds[left], by_then[left], centre, told.weight, recipe))


def _later(days: int, shorter: int, own: int, told: Told, recipe: HorizonRecipe) -> Stretch:
    by_then, by_shorter = told.churned[days], told.churned[shorter]
    there = (by_shorter == 0) & ~np.isnan(by_then)
    centre = as_before(own, shorter, days)
    return Stretch(days, *_drawn(told.log_odds[there], by_then[there], centre, told.weight, recipe))


def _drawn(
    log_odds: Floats, churned: Floats, centre: Sequence[float], weight: float, recipe: HorizonRecipe
) -> tuple[float, float]:
    shift, slope = penalised_logistic(
        log_odds[:, None],
        churned,
        centre=np.array(centre),
        spread=np.array([recipe.shift_sd, recipe.slope_sd]),
        weight=weight,
    )
    return float(shift), float(slope)
