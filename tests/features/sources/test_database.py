"""Truncation, the end of the history, and what shows only today's state."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from features.errors import TableError
from features.sources import Database
from features.sources import database as database_module
from features.sources.engines.duckdb import DuckDB
from features.sources.session import Session
from tests.features.sources.company import Company, at, rows, rows_known

USAGE = "usage_id,account_id,occurred_at,recorded_at\n"


@pytest.fixture
def lively(company: Company) -> Company:
    """Late rows, corrections, a row moved to another account, a table without recorded_at, a feed that dies."""
    company.csv("accounts", "account_id,csm,recorded_at\na1,Ada,2024-01-01\na1,Bo,2025-03-01\na2,Cy,2025-02-01\n")
    company.csv(
        "usage",
        USAGE + "1,a1,2025-01-05 10:00,2025-01-05 10:00\n2,a1,2024-12-01 10:00,2025-02-10 10:00\n"
        "1,a2,2025-01-04 10:00,2025-03-10 10:00\n3,a2,2025-01-06 10:00,2025-01-07 10:00\n",
    )
    company.csv("tickets", "account_id,opened_at,closed_at\na1,2025-01-05,2025-02-01\na2,2025-02-20,\n")
    company.csv(
        "contracts", "account_id,start_date,signed_at,licences\na1,2025-02-01,2025-01-10,5\na2,2025-06-01,,7\n"
    )
    company.csv(
        "feeds",
        "table,covered_from,covered_to,recorded_at\ntickets,2025-01-01,,2025-01-20\n"
        "tickets,2025-01-01,2025-02-15,2025-02-16\n",
    )
    return company


TABLES = {
    "accounts": ("account_id", "csm"),
    "usage": ("row_key", "account_id", "occurred_at"),
    "tickets": ("account_id", "opened_at", "closed_at"),
    "contracts": ("account_id", "licences"),
    "coverage": ("table", "covered_from", "covered_to"),
}


def all_known(database: Database, moment: dt.datetime) -> dict[str, list[Any]]:
    return {table: rows_known(database, table, moment, *columns) for table, columns in TABLES.items()}


@pytest.mark.parametrize("month", range(1, 8))
def test_what_is_known_at_a_moment_is_the_same_with_all_later_rows_gone(lively: Company, month: int) -> None:
    moment = dt.datetime(2025, month, 1)
    assert all_known(lively.open(truncated_at=moment), moment) == all_known(lively.open(), moment)


def test_truncation_leaves_out_what_was_recorded_later(lively: Company) -> None:
    database = lively.open(truncated_at=at("2025-02-01"))
    assert rows(database, "usage", "row_key", "account_id") == [("1", "a1"), ("3", "a2")]
    assert rows(database, "tickets", "account_id") == ["a1"]
    assert rows(database, "contracts", "account_id") == ["a1"]
    assert database.observed_until == at("2025-01-21")  # the newest that was recorded by then


def test_a_table_truncated_to_nothing_is_still_a_table(lively: Company) -> None:
    database = lively.says("observed_until = 2025-06-30").open(truncated_at=at("2020-01-01"))
    assert rows(database, "usage", "row_key") == []


def test_the_history_ends_with_the_newest_recorded_at(company: Company) -> None:
    company.csv("usage", USAGE + "1,a1,2025-01-05,2025-01-06 10:00\n2,a1,2026-01-01,2025-01-06 09:00\n")
    assert company.open().observed_until == at("2025-01-06 10:00")


def test_a_recorded_at_on_one_table_does_not_end_the_history_before_the_events_of_another(
    company: Company,
) -> None:
    company.csv("accounts", "account_id,recorded_at\na1,2023-01-05 10:00\n")
    company.csv("tickets", "account_id,opened_at\na1,2025-05-01\n")
    assert company.open().observed_until == at("2025-05-02")


def test_without_recorded_at_the_history_ends_with_the_newest_event(company: Company) -> None:
    company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\n")
    company.csv("tickets", "account_id,opened_at\na1,2025-03-01\n")
    company.csv("outcomes", "account_id,kind,churned_at\na1,lapse,2025-09-01\n")
    assert company.open().observed_until == at("2025-03-02")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2025-06-30", "2025-07-01"),
        ("2025-06-30T12:00:00", "2025-06-30 12:00"),
        ("2025-06-30T12:00:00+02:00", "2025-06-30 10:00"),
    ],
)
def test_the_company_may_say_where_its_history_ends(company: Company, said: str, read: str) -> None:
    assert company.says(f"observed_until = {said}").open().observed_until == at(read)


def test_a_history_without_an_end_is_refused(company: Company) -> None:
    with pytest.raises(TableError, match="Nothing says where the history ends"):
        company.open()


def untimed_names(company: Company) -> list[str]:
    found = company.says("observed_until = 2025-06-30").open().untimed
    return [item.table if item.column is None else f"{item.table}.{item.column}" for item in found]


CONTRACTS = "account_id,start_date\na1,2025-01-01\n"


def test_state_without_recorded_at_is_only_todays(company: Company) -> None:
    assert untimed_names(company.csv("contracts", CONTRACTS)) == ["contracts"]


def test_state_that_is_never_rewritten_can_be_trained_on(company: Company) -> None:
    assert untimed_names(company.csv("contracts", CONTRACTS, "never_rewritten = true")) == []


def test_events_are_never_only_todays(company: Company) -> None:
    assert untimed_names(company.csv("usage", "account_id,occurred_at\na1,2025-01-01\n")) == []


ACCOUNTS = "account_id,name,customer_since,csm,industry,region,size\na1,Acme,2020-01-01,Ada,x,y,5\n"


def test_columns_of_accounts_without_a_history_are_only_todays(company: Company) -> None:
    company.csv("accounts", ACCOUNTS).says('never_changing = ["accounts.industry"]')
    company.section('[context.company_size]\nof = "accounts.size"\nkind = "number"')
    assert untimed_names(company) == ["accounts.csm", "accounts.region", "accounts.size"]


def test_accounts_with_recorded_at_have_a_history(company: Company) -> None:
    assert untimed_names(company.csv("accounts", "account_id,region,recorded_at\na1,x,2025-01-01\n")) == []


def test_the_reason_names_the_remedy(company: Company) -> None:
    company.csv("contracts", CONTRACTS).says("observed_until = 2025-06-30")
    (found,) = company.open().untimed
    assert "[tables.contracts] never_rewritten = true" in str(found)


def test_columns_delivered_are_told_from_columns_empty(company: Company) -> None:
    database = company.csv("tickets", "account_id,opened_at,priority\na1,2025-01-01,\n").open()
    assert database.columns["tickets"] == {"account_id", "opened_at", "priority"}


@pytest.mark.parametrize("at_once", [1, 2])
def test_tables_are_read_by_one_core_as_by_two(
    company: Company, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time anew: what asks a connection that is reading a table is refused, if it comes too early."""
    monkeypatch.setattr("features.sources.session.AT_ONCE", at_once)
    events = "".join(f"{n},a{n % 2},2025-01-05 10:00,2025-01-05 10:00\n" for n in range(30_000))
    company.csv("accounts", "account_id\na0\na1\n").csv("usage", USAGE + events)
    for _ in range(5):
        database = company.open()
        assert database.sizes["usage"] == 30_000
        assert database.connection.to_pyarrow(database.tables["usage"].count()).as_py() == 30_000
        database.close()


@pytest.mark.parametrize(
    ("owner", "name"), [(Session, "store_known"), (DuckDB, "load"), (database_module, "name_accounts")]
)
def test_long_work_is_done_where_no_interrupt_ends_it_half_way(
    company: Company, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches the main thread: of a query it makes another error, of an import a lock kept for ever."""
    honest, threads = getattr(owner, name), set()

    def noted(*given: Any) -> Any:
        threads.add(threading.current_thread())
        return honest(*given)

    monkeypatch.setattr(owner, name, noted)
    company.csv("usage", USAGE + "1,a1,2025-01-05 10:00,2025-01-05 10:00\n").open()
    assert threads
    assert threading.main_thread() not in threads
