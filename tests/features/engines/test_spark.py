"""Spark gives the vectors of DuckDB, reads Parquet and queries of its own, and leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.errors import SourcesError, TableError
from features.measures import fetching
from features.sources import Database
from tests.features import test_now
from tests.features.engines.equality import DATES, differences, evidence_on, vectors_on
from tests.features.sources.company import Company, at, rows, rows_known
from tests.features.test_now import opened, same
from tests.oracle.invented import invented_company

# PySpark leaves closing its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# Each table costs Spark some seconds, whatever is in it.
LEFT_OUT = ("plans", "contacts", "community", "feedback", "requests", "visits", "organisation", "assessments")


def test_vectors_equal_those_of_duckdb(
    tmp_path: Path, connection_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ROWS_WORTH_CONDENSING", 0)
    company = invented_company(1, 20, DATES, without=LEFT_OUT)
    ours = vectors_on(connection_of("spark"), company, tmp_path / "ours")
    theirs = vectors_on("", company, tmp_path / "theirs")
    assert len(ours) > 10
    assert differences(ours, theirs) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("counted_by", ["us", "the engine"])
def test_vectors_of_whole_companies_equal_those_of_duckdb(
    seed: int,
    counted_by: str,
    tmp_path: Path,
    connection_of: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "ROWS_WORTH_CONDENSING", 0 if counted_by == "the engine" else 10**9)
    dates = tuple(date + dt.timedelta(hours=13, minutes=7) for date in DATES) if seed == 2 else DATES
    company = invented_company(seed, 40, dates, feeds=seed != 2)
    ours = vectors_on(connection_of("spark"), company, tmp_path / "ours", dates)
    theirs = vectors_on("", company, tmp_path / "theirs", dates)
    assert differences(ours, theirs) == []


@pytest.mark.slow
def test_one_account_now_has_the_vector_of_a_snapshot(tmp_path: Path, connection_of: Callable[[str], str]) -> None:
    company = invented_company(1, 20, test_now.DATES, without=LEFT_OUT)
    with opened(company, tmp_path, connection_of("spark")) as one:
        now = one.now()
        some = [*range(0, len(one.pairs), 12)]
        assert all(same(now.vector(*one.pairs[row], one.contract), one.snapshot.take([row])) for row in some)


@pytest.mark.slow
def test_evidence_equals_that_of_duckdb(tmp_path: Path, connection_of: Callable[[str], str]) -> None:
    company, accounts = invented_company(1, 20, DATES), ["A001", "A002"]
    ours = evidence_on(connection_of("spark"), company, tmp_path / "ours", accounts)
    assert ours == evidence_on("", company, tmp_path / "theirs", accounts)
    assert any(rows for account in ours for rows in account.values())


def test_rows_recorded_later_or_of_other_accounts_are_left_out_where_asked(
    company_on: Callable[..., Company],
) -> None:
    tickets = (
        "ticket_id,account_id,opened_at,recorded_at\n"
        "t1,a1,2025-01-01 10:00:00,2025-01-01 10:00:00\n"
        "t1,a2,2025-01-01 10:00:00,2025-01-08 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,2025-02-01 00:00:00\n"
    )
    feeds = "table,account_id,covered_from,recorded_at\ntickets,a2,2025-01-01,2025-01-05 00:00:00\n"
    company = company_on("spark").csv("tickets", tickets).csv("feeds", feeds)
    database = company.open(truncated_at=at("2025-01-07"), accounts=["a1"])
    assert database.observed_until == at("2025-01-07")
    assert rows(database, "tickets", "ticket_id", "known_until") == [("t1", at("9999-12-31"))]
    assert rows(database, "coverage", "account_id", "known_until") == [(None, at("2025-01-05"))]
    assert rows(database, "accounts", "account_id") == ["a1"]


def test_late_and_corrected_rows_count_from_when_they_were_recorded(company_on: Callable[..., Company]) -> None:
    tickets = (
        "ticket_id,account_id,opened_at,closed_at,recorded_at\n"
        "t1,a1,2025-01-01 10:00:00,,2025-01-01 10:00:00\n"
        "t1,a1,2025-01-01 10:00:00,2025-01-05 09:00:00,2025-01-08 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,,2025-02-01 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,,2025-02-02 00:00:00\n"
    )
    database = company_on("spark").csv("tickets", tickets).open()
    at_first = rows_known(database, "tickets", at("2025-01-07"), "ticket_id", "closed_at")
    assert at_first == [("t1", None)]
    corrected = rows_known(database, "tickets", at("2025-01-08"), "ticket_id", "closed_at")
    assert corrected == [("t1", at("2025-01-05 09:00"))]
    assert rows_known(database, "tickets", at("2025-02-01"), "ticket_id") == ["t1", "t2"]
    assert rows(database, "coverage", "covered_from", "known_from") == [
        (dt.date(2025, 1, 1), at("2025-01-01 10:00"))
    ]


# --- Parquet and queries ---------------------------------------------------------------------------------------

UTC, PARIS = dt.UTC, dt.timezone(dt.timedelta(hours=1))
OPENED = [dt.datetime(2025, 1, 1, 10, 0, 0, 750_000, tzinfo=zone) for zone in (UTC, PARIS)]
TICKETS: dict[str, Any] = {
    "ticket_id": pa.array([7.0, 8.5, None], pa.float64()),
    "account_id": ["a1", " a1", "a2"],
    "opened_at": pa.array([*OPENED, OPENED[0]], pa.timestamp("us", tz="UTC")),
    "closed_at": ["2025-01-03", "2025-01-03T12:00:00+02:00", " "],
    "priority": ["", "high", None],
    "escalated": pa.array([1, 0, None], pa.int32()),
    "satisfaction": pa.array([Decimal("4.50"), None, Decimal("1.00")], pa.decimal128(4, 2)),
    "recorded_at": pa.array([dt.datetime(2025, 2, 1, 1), None, dt.datetime(2025, 1, 3)], pa.timestamp("us")),
}
COLUMNS = ("opened_at", "closed_at", "priority", "escalated", "satisfaction", "recorded_at", "row_key")


def tickets_of(database: Database) -> list[Any]:
    return rows(database, "tickets", *COLUMNS)


def test_parquet_is_read_as_duckdb_reads_it(company_on: Callable[..., Company]) -> None:
    ours = company_on("spark").parquet("tickets", TICKETS).open()
    theirs = company_on("duckdb").parquet("tickets", TICKETS).open()
    assert tickets_of(ours) == tickets_of(theirs)
    assert len(tickets_of(ours)) == 3


def test_parquet_of_types_that_spark_lacks_is_read_too(company_on: Callable[..., Company]) -> None:
    columns = {**TICKETS, "satisfaction": pa.array([3, 4, None], pa.uint64())}
    ours = company_on("spark").parquet("tickets", columns).open()
    theirs = company_on("duckdb").parquet("tickets", columns).open()
    assert tickets_of(ours) == tickets_of(theirs)


def test_a_query_runs_in_spark_and_its_values_are_read_as_those_of_a_file(
    company_on: Callable[..., Company],
) -> None:
    files = company_on("duckdb").parquet("tickets", TICKETS)
    company = company_on("spark").query("tickets", f"SELECT * FROM parquet.`{files.folder}/tickets.parquet`")
    assert tickets_of(company.open()) == tickets_of(files.open())


def test_a_query_that_fails_is_named(company_on: Callable[..., Company]) -> None:
    with pytest.raises(TableError, match=r"usage: the query cannot be read: .*TABLE_OR_VIEW_NOT_FOUND"):
        company_on("spark").query("usage", "SELECT * FROM nowhere").open()


def test_check_looks_at_the_rows_of_a_query(company_on: Callable[..., Company]) -> None:
    company = company_on("spark").query("usage", "SELECT 'nobody' AS account_id, 'soon' AS occurred_at")
    assert {"S105", "S204"} <= {problem.code for problem in company.check()}


# --- the session -------------------------------------------------------------------------------------------------


def test_closing_deletes_the_working_tables_where_the_company_put_them(
    company_on: Callable[..., Company], connection_of: Callable[[str], str], tmp_path: Path
) -> None:
    section = f'{connection_of("spark")}folder = "{tmp_path}/working"\n'
    with company_on("spark", section).open() as database:
        assert list((tmp_path / "working").iterdir()) != []
        assert rows(database, "accounts", "account_id") == ["a1", "a2"]
    assert list((tmp_path / "working").iterdir()) == []


def test_without_pyspark_the_remedy_is_told(
    company_on: Callable[..., Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SourcesError, match=r"pip install \"keepsight\[spark\]\""):
        company_on("spark").open()


def test_without_java_the_remedy_is_told(company_on: Callable[..., Company]) -> None:
    company = company_on("spark")
    company.load()
    script = (
        "import sys, pathlib; from features.sources import load_sources, open_database; "
        "open_database(load_sources(pathlib.Path(sys.argv[1])))"
    )
    environment = {**os.environ, "PATH": str(company.folder), "JAVA_HOME": str(company.folder)}
    found = subprocess.run(
        [sys.executable, "-c", script, str(company.folder)], env=environment, capture_output=True, text=True
    )
    assert "Spark cannot be started" in found.stderr
    assert "It needs Java 17 or later" in found.stderr
