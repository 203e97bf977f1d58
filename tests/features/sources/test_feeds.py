"""What is covered: as the company says, and as it is taken to be where it does not."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from features.sources.feeds import first_days
from tests.features.sources.company import Company, at, rows, rows_known

COLUMNS = ("table", "account_id", "covered_from", "covered_to", "known_from", "known_until")
NEVER = at("9999-12-31")
FEEDS = "table,covered_from,covered_to,recorded_at\n"
HEAD = "visit_id,account_id,page,occurred_at,recorded_at\n"


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def test_without_feeds_a_table_covers_every_account_from_its_first_row(company: Company) -> None:
    database = company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\na2,2025-01-03 10:00\n").open()
    first_known = at("2025-01-03 10:00")
    assert rows(database, "coverage", *COLUMNS) == [("usage", None, day("2025-01-03"), None, first_known, NEVER)]


def test_a_date_covers_its_own_day(company: Company) -> None:
    database = company.csv("usage", "account_id,occurred_at\na1,2025-01-05\n").open()
    assert rows(database, "coverage", "covered_from", "known_from") == [(day("2025-01-05"), at("2025-01-06"))]


def test_a_late_row_moves_the_beginning_back_from_when_it_became_known(company: Company) -> None:
    text = (
        "v1,a1,other,2025-02-01 10:00,2025-02-01 11:00\n"
        "v2,a1,other,2025-01-01 10:00,2025-03-01 10:00\n"
        "v3,a1,other,2024-12-01 10:00,2025-03-01 12:00\n"
    )
    database = company.csv("visits", HEAD + text).open()
    assert rows(database, "coverage", "known_from", "known_until", "covered_from") == [
        (at("2025-02-01 11:00"), at("2025-03-01 10:00"), day("2025-02-01")),
        (at("2025-03-01 10:00"), at("2025-03-01 12:00"), day("2025-01-01")),
        (at("2025-03-01 12:00"), NEVER, day("2024-12-01")),
    ]


def test_a_first_row_with_a_wrong_date_counts_until_it_is_corrected(company: Company) -> None:
    text = (
        "v1,a1,other,2025-02-01 10:00,2025-02-01 11:00\n"
        "v2,a1,other,1990-01-02 10:00,2025-03-01 10:00\n"
        "v2,a1,other,2025-02-20 10:00,2025-04-01 10:00\n"
    )
    database = company.csv("visits", HEAD + text).open()
    firsts = [rows_known(database, "coverage", at(f"2025-0{m}-15"), "covered_from") for m in (2, 3, 4)]
    assert firsts == [[day("2025-02-01")], [day("1990-01-02")], [day("2025-02-01")]]


def test_state_covers_from_when_it_was_first_known(company: Company) -> None:
    text = "contact_id,account_id,role,valid_from,recorded_at\nc1,a1,champion,2015-01-01,2025-01-05\n"
    assert rows(company.csv("contacts", text).open(), "coverage", "covered_from") == [day("2025-01-05")]


def test_begins_says_from_when_a_table_covers(company: Company) -> None:
    company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\n", "begins = 2023-01-01")
    assert rows(company.open(), "coverage", *COLUMNS) == [
        ("usage", None, day("2023-01-01"), None, at("1900-01-01"), NEVER)
    ]


def test_what_is_read_by_labels_or_belongs_to_no_account_has_no_coverage(company: Company) -> None:
    company.csv("outcomes", "account_id,kind,churned_at\na1,lapse,2025-01-01\n")
    company.csv("plans", "plan,feature,valid_from\nbasic,chat,2025-01-01\n")
    assert rows(company.open(), "coverage", "table") == []


def test_feeds_say_what_is_covered_for_one_account_or_all(company: Company) -> None:
    company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\n")
    text = (
        "table,account_id,covered_from,covered_to,recorded_at\n"
        "usage,,2024-01-01,,2024-01-01\n"
        "usage,a2,2025-01-01,2025-02-01,2024-01-01\n"
    )
    assert rows(
        company.csv("feeds", text).open(), "coverage", "table", "account_id", "covered_from", "covered_to"
    ) == [
        ("usage", None, day("2024-01-01"), None),
        ("usage", "a2", day("2025-01-01"), day("2025-02-01")),
    ]


def test_what_was_taken_ends_when_feeds_first_name_the_table(company: Company) -> None:
    company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\n")
    text = "usage,2025-01-02,,2025-06-01 00:00\ntickets,2025-01-01,,2025-01-01\n"
    database = company.csv("feeds", FEEDS + text).open()
    assert rows_known(database, "coverage", at("2025-05-31"), "table", "covered_from") == [
        ("tickets", day("2025-01-01")),
        ("usage", day("2025-01-05")),
    ]
    assert rows_known(database, "coverage", at("2025-06-01"), "table", "covered_from") == [
        ("tickets", day("2025-01-01")),
        ("usage", day("2025-01-02")),
    ]


def test_a_feed_that_dies_is_a_new_version_of_its_row(company: Company) -> None:
    text = "usage,2025-01-01,,2025-01-01\nusage,2025-01-01,2025-03-01,2025-03-05\n"
    company.csv("usage", "account_id,occurred_at\na1,2025-01-05 10:00\n").csv("feeds", FEEDS + text)
    database = company.open()
    assert rows_known(database, "coverage", at("2025-03-04"), "covered_to") == [None]
    assert rows_known(database, "coverage", at("2025-03-06"), "covered_to") == [day("2025-03-01")]


moments = st.integers(0, 8)
spells = st.lists(st.tuples(moments, moments, moments).filter(lambda s: s[0] < s[1]), max_size=8)


@given(drawn=spells)
def test_first_days_are_those_of_a_plain_reading(drawn: list[tuple[int, int, int]]) -> None:
    def when(hour: int) -> dt.datetime:
        return at("2025-01-01") + dt.timedelta(hours=hour)

    def which(number: int) -> dt.date:
        return dt.date(2024, 1, 1) + dt.timedelta(days=number)

    found = first_days([(when(a), when(b), which(c)) for a, b, c in drawn])
    for moment in range(9):
        plain = min((which(c) for a, b, c in drawn if a <= moment < b), default=None)
        steps = [first for known_from, known_until, first in found if known_from <= when(moment) < known_until]
        assert steps == ([] if plain is None else [plain])
    assert all(known_from < known_until for known_from, known_until, _ in found)
