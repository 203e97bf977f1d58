"""A small company, written as CSV tables: real input for the service's tests."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path

END = dt.date(2025, 6, 30)
AS_OF = "2025-06-30"
TROUBLED, WELL, ODD_ID, LEFT, LEAVING, UNSEEN = "acme", "bolt", "a/b c%", "gone", "leaving", "unseen"
OTHERS = tuple(f"c{number:02d}" for number in range(6))
TROUBLED_NAME = '<script>alert("Acme")</script> & Söhne'
IN_FORCE = {TROUBLED, WELL, ODD_ID, LEAVING, UNSEEN, *OTHERS}

Rows = Iterable[Sequence[object]]


def day(days_ago: int) -> str:
    return (END - dt.timedelta(days=days_ago)).isoformat()


def write_company(folder: Path, *, extra: str = "") -> Path:
    """Write the tables and ``sources.toml``, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "accounts": (_accounts(), "account_id name customer_since csm industry region fiscal_year_start_month"),
        "contracts": (
            _contracts(),
            "contract_id account_id start_date end_date signed_at notice_deadline notice_at licences arr plan",
        ),
        "usage": (_usage(), "usage_id account_id user_id feature occurred_at"),
        "tickets": (_tickets(), "ticket_id account_id opened_at closed_at priority category satisfaction"),
        "surveys": (_surveys(), "survey_id account_id respondent_id nps comment occurred_at"),
        "community": (_community(), "activity_id account_id member_id kind sentiment text occurred_at"),
        "feedback": (_feedback(), "feedback_id account_id kind rating text occurred_at resolved_at"),
        "requests": (_requests(), "request_id account_id kind reason occurred_at"),
        "assessments": (_assessments(), "assessment_id account_id factor rating occurred_at assessor"),
    }
    for table, (rows, header) in tables.items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header.split(), *rows])
    sources = ['company = "Small"', "yearly_churn = 0.12", f"observed_until = {AS_OF}", extra]
    sources += [f'[tables.{table}]\npath = "{table}.csv"\nnever_rewritten = true' for table in tables]
    path = folder / "sources.toml"
    path.write_text("\n".join(sources) + "\n", encoding="utf-8")
    return path


def _accounts() -> Rows:
    yield TROUBLED, TROUBLED_NAME, day(1200), "Ann", "retail", "emea", 9
    yield WELL, "Bolt", day(1200), "Ben", "bank", "apac", ""
    yield ODD_ID, "Odd", day(800), "Ben", "bank", "emea", ""
    yield LEFT, "Gone", day(1200), "Ann", "retail", "emea", ""
    yield LEAVING, "Leaving", day(1200), "Ann", "retail", "emea", ""
    yield UNSEEN, "", day(20), "", "", "", ""
    for account in OTHERS:
        yield account, account.upper(), day(900), "Cleo", "retail", "apac", 1


def _contracts() -> Rows:
    def contract(
        account: str, begun: int, ends: int, arr: object, notice: str = "", licences: int = 10
    ) -> list[object]:
        deadline = day(ends + 30) if arr else ""
        plan = "pro" if account != WELL else "basic"
        return [f"k-{account}", account, day(begun), day(ends), day(begun), deadline, notice, licences, arr, plan]

    yield contract(TROUBLED, 700, -75, 50_000)
    yield contract(WELL, 700, -200, 90_000)
    yield contract(ODD_ID, 700, -10, 5_000)  # its notice deadline has passed
    yield contract(LEFT, 1200, 400, 10_000)
    yield contract(LEAVING, 700, -40, 80_000, notice=day(5))
    yield contract(UNSEEN, 20, -345, "", licences=3)
    for number, account in enumerate(OTHERS):
        yield contract(account, 600, -90 - 30 * number, 1_000 * (number + 1))


def _usage() -> Rows:
    number = 0
    for account in (TROUBLED, WELL, ODD_ID, LEFT, LEAVING, *OTHERS):
        for days_ago in range(1, 700, 3):
            if account == LEFT and days_ago < 400:
                continue
            people = 8 if account not in (TROUBLED, ODD_ID) or days_ago > 40 else 2
            for person in range(people):
                number += 1
                yield f"u{number}", account, f"{account}-{person}", f"f{person % 3}", day(days_ago)


def _tickets() -> Rows:
    for number in range(9):
        category = "billing" if number < 2 else "bug"
        closed = "" if number == 0 else day(3 * number)
        yield f"t{number}", TROUBLED, day(6 * number + 2), closed, "high" if number == 0 else "normal", category, 2
    yield "t-old", OTHERS[0], day(600), day(590), "low", "other", ""
    for number in range(3):
        yield f"w{number}", WELL, day(20 * number + 5), day(20 * number + 4), "low", "how_to", 5


def _surveys() -> Rows:
    yield "s1", TROUBLED, "acme-1", 3, "", day(20)
    yield "s2", TROUBLED, "acme-1", 8, "fine", day(200)
    yield "s3", WELL, "bolt-1", 10, "great", day(20)


def _community() -> Rows:
    for number in range(8):
        yield f"p{number}", TROUBLED, "acme-1", "post", -0.8, f"<img src=x> again {number}", day(10 * number + 3)
    yield "p-old", OTHERS[0], "c-1", "post", 0.5, "hello", day(650)


def _feedback() -> Rows:
    yield "f1", TROUBLED, "complaint", "", "nobody calls back", day(25), ""
    yield "f0", OTHERS[1], "review", 5, "good", day(600), ""


def _requests() -> Rows:
    yield "r1", TROUBLED, "discount", "budget", day(12)
    yield "r0", OTHERS[1], "expansion", "value", day(600)


def _assessments() -> Rows:
    yield "x1", TROUBLED, "partnership", 2, day(30), "Ann"
    yield "x2", TROUBLED, "business_value", 1, day(250), "Ann"
    yield "x3", WELL, "product_fit", 5, day(30), "Ben"
