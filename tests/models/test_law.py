"""The law of unknowns: hiding one column never makes an account look healthier than its healthiest value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import pytest

from features.catalogue.schema import Edges, ThresholdOverride
from features.vectors import FeatureContract, Floats, Role, Vectors
from models.blend import Blend
from models.calibration import Platt
from models.decision import score
from models.scorecard import Scorecard
from models.signs import judge
from models.start import Start

ACCOUNTS = 1000
TOLERANCE = 1e-12
LETTERS = ("d", "a", "g")  # not delivered, not applicable, not given


def grid(vectors: Vectors, place: int, fill: float | None) -> Floats:
    """Values of a column, its healthiest and the training median among them."""
    column = vectors.contract.columns[place]
    known = vectors.values[~np.isnan(vectors.values[:, place]), place]
    if column.kind == "category":
        return np.arange(len(column.codebook), dtype=float)
    values = np.unique(np.quantile(known, np.linspace(0, 1, 9), method="nearest"))
    if column.role is Role.FACTOR_AGE:
        values = np.append(values, 0.0)
    return values if fill is None else np.append(values, fill)


def with_column(vectors: Vectors, place: int, value: float, letter: str) -> Vectors:
    values, letters = vectors.values.copy(), vectors.unknown.copy()
    values[:, place], letters[:, place] = value, letter
    return dataclasses.replace(vectors, values=values, unknown=letters)


def columns_in_turn(contract: FeatureContract) -> Iterator[tuple[int, str]]:
    for place, column in enumerate(contract.columns):
        if column.role is not Role.META:
            yield place, column.name


def median_of(bundle: Any, place: int) -> float | None:
    """What the booster reads for an unknown context column."""
    if bundle is None or bundle.contract.columns[place].role is not Role.CONTEXT:
        return None
    context = [c.name for c in bundle.contract.columns if c.role is Role.CONTEXT and c.in_model]
    name = bundle.contract.names[place]
    return bundle.medians.fills[-len(context) :][context.index(name)] if name in context else None


def broken_by(vectors: Vectors, bundle: Any, catalogue: Any) -> set[str]:
    """Columns whose hiding lowers the churn probability, or raises the health, beyond every value of theirs."""
    broken = set()
    for place, name in columns_in_turn(vectors.contract):
        lowest, healthiest = np.full(len(vectors), np.inf), np.full(len(vectors), -np.inf)
        for value in grid(vectors, place, median_of(bundle, place)):
            known = with_column(vectors, place, float(value), ".")
            lowest = np.minimum(lowest, score(known, bundle, catalogue).churn_probability)
            judged = judge(known, catalogue.policy, catalogue.definitions)
            healthiest = np.fmax(healthiest, judged.health)
        for letter in LETTERS:
            hidden = with_column(vectors, place, np.nan, letter)
            if (score(hidden, bundle, catalogue).churn_probability < lowest - TOLERANCE).any():
                broken.add(name)
            health = judge(hidden, catalogue.policy, catalogue.definitions).health
            if (health > healthiest + 1e-9).any():
                broken.add(f"health: {name}")
    return broken


def test_no_column_looks_healthier_hidden_than_at_its_healthiest(
    bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    assert broken_by(some_vectors(ACCOUNTS, seed=21), bundle, catalogue) == set()


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_law_holds_wherever_the_booster_starts(
    bundle: Any, catalogue: Any, some_vectors: Any, share: float
) -> None:
    elsewhere = dataclasses.replace(bundle, start=Start(share, -2.0))
    assert broken_by(some_vectors(150, seed=26), elsewhere, catalogue) == set()


def test_the_law_holds_without_a_model(catalogue: Any, some_vectors: Any) -> None:
    assert broken_by(some_vectors(300, seed=22), None, catalogue) == set()


def test_the_law_holds_for_a_model_that_saw_nothing_unknown(
    a_bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    sure = a_bundle(some_vectors(1500, seed=23, unknown_share=0.0))
    assert None not in sure.medians.fills[:20]
    assert broken_by(some_vectors(150, seed=24), sure, catalogue) == set()


def test_the_law_holds_where_thresholds_differ_by_stage_and_plan(
    bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    overrides = (
        ThresholdOverride(stages=("onboarding", "adoption"), edges=Edges(healthy=1.05, unhealthy=1.0)),
        ThresholdOverride(context={"plan": ("pro",)}, edges=Edges(healthy=0.5, unhealthy=0.1)),
        ThresholdOverride(stages=("mature", "renewal_window"), edges=Edges(healthy=1.1, unhealthy=0.95)),
    )
    trend = catalogue.policy.signals["usage_trend"].model_copy(update={"overrides": overrides})
    policy = catalogue.policy.model_copy(update={"signals": {**catalogue.policy.signals, "usage_trend": trend}})
    strict = dataclasses.replace(catalogue, policy=policy)
    scorecard = dataclasses.replace(bundle.scorecard, policy=policy, policy_fingerprint=strict.policy_fingerprint)
    trained = dataclasses.replace(bundle, scorecard=scorecard)
    assert broken_by(some_vectors(150, seed=25), trained, strict) == set()


def test_a_hidden_rating_is_the_same_answer_with_and_without_its_age(
    bundle: Any, catalogue: Any, contract: FeatureContract, some_vectors: Any
) -> None:
    vectors = some_vectors(200, seed=26)
    for factor in catalogue.definitions.factors:
        hidden = with_column(vectors, contract.position[factor], np.nan, "r")
        both = with_column(hidden, contract.position[f"{factor}_age_days"], np.nan, "r")
        one, other = score(hidden, bundle, catalogue), score(both, bundle, catalogue)
        assert one.churn_probability.tolist() == other.churn_probability.tolist()


class DiscountsBothWays(Blend):
    """The mutant: poor coverage turns to the rules even where the model is the alarmed voice."""

    def model_weight(self, coverage: Floats, model_log_odds: Floats, scorecard_log_odds: Floats) -> Floats:
        known = np.where(np.isnan(coverage), 0.0, coverage)
        return self.full_weight * np.minimum(1.0, known / self.median_coverage)


def test_a_blend_that_discounts_in_both_directions_breaks_the_law(
    bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    alarmed = dataclasses.replace(bundle, platt=Platt(5.0, 0.8))
    vectors = some_vectors(150, seed=21)
    assert broken_by(vectors, alarmed, catalogue) == set()
    blend = bundle.blend
    mutant = DiscountsBothWays(blend.kappa, blend.churned_accounts, blend.median_coverage)
    assert broken_by(vectors, dataclasses.replace(alarmed, blend=mutant), catalogue)


def test_hiding_the_good_reading_of_a_bad_area_does_not_raise_health(an_account: Any, catalogue: Any) -> None:
    def health(**values: float) -> float:
        return float(judge(an_account(**values), catalogue.policy, catalogue.definitions).health[0])

    shown = health(usage_trend=0.1, days_since_last_use=0, licence_change=0.0)
    hidden = health(usage_trend=0.1, licence_change=0.0)
    assert hidden < shown


def calmer_when_hidden(sign: int, above_zero: bool) -> int:
    """Count rows that LightGBM finds calmer with a column hidden than at any of its values.

    `sign` is the constraint, and the values are turned to fit it; with `above_zero`, all of them are.
    """
    found = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        worse = rng.normal(size=(3000, 4))
        churned = rng.random(3000) < 1 / (1 + np.exp(2 - worse @ [1.5, 1.0, 0.0, 0.0] - worse[:, 0] * worse[:, 2]))
        known = np.where(rng.random(worse.shape) < 0.3, np.nan, worse)
        shown = (known - np.nanmin(known, axis=0)) * sign
        if above_zero:
            shown += 5.0 - np.nanmin(shown, axis=0)
        parameters = {
            "objective": "binary",
            "num_leaves": 8,
            "monotone_constraints": [sign] * 4,
            "monotone_constraints_method": "basic",
            "num_threads": 1,
            "verbose": -1,
        }
        booster = lightgbm.train(parameters, lightgbm.Dataset(shown, churned.astype(float)), 60)
        for column in range(4):
            some = shown[:200].copy()
            some[:, column] = np.nan
            hidden = booster.predict(some, raw_score=True)
            best = np.nanmin(shown[:, column] * sign) * sign
            some[:, column] = best
            found += int((hidden < booster.predict(some, raw_score=True) - 1e-12).sum())
    return found


def test_lightgbm_keeps_the_law_only_for_rising_columns_that_start_at_zero() -> None:
    assert calmer_when_hidden(sign=1, above_zero=False) == 0
    assert calmer_when_hidden(sign=1, above_zero=True) > 0  # why columns start at their best value
    assert calmer_when_hidden(sign=-1, above_zero=True) > 0  # why values where less is worse are turned


def test_the_scorecard_of_a_bundle_is_never_below_its_best_when_something_is_hidden(
    catalogue: Any, contract: Any, some_vectors: Any
) -> None:
    """The discount of a stale or low-side item never exceeds that of a healthy one."""
    scorecard = Scorecard.prior(contract, catalogue)
    vectors = some_vectors(200, seed=3)
    judgements = judge(vectors, catalogue.policy, catalogue.definitions)
    smallest = -np.asarray(scorecard.weights) * np.asarray(scorecard.mean_severity)
    assert (scorecard.parts(judgements)[:, :-1] >= smallest - 1e-15).all()
