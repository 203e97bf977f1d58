"""The causal model does what its page says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.simulation.book import draw_book
from training.simulation.days import Period, first_day
from training.simulation.history import live_through
from training.simulation.latent import State, Traits, log_hazard
from training.simulation.parameters import Growth, Hazard, Latent, Parameters
from training.simulation.terms import Terms, day_weights
from training.simulation.truth import true_probabilities

HAZARD = Hazard()


def hazard_of(champion: bool = True, invested: float = 0.0, **latents: float) -> float:
    """The log-hazard of one account whose other latents are at rest."""
    x = np.zeros((len(Latent), 1), np.float32)
    for name, value in latents.items():
        x[Latent[name.upper()]] = value
    state = State(x, np.array([champion]), np.zeros(1, np.int8))
    nothing = np.zeros(1, np.float32)
    who = Traits(np.zeros_like(x), np.zeros(1, np.int64), nothing + np.float32(invested), nothing)
    return float(log_hazard(state, who, HAZARD)[0])


def test_two_troubles_together_are_worse_than_their_sum() -> None:
    rest = hazard_of()
    apart = (hazard_of(friction=1.5) - rest) + (hazard_of(value=-1.5) - rest)
    together = hazard_of(friction=1.5, value=-1.5) - rest
    assert together > apart + 0.2


def test_what_goes_well_does_not_make_up_for_trouble() -> None:
    assert hazard_of(friction=1.5, sponsor=2.0) == hazard_of(friction=1.5)


def test_too_much_friction_and_too_little_investment_are_both_trouble() -> None:
    assert hazard_of(friction=1.5) > hazard_of()
    assert hazard_of(invested=-1.5) > hazard_of()


def test_a_quiet_champion_is_trouble_and_none_is_more() -> None:
    active, quiet = hazard_of(champion_activity=1.0), hazard_of(champion_activity=-1.5)
    gone, gone_without_sponsor = hazard_of(champion=False), hazard_of(champion=False, sponsor=-1.5)
    assert active < quiet < gone < gone_without_sponsor


def test_without_a_champion_his_activity_says_nothing() -> None:
    assert hazard_of(champion=False, champion_activity=-2.0) == hazard_of(champion=False)


def a_term(term: int = 12, auto_renew: bool = True, notice_days: int = 60) -> Terms:
    one = np.ones(1, np.int64)
    terms = Terms(
        648 * one,  # 2024-01
        1 * one,
        term * one,
        notice_days * one,
        np.array([auto_renew]),
        0 * one,
        np.array([10.0]),
        np.array([0.0]),
    )
    return terms.with_signing(np.array([0.5]))


def test_notice_weighs_most_just_before_the_deadline() -> None:
    terms = a_term()
    deadline = int(terms.deadline[0])
    days = np.array([deadline - 200, deadline - 60, deadline, deadline + 1, int(terms.signing[0]) + 1])
    weight, lapse, _ = day_weights(terms, days, Parameters().season)
    assert weight[0, 0] < weight[0, 1] < weight[0, 2]
    assert weight[0, 3] < weight[0, 0]
    assert weight[0, 4] == 0
    assert not lapse.any()


def test_short_terms_weigh_the_same_all_year() -> None:
    terms = a_term(term=1, notice_days=7)
    weight, _, _ = day_weights(terms, first_day(648) + np.arange(90), Parameters().season)
    assert np.ptp(weight) == 0


def test_what_does_not_renew_by_itself_is_let_go_on_its_last_day() -> None:
    terms = a_term(auto_renew=False)
    days = int(terms.end[0]) + np.arange(-3, 4)
    lapse = day_weights(terms, days, Parameters().season)[1][0]
    assert (lapse > 0).tolist() == [False, False, False, True, False, False, False]


def test_churn_is_drawn_from_the_latent_state_before_any_table_exists() -> None:
    parameters, period = Parameters(), Period.of(24)
    book = draw_book(
        np.random.default_rng(1), np.arange(300), period, Growth(), parameters.motion.between_accounts
    )
    history = live_through(np.random.default_rng(2), book, period, parameters)
    calm = replace(parameters, hazard=replace(HAZARD, intercept=-60.0, involuntary_a_month=0.0))
    assert len(history.departures.account) > 10
    assert len(live_through(np.random.default_rng(2), book, period, calm).departures.account) == 0


def test_nobody_is_at_risk_after_notice_or_out_of_service() -> None:
    parameters, period = Parameters(), Period.of(24)
    book = draw_book(
        np.random.default_rng(1), np.arange(300), period, Growth(), parameters.motion.between_accounts
    )
    history = live_through(np.random.default_rng(2), book, period, parameters)
    starts = period.starts[:-1] - period.first
    assert not (history.at_risk[:, 1:] & history.under_notice[:, starts[1:] - 1]).any()
    assert not (history.at_risk & ~history.in_service[:, starts]).any()


def test_more_runs_give_the_same_truth_with_less_noise() -> None:
    parameters, period = Parameters(), Period.of(6)
    book = draw_book(np.random.default_rng(1), np.arange(60), period, Growth(), parameters.motion.between_accounts)
    history = live_through(np.random.default_rng(2), book, period, parameters)
    rough, fine = (
        true_probabilities(np.random.default_rng(3), history, replace(parameters, runs=runs))[2]
        for runs in (200, 4000)
    )
    assert rough == pytest.approx(fine, rel=0.25)
    assert rough.mean() == pytest.approx(fine.mean(), rel=0.02)
