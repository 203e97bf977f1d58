"""PostgreSQL gives the vectors of DuckDB, reads queries of its own, and leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from features.errors import SourcesError, TableError
from features.measures import fetching
from features.sources import rows as rows_module
from features.sources.delivery import Delivered
from tests.features import test_now
from tests.features.engines.equality import DATES, differences, evidence_on, vectors_on
from tests.features.sources.company import Company, at, rows, rows_known
from tests.features.test_now import Opened, of_own_feeds, opened, same
from tests.oracle.invented import invented_company

AFTER_LUNCH = tuple(at(text) for text in ("2025-03-01 13:07", "2025-07-01 13:07"))


@pytest.fixture
def server(postgresql: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the company's own, with an empty schema `crm`."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA crm")
        yield connection
        connection.execute("DROP SCHEMA crm CASCADE")


def our_schemas(server: psycopg.Connection[Any]) -> list[str]:
    found = server.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'keepsight%'").fetchall()
    return sorted(name for (name,) in found)


# --- equal vectors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("counted_by", ["us", "the engine"])
def test_vectors_equal_those_of_duckdb(
    counted_by: str, tmp_path: Path, connection_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ROWS_WORTH_COUNTING", 0 if counted_by == "the engine" else 10**9)
    company = invented_company(1, 40, DATES)
    ours = vectors_on(connection_of("postgresql"), company, tmp_path / "ours")
    theirs = vectors_on("", company, tmp_path / "theirs")
    assert len(ours) > 20
    assert differences(ours, theirs) == []


@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.slow
def test_vectors_of_further_companies_equal_those_of_duckdb(
    seed: int, tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    company = invented_company(seed, 60, AFTER_LUNCH, feeds=seed != 3, dated=seed != 4)
    ours = vectors_on(connection_of("postgresql"), company, tmp_path / "ours", AFTER_LUNCH)
    theirs = vectors_on("", company, tmp_path / "theirs", AFTER_LUNCH)
    assert differences(ours, theirs) == []


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


def end_connections_beside(one: Opened, postgresql: str) -> int:
    """End all of a company's connections but its first, as when a server is restarted; say how many."""
    own = one.database.engine.connection.info.backend_pid  # type: ignore[attr-defined]
    ended = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name = 'keepsight' AND pid <> %s"
    )
    with psycopg.connect(postgresql, autocommit=True) as other:
        return len(other.execute(ended, [own]).fetchall())


def test_a_lost_connection_is_made_again_and_the_question_answered(
    tmp_path: Path, connection_of: Callable[[str], str], postgresql: str
) -> None:
    company = invented_company(2, test_now.ACCOUNTS, test_now.DATES)
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        now = one.now()
        for _ in range(2):
            assert end_connections_beside(one, postgresql) == 1
            assert one.differ(now) == []


def test_many_threads_that_see_a_connection_lost_make_one_again(
    tmp_path: Path, connection_of: Callable[[str], str], postgresql: str
) -> None:
    company = invented_company(2, test_now.ACCOUNTS, test_now.DATES)
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        now = one.now()
        assert end_connections_beside(one, postgresql) == 1
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda pair: now.vector(*pair, one.contract), one.pairs))
        assert all(same(vector, one.snapshot.take([row])) for row, vector in enumerate(found))
        assert end_connections_beside(one, postgresql) == 1


def test_a_connection_closed_by_us_stays_closed(
    tmp_path: Path, connection_of: Callable[[str], str], server: psycopg.Connection[Any]
) -> None:
    company = invented_company(2, test_now.ACCOUNTS, test_now.DATES)
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        now = one.now()
        one.database.close()
        with pytest.raises(psycopg.OperationalError, match="closed"):
            now.fetch("A001")
    assert our_schemas(server) == []


def test_evidence_equals_that_of_duckdb(tmp_path: Path, connection_of: Callable[[str], str]) -> None:
    company, accounts = invented_company(1, 20, DATES), [f"A{number:03}" for number in range(5)]
    ours = evidence_on(connection_of("postgresql"), company, tmp_path / "ours", accounts)
    assert ours == evidence_on("", company, tmp_path / "theirs", accounts)
    assert any(rows for account in ours for rows in account.values())


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
    assert len(differences(ours, theirs)) >= 5


# --- queries -----------------------------------------------------------------------------------------------


def test_a_query_runs_in_the_server_in_its_own_dialect(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    server.execute("CREATE TABLE crm.seen AS SELECT 'a' || n AS who, n FROM generate_series(1, 2) AS n")
    company = company_on("postgresql").query(
        "usage",
        "SELECT who AS account_id, 'u1' AS user_id, '2025-01-01 10:00'::timestamp + n * interval '1 hour' AS "
        "occurred_at FROM crm.seen -- all of them",
    )
    assert rows(company.open(), "usage", "account_id", "occurred_at") == [
        ("a1", at("2025-01-01 11:00")),
        ("a2", at("2025-01-01 12:00")),
    ]


def test_values_of_a_query_are_read_as_those_of_a_file(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    server.execute(
        "CREATE TABLE crm.tickets (ticket_id numeric(12, 2), account_id char(5), opened_at timestamptz, "
        "closed_at text, priority text, escalated text, satisfaction numeric)"
    )
    given = [
        (7, "a1", "2025-01-01 10:00:00.75+02", "2025-01-03", " high ", "yes", "4.50"),
        (8.5, "a1", "2025-01-01 10:00:00+00", "2025-01-03T12:00:00+02:00", "", "0", None),
        (9, "a2", "2025-01-02 00:00:00+00", "soon", "low", "t", 3),
        (10, "a2", "2025-01-02 00:00:00+00", None, 'a "quote", and\na line', "t", "NaN"),
        (11, "a2", "2025-01-02 00:00:00+00", None, "low", None, None),
    ]
    server.cursor().executemany("INSERT INTO crm.tickets VALUES (%s, %s, %s, %s, %s, %s, %s)", given)
    database = company_on("postgresql").query("tickets", "TABLE crm.tickets").open()
    columns = ("ticket_id", "opened_at", "closed_at", "priority", "escalated", "satisfaction")
    assert rows(database, "tickets", *columns) == [
        ("11", at("2025-01-02"), None, "low", None, None),
        ("7", at("2025-01-01 08:00"), at("2025-01-04"), "high", True, 4.5),
        ("8.5", at("2025-01-01 10:00"), at("2025-01-03 10:00"), None, False, None),
    ]


def test_empty_text_backslashes_and_quotes_come_through(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    names = ["\\N", "\\.", 'say "hi"', "two\nlines", "a,b", "naïve 你好", "''", "\\"]
    server.execute("CREATE TABLE crm.accounts (account_id text, name text)")
    server.cursor().executemany(
        "INSERT INTO crm.accounts VALUES (%s, %s)", [(f"a{n}", name) for n, name in enumerate([*names, ""])]
    )
    database = company_on("postgresql").query("accounts", "TABLE crm.accounts").open()
    assert rows(database, "accounts", "name") == [None, *sorted(names)]


def test_a_query_is_not_shadowed_by_our_table_of_that_name(
    company_on: Callable[..., Company], server: psycopg.Connection[Any], postgresql: str
) -> None:
    server.execute("CREATE ROLE seller LOGIN SUPERUSER")
    server.execute("ALTER ROLE seller SET search_path = crm")
    server.execute("CREATE TABLE crm.accounts AS SELECT 'from crm' AS account_id")
    server.execute(
        "CREATE TABLE crm.usage AS SELECT 'from crm' AS account_id, timestamp '2025-01-01' AS occurred_at"
    )
    company = company_on("postgresql", as_user(postgresql, "seller"))
    company.query("accounts", "SELECT * FROM accounts")
    company.query("usage", "SELECT usage.* FROM usage JOIN accounts USING (account_id)")
    assert rows(company.open(), "usage", "account_id") == ["from crm"]
    company.close()
    server.execute("DROP ROLE seller")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM crm.nowhere", 'usage: the query cannot be read: relation "crm.nowhere" does not exist'),
        ("SELEKT 1", "usage: the query cannot be read: syntax error"),
        ("SELECT 1/0 AS account_id", "usage: the query cannot be read: division by zero"),
    ],
)
def test_a_query_that_fails_is_named(
    query: str, said: str, company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    with pytest.raises(TableError, match=said):
        company_on("postgresql").query("usage", query).open()


def test_check_looks_at_the_rows_of_a_query(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    server.execute("CREATE TABLE crm.usage AS SELECT 'nobody' AS account_id, 'soon' AS occurred_at")
    found = {problem.code for problem in company_on("postgresql").query("usage", "TABLE crm.usage").check()}
    assert {"S105", "S204"} <= found
    assert our_schemas(server) == []


# --- what is known when ------------------------------------------------------------------------------------


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
    company = company_on("postgresql").csv("tickets", tickets).csv("feeds", feeds)
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
    )
    database = company_on("postgresql").csv("tickets", tickets).open()
    at_first = rows_known(database, "tickets", at("2025-01-07"), "ticket_id", "closed_at")
    assert at_first == [("t1", None)]
    corrected = rows_known(database, "tickets", at("2025-01-08"), "ticket_id", "closed_at")
    assert corrected == [("t1", at("2025-01-05 09:00"))]
    late = rows_known(database, "tickets", at("2025-02-01"), "ticket_id")
    assert late == ["t1", "t2"]


# --- the session -------------------------------------------------------------------------------------------


def test_closing_drops_the_working_tables(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    with company_on("postgresql").open() as database:
        assert len(our_schemas(server)) == 1
        assert rows(database, "accounts", "account_id") == ["a1", "a2"]
    assert our_schemas(server) == []


def test_what_a_dead_session_left_is_dropped_and_what_a_living_one_uses_is_not(
    company_on: Callable[..., Company], server: psycopg.Connection[Any]
) -> None:
    dead = company_on("postgresql").open()
    dead.engine.connection.close()  # type: ignore[attr-defined] # as when its process is killed
    server.execute("CREATE SCHEMA keepsight_00000000")  # somebody's own: it does not carry our remark
    (left,) = set(our_schemas(server)) - {"keepsight_00000000"}
    with company_on("postgresql").open() as living:
        with company_on("postgresql").open():
            assert left not in our_schemas(server)
            assert len(our_schemas(server)) == 3
        assert rows(living, "accounts", "account_id") == ["a1", "a2"]
    server.execute("DROP SCHEMA keepsight_00000000")
    assert our_schemas(server) == []


def test_text_is_ordered_byte_by_byte(company_on: Callable[..., Company]) -> None:
    database = company_on("postgresql").csv("accounts", "account_id\nb\nB\na\nä\nA\n").open()
    accounts = database.tables["accounts"]
    ordered = database.connection.to_pyarrow(accounts.order_by("row_key").select("row_key"))
    assert ordered["row_key"].to_pylist() == ["A", "B", "a", "b", "ä"]


def test_a_user_who_may_not_make_a_schema_is_told_the_remedy(
    company_on: Callable[..., Company], server: psycopg.Connection[Any], postgresql: str
) -> None:
    server.execute("CREATE ROLE reader LOGIN")
    company = company_on("postgresql", as_user(postgresql, "reader"))
    with pytest.raises(SourcesError, match='GRANT CREATE ON DATABASE "postgres" TO "reader"'):
        company.open()
    server.execute("DROP ROLE reader")


BY_VARIABLE = '[connection]\nengine = "postgresql"\nurl_env = "KEEPSIGHT_TEST_URL"'


def test_the_address_may_stand_in_an_environment_variable(
    company_on: Callable[..., Company], postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPSIGHT_TEST_URL", postgresql)
    assert rows(company_on("postgresql", BY_VARIABLE).open(), "accounts", "account_id") == ["a1", "a2"]


def test_a_variable_that_is_not_set_is_named(company_on: Callable[..., Company]) -> None:
    with pytest.raises(SourcesError, match="the environment variable KEEPSIGHT_TEST_URL is not set"):
        company_on("postgresql", BY_VARIABLE).open()


def test_a_server_that_does_not_answer_is_named(
    company_on: Callable[..., Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPSIGHT_TEST_URL", "postgresql://me:secret@127.0.0.1:1/crm")
    with pytest.raises(SourcesError, match="PostgreSQL cannot be reached") as raised:
        company_on("postgresql", BY_VARIABLE).open()
    assert "Check the variable KEEPSIGHT_TEST_URL" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_the_driver_the_remedy_is_told(
    company_on: Callable[..., Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPSIGHT_TEST_URL", "postgresql://127.0.0.1/crm")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourcesError, match=r"pip install \"keepsight\[postgresql\]\""):
        company_on("postgresql", BY_VARIABLE).open()


def as_user(address: str, user: str) -> str:
    return f'[connection]\nengine = "postgresql"\nurl = "{address.replace("user=keepsight", f"user={user}")}"'
