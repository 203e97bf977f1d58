"""The queries of a pass: each written in Ibis, compiled once, and run as often as there are passes.

What differs from pass to pass (accounts) lies in small working tables of fixed names, never in the text of a
query. So the text is compiled the first time it is asked for in a process (some 10 ms each, 0.2 s for a catalogue
of 25 signals) and found again by its key, for each engine's dialect. Only the counting of a large table has its
dates in the text, and in the key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.expr.operations import PhysicalTable

from features.sources.engines import bound

if TYPE_CHECKING:
    from features.sources import Database


@dataclass(frozen=True)
class _Text:
    sql: str
    schema: ibis.Schema
    needs: tuple[str, ...]  # stored tables that it reads


_COMPILED: dict[Hashable, _Text] = {}


class Queries:
    """Queries on one database.

    Parameters
    ----------
    database
        The company's tables. Databases with the same tables, columns and types share their compiled queries.
    """

    def __init__(self, database: Database) -> None:
        self._engine = database.engine
        tables = {
            name: (tuple(table.schema().items()), self._made(table)) for name, table in database.tables.items()
        }
        self._shape = (self._engine.dialect, tuple(sorted(tables.items(), key=lambda item: item[0])))
        self._makers: dict[str, tuple[Hashable, Callable[[], ir.Table]]] = {}
        self._given: dict[str, ibis.Schema] = {}
        self._stored: set[str] = set()
        self._needed: list[str] = []

    def _made(self, table: ir.Table) -> str:
        """Say how a table is made of another one, empty where it is stored.

        Training blanks columns that show only today's state: by names and types such a table is the one that is
        stored, and with its text training would read what was not known.
        """
        return "" if isinstance(table.op(), PhysicalTable) else str(self._engine.ibis.compile(table))

    def put(self, name: str, columns: Mapping[str, pa.Array]) -> None:
        """Store a small table of this pass."""
        rows = pa.table(dict(columns))
        self._engine.put(_working(name), rows)
        self._given[name] = ibis.Schema.from_pyarrow(rows.schema)

    def later(self, name: str, key: Hashable, query: Callable[[], ir.Table]) -> None:
        """Say how to make a table; it is made when a query first reads it."""
        self._makers[name] = (key, query)

    def table(self, name: str) -> ir.Table:
        """Return a stored table, to build queries on."""
        if name in self._given:
            return bound(self._engine, _working(name), self._given[name])
        self._needed.append(name)
        self._make(name)
        key, query = self._makers[name]
        return bound(self._engine, _working(name), self._text((name, key), query).schema)

    def fetch(self, key: Hashable, query: Callable[[], ir.Table]) -> pa.Table:
        """Run a query and fetch all rows. `key` names its text: equal keys, equal queries."""
        text = self._text(key, query)
        fields = text.schema.to_pyarrow()
        return self._engine.fetch(text.sql, pa.schema([(field.name, field.type) for field in fields]))

    def forget(self) -> None:
        """Drop what was stored, to give back its room."""
        for name in self._stored:
            self._engine.drop(_working(name))
        self._stored.clear()

    def _make(self, name: str) -> None:
        if name in self._stored:
            return
        key, query = self._makers[name]
        text = self._text((name, key), query)
        self._engine.make(_working(name), text.sql)
        self._stored.add(name)

    def _text(self, key: Hashable, query: Callable[[], ir.Table]) -> _Text:
        whole = (self._shape, key)
        found = _COMPILED.get(whole)
        if found is None:
            outer, self._needed = self._needed, []
            expression = query()
            sql = self._engine.ibis.compile(expression)
            found = _COMPILED[whole] = _Text(sql, expression.schema(), tuple(dict.fromkeys(self._needed)))
            self._needed = outer
        for name in found.needs:
            self._make(name)
        return found


def _working(name: str) -> str:
    """Name a working table; no table of a company begins with an underscore."""
    return f"_{name}"
