"""A company of plain rows, written to files as a company would deliver them."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.oracle.company import CONTRACT, OVERLAY, OWN, Company, Row

_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "yes_no": pa.bool_(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
}


def write_company(company: Company, folder: Path, connection: str = "", suffix: str = ".csv") -> Path:
    """Write one file a table, with all columns but those lacking, and ``sources.toml``; return its path.

    `connection` is what ``sources.toml`` says of the engine; `suffix` is ``.csv`` or ``.parquet``.
    """
    lines = ['company = "Rows by hand"', "never_changing = []", ""]
    if company.tables.keys() & OWN.keys():
        lines += ["[catalogue]", f"overlay = '{OVERLAY}'", ""]
    for table, rows in company.tables.items():
        columns = [
            *CONTRACT[table]["columns"],
            *(["recorded_at"] if any("recorded_at" in r for r in rows) else []),
        ]
        there = [column for column in columns if f"{table}.{column}" not in company.lacking]
        file = folder / f"{table}{suffix}"
        if suffix == ".csv":
            _write_csv(file, there, rows)
        else:
            pq.write_table(_as_arrow(table, there, rows), file, row_group_size=100)
        lines += [f"[tables.{table}]", f'path = "{file.name}"', "never_rewritten = true"]
        if table in company.begins:
            lines.append(f"begins = {company.begins[table].isoformat()}")
        lines.append("")
    path = folder / "sources.toml"
    path.write_text("\n".join([*lines, connection]), encoding="utf-8")
    return path


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([[_text(row.get(column)) for column in columns] for row in rows])


def _as_arrow(table: str, columns: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    """As a warehouse writes it: each column of its type; times of which some are dates are text."""
    contract = CONTRACT[table]["columns"]
    found = {}
    for column in columns:
        kind = contract[column]["type"] if column in contract else "time"
        values = [row.get(column) for row in rows]
        if kind == "time" and not all(value is None or isinstance(value, dt.datetime) for value in values):
            found[column] = pa.array([_text(value) or None for value in values], pa.string())
        else:
            found[column] = pa.array(values, _ARROW[kind])
    return pa.table(found)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)
