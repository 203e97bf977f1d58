"""The engine reads invented companies as the slow oracle does: edges, ties, gaps, late and corrected rows."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from features.catalogue import Catalogue, load_catalogue
from features.readings import Unknown, UnknownReason
from features.vectors import COVERAGE, UNDER_NOTICE, Vectors, age_column
from tests.oracle.answer import Answer, Oracle
from tests.oracle.company import Company
from tests.oracle.engine import vectors_of
from tests.oracle.invented import invented_company

DATES = tuple(dt.datetime.combine(day, dt.time()) for day in (dt.date(2025, 3, 1), dt.date(2025, 7, 1)))


@dataclass(frozen=True)
class Case:
    """One invented company: its seed, and what is unlike the others about it."""

    seed: int
    accounts: int
    without: tuple[str, ...] = ()
    dated: bool = True
    feeds: bool = True

    def company(self) -> Company:
        return invented_company(
            self.seed, self.accounts, DATES, without=self.without, dated=self.dated, feeds=self.feeds
        )


CASES = {
    "everything connected": Case(1, 60),
    "another company": Case(2, 60),
    "a third company": Case(3, 60),
    "no feeds table": Case(4, 40, feeds=False),
    "nothing says when it was recorded": Case(5, 40, dated=False),
    "no plans, contacts or community": Case(6, 40, without=("plans", "contacts", "community")),
    "no contracts": Case(7, 30, without=("contracts",)),
    "contracts only": Case(8, 20, without=("usage", "tickets", "surveys", "feedback", "requests", "visits")),
}
each_company = pytest.mark.parametrize("name", CASES)


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
    return tuple((one, on) for one in accounts for on in DATES if free or oracle.in_force(one, on))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Vectors]:
    @cache
    def vectors(name: str) -> Vectors:
        return vectors_of(company(name), tmp_path_factory.mktemp("company"), grid(name))

    return vectors


def oracle_row(answer: Answer, vectors: Vectors) -> list[float | Unknown]:
    """The oracle's answer in the order and codes of the vector."""
    contract = vectors.contract
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
        for column, expected in zip(vectors.contract.columns, oracle_row(answer, vectors), strict=True):
            read = vectors.reading(row, column.name)
            if not equal(expected, read):
                found.append(f"{column.name} of {account} at {as_of:%Y-%m-%d}: oracle {expected}, engine {read}")
    return found


@each_company
def test_every_reading_of_every_account_equals_the_oracles(name: str, engine: Callable[[str], Vectors]) -> None:
    assert mismatches(Oracle(company(name), catalogue()), engine(name), grid(name)) == []
