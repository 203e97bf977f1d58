"""Every scenario in ``tests/scenarios``, asked of the slow oracle and of the real engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from features.catalogue import Catalogue, load_catalogue
from features.readings import Unknown, UnknownReason
from features.vectors import Role, Vectors, age_column
from tests.oracle.answer import Answer, Oracle
from tests.oracle.bands import HEALTHY, NOT_SO_HEALTHY, UNHEALTHY, band_of_factor, band_of_signal
from tests.oracle.engine import vectors_of
from tests.oracle.scenarios import Scenario, ScenarioCompany, scenario_companies

BANDS = {-1: None, 0: HEALTHY, 1: NOT_SO_HEALTHY, 2: UNHEALTHY}
ALL = [(company, scenario) for company in scenario_companies() for scenario in company.scenarios]
named = pytest.mark.parametrize(
    ("company", "scenario"), ALL, ids=[f"{s.file}: {s.name} ({s.account_id})" for _, s in ALL]
)


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@cache
def oracle(name: str) -> Oracle:
    (company,) = [one.company for one in scenario_companies() if one.name == name]
    return Oracle(company, catalogue())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Vectors and judgements of each company, made when first asked for."""
    return EngineAnswers(tmp_path_factory)


class EngineAnswers(dict[str, Any]):
    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self.folders = folders

    def __missing__(self, name: str) -> tuple[Vectors, Any]:
        from models.signs import judge

        (one,) = [company for company in scenario_companies() if company.name == name]
        grid = [(scenario.account_id, scenario.as_of) for scenario in one.scenarios]
        vectors = vectors_of(one.company, self.folders.mktemp(name.replace(" ", "-")), grid)
        answers = vectors, judge(vectors, catalogue().policy, catalogue().definitions)
        self[name] = answers
        return answers


@named
def test_the_oracle_reads_the_scenario_as_expected(company: ScenarioCompany, scenario: Scenario) -> None:
    answer = oracle(company.name).ask(scenario.account_id, scenario.as_of)
    read = {item: oracle_says(answer, item, expected) for item, expected in scenario.expect.items()}
    assert read == expected_of(scenario)


@named
def test_the_engine_reads_the_scenario_as_expected(
    company: ScenarioCompany, scenario: Scenario, engine: Mapping[str, Any]
) -> None:
    vectors, judgements = engine[company.name]
    row = list(vectors.account_ids).index(scenario.account_id)
    read = {item: engine_says(vectors, judgements, row, item, e) for item, e in scenario.expect.items()}
    assert read == expected_of(scenario)


def expected_of(scenario: Scenario) -> dict[str, Any]:
    return {item: {k: approximate(v) for k, v in expected.items()} for item, expected in scenario.expect.items()}


def approximate(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, int | float) else value


def oracle_says(answer: Answer, item: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the oracle says of one item, in the words of the scenario."""
    policy, definitions = catalogue().policy, catalogue().definitions
    band = None
    if item == "under_notice":
        value: Any = answer.under_notice
    elif item in answer.signals:
        value = answer.signals[item]
        stage = answer.context["stage"]
        band = band_of_signal(
            value, definitions.signals[item], policy.signals[item], stage if isinstance(stage, str) else None
        )
    elif item in answer.factors:
        value, band = answer.factors[item], band_of_factor(answer.factors[item], policy.factors[item])
    else:
        value = answer.context[item]
    return said(value, band, answer.ages.get(item), expected)


def engine_says(
    vectors: Vectors, judgements: Any, row: int, item: str, expected: Mapping[str, Any]
) -> dict[str, Any]:
    """What the engine and the judge say of one item, in the words of the scenario."""
    contract = vectors.contract
    column = contract.columns[contract.position[item]]
    value: Any = vectors.reading(row, item)
    band = age = None
    if column.role in (Role.SIGNAL, Role.FACTOR):
        band = BANDS[int(judgements.band[row, contract.items.index(column)])]
    if column.role is Role.FACTOR:
        age = vectors.reading(row, age_column(item))
    if column.kind == "category" and not isinstance(value, Unknown):
        value = column.codebook[int(value)]
    if item == "under_notice":
        value = bool(value)
    return said(value, band, age, expected)


def said(value: Any, band: str | None, age: Any, expected: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(value, Unknown):
        assert band is None, f"unknown, and judged {band}"
        return {"unknown": str(value.reason)}
    told = {"value": value, "band": band, "age_days": age}
    return {name: told[name] for name in expected if name != "unknown"} or {"value": value}


def test_every_signal_and_factor_fires_is_clear_and_is_unknown_in_some_scenario() -> None:
    bands: dict[str, set[str]] = defaultdict(set)
    for _, scenario in ALL:
        for item, expected in scenario.expect.items():
            bands[item].add("unknown" if "unknown" in expected else expected.get("band", ""))
    wanted = {item: {HEALTHY, NOT_SO_HEALTHY, UNHEALTHY, "unknown"} for item in catalogue().policy.signals}
    wanted |= {item: {HEALTHY, NOT_SO_HEALTHY, UNHEALTHY, "unknown"} for item in catalogue().policy.factors}
    for item, policy in catalogue().policy.signals.items():
        if policy.counts is not None and policy.counts.unhealthy is None:
            wanted[item].remove(UNHEALTHY)
    missing = {item: need - bands[item] for item, need in wanted.items() if need - bands[item]}
    assert missing == {}


def test_every_expected_reason_is_one_of_ours() -> None:
    reasons = {e["unknown"] for _, s in ALL for e in s.expect.values() if "unknown" in e}
    assert reasons <= {str(reason) for reason in UnknownReason}


def test_scenario_names_are_sentences_of_their_own() -> None:
    names = [(scenario.file, scenario.name) for _, scenario in ALL]
    repeated = {name for name in names if names.count(name) > 1}
    assert repeated == set()
