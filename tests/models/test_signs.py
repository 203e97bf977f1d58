from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.catalogue import load_catalogue
from features.catalogue.schema import (
    AccountBands,
    Between,
    Counts,
    Edges,
    Policy,
    ThresholdOverride,
)
from features.readings import UnknownReason
from features.vectors import feature_contract
from models.signs import AT_RISK, CRITICAL, NO_LEVEL, WATCH, Judgements, judge
from models.thresholds import BAND_NAMES

H, N, U = "healthy", "not_so_healthy", "unhealthy"

# Our playbook, by hand: signal -> (value, band, severity). A value on an edge belongs to the healthier band.
TABLE: dict[str, list[tuple[float, str, float]]] = {
    "licence_utilisation": [(0.7, H, 0), (0.6, H, 0), (0.45, N, 0.5), (0.3, N, 1), (0.29, U, 1)],
    "licence_change": [(0.1, H, 0), (0.0, H, 0), (-0.1, N, 0.5), (-0.2, N, 1), (-0.21, U, 1)],
    "usage_trend": [(1.2, H, 0), (0.9, H, 0), (0.8, N, 0.5), (0.7, N, 1), (0.69, U, 1), (0, U, 1)],
    "days_since_last_use": [(0, H, 0), (7, H, 0), (18.5, N, 0.5), (30, N, 1), (31, U, 1)],
    "feature_breadth": [(0.5, H, 0), (0.4, H, 0), (0.3, N, 0.5), (0.2, N, 1), (0.19, U, 1)],
    "stale_implementation": [(5, H, 0), (120, H, 0), (180, N, 0.5), (240, N, 1), (241, U, 1)],
    "onboarding_adoption": [(1, H, 0), (0.6, H, 0), (0.45, N, 0.5), (0.3, N, 1), (0.2, U, 1)],
    "support_load": [
        (0, N, 0.5),
        (0.15, N, 0.25),
        (0.3, H, 0),
        (1, H, 0),
        (3, H, 0),
        (4.5, N, 0.5),
        (6, N, 1),
        (7, U, 1),
    ],
    "slow_resolution": [(1, H, 0), (1.5, H, 0), (2.25, N, 0.5), (3, N, 1), (3.1, U, 1)],
    "open_escalations": [(0, H, 0), (1, N, 0.5), (2, U, 1), (5, U, 1)],
    "support_satisfaction": [(5, H, 0), (4, H, 0), (3.5, N, 0.5), (3, N, 1), (2.9, U, 1)],
    "nps_score": [(9, H, 0), (8.5, H, 0), (7.5, N, 0.5), (6.5, N, 1), (6.4, U, 1)],
    "nps_detractors": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "nps_change": [(0, H, 0), (-1.4, H, 0), (-1.5, N, 0), (-2, N, 0.5), (-2.5, U, 1), (-4, U, 1)],
    "angry_posts": [(0, H, 0), (1, N, 0.5), (2, U, 1), (3, U, 1)],
    "beginner_questions": [(0, H, 0), (0.5, N, 0.5), (1, N, 1), (1.1, U, 1)],
    "community_silence": [(3, H, 0), (30, H, 0), (45, N, 0.5), (60, N, 1), (61, U, 1)],
    "community_absence": [(0, H, 0), (1, N, 0.5)],
    "negative_reviews": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "open_complaints": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "contract_requests": [(0, H, 0), (1, N, 0.5), (2, U, 1), (4, U, 1)],
    "exit_page_views": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "export_requests": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "champion_change": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
    "leadership_change": [(0, H, 0), (1, N, 0.5), (2, U, 1)],
}
FACTORS = {5: (H, 0.0), 4: (H, 0.0), 3: (N, 0.5), 2: (U, 1.0), 1: (U, 1.0)}
WEIGHTS = {
    **dict.fromkeys(TABLE, 2.0),
    **dict.fromkeys(
        [
            "licence_utilisation",
            "feature_breadth",
            "stale_implementation",
            "onboarding_adoption",
            "slow_resolution",
            "open_escalations",
            "support_satisfaction",
            "nps_change",
            "angry_posts",
            "beginner_questions",
            "community_absence",
        ],
        1.0,
    ),
    **dict.fromkeys(("negative_reviews", "open_complaints", "contract_requests"), 3.0),
}


@pytest.fixture
def judged(catalogue: Any, an_account: Any) -> Any:
    def make(policy: Policy | None = None, **values: Any) -> Judgements:
        return judge(an_account(**values), policy or catalogue.policy, catalogue.definitions)

    return make


def item(judgements: Judgements, name: str) -> int:
    return judgements.items.index(name)


def area(judgements: Judgements, name: str) -> int:
    return judgements.areas.index(name)


def changed(policy: Policy, signal: str, **entries: Any) -> Policy:
    entry = policy.signals[signal].model_copy(update=entries)
    return policy.model_copy(update={"signals": {**policy.signals, signal: entry}})


def test_the_table_of_the_domain_names_every_signal_of_the_catalogue(catalogue: Any) -> None:
    assert set(TABLE) == set(catalogue.definitions.signals)
    assert {name: entry.weight for name, entry in catalogue.policy.signals.items()} == WEIGHTS


@pytest.mark.parametrize(
    ("signal", "value", "band", "severity"),
    [(signal, *row) for signal, rows in TABLE.items() for row in rows],
)
def test_each_value_has_the_band_and_severity_of_the_domain(
    judged: Any, signal: str, value: float, band: str, severity: float
) -> None:
    judgements = judged(**{signal: value})
    place = item(judgements, signal)
    assert BAND_NAMES[judgements.band[0, place]] == band
    assert judgements.severity[0, place] == pytest.approx(severity, abs=1e-12)
    assert judgements.strong[0, place] == (band == U)


@pytest.mark.parametrize("rating", sorted(FACTORS))
def test_each_rating_of_a_factor_has_the_band_of_the_domain(judged: Any, catalogue: Any, rating: int) -> None:
    for factor in catalogue.definitions.factors:
        judgements = judged(**{factor: rating})
        place = item(judgements, factor)
        found = BAND_NAMES[judgements.band[0, place]], judgements.severity[0, place]
        assert found == FACTORS[rating]
        assert judgements.weight[0, place] == 2.0


def test_an_unknown_reading_has_no_band_and_no_severity(judged: Any) -> None:
    judgements = judged(usage_trend=0.5)
    others = [place for place, name in enumerate(judgements.items) if name != "usage_trend"]
    assert (judgements.band[0, others] == -1).all()
    assert np.isnan(judgements.severity[0, others]).all()
    assert not judgements.strong[0, others].any()


def test_a_sign_names_the_edge_that_it_has_crossed(judged: Any) -> None:
    def crossed(**values: float) -> float:
        judgements = judged(**values)
        return float(judgements.crossed[0, item(judgements, next(iter(values)))])

    assert crossed(usage_trend=0.8) == 0.9
    assert crossed(usage_trend=0.1) == 0.7
    assert crossed(open_escalations=1) == 1
    assert crossed(open_escalations=3) == 2
    assert crossed(product_fit=3) == 4
    assert crossed(product_fit=1) == 3
    assert crossed(support_load=0.1) == 0.3
    assert np.isnan(crossed(usage_trend=1.0))


def test_the_low_side_is_at_most_not_so_healthy_and_has_its_own_weight(judged: Any) -> None:
    low, high = judged(support_load=0.0), judged(support_load=9.0)
    place = item(low, "support_load")
    assert low.low_side[0, place]
    assert not low.strong[0, place]
    assert low.weight[0, place] == 1.0
    assert not high.low_side[0, place]
    assert high.strong[0, place]
    assert high.weight[0, place] == 2.0


def test_a_stale_factor_counts_half_and_is_no_strong_sign(judged: Any) -> None:
    fresh = judged(product_fit=1, product_fit_age_days=180)
    stale = judged(product_fit=1, product_fit_age_days=181)
    place = item(fresh, "product_fit")
    assert (fresh.stale[0, place], fresh.strong[0, place], fresh.weight[0, place]) == (False, True, 2.0)
    assert (stale.stale[0, place], stale.strong[0, place], stale.weight[0, place]) == (True, False, 1.0)
    assert BAND_NAMES[stale.band[0, place]] == U
    assert fresh.health[0] == 0.0
    assert stale.health[0] == 25.0  # worst counts half: mean of 0.5 and 1
    assert stale.level[0] == NO_LEVEL  # one ordinary sign


def test_a_rating_of_unknown_age_is_not_held_to_be_stale(judged: Any) -> None:
    judgements = judged(product_fit=1)
    assert not judgements.stale[0, item(judgements, "product_fit")]


def test_signs_add_up_to_levels_by_area(judged: Any) -> None:
    def level(**values: float) -> int:
        return int(judged(**values).level[0])

    assert level(usage_trend=1.0) == NO_LEVEL
    assert level(usage_trend=0.8) == NO_LEVEL  # an ordinary sign: half a point
    assert level(usage_trend=0.8, nps_score=8) == WATCH  # two areas with ordinary signs
    assert level(usage_trend=0.5) == WATCH  # one strong sign
    assert level(usage_trend=0.5, days_since_last_use=60) == WATCH  # 1.5
    assert level(usage_trend=0.5, days_since_last_use=60, feature_breadth=0.1) == WATCH  # a third adds nothing
    assert level(usage_trend=0.5, days_since_last_use=60, nps_score=8) == AT_RISK  # 1.5 + 0.5
    assert level(usage_trend=0.5, nps_score=2) == AT_RISK
    assert level(usage_trend=0.5, nps_score=2, negative_reviews=2) == CRITICAL


def test_ordinary_signs_alone_never_pass_watch(judged: Any) -> None:
    ordinary = {
        "licence_change": -0.1,
        "usage_trend": 0.8,
        "open_escalations": 1,
        "nps_score": 8,
        "angry_posts": 1,
        "open_complaints": 1,
        "contract_requests": 1,
        "champion_change": 1,
    }
    judgements = judged(**ordinary)
    assert judgements.area_points.sum() == 4.0
    assert judgements.level[0] == WATCH
    assert judged(**ordinary, exit_page_views=2).level[0] == CRITICAL


def test_points_are_one_for_a_strong_sign_half_for_ordinary_ones_and_half_for_a_second(judged: Any) -> None:
    judgements = judged(usage_trend=0.5, days_since_last_use=60, nps_score=8, nps_change=-2, open_complaints=5)
    points = dict(zip(judgements.areas, judgements.area_points[0], strict=True))
    assert (points["usage"], points["nps"], points["feedback"], points["support"]) == (1.5, 0.5, 1.0, 0.0)
    strong = {
        name for name, is_strong in zip(judgements.areas, judgements.strong_areas[0], strict=True) if is_strong
    }
    assert strong == {"usage", "feedback"}


def test_area_health_is_the_mean_of_the_worst_and_the_weighted_average_item(judged: Any) -> None:
    # usage: trend (weight 2) severity 0.5, last use (2) 0, breadth (1) 1: average 0.4, worst 1.
    judgements = judged(usage_trend=0.8, days_since_last_use=0, feature_breadth=0.1)
    assert judgements.area_health[0, area(judgements, "usage")] == pytest.approx(100 * (1 - (1 + 0.4) / 2))
    assert np.isnan(judgements.area_health[0, area(judgements, "nps")])


def test_health_is_the_mean_of_known_areas_by_the_weight_of_all_their_items(judged: Any) -> None:
    # licences weigh 3 (1 + 2), usage 5 (2 + 2 + 1), though one item of each is known.
    judgements = judged(licence_utilisation=0.1, usage_trend=1.0)
    assert judgements.health[0] == pytest.approx((0 * 3 + 100 * 5) / 8)


def test_nothing_known_gives_no_health_not_100_and_not_0(judged: Any) -> None:
    judgements = judged()
    assert np.isnan(judgements.health[0])
    assert np.isnan(judgements.area_health).all()
    assert judgements.coverage[0] == 0.0


def test_coverage_is_the_known_weight_of_what_applies_and_is_connected(judged: Any, catalogue: Any) -> None:
    total = sum(WEIGHTS.values()) + 2.0 * len(catalogue.definitions.factors)
    assert judged(usage_trend=1.0).coverage[0] == pytest.approx(2.0 / total)
    missing = {"nps_score": UnknownReason.NOT_CONNECTED, "onboarding_adoption": UnknownReason.NOT_APPLICABLE}
    judgements = judged(usage_trend=1.0, missing=missing)
    assert judgements.coverage[0] == pytest.approx(2.0 / (total - 3.0))
    assert judgements.area_coverage[0, area(judgements, "usage")] == pytest.approx(2.0 / 5.0)


def test_where_nothing_is_connected_there_is_no_coverage_to_speak_of(judged: Any, catalogue: Any) -> None:
    items = [*catalogue.definitions.signals, *catalogue.definitions.factors]
    judgements = judged(missing=dict.fromkeys(items, UnknownReason.NOT_CONNECTED))
    assert np.isnan(judgements.coverage[0])
    assert np.isnan(judgements.area_coverage).all()


def test_the_stage_is_named_and_none_where_unknown(judged: Any) -> None:
    assert judged(stage=3).stage == ("renewal_window",)
    assert judged().stage == (None,)


def test_thresholds_may_differ_by_stage(judged: Any, catalogue: Any) -> None:
    lenient = ThresholdOverride(stages=("onboarding",), edges=Edges(healthy=0.3, unhealthy=0.1))
    policy = changed(catalogue.policy, "licence_utilisation", overrides=(lenient,))

    def band(stage: int) -> str:
        judgements = judged(policy, licence_utilisation=0.4, stage=stage)
        return BAND_NAMES[judgements.band[0, item(judgements, "licence_utilisation")]]

    assert band(0) == H
    assert band(2) == N


def test_thresholds_may_differ_by_a_category_and_a_number_and_the_first_match_wins(
    judged: Any, catalogue: Any
) -> None:
    overrides = (
        ThresholdOverride(context={"plan": ("basic",)}, edges=Edges(healthy=30, unhealthy=60)),
        ThresholdOverride(context={"licences": Between(at_most=10)}, edges=Edges(healthy=14, unhealthy=20)),
    )
    policy = changed(catalogue.policy, "days_since_last_use", overrides=overrides)

    def crossed(**context: float) -> float:
        judgements = judged(policy, days_since_last_use=100, **context)
        return float(judgements.crossed[0, item(judgements, "days_since_last_use")])

    assert crossed(plan=0, licences=5) == 60
    assert crossed(plan=1, licences=10) == 20
    assert crossed(plan=1, licences=11) == 30


def test_counts_may_differ_by_stage_too(judged: Any, catalogue: Any) -> None:
    override = ThresholdOverride(stages=("mature",), counts=Counts(not_so_healthy=3, unhealthy=6))
    policy = changed(catalogue.policy, "open_escalations", overrides=(override,))
    judgements = judged(policy, open_escalations=2, stage=2)
    assert judgements.band[0, item(judgements, "open_escalations")] == 0


def test_an_unknown_stage_is_read_by_the_strictest_threshold_that_may_apply(judged: Any, catalogue: Any) -> None:
    overrides = (
        ThresholdOverride(stages=("onboarding",), edges=Edges(healthy=0.3, unhealthy=0.1)),
        ThresholdOverride(stages=("mature",), edges=Edges(healthy=0.9, unhealthy=0.5)),
    )
    policy = changed(catalogue.policy, "licence_utilisation", overrides=overrides)
    severities = [
        judged(policy, licence_utilisation=0.4, **stage).severity[0, 0]
        for stage in ({"stage": 0}, {"stage": 1}, {"stage": 2}, {})
    ]
    assert severities == [0.0, pytest.approx(2 / 3), 1.0, 1.0]


def test_a_signal_that_is_switched_off_is_not_judged() -> None:
    catalogue = load_catalogue(off=["negative_reviews"])
    contract = feature_contract(catalogue, {})
    assert "negative_reviews" not in [column.name for column in contract.items]


def test_one_account_is_judged_alike_alone_and_in_a_batch(some_vectors: Any, catalogue: Any) -> None:
    vectors = some_vectors(300, seed=4)
    batch = judge(vectors, catalogue.policy, catalogue.definitions)
    for row, one in enumerate(vectors):
        alone = judge(one, catalogue.policy, catalogue.definitions)
        for name in ("severity", "area_points", "level", "area_health", "health", "area_coverage", "coverage"):
            assert getattr(alone, name)[0].tobytes() == getattr(batch, name)[row].tobytes(), name


def test_the_default_bands_of_an_account_are_those_of_the_domain(catalogue: Any) -> None:
    assert catalogue.policy.bands == AccountBands(
        unhealthy_below=50, not_so_healthy_below=75, base_rate_multiple=3, coverage_floor=0.3
    )
