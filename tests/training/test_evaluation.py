from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation import Block, auc, average_precision, expected_calibration_error


def a_block(churned: np.ndarray, accounts: np.ndarray | None = None, **more: object) -> Block:
    n = len(churned)
    names = np.array([f"a{number}" for number in range(n)], dtype=object) if accounts is None else accounts
    given = {"repeats": 200, "interval": 0.9, "capacity_share": 0.1, "seed": 1, **more}
    return Block(names, np.full(n, np.datetime64("2025-01-01")), churned, np.full(n, 100.0), **given)  # type: ignore[arg-type]


def answers(n: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probability = np.round(rng.beta(1, 12, n), 2)  # rounded: ties
    return (rng.random(n) < probability).astype(float), probability


def test_auc_and_average_precision_are_those_of_scikit_learn() -> None:
    churned, probability = answers()
    assert auc(churned, probability) == pytest.approx(roc_auc_score(churned, probability))
    assert average_precision(churned, probability) == pytest.approx(average_precision_score(churned, probability))


@pytest.mark.parametrize("everyone", [0.0, 1.0])
def test_auc_of_one_class_is_none_and_not_a_half(everyone: float) -> None:
    assert auc(np.full(5, everyone), np.linspace(0, 1, 5)) is None
    assert a_block(np.full(5, everyone)).scores(np.linspace(0.1, 0.9, 5)).auc is None


def test_who_says_the_same_of_everybody_catches_nothing() -> None:
    churned, _ = answers()
    scores = a_block(churned).scores(np.full(len(churned), 0.1))
    assert (scores.lift, scores.precision, scores.arr_caught) == (None, None, None)
    assert scores.auc == 0.5


def test_calibration_error_is_the_mean_gap() -> None:
    assert expected_calibration_error(np.array([1.0, 0.0] * 50), np.full(100, 0.9)) == pytest.approx(0.4)


def test_intervals_are_over_accounts_so_copies_of_a_row_do_not_narrow_them() -> None:
    churned, probability = answers(300)
    names = np.array([f"a{number}" for number in range(300)], dtype=object)
    once = a_block(churned, names).scores(probability)
    copied = a_block(np.tile(churned, 6), np.tile(names, 6)).scores(np.tile(probability, 6))
    assert copied.log_loss_interval == pytest.approx(once.log_loss_interval)
    apart = a_block(np.tile(churned, 6)).scores(np.tile(probability, 6)).log_loss_interval
    assert apart[1] - apart[0] < 0.6 * (once.log_loss_interval[1] - once.log_loss_interval[0])


def test_a_difference_is_paired_and_tighter_than_its_parts() -> None:
    churned, probability = answers()
    block = a_block(churned)
    gap = block.difference(probability, np.clip(probability * 1.05, 0, 0.99))
    low, high = block.scores(probability).log_loss_interval
    assert gap.high - gap.low < 0.2 * (high - low)
    assert gap.low <= gap.value <= gap.high


def test_the_team_works_the_highest_tenth_of_each_date() -> None:
    dates = np.repeat(np.array(["2025-01-01", "2025-02-01"], dtype="datetime64[s]"), 10)
    names = np.array([f"a{number % 10}" for number in range(20)], dtype=object)
    block = Block(names, dates, np.zeros(20), np.ones(20), repeats=50, interval=0.9, capacity_share=0.1, seed=1)
    # All of the first date stand above all of the second: still one of each.
    assert np.flatnonzero(block.chosen(np.linspace(1, 0, 20))).tolist() == [0, 10]


def test_value_caught_ranks_by_probability_times_value() -> None:
    churned = np.array([1.0, 1.0] + [0.0] * 18)
    block = Block(
        np.array([f"a{number}" for number in range(20)], dtype=object),
        np.full(20, np.datetime64("2025-01-01")),
        churned,
        np.array([10.0, 90.0] + [1.0] * 18),
        repeats=50,
        interval=0.9,
        capacity_share=0.05,
        seed=1,
    )
    probability = np.array([0.9, 0.5] + [0.1] * 18)
    assert block.scores(probability).arr_caught == pytest.approx(0.9)
    assert block.scores(probability).precision == 1.0
