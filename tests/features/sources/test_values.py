"""How values become the contract's types."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.sources import sql
from features.sources.contract import ColumnContract, ColumnType
from tests.features.sources.company import Company, at, rows

HEAD = "account_id,occurred_at\n"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2025-06-30 17:05:09", "2025-06-30 17:05:09"),
        ("2025-06-30T17:05:09", "2025-06-30 17:05:09"),
        ("2025-06-30 17:05", "2025-06-30 17:05"),
        ("2025-06-30 00:00", "2025-06-30"),
        ("2025-06-30T17:05:09Z", "2025-06-30 17:05:09"),
        ("2025-06-30T17:05:09+02:00", "2025-06-30 15:05:09"),
        ("2025-06-30 23:30:00-05", "2025-07-01 04:30"),
        ("2025-06-30 17:05:09 Europe/Berlin", "2025-06-30 15:05:09"),
        ("2025-06-30 17:05:09.999", "2025-06-30 17:05:09"),
        ("2025-06-30", "2025-07-01"),
        (" 2025-06-30 ", "2025-07-01"),
        ("2024-02-29", "2024-03-01"),
    ],
)
def test_a_time_is_utc_in_whole_seconds_and_a_date_counts_from_the_next_midnight(
    company: Company, written: str, read: str
) -> None:
    assert rows(company.csv("usage", f"{HEAD}a1,{written}\n").open(), "usage", "occurred_at") == [at(read)]


@pytest.mark.parametrize(
    "written", ["30/06/2025", "2025-13-01", "2025-02-30", "soon", "epoch", "infinity", "20250630"]
)
def test_what_is_no_time_leaves_its_row_out(company: Company, written: str) -> None:
    database = company.csv("usage", f"{HEAD}a1,{written}\na2,2025-06-30 17:00\n").open()
    assert rows(database, "usage", "account_id") == ["a2"]


ZONED = dt.datetime(2025, 6, 30, 17, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (dt.datetime(2025, 6, 30, 17, 5, 9, 5), "2025-06-30 17:05:09"),
        (dt.date(2025, 6, 30), "2025-07-01"),
        (ZONED, "2025-06-30 15:00"),
        ("2025-06-30", "2025-07-01"),
    ],
)
def test_times_of_parquet_are_read_by_their_type(company: Company, given: Any, read: str) -> None:
    company.parquet("usage", {"account_id": ["a1"], "occurred_at": [given]})
    assert rows(company.open(), "usage", "occurred_at") == [at(read)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2025-06-30", dt.date(2025, 6, 30)),
        ("2025-06-30 23:59", dt.date(2025, 6, 30)),
        ("2025-06-30T23:30:00-05:00", dt.date(2025, 7, 1)),
        ("", None),
    ],
)
def test_a_date_is_a_day_in_utc(company: Company, written: str, read: dt.date | None) -> None:
    text = f"account_id,start_date,end_date\na1,2025-01-01,{written}\n"
    assert rows(company.csv("contracts", text).open(), "contracts", "end_date") == [read]


def test_ids_stay_text(company: Company) -> None:
    company.csv("accounts", "account_id\n007\n7\n").csv("usage", f"{HEAD}007,2025-01-01\n")
    database = company.open()
    assert rows(database, "accounts", "account_id") == ["007", "7"]
    assert rows(database, "usage", "account_id") == ["007"]


def test_ids_that_a_data_frame_made_numbers_still_fit(company: Company) -> None:
    company.parquet("accounts", {"account_id": [7, 8]})
    company.parquet("usage", {"account_id": [7.0, None], "occurred_at": ["2025-01-01", "2025-01-02"]})
    assert rows(company.open(), "usage", "account_id") == ["7"]


def test_blank_text_is_nothing(company: Company) -> None:
    company.parquet("accounts", {"account_id": ["a1"], "industry": ["  "], "name": [" Acme "]})
    company.says("observed_until = 2025-01-01")
    assert rows(company.open(), "accounts", "industry", "name") == [(None, "Acme")]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", True),
        ("Yes", True),
        ("1", True),
        ("t", True),
        ("FALSE", False),
        ("n", False),
        ("0", False),
        ("", None),
    ],
)
def test_yes_and_no_are_read_in_their_usual_forms(company: Company, written: str, read: bool | None) -> None:
    text = f"account_id,start_date,auto_renew\na1,2025-01-01,{written}\n"
    assert rows(company.csv("contracts", text).open(), "contracts", "auto_renew") == [read]


@pytest.mark.parametrize(("given", "read"), [(1, True), (0.0, False), (True, True), ("no", False)])
def test_yes_and_no_of_parquet(company: Company, given: Any, read: bool) -> None:
    columns = {"account_id": ["a1"], "start_date": ["2025-01-01"], "auto_renew": [given]}
    assert rows(company.parquet("contracts", columns).open(), "contracts", "auto_renew") == [read]


@pytest.mark.parametrize("written", ["many", "nan", "inf", "1,5", "-1"])
def test_what_is_no_allowed_number_leaves_its_row_out(company: Company, written: str) -> None:
    text = f'account_id,start_date,licences\na1,2025-01-01,"{written}"\na2,2025-01-01,5\n'
    assert rows(company.csv("contracts", text).open(), "contracts", "account_id", "licences") == [("a2", 5.0)]


@pytest.mark.parametrize("given", [5, 5.0, Decimal("5.00"), "5", " 5.0 "])
def test_numbers_are_read_from_any_type_of_number(company: Company, given: Any) -> None:
    columns = {"account_id": ["a1"], "start_date": [dt.date(2025, 1, 1)], "licences": [given]}
    assert rows(company.parquet("contracts", columns).open(), "contracts", "licences") == [5.0]


@pytest.mark.parametrize(("written", "kept"), [("4", 1), ("4.0", 1), ("4.5", 0), ("13", 0), ("0", 0)])
def test_a_whole_number_is_never_rounded(company: Company, written: str, kept: int) -> None:
    company.says("observed_until = 2025-01-01")
    text = f"account_id,fiscal_year_start_month\na1,{written}\na2,1\n"
    assert len(rows(company.csv("accounts", text).open(), "accounts", "account_id")) == 1 + kept


def test_defaults_stand_where_nothing_is_given(company: Company) -> None:
    text = "account_id,occurred_at,quantity,actor\na1,2025-01-01,,machine\na2,2025-01-01,3,\n"
    with_columns = company.csv("usage", text).open()
    assert rows(with_columns, "usage", "quantity", "actor") == [(1.0, "machine"), (3.0, "person")]
    without = company.csv("usage", f"{HEAD}a1,2025-01-01\n").open()
    assert rows(without, "usage", "quantity", "actor") == [(1.0, "person")]
    assert {"quantity", "actor"}.isdisjoint(without.columns["usage"])


def test_every_column_of_the_contract_is_there_in_its_type(company: Company) -> None:
    schema = company.csv("tickets", "account_id,opened_at\na1,2025-01-01\n").open().tables["tickets"].schema()
    assert {name: str(kind) for name, kind in schema.items()} == {
        "ticket_id": "string",
        "account_id": "string",
        "opened_at": "timestamp",
        "closed_at": "timestamp",
        "priority": "string",
        "escalated": "boolean",
        "category": "string",
        "satisfaction": "float64",
        "occurred_at": "timestamp",
        "row_key": "string",
        "recorded_at": "timestamp",
        "known_from": "timestamp",
        "known_until": "timestamp",
    }


def test_rows_that_break_the_contract_are_left_out(company: Company) -> None:
    text = (
        "request_id,account_id,kind,occurred_at\n"
        "1,a1,discount,2025-01-01\n"
        "2,a1,Discount,2025-01-01\n"
        "3,nobody,discount,2025-01-01\n"
        "4,a1,,2025-01-01\n"
        "5,,discount,2025-01-01\n"
        "6,a1,discount,\n"
    )
    assert rows(company.csv("requests", text).open(), "requests", "row_key") == ["1"]


@pytest.mark.parametrize(("score", "kept"), [("0", 1), ("10", 1), ("-0.1", 0), ("10.1", 0)])
def test_the_edges_of_a_range_belong_to_it(company: Company, score: str, kept: int) -> None:
    text = f"account_id,nps,occurred_at\na1,{score},2025-01-01\na2,5,2025-01-01\n"
    assert len(rows(company.csv("surveys", text).open(), "surveys", "row_key")) == 1 + kept


@pytest.mark.parametrize(
    ("kind", "written", "read"), [("number", "250", 250.0), ("category", "250", "250"), ("yes_no", "yes", True)]
)
def test_context_columns_are_kept_by_their_kind(company: Company, kind: str, written: str, read: Any) -> None:
    company.says("observed_until = 2025-01-01")
    company.csv("accounts", f"account_id,employees\na1,{written}\n", 'columns = { size = "employees" }')
    company.section(f'[context.company_size]\nof = "accounts.size"\nkind = "{kind}"')
    assert rows(company.open(), "accounts", "size") == [read]


EDGES = {
    "DATE": ["1970-12-31", "1971-01-01", "2199-12-31", "2200-01-01", "infinity", "-infinity", "0001-01-01"],
    "DOUBLE": ["-1", "-1e-300", "-0.0", "0", "4.9", "5", "5.0000000001", "nan", "inf", "-inf"],
}
TIMES = ["1970-12-31 23:59:59.999999", "1971-01-01", "2025-06-30 17:05:09.5", "2199-12-31 23:59:59.999999"]
EDGES |= {kind: [*TIMES, "2200-01-01"] for kind in ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS")}
LIMITS = [{}, {"at_least": 0}, {"at_most": 5}, {"at_least": 0, "at_most": 5}]
KEPT = [
    *((raw, wanted, {}) for raw in EDGES if raw != "DOUBLE" for wanted in (ColumnType.DATE, ColumnType.TIME)),
    *(("DOUBLE", ColumnType.NUMBER, limits) for limits in LIMITS),
]


@pytest.mark.parametrize(("raw_type", "wanted", "limits"), KEPT)
def test_a_raw_value_is_kept_if_what_is_read_from_it_is_allowed(
    raw_type: str, wanted: ColumnType, limits: dict[str, float]
) -> None:
    column = ColumnContract(type=wanted, **limits)
    allowed = sql.allowed("value", column) or "true"
    told = sql.kept("raw", raw_type, column)
    assert (told is None) == ((raw_type, wanted) == ("DATE", ColumnType.TIME))  # that is from the next midnight
    infinite = ["infinity", "-infinity"] if raw_type == "TIMESTAMP" else []
    values = ", ".join(f"({value})" for value in ["NULL", *map(sql.text, [*EDGES[raw_type], *infinite])])
    with duckdb.connect() as connection:
        judged = connection.sql(
            f"SELECT raw, coalesce(({told or 'NULL'}), raw IS NULL), "
            f"raw IS NULL OR value IS NOT NULL AND ({allowed}) "
            f"FROM (SELECT raw, {sql.read('raw', raw_type, wanted)} AS value "
            f"FROM (SELECT CAST(text AS {raw_type}) AS raw FROM (VALUES {values}) AS given(text)))"
        ).fetchall()
    assert told is None or [kept for _, kept, _ in judged] == [kept for _, _, kept in judged]


@pytest.mark.parametrize("statistics", [True, False])
def test_rows_are_kept_alike_whether_a_file_says_its_least_and_greatest_or_not(
    company: Company, statistics: bool
) -> None:
    nan, times = float("nan"), [at("1970-12-31 23:59:59"), *[at("2025-06-30 17:00")] * 5, None, at("2200-01-01")]
    columns = {
        "usage_id": [str(number) for number in range(8)],
        "account_id": ["a1"] * 8,
        "occurred_at": times,
        "quantity": [1.0, 0.0, -1.0, nan, float("inf"), None, 1.0, 1.0],
    }
    pq.write_table(pa.table(columns), company.folder / "usage.parquet", write_statistics=statistics)
    assert rows(company.path("usage", "usage.parquet").open(), "usage", "row_key", "quantity") == [
        ("1", 0.0),
        ("5", 1.0),
    ]
