"""A small sound company, and every way in which its delivery can be broken.

A fault says how the delivery is damaged, under which code `keepsight check` must name it, and what the vectors
then are: those of the sound company (the broken rows never reach them), those of a company that delivered
otherwise (`like`), or none, because opening is refused and says why (`refused`). What `stands` is odd but
possible: it is named and read as it is, and told is in which columns the vectors then differ from the sound ones.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.features.sources.company import Company

Damage = Callable[[Company], object]

HEADERS = {
    "accounts": "account_id,name,customer_since,csm,industry,region,fiscal_year_start_month,recorded_at",
    "contracts": "contract_id,account_id,start_date,end_date,signed_at,notice_deadline,notice_at,auto_renew,"
    "licences,arr,plan,recorded_at",
    "plans": "plan,feature,valid_from,valid_to,recorded_at",
    "usage": "usage_id,account_id,user_id,feature,occurred_at,quantity,actor,recorded_at",
    "tickets": "ticket_id,account_id,opened_at,closed_at,priority,escalated,category,satisfaction,recorded_at",
    "surveys": "survey_id,account_id,respondent_id,nps,comment,occurred_at,recorded_at",
    "community": "activity_id,account_id,member_id,kind,question,level,sentiment,occurred_at,recorded_at",
    "feedback": "feedback_id,account_id,kind,rating,sentiment,occurred_at,resolved_at,recorded_at",
    "requests": "request_id,account_id,kind,reason,occurred_at,recorded_at",
    "visits": "visit_id,account_id,user_id,page,occurred_at,recorded_at",
    "contacts": "contact_id,account_id,role,title,valid_from,valid_to,successor_id,recorded_at",
    "organisation": "event_id,account_id,kind,occurred_at,recorded_at",
    "assessments": "assessment_id,account_id,factor,rating,occurred_at,recorded_at",
    "feeds": "table,account_id,covered_from,covered_to,recorded_at",
}
ACCOUNTS = ("a1", "a2", "7")
BEGINS = dt.datetime(2024, 3, 1, 10)


def _usage() -> list[str]:
    days = [BEGINS + dt.timedelta(days=3 * number) for number in range(190)]
    return [
        f"u{account}{number},{account},p{number % 4},{('chat', 'files', 'board')[number % 3]},{day},2,person,{day}"
        for account in ACCOUNTS
        for number, day in enumerate(days)
        if account != "a2" or number < 150
    ]


SOUND: dict[str, list[str]] = {
    "accounts": [
        "a1,One,2024-01-10,Ada,retail,north,4,2024-01-10 09:00",
        "a2,Two,2024-01-11,Bo,retail,south,7,2024-01-11 09:00",
        "7,Seven,2024-01-12,Bo,banking,south,1,2024-01-12 09:00",
    ],
    "contracts": [
        f"c{account},{account},2024-02-01,2026-01-31,2024-01-20,2025-10-31,,yes,10,12000,pro,2024-01-20 09:00"
        for account in ACCOUNTS
    ],
    "plans": [f"pro,{feature},2024-01-01,,2024-01-01 09:00" for feature in ("chat", "files", "board", "calendar")],
    "usage": _usage(),
    "tickets": [
        "t1,a1,2025-06-02 10:00,,high,no,bug,,2025-06-02 10:00",
        "t1,a1,2025-06-02 10:00,2025-06-05 16:00,high,yes,bug,2,2025-06-05 16:00",
        "t2,a1,2025-09-03 10:00,,normal,no,how_to,,2025-09-03 10:00",
        "t3,a2,2025-09-04 10:00,2025-09-04 18:00,urgent,no,bug,4,2025-09-04 18:00",
    ],
    "surveys": [
        "s1,a1,p1,9,,2025-05-10 10:00,2025-05-10 10:00",
        "s2,a1,p1,6,less and less,2025-09-10 10:00,2025-09-10 10:00",
        "s3,a2,p3,8,,2025-09-11 10:00,2025-09-11 10:00",
    ],
    "community": ["m1,a1,p1,post,yes,basic,0.2,2025-09-01 10:00,2025-09-01 10:00"],
    "feedback": [
        "f1,a1,complaint,2,-0.5,2025-09-01 10:00,,2025-09-01 10:00",
        "f2,7,review,4,0.5,2025-08-01 10:00,,2025-08-01 10:00",
    ],
    "requests": ["r1,a2,discount,budget,2025-09-20 10:00,2025-09-20 10:00"],
    "visits": [
        "v1,a1,p1,other,2025-02-01 10:00,2025-02-01 10:00",
        "v2,a2,p3,cancel,2025-09-28 10:00,2025-09-28 10:00",
    ],
    "contacts": [
        "p1,a1,champion,Head of Data,2024-02-01,,,2024-02-01 09:00",
        "p3,a2,sponsor,Buyer,2024-02-01,,,2024-02-01 09:00",
    ],
    "organisation": ["o1,7,acquired,2025-09-15 10:00,2025-09-15 10:00"],
    "assessments": ["q1,a1,partnership,4,2025-09-01 10:00,2025-09-01 10:00"],
    # Nothing is said of visits: they are taken as covered from their first row on.
    "feeds": [
        f"{table},,2024-02-01,,2024-02-01 09:00"
        for table in (
            "usage",
            "tickets",
            "surveys",
            "community",
            "feedback",
            "requests",
            "contacts",
            "organisation",
        )
    ],
}


def text_of(table: str, *more: str, without: str | None = None) -> str:
    """The table as CSV, with more lines, or without one column."""
    lines = [HEADERS[table], *SOUND[table], *more]
    if without is not None:
        place = HEADERS[table].split(",").index(without)
        lines = [",".join(v for n, v in enumerate(line.split(",")) if n != place) for line in lines]
    return "\n".join(lines) + "\n"


def columns_of(table: str) -> dict[str, list[Any]]:
    """The table as columns of text, null where empty."""
    rows = [line.split(",") for line in SOUND[table]]
    names = HEADERS[table].split(",")
    return {name: [row[place] or None for row in rows] for place, name in enumerate(names)}


def deliver_sound(company: Company, tables: Iterable[str] = SOUND) -> Company:
    """The sound company, or some of its tables."""
    for table in tables:
        company.csv(table, text_of(table))
    return company


@dataclass(frozen=True)
class Fault:
    """One way to break a delivery."""

    table: str
    code: str
    damage: Damage
    shows: str = ""  # what the sentence or the sample must hold
    rows: int | None = None
    like: Damage | None = None  # the delivery that gives the same vectors; none: the sound one
    refused: str | None = None  # what opening says
    stands: tuple[str, ...] | None = None
    row: str = ""  # the row that is added, where that is all


def more(table: str, *lines: str) -> Damage:
    """Further rows of a table."""
    return lambda company: company.csv(table, text_of(table, *lines))


def broken(table: str, code: str, line: str, shows: str = "", **then: Any) -> Fault:
    """One further row, that is broken."""
    return Fault(table, code, more(table, line), shows, rows=1, row=line, **then)


def instead(table: str, code: str, line: str, like: str, shows: str = "", rows: int | None = 1) -> Fault:
    """One further row, that is read like another."""
    return Fault(table, code, more(table, line), shows, rows, more(table, *like.split("\n")))


def written(table: str, text: str | bytes, file: str | None = None) -> Damage:
    """A file of these bytes."""

    def damage(company: Company) -> None:
        name = file or f"{table}.csv"
        (company.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        company.path(table, name)

    return damage


def refused(
    table: str, code: str, damage: Damage, says: str, shows: str | None = None, rows: int | None = None
) -> Fault:
    """A delivery that is not opened; the check says the same, where nothing else is told."""
    return Fault(table, code, damage, says if shows is None else shows, rows, refused=says)


def parquet(table: str, /, **changed: Any) -> Damage:
    """The table as Parquet, with other columns."""
    return lambda company: company.parquet(table, {**columns_of(table), **changed})


def parts(table: str, *files: dict[str, Any]) -> Damage:
    """The table as several Parquet files."""

    def damage(company: Company) -> None:
        (company.folder / "parts").mkdir()
        for number, columns in enumerate(files, start=1):
            pq.write_table(pa.table(columns), company.folder / f"parts/{number}.parquet")
        company.path(table, "parts/*.parquet")

    return damage


def folder(company: Company) -> None:
    (company.folder / "usage").mkdir()
    company.path("usage", "usage")


def broken_link(company: Company) -> None:
    (company.folder / "gone.csv").symlink_to(company.folder / "nowhere.csv")
    company.path("usage", "gone.csv")


def half_a_file(company: Company) -> None:
    company.parquet("usage", columns_of("usage"))
    path = company.folder / "usage.parquet"
    path.write_bytes(path.read_bytes()[:-100])


USAGE = text_of("usage")
SURVEY = columns_of("surveys")
ONE_SURVEY = {name: values[:1] for name, values in SURVEY.items()} | {"survey_id": ["s9"], "nps": ["3"]}
NOON = "2025-06-01 12:00"
T = f"{NOON},{NOON}"  # occurred, recorded
HUGE = "x" * 10_000_000
NO_ROW = "usage: no row keeps the contract"

FAULTS: dict[str, Fault] = {
    # --- values of the wrong type
    "text for a number": broken("surveys", "S105", f"s9,a1,p1,ten,,{T}", "ten"),
    "text for a date": broken("contracts", "S105", "c9,a1,soon,,,,,yes,1,1,pro,2024-01-20", "soon"),
    "text for a time": broken("usage", "S105", "u9,a1,p1,chat,yesterday,1,person,2025-06-01", "yesterday"),
    "an impossible date": broken(
        "usage", "S105", "u9,a1,p1,chat,2025-02-30 10:00,1,person,2025-03-01", "2025-02-30"
    ),
    "the day first": broken("tickets", "S105", "t9,a1,31/12/2024 10:00,,low,no,bug,,2025-01-01", "31/12/2024"),
    "a recorded_at that is no time": broken("usage", "S105", f"u9,a1,p1,chat,{NOON},1,person,?", "?"),
    "not a number": broken("contracts", "S105", "c9,a1,2024-02-01,2026-01-31,,,,yes,1,nan,pro,2024-01-20", "nan"),
    "an infinite number": broken("usage", "S105", f"u9,a1,p1,chat,{NOON},inf,person,{NOON}", "inf"),
    "a number beyond all numbers": broken("usage", "S105", f"u9,a1,p1,chat,{NOON},1e999,person,{NOON}", "1e999"),
    "a decimal comma": broken(
        "contracts", "S105", 'c9,a1,2024-02-01,,,,,yes,1,"1.000,5",pro,2024-01-20', "1.000,5"
    ),
    "a whole number that is too large": broken(
        "accounts", "S105", "a9,Nine,2024-01-10,Ada,retail,north,99999999999999999999,2024-01-10", "99999999999"
    ),
    "a whole number with a fraction": broken(
        "accounts", "S105", "a9,Nine,2024-01-10,Ada,retail,north,4.5,2024-01-10", "4.5"
    ),
    "neither yes nor no": broken("tickets", "S105", "t9,a1,2025-06-01,,low,maybe,bug,,2025-06-01", "maybe"),
    "a zero byte in a text": broken("usage", "S105", f"u9,a1,p1,ch\0at,{NOON},1,person,{NOON}", r"ch\x00at"),
    "a zero byte in an id": broken("usage", "S105", f"u9,a1\0,p1,chat,{NOON},1,person,{NOON}", r"a1\x00"),
    # --- values out of their range
    "the year 1": broken("usage", "S107", f"u9,a1,p1,chat,0001-01-01 10:00,1,person,{NOON}", "0001-01-01"),
    "the year 9999": broken(
        "contracts", "S107", "c9,a1,2024-02-01,9999-12-31,,,,yes,1,1,pro,2024-01-20", "9999-12-31"
    ),
    "the epoch": broken("visits", "S107", "v9,a1,p1,cancel,1970-01-01 00:00:00,2025-06-01 10:00", "1970-01-01"),
    "recorded at the epoch": broken("visits", "S107", "v9,a1,p1,cancel,2025-06-01 10:00,1970-01-01", "1970-01-01"),
    "the year 1900 for unknown": broken(
        "contacts", "S107", "p9,a1,champion,x,1900-01-01,,,2024-02-01", "1900-01-01"
    ),
    "a negative quantity": broken("usage", "S107", f"u9,a1,p1,chat,{NOON},-3,person,{NOON}", "-3"),
    "negative licences": broken(
        "contracts", "S107", "c9,a1,2024-02-01,2026-01-31,,,,yes,-1,1,pro,2024-01-20", "-1"
    ),
    "a negative value of a contract": broken(
        "contracts", "S107", "c9,a1,2024-02-01,2026-01-31,,,,yes,1,-0.01,pro,2024-01-20", "-0.01"
    ),
    "an nps of 11": broken("surveys", "S107", f"s9,a1,p1,11,,{T}", "11"),
    "a rating of 6": broken("feedback", "S107", "f9,a1,review,6,0,2025-06-01 10:00,,2025-06-01 10:00", "6"),
    "a sentiment of -2": broken("community", "S107", f"m9,a1,p1,post,yes,basic,-2,{T}", "-2"),
    "a satisfaction of 0": broken("tickets", "S107", "t9,a1,2025-06-01,,low,no,bug,0,2025-06-01", "0"),
    "an assessment of 50": broken("assessments", "S107", f"q9,a1,partnership,50,{T}", "50"),
    "a 13th month": broken("accounts", "S107", "a9,Nine,2024-01-10,Ada,retail,north,13,2024-01-10", "13"),
    # --- values that are not among those allowed
    "an unknown kind": broken("requests", "S108", f"r9,a1,refund,budget,{T}", "refund"),
    "the wrong case": broken("tickets", "S108", "t9,a1,2025-06-01,,High,no,bug,,2025-06-01", "High"),
    "another word for machine": broken("usage", "S108", f"u9,a1,p1,chat,{NOON},1,robot,{NOON}", "robot"),
    # --- values that are missing
    "no account": broken("usage", "S106", f"u9,,p1,chat,{NOON},1,person,{NOON}", "account_id"),
    "a blank account": broken("usage", "S106", f"u9,   ,p1,chat,{NOON},1,person,2025-06-01", "account_id"),
    "a contact without a role": broken("contacts", "S106", "p9,a1,,x,2024-02-01,,,2024-02-01", "role is empty"),
    "an event without a time": broken(
        "visits", "S106", "v9,a1,p1,cancel,,2025-06-01 10:00", "occurred_at is empty"
    ),
    "a survey without a score": broken("surveys", "S106", f"s9,a1,p1,,,{T}", "nps is empty"),
    # --- keys and accounts
    "an account that is none": broken("usage", "S203", f"u9,zz,p1,chat,{NOON},1,person,{NOON}", "zz"),
    "an id as a number with a fraction": broken("visits", "S203", f"v9,7.0,p1,cancel,{T}", "7.0"),
    "an id in another case": broken("visits", "S203", f"v9,A1,p1,cancel,{T}", "A1"),
    "accounts named otherwise": refused(
        "usage",
        "S204",
        written("usage", USAGE.replace(",a1,", ",acc-1,").replace(",a2,", ",acc-2,").replace(",7,", ",acc-7,")),
        NO_ROW,
        "acc-1",
        rows=530,
    ),
    "rows delivered twice": Fault("usage", "S202", more("usage", *SOUND["usage"][:5]), rows=5),
    "one key, one moment, two contents": Fault(
        "surveys",
        "S201",
        more("surveys", f"s9,a1,p1,2,,{T}", f"s9,a1,p1,3,,{T}"),
        "s9",
        rows=2,
        like=more("surveys", f"s9,a1,p1,3,,{T}"),
    ),
    "an account twice": Fault(
        "accounts",
        "S206",
        more("accounts", "a1,One,2024-01-10,Ada,retail,south,4,2024-01-10 09:00"),
        "a1",
        rows=2,
        like=lambda c: c.csv("accounts", text_of("accounts").replace("Ada,retail,north", "Ada,retail,south")),
    ),
    "a correction that moves a row": Fault(
        "requests",
        "S207",
        more("requests", "r1,a1,discount,budget,2025-09-20 10:00,2025-09-30 10:00"),
        "r1",
        rows=1,
        # On the one date nobody had asked, on the other it was a1.
        like=lambda c: c.csv("requests", text_of("requests").replace("r1,a2", "r1,a1")),
    ),
    "a successor that is nobody": broken(
        "contacts", "S208", "p9,a1,user,Buyer,2024-02-01,2025-02-01,p77,2024-02-01 09:00", "p77", stands=()
    ),
    "a plan that is not described": broken(
        "contracts",
        "S208",
        "c9,7,2024-02-01,2026-01-31,,,,yes,1,1,gold,2024-01-20",
        "gold",
        stands=("licence_utilisation", "licences", "arr"),
    ),
    # --- time
    "contract ends before it begins": broken(
        "contracts", "S306", "c9,a1,2025-02-01,2024-02-01,,,,yes,1,1,pro,2024-01-20", "2025-02-01 to 2024-02-01"
    ),
    "closed before it was opened": broken(
        "tickets", "S306", "t9,a1,2025-06-09 10:00,2025-06-01 10:00,low,no,bug,,2025-06-09 10:00", "to 2025-06-01"
    ),
    "resolved before it was said": broken(
        "feedback",
        "S306",
        "f9,a1,complaint,1,,2025-06-09 10:00,2025-06-01 10:00,2025-06-09 10:00",
        "to 2025-06-01",
    ),
    "a role that ends before it begins": broken(
        "contacts", "S306", "p9,a1,champion,x,2025-02-01,2025-01-01,,2025-02-01", "2025-02-01 to 2025-01-01"
    ),
    "a feed that ends before it begins": broken(
        "feeds", "S306", "visits,,2025-02-01,2025-01-01,2025-02-01", "2025-02-01 to 2025-01-01"
    ),
    "a notice deadline after the end": broken(
        "contracts", "S308", "c9,a1,2024-02-01,2026-01-31,,2026-03-01,,yes,1,1,pro,2024-01-20", "2026-03-01 to"
    ),
    "notice before the start": broken(
        "contracts",
        "S316",
        "c9,a1,2025-02-01,2026-01-31,,,2025-01-01,yes,1,1,pro,2024-12-20",
        "2025-01-01",
        stands=("licence_utilisation", "licence_change", "licences", "arr"),
    ),
    "recorded before it occurred": instead(
        "surveys",
        "S313",
        "s9,a1,p1,3,,2025-06-20 10:00,2025-06-01 10:00",
        "s9,a1,p1,3,,2025-06-20 10:00,2025-06-20 10:00",
        "occurred 2025-06-20 10:00:00, recorded 2025-06-01",
    ),
    "not recorded": instead(
        "surveys",
        "S312",
        "s9,a1,p1,3,,2025-06-20 10:00,",
        "s9,a1,p1,3,,2025-06-20 10:00,2025-06-20 10:00",
        "recorded_at is empty in 1 row of 4",
    ),
    "closed after it was recorded": instead(
        "tickets",
        "S307",
        "t9,a1,2025-06-20 10:00,2025-09-20 10:00,low,no,bug,3,2025-06-20 10:00",
        "t9,a1,2025-06-20 10:00,,low,no,bug,3,2025-06-20 10:00\n"
        "t9,a1,2025-06-20 10:00,2025-09-20 10:00,low,no,bug,3,2025-09-20 10:00",
        "ended 2025-09-20",
    ),
    "zones mixed": instead(
        "surveys",
        "S305",
        "s9,a1,p1,3,,2025-07-01T01:30:00+02:00,2025-07-01 00:00",
        "s9,a1,p1,3,,2025-06-30 23:30,2025-07-01 00:00",
        "occurred_at has a zone in 1 row and none in 3 rows",
        rows=3,
    ),
    "dates among times": instead(
        "surveys",
        "S310",
        "s9,a1,p1,3,,2025-06-30,2025-07-01 00:00",
        "s9,a1,p1,3,,2025-07-01 00:00,2025-07-01 00:00",
    ),
    "an event in the future": broken(
        "visits", "S314", "v9,a1,p1,cancel,2027-06-01 10:00,2025-06-01 10:00", "2027-06-01 10:00:00"
    ),
    "recorded in the future": broken(
        "visits", "S314", "v9,a1,p1,cancel,2025-06-01 10:00,2052-06-01 10:00", "taken to end 2052-06-01 10:00:00"
    ),
    "long after all others": broken(
        "visits", "S315", "v9,a1,p1,cancel,2025-12-24 10:00,2025-12-24 10:00", "taken to end 2025-12-24 10:00:00"
    ),
    "after the end that is said": Fault(
        "visits",
        "S304",
        lambda c: c.csv("visits", text_of("visits", "v9,a1,p1,cancel,2025-09-24 10:00,2025-11-24 10:00")).says(
            "observed_until = 2025-10-31"
        ),
        "2025-11-24",
        rows=1,
    ),
    "no recorded_at, and columns that are filled in later": Fault(
        "tickets",
        "S301",
        lambda c: c.csv("tickets", text_of("tickets", without="recorded_at")),
        "priority, escalated, satisfaction: taken as known from the beginning",
        stands=(),  # what is filled in later was there before both dates
    ),
    # --- feeds
    "a feed of an unknown table": broken("feeds", "S401", "usge,,2024-02-01,,2024-02-01", "usge"),
    "feeds that overlap": broken("feeds", "S402", "usage,,2025-02-01,,2025-02-01", "from 2025-02-01"),
    # --- columns
    "a required column is missing": refused(
        "usage",
        "S103",
        lambda c: c.csv("usage", text_of("usage", without="account_id")),
        'usage: there is no column "account_id"',
    ),
    "a required column is named otherwise": refused(
        "usage",
        "S103",
        written("usage", USAGE.replace("occurred_at", "ocurred_at")),
        'there is no column "occurred_at". Did you mean "ocurred_at"?',
    ),
    "a column that sources.toml names is missing": refused(
        "usage",
        "S104",
        lambda c: c.csv("usage", USAGE, 'columns = { users = "headcount" }'),
        'no column "headcount" (for users)',
    ),
    "an optional column is named otherwise": Fault(
        "tickets",
        "S116",
        written("tickets", text_of("tickets").replace("satisfaction", "satisfacton")),
        'tickets has no satisfaction, but "satisfacton"',
        like=lambda c: c.csv("tickets", text_of("tickets", without="satisfaction")),
    ),
    "recorded_at is named otherwise": Fault(
        "tickets",
        "S116",
        written("tickets", text_of("tickets").replace("recorded_at", "RecordedAt")),
        'tickets has no recorded_at, but "RecordedAt"',
        like=lambda c: c.csv("tickets", text_of("tickets", without="recorded_at")),
    ),
    "a column is there twice": refused(
        "usage",
        "S114",
        written("usage", USAGE.replace("quantity", "account_id")),
        'the column "account_id" is there twice',
    ),
    "bytes for text": Fault(
        "visits",
        "S105",
        parquet("visits", page=[b"other", b"canc\xff"], account_id=["a1", "a1"]),
        "canc",
        rows=1,
        like=parquet("visits", page=["other", None], account_id=["a1", "a1"]),
    ),
    "lists for text": refused(
        "visits",
        "S105",
        parquet("visits", page=[["other"], ["cancel"]]),
        "visits: no row keeps",
        "[cancel]",
        rows=2,
    ),
    "records for numbers": refused(
        "visits", "S111", parquet("visits", occurred_at=[{"day": 1}, {"day": 2}]), "visits: no row keeps", "No row"
    ),
    "numbers for times": refused(
        "visits",
        "S105",
        parquet("visits", occurred_at=[20250201, 20250928]),
        "visits: no row keeps",
        "20250928",
        rows=2,
    ),
    # --- files
    "a file of a table's files lacks a required column": Fault(
        "surveys",
        "S115",
        parts("surveys", SURVEY, {name: v for name, v in ONE_SURVEY.items() if name != "nps"}),
        "1 of 2 files of surveys have no nps",
    ),
    "the first file of a table's files lacks recorded_at": Fault(
        "surveys",
        "S115",
        parts("surveys", {name: v for name, v in SURVEY.items() if name != "recorded_at"}, ONE_SURVEY),
        "1 of 2 files of surveys have no recorded_at",
        like=parts("surveys", SURVEY, ONE_SURVEY),
    ),
    "numbers in one file, text in another": Fault(
        "surveys",
        "S115",
        parts("surveys", SURVEY | {"nps": [9, 6, 8]}, ONE_SURVEY | {"nps": ["ten"]}),
        "nps is text in 1 of 2 files",
    ),
    "a file that is not there": refused(
        "usage", "S101", lambda c: c.path("usage", "usge.csv"), "no such file", 'Did you mean "usage.csv"'
    ),
    "a folder for a file": refused("usage", "S101", folder, "is a folder"),
    "a link to nowhere": refused("usage", "S101", broken_link, "no such file"),
    "a query that is wrong": refused(
        "usage", "S101", lambda c: c.query("usage", "select * from nowhere"), "usage: the query cannot be read"
    ),
    "a pattern that finds nothing": refused(
        "usage", "S101", lambda c: c.path("usage", "u/*.csv"), "No files found"
    ),
    "another kind of file": refused(
        "usage", "S101", written("usage", b"PK\3\4", "usage.xlsx"), "is no CSV or Parquet file"
    ),
    "half a Parquet file": refused("usage", "S101", half_a_file, "usage: usage.parquet cannot be read"),
    "CSV under the name of Parquet": refused(
        "usage", "S101", written("usage", USAGE, "usage.parquet"), "usage: usage.parquet cannot be read"
    ),
    "no gz under the name of gz": refused(
        "usage", "S113", written("usage", USAGE, "usage.csv.gz"), "usage.csv.gz cannot be unpacked"
    ),
    "half a gz file": refused(
        "usage",
        "S113",
        written("usage", gzip.compress(USAGE.encode())[:900], "usage.csv.gz"),
        "usage.csv.gz cannot be unpacked",
    ),
    "a file without a byte": refused("usage", "S113", written("usage", b""), "usage.csv is empty"),
    "a header without rows": Fault(
        "visits",
        "S102",
        written("visits", HEADERS["visits"] + "\n"),
        "visits has no rows",
        stands=("exit_page_views", "coverage"),
    ),
    "no header": refused("usage", "S103", written("usage", USAGE.split("\n", 1)[1]), 'no column "account_id"'),
    "a line that is too long, far down": refused(
        "usage",
        "S113",
        written("usage", f"{USAGE}{USAGE.split(chr(10), 1)[1] * 50}{SOUND['usage'][0]},x\n"),
        "line 27,032: has 9 columns",
    ),
    "a title above the header": refused(
        "usage",
        "S113",
        written("usage", f"Export of June\n{USAGE}"),
        "usage.csv, line 2: has 8 columns, where the header has 1",
    ),
    "a sum below the rows": refused(
        "usage", "S113", written("usage", f"{USAGE}sum,1100\n"), "has 2 columns, where the header has 8"
    ),
    "a line that is too long": refused(
        "usage", "S113", written("usage", f"{USAGE}{SOUND['usage'][0]},x\n"), "line 532: has 9 columns"
    ),
    "a line that is too short": refused(
        "usage", "S113", written("usage", f"{HEADERS['usage']}\nu1,a1\n{USAGE}"), "line 2: has 2 columns"
    ),
    "another separator": refused(
        "usage", "S103", written("usage", USAGE.replace(",", "^")), 'no column "account_id"'
    ),
    "line ends mixed": refused(
        "usage",
        "S113",
        written("usage", USAGE + USAGE.split("\n", 1)[1].replace("\n", "\r\n")),
        "line 532: lines end in different ways",
    ),
    "not UTF-8": refused(
        "usage",
        "S113",
        written("usage", USAGE.replace("board", "bücher").encode("latin-1")),
        "line 4: is not UTF-8 text (byte 0xFC)",
    ),
    "UTF-16": refused("usage", "S113", written("usage", USAGE.encode("utf-16")), "line 1: is not UTF-8 text"),
    "a quote that nothing closes": refused(
        "surveys",
        "S113",
        written("surveys", text_of("surveys", f's9,a1,p1,3,"never closed,{T}')),
        "line 5: its quotes do not match",
    ),
    "a text of 10 MB in CSV": refused(
        "surveys", "S113", more("surveys", f"s9,a1,p1,3,{HUGE},{T}"), "line 5: is longer than 2,000,000 bytes"
    ),
    "a text of 10 MB in Parquet": Fault(
        "surveys", "S110", parquet("surveys", comment=[HUGE, "less and less", None]), "xxx...", rows=1
    ),
    "a login page for a table": refused(
        "usage", "S103", written("usage", "<html><body>Please log in</body></html>\n"), 'no column "account_id"'
    ),
    "no account at all": refused(
        "accounts", "S112", written("accounts", HEADERS["accounts"] + "\n"), "nobody to ask", "no rows"
    ),
}

# What looks untidy and is read as it is meant, without a word.
HARMLESS: dict[str, Damage] = {
    "a byte order mark": written("usage", b"\xef\xbb\xbf" + USAGE.encode()),
    "semicolons": written("usage", USAGE.replace(",", ";")),
    "tabs": written("usage", USAGE.replace(",", "\t")),
    "line ends of Windows": written("usage", USAGE.replace("\n", "\r\n")),
    "line ends of old Macs": written("usage", USAGE.replace("\n", "\r")),
    "no line end at the end": written("usage", USAGE.rstrip("\n")),
    "empty lines at the end": written("usage", f"{USAGE}\n\n"),
    "a comma at every end": written("usage", USAGE.replace("\n", ",\n")),
    "spaces around values": written("tickets", text_of("tickets").replace(",", " , ").replace(" , , ", " ,, ")),
    "quotes around values": written("tickets", text_of("tickets").replace("high", '"high"')),
    "columns in capitals": written(
        "tickets", HEADERS["tickets"].upper() + text_of("tickets")[len(HEADERS["tickets"]) :]
    ),
    "compressed": written("usage", gzip.compress(USAGE.encode()), "usage.csv.gz"),
    "Parquet of text": parquet("usage"),
    "bytes that are text": parquet("visits", page=[b"other", b"cancel"]),
    "times with a zone": parquet(
        "visits",
        occurred_at=pa.array(
            [dt.datetime(2025, 2, 1, 10), dt.datetime(2025, 9, 28, 10)], pa.timestamp("us", "Asia/Tokyo")
        ),
    ),
}
