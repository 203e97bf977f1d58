"""Orders, and what follows what, beside their slow and plain selves."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from features.measures.calendar import SECONDS_A_DAY, Calendar
from features.measures.coverage import Coverage, spans
from features.measures.frames import Texts
from features.measures.groups import (
    FEW,
    dense,
    followers,
    group_ends,
    joined_between,
    largest,
    last_in_group,
    numbered,
    ordered_by,
    smallest,
    stable_order,
)
from features.measures.rows import TableRows

MANY = 5 * FEW
DATES = [dt.datetime(2023 + month // 12, month % 12 + 1, 1, 13, 30) for month in range(24)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def some_groups_and_masks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    groups = np.sort(rng.integers(0, 60, 400))
    return groups, rng.integers(0, 2**10, 400) & rng.integers(0, 2**10, 400)


@pytest.mark.parametrize("size", [0, 1, FEW - 1, MANY])
def test_rows_are_ordered_by_several_keys_as_by_lexsort(size: int, rng: np.random.Generator) -> None:
    keys = rng.integers(0, 5, size), rng.choice([-2.5, 0.0, np.inf, 1e9], size), rng.integers(0, 3, size)
    assert (ordered_by(*keys) == np.lexsort(keys[::-1])).all()


def test_keys_too_great_to_carry_their_place_keep_a_stable_order(rng: np.random.Generator) -> None:
    keys = rng.choice([-(2**61), 0, 2**61, 2**61 - 1], MANY)
    assert (stable_order(keys) == np.argsort(keys, kind="stable")).all()


def test_keys_of_32_bits_are_ordered_and_numbered_as_those_of_64(rng: np.random.Generator) -> None:
    keys = rng.integers(0, 2**31 - 1, MANY), rng.integers(0, 2**31 - 1, MANY)
    narrow = [key.astype(np.int32) for key in keys]
    assert (numbered(narrow) == numbered(keys)).all()
    assert (stable_order(narrow[0]) == stable_order(keys[0])).all()


@pytest.mark.parametrize("absent", [0.0, 0.3], ids=["all given", "some absent"])
def test_places_of_32_bits_have_the_extremes_of_those_of_64(absent: float, rng: np.random.Generator) -> None:
    groups, values = rng.integers(0, 40, 200), rng.integers(-9, 9, 200).astype(np.float64)
    values[rng.random(200) < absent] = np.nan
    own = [values[(groups == group) & ~np.isnan(values)] for group in range(41)]
    for places in (groups, groups.astype(np.int32)):
        for found, extreme in ((largest, max), (smallest, min)):
            expected = [extreme(some, default=np.nan) for some in own]
            np.testing.assert_array_equal(found(places, values, 41), expected)


def test_dense_numbers_have_no_gaps(rng: np.random.Generator) -> None:
    keys = rng.choice([3.0, -1.0, np.nan, 7.5], MANY)
    assert set(zip(keys[~np.isnan(keys)], dense(keys)[~np.isnan(keys)], strict=True)) == {
        (-1, 0),
        (3, 1),
        (7.5, 2),
    }
    assert (dense(keys)[np.isnan(keys)] == 3).all()


def test_masks_of_neighbours_are_joined_as_one_by_one(rng: np.random.Generator) -> None:
    masks = rng.integers(0, 2**40, 300)
    begin = rng.integers(0, 300, 500)
    after = np.minimum(begin + rng.integers(-3, 200, 500), 300)
    expected = [int(np.bitwise_or.reduce(masks[a:b])) if b > a else 0 for a, b in zip(begin, after, strict=True)]
    assert joined_between(masks, begin, after).tolist() == expected


def test_the_next_row_is_the_first_later_one_known_on_the_date(rng: np.random.Generator) -> None:
    groups, masks = some_groups_and_masks(rng)
    ends = group_ends(groups)
    expected, last = set(), np.zeros(len(masks), dtype=np.int64)
    for row, (mask, end) in enumerate(zip(masks, ends, strict=True)):
        for date in range(10):
            if not mask >> date & 1:
                continue
            later = [other for other in range(row + 1, end) if masks[other] >> date & 1]
            last[row] |= 0 if later else 1 << date
            expected |= {(row, later[0], date)} if later else set()
    rows, following, meeting, found_last = followers(groups, masks)
    found = {
        (row, other, date)
        for row, other, mask in zip(rows.tolist(), following.tolist(), meeting.tolist(), strict=True)
        for date in range(10)
        if mask >> date & 1
    }
    assert found == expected
    assert (found_last == last).all()
    assert (last_in_group(groups, masks) == last).all()


def test_rows_that_all_count_at_one_date_are_followed_by_their_neighbours() -> None:
    groups, masks = np.array([3, 3, 3, 8]), np.ones(4, dtype=np.int64)
    rows, following, meeting, last = followers(groups, masks)
    assert (rows.tolist(), following.tolist(), meeting.tolist()) == ([0, 1], [1, 2], [1, 1])
    assert last.tolist() == last_in_group(groups, masks).tolist() == [0, 0, 1, 1]


def test_dates_before_a_moment_are_those_that_a_search_finds(rng: np.random.Generator) -> None:
    calendar = Calendar(DATES)
    at_dates = calendar.seconds[rng.integers(0, 24, 2000)] + rng.choice([-1, -1e-6, 0, 1e-6, 1], 2000)
    anywhere = calendar.seconds[0] + rng.uniform(-400, 1200, 2000) * SECONDS_A_DAY
    moments = np.concatenate([at_dates, anywhere, [np.nan, np.inf, -np.inf]])
    counts = np.searchsorted(calendar.seconds, moments)
    assert calendar.below(moments).tolist() == [2**count - 1 for count in counts.tolist()]


def test_rows_are_expanded_to_every_date_of_their_mask(rng: np.random.Generator) -> None:
    calendar, masks, account = Calendar(DATES), rng.integers(0, 2**24, 50), rng.integers(0, 9, 50)
    rows, cells = calendar.expanded(account, masks)
    expected = [(r, account[r] * 24 + date) for r in range(50) for date in range(24) if masks[r] >> date & 1]
    assert list(zip(rows, cells, strict=True)) == expected
    assert np.flatnonzero(calendar.any_of(account, masks, 9)).tolist() == np.unique(cells).tolist()


def test_many_pairs_are_covered_as_each_alone(rng: np.random.Generator) -> None:
    size = 300
    rows = rng.integers(0, size, 900)
    first = rng.integers(0, 80, 900).astype(float)
    begins, ends = spans(size, rows, first, first + rng.integers(1, 30, 900), np.full(size, 90.0))
    start, end = rng.integers(0, 90, size).astype(float), rng.integers(40, 92, size).astype(float)
    together = Coverage(size, {"usage": (begins, ends)}).status("usage", start, end)
    for pair in range(size):
        days = {d for a, b in zip(begins[pair], ends[pair], strict=True) if b > a for d in range(int(a), int(b))}
        missing = {d for d in range(int(start[pair]), int(end[pair])) if d not in days}
        later = {d for d in missing if days and d >= min(days)}
        too_short = bool(days) and not later and min(days) < end[pair]
        assert chr(together[pair]) == ("." if not missing else "h" if too_short else "d")
        alone = Coverage(1, {"usage": (begins[[pair]], ends[[pair]])})
        assert alone.status("usage", float(start[pair]), float(end[pair])) == together[pair]


def test_accounts_before_the_first_and_after_the_last_are_left_out() -> None:
    account = np.array([0, 5, 2, 3, 4, 2])
    rows = TableRows(account, {"known_from": account * 10.0}, {}, {}, {"role": Texts(account, ("",) * 6)}, account)
    among = rows.among(2, 2)
    assert among.account.tolist() == [0, 1, 0]
    assert among.moments["known_from"].tolist() == [20.0, 30.0, 20.0]
    assert among.texts["role"].codes.tolist() == among.key_rank.tolist() == [2, 3, 2]
