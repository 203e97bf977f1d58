"""Of whole companies, PostgreSQL and Spark say what DuckDB says: vectors, evidence, and one account now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from features.sources import rows as rows_module
from features.sources.delivery import Delivered
from tests.features import test_now
from tests.features.engines.equality import DATES, SPARK_LEAVES_SOCKETS, evidence_on, vectors_on
from tests.features.equality.answers import CONDENSED, ONE_BY_ONE, WAYS, differing, read_by
from tests.features.sources.company import at
from tests.features.test_now import of_own_feeds, opened, same
from tests.oracle.invented import invented_company

pytestmark = SPARK_LEAVES_SOCKETS
AFTER_LUNCH = tuple(at(text) for text in ("2025-03-01 13:07", "2025-07-01 13:07"))
# Each table costs Spark some seconds, whatever is in it.
FEW_TABLES = ("plans", "contacts", "community", "feedback", "requests", "visits", "organisation", "assessments")


@dataclass(frozen=True)
class Case:
    """A company on an engine, its rows one by one or condensed, asked about on some dates."""

    engine: str
    way: str
    seed: int
    accounts: int
    slow: bool = True
    dates: tuple[Any, ...] = DATES
    without: Collection[str] = field(default=(), repr=False)
    feeds: bool = True
    dated: bool = True


CASES = (
    Case("postgresql", ONE_BY_ONE, 1, 40, slow=False),
    Case("postgresql", CONDENSED, 1, 40, slow=False),
    Case("spark", CONDENSED, 1, 20, slow=False, without=FEW_TABLES),
    Case("postgresql", ONE_BY_ONE, 2, 60, dates=AFTER_LUNCH),
    Case("postgresql", ONE_BY_ONE, 3, 60, dates=AFTER_LUNCH, feeds=False),
    Case("postgresql", ONE_BY_ONE, 4, 60, dates=AFTER_LUNCH, dated=False),
    *(Case("spark", way, 1, 40) for way in WAYS),
    *(Case("spark", way, 2, 40, dates=AFTER_LUNCH, feeds=False) for way in WAYS),
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=f"{case.engine}, company {case.seed} of {case.accounts}, {case.way}",
            marks=[pytest.mark.slow] if case.slow else [],
        )
        for case in CASES
    ],
)
def test_vectors_equal_those_of_duckdb(case: Case, tmp_path: Path, connection_of: Callable[[str], str]) -> None:
    company = invented_company(
        case.seed, case.accounts, case.dates, without=case.without, feeds=case.feeds, dated=case.dated
    )
    with read_by(case.way):
        ours = vectors_on(connection_of(case.engine), company, tmp_path / "ours", case.dates)
        theirs = vectors_on("", company, tmp_path / "theirs", case.dates)
    assert len(ours) > case.accounts / 2
    assert differing(ours, theirs) == []


@pytest.mark.parametrize(
    ("engine", "accounts"),
    [("postgresql", 5), pytest.param("spark", 2, marks=pytest.mark.slow)],
)
def test_evidence_equals_that_of_duckdb(
    engine: str, accounts: int, tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    company, asked = invented_company(1, 20, DATES), [f"A{number:03}" for number in range(accounts)]
    ours = evidence_on(connection_of(engine), company, tmp_path / "ours", asked)
    assert ours == evidence_on("", company, tmp_path / "theirs", asked)
    assert any(rows for account in ours for rows in account.values())


def test_one_account_now_has_the_vector_of_a_snapshot_also_when_many_threads_ask(
    tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    company = of_own_feeds(invented_company(2, test_now.ACCOUNTS, test_now.DATES))
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        now = one.now()
        assert one.differ(now) == []
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda pair: now.vector(*pair, one.contract), one.pairs * 4))
        rows = [*range(len(one.pairs))] * 4
        assert all(same(vector, one.snapshot.take([row])) for vector, row in zip(found, rows, strict=True))


@pytest.mark.slow
def test_one_account_now_has_the_vector_of_a_snapshot_on_spark(
    tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    company = invented_company(1, 20, test_now.DATES, without=FEW_TABLES)
    with opened(company, tmp_path, connection_of("spark")) as one:
        now = one.now()
        some = [*range(0, len(one.pairs), 12)]
        assert all(same(now.vector(*one.pairs[row], one.contract), one.snapshot.take([row])) for row in some)


def test_an_engine_that_ignores_recorded_at_gives_other_vectors(
    tmp_path: Path, connection_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    company = invented_company(1, 20, DATES)
    theirs = vectors_on("", company, tmp_path / "theirs")
    honest = rows_module.recorded_at

    def undated(delivered: Delivered) -> str:
        names = {column: raw for column, raw in delivered.raw_name.items() if column != "recorded_at"}
        return honest(replace(delivered, raw_name=names))

    monkeypatch.setattr(rows_module, "recorded_at", undated)
    ours = vectors_on(connection_of("postgresql"), company, tmp_path / "ours")
    assert len(differing(ours, theirs)) >= 5
