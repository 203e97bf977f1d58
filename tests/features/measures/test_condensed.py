"""Rows condensed say what the same rows say one by one; also where there is too much to number."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from features.measures import condensed
from features.measures.calendar import SECONDS_A_DAY, Calendar
from features.measures.condensed import CondensedFrame
from features.measures.frames import Counted, Demand, Filters, RowFrame, Texts, Valued, told

DATES = [dt.datetime(2025, month, 1) for month in range(1, 13)]
FILTERS: tuple[Filters, ...] = tuple(({"page": (f"p{number}",)},) for number in range(20))


def rows(seed: int, calendar: Calendar, size: int = 400, filters: int = 2) -> RowFrame:
    """Rows of five accounts, some known late, some replaced, some after all dates."""
    rng = np.random.default_rng(seed)
    first = calendar.seconds[0] - 200 * SECONDS_A_DAY
    occurred = first + rng.integers(0, 600 * SECONDS_A_DAY, size).astype(np.float64)
    late = np.where(rng.random(size) < 0.2, rng.integers(0, 90 * SECONDS_A_DAY, size), 0)
    known_from = occurred + late
    known_until = np.where(rng.random(size) < 0.1, known_from + 40 * SECONDS_A_DAY, np.inf)
    people = rng.integers(-1, 12, size)
    amounts = rng.choice([0.1, 0.2, -0.3, 7.0, np.nan], size)
    return RowFrame(
        calendar,
        rng.integers(0, 5, size),
        occurred,
        known_from,
        known_until,
        calendar.below(known_until) & ~calendar.below(known_from),
        {told(one): rng.random(size) < 0.5 for one in FILTERS[:filters]},
        {"amount": amounts, "whole": np.round(amounts * 10)},
        {"person": Texts(people, tuple(f"u{number}" for number in range(12)))},
    )


def demands(filters: int = 2) -> list[Demand]:
    asked = []
    for any_of in ((), *FILTERS[:filters]):
        for window, until in ((30, 0), (90, 30), (None, 0), (None, 60)):
            asked += [
                Demand("rows", "usage", any_of, (), window, until),
                Demand("sum", "usage", any_of, ("amount",), window, until),
                Demand("sum", "usage", any_of, ("whole",), window, until),
                Demand("given", "usage", any_of, ("amount",), window, until),
                Demand("nameless", "usage", any_of, ("person",), window, until),
                Demand("distinct", "usage", any_of, ("person",), window, until),
                Demand("distinct", "usage", any_of, ("person", "day"), window, until),
                Demand("values", "usage", any_of, ("person",), window, until),
            ]
        asked += [Demand("last", "usage", any_of), Demand("debuts", "usage", any_of, ("person",))]
    return asked


def added(counted: Counted, calendar: Calendar) -> Any:
    row, cells = calendar.expanded(counted.account, counted.mask)
    amount = None if counted.amount is None else counted.amount[row]
    return np.bincount(cells, amount, 5 * len(calendar)).astype(np.float64)


def latest(counted: Counted, calendar: Calendar) -> Any:
    found = np.full(5 * len(calendar), -np.inf)
    row, cells = calendar.expanded(counted.account, counted.mask)
    assert counted.amount is not None
    np.maximum.at(found, cells, counted.amount[row])
    return found


def shown(valued: Valued, calendar: Calendar, *, first: bool) -> set[Any]:
    """Account, date and value (with its first moment) of all that is shown."""
    row, cells = calendar.expanded(valued.account, valued.mask)
    moments: dict[Any, float] = {}
    for place, cell in zip(row.tolist(), cells.tolist(), strict=True):
        key = cell, valued.values[valued.code[place]]
        moments[key] = min(moments.get(key, np.inf), valued.occurred[place])
    return set(moments.items()) if first else set(moments)


def differences(frame: RowFrame, asked: list[Demand]) -> list[Demand]:
    many, calendar = CondensedFrame(frame, asked), frame.calendar
    found = []
    for demand in asked:
        if demand.of in ("values", "debuts"):
            first = demand.of == "debuts"
            pair = [shown(one.valued(demand), calendar, first=first) for one in (frame, many)]
        else:
            of = latest if demand.of == "last" else added
            pair = [of(one.counted(demand), calendar).tobytes() for one in (frame, many)]
        found += [demand] if pair[0] != pair[1] else []
    return found


@pytest.mark.parametrize("dates", [DATES, DATES[4:5]], ids=["twelve dates", "one date"])
@pytest.mark.parametrize("seed", range(4))
def test_every_demand_is_answered_to_the_bit_as_by_the_rows_themselves(
    seed: int, dates: list[dt.datetime]
) -> None:
    assert differences(rows(seed, Calendar(dates)), demands()) == []


def test_every_kind_of_demand_is_asked_but_the_one_that_takes_starts() -> None:
    kinds = get_args(get_type_hints(Demand)["of"])
    assert {demand.of for demand in demands()} == set(kinds) - {"served"}


@pytest.mark.parametrize("few", [0, 16], ids=["told apart by sorting", "looked up in a table"])
def test_twenty_filters_make_no_million_kinds(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condensed, "FILTERS_IN_A_TABLE", few)
    filters = 20 if few else 12
    frame = rows(5, Calendar(DATES), filters=filters)
    assert len(CondensedFrame(frame, demands(filters))._kinds.tile) <= len(frame.account)
    assert differences(frame, demands(filters)) == []


def test_values_are_told_apart_wherever_they_lie() -> None:
    frame = rows(6, Calendar(DATES))
    far = Texts(np.where(frame.codes("person") < 0, -1, frame.codes("person") * 10**6), tuple(range(12 * 10**6)))
    asked = [demand for demand in demands() if demand.of in ("distinct", "values", "debuts")]
    assert differences(replace(frame, texts={"person": far}), asked) == []


@pytest.mark.parametrize("nameless", [False, True], ids=["all named", "some nameless"])
@pytest.mark.parametrize("width", [np.int32, np.int64])
def test_people_of_one_account_each_are_counted_as_people_of_several(nameless: bool, width: Any) -> None:
    frame = rows(6, Calendar(DATES), size=2000)
    person = frame.codes("person")
    own = np.where(nameless & (person < 0), -1, frame.account * 12 + np.maximum(person, 0)).astype(width)
    texts = {"person": Texts(own, tuple(f"u{number}" for number in range(60)))}
    assert differences(replace(frame, texts=texts), demands()) == []


def test_some_people_of_a_company_with_many_are_told_apart() -> None:
    frame = rows(6, Calendar(DATES), size=2000)
    far = np.where(frame.codes("person") < 0, -1, frame.codes("person") * 500 + 7).astype(np.int32)
    texts = {"person": Texts(far, tuple(f"u{number}" for number in range(6000)))}
    assert differences(replace(frame, texts=texts), demands()) == []


def test_an_edge_of_a_window_moved_by_a_day_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = condensed.Tiles.of
    monkeypatch.setattr(condensed.Tiles, "of", lambda self, moments: honest(self, moments + SECONDS_A_DAY))
    assert len(differences(rows(7, Calendar(DATES)), demands())) > 20
