"""What measures do with numbers, as NumPy does it; of one pair of account and date with plain floats.

NumPy takes as long for an array of one as for one of a hundred: some 0.5 microseconds a step, of which a vector
takes thousands. So one pair is read with floats, in the same formulas: operators mean the same, and these
functions do what NumPy's of the same name do, also with NaN. Not a number is what is not equal to itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Numbers = Any  # shape (n,), or one


def where(condition: Numbers, then: Numbers, otherwise: Numbers) -> Numbers:
    """Choose.

    >>> where(True, 1.0, 2.0), where(np.array([True, False]), 1.0, 2.0)
    (1.0, array([1., 2.]))
    """
    if isinstance(condition, np.ndarray):
        return np.where(condition, then, otherwise)
    return then if condition else otherwise


def either(condition: Numbers, then: Callable[[], Numbers], otherwise: Callable[[], Numbers]) -> Numbers:
    """Choose between what two functions make; of one pair only what is chosen is made.

    >>> either(True, lambda: 1.0, lambda: 1 / 0)
    1.0
    """
    if isinstance(condition, np.ndarray):
        return np.where(condition, then(), otherwise())
    return then() if condition else otherwise()


def isnan(values: Numbers) -> Numbers:
    """Return what is not a number."""
    return values != values


def given(values: Numbers) -> Numbers:
    """Return what is a number."""
    return values == values


def negated(condition: Numbers) -> Numbers:
    """Return what does not hold; ``~`` of a plain yes is no number's business.

    >>> negated(True), negated(np.array([True, False]))
    (False, array([False,  True]))
    """
    return ~condition if isinstance(condition, np.ndarray) else not condition


def holds_throughout(condition: Numbers) -> bool:
    """Return whether a condition holds of all."""
    return bool(condition.all()) if isinstance(condition, np.ndarray) else bool(condition)


def fmax(one: Numbers, other: Numbers) -> Numbers:
    """Return the greater, passing over NaN.

    >>> fmax(math.nan, 1.0), fmax(2.0, math.nan), fmax(2.0, 3.0)
    (1.0, 2.0, 3.0)
    """
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.fmax(one, other)
    return one if one >= other or other != other else other


def fmin(one: Numbers, other: Numbers) -> Numbers:
    """Return the smaller, passing over NaN.

    >>> fmin(math.nan, 1.0), fmin(2.0, math.nan), fmin(2.0, 3.0)
    (1.0, 2.0, 2.0)
    """
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.fmin(one, other)
    return one if one <= other or other != other else other


def floor(values: Numbers) -> Numbers:
    """Round down.

    >>> floor(-0.5), floor(math.nan), floor(np.array([1.5]))
    (-1.0, nan, array([1.]))
    """
    return np.floor(values) if isinstance(values, np.ndarray) else values // 1.0


def finite(values: Numbers) -> Numbers:
    """Return what is neither infinite nor NaN."""
    return np.isfinite(values) if isinstance(values, np.ndarray) else math.isfinite(values)


def or_else(values: Numbers, instead: float) -> Numbers:
    """Give a number instead of NaN."""
    if isinstance(values, np.ndarray):
        missing = np.isnan(values)
        return np.where(missing, instead, values) if missing.any() else values  # mostly none is
    return instead if values != values else values


def divided(numerator: Numbers, denominator: Numbers) -> Numbers:
    """Divide; by zero, the result is not finite, and the caller gives the reason.

    >>> divided(1.0, 4.0), divided(-1.0, 0.0), divided(0.0, 0.0), divided(np.array([1.0]), np.array([0.0]))
    (0.25, -inf, nan, array([inf]))
    """
    if isinstance(numerator, np.ndarray) or isinstance(denominator, np.ndarray):
        with np.errstate(divide="ignore", invalid="ignore"):
            return numerator / denominator
    if denominator != 0:
        return numerator / denominator
    return math.nan if numerator == 0 or numerator != numerator else math.copysign(math.inf, numerator * 1.0)
