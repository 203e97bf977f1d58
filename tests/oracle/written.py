"""A company of plain rows, written to files as a company would deliver them."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

from tests.oracle.company import CONTRACT, Company, Row


def write_company(company: Company, folder: Path) -> Path:
    """Write one CSV a table and ``sources.toml``; return the path of the latter.

    A column appears if any row has it; a table without rows keeps the columns that its rows must have.
    """
    lines = ['company = "Rows by hand"', "never_changing = []", ""]
    for table, rows in company.tables.items():
        _write(folder / f"{table}.csv", table, list(rows))
        lines += [f"[tables.{table}]", f'path = "{table}.csv"', "never_rewritten = true"]
        if table in company.begins:
            lines.append(f"begins = {company.begins[table].isoformat()}")
        lines.append("")
    path = folder / "sources.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _write(path: Path, table: str, rows: list[Row]) -> None:
    needed = [name for name, column in CONTRACT[table]["columns"].items() if column.get("required")]
    columns = list(dict.fromkeys([*needed, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([[_text(row.get(column)) for column in columns] for row in rows])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)
