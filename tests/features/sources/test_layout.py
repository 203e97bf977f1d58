"""What is stored of a table, and that all of it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from features.sources import Database, session
from features.sources.session import Session
from tests.features.sources.company import Company, at, rows

HEAD = "usage_id,account_id,user_id,occurred_at,recorded_at\n"
TEXT = HEAD + (
    "u3,a2,mary,2025-01-03 10:00,2025-01-03 11:00\n"
    ",a1,,2025-01-02 10:00,2025-01-02 11:00\n"
    "u1,a1,john,2025-01-01 10:00,2025-01-01 11:00\n"
    "u1,a2,john,2025-01-01 10:00,2025-02-01 11:00\n"  # another account's, as was found out later
    " ,nobody,,2025-01-02 10:00,2025-01-02 11:00\n"
)
SHOWN = ("account_id", "usage_id", "user_id", "quantity", "users", "actor", "known_from", "known_until")
NEVER = at("9999-12-31")
ROWS = [
    ("a1", "u1", "john", 1.0, None, "person", at("2025-01-01 11:00"), at("2025-02-01 11:00")),
    ("a1", None, None, 1.0, None, "person", at("2025-01-02 11:00"), NEVER),
    ("a2", "u1", "john", 1.0, None, "person", at("2025-02-01 11:00"), NEVER),
    ("a2", "u3", "mary", 1.0, None, "person", at("2025-01-03 11:00"), NEVER),
]


def in_memory(_: pytest.MonkeyPatch) -> None:
    """Leave all as it is."""


def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every table of rows of accounts lie in files."""
    monkeypatch.setattr(session, "BYTES_A_STORED_ROW", 10**12)


anywhere = pytest.mark.parametrize("somewhere", [in_memory, in_files])
Somewhere = Callable[[pytest.MonkeyPatch], None]


@anywhere
def test_all_columns_are_shown_though_not_all_are_stored(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    database = company.csv("usage", TEXT).open()
    assert sorted(rows(database, "usage", *SHOWN), key=str) == sorted(ROWS, key=str)


@anywhere
def test_a_row_is_named_by_its_key_or_else_by_its_content(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    found = dict(rows(company.csv("usage", TEXT).open(), "usage", "usage_id", "row_key"))
    assert (found["u1"], found["u3"], len(found[None])) == ("u1", "u3", 32)


@anywhere
def test_a_table_without_rows_shows_its_columns(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    database = company.csv("usage", HEAD).says("observed_until = 2025-06-30").open()
    assert rows(database, "usage", *SHOWN, "row_key", "recorded_at", "occurred_at") == []


def test_of_rows_of_accounts_numbers_are_stored_and_nothing_that_was_not_delivered(company: Company) -> None:
    assert stored(company.csv("usage", TEXT).open(), "usage") == {
        "_place", "_hash", "_named", "user_id", "feature", "occurred_at", "quantity", "actor", "row_key",
        "recorded_at", "known_from", "known_until",
    } - {"feature", "quantity", "actor"}  # fmt: skip


def test_an_account_has_its_place_in_order_however_the_accounts_are_delivered(company: Company) -> None:
    accounts = "account_id\nb\nä\na\nA\n"
    usage = "".join(f"{name},2025-01-01 10:00\n" for name in ("ä", "b", "A", "a"))
    database = company.csv("accounts", accounts).csv("usage", f"account_id,occurred_at\n{usage}").open()
    found = files_of(database).rows("SELECT account_id, _place FROM _account_ids ORDER BY _place")
    assert found == [("A", 0), ("a", 1), ("b", 2), ("ä", 3)]
    assert sorted(rows(database, "usage", "account_id")) == ["A", "a", "b", "ä"]


def test_a_row_that_may_lack_its_account_keeps_the_id(company: Company) -> None:
    feeds = "table,account_id,covered_from\nusage,,2025-01-01\nusage,a1,2024-01-01\n"
    company.csv("usage", HEAD).csv("feeds", feeds).says("observed_until = 2025-06-30")
    assert "account_id" in stored(company.open(), "feeds")


def files_of(database: Database) -> Session:
    return database.engine.files


def stored(database: Database, table: str) -> set[Any]:
    return set(files_of(database).columns(f"_stored_{table}"))
