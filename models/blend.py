"""The blend of model and scorecard, and how sure it is.

Decision: coverage discounts the model only where the model is the calmer voice
------------------------------------------------------------------------------
An account that is badly covered leans on the rules. Were the model's weight discounted in both directions,
hiding a reading could make an account look healthier: where the model is the alarmed voice, hiding anything would
turn it down. So the discount applies where the scorecard is the more alarmed one, and the blend is the *larger*
of the two log-odds that the weights w_max · min(1, coverage / median) and w_max give. Both parts can only rise
when a healthy reading is hidden, and less coverage only widens the choice: the blend cannot fall.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from features.errors import BundleError
from features.vectors import Floats
from models.numbers import finite

NORMAL_90 = 1.6448536269514722  # half-width of 90 % in standard errors


@dataclass(frozen=True, slots=True)
class Interval:
    """What the 90 % interval of a probability is made of; recorded with the blend.

    The squared standard error, in log-odds, is the sum of

    * `parameters` / (churned accounts + `prior_accounts`): what few churned accounts leave open, on the mean over
      accounts. 1 is the level alone; `prior_accounts` is what a stated or assumed yearly churn is worth: 4 give a
      factor of about 2.3 either way;
    * `disagreement` · w · (1 - w) · (model - scorecard)²: two voices that differ;
    * `unknown` · (1 - w) · Σ over the unknown of (weight²) · m · (1 - m): what the scorecard was not told;
    * `later`²: by how much later months missed what was said, beyond all that and chance.
    """

    prior_accounts: float = 4.0
    disagreement: float = 1.0
    unknown: float = 1.0
    later: float = 0.0
    parameters: float = 1.0

    def __post_init__(self) -> None:
        parts = asdict(self).values()
        if not (finite(*parts) and min(parts) >= 0.0 and finite(self.later**2)):
            raise BundleError("blend: a part of the interval is negative or not finite.")


@dataclass(frozen=True, slots=True)
class Blend:
    """How much the model is listened to.

    Attributes
    ----------
    kappa
        Churned accounts at which model and scorecard weigh the same; at least 0.
    churned_accounts
        Distinct churned accounts that the model was trained on (E).
    median_coverage
        Median coverage of the training snapshots.
    interval
        Recipe of the interval.

    Examples
    --------
    >>> blend = Blend(kappa=60, churned_accounts=180, median_coverage=0.8)
    >>> blend.full_weight
    0.75
    >>> coverage, calm, alarmed = np.array([0.4]), np.array([-3.0]), np.array([-1.0])
    >>> blend.model_weight(coverage, model_log_odds=calm, scorecard_log_odds=alarmed)
    array([0.375])
    >>> blend.model_weight(coverage, model_log_odds=alarmed, scorecard_log_odds=calm)
    array([0.75])
    """

    kappa: float
    churned_accounts: float
    median_coverage: float
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        parts = (self.kappa, self.churned_accounts, self.median_coverage)
        if not (finite(*parts) and min(parts) >= 0.0):
            raise BundleError(
                f"blend: kappa is {self.kappa}, churned_accounts {self.churned_accounts}, median_coverage "
                f"{self.median_coverage}; none may be negative or infinite."
            )

    @property
    def full_weight(self) -> float:
        """The model's weight at full coverage: E / (E + κ); 0 where it has seen no churn."""
        if self.churned_accounts <= 0:
            return 0.0
        return self.churned_accounts / (self.churned_accounts + self.kappa)

    def model_weight(self, coverage: Floats, model_log_odds: Floats, scorecard_log_odds: Floats) -> Floats:
        """Return the model's share of each answer: shape (n,); unknown coverage counts as none."""
        known = np.where(np.isnan(coverage), 0.0, coverage)
        share = np.minimum(1.0, known / self.median_coverage) if self.median_coverage > 0 else np.ones_like(known)
        calmer = scorecard_log_odds >= model_log_odds
        return np.where(calmer, self.full_weight * share, self.full_weight)

    def log_odds(self, coverage: Floats, model_log_odds: Floats, scorecard_log_odds: Floats) -> Floats:
        """Return the blended log-odds: shape (n,)."""
        weight = self.model_weight(coverage, model_log_odds, scorecard_log_odds)
        return weight * model_log_odds + (1.0 - weight) * scorecard_log_odds


def half_width(
    blend: Blend | None, weight: Floats, model_log_odds: Floats, scorecard_log_odds: Floats, unseen: Floats
) -> Floats:
    """Return half the width, in log-odds, of the 90 % interval of each probability.

    Parameters
    ----------
    blend
        None: there is no model, and no churned account behind the answer.
    weight
        The model's, shape (n,).
    model_log_odds, scorecard_log_odds
        Shape (n,); equal where there is no model.
    unseen
        Σ weight² · m · (1 - m) over the unknown items that could be known, shape (n,).
    """
    recipe = Interval() if blend is None else blend.interval
    accounts = (0.0 if blend is None else blend.churned_accounts) + recipe.prior_accounts
    variance = (
        recipe.parameters / accounts
        + recipe.disagreement * weight * (1.0 - weight) * (model_log_odds - scorecard_log_odds) ** 2
        + recipe.unknown * (1.0 - weight) * unseen
        + recipe.later**2
    )
    return NORMAL_90 * np.sqrt(variance)
