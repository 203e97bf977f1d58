"""PostgreSQL reads queries of its own and leaves nothing behind; its answers: ``test_as_duckdb.py``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from features.errors import SourcesError, TableError
from tests.features import test_now
from tests.features.sources.company import Company, at, rows
from tests.features.test_now import Opened, opened, same
from tests.oracle.invented import invented_company


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


# --- connections -------------------------------------------------------------------------------------------


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


def test_an_account_s_rows_pass_through_no_step_between_table_and_answer(
    tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    company = invented_company(2, test_now.ACCOUNTS, test_now.DATES)
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        engine = one.database.engine
        union = engine.ibis.compile(one.now()._layout.query())
        asked = f"EXPLAIN SELECT * FROM ({union}) AS asked WHERE account_id = 'A001'"
        plan = [line for (line,) in engine.connection.execute(asked).fetchall()]  # type: ignore[attr-defined]
    assert plan[0].startswith("Append")
    assert [line for line in plan if "Subquery" in line] == []


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


def test_tables_that_memory_does_not_hold_are_copied_from_their_files(
    tmp_path: Path, connection_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.session.BYTES_A_STORED_ROW", 10**12)
    company = invented_company(2, test_now.ACCOUNTS, test_now.DATES)
    with opened(company, tmp_path, connection_of("postgresql")) as one:
        assert one.differ(one.now()) == []
