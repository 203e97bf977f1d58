"""The scorecard's weights, moved from their priors towards what happened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.vectors import Floats
from models.numbers import sigmoid
from models.scorecard import Scorecard, scorecard_terms
from models.signs import Severities
from training.folds import churned_accounts
from training.recipe import ScorecardRecipe

# The intercept is not a judgement of ours: it may go where the base rate is.
INTERCEPT_SD = 3.0


def fit_scorecard(
    prior: Scorecard,
    judgements: Severities,
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    recipe: ScorecardRecipe,
) -> Scorecard:
    """Return the scorecard that outcomes and priors agree on.

    Penalised likelihood: a normal prior around each prior weight, none below 0, the combination not falling
    with its level. A churn fills several monthly snapshots and is one event, so the likelihood is scaled down to
    one churned row an account; with no churned accounts, weights stay where they were.

    Parameters
    ----------
    prior
        Where the weights begin; its policy made `judgements`.
    judgements
        Of n snapshots.
    churned
        Shape (n,): 1 or 0.
    accounts
        Shape (n,): whose snapshots.
    recipe
        How strong the priors are.
    """
    events = churned_accounts(accounts, churned)
    if events == 0:
        return prior
    means = _mean_severity(prior, judgements, accounts, recipe.severity_prior_accounts)
    terms = _increments(scorecard_terms(judgements, means))
    centre = _increments_of(prior.coefficients)
    fitted = penalised_logistic(
        terms,
        churned,
        centre=np.r_[prior.intercept, centre],
        spread=np.r_[INTERCEPT_SD, np.full(len(centre), recipe.prior_sd_log_odds)],
        weight=events / churned.sum(),
    )
    return prior.refitted(_levels_of(fitted[1:]), means, fitted[0])


def effective_parameters(
    fitted: Scorecard,
    judgements: Severities,
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    recipe: ScorecardRecipe,
) -> float:
    """Return how many parameters outcomes have moved freely: between 1 (the level alone) and all of them.

    The trace of (H + P)^-1 H, with H what outcomes and P what priors know of the weights. So many over the churned
    accounts is the mean variance of a fitted account's log-odds (Hastie, Tibshirani and Friedman, *The elements of
    statistical learning*, 7.6). Parameters are those of :func:`fit_scorecard`, and what it returned.
    """
    events = churned_accounts(accounts, churned)
    if events == 0:
        return 1.0
    terms = np.column_stack(
        [np.ones(len(churned)), _increments(scorecard_terms(judgements, fitted.mean_severity))]
    )
    probability = sigmoid(fitted.log_odds(judgements))
    told = events / churned.sum() * terms.T @ (terms * (probability * (1.0 - probability))[:, None])
    spread = np.r_[INTERCEPT_SD, np.full(terms.shape[1] - 1, recipe.prior_sd_log_odds)]
    return max(1.0, float(np.trace(np.linalg.solve(told + np.diag(spread**-2), told))))


def penalised_logistic(
    terms: Floats, churned: Floats, *, centre: Floats, spread: Floats, weight: float = 1.0, free: int = 0
) -> Floats:
    """Return intercept and coefficients of a logistic regression drawn to `centre`, none of them below 0.

    Parameters
    ----------
    terms
        Shape (n, k).
    churned
        Shape (n,): 1 or 0.
    centre, spread
        Shape (k + 1,), intercept first: mean and standard deviation of the normal priors.
    weight
        What one row counts.
    free
        How many coefficients, from the first, may be below 0 all the same.

    Examples
    --------
    With next to no rows the answer is the prior:

    >>> penalised_logistic(
    ...     np.zeros((1, 1)), np.zeros(1), centre=np.array([-3.0, 0.5]), spread=np.ones(2), weight=1e-9
    ... ).round(6).tolist()
    [-3.0, 0.5]
    """
    from scipy.optimize import minimize

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        log_odds = coefficients[0] + terms @ coefficients[1:]
        away = (coefficients - centre) / spread
        value = weight * (np.logaddexp(0.0, log_odds) - churned * log_odds).sum() + 0.5 * away @ away
        miss = weight * (1.0 / (1.0 + np.exp(-log_odds)) - churned)
        return float(value), np.r_[miss.sum(), terms.T @ miss] + away / spread

    bounds = [(-15.0, 15.0), *((None if place < free else 0.0, None) for place in range(terms.shape[1]))]
    answer = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return np.asarray(answer.x, dtype=np.float64)


def _mean_severity(
    prior: Scorecard, judgements: Severities, accounts: npt.NDArray[np.object_], prior_accounts: float
) -> Floats:
    """Return each item's mean severity, drawn to the prior's where few accounts are known."""
    known = ~np.isnan(judgements.severity)
    snapshots = len(accounts) / max(len(set(accounts)), 1)  # an account
    worth = known.sum(axis=0) / snapshots
    total = np.where(known, judgements.severity, 0.0).sum(axis=0) / snapshots
    drawn: Floats = (total + prior_accounts * np.array(prior.mean_severity)) / (worth + prior_accounts)
    return drawn


def _increments(terms: Floats) -> Floats:
    """Turn 'is at this level' into 'is at least at this level': then no increment below 0 keeps the order."""
    levels = terms[:, -3:]
    return np.column_stack([terms[:, :-3], levels[:, ::-1].cumsum(axis=1)[:, ::-1]])


def _increments_of(coefficients: Floats) -> Floats:
    return np.concatenate([coefficients[:-3], np.diff(coefficients[-3:], prepend=0.0)])


def _levels_of(increments: Floats) -> Floats:
    return np.concatenate([increments[:-3], increments[-3:].cumsum()])
