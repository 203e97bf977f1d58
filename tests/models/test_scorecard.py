from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.errors import BundleError
from models.scorecard import Scorecard, scorecard_terms
from models.signs import judge


@pytest.fixture
def prior(contract: Any, catalogue: Any) -> Scorecard:
    return Scorecard.prior(contract, catalogue)


def log_odds(scorecard: Scorecard, vectors: Any, catalogue: Any) -> float:
    judgements = judge(vectors, scorecard.policy, catalogue.definitions)
    return float(scorecard.log_odds(judgements)[0])


def test_ten_percent_a_year_are_two_point_six_in_ninety_days(prior: Scorecard) -> None:
    assert prior.base_rate == pytest.approx(1 - 0.9 ** (90 / 365))
    assert prior.base_rate == pytest.approx(0.026, abs=0.0005)


def test_the_company_s_own_churn_and_another_horizon_set_the_intercept(contract: Any, catalogue: Any) -> None:
    assert Scorecard.prior(contract, catalogue, 0.2, 365).base_rate == pytest.approx(0.2)


def test_unknown_adds_nothing_and_healthy_lowers(prior: Scorecard, an_account: Any, catalogue: Any) -> None:
    assert log_odds(prior, an_account(), catalogue) == prior.intercept
    healthy = log_odds(prior, an_account(usage_trend=1.0), catalogue)
    assert healthy == pytest.approx(prior.intercept - 0.5 * 0.2)


def test_a_sign_adds_its_weight_times_the_severity_above_the_mean(
    prior: Scorecard, an_account: Any, catalogue: Any
) -> None:
    found = log_odds(prior, an_account(nps_change=-2.0), catalogue)
    assert found == pytest.approx(prior.intercept + 0.25 * (0.5 - 0.2))


@pytest.mark.parametrize(
    ("readings", "combination"),
    [
        ({"usage_trend": 0.5}, 0.0),
        ({"usage_trend": 0.5, "nps_score": 1}, 0.4),
        ({"usage_trend": 0.5, "nps_score": 1, "champion_change": 2}, 0.8),
    ],
)
def test_signs_together_add_the_combination_of_their_level(
    prior: Scorecard, an_account: Any, catalogue: Any, readings: dict[str, float], combination: float
) -> None:
    judgements = judge(an_account(**readings), catalogue.policy, catalogue.definitions)
    assert prior.parts(judgements)[0, -1] == combination


def test_the_low_side_and_stale_factors_count_half_of_their_weight(
    prior: Scorecard, an_account: Any, catalogue: Any
) -> None:
    low = log_odds(prior, an_account(support_load=0.0), catalogue) - prior.intercept
    assert low == pytest.approx(0.25 * 1 * (0.5 - 0.2))
    stale = log_odds(prior, an_account(product_fit=1, product_fit_age_days=300), catalogue) - prior.intercept
    assert stale == pytest.approx(0.25 * 1 * (1.0 - 0.2))


def test_log_odds_are_linear_in_the_terms(prior: Scorecard, some_vectors: Any, catalogue: Any) -> None:
    judgements = judge(some_vectors(100), catalogue.policy, catalogue.definitions)
    terms = scorecard_terms(judgements, prior.mean_severity)
    assert terms.shape == (100, len(prior.items) + 3)
    assert np.allclose(prior.intercept + terms @ prior.coefficients, prior.log_odds(judgements))
    assert (terms[:, -3:].sum(axis=1) <= 1).all()


def test_parts_and_intercept_add_up(prior: Scorecard, some_vectors: Any, catalogue: Any) -> None:
    judgements = judge(some_vectors(100), catalogue.policy, catalogue.definitions)
    assert np.allclose(prior.intercept + prior.parts(judgements).sum(axis=1), prior.log_odds(judgements))


def test_json_keeps_every_number_and_the_policy(prior: Scorecard) -> None:
    refitted = prior.refitted(prior.coefficients / 3, np.linspace(0.1, 0.3, len(prior.items)), -2.0 / 3)
    again = Scorecard.from_json(refitted.to_json())
    assert again == refitted
    assert again.to_json() == refitted.to_json()


def test_weights_below_zero_and_a_falling_combination_are_refused(prior: Scorecard) -> None:
    negative = prior.coefficients.copy()
    negative[0] = -0.1
    with pytest.raises(BundleError, match="a weight or mean severity is negative"):
        prior.refitted(negative, prior.mean_severity, 0.0)
    falling = prior.coefficients.copy()
    falling[-1] = 0.1
    with pytest.raises(BundleError, match="must not fall with the level"):
        prior.refitted(falling, prior.mean_severity, 0.0)
