"""Where the booster starts: at the scorecard, at the base rate, or in between."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import BundleError
from features.vectors import Floats
from models.numbers import finite


@dataclass(frozen=True, slots=True)
class Start:
    """Scorecard's log-odds -> share · log-odds + (1 - share) · level.

    A booster whose trees may only add risk cannot take back what a rule says too much. Where outcomes are few the
    rules are the better start all the same; where they are many, the base rate is (`saasguard`: log loss 0.040
    for 0.043). A share is never negative, so that more risk by the rules is never less.

    Attributes
    ----------
    share
        How much of the scorecard is taken, 0 to 1; 1 is the scorecard itself, bit for bit.
    level
        Log-odds of the training rows' base rate.

    Examples
    --------
    >>> Start(share=0.5, level=-3.0)(-1.0)
    -2.0
    """

    share: float
    level: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.share <= 1.0 and finite(self.level)):
            raise BundleError(
                f"calibration: the scorecard's share of the start is {self.share}, the level {self.level}; the "
                "share must lie between 0 and 1, the level be finite. Train again (`keepsight train`)."
            )

    def __call__(self, scorecard: Floats) -> Floats:
        """Return the log-odds that the booster adds to, for the scorecard's of shape (n,)."""
        return self.share * scorecard + (1.0 - self.share) * self.level
