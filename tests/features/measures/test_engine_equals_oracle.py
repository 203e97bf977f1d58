"""The engine reads invented companies as the slow oracle does: edges, ties, gaps, late and corrected rows."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.catalogue import Catalogue, load_catalogue
from features.readings import Unknown, UnknownReason
from features.vectors import COVERAGE, UNDER_NOTICE, FeatureContract, Vectors, age_column
from tests.features.equality.samples import MANNERS
from tests.oracle import company as company_module
from tests.oracle import contracts as contracts_module
from tests.oracle import coverage as coverage_module
from tests.oracle import rows as rows_module
from tests.oracle.answer import Answer, Oracle
from tests.oracle.company import ONE_DAY, Company
from tests.oracle.engine import vectors_of
from tests.oracle.invented import invented_company

DATES = tuple(dt.datetime.fromisoformat(text) for text in ("2025-03-01", "2025-07-01"))
AFTER_LUNCH = tuple(date + dt.timedelta(hours=13, minutes=7) for date in DATES)


@dataclass(frozen=True)
class Case:
    """One invented company: its seed, and what is unlike the others about it."""

    seed: int
    accounts: int
    without: tuple[str, ...] = ()
    dated: bool = True
    feeds: bool = True
    dates: tuple[dt.datetime, ...] = DATES
    lacking: tuple[str, ...] = ()

    def company(self) -> Company:
        made = invented_company(
            self.seed, self.accounts, self.dates, without=self.without, dated=self.dated, feeds=self.feeds
        )
        return replace(made, lacking=frozenset(self.lacking))


CASES = {
    "everything connected": Case(1, 60),
    "no feeds table": Case(4, 40, feeds=False),
    "nothing says when it was recorded": Case(5, 40, dated=False),
    "no plans, contacts or community": Case(6, 40, without=("plans", "contacts", "community")),
    "no contracts": Case(7, 30, without=("contracts",)),
    "asked after lunch": Case(2, 60, dates=AFTER_LUNCH),
    "a third company": Case(3, 60),
    "columns that were not delivered": Case(9, 40, lacking=MANNERS["columns that were not delivered"].lacking),
    "contracts and people only": Case(8, 20, without=("usage", "tickets", "surveys", "feedback", "visits")),
}
OF_EVERY_RUN = list(CASES)[:6]
each_company = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in OF_EVERY_RUN else pytest.mark.slow) for n in CASES]
)


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@cache
def company(name: str) -> Company:
    return CASES[name].company()


@cache
def grid(name: str) -> tuple[tuple[str, dt.datetime], ...]:
    """Every account that is in force on a date, as the oracle knows; all where there are no contracts."""
    oracle = Oracle(company(name), catalogue())
    accounts = [f"A{number:03}" for number in range(CASES[name].accounts)]
    free = "contracts" in CASES[name].without
    return tuple((one, on) for one in accounts for on in CASES[name].dates if free or oracle.in_force(one, on))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Vectors]:
    @cache
    def vectors(name: str) -> Vectors:
        return vectors_of(company(name), tmp_path_factory.mktemp("company"), grid(name))

    return vectors


def oracle_row(answer: Answer, contract: FeatureContract) -> list[float | Unknown]:
    """The oracle's answer in the order and codes of the vector."""
    read: dict[str, Any] = {
        **answer.signals,
        **answer.factors,
        **{age_column(name): age for name, age in answer.ages.items()},
        **answer.context,
        COVERAGE: answer.coverage,
        UNDER_NOTICE: float(answer.under_notice),
    }
    row: list[float | Unknown] = []
    for column in contract.columns:
        value = read[column.name]
        if isinstance(value, str):
            row.append(float(column.codebook.index(value)))
        else:
            row.append(Unknown(UnknownReason.NO_BASE) if value is None else value)
    return row


def equal(ours: float | Unknown, theirs: float | Unknown) -> bool:
    if isinstance(ours, Unknown) or isinstance(theirs, Unknown):
        return ours == theirs
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def mismatches(oracle: Oracle, vectors: Vectors, pairs: Sequence[tuple[str, dt.datetime]]) -> list[str]:
    """One line for each reading on which the two differ."""
    found = []
    for row, (account, as_of) in enumerate(pairs):
        answer = oracle.ask(account, as_of)
        for column, expected in zip(vectors.contract.columns, oracle_row(answer, vectors.contract), strict=True):
            read = vectors.reading(row, column.name)
            if not equal(expected, read):
                found.append(f"{column.name} of {account} at {as_of}: oracle {expected}, engine {read}")
    return found


def told(vectors: Vectors, row: int) -> list[float | str | Unknown]:
    """One vector with categories as text, since codebooks belong to what was known when they were recorded."""
    said: list[float | str | Unknown] = []
    for column in vectors.contract.columns:
        value = vectors.reading(row, column.name)
        is_text = column.kind == "category" and not isinstance(value, Unknown)
        said.append(column.codebook[int(float(str(value)))] if is_text else value)
    return said


def by_pair(vectors: Vectors) -> dict[tuple[str, dt.datetime], list[float | str | Unknown]]:
    dates = [as_of.item() for as_of in vectors.as_of]
    return {pair: told(vectors, row) for row, pair in enumerate(zip(vectors.account_ids, dates, strict=True))}


@each_company
def test_every_reading_of_every_account_equals_the_oracles(name: str, engine: Callable[[str], Vectors]) -> None:
    assert mismatches(Oracle(company(name), catalogue()), engine(name), grid(name)) == []


def test_what_was_recorded_after_the_date_changes_no_vector(
    engine: Callable[[str], Vectors], tmp_path: Path
) -> None:
    name, date = "everything connected", DATES[0]
    pairs = [pair for pair in grid(name) if pair[1] == date]
    truncated = vectors_of(company(name), tmp_path, pairs, truncated_at=date)
    from_all = by_pair(engine(name))
    assert by_pair(truncated) == {pair: from_all[pair] for pair in pairs}


def test_one_account_alone_equals_the_same_account_in_a_batch(
    engine: Callable[[str], Vectors], tmp_path: Path
) -> None:
    name = "everything connected"
    vectors = engine(name)
    most_known = int(np.nanargmax(vectors.column(COVERAGE)))
    pair = grid(name)[most_known]
    assert by_pair(vectors_of(company(name), tmp_path, [pair]))[pair] == by_pair(vectors)[pair]


def test_rows_come_in_the_order_of_the_grid(engine: Callable[[str], Vectors], tmp_path: Path) -> None:
    name = "no contracts"
    backwards = list(reversed(grid(name)))[:20]
    vectors = vectors_of(company(name), tmp_path, backwards)
    assert list(zip(vectors.account_ids, (d.item() for d in vectors.as_of), strict=True)) == backwards
    whole = by_pair(engine(name))
    assert by_pair(vectors) == {pair: whole[pair] for pair in backwards}


# --- the comparison can fail: an oracle with one rule broken no longer agrees ----------------------


def without_recorded_at(table: str, row: Mapping[str, Any]) -> dt.datetime:
    occurred = company_module.CONTRACT[table].get("occurred")
    moment: dt.datetime = row[occurred] if occurred else company_module.ALWAYS
    return moment


def a_day_longer(when: dt.datetime, span: tuple[dt.datetime, dt.datetime]) -> bool:
    return span[0] - ONE_DAY < when <= span[1]


def with_its_beginning(when: dt.datetime, span: tuple[dt.datetime, dt.datetime]) -> bool:
    return span[0] <= when <= span[1]


MUTANTS = {
    "recorded_at is ignored": (company_module, "known_from", without_recorded_at),
    "windows are a day longer": (rows_module, "in_window", a_day_longer),
    "a window's beginning belongs to it": (rows_module, "in_window", with_its_beginning),
    "contracts end a day early": (
        contracts_module,
        "in_force",
        lambda rows, day: [c for c in rows if c["start_date"] <= day < contracts_module.end_of(c)],
    ),
    "every day was delivered": (coverage_module.Feed, "covers", lambda feed, day: True),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_an_oracle_with_one_rule_broken_no_longer_agrees(
    mutant: str, engine: Callable[[str], Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "everything connected"
    vectors, pairs = engine(name), grid(name)
    agreed = set(mismatches(Oracle(company(name), catalogue()), vectors, pairs))
    monkeypatch.setattr(*MUTANTS[mutant])
    broken = mismatches(Oracle(CASES[name].company(), catalogue()), vectors, pairs)
    assert len(set(broken) - agreed) >= 5


# --- the companies are no easy ones ----------------------------------------------------------------


def test_the_companies_hold_known_unknown_and_different_values_of_every_signal() -> None:
    values: dict[str, set[float]] = {name: set() for name in catalogue().definitions.signals}
    reasons: dict[str, set[Unknown]] = {name: set() for name in catalogue().definitions.signals}
    for name in CASES:
        oracle = Oracle(company(name), catalogue())
        for account, as_of in grid(name):
            for signal, value in oracle.ask(account, as_of).signals.items():
                (reasons[signal] if isinstance(value, Unknown) else values[signal]).add(value)  # type: ignore[arg-type]
    assert {signal for signal, seen in values.items() if len(seen) < 2} == set()
    assert {signal for signal, seen in reasons.items() if not seen} == set()


def test_the_oracle_itself_knows_nothing_that_was_recorded_later() -> None:
    name, date = "everything connected", DATES[0]
    whole = company(name)
    known_then = {
        table: [row for row, made in zip(rows, whole.rows[table], strict=True) if made["known_from"] <= date]
        for table, rows in whole.tables.items()
    }
    known_then["accounts"] = list(whole.tables["accounts"])
    then = Oracle(Company(known_then, whole.begins), catalogue())
    for account, as_of in grid(name):
        if as_of == date:
            assert then.ask(account, date) == Oracle(whole, catalogue()).ask(account, date)
