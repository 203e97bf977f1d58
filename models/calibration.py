"""Platt calibration: the model's log-odds, corrected on later months."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import BundleError
from features.vectors import Floats
from models.numbers import finite

SMALLEST_SLOPE = 0.05  # a model that learnt nothing is flattened, never turned around


@dataclass(frozen=True, slots=True)
class Platt:
    """Log-odds -> a + b · log-odds.

    Examples
    --------
    >>> Platt(a=-0.1, b=0.8).b
    0.8
    >>> Platt(a=0.0, b=-1.0)
    Traceback (most recent call last):
    ...
    features.errors.BundleError: calibration: b is -1.0; it must be at least 0.05, ...
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        if not finite(self.a, self.b):
            raise BundleError(f"calibration: a is {self.a}, b is {self.b}; both must be finite.")
        if not self.b >= SMALLEST_SLOPE:
            raise BundleError(
                f"calibration: b is {self.b}; it must be at least {SMALLEST_SLOPE}, "
                "so that more risk never becomes less. Train again (`keepsight train`)."
            )

    def __call__(self, log_odds: Floats) -> Floats:
        """Calibrate log-odds of shape (n,)."""
        return self.a + self.b * log_odds
