"""The queries of a pass: each written in Ibis, compiled once, and run as often as there are passes.

What differs from pass to pass (accounts) lies in small working tables of fixed names, never in the text of a
query. So the text is compiled the first time it is asked for in a process (some 10 ms each, 0.2 s for a catalogue
of 25 signals) and found again by its key, for each engine's dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from features.sources.engines import bound

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

    from features.sources import Database


@dataclass(frozen=True)
class _Text:
    sql: str
    schema: ibis.Schema


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
        self._given: dict[str, ibis.Schema] = {}

    def _made(self, table: ir.Table) -> str:
        """Say how a table is made of another one, empty where it is stored.

        Training blanks columns that show only today's state: by names and types such a table is the one that is
        stored, and with its text training would read what was not known.
        """
        from ibis.expr.operations import PhysicalTable

        return "" if isinstance(table.op(), PhysicalTable) else str(self._engine.ibis.compile(table))

    def put(self, name: str, columns: Mapping[str, pa.Array]) -> None:
        """Store a small table of this pass."""
        import ibis

        rows = pa.table(dict(columns))
        self._engine.put(_working(name), rows)
        self._given[name] = ibis.Schema.from_pyarrow(rows.schema)

    def table(self, name: str) -> ir.Table:
        """Return a stored table, to build queries on."""
        return bound(self._engine, _working(name), self._given[name])

    def fetch(self, key: Hashable, query: Callable[[], ir.Table]) -> pa.Table:
        """Run a query and fetch all rows. `key` names its text: equal keys, equal queries."""
        text = self._text(key, query)
        fields = text.schema.to_pyarrow()
        return self._engine.fetch(text.sql, pa.schema([(field.name, field.type) for field in fields]))

    def _text(self, key: Hashable, query: Callable[[], ir.Table]) -> _Text:
        whole = (self._shape, key)
        found = _COMPILED.get(whole)
        if found is None:
            expression = query()
            found = _COMPILED[whole] = _Text(self._engine.ibis.compile(expression), expression.schema())
        return found


def _working(name: str) -> str:
    """Name a working table; no table of a company begins with an underscore."""
    return f"_{name}"
