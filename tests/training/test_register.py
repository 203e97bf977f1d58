"""The signal register against a plain-Python one, and against what was planted."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.readings import KNOWN_LETTER
from tests.training.fabricated import EFFECTS, Made, a_company
from training import register
from training.fitting import Material
from training.recipe import Recipe
from training.register import LeadTime, Register, RegisterRow, Role, Verdict, ended_stays, lead_times, register_of

BOOTSTRAP = {"repeats": 100, "interval": 0.9, "seed": 1}
DAY = np.timedelta64(1, "D")

# --- lead time, on any rows ----------------------------------------------------------------------------------

MONTHS = np.arange("2025-01", "2025-11", dtype="datetime64[M]").astype("datetime64[s]")
ENDS = [np.datetime64("NaT", "s"), *np.array(["2025-03-15", "2025-06-01", "2025-09-30"], dtype="datetime64[s]")]
Row = tuple[str, int, int, bool, bool]  # account, month, end, two signs

some_rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 3), st.booleans(), st.booleans()),
    max_size=25,
    unique_by=lambda row: row[:2],
)

# An account that left, was still seen under notice, came back, and left again.
RETURNED: list[Row] = [
    ("a", 0, 1, False, False),
    ("a", 1, 1, True, False),
    ("a", 2, 1, False, False),
    ("a", 3, 1, True, True),
    ("a", 5, 3, False, True),
    ("a", 7, 3, True, False),
    ("b", 4, 2, True, True),
    ("b", 6, 0, True, True),
]


def plain_lead_times(rows: list[Row]) -> list[tuple[int, int, float | None, int]]:
    """Stays, stays on which it fired, median days and how often from the start: sign by sign, stay by stay."""
    found = []
    stays = {(account, end) for account, month, end, *_ in rows if end and MONTHS[month] < ENDS[end]}
    for sign in (3, 4):
        days, standing = [], 0
        for stay in stays:
            mine = sorted((row for row in rows if (row[0], row[2]) == stay), key=lambda row: row[1])
            before = [row for row in mine if MONTHS[row[1]] < ENDS[stay[1]]]
            with_it = [row for row in before if row[sign]]
            if with_it:
                days.append(int((ENDS[stay[1]] - MONTHS[with_it[0][1]]) // DAY))
            standing += bool(before[0][sign])
        found.append((len(stays), len(days), statistics.median(days) if days else None, standing))
    return found


def measured(rows: list[Row]) -> list[LeadTime]:
    stays = ended_stays(
        np.array([row[0] for row in rows], dtype=object),
        np.array([MONTHS[row[1]] for row in rows], dtype="datetime64[s]"),
        np.array([ENDS[row[2]] for row in rows], dtype="datetime64[s]"),
    )
    fired = np.array([row[3:] for row in rows], dtype=bool).reshape(-1, 2)
    return lead_times(fired[stays.rows], stays, BOOTSTRAP)


def assert_lead_times_are_right(rows: list[Row]) -> None:
    got = [(lead.stays, lead.fired, lead.median_days, lead.standing) for lead in measured(rows)]
    assert got == plain_lead_times(rows)


@given(rows=some_rows)
@example(rows=RETURNED)
@example(rows=[])
def test_lead_time_is_from_the_first_firing_of_each_stay_to_its_end(rows: list[Row]) -> None:
    assert_lead_times_are_right(rows)
    for lead in measured(rows):
        assert (lead.interval is None) == (lead.fired == 0)


def test_the_order_of_rows_does_not_matter() -> None:
    assert measured(RETURNED[::-1]) == measured(RETURNED)


MUTANTS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "a row after the end is counted": ("_before_the_end", lambda as_of, end: ~np.isnat(end)),
    "the row at the end is counted": ("_before_the_end", lambda as_of, end: as_of <= end),
    "a first firing is taken from another stay": (
        "_another_stay",
        lambda account, ends: np.r_[True, account[1:] != account[:-1]],
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_register_with_a_fault_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_last_day: list[Row] = [("c", 4, 2, False, False), ("c", 5, 2, True, True)]  # 2025-06-01, its end
    assert_lead_times_are_right(RETURNED + on_the_last_day)
    monkeypatch.setattr(register, *MUTANTS[mutant])
    with pytest.raises(AssertionError):
        assert_lead_times_are_right(RETURNED + on_the_last_day)


def test_the_interval_of_a_median_is_that_of_the_accounts_drawn() -> None:
    days = np.array([10, 40, 70, 100, 130, 20, 90])
    accounts = np.array(list("abcdefg"), dtype=object)
    end = np.datetime64("2025-09-30", "s")
    stays = ended_stays(accounts, end - days * DAY, np.full(7, end))
    [lead] = lead_times(np.ones((7, 1), dtype=bool), stays, BOOTSTRAP)
    rng, medians = np.random.default_rng(1), []
    for _ in range(100):
        times = np.bincount(rng.integers(7, size=7), minlength=7)
        medians.append(np.median(np.repeat(days, times)))
    assert lead.interval == pytest.approx(tuple(np.quantile(medians, [0.05, 0.95])))


# --- the whole register, on a made company -------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> Made:
    return a_company(accounts=500)


def ends_of(made: Made) -> np.ndarray:
    """Say when each account left: some days after its last snapshot, where its last months are churned ones."""
    end = np.full(len(made.vectors), "NaT", dtype="datetime64[s]")
    for account in np.unique(made.vectors.account_ids.astype(str)):
        mine = np.flatnonzero(made.vectors.account_ids == account)
        lost = mine[made.churned[mine] == 1]
        if len(lost):
            end[mine] = made.vectors.as_of[mine].max() + (int(account[-2:]) % 28 + 1) * DAY
    return end


@pytest.fixture(scope="module")
def drawn_up(made: Made, quick: Recipe) -> Register:
    return register_of(made.material(quick), ends_of(made))


def row_of(found: Register, name: str) -> RegisterRow:
    return next(row for row in found.rows if row.id == name)


def plain_row(material: Material, end: np.ndarray, item: int) -> dict[str, float | int | None]:
    """What a register says of a sign, snapshot by snapshot."""
    vectors = material.vectors
    bands = material.judgements(np.arange(len(vectors))).band[:, item]
    labelled = [row for row in range(len(vectors)) if material.churned[row] == material.churned[row]]
    known = [row for row in labelled if bands[row] >= 0]
    fired = [row for row in known if bands[row] >= 1]
    lost = {str(vectors.account_ids[row]) for row in labelled if material.churned[row] == 1}
    caught = {str(vectors.account_ids[row]) for row in fired if material.churned[row] == 1}

    def rate(rows: list[int], within: int = 10_000) -> float:
        hits = [
            row for row in rows if material.churned[row] == 1 and (end[row] - vectors.as_of[row]) <= within * DAY
        ]
        return len(hits) / len(rows)

    beyond = rate(fired) - rate(known)
    return {
        "coverage": len(known) / len(labelled),
        "fired_share": len(fired) / len(known),
        "fired_accounts": len({str(vectors.account_ids[row]) for row in fired}),
        "churned_accounts": len(caught),
        "caught": len(caught) / len(lost),
        "churned": rate(fired),
        "base": rate(known),
        "lift": rate(fired) / rate(known),
        "late": (rate(fired, 30) - rate(known, 30)) / beyond,
    }


def test_every_figure_is_that_of_a_plain_count(made: Made, quick: Recipe, drawn_up: Register) -> None:
    material, end = made.material(quick), ends_of(made)
    for item, row in enumerate(drawn_up.rows):
        plain = plain_row(material, end, item)
        late = plain.pop("late")
        assert {name: getattr(row, name) for name in plain} == pytest.approx(plain), row.id
        assert row.late_share is None or row.late_share == pytest.approx(min(1.0, max(0.0, late or 0.0)))
        assert row.interval is not None
        assert row.interval[0] <= (row.lift or 0.0) <= row.interval[1]


def test_it_says_which_rows_it_rests_on(made: Made, drawn_up: Register) -> None:
    labelled = ~np.isnan(made.churned)
    assert drawn_up.snapshots == labelled.sum()
    assert drawn_up.churned_accounts == len(set(made.vectors.account_ids[made.churned == 1]))
    assert drawn_up.dates == (made.vectors.as_of[labelled].min(), made.vectors.as_of[labelled].max())
    assert drawn_up.stays == len(set(made.vectors.account_ids[~np.isnat(ends_of(made))]))


def test_rows_without_a_label_change_no_lift(made: Made, quick: Recipe, drawn_up: Register) -> None:
    labelled = np.flatnonzero(~np.isnan(made.churned))
    fewer = replace(made, vectors=made.vectors.take(labelled), churned=made.churned[labelled])
    again = register_of(fewer.material(quick), ends_of(made)[labelled])
    assert [(row.lift, row.interval) for row in again.rows] == [(row.lift, row.interval) for row in drawn_up.rows]


def test_signs_that_go_with_churn_are_kept_and_of_the_others_few(drawn_up: Register) -> None:
    kept = {row.id for row in drawn_up.rows if row.verdict is Verdict.KEEP}
    assert set(EFFECTS) <= kept
    assert len(kept - set(EFFECTS)) <= 3  # of 27 others, at 90 %, chance keeps one or two
    assert any(row.verdict is Verdict.DROP for row in drawn_up.rows)


def with_sign(made: Made, name: str, stands: np.ndarray) -> Made:
    values, unknown, place = (
        made.vectors.values.copy(),
        made.vectors.unknown.copy(),
        made.vectors.contract.position,
    )
    values[:, place[name]], unknown[:, place[name]] = np.where(stands, 2.0, 0.0), KNOWN_LETTER
    return replace(made, vectors=replace(made.vectors, values=values, unknown=unknown))


def planted(made: Made, quick: Recipe, stands: np.ndarray) -> RegisterRow:
    found = register_of(with_sign(made, "exit_page_views", stands).material(quick), ends_of(made))
    return row_of(found, "exit_page_views")


def test_a_sign_of_the_last_weeks_only_confirms_and_an_early_one_leads(made: Made, quick: Recipe) -> None:
    ahead = (ends_of(made) - made.vectors.as_of) / DAY  # NaT gives NaN
    now_and_then = np.random.default_rng(4).random(len(ahead)) < 0.03
    last = planted(made, quick, (ahead <= 30) | now_and_then)
    early = planted(made, quick, ((ahead > 30) & (ahead <= 120)) | now_and_then)
    assert (last.verdict, last.role) == (Verdict.KEEP, Role.CONFIRMATORY)
    assert (early.verdict, early.role) == (Verdict.KEEP, Role.LEADING)
    assert last.declared == "leading"
    assert (last.lead.median_days or 0.0) < (early.lead.median_days or 0.0)


def test_a_sign_by_chance_is_not_kept(made: Made, quick: Recipe) -> None:
    kept = sum(
        planted(made, quick, np.random.default_rng(seed).random(len(made.vectors)) < 0.15).verdict is Verdict.KEEP
        for seed in range(12)
    )
    assert kept <= 2


def test_a_sign_that_nobody_lost_ever_had_is_dropped_once_that_is_no_chance(made: Made, quick: Recipe) -> None:
    stayed = np.isnat(ends_of(made))
    often = planted(made, quick, stayed & (np.random.default_rng(1).random(len(stayed)) < 0.4))
    assert (often.lift, often.verdict) == (0.0, Verdict.DROP)
    assert often.interval is not None
    assert 0.0 < often.interval[1] < 1.0
    rare = planted(made, quick, stayed & (np.random.default_rng(1).random(len(stayed)) < 0.004))
    assert rare.verdict is Verdict.WATCH
    assert "0 churned accounts showed it" in rare.reason


def test_a_sign_never_known_or_never_fired_is_watched_with_the_reason(made: Made, quick: Recipe) -> None:
    assert planted(made, quick, np.zeros(len(made.vectors), dtype=bool)).reason == "It never fired."
    values = made.vectors.values.copy()
    values[:, made.vectors.contract.position["exit_page_views"]] = np.nan
    unknown = replace(made, vectors=replace(made.vectors, values=values))
    row = row_of(register_of(unknown.material(quick), ends_of(made)), "exit_page_views")
    assert (row.reason, row.verdict, row.lift, row.fired_share) == (
        "It was never known.",
        Verdict.WATCH,
        None,
        None,
    )


def test_without_moments_there_is_no_lead_time_and_no_role_but_a_lift(made: Made, quick: Recipe) -> None:
    nowhere = np.full(len(made.vectors), "NaT", dtype="datetime64[s]")
    found = register_of(made.material(quick), nowhere)
    assert found.stays == 0
    assert {row.lead for row in found.rows} == {LeadTime(0, 0, None, None, 0)}
    assert {row.role for row in found.rows} == {None}
    assert row_of(found, "usage_trend").verdict is Verdict.KEEP


def test_too_few_churned_accounts_drop_nothing(quick: Recipe) -> None:
    small = a_company(accounts=60, level=-6.0, seed=3)
    found = register_of(small.material(quick), ends_of(small))
    assert found.churned_accounts < quick.signal_register.fewest_churned_accounts
    assert {row.verdict for row in found.rows} == {Verdict.WATCH}


def test_parts_are_judged_as_the_whole(
    made: Made, quick: Recipe, drawn_up: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "ROWS_AT_A_TIME", 700)
    assert register_of(made.material(quick), ends_of(made)) == drawn_up
