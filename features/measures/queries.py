"""The queries of a pass: each written in Ibis, compiled once, and run as often as there are passes.

What differs from pass to pass (dates, accounts) lies in small temporary tables of fixed names, never in the text
of a query. So the text is compiled the first time it is asked for in a process (some 2 s for a catalogue of 25
signals, more than one account's data ever cost) and found again by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import pyarrow as pa

if TYPE_CHECKING:
    from features.sources import Database


@dataclass(frozen=True)
class _Text:
    sql: str
    needs: tuple[str, ...]  # stored tables that it reads


_COMPILED: dict[Hashable, _Text] = {}


class Queries:
    """Queries on one database.

    Parameters
    ----------
    database
        The company's tables. Databases with the same tables and columns share their compiled queries.
    """

    def __init__(self, database: Database) -> None:
        self._ibis: Any = database.connection
        self._engine: Any = database.connection.con
        self._shape = tuple(sorted((name, tuple(columns)) for name, columns in _columns(database).items()))
        self._makers: dict[str, tuple[Hashable, Callable[[], ir.Table]]] = {}
        self._stored: set[str] = set()
        self._needed: list[str] = []

    def put(self, name: str, columns: Mapping[str, pa.Array]) -> None:
        """Store a small table of this pass."""
        self._engine.register("given_columns", pa.table(dict(columns)))
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_columns")
        self._engine.unregister("given_columns")

    def later(self, name: str, key: Hashable, query: Callable[[], ir.Table]) -> None:
        """Say how to make a table; it is made when a query first reads it."""
        self._makers[name] = (key, query)

    def table(self, name: str) -> ir.Table:
        """Return a stored table, to build queries on."""
        if name in self._makers:
            self._needed.append(name)
            self._make(name)
        table: ir.Table = self._ibis.table(name, database="temp.main")
        return table

    def fetch(self, key: Hashable, query: Callable[[], ir.Table]) -> pa.Table:
        """Run a query and fetch all rows. `key` names its text: equal keys, equal queries."""
        text = self._text(key, query)
        return self._engine.sql(text.sql).to_arrow_table()

    def forget(self) -> None:
        """Drop what was stored, to give back its room."""
        for name in self._stored:
            self._engine.execute(f"DROP TABLE IF EXISTS temp.main.{name}")
        self._stored.clear()

    def _make(self, name: str) -> None:
        if name in self._stored:
            return
        key, query = self._makers[name]
        text = self._text((name, key), query)
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {text.sql}")
        self._stored.add(name)

    def _text(self, key: Hashable, query: Callable[[], ir.Table]) -> _Text:
        whole = (self._shape, key)
        found = _COMPILED.get(whole)
        if found is None:
            outer, self._needed = self._needed, []
            sql = self._ibis.compile(query())
            found = _COMPILED[whole] = _Text(sql, tuple(dict.fromkeys(self._needed)))
            self._needed = outer
        for name in found.needs:
            self._make(name)
        return found


def _columns(database: Database) -> dict[str, tuple[str, ...]]:
    return {name: tuple(table.columns) for name, table in database.tables.items()}
