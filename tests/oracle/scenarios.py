"""Scenarios that a domain person writes in TOML, as companies of rows with what is expected of each.

A file says which tables are connected (``connected``) and since when they were delivered, what each account
usually has (``usual``), and then one ``[[scenario]]`` after the other: a sentence, the rows that matter, and
the readings expected. Each scenario is one account; those of a file share a company, unless one asks for a table
or column to be missing (``without``: "usage" or "usage.user_id"). Within a row:

* ``"30 days ago"``, ``"in 5 days"`` and ``"today"`` are days, or moments, counted from the file's ``as_of``;
* ``times = 12`` repeats the row with ``{n}`` = 1 to 12 (``first = 31`` begins elsewhere);
* keys are made up where none is given; names of people and keys belong to their account.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.oracle.company import CONTRACT, Company, Row

FOLDER = Path(__file__).parent.parent / "scenarios"
NOT_DELIVERED_BY_FEEDS = ("accounts", "contracts", "plans", "feeds", "assessments")
OF_THE_ACCOUNT = ("user_id", "member_id", "respondent_id", "contact_id", "successor_id")
PHRASE = re.compile(r"(?:(?P<ahead>in) )?(?P<days>\d+(?:\.\d+)?) days?(?: (?P<ago>ago))?")


@dataclass(frozen=True)
class Scenario:
    """One account, and what is expected of it."""

    name: str
    file: str
    account_id: str
    as_of: dt.datetime
    expect: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ScenarioCompany:
    """One company, and the scenarios that are its accounts."""

    name: str
    company: Company
    scenarios: Sequence[Scenario]


@cache
def scenario_companies() -> tuple[ScenarioCompany, ...]:
    """Every company that the scenario files describe."""
    return tuple(made for path in sorted(FOLDER.glob("*.toml")) for made in companies_of(path))


def companies_of(path: Path) -> Iterator[ScenarioCompany]:
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    groups: dict[tuple[str, ...], list[tuple[str, Mapping[str, Any]]]] = {}
    for number, scenario in enumerate(raw["scenario"], start=1):
        groups.setdefault(tuple(scenario.get("without", ())), []).append((f"{path.stem}-{number}", scenario))
    for without, members in groups.items():
        company = _company(raw, without, members)
        scenarios = [
            Scenario(one["name"], path.stem, account, _as_of(raw), one["expect"]) for account, one in members
        ]
        yield ScenarioCompany(" without ".join([path.stem, *without]), company, scenarios)


def _as_of(raw: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.combine(raw["as_of"], dt.time())


def _company(
    raw: Mapping[str, Any], without: Sequence[str], members: Sequence[tuple[str, Mapping[str, Any]]]
) -> Company:
    as_of = _as_of(raw)
    connected = ["accounts", "contracts", "feeds", *raw["connected"]]
    tables: dict[str, list[Row]] = {table: [] for table in connected if table not in without}
    if "plans" in tables:
        tables["plans"] = [made for row in raw["plans"] for made in rows_of("plans", row, None, as_of)]
    accounts = [*members, *([("the-rest", raw["rest"])] if "rest" in raw else [])]
    for account, scenario in accounts:
        for table in tables:
            if table != "plans":
                tables[table] += _table(raw, scenario, table, account, as_of)
    begins = {table: day(raw["begins"][table], as_of) for table in raw.get("begins", {}) if "feeds" in without}
    return Company(tables, begins, frozenset(name for name in without if "." in name))


def _table(
    raw: Mapping[str, Any], scenario: Mapping[str, Any], table: str, account: str, as_of: dt.datetime
) -> list[dict[str, Any]]:
    written = scenario.get(table, raw.get("usual", {}).get(table, [{}] if table == "accounts" else []))
    rows = [made for row in written for made in rows_of(table, row, account, as_of)]
    if table == "feeds":
        named = {row["table"] for row in rows}
        rows += [
            {"table": one, "account_id": account, "covered_from": day(raw["delivered_since"], as_of)}
            for one in raw["connected"]
            if one not in named and one not in NOT_DELIVERED_BY_FEEDS
        ]
    for number, row in enumerate(rows, start=1):
        _give_key(table, row, f"{account}/{number}")
    return rows


def _give_key(table: str, row: dict[str, Any], made_up: str) -> None:
    key = CONTRACT[table]["key"]
    if len(key) == 1:
        row.setdefault(key[0], made_up)


def rows_of(
    table: str, row: Mapping[str, Any], account: str | None, as_of: dt.datetime
) -> Iterator[dict[str, Any]]:
    """The row as often as it says, with its days counted from `as_of`."""
    first, times = row.get("first", 1), row.get("times", 1)
    for n in range(first, first + times):
        made = {
            name: _value(table, name, value.replace("{n}", str(n)) if isinstance(value, str) else value, as_of)
            for name, value in row.items()
            if name not in ("first", "times")
        }
        if account is not None:
            own = [*OF_THE_ACCOUNT, *(CONTRACT[table]["key"] if len(CONTRACT[table]["key"]) == 1 else ())]
            made |= {name: f"{account}:{made[name]}" for name in own if made.get(name) is not None}
            made["account_id"] = account
        yield made


def _value(table: str, column: str, value: Any, as_of: dt.datetime) -> Any:
    kind = "time" if column == "recorded_at" else CONTRACT[table]["columns"][column]["type"]
    if not isinstance(value, str) or kind not in ("time", "date"):
        return value
    when = moment_of(value, as_of)
    return when.date() if kind == "date" else when


def moment_of(phrase: str, as_of: dt.datetime) -> dt.datetime:
    """Read "30 days ago", "in 2.5 days", "today".

    >>> moment_of("1.5 days ago", dt.datetime(2025, 7, 1))
    datetime.datetime(2025, 6, 29, 12, 0)
    """
    if phrase == "today":
        return as_of
    found = PHRASE.fullmatch(phrase)
    if found is None or bool(found["ahead"]) == bool(found["ago"]):
        raise ValueError(f'"{phrase}": write "30 days ago", "in 5 days" or "today"')
    days = dt.timedelta(days=float(found["days"]))
    return as_of + days if found["ahead"] else as_of - days


def day(phrase: str, as_of: dt.datetime) -> dt.date:
    return moment_of(phrase, as_of).date()
