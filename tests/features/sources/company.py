"""A company's folder, written by a test: only what matters to it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.sources import Database, Sources, load_sources, open_database
from features.sources.check import check_sources
from features.sources.problems import Problem

NOW = dt.datetime(2026, 1, 1)
TWO_ACCOUNTS = "account_id\na1\na2\n"


def at(text: str) -> dt.datetime:
    """2025-06-30 12:00 as a moment."""
    return dt.datetime.fromisoformat(text)


class Company:
    """A company's folder: tables are added one by one, `sources.toml` is written from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._head = ['company = "Acme"']
        self._tables: dict[str, str] = {}
        self._tail: list[str] = []
        self._opened: list[Database] = []
        self.csv("accounts", TWO_ACCOUNTS)

    def csv(self, table: str, text: str, settings: str = "", file: str | None = None) -> Company:
        file = file or f"{table}.csv"
        (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_text(text, encoding="utf-8")
        return self.path(table, file, settings)

    def parquet(self, table: str, columns: dict[str, Any], settings: str = "") -> Company:
        pq.write_table(pa.table(columns), self.folder / f"{table}.parquet")
        return self.path(table, f"{table}.parquet", settings)

    def path(self, table: str, path: str, settings: str = "") -> Company:
        self._tables[table] = f"[tables.{table}]\npath = '''{path}'''\n{settings}"
        return self

    def query(self, table: str, query: str, settings: str = "") -> Company:
        self._tables[table] = f"[tables.{table}]\nquery = '''{query}'''\n{settings}"
        return self

    def forget(self, *tables: str) -> Company:
        """Leave the tables' files, and connect them no longer."""
        for table in tables:
            del self._tables[table]
        return self

    def says(self, line: str) -> Company:
        self._head.append(line)
        return self

    def section(self, text: str) -> Company:
        self._tail.append(text)
        return self

    @property
    def toml(self) -> str:
        return "\n".join([*self._head, *self._tables.values(), *self._tail])

    def load(self) -> Sources:
        (self.folder / "sources.toml").write_text(self.toml, encoding="utf-8")
        return load_sources(self.folder)

    def open(self, **options: Any) -> Database:
        self._opened.append(open_database(self.load(), **options))
        return self._opened[-1]

    def check(self, now: dt.datetime = NOW) -> list[Problem]:
        return check_sources(self.load(), now)

    def close(self) -> None:
        for database in self._opened:
            database.close()


def rows(database: Database, table: str, *columns: str) -> list[Any]:
    """All rows of a table, sorted; one value or a tuple each."""
    source = database.feeds if table == "coverage" else database.tables[table]
    found = database.connection.to_pyarrow(source.select(*columns)).to_pylist()
    values = [tuple(row[column] for column in columns) for row in found]
    values.sort(key=lambda row: [(value is not None, value) for value in row])
    return values if len(columns) > 1 else [value for (value,) in values]


def rows_known(database: Database, table: str, moment: dt.datetime, *columns: str) -> list[Any]:
    """The rows that count at a moment, as every reader of the tables counts them."""
    source = database.feeds if table == "coverage" else database.tables[table]
    known = source.filter((source.known_from <= moment) & (moment < source.known_until))
    found = database.connection.to_pyarrow(known.select(*columns)).to_pylist()
    values = [tuple(row[column] for column in columns) for row in found]
    values.sort(key=lambda row: [(value is not None, value) for value in row])
    return values if len(columns) > 1 else [value for (value,) in values]
