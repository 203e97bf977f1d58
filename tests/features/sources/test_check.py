"""One company with everything wrong at a time: each kind of problem is found, named and counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from features.sources.check import check_report
from features.sources.problems import Problem, Severity, kinds
from tests.features.sources.company import NOW, Company
from tests.features.sources.faults import FAULTS

USAGE = "account_id,occurred_at\n"
TICKETS = "ticket_id,account_id,opened_at,closed_at,recorded_at\n"
CONTRACTS = "contract_id,account_id,start_date,end_date,notice_deadline\n"
FEEDS = "table,account_id,covered_from,covered_to\n"
DAYS = [f"2025-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 29)]
DAILY = "".join(f"a1,{day} 10:00\n" for day in DAYS)
Wrong = Callable[[Company], Company]

# code -> what to do to a company with two accounts, part of the sentence, rows, sample
CASES: dict[str, tuple[Wrong, str, int | None, tuple[str, ...]]] = {
    "S101": (lambda c: c.path("usage", "usge.csv"), "no such file", None, ()),
    "S102": (lambda c: c.csv("usage", USAGE), "usage has no rows", None, ()),
    "S103": (
        lambda c: c.csv("usage", "account_id,ocurred_at\na1,2025-01-01\n"),
        'there is no column "occurred_at". Did you mean "ocurred_at"? Allowed: account_id, ocurred_at.',
        None,
        (),
    ),
    "S104": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\n", 'columns = { feature = "module" }'),
        'there is no column "module" (for feature)',
        None,
        (),
    ),
    "S105": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\na1,31/01/2025\na1,31/01/2025\na1,?\n"),
        "occurred_at cannot be read as a time (2025-06-30 17:00:00) in 3 rows of 4.",
        3,
        ("31/01/2025", "?"),
    ),
    "S106": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\na1,\n"),
        "occurred_at is empty in 1 row of 2.",
        1,
        (),
    ),
    "S107": (
        lambda c: c.csv("surveys", "account_id,nps,occurred_at\na1,11,2025-01-01\na1,-1,2025-01-01\n"),
        "nps is under 0 or over 10 in 2 rows of 2.",
        2,
        ("-1", "11"),
    ),
    "S108": (
        lambda c: c.csv("requests", "account_id,kind,occurred_at\na1,Discount,2025-01-01\n"),
        "kind is none of discount, terms, downgrade, data_export, cancel, expansion in 1 row of 1.",
        1,
        ("Discount",),
    ),
    "S109": (
        lambda c: c.csv("usage", f"{USAGE}7,2025-01-01\n").query("usage", "select * from read_csv('usage.csv')"),
        "account_id was read from CSV as a number.",
        None,
        (),
    ),
    "S110": (
        lambda c: c.csv("surveys", f"account_id,nps,occurred_at,comment\na1,5,2025-01-01,{'x' * 10001}\n"),
        "comment is longer than 10,000 characters in 1 row of 1.",
        1,
        ("x" * 40 + "...",),
    ),
    "S111": (lambda c: c.csv("usage", f"{USAGE}a1,?\n"), "No row of usage keeps the contract.", None, ()),
    "S112": (lambda c: c.csv("accounts", "account_id\n"), "accounts has no rows.", None, ()),
    "S201": (
        lambda c: c.csv("tickets", f"{TICKETS}t1,a1,2025-01-01,,2025-01-02\nt1,a2,2025-01-01,,2025-01-02\n"),
        "2 rows share their key and recorded_at with another row, and differ from it.",
        2,
        ("t1",),
    ),
    "S202": (
        lambda c: c.csv("tickets", TICKETS + "t1,a1,2025-01-01,,2025-01-02\n" * 3),
        "2 rows only repeat another row.",
        2,
        ("t1",),
    ),
    "S203": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\nnobody,2025-01-01\n"),
        "account_id is not in `accounts` in 1 row of 2.",
        1,
        ("nobody",),
    ),
    "S204": (
        lambda c: c.csv("usage", f"{USAGE}A-1,2025-01-01\nA-2,2025-01-01\n"),
        "account_id is not in `accounts` in 2 rows of 2.",
        2,
        ("A-1", "A-2"),
    ),
    "S205": (
        lambda c: c.csv("tickets", "ticket_id,account_id,opened_at\nt1,a1,2025-01-01\nt1,a2,2025-03-01\n"),
        "2 rows share their key with a different row; each is read as a correction of the one before.",
        2,
        ("t1",),
    ),
    "S206": (
        lambda c: c.csv("accounts", "account_id,csm\na1,Ada\na1,Bo\na2,Cy\n"),
        "2 rows share their key and recorded_at with another row, and differ from it.",
        2,
        ("a1",),
    ),
    "S301": (lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\n"), "usage has no recorded_at.", None, ()),
    "S302": (
        lambda c: c.csv("contracts", f"{CONTRACTS}c1,a1,2025-01-01,,\n"),
        "contracts: its rows have no recorded_at: what was changed later shows in the past.",
        None,
        (),
    ),
    "S303": (
        lambda c: c.csv("accounts", "account_id,industry\na1,x\na2,y\n"),
        "accounts.industry: only today's value is known.",
        None,
        (),
    ),
    "S304": (
        lambda c: c.says("observed_until = 2025-01-31").csv("usage", f"{USAGE}a1,2025-01-31\na1,2025-06-01\n"),
        "occurred_at lies after the end of the history (2025-02-01 00:00:00) in 1 row of 2.",
        1,
        ("2025-06-02 00:00:00",),
    ),
    "S305": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01T10:00Z\na1,2025-01-01T10:00:00+02\na1,2025-01-01 10:00\n"),
        "occurred_at has a zone in 2 rows and none in 1 row.",
        1,
        (),
    ),
    "S306": (
        lambda c: c.csv("contracts", f"{CONTRACTS}c1,a1,2025-02-01,2025-01-01,\n"),
        "end_date lies before start_date in 1 row of 1.",
        1,
        ("2025-02-01 to 2025-01-01",),
    ),
    "S307": (
        lambda c: c.csv("tickets", f"{TICKETS}t1,a1,2025-01-01 10:00,2025-02-01 10:00,2025-01-01 10:00\n"),
        "closed_at lies after recorded_at in 1 row of 1.",
        1,
        ("ended 2025-02-01 10:00:00, recorded 2025-01-01 10:00:00",),
    ),
    "S308": (
        lambda c: c.csv("contracts", f"{CONTRACTS}c1,a1,2025-01-01,2025-12-31,2026-01-31\n"),
        "end_date lies before notice_deadline in 1 row of 1.",
        1,
        ("2026-01-31 to 2025-12-31",),
    ),
    "S309": (lambda c: c, "Nothing says where the history ends.", None, ()),
    "S310": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-01\na1,2025-01-01 10:00\n"),
        "occurred_at is a date without a time in 1 row of 2.",
        1,
        (),
    ),
    "S311": (
        lambda c: c.csv("usage", USAGE + "".join(f"a1,{day} 00:00:00\n" for day in DAYS[:10])),
        "occurred_at is midnight in all 10 rows.",
        10,
        (),
    ),
    "S317": (
        lambda c: c.says("observed_until = 2099-12-31").csv("usage", f"{USAGE}a1,2025-01-31\n"),
        "observed_until (2100-01-01 00:00:00) lies in the future.",
        None,
        (),
    ),
    "S318": (
        lambda c: c.csv("contracts", f"{CONTRACTS}c1,a1,2025-01-01,2025-12-31,\nc2,a1,2062-01-01,,\n"),
        "start_date lies more than two years ahead in 1 row of 2.",
        1,
        ("2062-01-01",),
    ),
    "S401": (
        lambda c: c.csv("feeds", f"{FEEDS}usge,,2025-01-01,\n"),
        'feeds names "usge". Did you mean "usage"?',
        1,
        ("usge",),
    ),
    "S402": (
        lambda c: c.csv("feeds", f"{FEEDS}usage,,2025-01-01,2025-02-01\nusage,,2025-02-01,\n"),
        "1 row of feeds overlap with another.",
        1,
        ("usage, all accounts: from 2025-01-01 and from 2025-02-01",),
    ),
    "S403": (
        lambda c: c.csv("usage", f"{USAGE}a1,2025-01-05\n"),
        "usage is taken to cover every account from 2025-01-05, the day of its first row.",
        None,
        (),
    ),
    "S404": (
        lambda c: c.csv("feeds", f"{FEEDS}usage,,2025-01-01,\n"),
        "feeds names usage, which sources.toml does not connect.",
        1,
        ("usage",),
    ),
    "S405": (
        lambda c: c.says("observed_until = 2025-04-01").csv("usage", USAGE + DAILY),
        "The last row of usage is of 2025-02-28, 33 days before the end of the history",
        None,
        (),
    ),
    "S501": (
        lambda c: c,
        "surveys is not connected. Unknown without it: nps_score, nps_detractors, nps_change.",
        None,
        (),
    ),
    "S502": (
        lambda c: c.csv("tickets", f"{TICKETS}t1,a1,2025-01-01,,2025-01-02\n"),
        "tickets has no satisfaction, which support_satisfaction would read.",
        None,
        (),
    ),
}  # fmt: skip
ELSEWHERE = {fault.code for fault in FAULTS.values()} | {"S901", "S902"}  # test_faults.py, test_commands.py


def of(problems: list[Problem], code: str) -> list[Problem]:
    return [problem for problem in problems if problem.code == code]


def test_every_kind_of_problem_has_a_case() -> None:
    assert set(CASES) | ELSEWHERE == set(kinds())


@pytest.mark.parametrize("code", CASES)
def test_the_problem_is_found_with_its_rows_and_a_sample(company: Company, code: str) -> None:
    wrong, sentence, rows, sample = CASES[code]
    found = [problem for problem in of(wrong(company).check(), code) if sentence in problem.sentence]
    assert len(found) == 1
    assert (found[0].rows, found[0].sample) == (rows, sample)
    assert found[0].severity is kinds()[code].severity
    assert found[0].remedy


SOUND = {
    "accounts": "account_id,csm,industry,region,recorded_at\na1,Ada,x,y,2025-01-01 08:00\n"
    "a2,Bo,x,y,2025-01-01 08:00\n",
    "usage": "account_id,user_id,feature,occurred_at,recorded_at\n"
    + "".join(f"a1,u1,chat,{day} 10:00,{day} 10:05\n" for day in DAYS),
    "tickets": "ticket_id,account_id,opened_at,closed_at,priority,escalated,category,satisfaction,recorded_at\n"
    "t1,a1,2025-01-05 10:00,,high,no,bug,,2025-01-05 10:00\n"
    "t1,a1,2025-01-05 10:00,2025-01-07 09:00,high,no,bug,5,2025-01-07 09:00\n",
    "contracts": "contract_id,account_id,start_date,end_date,notice_deadline,recorded_at\n"
    "c1,a1,2025-01-01,2025-12-31,2025-09-30,2025-01-01 09:00\n",
    "feeds": "table,account_id,covered_from,covered_to,recorded_at\nusage,,2025-01-01,,2025-01-01 08:00\n"
    "tickets,,2025-01-01,,2025-01-01 08:00\ncontracts,,2025-01-01,,2025-01-01 08:00\n",
}  # fmt: skip


@pytest.fixture
def sound(company: Company) -> Company:
    for table, text in SOUND.items():
        company.csv(table, text)
    return company


def test_sound_tables_have_no_problems_but_those_that_are_missing(sound: Company) -> None:
    assert {problem.code for problem in sound.check()} == {"S501"}


def test_the_report_sums_up_every_table(sound: Company) -> None:
    report = check_report(sound.csv("usage", SOUND["usage"] + "a1,u1,chat,?,?\n").load(), NOW)
    summaries = {table.table: table for table in report.tables}
    usage = summaries["usage"]
    assert (usage.rows, usage.kept, str(usage.first), str(usage.last)) == (57, 56, "2025-01-01", "2025-02-28")
    assert str(report.observed_until) == "2025-02-28 10:05:00"


def test_the_worst_comes_first(company: Company) -> None:
    company.csv("usage", f"{USAGE}a1,2025-01-01\na1,?\nnobody,2025-01-01\n")
    found = [problem.severity for problem in company.check()]
    assert found == sorted(found, key=list(Severity).index)
    assert {*found} == {*Severity}


def test_one_broken_table_does_not_hide_the_others(company: Company) -> None:
    company.path("usage", "usge.csv").csv("tickets", "account_id,opened\na1,2025-01-01\n")
    company.query("visits", "select * from nowhere").csv("requests", "account_id,kind,occurred_at\na1,x,?\n")
    found = [(problem.table, problem.code) for problem in company.check() if problem.severity is Severity.ERROR]
    assert {("usage", "S101"), ("visits", "S101"), ("tickets", "S103")} <= {*found}
    assert {("requests", "S105"), ("requests", "S108")} <= {*found}


def test_without_accounts_the_other_tables_are_still_read(company: Company) -> None:
    company.path("accounts", "acounts.csv").csv("usage", f"{USAGE}a1,?\na1,2025-01-01\n")
    found = [(problem.table, problem.code) for problem in company.check() if problem.severity is Severity.ERROR]
    assert found == [("accounts", "S101"), ("usage", "S105")]


def test_a_table_that_breaks_while_it_is_read_is_named(company: Company) -> None:
    text = "account_id,occurred_at\n" + "a1,2025-01-01\n" * 30_000 + "a1,2025-01-01,too,many,columns\n"
    (problem,) = of(company.csv("usage", text).check(), "S113")
    assert problem.table == "usage"
    assert problem.sentence == "usage.csv, line 30,002: has 5 columns, where the header has 2."


def test_a_table_delivered_with_no_rows_is_no_problem_where_a_feed_covers_it(company: Company) -> None:
    company.csv("usage", USAGE, "begins = 2025-01-01").says("observed_until = 2025-06-30")
    assert of(company.check(), "S102") == []


def test_recorded_on_the_day_of_a_close_without_time_is_no_leak(company: Company) -> None:
    company.csv("tickets", f"{TICKETS}t1,a1,2025-01-01,2025-01-05,2025-01-05 16:00\n")
    assert of(company.check(), "S307") == []


def test_corrections_are_no_repeated_keys(company: Company) -> None:
    company.csv("tickets", f"{TICKETS}t1,a1,2025-01-01,,2025-01-02\nt1,a1,2025-01-01,2025-02-01,2025-02-02\n")
    assert [problem for problem in company.check() if problem.code.startswith("S2")] == []


def test_a_feed_replaced_by_its_correction_overlaps_nothing(company: Company) -> None:
    text = f"{FEEDS[:-1]},recorded_at\nusage,,2025-01-01,,2025-01-01\nusage,,2025-01-01,2025-02-01,2025-02-02\n"
    company.csv("feeds", f"{text}usage,,2025-03-01,,2025-03-01\n")
    assert of(company.check(), "S402") == []


def test_a_sparse_table_is_not_called_quiet(company: Company) -> None:
    weekly = "".join(f"a1,{day} 10:00\n" for day in DAYS[::7])
    company.says("observed_until = 2025-04-01").csv("usage", USAGE + weekly)
    assert of(company.check(), "S405") == []


def test_events_marked_as_never_rewritten_need_no_recorded_at(company: Company) -> None:
    company.csv("usage", f"{USAGE}a1,2025-01-01\n", "never_rewritten = true")
    assert of(company.check(), "S301") == []
