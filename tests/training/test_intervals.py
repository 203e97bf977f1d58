"""The interval finds by how much later months miss what was said, and is judged on months nobody had seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.vectors import Floats
from models.blend import NORMAL_90, Blend
from models.calibration import Platt
from models.numbers import sigmoid
from training.calibrating import Unseen
from training.intervals import IntervalCheck, binned, bins_for, check_intervals, fit_interval
from training.recipe import load_recipe

RECIPE, AS_IS = load_recipe().interval, Platt(0.0, 1.0)


def _months(accounts: int, shifts: Floats, seed: int, months: int = 3) -> Unseen:
    """One fold: accounts that churn with all their months or with none; each tenth of them missed by a shift."""
    rng = np.random.default_rng(seed)
    said = np.sort(rng.normal(-2.5, 0.8, accounts))
    churned = (rng.random(accounts) < sigmoid(said + np.repeat(shifts, accounts // len(shifts)))).astype(float)
    names = np.array([f"{seed}-{number}" for number in range(accounts)], dtype=object)
    many = np.tile(said, months)
    return Unseen(
        np.tile(churned, months), many, many, np.ones(len(many)), np.tile(names, months), Blend(0.0, 1e6, 1.0)
    )


def _tau(folds: list[Unseen], **changed: float) -> float:
    recipe = RECIPE.model_copy(update=changed)
    return fit_interval(folds, AS_IS, 60.0, 1 / 3, 1.0, recipe).later


def _moved(sd: float, folds: int = 6, accounts: int = 20_000) -> list[Unseen]:
    rng = np.random.default_rng(7)
    return [_months(accounts, rng.normal(0.0, sd, 10), seed) for seed in range(folds)]


@pytest.mark.parametrize(("sd", "within"), [(0.0, 0.05), (0.2, 0.06), (0.4, 0.12)])
def test_it_finds_by_how_much_later_months_miss(sd: float, within: float) -> None:
    assert _tau(_moved(sd)) == pytest.approx(sd, abs=within)


def test_counting_each_row_of_an_account_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant: chance of three rows taken for that of three accounts finds misses where there are none."""
    months = _moved(0.0, accounts=3_000)
    honest = _tau(months)
    monkeypatch.setattr("training.intervals._repeats", lambda _: 1.0)
    assert _tau(months) > 1.5 * honest


def test_without_folds_it_is_what_the_prior_says() -> None:
    assert _tau([]) == pytest.approx(RECIPE.later_sd, rel=0.01)


def test_a_few_churned_accounts_leave_it_wide() -> None:
    few = [_months(40, np.zeros(1), seed=3)]
    assert 0.1 < _tau(few) <= RECIPE.later_sd * 1.3


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 200), bins=st.integers(1, 10), seed=st.integers(0, 99))
def test_every_row_is_in_one_bin_and_they_are_sorted(rows: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    said, churned = rng.uniform(0.01, 0.5, rows), rng.integers(0, 2, rows).astype(float)
    found = binned(said, churned, np.arange(rows).astype(object), min(bins, rows))
    assert sorted(np.concatenate(found.places).tolist()) == list(range(rows))
    tops = [said[places].max() for places in found.places]
    assert tops == sorted(tops)
    expected = np.array([said[places].sum() for places in found.places])
    assert (found.miss * expected + expected).sum() == pytest.approx(churned.sum())


@pytest.mark.parametrize(("accounts", "bins"), [(0.0, 1), (9.0, 1), (10.0, 2), (49.9, 9), (1000.0, 10)])
def test_bins_hold_enough_churned_accounts(accounts: float, bins: int) -> None:
    assert bins_for(accounts, 5) == bins


def _check(months: Unseen, half: float) -> IntervalCheck:
    width = np.full(len(months.margin), half)
    return check_intervals(months.margin, width, months.churned, months.accounts, 1 / 3, RECIPE)


def test_intervals_hold_where_what_was_said_came_true() -> None:
    check = _check(_months(20_000, np.zeros(10), seed=1), half=0.05)
    assert check.holds
    assert check.half_width == pytest.approx(0.05)
    assert check.held >= 8


def test_intervals_that_are_too_narrow_are_caught() -> None:
    """A mutant: half the width that the months' shifts have."""
    shifts = np.tile([0.4, -0.4], 5)
    months = _months(20_000, shifts, seed=1)
    assert not _check(months, half=0.1).holds
    assert _check(months, half=NORMAL_90 * 0.4).holds


def test_the_blend_keeps_it(proof: object) -> None:
    interval = proof.registered.blend.interval  # type: ignore[attr-defined]
    assert 0 < interval.later < 1
    assert dataclasses.asdict(interval)["prior_accounts"] == RECIPE.prior_accounts
