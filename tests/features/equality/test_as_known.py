"""Random pairs of account and date: cut-off data say what all data say, the engine says what the oracle says.

`pytest -n0 -s -m slow` on this file prints the figures of ten thousand pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.sources import open_database
from tests.features.equality.answers import (
    ONE_BY_ONE,
    WAYS,
    Tally,
    Written,
    catalogue,
    differing,
    oracle_answers,
    unlike_the_oracle,
    written,
)
from tests.features.equality.mutants import mutated
from tests.features.equality.samples import few_and_many, sample, samples
from tests.oracle.answer import Oracle
from tests.oracle.company import Company, key_of
from tests.oracle.contracts import runs


@few_and_many
def test_data_cut_off_at_the_date_give_the_vector_of_all_data(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"truncated data = all data, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        cut_off_at_each_date(written(one, tmp_path / str(place)), tallies)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


@few_and_many
def test_the_engine_says_what_the_oracle_says(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"fast = oracle, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        in_files = written(one, tmp_path / str(place))
        answers = oracle_answers(one, in_files.contract)
        with in_files.database as database:
            for way, tally in tallies.items():
                vectors = in_files.vectors(database, one.pairs, way)
                tally.add(vectors, unlike_the_oracle(vectors, answers))
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


def cut_off_at_each_date(one: Written, tallies: dict[str, Tally]) -> None:
    """Read each pair from all data, among all others, and from the data cut off at its date."""
    with one.database as whole:
        of_all = {way: one.vectors(whole, one.sample.pairs, way) for way in tallies}
    for date in one.sample.dates:
        chosen = [place for place, pair in enumerate(one.sample.pairs) if pair[1] == date]
        with open_database(one.sources, truncated_at=date) as then:
            for way, tally in tallies.items():
                cut_off = one.vectors(then, [one.sample.pairs[place] for place in chosen], way)
                tally.add(cut_off, differing(cut_off, of_all[way].take(chosen)))


# --- both comparisons can fail: an engine with one rule broken --------------------------------------------------


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> Written:
    drawn = sample("everything connected", 80, seed=100, accounts=30, dates=3)
    return written(drawn, tmp_path_factory.mktemp("sample") / "company")


@pytest.mark.parametrize("mutant", ["the wall clock ends every window", "recorded_at is ignored"])
def test_an_engine_that_looks_ahead_is_told_by_data_cut_off(mutant: str, in_files: Written) -> None:
    tally = {ONE_BY_ONE: Tally(mutant)}
    with mutated(mutant):
        cut_off_at_each_date(in_files, tally)
    assert len(tally[ONE_BY_ONE].differences) >= 20


@pytest.mark.parametrize(
    "mutant",
    [
        "the wall clock ends every window",
        "a measure asks the wall clock",
        "recorded_at is ignored",
        "corrections are ignored",
        "windows are a day longer",
        "a null matches a filter",
        "people are told apart without their account",
        "an engine reads times in local time",
    ],
)
def test_an_engine_with_one_rule_broken_is_told_by_the_oracle(mutant: str, in_files: Written) -> None:
    answers = oracle_answers(in_files.sample, in_files.contract)
    with mutated(mutant), in_files.database as database:
        broken = in_files.vectors(database, in_files.sample.pairs)
    assert len(unlike_the_oracle(broken, answers)) >= 5


# --- the samples are no easy ones -------------------------------------------------------------------------------


def test_the_samples_hold_accounts_that_came_back_rows_moved_and_any_time_of_day() -> None:
    drawn = list(samples(300, of=2, accounts=40, dates=9))
    assert len({as_of.time() for one in drawn for _, as_of in one.pairs}) == 4
    oracles = [Oracle(one.company, catalogue()) for one in drawn]
    served = [[o.question(*pair) for pair in one.pairs] for o, one in zip(oracles, drawn, strict=True)]
    contracts = [q.contracts for of_one in served for q in of_one]
    assert sum(len(runs(some, 30)) > 1 for some in contracts) >= 3
    assert sum(not some for some in contracts) >= 10
    moved = [of_key for one in drawn for of_key in by_key("usage", one.company) if len(of_key) > 1]
    assert len(moved) >= 5


def by_key(table: str, company: Company) -> list[set[str]]:
    """For each key, the accounts that its versions are of."""
    accounts: dict[Any, set[str]] = {}
    for row in company.tables[table]:
        accounts.setdefault(key_of(table, row), set()).add(row["account_id"])
    return list(accounts.values())
