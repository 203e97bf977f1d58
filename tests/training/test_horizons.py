"""The stretches find when accounts leave, stay at their priors without data, and are judged on later months."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.numbers import sigmoid
from tests.training.conftest import snapshots_of
from tests.training.fabricated import Made
from training.dataset import Snapshots
from training.gates import Verdict, refusals
from training.hazard_fit import Told, fit_hazard
from training.recipe import Recipe, load_recipe
from training.run import Proof, train

RECIPE = load_recipe().horizons
EARLY, AFTER = (-1.2, 0.4), (-0.5, 0.6)  # of 30 in 90 days, and of 90 to 180


def _told(rows: int, seed: int = 0) -> Told:
    rng = np.random.default_rng(seed)
    z = rng.normal(-2.0, 1.0, rows)
    own = rng.random(rows) < sigmoid(z)
    early = own & (rng.random(rows) < sigmoid(EARLY[0] + EARLY[1] * z))
    late = own | (rng.random(rows) < sigmoid(AFTER[0] + AFTER[1] * z))
    by = {30: early.astype(float), 90: own.astype(float), 180: late.astype(float), 365: np.full(rows, np.nan)}
    return Told(z, by, 1.0)


def test_the_fit_finds_when_accounts_leave() -> None:
    hazard = fit_hazard(90, _told(200_000), RECIPE)
    assert (hazard.sooner[0].shift, hazard.sooner[0].slope) == pytest.approx(EARLY, abs=0.08)
    assert (hazard.later[0].shift, hazard.later[0].slope) == pytest.approx(AFTER, abs=0.08)


def test_without_rows_the_hazard_stays_what_it_is() -> None:
    hazard = fit_hazard(90, _told(0), RECIPE)
    assert hazard.horizons == (30, 90, 180, 365)
    assert hazard.later[0].shift == pytest.approx(0.0)
    assert hazard.later[1].shift == pytest.approx(np.log(185 / 90))
    assert all(one.slope == pytest.approx(1.0) for one in hazard.later)
    assert hazard.sooner[0].shift == pytest.approx(np.log(0.5))


def test_labels_that_nobody_knows_yet_teach_nothing() -> None:
    told = _told(5_000)
    unknown = np.arange(5_000) % 2 == 0
    later = np.where(unknown, np.nan, told.churned[180])
    blank = dataclasses.replace(told, churned={**told.churned, 180: later})
    rest = Told(told.log_odds[~unknown], {d: labels[~unknown] for d, labels in told.churned.items()}, 1.0)
    first, second = fit_hazard(90, blank, RECIPE).later[0], fit_hazard(90, rest, RECIPE).later[0]
    assert (first.shift, first.slope) == pytest.approx((second.shift, second.slope), abs=1e-4)


def _with_horizons(made: Made, share: float) -> Snapshots:
    """Let a share of those who churned in 90 days have left by day 30, whoever they are."""
    early = np.where(made.churned == 1, np.random.default_rng(1).random(len(made.churned)) < share, made.churned)
    unknown = np.full(len(early), np.nan)
    return dataclasses.replace(snapshots_of(made), by_horizon={30: early, 180: unknown, 365: unknown})


@pytest.fixture(scope="module")
def run(company: Made, quick: Recipe) -> Proof:
    return train(_with_horizons(company, 1 / 3), company.catalogue, quick)


def test_a_horizon_is_proven_on_the_final_block_or_marked(run: Proof) -> None:
    month, half, year = run.horizons
    assert month.holds
    assert month.log_loss is not None
    assert month.base_log_loss is not None
    assert month.log_loss < month.base_log_loss
    assert (half.holds, year.holds) == (None, None)
    assert run.bundle.hazard.extrapolated == (False, False, True, True)
    assert "180 days cannot be judged (0 churned accounts)" in _gate(run).reason
    assert _gate(run).verdict is Verdict.PASS


def test_a_horizon_that_is_wrong_on_later_months_is_refused(company: Made, quick: Recipe) -> None:
    """A mutant: before the final block nearly nobody leaves early, in it nearly all do."""
    before, after = _with_horizons(company, 0.05), _with_horizons(company, 0.95)
    dates = np.unique(company.vectors.as_of[~np.isnan(company.churned)])
    final = company.vectors.as_of >= dates[-quick.grid.final_months]
    early = np.where(final, after.by_horizon[30], before.by_horizon[30])
    moved = train(
        dataclasses.replace(before, by_horizon={**before.by_horizon, 30: early}), company.catalogue, quick
    )
    assert _gate(moved).verdict is Verdict.FAIL
    assert any(line.startswith("G10") for line in refusals(moved.gates))
    assert moved.bundle.hazard.extrapolated[0]


def test_no_label_window_of_a_longer_horizon_reaches_into_the_final_block(run: Proof) -> None:
    labels = np.zeros(len(run.material.vectors))
    material = dataclasses.replace(run.material, by_horizon={180: labels})
    seen = material.churned_by(run.split.train, run.split.first_final)[180]
    over = run.material.vectors.as_of[run.split.train] + np.timedelta64(180, "D") <= run.split.first_final
    assert over.any()
    assert not over.all()
    assert (~np.isnan(seen) == over).all()


def test_from_a_file_nothing_is_known_of_other_horizons(proof: Proof) -> None:
    assert _gate(proof).verdict is Verdict.CANNOT_JUDGE
    assert not any(line.startswith("G10") for line in refusals(proof.gates))
    assert proof.bundle.hazard.extrapolated == (True, False, True, True)


def _gate(proof: Proof) -> object:
    return next(gate for gate in proof.gates if gate.code == "G10")
