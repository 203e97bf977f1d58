"""Every fault of a delivery is named by `keepsight check`, and nothing broken reaches a vector."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features import clock
from features.errors import SourcesError, TableError
from features.snapshots import build_vectors
from features.sources import open_database
from features.sources.check import check_sources
from features.sources.commands import run_check
from features.sources.problems import Problem, Severity
from features.vectors import Vectors, feature_contract
from tests.features.sources.company import Company
from tests.features.sources.faults import ACCOUNTS, FAULTS, HARMLESS, SOUND, Damage, Fault, deliver_sound, more

DATES = (dt.datetime(2025, 7, 1), dt.datetime(2025, 10, 1))
GRID = pa.table(
    {
        "account_id": pa.array([account for account in ACCOUNTS for _ in DATES]),
        "as_of": pa.array([*DATES] * len(ACCOUNTS), pa.timestamp("s")),
    }
)
CODEBOOKS = {"industry": ["banking", "retail"], "region": ["north", "south"], "plan": ["pro"]}
BESIDE = {"contracts": ("plans",), "feeds": ("visits",)}  # what the check of a table looks into


def tables_for(*tables: str) -> tuple[str, ...]:
    """Few tables, so that the many faults are soon looked at."""
    needed = {"accounts", "usage", *tables, *(other for one in tables for other in BESIDE.get(one, ()))}
    return tuple(table for table in SOUND if table in needed)


class Delivering:
    """Sound companies with some of the tables, each in a folder of its own, damaged where a damage is given."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self._sound: dict[tuple[str, ...], Vectors] = {}
        self._broken: dict[str, Vectors] = {}

    def __call__(self, tables: Iterable[str], *damages: Damage) -> Company:
        self.number += 1
        place = self.folder / str(self.number)
        place.mkdir()
        company = deliver_sound(Company(place), tables)
        for damage in damages:
            damage(company)
        return company

    def sound_vectors(self, tables: tuple[str, ...]) -> Vectors:
        if tables not in self._sound:
            self._sound[tables] = vectors(self(tables))
        return self._sound[tables]

    def all_broken_rows_at_once(self, tables: tuple[str, ...], table: str) -> Vectors:
        if table not in self._broken:
            self._broken[table] = vectors(self(tables, more(table, *broken_rows(table))))
        return self._broken[table]


@pytest.fixture(scope="module")
def delivering(tmp_path_factory: pytest.TempPathFactory) -> Delivering:
    return Delivering(tmp_path_factory.mktemp("companies"))


def broken_rows(table: str) -> list[str]:
    """The rows of a table that are broken and left out."""
    return [
        fault.row for fault in FAULTS.values() if fault.row and fault.table == table and leaves_no_trace(fault)
    ]


def leaves_no_trace(fault: Fault) -> bool:
    return fault.refused is None and fault.like is None and fault.stands is None


def vectors(company: Company) -> Vectors:
    sources = company.load()
    contract = feature_contract(sources.catalogue, CODEBOOKS)
    with open_database(sources) as database:
        return build_vectors(database, sources.catalogue, contract, GRID)


def differing(one: Vectors, other: Vectors) -> list[str]:
    """The columns in which they differ, in value or in why they are unknown."""
    same = np.array_equal(one.values, other.values, equal_nan=True) and np.array_equal(one.unknown, other.unknown)
    if same:
        return []
    unlike = ~np.isclose(one.values, other.values, rtol=0, atol=0, equal_nan=True) | (one.unknown != other.unknown)
    return [name for name, differs in zip(one.contract.names, unlike.any(axis=0), strict=True) if differs]


def named(problems: list[Problem], fault: Fault) -> list[Problem]:
    return [
        problem
        for problem in problems
        if (problem.code, problem.table) == (fault.code, fault.table)
        and fault.shows in "\n".join([problem.sentence, *problem.sample])
        and problem.rows == fault.rows
    ]


def test_the_sound_company_has_no_problem_and_much_to_tell(delivering: Delivering) -> None:
    problems = [p for p in delivering(SOUND).check() if p.severity is not Severity.NOTE]
    assert problems == []
    known = ~np.isnan(delivering.sound_vectors(tuple(SOUND)).values).all(axis=0)
    assert known.sum() >= 35


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named_and_does_not_reach_the_vectors(name: str, delivering: Delivering) -> None:
    fault = FAULTS[name]
    tables = tables_for(fault.table)
    company = delivering(tables, fault.damage)
    (problem,) = named(company.check(), fault)
    assert problem.remedy
    assert all(len(shown) <= 240 for shown in problem.sample)
    assert len(problem.sentence) < 700
    if fault.refused is not None:
        assert problem.severity is Severity.ERROR
        with pytest.raises((SourcesError, TableError), match=re.escape(fault.refused)) as error:
            vectors(company)
        assert fault.table in str(error.value)
        assert len(str(error.value)) < 1500
    elif fault.stands is not None:
        assert differing(vectors(company), delivering.sound_vectors(tables)) == list(fault.stands)
    elif fault.like is not None:
        assert differing(vectors(company), vectors(delivering(tables, fault.like))) == []
    else:
        sound = delivering.sound_vectors(tables)
        # One vector for all broken rows of a table is soon made; only if it differs must it be known by which.
        if not fault.row or differing(delivering.all_broken_rows_at_once(tables, fault.table), sound):
            assert differing(vectors(company), sound) == []


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_only_untidy_is_read_as_meant(name: str, delivering: Delivering) -> None:
    tables = tables_for("tickets", "visits")
    company = delivering(tables, HARMLESS[name])
    assert [problem for problem in company.check() if problem.severity is not Severity.NOTE] == []
    assert differing(vectors(company), delivering.sound_vectors(tables)) == []


def test_all_broken_rows_at_once_are_each_named_and_none_reaches_a_vector(delivering: Delivering) -> None:
    company = delivering(SOUND, *(more(table, *broken_rows(table)) for table in SOUND))
    problems = company.check()
    for fault in FAULTS.values():
        if fault.row and leaves_no_trace(fault):
            alike = [p for p in problems if (p.code, p.table) == (fault.code, fault.table)]
            assert alike, fault
            assert sum(p.rows or 0 for p in alike) >= len({f.row for f in FAULTS.values() if same(f, fault)})
    assert differing(vectors(company), delivering.sound_vectors(tuple(SOUND))) == []


def same(one: Fault, other: Fault) -> bool:
    return bool(one.row) and leaves_no_trace(one) and (one.code, one.table) == (other.code, other.table)


@pytest.mark.parametrize(
    ("place", "instead", "table"),
    [
        ("features.sources.sql.allowed", lambda value, column: None, "surveys"),
        ("features.sources.rows.unreadable", lambda delivered, column: "false", "usage"),
        ("features.sources.rows.out_of_order", lambda delivered, first, second: "false", "feeds"),
    ],
    ids=[
        "values out of their range are kept",
        "what cannot be read is kept",
        "an end before the beginning is kept",
    ],
)
def test_a_reader_that_lets_one_kind_through_is_caught(
    place: str, instead: Callable[..., Any], table: str, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_for(table)
    sound = delivering.sound_vectors(tables)
    monkeypatch.setattr(place, instead)
    assert differing(vectors(delivering(tables, more(table, *broken_rows(table)))), sound) != []


def test_a_check_that_overlooks_one_kind_is_caught(
    delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.row_tests.out_of_order", lambda delivered, first, second: "false")
    fault = FAULTS["closed before it was opened"]
    assert named(delivering(tables_for("tickets"), fault.damage).check(), fault) == []


@pytest.fixture
def ruined(delivering: Delivering) -> Company:
    """Much of what can be wrong with one company, all that can be wrong with rows included."""
    files = ("half a Parquet file", "a text of 10 MB in CSV", "an optional column is named otherwise")
    rows = (more(table, *broken_rows(table)) for table in SOUND)
    return delivering(SOUND, *rows, *(FAULTS[name].damage for name in files))


def test_a_ruined_company_is_told_all_worst_first_and_in_short(
    ruined: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    ruined.load()
    assert run_check(ruined.folder, as_json=False) == 1
    told = capsys.readouterr().out
    assert len(told) < 20_000
    assert "\0" not in told
    worst = [told.index(f"{severity} S") for severity in ("error", "warning", "note")]
    assert worst == sorted(worst)


def test_as_json_a_ruined_company_is_told_the_same(ruined: Company, capsys: pytest.CaptureFixture[str]) -> None:
    ruined.load()
    assert run_check(ruined.folder, as_json=True) == 1
    report = json.loads(capsys.readouterr().out)
    told = [(p["severity"], p["code"], p["table"]) for p in report["problems"]]
    problems = check_sources(ruined.load(), clock.now())
    assert told == [(p.severity.value, p.code, p.table) for p in problems]
    assert report["errors"] > 25
