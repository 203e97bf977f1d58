"""Signals over a company's own tables, by TOML alone: the engine reads them as the slow oracle does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.catalogue import Catalogue, load_catalogue
from features.readings import Unknown
from features.vectors import Vectors
from tests.features.measures.test_engine_equals_oracle import DATES, MUTANTS, equal
from tests.oracle.answer import Oracle
from tests.oracle.company import OVERLAY, Company
from tests.oracle.engine import vectors_of
from tests.oracle.invented import invented_company
from tests.oracle.own_tables import with_own_tables

ACCOUNTS = 60
LACKING = ("trainings.attended", "trainings.topic", "incidents.over_at", "subscription_addons.seats")
CASES: dict[str, dict[str, Any]] = {
    "with feeds": {"feeds": True, "lacking": ()},
    "no feeds table": {"feeds": False, "lacking": ()},
    "columns that were not delivered": {"feeds": False, "lacking": LACKING},
}


@cache
def own_signals() -> Catalogue:
    """The catalogue of the overlay with its own signals alone."""
    whole, ours = load_catalogue(OVERLAY), load_catalogue().definitions.signals
    own = {name: signal for name, signal in whole.definitions.signals.items() if name not in ours}
    return replace(
        whole, definitions=whole.definitions.model_copy(update={"signals": own, "factors": {}, "context": {}})
    )


@cache
def company(name: str) -> Company:
    without = ("usage", "tickets", "surveys", "community", "feedback", "requests", "visits", "organisation")
    made = invented_company(21, ACCOUNTS, DATES, without=(*without, "assessments"), feeds=CASES[name]["feeds"])
    return replace(with_own_tables(made, 22, DATES), lacking=frozenset(CASES[name]["lacking"]))


@cache
def pairs(name: str) -> list[tuple[str, dt.datetime]]:
    oracle = Oracle(company(name), own_signals())
    accounts = [f"A{number:03}" for number in range(ACCOUNTS)]
    return [(account, date) for account in accounts for date in DATES if oracle.in_force(account, date)]


def mismatches(oracle: Oracle, vectors: Vectors, grid: Sequence[tuple[str, dt.datetime]]) -> list[str]:
    """One line for each reading on which the two differ."""
    found = []
    for row, pair in enumerate(grid):
        for signal, expected in oracle.ask(*pair).signals.items():
            read = vectors.reading(row, signal)
            if not equal(expected, read):
                found.append(f"{signal} of {pair[0]} at {pair[1]}: oracle {expected}, engine {read}")
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Vectors]:
    @cache
    def vectors(name: str) -> Vectors:
        folder = tmp_path_factory.mktemp("company")
        return vectors_of(company(name), folder, pairs(name), catalogue=own_signals())

    return vectors


@pytest.mark.parametrize("name", CASES)
def test_every_signal_over_own_tables_equals_the_oracles(name: str, engine: Callable[[str], Vectors]) -> None:
    assert mismatches(Oracle(company(name), own_signals()), engine(name), pairs(name)) == []


def test_it_does_so_too_where_rows_are_counted_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.measures.fetching.ROWS_WORTH_CONDENSING", -1)
    name, catalogue = "with feeds", own_signals()
    vectors = vectors_of(company(name), tmp_path, pairs(name), catalogue=catalogue)
    assert mismatches(Oracle(company(name), catalogue), vectors, pairs(name)) == []


def test_every_signal_over_own_tables_has_several_values_and_is_sometimes_unknown(
    engine: Callable[[str], Vectors],
) -> None:
    for signal in own_signals().definitions.signals:
        read = [engine(name).reading(row, signal) for name in CASES for row in range(len(pairs(name)))]
        assert len({value for value in read if not isinstance(value, Unknown)}) > 1, signal
        assert any(isinstance(value, Unknown) for value in read), signal


def test_own_rows_recorded_after_the_date_change_no_vector(
    engine: Callable[[str], Vectors], tmp_path: Path
) -> None:
    name, date = "no feeds table", DATES[0]
    chosen = [row for row, pair in enumerate(pairs(name)) if pair[1] == date]
    then = [pairs(name)[row] for row in chosen]
    truncated = vectors_of(company(name), tmp_path, then, truncated_at=date, catalogue=own_signals())
    whole = engine(name).take(chosen)
    assert np.array_equal(truncated.values, whole.values, equal_nan=True)
    assert np.array_equal(truncated.unknown, whole.unknown)


@pytest.mark.parametrize("mutant", ["recorded_at is ignored", "windows are a day longer"])
def test_an_oracle_with_one_rule_broken_no_longer_agrees_on_own_tables(
    mutant: str, engine: Callable[[str], Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "with feeds"
    vectors, grid, catalogue = engine(name), pairs(name), own_signals()
    monkeypatch.setattr(*MUTANTS[mutant])
    made = replace(company(name), tables=dict(company(name).tables))  # what is remembered of the first stays there
    assert len(mismatches(Oracle(made, catalogue), vectors, grid)) >= 5
