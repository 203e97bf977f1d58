"""What was known when: PostgreSQL and Spark leave out what was recorded later, as DuckDB does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from tests.features.engines.equality import ON_SERVERS
from tests.features.sources.company import Company, at, rows, rows_known

pytestmark = ON_SERVERS


def test_rows_recorded_later_or_of_other_accounts_are_left_out_where_asked(
    engine: str, company_on: Callable[..., Company]
) -> None:
    tickets = (
        "ticket_id,account_id,opened_at,recorded_at\n"
        "t1,a1,2025-01-01 10:00:00,2025-01-01 10:00:00\n"
        "t1,a2,2025-01-01 10:00:00,2025-01-08 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,2025-02-01 00:00:00\n"
    )
    feeds = "table,account_id,covered_from,recorded_at\ntickets,a2,2025-01-01,2025-01-05 00:00:00\n"
    company = company_on(engine).csv("tickets", tickets).csv("feeds", feeds)
    database = company.open(truncated_at=at("2025-01-07"))
    assert database.observed_until == at("2025-01-07")
    assert rows(database, "tickets", "ticket_id", "known_until") == [("t1", at("9999-12-31"))]
    assert rows(database, "coverage", "account_id", "known_until") == [
        (None, at("2025-01-05")),
        ("a2", at("9999-12-31")),
    ]


def test_late_and_corrected_rows_count_from_when_they_were_recorded(
    engine: str, company_on: Callable[..., Company]
) -> None:
    tickets = (
        "ticket_id,account_id,opened_at,closed_at,recorded_at\n"
        "t1,a1,2025-01-01 10:00:00,,2025-01-01 10:00:00\n"
        "t1,a1,2025-01-01 10:00:00,2025-01-05 09:00:00,2025-01-08 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,,2025-02-01 00:00:00\n"
        "t2,a1,2025-01-02 10:00:00,,2025-02-02 00:00:00\n"
    )
    database = company_on(engine).csv("tickets", tickets).open()
    at_first = rows_known(database, "tickets", at("2025-01-07"), "ticket_id", "closed_at")
    assert at_first == [("t1", None)]
    corrected = rows_known(database, "tickets", at("2025-01-08"), "ticket_id", "closed_at")
    assert corrected == [("t1", at("2025-01-05 09:00"))]
    assert rows_known(database, "tickets", at("2025-02-01"), "ticket_id") == ["t1", "t2"]
    assert rows(database, "coverage", "covered_from", "known_from") == [
        (dt.date(2025, 1, 1), at("2025-01-01 10:00"))
    ]
