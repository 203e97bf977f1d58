"""The floor: DuckDB reads every column of every table once, and groups each table by account once.

::

    python -m tests.bench.floor FOLDER OUT [all|needed]

``needed`` leaves out the columns that no measure reads (ids, comments, names); it is reported for information.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from tests.bench.shapes import SHAPES

NO_ACCOUNT = {"plans": "plan", "feeds": '"table"'}


def grouped(connection: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[str]) -> str:
    """Return the select of each account's rows counted, with the least and the greatest of each column."""
    by = NO_ACCOUNT.get(path.stem, "account_id")
    there = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()]
    chosen = [name for name in there if not columns or name in columns]
    edges = ", ".join(f'min("{name}") AS "least {name}", max("{name}") AS "greatest {name}"' for name in chosen)
    return f"SELECT {by}, count(*) AS n, {edges} FROM read_parquet('{path}') GROUP BY {by}"


def scan(folder: Path, out: Path, scope: str = "all") -> None:
    """Read all tables; write what usage gave, so that nothing can be left out."""
    connection = duckdb.connect(config={"threads": 2, "preserve_insertion_order": False})
    for table, shape in SHAPES.items():
        needed = {*shape.columns, *shape.text, "recorded_at", *filter(None, [shape.at])}
        select = grouped(connection, folder / f"{table}.parquet", sorted(needed) if scope == "needed" else ())
        if table == "usage":
            connection.execute(f"COPY ({select}) TO '{out}' (FORMAT parquet)")
        else:
            connection.sql(select).to_arrow_table()


if __name__ == "__main__":
    scan(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
