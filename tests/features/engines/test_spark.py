"""Spark reads Parquet and queries of its own and leaves nothing behind; its answers: ``test_as_duckdb.py``."""

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
from features.sources import Database
from tests.features.engines.equality import SPARK_LEAVES_SOCKETS
from tests.features.sources.company import Company, rows

pytestmark = SPARK_LEAVES_SOCKETS

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
