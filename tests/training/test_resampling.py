from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.training.test_evaluation import a_block, answers
from training.resampling import Draws

rows = st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.booleans()), min_size=1, max_size=30)


def some_draws(accounts: list[str]) -> Draws:
    return Draws(np.array(accounts, dtype=object), repeats=50, interval=0.8, seed=3)


@given(rows=rows)
def test_a_ratio_is_that_of_the_rows_of_the_accounts_drawn(rows: list[tuple[str, bool, bool]]) -> None:
    accounts, hit, of = (list(column) for column in zip(*rows, strict=True))
    draws, names = some_draws(accounts), sorted(set(accounts))
    shares = []
    for times in draws.times:
        drawn = dict(zip(names, times, strict=True))
        above = sum(drawn[account] * (h and o) for account, h, o in rows)
        below = sum(drawn[account] * o for account, _, o in rows)
        shares += [above / below] if below else []
    expected = tuple(np.quantile(shares, [0.1, 0.9])) if shares else None
    got = draws.ratio(np.array(hit) & np.array(of), np.array(of))
    assert got == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("accounts", [1, 12, 300])
def test_where_nobody_churned_the_interval_is_the_exact_one_and_not_nothing(accounts: int) -> None:
    draws = some_draws([f"a{number}" for number in range(accounts)])
    everyone = np.ones((accounts, 1))
    [nobody] = draws.share_intervals(np.zeros((accounts, 1)), everyone)
    [all_of_them] = draws.share_intervals(everyone, everyone)
    exact = beta.ppf(0.9, 1, accounts)
    assert nobody == pytest.approx((0.0, exact))
    assert all_of_them == pytest.approx((1 - exact, 1.0))


def test_of_no_row_there_is_no_share() -> None:
    assert some_draws(["a", "b"]).share_intervals(np.zeros((2, 1)), np.zeros((2, 1))) == [None]


def test_every_interval_of_the_contest_is_that_of_the_accounts_drawn() -> None:
    churned, probability = answers(240)
    names = np.array([f"a{number % 80}" for number in range(240)], dtype=object)
    block = a_block(churned, names, repeats=60)
    scores, chosen = block.scores(probability), block.chosen(probability)
    worth = block.chosen(probability * block.arr)
    groups = np.array_split(np.argsort(probability, kind="stable"), 10)
    drawn: dict[str, list[float]] = {}
    for times in block.draws.times.astype(int):
        again = np.repeat(np.arange(240), times[block.account])
        said, happened = probability[again], churned[again]
        gaps = [(churned[g] - probability[g]) @ times[block.account[g]] for g in groups]
        precision = happened[chosen[again]].mean()
        lost = block.arr[again] * happened
        found = {
            "brier": ((said - happened) ** 2).mean(),
            "ece": np.abs(gaps).sum() / len(again),
            "auc": roc_auc_score(happened, said),
            "pr_auc": average_precision_score(happened, said),
            "precision": precision,
            "lift": precision / happened.mean(),
            "arr_caught": lost[worth[again]].sum() / lost.sum(),
        }
        for name, value in found.items():
            drawn.setdefault(name, []).append(value)
    for name, values in drawn.items():
        assert getattr(scores, f"{name}_interval") == pytest.approx(tuple(np.quantile(values, [0.05, 0.95]))), name
