"""Which version of a row was in force when, and from when on a row counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sources.config import Connection
from features.sources.session import Session
from features.sources.versions import end_replaced_rows
from tests.features.sources.company import Company, at, rows, rows_known

TICKETS = "ticket_id,account_id,opened_at,closed_at,priority,recorded_at\n"
SURVEYS = "survey_id,account_id,nps,occurred_at,recorded_at\n"


def test_a_correction_replaces_the_row_from_when_it_was_recorded(company: Company) -> None:
    text = (
        "s1,a1,9,2025-01-01 10:00,2025-01-01 10:00\n"
        "s1,a1,3,2025-01-01 10:00,2025-02-01 10:00\n"
    )  # fmt: skip
    database = company.csv("surveys", SURVEYS + text).open()
    assert rows_known(database, "surveys", at("2025-01-01 09:59:59"), "nps") == []
    assert rows_known(database, "surveys", at("2025-01-01 10:00"), "nps") == [9]
    assert rows_known(database, "surveys", at("2025-02-01 09:59:59"), "nps") == [9]
    assert rows_known(database, "surveys", at("2025-02-01 10:00"), "nps") == [3]


def test_an_event_counts_once_it_has_occurred_and_was_recorded(company: Company) -> None:
    text = "late,a1,5,2025-01-01 10:00,2025-03-01\nahead,a1,7,2025-01-01 10:00,2024-12-01\n"
    database = company.csv("surveys", SURVEYS + text).open()
    assert rows(database, "surveys", "row_key", "known_from") == [
        ("ahead", at("2025-01-01 10:00")),
        ("late", at("2025-03-02")),
    ]


def test_a_correction_may_move_when_an_event_occurred(company: Company) -> None:
    text = "s1,a1,9,2025-05-01 10:00,2025-01-01\ns1,a1,9,2025-03-01 10:00,2025-02-01\n"
    database = company.csv("surveys", SURVEYS + text).open()
    # The first version was replaced before it occurred: it never counted.
    assert rows(database, "surveys", "occurred_at", "known_from") == [
        (at("2025-03-01 10:00"), at("2025-03-01 10:00"))
    ]


def test_an_event_postponed_stops_counting_until_it_occurs(company: Company) -> None:
    text = "s1,a1,9,2025-03-01 00:00,2025-01-01\ns1,a1,9,2025-05-01 00:00,2025-04-01 00:00\n"
    database = company.csv("surveys", SURVEYS + text).open()
    moments = ["2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01"]
    assert [len(rows_known(database, "surveys", at(m), "nps")) for m in moments] == [0, 1, 0, 1]


def test_a_correction_may_move_a_row_to_another_account(company: Company) -> None:
    text = "s1,a1,9,2025-01-01,2025-01-02\ns1,a2,9,2025-01-01,2025-02-01\n"
    database = company.csv("surveys", SURVEYS + text).open()
    assert rows_known(database, "surveys", at("2025-01-15"), "account_id") == ["a1"]
    assert rows_known(database, "surveys", at("2025-03-01"), "account_id") == ["a2"]


def test_a_close_is_known_when_its_version_is_recorded(company: Company) -> None:
    text = (
        "t1,a1,2025-01-01 10:00,,high,2025-01-01 10:00\n"
        "t1,a1,2025-01-01 10:00,2025-01-05 10:00,high,2025-01-09 10:00\n"
    )
    database = company.csv("tickets", TICKETS + text).open()
    assert rows_known(database, "tickets", at("2025-01-08"), "closed_at") == [None]
    assert rows_known(database, "tickets", at("2025-01-10"), "closed_at") == [at("2025-01-05 10:00")]


def test_versions_may_lie_in_any_order_in_the_file(company: Company) -> None:
    text = "s1,a1,3,2025-01-01,2025-03-01\ns1,a1,9,2025-01-01,2025-01-02\ns1,a1,6,2025-01-01,2025-02-01\n"
    database = company.csv("surveys", SURVEYS + text).open()
    assert [rows_known(database, "surveys", at(f"2025-0{m}-15"), "nps") for m in (1, 2, 3)] == [[9], [6], [3]]


def test_of_two_rows_recorded_together_the_last_by_content_counts(company: Company) -> None:
    text = "s1,a1,3,2025-01-01,2025-01-02\ns1,a1,8,2025-01-01,2025-01-02\ns1,a1,5,2025-01-01,2025-01-02\n"
    assert rows(company.csv("surveys", SURVEYS + text).open(), "surveys", "nps") == [8]


def test_a_row_delivered_twice_counts_once_from_its_first_delivery(company: Company) -> None:
    row = "s1,a1,3,2025-01-01"
    database = company.csv("surveys", f"{SURVEYS}{row},2025-01-02\n{row},2025-01-02\n{row},2025-02-02\n").open()
    assert rows(database, "surveys", "nps", "recorded_at") == [(3, at("2025-01-03"))]


def test_a_version_that_breaks_the_contract_replaces_nothing(company: Company) -> None:
    text = "s1,a1,9,2025-01-01,2025-01-02\ns1,a1,99,2025-01-01,2025-02-01\n"
    assert rows_known(company.csv("surveys", SURVEYS + text).open(), "surveys", at("2025-03-01"), "nps") == [9]


def test_without_its_key_a_row_is_known_by_its_content(company: Company) -> None:
    text = "account_id,nps,occurred_at\na1,9,2025-01-01\na1,9,2025-01-01\na1,9,2025-01-02\na2,9,2025-01-01\n"
    database = company.csv("surveys", text).open()
    assert rows(database, "surveys", "account_id", "occurred_at") == [
        ("a1", at("2025-01-02")),
        ("a1", at("2025-01-03")),
        ("a2", at("2025-01-02")),
    ]


def test_a_row_without_its_own_key_is_known_by_its_content_among_keyed_ones(company: Company) -> None:
    text = "s1,a1,9,2025-01-01,\n,a1,9,2025-01-01,\n,a1,8,2025-01-01,\n"
    assert rows(company.csv("surveys", SURVEYS + text).open(), "surveys", "nps") == [8, 9, 9]


@pytest.mark.parametrize("values", [("a /", "b"), ("a / b", ""), ("a", "/ b"), ("a/b", "c"), ("a", "b/c")])
def test_keys_of_several_columns_never_meet(company: Company, values: tuple[str, str]) -> None:
    plans = f"plan,feature\n{values[0]},{values[1]}x\n{values[0]}x,{values[1]}x\n{values[0]} / {values[1]}x,x\n"
    company.says("observed_until = 2025-01-01")
    assert len(set(rows(company.csv("plans", plans).open(), "plans", "row_key"))) == 3


def test_an_optional_part_of_a_key_may_be_missing(company: Company) -> None:
    text = (
        "table,covered_from,covered_to,recorded_at\n"
        "usage,2025-01-01,,2025-01-01\n"
        "usage,2025-01-01,2025-03-01,2025-04-01\n"
    )
    database = company.csv("feeds", text).open()
    assert rows_known(database, "feeds", at("2025-03-15"), "covered_to") == [None]
    assert rows_known(database, "feeds", at("2025-05-01"), "covered_to") == [dt.date(2025, 3, 1)]


def test_accounts_have_a_history(company: Company) -> None:
    text = "account_id,csm,recorded_at\na1,Ada,2025-01-01\na1,Bo,2025-03-01\n"
    database = company.csv("accounts", text).open()
    assert [rows_known(database, "accounts", at(f"2025-0{m}-15"), "csm") for m in (1, 3)] == [["Ada"], ["Bo"]]
    assert rows_known(database, "accounts", at("2024-12-31"), "csm") == []


@pytest.mark.parametrize(
    ("table", "text", "known_from"),
    [
        ("contracts", "account_id,start_date,signed_at\na1,2025-02-01,2025-01-10\n", "2025-01-11"),
        ("contracts", "account_id,start_date,signed_at\na1,2025-02-01,\n", "2025-02-02"),
        ("contracts", "account_id,start_date\na1,2025-02-01\n", "2025-02-02"),
        ("contacts", "contact_id,account_id,role,valid_from\nc1,a1,champion,2025-02-01\n", "2025-02-02"),
        ("plans", "plan,feature,valid_from\nbasic,chat,2025-02-01\n", "2025-02-02"),
        ("plans", "plan,feature,valid_from\nbasic,chat,\n", "1900-01-01"),
        ("plans", "plan,feature\nbasic,chat\n", "1900-01-01"),
        ("assessments", "account_id,factor,rating,occurred_at\na1,resources,3,2025-02-01\n", "2025-02-02"),
        ("outcomes", "account_id,kind,churned_at\na1,lapse,2025-02-01\n", "2025-02-02"),
        ("labels", "account_id,as_of,churned\na1,2025-02-01,yes\n", "2025-02-02"),
    ],
)
def test_without_recorded_at_the_contract_says_when_a_row_became_known(
    company: Company, table: str, text: str, known_from: str
) -> None:
    database = company.says("observed_until = 2025-12-31").csv(table, text).open()
    assert rows(database, table, "known_from", "known_until") == [(at(known_from), at("9999-12-31"))]


# --- the law: the row in force at T is the one with the largest recorded_at <= T --------------------------------

START = at("2025-01-01")
Version = tuple[str, int, int, int | None]  # key, recorded, occurred, value


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(Path(tmp_path_factory.mktemp("folder")), Connection()) as opened:
        yield opened


def in_force(versions: Sequence[Version], moment: int) -> list[tuple[str, int | None]]:
    """Read slowly: each key's last version recorded by then, if it has occurred by then."""
    found = []
    for key in sorted({key for key, *_ in versions}):
        known = [v for v in versions if v[0] == key and v[1] <= moment]
        if known:
            # Of those recorded together the last by content counts: occurred, then value, nothing first.
            last = max(known, key=lambda v: (v[1], v[2], v[3] is not None, v[3] or 0))
            if last[2] <= moment:
                found.append((key, last[3]))
    return found


hours = st.integers(0, 5)
versions_drawn = st.lists(
    st.tuples(st.sampled_from(["k1", "k2", "k3"]), hours, hours, st.none() | st.integers(0, 2)), max_size=12
)


def hour(value: int) -> dt.datetime:
    return START + dt.timedelta(hours=value)


@settings(max_examples=60, deadline=None)
@given(versions=versions_drawn)
def test_versions_told_apart_in_sql_are_those_of_a_plain_reading(
    session: Session, versions: list[Version]
) -> None:
    session.connection.execute(
        "CREATE OR REPLACE TABLE drawn (row_key VARCHAR, occurred_at TIMESTAMP, value INTEGER, "
        "recorded_at TIMESTAMP, known_from TIMESTAMP, known_until TIMESTAMP)"
    )
    for key, recorded, occurred, value in versions:
        known_from = hour(max(recorded, occurred))
        row = [key, hour(occurred), value, hour(recorded), known_from, at("9999-12-31")]
        session.connection.execute("INSERT INTO drawn VALUES (?, ?, ?, ?, ?, ?)", row)
    end_replaced_rows(session, "drawn", ["row_key", "occurred_at", "value"])
    for moment in range(7):
        known = session.connection.execute(
            "SELECT row_key, value FROM drawn WHERE known_from <= ? AND ? < known_until ORDER BY row_key",
            [hour(moment), hour(moment)],
        ).fetchall()
        assert known == in_force(versions, moment)


def test_a_table_with_unique_keys_is_not_rewritten(session: Session) -> None:
    session.connection.execute(
        "CREATE OR REPLACE TABLE unique_keys AS SELECT i::VARCHAR AS row_key, now()::TIMESTAMP AS recorded_at, "
        "recorded_at AS known_from, TIMESTAMP '9999-12-31' AS known_until FROM range(1000) AS t(i)"
    )
    before = session.rows("SELECT rowid, row_key FROM unique_keys ORDER BY ALL")
    end_replaced_rows(session, "unique_keys", ["row_key"])
    assert session.rows("SELECT rowid, row_key FROM unique_keys ORDER BY ALL") == before
