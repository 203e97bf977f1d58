"""The scorecard: what the rules alone make of an account, in log-odds.

log-odds = intercept + Σ over the known of w · (severity - m) + combination. Unknown adds exactly nothing, and
healthy lowers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue.schema import Policy
from features.errors import BundleError
from features.vectors import FeatureContract, Floats, Role
from models.numbers import finite, logit, row_sums, share_within
from models.signs import AT_RISK, CRITICAL, WATCH, Judgements, Severities

if TYPE_CHECKING:
    from features.catalogue import Catalogue

COMBINATION = "combination"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Weights of the rules, frozen together with the policy that they were fitted under.

    Attributes
    ----------
    items
        Ids of signals and factors, in contract order.
    weights
        Log-odds between healthy and unhealthy, for each item; never negative.
    mean_severity
        The severity at which an item neither raises nor lowers.
    combination
        Log-odds added at ``watch``, ``at_risk`` and ``critical``: not negative, not falling.
    intercept
        Log-odds of an account of which nothing is known.
    policy, policy_fingerprint
        The edges, weights and combinations that severities and levels are read with.

    Examples
    --------
    >>> from features.catalogue import load_catalogue
    >>> from features.vectors import feature_contract
    >>> catalogue = load_catalogue()
    >>> scorecard = Scorecard.prior(feature_contract(catalogue, {}), catalogue, yearly_churn=0.10)
    >>> round(scorecard.base_rate, 3), scorecard.combination
    (0.026, (0.0, 0.4, 0.8))
    """

    items: tuple[str, ...]
    weights: tuple[float, ...]
    mean_severity: tuple[float, ...]
    combination: tuple[float, float, float]
    intercept: float
    policy: Policy
    policy_fingerprint: str

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.weights) == len(self.mean_severity):
            raise BundleError("scorecard: items, weights and mean_severity differ in length.")
        watch, at_risk, critical = self.combination
        if min(self.weights, default=0.0) < 0 or min(self.mean_severity, default=0.0) < 0:
            raise BundleError("scorecard: a weight or mean severity is negative; a sign would lower the risk.")
        if not finite(self.intercept, *self.weights, *self.mean_severity, *self.combination):
            raise BundleError("scorecard: not all of its numbers are finite.")
        if not 0.0 <= watch <= at_risk <= critical:
            raise BundleError("scorecard: combination must not be negative, and must not fall with the level.")

    @classmethod
    def prior(
        cls,
        contract: FeatureContract,
        catalogue: Catalogue,
        yearly_churn: float | None = None,
        horizon_days: int = 90,
    ) -> Scorecard:
        """Return the scorecard before any outcome was seen.

        Parameters
        ----------
        contract
            Names the items.
        catalogue
            Its policy holds the weights and the priors.
        yearly_churn
            Share of accounts that the company says it loses in a year; None: the policy's.
        horizon_days
            The intercept is the log-odds of leaving within so many days, at a constant hazard.
        """
        policy = catalogue.policy
        priors = policy.scorecard
        yearly = priors.yearly_churn if yearly_churn is None else yearly_churn
        weights = [
            policy.signals[c.name].weight if c.role is Role.SIGNAL else policy.factors[c.name].weight
            for c in contract.items
        ]
        return cls(
            items=tuple(column.name for column in contract.items),
            weights=tuple(priors.log_odds_per_weight * weight for weight in weights),
            mean_severity=(priors.mean_severity,) * len(weights),
            combination=(priors.watch, priors.at_risk, priors.critical),
            intercept=logit(share_within(yearly, horizon_days)),
            policy=policy,
            policy_fingerprint=catalogue.policy_fingerprint,
        )

    @property
    def coefficients(self) -> Floats:
        """Weights, then the three of the combination: what :func:`scorecard_terms` is multiplied with."""
        return np.array([*self.weights, *self.combination])

    @property
    def base_rate(self) -> float:
        """The probability of an account of which nothing is known."""
        return float(1.0 / (1.0 + np.exp(-self.intercept)))

    def parts(self, judgements: Judgements | Severities) -> Floats:
        """Return each item's log-odds and, last, the combination's: shape (n, items + 1), 0 for unknown."""
        terms = scorecard_terms(judgements, self.mean_severity) * self.coefficients
        items = len(self.items)
        return np.column_stack([terms[:, :items], row_sums(terms[:, items:])])

    def log_odds(self, judgements: Judgements | Severities) -> Floats:
        """Return intercept + parts: shape (n,)."""
        return self.intercept + row_sums(self.parts(judgements))

    def refitted(
        self, coefficients: Floats, mean_severity: Sequence[float] | Floats, intercept: float
    ) -> Scorecard:
        """Return this scorecard with weights from outcomes, in the order of :attr:`coefficients`.

        Raises
        ------
        BundleError
            A weight is negative, the combination falls with the level, or lengths differ.
        """
        numbers = [float(number) for number in coefficients]
        items = len(self.items)
        watch, at_risk, critical = numbers[items:]
        return replace(
            self,
            weights=tuple(numbers[:items]),
            mean_severity=tuple(float(m) for m in mean_severity),
            combination=(watch, at_risk, critical),
            intercept=float(intercept),
        )

    def to_json(self) -> str:
        """Return it as JSON, with the policy inside."""
        raw = {
            "items": self.items,
            "weights": self.weights,
            "mean_severity": self.mean_severity,
            "combination": self.combination,
            "intercept": self.intercept,
            "policy": self.policy.model_dump(mode="json"),
            "policy_fingerprint": self.policy_fingerprint,
        }
        return json.dumps(raw, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        BundleError
            A weight is negative, or lengths differ.
        ValueError, KeyError, TypeError
            It is not JSON, or not that of a scorecard; who reads a file says which file that was.
        """
        raw = json.loads(text)
        watch, at_risk, critical = raw["combination"]
        return cls(
            items=tuple(raw["items"]),
            weights=tuple(raw["weights"]),
            mean_severity=tuple(raw["mean_severity"]),
            combination=(watch, at_risk, critical),
            intercept=raw["intercept"],
            policy=Policy.model_validate(raw["policy"]),
            policy_fingerprint=raw["policy_fingerprint"],
        )


def scorecard_terms(judgements: Judgements | Severities, mean_severity: Sequence[float] | Floats) -> Floats:
    """Return what the scorecard is linear in.

    Parameters
    ----------
    judgements
        Of n accounts, by the policy that the scorecard is for.
    mean_severity
        Shape (items,).

    Returns
    -------
    Floats
        Shape (n, items + 3): share · (severity - m) of each item, 0 where unknown (share is 0.5 for a stale
        factor and the low side's own weight over the item's for a low side); then 1 in the column of the
        combination's level, watch, at risk or critical.
    """
    centred = judgements.share * (judgements.severity - np.asarray(mean_severity, dtype=np.float64))
    levels = judgements.level[:, None] == np.array([WATCH, AT_RISK, CRITICAL])
    return np.column_stack([np.where(np.isnan(judgements.severity), 0.0, centred), levels.astype(np.float64)])
