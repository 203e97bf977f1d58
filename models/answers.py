"""What an answer about an account is made of, before it is put into words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.readings import UnknownReason
from features.vectors import Floats
from models.hazard import Horizon

ANSWER_FORMAT = 1


@dataclass(frozen=True, slots=True)
class AreaState:
    """One area of one account; None where nothing is known, or nothing is asked."""

    area: str
    health_score: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One part of the answer: `log_odds` above the base, `points` in percentage points of probability."""

    id: str
    area: str
    log_odds: float
    points: float
    actionable: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """A signal or factor that has fired; `threshold` is the edge that `value` has crossed."""

    id: str
    area: str
    band: str
    value: float
    threshold: float
    strong: bool
    low_side: bool
    stale: bool
    severity: float
    weight: float


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A signal or factor that cannot be judged, and why."""

    id: str
    reason: UnknownReason


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A good sign worth acting on: `value` of `of` has reached `threshold`."""

    id: str
    area: str
    of: str
    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Versions:
    """What made an answer. Where `policy` and `scorecard_policy` differ, training is due."""

    model: str | None
    definitions: str
    policy: str
    scorecard_policy: str
    catalogue_revision: int
    answer: int = ANSWER_FORMAT


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer about one account at one `as_of`, before it is put into words.

    Attributes
    ----------
    churn_probability, base_probability
        The blend, and what it is for an account of which nothing is known, at the same model weight.
    interval
        90 %, for the probability and not for the outcome.
    model_probability, agreement
        None without a model. Agreement: ``agree``, ``model_higher`` or ``scorecard_higher``.
    model_weight
        The model's share of the answer; 0 without a model.
    band, health_score
        None where withheld: coverage under the policy's floor, or nothing known.
    coverage
        Known share, by weight, of what applies and is connected; 0 where nothing is.
    stage, under_notice
        None where unknown.
    base_log_odds, contributions
        Add up to logit(churn_probability); the points and 100 x base_probability add up to
        100 x churn_probability.
    signs
        Those that have fired: strong ones first, then by weight x severity.
    level, strong_areas
        The combination: None, ``watch``, ``at_risk`` or ``critical``, and the areas with a strong sign.
    unknown
        Signals and factors without a value.
    opportunities, readings
        Good signs; and every value that is known, by column (a category as its text).
    stale
        Factors whose rating counts half.
    horizons
        Ascending, the own one among them.
    churned_accounts_seen
        That the model was trained on; 0 without a model.
    full_model_weight
        The model's share where nothing is unknown; 0 without a model.
    """

    account_id: str
    as_of: dt.datetime
    horizon_days: int
    churn_probability: float
    base_probability: float
    interval: tuple[float, float]
    model_probability: float | None
    scorecard_probability: float
    model_weight: float
    agreement: str | None
    band: str | None
    health_score: float | None
    coverage: float
    stage: str | None
    under_notice: bool | None
    areas: tuple[AreaState, ...]
    base_log_odds: float
    contributions: tuple[Contribution, ...]
    signs: tuple[Sign, ...]
    level: str | None
    strong_areas: tuple[str, ...]
    unknown: tuple[Unsettled, ...]
    opportunities: tuple[Opportunity, ...]
    readings: Mapping[str, float | str]
    stale: tuple[str, ...]
    versions: Versions
    horizons: tuple[Horizon, ...]
    churned_accounts_seen: float
    full_model_weight: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Answers about n accounts without their parts: arrays of shape (n,), NaN or None where there is none."""

    account_id: npt.NDArray[np.object_]
    as_of: npt.NDArray[np.datetime64]
    churn_probability: Floats
    model_probability: Floats
    scorecard_probability: Floats
    model_weight: Floats
    interval_low: Floats
    interval_high: Floats
    band: npt.NDArray[np.object_]
    health_score: Floats
    coverage: Floats
    level: npt.NDArray[np.object_]
    under_notice: Floats
