"""The proof on demo data: three companies of 2,000 accounts, judged on their final six months.

``pytest -n0 -m slow -s tests/training/test_demo_proof.py`` prints the table of the README.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from features.sources import load_sources, open_database
from features.vectors import Floats, Vectors
from models.bundle import Bundle
from models.decision import Scores, score
from models.numbers import log_odds_of
from training.contest import Contest, final_block, hold_contest
from training.dataset import Snapshots, gather, label_rule, training_dates
from training.evaluation import auc
from training.fitting import Material, fit
from training.folds import Split, split_final_block
from training.recipe import Recipe, load_recipe
from training.run import material_of
from training.search import search
from training.simulation import simulate

pytestmark = pytest.mark.slow

SEEDS = (7, 11, 13)
BIG_SEED, BIG_ACCOUNTS = 21, 40_000
BINS, BINS_HELD = 20, 15
LARGEST_GAP, WIDEST_HALF = 0.35, 0.7


@dataclass(frozen=True)
class Run:
    material: Material
    split: Split
    contest: Contest
    bundle: Bundle
    answers: Scores
    truth: Floats

    @property
    def bins(self) -> list[npt.NDArray[np.intp]]:
        """Rows of the final block in bins of as many each, by what was said."""
        return np.array_split(np.argsort(self.answers.churn_probability, kind="stable"), BINS)

    def gap(self, probability: Floats) -> float:
        """Mean distance of what was said from the truth, bin by bin, over the mean truth."""
        bins = np.array_split(np.argsort(probability, kind="stable"), BINS)
        gaps = [abs(probability[rows].mean() - self.truth[rows].mean()) for rows in bins]
        return float(np.mean(gaps) / self.truth.mean())

    @property
    def held(self) -> int:
        """In how many bins the mean true probability lies within the mean 90 % interval."""
        low, high = self.answers.interval_low, self.answers.interval_high
        return sum(low[rows].mean() <= self.truth[rows].mean() <= high[rows].mean() for rows in self.bins)

    @property
    def half_width(self) -> float:
        """Of the intervals, in log-odds."""
        ends = log_odds_of(self.answers.interval_high) - log_odds_of(self.answers.interval_low)
        return float(ends.mean() / 2)


def _snapshots(folder: Path, accounts: int, seed: int, recipe: Recipe) -> tuple[Snapshots, Any]:
    simulate(folder, accounts, 30, seed)
    sources = load_sources(folder / "sources.toml")
    rule = label_rule(sources, recipe)
    with open_database(sources) as database:
        return gather(database, training_dates(database, rule, recipe), rule), sources


def _run(folder: Path, accounts: int, seed: int, *, with_contest: bool = True) -> Run:
    recipe = load_recipe(None)
    snapshots, sources = _snapshots(folder, accounts, seed, recipe)
    material = material_of(snapshots, sources.catalogue, recipe, sources.yearly_churn)
    split = split_final_block(
        material.vectors.as_of, material.churned, recipe.window_days, recipe.grid.final_months
    )
    material = replace(material, recipe=search(material, split.train).recipe)
    fitted = fit(material, split.train, until=split.first_final)
    contest: Any = hold_contest(material, fitted, split, snapshots.event_at) if with_contest else None
    bundle, final = fitted.bundle(material), material.vectors.take(split.final)
    return Run(material, split, contest, bundle, score(final, bundle, sources.catalogue), _truth(folder, final))


def _truth(folder: Path, vectors: Vectors) -> Floats:
    rows = pq.read_table(folder / "truth.parquet").to_pylist()
    known = {(row["account_id"], np.datetime64(row["as_of"], "s")): row["true_probability"] for row in rows}
    return np.array([known[pair] for pair in zip(vectors.account_ids, vectors.as_of, strict=True)])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Run]:
    return {seed: _run(tmp_path_factory.mktemp(f"seed{seed}"), 2_000, seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("big")
    bundle = _run(folder, BIG_ACCOUNTS, BIG_SEED, with_contest=False).bundle
    for table in folder.glob("*.parquet"):
        table.unlink()
    return bundle


def _auc_of(bundle: Bundle, run: Run) -> float:
    vectors = run.material.vectors.take(run.split.final)
    scores = score(vectors, bundle, run.material.catalogue)
    area = auc(run.material.churned[run.split.final], scores.churn_probability)
    assert area is not None
    return area


@pytest.mark.parametrize("seed", SEEDS)
def test_the_blend_tells_more_than_the_base_rate(small: dict[int, Run], seed: int) -> None:
    scores = small[seed].contest.scores
    assert scores["blend"].log_loss < scores["base_rate"].log_loss


@pytest.mark.parametrize("seed", SEEDS)
def test_the_blend_is_not_worse_than_the_best_of_its_rivals(small: dict[int, Run], seed: int) -> None:
    contest = small[seed].contest
    best = min(("scorecard", "ridge", "booster"), key=lambda name: contest.scores[name].log_loss)
    gap = contest.difference("blend", best)
    assert gap.value <= max(0.001, gap.standard_error)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_said_is_near_the_truth(small: dict[int, Run], seed: int) -> None:
    run = small[seed]
    assert run.gap(run.answers.churn_probability) <= LARGEST_GAP
    assert run.gap(run.contest.probabilities["lightgbm_defaults"]) > LARGEST_GAP  # so the bound tells something


@pytest.mark.parametrize("seed", SEEDS)
def test_the_intervals_hold_the_truth(small: dict[int, Run], seed: int) -> None:
    assert small[seed].held >= BINS_HELD
    assert small[seed].half_width <= WIDEST_HALF


@pytest.mark.parametrize("seed", SEEDS)
def test_two_thousand_accounts_rank_nearly_as_well_as_forty_thousand(
    small: dict[int, Run], big: Bundle, seed: int
) -> None:
    run = small[seed]
    assert _auc_of(run.bundle, run) >= 0.97 * _auc_of(big, run)


def test_the_figures_are_printed_for_the_readme(small: dict[int, Run], big: Bundle) -> None:
    names = ("base_rate", "scorecard_prior", "scorecard", "ridge", "lightgbm_defaults", "booster", "blend")
    print(
        "\n| seed | churned | " + " | ".join(names) + " | AUC of the blend | trained on 40,000 "
        "| gap | of LightGBM defaults | bins held | half-width |"
    )
    print("|---" * (len(names) + 8) + "|")
    for seed, run in small.items():
        block = final_block(run.material, run.split)
        scores = run.contest.scores
        churned = len(np.unique(run.material.vectors.account_ids[run.split.final][block.churned == 1]))
        losses = " | ".join(f"{scores[name].log_loss:.4f}" for name in names)
        own, other = _auc_of(run.bundle, run), _auc_of(big, run)
        low, high = scores["blend"].auc_interval or (np.nan, np.nan)
        gaps = [
            run.gap(p) for p in (run.answers.churn_probability, run.contest.probabilities["lightgbm_defaults"])
        ]
        print(
            f"| {seed} | {churned} | {losses} | {own:.3f} ({low:.3f}–{high:.3f}) | {other:.3f} "
            f"| {gaps[0]:.3f} | {gaps[1]:.3f} | {run.held} of {BINS} | {run.half_width:.2f} |"
        )
        assert np.isfinite([own, other]).all()
