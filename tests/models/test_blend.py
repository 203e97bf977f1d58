from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blend import Blend, Interval, half_width
from models.numbers import logit, row_sums, share_within, sigmoid

ODDS = st.floats(-20, 20)
SHARE = st.floats(0, 1)


def one(value: float) -> np.ndarray:
    return np.array([value])


@given(ODDS, ODDS, SHARE, SHARE, st.floats(0, 5), st.floats(0, 5), st.floats(0, 300), st.floats(0, 300))
def test_more_risk_in_both_parts_and_less_coverage_never_lower_the_blend(
    model: float, rules: float, covered: float, kept: float, more: float, yet: float, churned: float, kappa: float
) -> None:
    blend = Blend(kappa, churned, 0.7)
    before = blend.log_odds(one(covered), one(model), one(rules))
    after = blend.log_odds(one(covered * kept), one(model + more), one(rules + yet))
    assert after[0] >= before[0] - 1e-12


def test_the_model_weighs_more_the_more_churned_accounts_it_has_seen() -> None:
    assert Blend(60, 0, 0.8).full_weight == 0.0
    assert Blend(0, 0, 0.8).full_weight == 0.0
    assert Blend(60, 60, 0.8).full_weight == 0.5
    assert Blend(0, 5, 0.8).full_weight == 1.0


def test_poor_coverage_turns_to_the_rules_where_they_are_the_more_alarmed() -> None:
    blend = Blend(60, 60, 0.8)
    weights = blend.model_weight(np.array([0.4, 0.8, 1.0, np.nan]), np.full(4, -3.0), np.full(4, -1.0))
    assert weights.tolist() == [0.25, 0.5, 0.5, 0.0]


def test_poor_coverage_keeps_the_model_where_it_is_the_more_alarmed() -> None:
    weights = Blend(60, 60, 0.8).model_weight(np.array([0.1, np.nan]), np.full(2, -1.0), np.full(2, -3.0))
    assert weights.tolist() == [0.5, 0.5]


def test_the_interval_narrows_with_churned_accounts_and_widens_with_disagreement_and_the_unseen() -> None:
    def width(churned: float = 100, apart: float = 0.0, unseen: float = 0.0) -> float:
        blend = Blend(60, churned, 0.8)
        return float(half_width(blend, one(0.5), one(apart), one(0.0), one(unseen))[0])

    assert width(churned=1000) < width(churned=100)
    assert width(apart=2.0) > width()
    assert width(unseen=0.5) > width()


def test_without_a_model_the_interval_is_what_four_churned_accounts_would_give() -> None:
    assert half_width(None, one(0.0), one(-3.0), one(-3.0), one(0.0))[0] == pytest.approx(1.645 / 2, abs=1e-3)
    assert Interval().prior_accounts == 4.0


def test_logit_and_sigmoid_undo_each_other_up_to_the_largest_log_odds() -> None:
    for odds in (-15.0, -3.3, 0.0, 7.7, 15.0):
        assert logit(float(sigmoid(one(odds))[0])) == pytest.approx(odds, abs=1e-9)


def test_a_constant_hazard_compounds() -> None:
    assert share_within(0.1, 365) == pytest.approx(0.1)
    assert 1 - (1 - share_within(0.1, 90)) ** (365 / 90) == pytest.approx(0.1)


def test_rows_add_up_to_the_same_bits_alone_and_in_a_batch() -> None:
    values = np.random.default_rng(0).normal(size=(50, 41)) * 1e3
    batch = row_sums(values)
    alone = [row_sums(row[None, :])[0] for row in values]
    assert batch.tolist() == alone
