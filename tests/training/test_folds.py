from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.folds import Folds, churned_accounts, rolling_origins, split_final_block


@st.composite
def panels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    months, accounts = draw(st.integers(2, 30)), draw(st.integers(3, 30))
    seed, window = draw(st.integers(0, 1000)), draw(st.sampled_from([30, 90, 180]))
    rng = np.random.default_rng(seed)
    dates = np.arange("2023-01", np.datetime64("2023-01", "M") + months, dtype="datetime64[M]").astype("M8[s]")
    as_of = np.tile(dates, accounts)
    names = np.repeat([f"a{number}" for number in range(accounts)], months).astype(object)
    churned = (rng.random(len(as_of)) < 0.2).astype(float)
    churned[rng.random(len(as_of)) < 0.1] = np.nan
    order = rng.permutation(len(as_of))
    return as_of[order], names[order], churned[order], window


@given(panels())
@settings(max_examples=60, deadline=None)
def test_every_label_window_that_teaches_ends_before_the_final_block(panel: tuple) -> None:
    as_of, _, churned, window = panel
    split = split_final_block(as_of, churned, window, final_months=6)
    assert not np.isnan(churned[split.train]).any()
    assert not np.isnan(churned[split.final]).any()
    assert not set(split.train) & set(split.final)
    if len(split.final):
        assert (as_of[split.train] + np.timedelta64(window, "D")).max() <= split.first_final
        assert as_of[split.final].min() == split.first_final


@given(panels(), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_folds_keep_whole_windows_apart_or_else_whole_accounts(panel: tuple, origins: int) -> None:
    as_of, names, churned, window = panel
    rows = np.flatnonzero(~np.isnan(churned))
    folds = rolling_origins(rows, as_of, churned, names, window, origins)
    for fold in folds:
        assert {0.0, 1.0} <= set(churned[fold.train])
        if folds.across_time:
            assert (as_of[fold.train] + np.timedelta64(window, "D")).max() <= as_of[fold.validate].min()
        else:
            assert not set(names[fold.train]) & set(names[fold.validate])


@given(panels(), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_no_row_is_judged_twice(panel: tuple, origins: int) -> None:
    as_of, names, churned, window = panel
    folds: Folds = rolling_origins(np.flatnonzero(~np.isnan(churned)), as_of, churned, names, window, origins)
    judged = np.concatenate([fold.validate for fold in folds]) if len(folds) else np.array([])
    assert len(judged) == len(set(judged))


def test_a_history_of_two_and_a_half_years_gives_four_origins_and_six_final_months() -> None:
    dates = np.arange("2023-02", "2025-05", dtype="datetime64[M]").astype("M8[s]")
    as_of = np.repeat(dates, 10)
    names = np.tile([f"a{number}" for number in range(10)], len(dates)).astype(object)
    churned = np.tile([1.0] + [0.0] * 9, len(dates))
    split = split_final_block(as_of, churned, 90, 6)
    assert split.first_final == np.datetime64("2024-11-01")
    folds = rolling_origins(split.train, as_of, churned, names, 90, 4)
    assert (len(folds), folds.across_time) == (4, True)


def test_a_history_of_one_date_has_no_final_block_and_folds_by_account() -> None:
    names = np.array([f"a{number}" for number in range(60)], dtype=object)
    as_of, churned = np.full(60, np.datetime64("2025-01-01", "s")), np.arange(60) % 3 == 0
    split = split_final_block(as_of, churned.astype(float), 90, 6)
    assert len(split.final) == 0
    assert len(split.train) == 60
    assert not rolling_origins(split.train, as_of, churned.astype(float), names, 90, 4).across_time


def test_churned_accounts_are_counted_once() -> None:
    assert churned_accounts(np.array(["a", "a", "b", "c"], dtype=object), np.array([1.0, 1.0, 1.0, 0.0])) == 2
