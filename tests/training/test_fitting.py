from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from features.errors import TrainingError
from models.blend import Blend
from models.calibration import Platt
from models.numbers import sigmoid
from tests.training.fabricated import EFFECTS, Made, a_company
from training.boosting import rounds_of, share_of_rounds
from training.calibrating import Unseen, fit_kappa, fit_platt
from training.evaluation import row_log_loss
from training.fitting import Prepared, agree, fit, said_of_later_months
from training.folds import churned_accounts
from training.recipe import Recipe, load_recipe
from training.scorecard_fit import effective_parameters, fit_scorecard, penalised_logistic

RECIPE = load_recipe()


def everybody(made: Made) -> np.ndarray:
    return np.flatnonzero(~np.isnan(made.churned))


def test_the_scorecard_finds_what_goes_with_churn(company: Made) -> None:
    material, rows = company.material(), everybody(company)
    fitted = fit_scorecard(
        material.prior,
        material.severities.take(rows),
        company.churned[rows],
        company.vectors.account_ids[rows],
        RECIPE.scorecard,
    )
    gained = {
        name: after - before
        for name, before, after in zip(fitted.items, material.prior.weights, fitted.weights, strict=True)
    }
    most = sorted(gained, key=lambda name: -gained[name])[:3]
    assert set(most) <= set(EFFECTS)


def test_no_weight_is_negative_and_the_combination_never_falls(company: Made) -> None:
    # Labels turned round: everything that is a sign goes with staying.
    material, rows = company.material(), everybody(company)
    fitted = fit_scorecard(
        material.prior,
        material.severities.take(rows),
        1 - company.churned[rows],
        company.vectors.account_ids[rows],
        RECIPE.scorecard,
    )
    assert min(fitted.weights) >= 0
    assert 0 <= fitted.combination[0] <= fitted.combination[1] <= fitted.combination[2]


def test_without_churned_accounts_the_scorecard_stays_at_its_priors(company: Made) -> None:
    material, rows = company.material(), everybody(company)
    nobody = np.zeros(len(rows))
    judgements = material.severities.take(rows)
    assert fit_scorecard(
        material.prior, judgements, nobody, company.vectors.account_ids[rows], RECIPE.scorecard
    ) is (material.prior)


def test_with_three_churned_accounts_the_scorecard_stays_near_its_priors() -> None:
    made = a_company(accounts=60, months=6, level=-5.5)
    material, rows = made.material(), everybody(made)
    accounts = made.vectors.account_ids[rows]
    few = np.isin(accounts.astype(str), sorted(set(accounts[made.churned[rows] == 1]))[:3])
    churned = np.where(few, made.churned[rows], 0.0)
    fitted = fit_scorecard(material.prior, material.severities.take(rows), churned, accounts, RECIPE.scorecard)
    moved = np.abs(np.array(fitted.weights) - np.array(material.prior.weights))
    assert 0 < moved.max() < 0.15


def test_a_churn_that_fills_three_snapshots_counts_once() -> None:
    terms, churned = np.array([[1.0], [0.0]] * 50), np.array([1.0, 0.0] * 50)
    prior = {"centre": np.array([0.0, 0.5]), "spread": np.array([3.0, 0.3])}
    once = penalised_logistic(terms, churned, **prior)
    thrice = penalised_logistic(np.tile(terms, (3, 1)), np.tile(churned, 3), weight=1 / 3, **prior)
    assert thrice == pytest.approx(once, abs=1e-4)


def drawn(rng: np.random.Generator, log_odds: np.ndarray) -> np.ndarray:
    return (rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(float)


def test_a_fold_takes_its_share_of_the_trees(company: Made, quick: Recipe) -> None:
    material, rows = company.material(quick), everybody(company)
    events = churned_accounts(material.vectors.account_ids[rows], material.churned[rows])
    folds = [Prepared(material, fold).fitted(quick.booster, quick.seed) for fold in material.folds(rows)]
    agreed = agree(folds, quick, events, weight=1.0)
    shares = [share_of_rounds(fold.later.blend.churned_accounts, events) for fold in folds]
    assert all(0 < before < after < 1 for before, after in pairwise(shares))
    for fold, unseen, share in zip(folds, agreed.unseen, shares, strict=True):
        assert (unseen.margin == fold.unseen(rounds_of(share, agreed.rounds)).margin).all()


@pytest.mark.parametrize("trees", [1, 7, 25])
def test_a_folds_loss_after_so_many_trees_is_that_of_its_answers(company: Made, quick: Recipe, trees: int) -> None:
    material = company.material(quick)
    fold = Prepared(material, next(iter(material.folds(everybody(company))))).fitted(quick.booster, quick.seed)
    said = fold.unseen(trees)
    loss = row_log_loss(said.churned, sigmoid(said.margin)).sum()
    assert fold.losses[trees] == pytest.approx(loss)


def test_a_booster_may_start_from_the_base_rate(company: Made, quick: Recipe) -> None:
    booster = quick.booster.model_copy(update={"scorecard_share": 0.0})
    recipes = quick, quick.model_copy(update={"booster": booster})
    own, other = (fit(company.material(one), everybody(company)).bundle(company.material(one)) for one in recipes)
    rules = np.array([-1.0, -4.0])
    assert (own.start(rules) == rules).all()
    assert sigmoid(other.start(rules)) == pytest.approx(other.base_rate)
    assert other.booster_text != own.booster_text


def test_platt_takes_back_margins_that_say_too_much() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(-2.5, 1.0, 20_000)
    platt = fit_platt(2 * truth + 1, drawn(rng, truth), 1.0, RECIPE.calibration)
    assert platt(2 * truth + 1) == pytest.approx(truth, abs=0.15)


def test_platt_flattens_a_model_that_is_wrong_and_never_turns_it_round() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(-2.5, 1.0, 20_000)
    assert fit_platt(-truth, drawn(rng, truth), 1.0, RECIPE.calibration).b == 0.05


def seasons(levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins that are right but for each fold's level, what happened, and the fold of each row."""
    rng = np.random.default_rng(3)
    margin, fold = rng.normal(-2.5, 1.0, 12_000), np.repeat(np.arange(len(levels)), 12_000 // len(levels))
    return margin, drawn(rng, margin + np.array(levels)[fold]), fold


def test_a_level_that_goes_up_and_down_between_folds_is_not_taken_for_the_next_ones() -> None:
    margin, churned, fold = seasons((-0.3, 0.4, 1.1, 1.1))  # a shop before Christmas
    platt = fit_platt(margin, churned, 0.3, RECIPE.calibration, fold)
    assert abs((platt(margin) - margin).mean()) < 0.15
    # A mutant that does not tell folds apart moves every answer up.
    pooled = fit_platt(margin, churned, 0.3, RECIPE.calibration)
    assert (pooled(margin) - margin).mean() > 0.35


def test_the_slope_is_the_folds_own_whatever_their_levels() -> None:
    margin, churned, fold = seasons((-0.5, 0.5, 0.0, 0.3))
    platt = fit_platt(2 * margin, churned, 1.0, RECIPE.calibration, fold)
    assert platt.b == pytest.approx(0.5, abs=0.05)


def folds_where(model_noise: float, scorecard_noise: float) -> list[Unseen]:
    rng = np.random.default_rng(5)
    truth = rng.normal(-2.0, 1.2, 6_000)
    return [
        Unseen(
            churned=drawn(rng, truth),
            margin=truth + rng.normal(0, model_noise, len(truth)),
            scorecard=truth + rng.normal(0, scorecard_noise, len(truth)),
            accounts=np.arange(len(truth)).astype(object),
            coverage=np.ones(len(truth)),
            blend=Blend(0.0, 100, 1.0),
        )
    ]


def test_kappa_is_small_where_the_model_knows_and_large_where_the_scorecard_does() -> None:
    trusted = fit_kappa(folds_where(0.0, 1.5), Platt(0.0, 1.0), 1.0, RECIPE.blend)
    doubted = fit_kappa(folds_where(1.5, 0.0), Platt(0.0, 1.0), 1.0, RECIPE.blend)
    assert 0 <= trusted < 10 < 60 < 600 < doubted


def test_kappa_without_folds_is_its_prior() -> None:
    assert fit_kappa([], Platt(0.0, 1.0), 1.0, RECIPE.blend) == pytest.approx(60, rel=1e-3)


def test_the_same_data_and_seed_give_the_same_bundle(quick: Recipe) -> None:
    made = a_company(accounts=250, months=14)
    material = made.material(quick)
    first, second = (fit(material, everybody(made)).bundle(material) for _ in range(2))
    assert first.digest == second.digest
    other = made.material(quick.model_copy(update={"seed": 8}))
    assert fit(other, everybody(made)).bundle(other).digest != first.digest


@pytest.mark.parametrize("everyone", [0.0, 1.0])
def test_one_answer_alone_is_refused(company: Made, quick: Recipe, everyone: float) -> None:
    material = company.material(quick, np.full(len(company.churned), everyone))
    with pytest.raises(TrainingError, match="nothing tells churned from retained accounts"):
        fit(material, np.arange(len(company.churned)))


def test_no_label_at_all_is_refused(company: Made, quick: Recipe) -> None:
    with pytest.raises(TrainingError, match="no label window is over"):
        fit(company.material(quick), np.array([], dtype=np.intp))


def test_what_is_said_of_later_months_is_what_the_origins_were_judged_by(company: Made, quick: Recipe) -> None:
    material, rows = company.material(quick), everybody(company)
    judged, said = said_of_later_months(material, rows)
    origins = fit(material, rows).origins
    assert len(judged) == len(said) == sum(one.snapshots for one in origins)
    assert str(material.vectors.as_of[judged].min())[:10] == origins[0].first
    churned = company.churned[judged]
    losses = -np.log(np.where(churned == 1, said, 1 - said))
    pooled = sum(one.log_loss["blend"] * one.snapshots for one in origins) / len(judged)
    assert losses.mean() == pytest.approx(pooled)


def test_the_more_accounts_have_churned_the_more_parameters_are_free(company: Made) -> None:
    material, rows = company.material(RECIPE), everybody(company)
    churned, accounts = company.churned[rows], company.vectors.account_ids[rows]
    judgements = material.severities.take(rows)

    def free(prior_sd: float, seen: np.ndarray) -> float:
        recipe = RECIPE.scorecard.model_copy(update={"prior_sd_log_odds": prior_sd})
        fitted = fit_scorecard(material.prior, judgements, seen, accounts, recipe)
        return effective_parameters(fitted, judgements, seen, accounts, recipe)

    assert free(0.3, np.zeros(len(churned))) == 1.0
    assert 1.0 <= free(0.001, churned) < 1.2
    assert free(0.001, churned) < free(0.1, churned) < free(10.0, churned) <= len(material.prior.coefficients) + 1
