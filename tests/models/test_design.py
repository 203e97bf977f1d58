from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.errors import BundleError
from features.vectors import Vectors
from models.design import Medians, design_matrix, training_medians


@pytest.fixture
def columns(catalogue: Any, some_vectors: Any) -> Any:
    """The design columns of one account by name, with medians from made-up training rows."""
    medians = training_medians(some_vectors(500, seed=2), catalogue.definitions)

    def make(vectors: Vectors) -> dict[str, float]:
        design = design_matrix(vectors, medians)
        return dict(zip(design.names, design.X[0], strict=True))

    return make


def test_every_constrained_column_rises_with_risk(contract: Any, some_vectors: Any, catalogue: Any) -> None:
    vectors = some_vectors(50)
    design = design_matrix(vectors, training_medians(vectors, catalogue.definitions))
    assert set(design.monotone) == {0, 1}
    free = {name for name, monotone in zip(design.names, design.monotone, strict=True) if not monotone}
    assert free == {c.name for c in contract.columns if c.area == "context" and c.in_model}


def test_a_column_says_how_much_worse_a_value_is_than_the_best_of_training(columns: Any, an_account: Any) -> None:
    assert columns(an_account(usage_trend=0.4))["usage_trend_below_best"] == pytest.approx(1.1 - 0.4)
    assert columns(an_account(usage_trend=1.5))["usage_trend_below_best"] == pytest.approx(1.1 - 1.5)
    assert columns(an_account(community_silence=31))["community_silence_above_best"] == 30


@pytest.mark.parametrize(("load", "below", "above"), [(0.1, 0.2, 0.0), (1.0, 0.0, 0.0), (5.0, 0.0, 2.0)])
def test_a_two_sided_signal_enters_as_distances_from_its_comfortable_range(
    columns: Any, an_account: Any, load: float, below: float, above: float
) -> None:
    found = columns(an_account(support_load=load))
    assert found["support_load_below"] == pytest.approx(below)
    assert found["support_load_above"] == pytest.approx(above)


def test_fresh_and_stale_ratings_are_columns_of_their_own(columns: Any, an_account: Any) -> None:
    fresh = columns(an_account(product_fit=4, product_fit_age_days=180))
    assert fresh["product_fit_fresh_below_best"] == 1
    assert np.isnan(fresh["product_fit_stale_below_best"])
    stale = columns(an_account(product_fit=4, product_fit_age_days=181))
    assert np.isnan(stale["product_fit_fresh_below_best"])
    assert stale["product_fit_stale_below_best"] == 1


def test_both_distances_and_both_ratings_belong_to_one_id(
    contract: Any, some_vectors: Any, catalogue: Any
) -> None:
    vectors = some_vectors(50)
    design = design_matrix(vectors, training_medians(vectors, catalogue.definitions))
    owners = {name: contract.names[owner] for name, owner in zip(design.names, design.owner, strict=True)}
    assert owners["support_load_below"] == owners["support_load_above"] == "support_load"
    assert owners["product_fit_fresh_below_best"] == owners["product_fit_stale_below_best"] == "product_fit"
    assert owners["usage_trend_below_best"] == "usage_trend"
    assert owners["arr"] == "arr"


def test_what_no_model_may_read_is_no_column(some_vectors: Any, catalogue: Any) -> None:
    vectors = some_vectors(50)
    names = design_matrix(vectors, training_medians(vectors, catalogue.definitions)).names
    assert not {"coverage", "under_notice", "feature_breadth_before"} & set(names)


def test_unknown_context_is_read_as_the_training_median_or_the_commonest_value(
    contract: Any, some_vectors: Any, catalogue: Any, an_account: Any
) -> None:
    training = some_vectors(5, unknown_share=0.0)
    training.values[:, contract.position["arr"]] = [1, 2, 3, 4, np.nan]
    training.values[:, contract.position["plan"]] = [0, 2, 2, 1, 0]
    training.values[:, contract.position["region"]] = np.nan
    medians = training_medians(training, catalogue.definitions)
    design = design_matrix(an_account(), medians)
    found = dict(zip(design.names, design.X[0], strict=True))
    assert found["arr"] == 2  # the lower of two middle values: one that occurs
    assert found["plan"] == 0  # as often as 2: the first
    assert np.isnan(found["region"])  # never known, so never split on
    assert {design.names[place] for place in design.categorical} == {"stage", "plan", "industry", "region"}


def test_signals_are_filled_only_where_training_had_hardly_any_unknown(
    contract: Any, some_vectors: Any, catalogue: Any, an_account: Any
) -> None:
    training = some_vectors(2001, unknown_share=0.0)
    training.values[:, contract.position["usage_trend"]] = 0.8
    training.values[:2, contract.position["usage_trend"]] = np.nan
    training.values[:3, contract.position["nps_score"]] = np.nan
    design = design_matrix(an_account(), training_medians(training, catalogue.definitions))
    found = dict(zip(design.names, design.X[0], strict=True))
    assert found["usage_trend_below_best"] == 0.0
    assert np.isnan(found["nps_score_below_best"])


def test_medians_of_another_contract_are_refused(an_account: Any, contract: Any) -> None:
    factors = sum(column.role == "factor" for column in contract.columns)
    with pytest.raises(BundleError, match="put together from two models"):
        design_matrix(an_account(), Medians((0.0,), (0.0,), (180.0,) * factors))
