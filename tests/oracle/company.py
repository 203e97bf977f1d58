"""A company's tables as plain rows, and what was known of them on a date."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import features.sources

Row = Mapping[str, Any]

ONE_DAY = dt.timedelta(days=1)
A_MOMENT = dt.timedelta(microseconds=1)
ALWAYS = dt.datetime.fromisoformat("0001-01-01")
OVERLAY = Path(__file__).with_name("overlay")  # of a company with tables of its own
OWN: Mapping[str, Any] = tomllib.loads((OVERLAY / "tables.toml").read_text(encoding="utf-8"))
CONTRACT: Mapping[str, Any] = OWN | tomllib.loads(
    (Path(next(iter(features.sources.__path__))) / "contract.toml").read_text(encoding="utf-8")
)
# Without `recorded_at`, a state row is known from the end of the first of these days, else always.
KNOWN_FROM = {
    "contracts": ("signed_at", "start_date"),
    "contacts": ("valid_from",),
    "plans": ("valid_from",),
    "feeds": ("covered_from",),
    "subscription_addons": ("since",),
}


def moment(value: dt.date | dt.datetime) -> dt.datetime:
    """A date without a time counts from the next midnight.

    >>> moment(dt.date(2024, 5, 1))
    datetime.datetime(2024, 5, 2, 0, 0)
    """
    if isinstance(value, dt.datetime):
        return value
    return dt.datetime.combine(value, dt.time()) + ONE_DAY


def day_of(when: dt.datetime) -> dt.date:
    """The day that a moment ends or lies in: midnight still belongs to the day before.

    >>> day_of(dt.datetime(2024, 5, 2, 0, 0)), day_of(dt.datetime(2024, 5, 2, 0, 1))
    (datetime.date(2024, 5, 1), datetime.date(2024, 5, 2))
    """
    return (when - A_MOMENT).date()


@dataclass(frozen=True)
class Company:
    """Tables by name, each a list of rows; a table that is not here is not connected.

    `begins` says from which day on a table was delivered where no feed says so; `lacking`, as ``table.column``,
    which columns were not delivered.
    """

    tables: Mapping[str, Sequence[Row]]
    begins: Mapping[str, dt.date] = field(default_factory=dict)
    lacking: frozenset[str] = frozenset()

    def delivered(self, table: str) -> set[str]:
        """The columns that can be read: those delivered, and those for which the contract has a default."""
        if table not in self.tables:
            return set()
        columns = CONTRACT[table]["columns"]
        return {c for c in columns if f"{table}.{c}" not in self.lacking or "default" in columns[c]}

    @cached_property
    def rows(self) -> Mapping[str, Sequence[Row]]:
        """Every table's rows with typed times, the contract's defaults and `known_from`."""
        accounts = {row["account_id"] for row in self.tables["accounts"]}
        there = {table: [self._there(table, row) for row in rows] for table, rows in self.tables.items()}
        return {
            table: [
                row
                for row in (normalised(table, row) for row in rows)
                if row.get("account_id") in accounts or table in ("plans", "feeds")
            ]
            for table, rows in there.items()
        }

    def _there(self, table: str, row: Row) -> Row:
        return {name: value for name, value in row.items() if f"{table}.{name}" not in self.lacking}

    def known_at(self, as_of: dt.datetime) -> Known:
        """What was known at `as_of`."""
        return Known(self, as_of)


def normalised(table: str, row: Row) -> Row:
    """One row as the contract types it: times are moments, dates are dates, defaults stand for nulls."""
    columns: Mapping[str, Mapping[str, Any]] = CONTRACT[table]["columns"]
    made: dict[str, Any] = {name: row.get(name, column.get("default")) for name, column in columns.items()}
    for name, column in columns.items():
        if made[name] is None:
            made[name] = column.get("default")
        elif column["type"] == "time":
            made[name] = moment(made[name])
        elif column["type"] == "date" and isinstance(made[name], dt.datetime):
            made[name] = made[name].date()
    made |= {name: value for name, value in row.items() if name not in made}
    made["known_from"] = known_from(table, made)
    return made


def known_from(table: str, row: Row) -> dt.datetime:
    """The moment we came to know a row: when it was recorded, else when it happened or was agreed."""
    if row.get("recorded_at") is not None:
        return moment(row["recorded_at"])
    occurred = CONTRACT[table].get("occurred")
    for column in (occurred,) if occurred else KNOWN_FROM.get(table, ()):
        if row.get(column) is not None:
            return moment(row[column])
    return ALWAYS


def key_of(table: str, row: Row) -> tuple[Any, ...]:
    """What makes two rows versions of one another: the key's columns, or the content without a key."""
    key = tuple(row.get(column) for column in CONTRACT[table]["key"])
    if any(part is not None for part in key):
        return key
    return tuple((name, row[name]) for name in CONTRACT[table]["columns"])


def version_in_force(table: str, versions: Sequence[Row], at: dt.datetime) -> Row | None:
    """Of one row's versions, the one recorded last by then; of those of the same second, the last by content."""
    known = [row for row in versions if row["known_from"] <= at]
    if len(known) < 2:
        return known[0] if known else None
    return max(known, key=lambda row: (row["known_from"], content(table, row)))


def content(table: str, row: Row) -> list[tuple[bool, Any]]:
    """What a row says, column by column, to be put in order; nulls come first."""
    return [(row[name] is not None, row[name]) for name in CONTRACT[table]["columns"]]


class Known:
    """What was known at one moment: each key's version in force, and events only once they happened."""

    def __init__(self, company: Company, as_of: dt.datetime) -> None:
        self.company, self.as_of = company, as_of
        self._tables: dict[str, dict[str | None, list[Row]]] = {}

    def connected(self, table: str) -> bool:
        return table in self.company.tables

    def rows(self, table: str, account_id: str | None = None) -> list[Row]:
        """The rows known, of all accounts or of one."""
        if table not in self._tables:
            self._tables[table] = self._known(table)
        return self._tables[table].get(account_id, [])

    def versions(self, table: str) -> Mapping[tuple[Any, ...], list[Row]]:
        """Every version of every row, also those that were not known yet."""
        versions: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.company.rows.get(table, ()):
            versions.setdefault(key_of(table, row), []).append(row)
        return versions

    def _known(self, table: str) -> dict[str | None, list[Row]]:
        occurred = CONTRACT[table].get("occurred")
        accounts = {row["account_id"] for row in self.company.rows["accounts"] if row["known_from"] <= self.as_of}
        by_account: dict[str | None, list[Row]] = {None: []}
        for versions in self.versions(table).values():
            row = version_in_force(table, versions, self.as_of)
            if row is None or (occurred and row[occurred] > self.as_of):
                continue
            if row.get("account_id") is not None and row["account_id"] not in accounts and table != "feeds":
                continue  # of an account that nobody had heard of yet
            by_account[None].append(row)
            if row.get("account_id") is not None:
                by_account.setdefault(row["account_id"], []).append(row)
        return by_account
