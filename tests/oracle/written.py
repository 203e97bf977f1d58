"""A company of plain rows, written to files as a company would deliver them."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.oracle.company import CONTRACT, OVERLAY, OWN, Company, Row


def write_company(company: Company, folder: Path, connection: str = "") -> Path:
    """Write one CSV a table, with all columns but those lacking, and ``sources.toml``; return its path.

    `connection` is what ``sources.toml`` says of the engine.
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
        _write(folder / f"{table}.csv", there, rows)
        lines += [f"[tables.{table}]", f'path = "{table}.csv"', "never_rewritten = true"]
        if table in company.begins:
            lines.append(f"begins = {company.begins[table].isoformat()}")
        lines.append("")
    path = folder / "sources.toml"
    path.write_text("\n".join([*lines, connection]), encoding="utf-8")
    return path


def _write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
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
