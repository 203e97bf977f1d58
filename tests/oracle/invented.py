"""Companies made by chance, full of what goes wrong: edges, ties, repeats, gaps, late and corrected rows.

Everything is drawn from one seeded ``random.Random``: the same seed gives the same company. Moments are drawn
near the edges of the catalogue's windows before each of the dates that will be asked about.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.company import ONE_DAY, Company, Row, key_of

EDGES = (0, 1, 14, 15, 30, 60, 90, 91, 120, 180, 181, 240, 270, 360, 365, 540)
A_SECOND = dt.timedelta(seconds=1)
FEATURES = ("board", "chat", "files", "calendar", "reports", None)
PLANS = ("small", "team", "pro", None)
TITLES = ("Head of Data", "Group Head of Data", "Buyer", "Head", None)
ROLES = ("champion", "champion", "sponsor", "admin", "user")
FACTORS = ("partnership", "business_value", "resources", "something_else")
EVENTS = ("usage", "tickets", "surveys", "community", "feedback", "requests", "visits", "organisation")


@dataclass
class Maker:
    """One company in the making."""

    rng: random.Random
    dates: Sequence[dt.datetime]
    tables: dict[str, list[Row]] = field(default_factory=dict)
    edges: Sequence[int] = EDGES

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def moment(self, span_days: int = 700) -> dt.datetime:
        """A moment near an edge of some window, or anywhere in the span before the last date."""
        if self.chance(0.5):
            edge = self.rng.choice(self.dates) - ONE_DAY * self.rng.choice(self.edges)
            return edge + self.rng.choice((-1, 0, 0, 1)) * self.rng.choice((A_SECOND, ONE_DAY / 2))
        seconds = self.rng.randrange(span_days * 86_400)
        return max(self.dates) + 20 * ONE_DAY - dt.timedelta(seconds=seconds)

    def time(self) -> dt.datetime | dt.date:
        """A moment, or now and then a date without a time."""
        when = self.moment()
        return when.date() if self.chance(0.15) else when

    def day(self, span_days: int = 700) -> dt.date:
        return self.moment(span_days).date()

    def or_none(self, value: Any, share: float = 0.2) -> Any:
        return None if self.chance(share) else value

    def versions(self, row: Row, occurred: dt.datetime | dt.date, change: Callable[[], Row]) -> Iterator[Row]:
        """The row as first recorded, perhaps late, and perhaps corrected or repeated after that."""
        recorded = _moment(occurred) + self.rng.choice((0, 0, 1, 40)) * ONE_DAY * self.rng.random()
        recorded = recorded.replace(microsecond=0)
        first = {**row, "recorded_at": self.or_none(recorded, 0.3)}
        yield first
        if self.chance(0.08):
            yield dict(first)
        if self.chance(0.15):
            later = recorded + self.rng.choice((1, 30, 90)) * ONE_DAY
            yield {**row, **change(), "recorded_at": later}

    def add(self, table: str, rows: Iterator[Row]) -> None:
        self.tables.setdefault(table, []).extend(rows)


def _moment(when: dt.datetime | dt.date) -> dt.datetime:
    return when if isinstance(when, dt.datetime) else dt.datetime.combine(when, dt.time()) + ONE_DAY


def invented_company(
    seed: int,
    accounts: int,
    dates: Sequence[dt.datetime],
    *,
    without: Sequence[str] = (),
    dated: bool = True,
    feeds: bool = True,
    edges: Sequence[int] = EDGES,
) -> Company:
    """Make a company of so many accounts, to be asked about on `dates`.

    Parameters
    ----------
    without
        Tables that the company has not connected.
    dated
        Whether rows say when they were recorded.
    feeds
        Whether a feeds table says what was delivered.
    edges
        Days before each date near which rows lie.
    """
    make = Maker(random.Random(seed), dates, edges=edges)
    for number in range(accounts):
        _account(make, f"A{number:03}")
    _plans(make)
    _feeds(make, [f"A{number:03}" for number in range(accounts)])
    if not feeds:
        del make.tables["feeds"]
    tables = {table: rows for table, rows in make.tables.items() if table not in without}
    if not dated:
        tables = {table: _undated(table, rows) for table, rows in tables.items()}
    return Company(tables, {"visits": make.day()})


def _undated(table: str, rows: Sequence[Row]) -> list[Row]:
    """Rows that do not say when they were recorded, and so have no corrections: the first of each key."""
    first: dict[Any, Row] = {}
    for row in rows:
        first.setdefault(key_of(table, row), {name: row[name] for name in row if name != "recorded_at"})
    return list(first.values())


def _account(make: Maker, account: str) -> None:
    rng = make.rng
    about = {
        "account_id": account,
        "csm": rng.choice("KLM"),
        "region": make.or_none(rng.choice("NS")),
        "industry": None,
    }
    since = make.or_none(make.day(900), 0.5)
    first = dt.datetime.combine(min(make.dates).date(), dt.time()) - ONE_DAY * rng.randrange(900)
    make.add(
        "accounts",
        make.versions(
            {**about, "customer_since": since},
            first,
            lambda: {"csm": make.or_none(rng.choice("KLM")), "region": rng.choice("NSW")},
        ),
    )
    busy = rng.choice((0, 3, 12, 40))
    _contracts(make, account)
    _contacts(make, account)
    for table, rows_of in ROWS.items():
        amount = rng.randrange(busy * (4 if table == "usage" else 1) + 1)
        for number in range(amount):
            occurred = make.time()
            key = {KEYS[table]: f"{account}-{table}-{number}", "account_id": account}
            make.add(
                table,
                make.versions(
                    {**key, **_own(account, rows_of(make, occurred))},
                    occurred,
                    lambda: _own(account, rows_of(make, make.time())),  # noqa: B023
                ),
            )


def _own(account: str, row: Row) -> Row:
    """Respondents are contacts of the account, where they are any."""
    who = row.get("respondent_id")
    return {**row, "respondent_id": f"{account}-{who}"} if who else row


def _contracts(make: Maker, account: str) -> None:
    rng = make.rng
    start = max(make.dates).date() - ONE_DAY * rng.choice((*make.edges, 59, 89, 364, 364, 400, 500, 700, 900))
    for number in range(rng.randrange(0, 4)):
        length = rng.choice((30, 90, 180, 365, 365, 366, 730))
        end = start + ONE_DAY * (length - 1)
        row = {
            "contract_id": f"{account}-{number}",
            "account_id": account,
            "start_date": start,
            "end_date": make.or_none(end, 0.08),
            "signed_at": make.or_none(start - ONE_DAY * rng.randrange(60)),
            "notice_deadline": make.or_none(end - ONE_DAY * rng.choice((0, 30, 60, 90)), 0.3),
            "notice_at": make.or_none(end - ONE_DAY * rng.randrange(120), 0.8),
            "licences": make.or_none(rng.choice((0, 1, 5, 5, 10, 40))),
            "arr": make.or_none(rng.choice((1000, 1000, 2500.5, 9000.25))),
            "plan": rng.choice(PLANS),
        }
        changed = {
            "licences": make.or_none(rng.choice((2, 8))),
            "notice_at": make.or_none(end - 40 * ONE_DAY, 0.7),
        }
        make.add("contracts", make.versions(row, row["signed_at"] or start, lambda: changed))  # noqa: B023
        start = end + ONE_DAY * rng.choice((-30, 0, 1, 1, 1, 29, 30, 31, 32, 60))


def _contacts(make: Maker, account: str) -> None:
    rng = make.rng
    for person in range(rng.randrange(0, 4)):
        begun = make.day(900)
        for _ in range(rng.choice((1, 1, 2))):
            left = begun + ONE_DAY * rng.choice((20, 100, 179, 180, 181, 300, 600))
            row = {
                "contact_id": f"{account}-p{person}",
                "account_id": account,
                "role": rng.choice(ROLES),
                "title": rng.choice(TITLES),
                "valid_from": begun,
                "valid_to": make.or_none(left, 0.5),
                "successor_id": make.or_none(f"{account}-p0", 0.7),
            }
            changed = {"valid_to": left, "successor_id": make.or_none(f"{account}-p1", 0.5)}
            make.add("contacts", make.versions(row, begun, lambda: changed))  # noqa: B023
            begun = (row["valid_to"] or left) + ONE_DAY * rng.choice((1, 1, 40))


def _usage(make: Maker, occurred: Any) -> Row:
    rng = make.rng
    return {
        "user_id": make.or_none(f"u{rng.randrange(8)}", 0.1),
        "feature": rng.choice(FEATURES),
        "quantity": make.or_none(rng.randrange(1, 9) / 10),
        "users": make.or_none(3, 0.97),
        "actor": rng.choice(("person", "person", "machine", None)),
        "occurred_at": occurred,
    }


def _tickets(make: Maker, opened: dt.datetime | dt.date) -> Row:
    rng = make.rng
    closed = _moment(opened) + rng.choice((0.5, 2, 30, 90, 120)) * ONE_DAY
    return {
        "opened_at": opened,
        "closed_at": make.or_none(rng.choice((closed, max(closed, make.moment()))), 0.3),
        "priority": rng.choice(("low", "normal", "high", "urgent", None)),
        "escalated": rng.choice((True, False, None)),
        "category": rng.choice(("bug", "how_to", None)),
        "satisfaction": make.or_none(rng.randrange(1, 6), 0.4),
    }


def _surveys(make: Maker, occurred: Any) -> Row:
    respondent = make.or_none(make.rng.choice(("p0", "p1", "p2", "q")), 0.15)
    return {"respondent_id": respondent, "nps": make.rng.randrange(11), "occurred_at": occurred}


def _community(make: Maker, occurred: Any) -> Row:
    rng = make.rng
    return {
        "member_id": make.or_none(f"m{rng.randrange(4)}", 0.1),
        "kind": rng.choice(("post", "reply", "visit", None)),
        "question": rng.choice((True, True, False, None)),
        "level": rng.choice(("basic", "basic", "advanced", None)),
        "sentiment": make.or_none(rng.choice((-1, -0.3, -0.29, 0, 0.3, 1))),
        "occurred_at": occurred,
    }


def _feedback(make: Maker, occurred: Any) -> Row:
    rng = make.rng
    resolved = _moment(occurred) + rng.choice((0.25, 5, 14, 15, 60)) * ONE_DAY
    return {
        "kind": rng.choice(("review", "social", "complaint")),
        "rating": make.or_none(rng.randrange(1, 6)),
        "sentiment": make.or_none(rng.choice((-1, -0.3, -0.29, 0.5))),
        "occurred_at": occurred,
        "resolved_at": make.or_none(resolved, 0.5),
    }


def _requests(make: Maker, occurred: Any) -> Row:
    kind = make.rng.choice(("discount", "terms", "downgrade", "data_export", "cancel", "expansion"))
    return {"kind": kind, "occurred_at": occurred}


def _visits(make: Maker, occurred: Any) -> Row:
    page = make.rng.choice(("cancel", "downgrade", "export", "export", "other"))
    return {"user_id": make.or_none(f"u{make.rng.randrange(3)}"), "page": page, "occurred_at": occurred}


def _organisation(make: Maker, occurred: Any) -> Row:
    kind = make.rng.choice(("chief_executive", "department_head", "acquirer", "acquired"))
    return {"kind": kind, "occurred_at": occurred}


def _assessments(make: Maker, occurred: Any) -> Row:
    rng = make.rng
    return {"factor": rng.choice(FACTORS), "rating": rng.randrange(1, 6), "occurred_at": occurred}


ROWS: dict[str, Callable[[Maker, Any], Row]] = {
    "usage": _usage,
    "tickets": _tickets,
    "surveys": _surveys,
    "community": _community,
    "feedback": _feedback,
    "requests": _requests,
    "visits": _visits,
    "organisation": _organisation,
    "assessments": _assessments,
}
KEYS = {
    "usage": "usage_id",
    "tickets": "ticket_id",
    "surveys": "survey_id",
    "community": "activity_id",
    "feedback": "feedback_id",
    "requests": "request_id",
    "visits": "visit_id",
    "organisation": "event_id",
    "assessments": "assessment_id",
}


def _plans(make: Maker) -> None:
    rows: list[Row] = []
    for plan in PLANS[:3]:
        for feature in FEATURES[:5]:
            begins, ends = make.or_none(make.day(900), 0.7), make.or_none(make.day(), 0.7)
            rows.append({"plan": plan, "feature": feature, "valid_from": begins, "valid_to": ends})
    make.tables["plans"] = rows


def _feeds(make: Maker, accounts: Sequence[str]) -> None:
    """Some tables for everybody, some account by account with gaps, some with nothing said."""
    rng = make.rng
    rows: list[Row] = []
    for table in (*EVENTS, "contacts"):
        manner = rng.choice(("all", "all", "each", "each", "unsaid"))
        whom: Sequence[str | None] = {"all": [None], "each": accounts, "unsaid": []}[manner]
        for account in whom:
            rows += _spells(make, table, account)
    make.tables["feeds"] = rows


def _spells(make: Maker, table: str, account: str | None) -> Iterator[Row]:
    rng = make.rng
    begins = min(make.dates).date() - ONE_DAY * rng.choice((900, 900, 900, 540, 365, 180, 90, 20))
    row = {"table": table, "account_id": account, "covered_from": begins, "covered_to": None}
    row["recorded_at"] = _moment(begins)
    manner = rng.choice(("whole", "whole", "whole", "gap", "dead", "heard later"))
    stops = make.day(300)
    if manner == "whole" or stops <= begins:
        yield row
    elif manner == "heard later":
        yield row
        yield {**row, "covered_to": stops, "recorded_at": _moment(stops) + 20 * ONE_DAY}
    else:
        yield {**row, "covered_to": stops}
    if manner == "gap" and stops > begins:
        again = stops + ONE_DAY * rng.choice((1, 2, 15))
        yield {**row, "covered_from": again, "recorded_at": _moment(again)}
