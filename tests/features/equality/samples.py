"""Random pairs of account and date, over invented companies unlike one another.

A *sample* is one company, some accounts, and random dates: month starts, other midnights, and moments within a
day. Its pairs are drawn from all accounts and dates, also of accounts that nobody knows yet, that have left, or
that came back.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from features.snapshots import month_starts
from tests.oracle.company import CONTRACT, ONE_DAY, Company, Row, moment
from tests.oracle.invented import invented_company

Pair = tuple[str, dt.datetime]
FIRST, LAST = dt.date(2024, 9, 1), dt.date(2025, 8, 31)
# After lunch, and just before and after midnight.
TIMES = tuple(dt.timedelta(seconds=seconds) for seconds in (47_220, 86_399, 1))


@dataclass(frozen=True)
class Manner:
    """What is unlike in a company: tables and columns that it lacks, feeds, and whether rows are dated."""

    without: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    feeds: bool = True
    dated: bool = True


MANNERS: Mapping[str, Manner] = {
    "everything connected": Manner(),
    "no feeds table": Manner(feeds=False),
    "everything connected again": Manner(),
    "no plans table": Manner(without=("plans", "community")),
    "nothing says when it was recorded": Manner(dated=False),
    "no contracts": Manner(without=("contracts",)),
    "no plans table and no feeds table": Manner(without=("plans",), feeds=False),
    "no contacts": Manner(without=("contacts", "visits", "requests")),
    "columns that were not delivered": Manner(
        lacking=(
            "usage.user_id",
            "tickets.escalated",
            "tickets.satisfaction",
            "community.sentiment",
            "surveys.respondent_id",
            "contacts.title",
            "contracts.licences",
        )
    ),
    "everything connected once more": Manner(),
}


# In `make test`, and in `make test-all`.
FEW, MANY = {"pairs": 100, "of": 2, "accounts": 30, "dates": 3}, {"pairs": 10_000}
few_and_many = pytest.mark.parametrize(
    "drawn", [pytest.param(FEW, id="few"), pytest.param(MANY, id="ten thousand", marks=pytest.mark.slow)]
)


@dataclass(frozen=True)
class Sample:
    """One company, its accounts, and the pairs drawn."""

    name: str
    company: Company
    accounts: Sequence[str]
    pairs: Sequence[Pair] = field(repr=False)

    @property
    def dates(self) -> list[dt.datetime]:
        return sorted({as_of for _, as_of in self.pairs})


def samples(pairs: int, *, of: int = len(MANNERS), accounts: int = 60, dates: int = 24) -> Iterator[Sample]:
    """Draw so many pairs in all, from the first `of` companies in equal parts."""
    for place, name in enumerate(list(MANNERS)[:of]):
        yield sample(name, pairs // of, seed=100 + place, accounts=accounts, dates=dates)


def sample(name: str, pairs: int, *, seed: int, accounts: int = 60, dates: int = 24) -> Sample:
    """Draw one company of a manner, and so many of its pairs."""
    rng, manner = random.Random(seed), MANNERS[name]
    asked = random_dates(rng, dates)
    made = invented_company(seed, accounts, asked, without=manner.without, dated=manner.dated, feeds=manner.feeds)
    if "contracts" in made.tables:
        made = with_accounts_that_came_back(made, rng)
    if manner.dated:
        made = with_rows_moved(made, rng)
    if manner.feeds:
        made = with_feeds_of_their_own(made, rng, asked)
    ids = [f"A{number:03}" for number in range(accounts)]
    drawn = rng.sample([(account, as_of) for account in ids for as_of in asked], pairs)
    return Sample(name, replace(made, lacking=frozenset(manner.lacking)), ids, drawn)


def random_dates(rng: random.Random, count: int) -> list[dt.datetime]:
    """Draw dates: a third month starts, a third other midnights, a third within the day."""
    days = [FIRST + ONE_DAY * number for number in range((LAST - FIRST).days)]
    starts = [start.date() for start in month_starts(FIRST, LAST)]
    others = [day for day in days if day.day != 1]
    some_days = rng.sample(starts, count // 3) + rng.sample(others, count - count // 3)
    midnights = [dt.datetime.combine(day, dt.time()) for day in some_days]
    within = range(count - count // 3, count)
    return sorted(
        midnight + (TIMES[place % len(TIMES)] if place in within else dt.timedelta())
        for place, midnight in enumerate(midnights)
    )


def with_accounts_that_came_back(company: Company, rng: random.Random, share: float = 0.2) -> Company:
    """Give some accounts an earlier contract, that ended about as long before the next as the grace, or longer."""
    firsts: dict[str, Row] = {}
    for row in company.tables["contracts"]:
        if row["account_id"] not in firsts or row["start_date"] < firsts[row["account_id"]]["start_date"]:
            firsts[row["account_id"]] = row
    earlier = []
    for account, first in firsts.items():
        if rng.random() < share:
            ended = first["start_date"] - ONE_DAY * rng.choice((31, 32, 33, 100, 250))
            begun = ended - ONE_DAY * rng.choice((89, 364))
            signed = {"contract_id": f"{account}-before", "signed_at": begun, "notice_deadline": None}
            earlier.append({**first, **signed, "start_date": begun, "end_date": ended, "notice_at": None})
            if "recorded_at" in first:
                earlier[-1]["recorded_at"] = moment(begun)
    return replace(company, tables={**company.tables, "contracts": [*company.tables["contracts"], *earlier]})


def with_rows_moved(company: Company, rng: random.Random, share: float = 0.03) -> Company:
    """Correct some rows once more: they were of another account, or of another day."""
    accounts = sorted({row["account_id"] for row in company.tables["accounts"]})
    tables = {
        table: [*rows, *(_moved(table, row, rng, accounts) for row in rows if rng.random() < share)]
        if table not in ("accounts", "plans", "feeds")
        else rows
        for table, rows in company.tables.items()
    }
    return replace(company, tables=tables)


def with_feeds_of_their_own(
    company: Company,
    rng: random.Random,
    asked: Sequence[dt.datetime],
    of: Sequence[str] = ("usage", "tickets", "surveys", "community", "visits"),
) -> Company:
    """Say of some accounts that a table was delivered otherwise than for all."""
    feeds = list(company.tables["feeds"])
    for table in of:
        for row in rng.sample(company.tables["accounts"], 4):
            begins = rng.choice(asked).date() - ONE_DAY * rng.choice((0, 30, 90, 365))
            ends = begins + ONE_DAY * rng.choice((60, 400)) if rng.random() < 0.5 else None
            own = {"account_id": row["account_id"], "covered_from": begins, "covered_to": ends}
            feeds.append({"table": table, **own, "recorded_at": moment(rng.choice((begins, asked[0].date())))})
    return replace(company, tables={**company.tables, "feeds": feeds})


def _moved(table: str, row: Row, rng: random.Random, accounts: Sequence[str]) -> Row:
    recorded = row.get("recorded_at") or _happened(table, row)
    later = {"recorded_at": moment(recorded) + ONE_DAY * rng.choice((0.5, 1, 20, 90))}
    if rng.random() < 0.5:
        return {**row, **later, "account_id": rng.choice(accounts)}
    return {**row, **later, **_shifted(table, row, rng)}


def _happened(table: str, row: Row) -> Any:
    contract = CONTRACT[table]
    days = (contract.get("occurred"), "signed_at", "start_date", "valid_from", "since")
    return next((row[day] for day in days if day is not None and row.get(day) is not None), FIRST)


def _shifted(table: str, row: Row, rng: random.Random) -> dict[str, Any]:
    """The row's moment, and its end with it, some days away; where it has one."""
    by = ONE_DAY * rng.choice((-60, -1, 1, 60))
    columns = (CONTRACT[table].get(name) for name in ("occurred", "ended"))
    return {column: row[column] + by for column in columns if column and row.get(column) is not None}
