"""The thresholds, weights, plays and combinations of the default playbook, as the practice has them."""

import pytest

from features.catalogue import load_catalogue
from features.catalogue.schema import Counts, Edges

POLICY = load_catalogue().policy
DEFINITIONS = load_catalogue().definitions

# signal, weight, healthy edge, unhealthy edge
MEASURED = [
    ("licence_utilisation", 1, 0.60, 0.30),
    ("licence_change", 2, 0.0, -0.20),
    ("usage_trend", 2, 0.90, 0.70),
    ("days_since_last_use", 2, 7, 30),
    ("feature_breadth", 1, 0.40, 0.20),
    ("stale_implementation", 1, 120, 240),
    ("onboarding_adoption", 1, 0.60, 0.30),
    ("support_load", 2, 3, 6),
    ("slow_resolution", 1, 1.5, 3),
    ("support_satisfaction", 1, 4, 3),
    ("nps_score", 2, 8.5, 6.5),
    ("nps_change", 1, -1.5, -2.5),
    ("beginner_questions", 1, 0, 1),
    ("community_silence", 2, 30, 60),
]
# signal, weight, not so healthy from, unhealthy from
COUNTED = [
    ("open_escalations", 1, 1, 2),
    ("nps_detractors", 2, 1, 2),
    ("angry_posts", 1, 1, 2),
    ("community_absence", 1, 1, None),
    ("negative_reviews", 3, 1, 2),
    ("open_complaints", 3, 1, 2),
    ("contract_requests", 3, 1, 2),
    ("exit_page_views", 2, 1, 2),
    ("export_requests", 2, 1, 2),
    ("champion_change", 2, 1, 2),
    ("leadership_change", 2, 1, 2),
]
# play, owner, days, the signs that it answers
PLAYS = [
    ("talk_to_the_respondent", "csm", 3, {"nps_score", "nps_detractors", "nps_change"}),
    ("reach_out_personally", "csm", 3, {"angry_posts"}),
    (
        "educate_and_train",
        "csm_or_services",
        14,
        {
            "beginner_questions",
            "feature_breadth",
            "licence_utilisation",
            "stale_implementation",
            "onboarding_adoption",
        },
    ),
    (
        "escalate_and_fix",
        "support_lead",
        2,
        {"support_load", "open_escalations", "slow_resolution", "support_satisfaction"},
    ),
    (
        "find_out_what_changed",
        "csm",
        7,
        {"community_silence", "community_absence", "usage_trend", "days_since_last_use"},
    ),
    ("right_size_with_a_plan", "csm", 7, {"licence_change"}),
    ("answer_and_solve", "csm_lead", 1, {"negative_reviews", "open_complaints"}),
    ("ask_why_first", "csm", 2, {"contract_requests"}),
    ("ask_for_the_problem", "csm", 2, {"exit_page_views", "export_requests"}),
    ("bring_up_the_successor", "csm", 5, {"champion_change"}),
    ("meet_the_new_leadership", "executive_sponsor", 14, {"leadership_change"}),
]
REMEDIES = {
    "partnership": "joint_success_plan",
    "executive_relationship": "sponsor_programme",
    "business_value": "value_workshop",
    "resources": "skills_plan",
    "technical_debt": "debt_plan",
    "product_fit": "fit_review",
}


@pytest.mark.parametrize(("signal", "weight", "healthy", "unhealthy"), MEASURED)
def test_a_measured_signal_has_the_edges_and_weight_of_the_practice(signal, weight, healthy, unhealthy):
    read = POLICY.signals[signal]
    assert read.weight == weight
    assert read.edges is not None
    assert (read.edges.healthy, read.edges.unhealthy) == (healthy, unhealthy)


@pytest.mark.parametrize(("signal", "weight", "some", "many"), COUNTED)
def test_a_count_or_code_has_the_bands_and_weight_of_the_practice(signal, weight, some, many):
    read = POLICY.signals[signal]
    assert read.weight == weight
    assert read.counts == Counts(not_so_healthy=some, unhealthy=many)


def test_the_two_tables_together_name_every_signal():
    assert {row[0] for row in MEASURED + COUNTED} == set(DEFINITIONS.signals)


def test_the_edge_belongs_to_the_healthier_band_except_for_a_fall_in_nps():
    other_way = [
        name
        for name, read in POLICY.signals.items()
        if read.edges is not None and not read.edges.edge_is_healthier
    ]
    assert other_way == ["nps_change"]
    assert POLICY.signals["nps_change"].edges == Edges(healthy=-1.5, unhealthy=-2.5, edge_is_healthier=False)


def test_too_few_tickets_weigh_less_than_too_many_and_open_training():
    low = POLICY.signals["support_load"].low
    assert low is not None
    assert (low.healthy, low.weight, low.play, low.opens) == (0.3, 1, "educate_and_train", "teach")
    assert [name for name, read in POLICY.signals.items() if read.low is not None] == ["support_load"]


@pytest.mark.parametrize(("factor", "remedy"), list(REMEDIES.items()))
def test_a_weak_factor_calls_for_its_own_remedy(factor, remedy):
    read = POLICY.factors[factor]
    assert (read.weight, read.healthy_from, read.not_so_healthy_from, read.play) == (2, 4, 3, remedy)
    assert (POLICY.plays[remedy].owner_role, POLICY.plays[remedy].due_days) == ("csm", 30)


def test_the_remedies_name_every_factor():
    assert set(REMEDIES) == set(DEFINITIONS.factors)


@pytest.mark.parametrize(("play", "owner", "days", "signs"), PLAYS)
def test_a_sign_calls_for_the_action_of_the_playbook(play, owner, days, signs):
    assert (POLICY.plays[play].owner_role, POLICY.plays[play].due_days) == (owner, days)
    assert {name for name, read in POLICY.signals.items() if read.play == play} == signs


@pytest.mark.parametrize(
    ("band", "owner", "days", "cadence"),
    [("healthy", "csm", 90, 90), ("not_so_healthy", "csm", 14, 30), ("unhealthy", "csm_lead", 5, 7)],
)
def test_every_band_of_accounts_has_a_play_and_a_cadence(band, owner, days, cadence):
    segment = POLICY.segments[band]
    play = POLICY.plays[segment.play]
    assert (play.owner_role, play.due_days, segment.cadence_days) == (owner, days, cadence)


def test_signs_combine_as_the_practice_says():
    c = POLICY.combination
    assert (c.strong_area, c.ordinary_area, c.second_strong) == (1, 0.5, 0.5)
    assert (c.watch, c.at_risk, c.critical) == (1, 2, 3)


def test_the_bands_of_an_account_and_the_scorecard_priors_are_those_of_the_practice():
    b, s = POLICY.bands, POLICY.scorecard
    assert (b.unhealthy_below, b.not_so_healthy_below, b.base_rate_multiple, b.coverage_floor) == (50, 75, 3, 0.3)
    assert (s.log_odds_per_weight, s.mean_severity, s.yearly_churn) == (0.25, 0.2, 0.10)
    assert (s.watch, s.at_risk, s.critical, s.agreement_log_odds) == (0, 0.4, 0.8, 1)


def test_opportunities_are_full_licences_promoters_growing_breadth_and_strong_factors():
    edges = {(entry.of, entry.minus, entry.above, entry.at_least) for entry in POLICY.opportunities.values()}
    assert edges == {
        ("licence_utilisation", None, 0.90, None),
        ("nps_score", None, None, 9),
        ("feature_breadth", "feature_breadth_before", None, 0.10),
        *((factor, None, None, 4) for factor in DEFINITIONS.factors),
    }
