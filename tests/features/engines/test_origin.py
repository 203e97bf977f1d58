"""What vectors were computed from is told on every engine, by the rows that count on a date alone."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from features.origin import IN_FORCE, Origin, origin_of
from tests.features.engines.equality import SPARK_LEAVES_SOCKETS
from tests.features.sources.company import Company, at

pytestmark = SPARK_LEAVES_SOCKETS
EARLY, LATE = at("2025-03-01"), at("2025-04-01")
HEAD = "ticket_id,account_id,opened_at,closed_at,satisfaction,priority,recorded_at\n"
FIRST = "t1,a1,2025-02-01 10:00,,4.5,high,2025-02-01 10:00\n"
SECOND = "t2,a2,2025-02-03 10:00,2025-02-04 10:00,,low,2025-02-04 10:00\n"
NEW = "t3,a2,2025-03-10 10:00,,,,2025-03-10 10:00\n"
CLOSED = "t1,a1,2025-02-01 10:00,2025-03-20 10:00,4.5,high,2025-03-20 10:00\n"
ON_EVERY_ENGINE = pytest.mark.parametrize("engine", ["duckdb", "postgresql", "spark"])


def origin(company: Company, tickets: str, accounts: tuple[str, ...] = ("a1", "a2")) -> Origin:
    company.csv("tickets", HEAD + tickets, "begins = 2025-01-01")
    pairs = [(account, date) for date in (EARLY, LATE) for account in accounts]
    who, when = zip(*pairs, strict=True)
    return origin_of(company.open(), pa.table({"account_id": who, "as_of": pa.array(when, pa.timestamp("s"))}))


@ON_EVERY_ENGINE
def test_rows_and_corrections_count_from_when_they_were_known(
    engine: str, company_on: Callable[[str], Company]
) -> None:
    company = company_on(engine)
    before = origin(company, FIRST + SECOND)
    for change in (NEW, CLOSED):
        after = origin(company, change + SECOND + FIRST)
        assert after.refuses(before) is None
        assert after.changed(before, EARLY) == []
        assert after.changed(before, LATE) == ["tickets"]


@ON_EVERY_ENGINE
@pytest.mark.parametrize(
    "rewritten",
    [FIRST.replace("4.5", "4"), FIRST.replace("a1", "a2"), FIRST.replace(",,", ",2025-02-01 11:00,"), ""],
    ids=["value", "account", "moment", "gone"],
)
def test_a_row_rewritten_in_place_changes_every_date_from_then(
    engine: str, rewritten: str, company_on: Callable[[str], Company]
) -> None:
    company = company_on(engine)
    before, after = origin(company, FIRST + SECOND), origin(company, rewritten + SECOND)
    assert after.changed(before, EARLY) == after.changed(before, LATE) == ["tickets"]


def test_who_is_in_force_belongs_to_it_and_a_date_that_was_not_asked_for_is_all_new(
    company_on: Callable[[str], Company],
) -> None:
    company = company_on("duckdb")
    before, after = origin(company, FIRST), origin(company, FIRST, accounts=("a1",))
    assert after.changed(before, EARLY) == [IN_FORCE]
    nothing = Origin(before.company, before.code, before.engine, {})
    assert after.changed(nothing, EARLY) == ["accounts", IN_FORCE, "feeds", "tickets"]


def test_it_is_read_back_from_what_it_writes(company_on: Callable[[str], Company]) -> None:
    told = origin(company_on("duckdb"), FIRST)
    assert Origin.from_json(told.to_json()) == told
