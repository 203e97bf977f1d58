"""Measures of every kind with drawn parameters, on companies drawn for them, equal the oracle's.

Rows lie on the edges of the measures' own windows, a second and half a day beside them; and everything that
``tests/oracle/invented.py`` does to a company happens here too: ties, repetitions, nulls, late, corrected and
moved rows, holes in feeds, accounts without rows, accounts that left and came back.
"""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from features.catalogue import Catalogue, load_catalogue
from features.catalogue.schema import BlocksMeasure, Condition, Measure, Signal
from features.sources import load_sources, open_database
from features.vectors import feature_contract
from tests.features.equality.answers import WAYS, read_by
from tests.features.equality.kinds import KINDS
from tests.features.equality.mutants import mutated
from tests.features.equality.samples import (
    Pair,
    with_accounts_that_came_back,
    with_feeds_of_their_own,
    with_rows_moved,
)
from tests.features.measures.test_engine_equals_oracle import equal
from tests.oracle.answer import Oracle
from tests.oracle.company import OVERLAY, Company
from tests.oracle.engine import grid_table
from tests.oracle.invented import EVENTS, invented_company
from tests.oracle.own_tables import ROWS as OWN_ROWS
from tests.oracle.own_tables import with_own_tables

ACCOUNTS = 24
few = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),  # a company drawn from a seed shrinks to nothing simpler
)
many = settings(few, max_examples=30)
moments = st.sampled_from((dt.timedelta(), dt.timedelta(), dt.timedelta(hours=13, minutes=7)))
dates = st.builds(
    lambda days, time: [dt.datetime.combine(day, dt.time()) + time for day in sorted(days)],
    st.lists(st.dates(dt.date(2024, 12, 1), dt.date(2025, 6, 30)), min_size=2, max_size=3, unique=True),
    moments,
)


@cache
def own() -> Catalogue:
    """Our catalogue with the tables of a company's own."""
    return load_catalogue(OVERLAY)


def catalogue_of(measures: Sequence[Measure]) -> Catalogue:
    """A catalogue with these measures alone."""
    like = next(iter(own().definitions.signals.values()))
    signals = {
        f"measure_{number}": Signal(**{**dict(like), "measure": one, "evidence": None, "applies": {}})
        for number, one in enumerate(measures)
    }
    changed = {"signals": signals, "factors": {}, "context": {}}
    return replace(own(), definitions=own().definitions.model_copy(update=changed))


def parts(model: BaseModel) -> Iterator[BaseModel]:
    """A measure and all that is inside it."""
    yield model
    for name in type(model).model_fields:
        value = getattr(model, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel):
                yield from parts(one)


def tables_of(measures: Sequence[Measure]) -> set[str]:
    return {of.table for one in measures for of in parts(one) if hasattr(of, "table")}


def edges_of(measures: Sequence[Measure]) -> list[int]:
    """The days before a date on which a window of the measures begins or ends."""
    edges = {0, 1, 30}
    for of in (of for one in measures for of in parts(one)):
        spans = [getattr(of, name) for name in type(of).model_fields if name.endswith("days")]
        whole = [int(days) for days in spans if days]
        edges |= {*whole, sum(whole), *(days + 1 for days in whole)}
        if isinstance(of, BlocksMeasure):
            edges |= {block * of.block_days for block in range(of.blocks + 1)}
        edges |= {getattr(of, "until_days_ago", 0)}
    return sorted(edge for edge in edges if edge < 900)


def company_for(
    measures: Sequence[Measure], asked: Sequence[dt.datetime], seed: int, *, contracts: bool
) -> Company:
    """A company with the tables that the measures read, most rows near the edges of their windows."""
    needed, rng = tables_of(measures), random.Random(seed)
    without = [*(set(EVENTS) - needed), "assessments", *(() if contracts else ("contracts",))]
    manner = rng.randrange(4)
    made = invented_company(
        seed, ACCOUNTS, asked, without=without, dated=manner != 1, feeds=manner != 2, edges=edges_of(measures)
    )
    if needed & OWN_ROWS.keys():
        made = with_own_tables(made, seed, asked)
        made = replace(
            made, tables={n: rows for n, rows in made.tables.items() if n in needed or n not in OWN_ROWS}
        )
    if contracts:
        made = with_accounts_that_came_back(made, rng)
    if manner != 1:
        made = with_rows_moved(made, rng, share=0.06)
    if manner == 3:
        made = with_feeds_of_their_own(made, rng, asked, [*needed & made.tables.keys()])
    if rng.random() < 0.3:
        made = replace(made, tables={name: rows for name, rows in made.tables.items() if name != "plans"})
    return made


def differences(company: Company, catalogue: Catalogue, pairs: Sequence[Pair]) -> list[str]:
    """One line for each reading on which engine and oracle differ, in either way of reading."""
    oracle = Oracle(company, catalogue)
    answers = [list(oracle.ask(*pair).signals.values()) for pair in pairs]
    found = []
    for way, readings in engine_readings(company, catalogue, pairs).items():
        for pair, answer, said in zip(pairs, answers, readings, strict=True):
            for name, expected, read in zip(catalogue.definitions.signals, answer, said, strict=True):
                if not equal(expected, read):
                    found.append(f"{name} of {pair[0]} at {pair[1]}: oracle {expected}, engine ({way}) {read}")
    return found


def engine_readings(company: Company, catalogue: Catalogue, pairs: Sequence[Pair]) -> dict[str, list[list[Any]]]:
    from features.snapshots import build_vectors
    from tests.oracle.written import write_company

    contract = feature_contract(catalogue, {})
    names, read = list(catalogue.definitions.signals), {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(load_sources(write_company(company, Path(folder)))) as database,
    ):
        for way in WAYS:
            with read_by(way):
                vectors = build_vectors(database, catalogue, contract, grid_table(pairs))
            read[way] = [[vectors.reading(row, name) for name in names] for row in range(len(pairs))]
    return read


def drawn_differences(kind: str, examples: settings) -> list[str]:
    """Draw measures of a kind and companies for them, and compare engine and oracle."""
    found: list[str] = []

    @examples
    @given(
        measures=st.lists(KINDS[kind], min_size=4, max_size=4),
        asked=dates,
        seed=st.integers(0, 2**32),
        contracts=st.sampled_from((True, True, True, False)),
    )
    def compare(measures: list[Measure], asked: list[dt.datetime], seed: int, contracts: bool) -> None:
        company = company_for(measures, asked, seed, contracts=contracts)
        pairs = [(f"A{number:03}", date) for number in range(ACCOUNTS) for date in asked]
        told = differences(company, catalogue_of(measures), pairs)
        found.extend(f"{measures[int(one.split()[0].split('_')[1])]}: {one}, seed {seed}" for one in told)

    compare()
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
)
def test_the_engine_reads_a_measure_of_the_kind_as_the_oracle_does(kind: str, examples: settings) -> None:
    assert drawn_differences(kind, examples) == []


@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        ("windows are a day longer", "aggregate"),
        ("recorded_at is ignored", "open_at"),
        ("corrections are ignored", "recency"),
        ("a null matches a filter", "aggregate"),
        ("people are told apart without their account", "utilisation"),
        ("a measure asks the wall clock", "silence"),
        ("an engine reads times in local time", "median_duration"),
    ],
)
def test_a_kind_with_one_rule_broken_is_told(mutant: str, kind: str) -> None:
    with mutated(mutant):
        assert drawn_differences(kind, few) != []


def test_every_kind_of_measure_and_condition_is_drawn() -> None:
    drawn = {kind.split(": ")[-1] for kind in KINDS}
    classes = [*get_args(get_args(Measure)[0]), *get_args(get_args(Condition)[0])]
    named = {
        get_args(one.model_fields[tag].annotation)[0]
        for one in classes
        for tag in ("kind", "when")
        if tag in one.model_fields
    }
    assert named == drawn
