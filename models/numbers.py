"""The few sums and curves that every part of an answer shares.

Each gives a row the same bits whether it comes alone or in a batch: sums run column by column, in order, and
never through BLAS, whose order of summation depends on the number of rows.
"""

from __future__ import annotations

import math

import numpy as np

from features.vectors import Floats

# Beyond this, 1 - p has too few digits left for logit(p) to give the log-odds back within 1e-9.
LARGEST_LOG_ODDS = 15.0


def row_sums(values: Floats) -> Floats:
    """Add up each row, in column order.

    Parameters
    ----------
    values
        Shape (n, k), no NaN.

    Returns
    -------
    Floats
        Shape (n,).

    Examples
    --------
    >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([3., 7.])
    """
    total = np.zeros(len(values))
    for column in values.T:
        total = total + column
    return total


def sigmoid(log_odds: Floats) -> Floats:
    """Return the probability of each log-odds, which are taken to be within ±15 (see :func:`clipped`).

    >>> sigmoid(np.array([0.0]))
    array([0.5])
    """
    return 1.0 / (1.0 + np.exp(-clipped(log_odds)))


def clipped(log_odds: Floats) -> Floats:
    """Hold log-odds within ±15.

    >>> clipped(np.array([-40.0, 3.0]))
    array([-15.,   3.])
    """
    return np.clip(log_odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)


def logit(probability: float) -> float:
    """Return the log-odds of a probability strictly between 0 and 1.

    >>> logit(0.5)
    0.0
    """
    return float(np.log(probability) - np.log1p(-probability))


def finite(*values: float) -> bool:
    """Return whether all values are numbers, and none of them infinite.

    >>> finite(0.0, 1e9), finite(1.0, float("nan"))
    (True, False)
    """
    return all(math.isfinite(value) for value in values)


def log_odds_of(probability: Floats) -> Floats:
    """Return the log-odds of probabilities strictly between 0 and 1, shape (n,).

    >>> log_odds_of(np.array([0.5]))
    array([0.])
    """
    return np.log(probability) - np.log1p(-probability)


def share_within(yearly_share: float, days: int) -> float:
    """Return the share that leaves within `days`, when `yearly_share` leave in 365 at a constant hazard.

    >>> round(share_within(0.10, 90), 3)
    0.026
    """
    return float(1.0 - (1.0 - yearly_share) ** (days / 365.0))
