from __future__ import annotations

import dataclasses
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from features.catalogue import load_catalogue
from features.errors import ContractMismatchError
from features.readings import UnknownReason
from features.vectors import feature_contract
from models.calibration import Platt
from models.decision import Decision, decide, score
from models.numbers import logit
from models.start import Start

ACCOUNTS = 1000

HEALTHY = {
    "licence_utilisation": 0.8,
    "licence_change": 0.0,
    "usage_trend": 1.0,
    "days_since_last_use": 1,
    "feature_breadth": 0.6,
    "support_load": 1.0,
    "open_escalations": 0,
    "nps_score": 9.5,
    "nps_detractors": 0,
    "angry_posts": 0,
    "negative_reviews": 0,
    "open_complaints": 0,
    "contract_requests": 0,
    "exit_page_views": 0,
    "champion_change": 0,
}


@pytest.fixture(scope="module")
def decisions(bundle: Any, catalogue: Any, some_vectors: Any) -> list[Decision]:
    return decide(some_vectors(ACCOUNTS, seed=31), bundle, catalogue)


@pytest.fixture
def answer(catalogue: Any, an_account: Any) -> Any:
    """The scorecard's own answer about one account."""

    def make(bundle: Any = None, catalogue: Any = catalogue, **values: Any) -> Decision:
        return decide(an_account(**values), bundle, catalogue)[0]

    return make


def test_contributions_add_up_to_the_served_log_odds(decisions: list[Decision]) -> None:
    assert len(decisions) == ACCOUNTS
    for decision in decisions:
        total = decision.base_log_odds + sum(part.log_odds for part in decision.contributions)
        assert total == pytest.approx(logit(decision.churn_probability), abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_parts_add_up_wherever_the_booster_starts(
    bundle: Any, catalogue: Any, some_vectors: Any, share: float
) -> None:
    elsewhere = dataclasses.replace(bundle, start=Start(share, -2.0))
    vectors = some_vectors(200, seed=34)
    found = decide(vectors, elsewhere, catalogue)
    for decision in found:
        total = decision.base_log_odds + sum(part.log_odds for part in decision.contributions)
        assert total == pytest.approx(logit(decision.churn_probability), abs=1e-9)
    before = score(vectors, bundle, catalogue).churn_probability
    assert ([decision.churn_probability for decision in found] != before).all()


def test_points_add_up_to_the_served_probability(decisions: list[Decision]) -> None:
    for decision in decisions:
        points = 100 * decision.base_probability + sum(part.points for part in decision.contributions)
        assert points == pytest.approx(100 * decision.churn_probability, abs=1e-9)


def test_points_are_finite_where_answer_and_base_coincide(answer: Any) -> None:
    decision = answer()
    assert decision.churn_probability == decision.base_probability
    assert [part.points for part in decision.contributions] == [0.0] * len(decision.contributions)


def test_equal_model_weights_give_the_same_base_bit_for_bit(
    decisions: list[Decision], bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    bases: dict[float, set[float]] = {}
    for decision in [*decisions, *decide(some_vectors(200, seed=32), bundle, catalogue)]:
        bases.setdefault(decision.model_weight, set()).add(decision.base_log_odds)
    shared = [weight for weight, found in bases.items() if found]
    assert len(shared) < len(decisions)  # weights do repeat
    assert all(len(found) == 1 for found in bases.values())


def test_parts_still_add_up_where_the_log_odds_are_held_at_fifteen(
    bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    steep = dataclasses.replace(bundle, platt=Platt(0.0, 40.0))
    found = decide(some_vectors(200, seed=33), steep, catalogue)
    held = [d for d in found if abs(logit(d.churn_probability)) > 15 - 1e-6]
    assert held
    for decision in found:
        total = decision.base_log_odds + sum(part.log_odds for part in decision.contributions)
        assert total == pytest.approx(logit(decision.churn_probability), abs=1e-8)
        assert abs(decision.base_log_odds) <= 15


def test_context_contributes_and_is_never_actionable(decisions: list[Decision], contract: Any) -> None:
    context = {c.name for c in contract.columns if c.area == "context" and c.in_model}
    actionable = {part.id: part.actionable for part in decisions[0].contributions}
    assert {name for name, can in actionable.items() if not can} == context | {"combination"}
    assert any(part.log_odds for d in decisions for part in d.contributions if part.id == "licences")


def test_the_combination_is_a_part_of_its_own(decisions: list[Decision]) -> None:
    for decision in decisions:
        part = {part.id: part.log_odds for part in decision.contributions}["combination"]
        assert (part > 0) == (decision.level in ("at_risk", "critical"))


def test_one_account_gets_the_same_bits_alone_and_in_a_batch(
    decisions: list[Decision], bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    vectors = some_vectors(ACCOUNTS, seed=31)
    for row in range(0, ACCOUNTS, 7):
        assert decide(vectors.take([row]), bundle, catalogue) == [decisions[row]]


def test_eight_threads_answer_as_one(
    decisions: list[Decision], bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    vectors = some_vectors(ACCOUNTS, seed=31)
    rows = list(range(0, ACCOUNTS, 5))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: decide(vectors.take([row]), bundle, catalogue)[0], rows))
    assert found == [decisions[row] for row in rows]


def test_scores_are_the_bits_of_the_decisions(
    decisions: list[Decision], bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    scores = score(some_vectors(ACCOUNTS, seed=31), bundle, catalogue)
    for row, decision in enumerate(decisions):
        assert scores.churn_probability[row] == decision.churn_probability
        assert scores.model_probability[row] == decision.model_probability
        assert scores.scorecard_probability[row] == decision.scorecard_probability
        assert scores.model_weight[row] == decision.model_weight
        assert (scores.interval_low[row], scores.interval_high[row]) == decision.interval
        assert scores.band[row] == decision.band
        assert scores.level[row] == decision.level
        assert scores.coverage[row] == decision.coverage
        health = scores.health_score[row]
        assert (None if np.isnan(health) else health) == decision.health_score


def test_the_blend_lies_between_model_and_scorecard_and_inside_its_interval(decisions: list[Decision]) -> None:
    for decision in decisions:
        assert decision.model_probability is not None
        low, high = sorted((decision.model_probability, decision.scorecard_probability))
        assert low - 1e-12 <= decision.churn_probability <= high + 1e-12
        assert decision.interval[0] < decision.churn_probability < decision.interval[1]


def test_agreement_says_which_voice_is_the_higher_one(decisions: list[Decision]) -> None:
    for decision in decisions:
        assert decision.model_probability is not None
        difference = logit(decision.model_probability) - logit(decision.scorecard_probability)
        expected = "agree" if abs(difference) < 1 else "model_higher" if difference > 0 else "scorecard_higher"
        assert decision.agreement == expected
    assert {decision.agreement for decision in decisions} >= {"agree", "scorecard_higher"}


def test_without_a_model_the_scorecard_answers_alone_and_says_so(answer: Any, catalogue: Any) -> None:
    decision = answer(**HEALTHY)
    assert decision.model_probability is None
    assert decision.agreement is None
    assert decision.model_weight == 0.0
    assert decision.churn_probability == decision.scorecard_probability
    assert [(one.days, one.extrapolated) for one in decision.horizons] == [
        (30, True),
        (90, False),
        (180, True),
        (365, True),
    ]
    assert decision.horizons[1].churn_probability == decision.churn_probability
    assert decision.versions.model is None
    assert decision.versions.scorecard_policy == catalogue.policy_fingerprint


def test_without_a_model_the_company_s_own_churn_sets_the_level(an_account: Any, catalogue: Any) -> None:
    decision = decide(an_account(), None, catalogue, yearly_churn=0.3)[0]
    assert decision.churn_probability == pytest.approx(1 - 0.7 ** (90 / 365))


def test_probabilities_come_from_the_bundle_and_bands_from_the_live_policy(
    bundle: Any, catalogue: Any, some_vectors: Any
) -> None:
    trend = catalogue.policy.signals["usage_trend"]
    strict = trend.model_copy(update={"edges": trend.edges.model_copy(update={"healthy": 5.0, "unhealthy": 4.0})})
    signals = {**catalogue.policy.signals, "usage_trend": strict}
    live = dataclasses.replace(catalogue, policy=catalogue.policy.model_copy(update={"signals": signals}))
    vectors = some_vectors(100, seed=34, unknown_share=0.0)
    before, after = decide(vectors, bundle, catalogue), decide(vectors, bundle, live)
    for one, other in zip(before, after, strict=True):
        assert one.churn_probability == other.churn_probability
        assert one.contributions == other.contributions
        assert other.health_score is not None
        assert one.health_score is not None
        assert other.health_score <= one.health_score
        assert "usage_trend" in {sign.id for sign in other.signs}
    assert after[0].versions.policy != after[0].versions.scorecard_policy == catalogue.policy_fingerprint


def test_all_is_well(answer: Any) -> None:
    decision = answer(**HEALTHY, under_notice=0, stage=2)
    assert (decision.band, decision.health_score, decision.level) == ("healthy", 100.0, None)
    assert decision.signs == ()
    assert decision.coverage > 0.3
    assert decision.stage == "mature"
    assert decision.under_notice is False


@pytest.mark.parametrize(
    ("changes", "band"),
    [
        ({"usage_trend": 0.85}, "healthy"),  # one ordinary sign
        ({"usage_trend": 0.1}, "not_so_healthy"),  # on watch
        ({"usage_trend": 0.8, "nps_score": 8}, "not_so_healthy"),  # two areas: on watch
        ({"usage_trend": 0.1, "negative_reviews": 2}, "unhealthy"),  # at risk
    ],
)
def test_the_combination_sets_the_band(answer: Any, changes: dict[str, float], band: str) -> None:
    assert answer(**{**HEALTHY, **changes}).band == band


def test_health_below_75_is_not_so_healthy_and_below_50_unhealthy(answer: Any) -> None:
    calm = {"usage_trend": 0.8}
    decision = answer(**calm)
    assert decision.level is None
    assert decision.band == "not_so_healthy"  # health 50, though withheld: what is known to be bad stays bad
    assert decision.health_score is None
    assert answer(usage_trend=0.71).band == "unhealthy"  # health 5, no strong sign


def test_three_times_the_base_rate_is_not_so_healthy(bundle: Any, answer: Any) -> None:
    calm = answer(bundle, **HEALTHY)
    assert calm.band == "healthy"
    rare = dataclasses.replace(bundle, base_rate=calm.churn_probability / 3)
    assert answer(rare, **HEALTHY).band == "not_so_healthy"
    common = dataclasses.replace(bundle, base_rate=calm.churn_probability / 2.9)
    assert answer(common, **HEALTHY).band == "healthy"


def test_below_the_coverage_floor_healthy_and_the_health_score_are_withheld(answer: Any) -> None:
    decision = answer(usage_trend=1.0, nps_score=9.5)
    assert decision.coverage < 0.3
    assert (decision.band, decision.health_score) == (None, None)
    assert {area.area: area.health_score for area in decision.areas}["usage"] == 100.0


def test_below_the_coverage_floor_what_is_known_to_be_bad_stays_bad(answer: Any) -> None:
    decision = answer(usage_trend=0.1, nps_score=1)
    assert (decision.band, decision.health_score) == ("unhealthy", None)


def test_nothing_known_is_neither_healthy_nor_unhealthy(answer: Any) -> None:
    decision = answer()
    assert (decision.band, decision.health_score, decision.coverage) == (None, None, 0.0)
    assert decision.stage is None
    assert decision.under_notice is None
    assert decision.readings == {}


def test_unknown_says_why(answer: Any, catalogue: Any) -> None:
    missing = {"nps_score": UnknownReason.NOT_DELIVERED, "arr": UnknownReason.NOT_CONNECTED}
    decision = answer(usage_trend=1.0, missing=missing)
    reasons = {unsettled.id: unsettled.reason for unsettled in decision.unknown}
    assert reasons["nps_score"] is UnknownReason.NOT_DELIVERED
    assert reasons["nps_change"] is UnknownReason.NOT_GIVEN
    assert "usage_trend" not in reasons
    assert set(reasons) | {"usage_trend"} == set(catalogue.definitions.signals) | set(
        catalogue.definitions.factors
    )


def test_strong_signs_come_first_then_the_heavier(answer: Any) -> None:
    decision = answer(usage_trend=0.8, open_escalations=1, negative_reviews=2, nps_change=-4)
    assert [(sign.id, sign.band, sign.strong) for sign in decision.signs] == [
        ("negative_reviews", "unhealthy", True),
        ("nps_change", "unhealthy", True),
        ("usage_trend", "not_so_healthy", False),
        ("open_escalations", "not_so_healthy", False),
    ]
    assert decision.strong_areas == ("nps", "feedback")
    assert decision.level == "critical"  # 1 + 1 + 0.5 + 0.5
    first = decision.signs[0]
    assert (first.area, first.value, first.threshold) == ("feedback", 2.0, 2.0)


def test_stale_and_low_side_signs_say_so(answer: Any) -> None:
    decision = answer(support_load=0.0, product_fit=1, product_fit_age_days=200, partnership=5)
    signs = {sign.id: sign for sign in decision.signs}
    assert signs["support_load"].low_side
    assert signs["product_fit"].stale
    assert decision.stale == ("product_fit",)


def test_opportunities_are_good_values_that_are_not_stale(answer: Any) -> None:
    decision = answer(
        licence_utilisation=0.95,
        nps_score=9,
        feature_breadth=0.5,
        feature_breadth_before=0.4,
        partnership=4,
        product_fit=5,
        product_fit_age_days=200,
        business_value=3,
    )
    assert [opportunity.id for opportunity in decision.opportunities] == [
        "licences_nearly_full",
        "promoters",
        "breadth_growing",
        "strong_partnership",
    ]
    assert answer(licence_utilisation=0.9, nps_score=8.9, feature_breadth=0.5).opportunities == ()


def test_readings_name_categories_by_their_text(answer: Any) -> None:
    assert answer(plan=2, usage_trend=0.5).readings == {"plan": "enterprise", "usage_trend": 0.5}


def test_the_moment_is_a_plain_datetime(answer: Any) -> None:
    assert answer().as_of == dt.datetime(2025, 1, 1)


def test_a_model_of_other_definitions_is_refused(bundle: Any, catalogue: Any, an_account: Any) -> None:
    stages = catalogue.definitions.stages.model_copy(update={"onboarding_days": 60})
    definitions = catalogue.definitions.model_copy(update={"stages": stages})
    changed = dataclasses.replace(catalogue, definitions=definitions)
    theirs = dataclasses.replace(
        an_account(), contract=feature_contract(changed, {c.name: c.codebook for c in bundle.contract.columns})
    )
    with pytest.raises(ContractMismatchError, match="do not fit each other"):
        decide(theirs, bundle, changed)
    with pytest.raises(ContractMismatchError, match="do not fit each other"):
        score(theirs, bundle, changed)
    with pytest.raises(ContractMismatchError, match="The vectors were made by definitions"):
        decide(an_account(), bundle, changed)
    with pytest.raises(ContractMismatchError, match="The vectors were made by definitions"):
        decide(an_account(), None, changed)


def test_a_model_with_another_codebook_is_refused_with_a_readable_difference(
    bundle: Any, catalogue: Any, an_account: Any
) -> None:
    other = dataclasses.replace(an_account(), contract=feature_contract(catalogue, {"plan": ("gold",)}))
    with pytest.raises(ContractMismatchError, match=r"\+plan \(context, category\) \['gold'\]"):
        decide(other, bundle, catalogue)


def test_a_catalogue_with_a_signal_off_is_another_contract(bundle: Any, an_account: Any) -> None:
    without = load_catalogue(off=["negative_reviews"])
    with pytest.raises(ContractMismatchError):
        decide(an_account(), bundle, without)


def test_no_accounts_are_answered_with_no_answers(bundle: Any, catalogue: Any, an_account: Any) -> None:
    none = an_account().take(slice(0, 0))
    assert decide(none, bundle, catalogue) == []
    assert len(score(none, bundle, catalogue).band) == 0
