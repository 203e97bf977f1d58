"""The tables and columns that a definition may name, as the written contract of tables has them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[1] / "sources" / "contract.toml"


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """One column of a table: its type, and the values allowed (empty: any)."""

    type: str
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownTable:
    """What a measure may rest on."""

    columns: Mapping[str, KnownColumn]
    has_accounts: bool
    has_occurred: bool
    has_ended: bool
    labels_only: bool


@functools.cache
def known_tables() -> Mapping[str, KnownTable]:
    """Return the tables of the contract by name.

    Examples
    --------
    >>> known_tables()["tickets"].has_ended
    True
    >>> known_tables()["visits"].columns["page"].one_of
    ('cancel', 'downgrade', 'export', 'other')
    """
    raw = tomllib.loads(CONTRACT.read_text("utf-8"))
    return {name: _table(entry) for name, entry in raw.items()}


def _table(entry: Mapping[str, Any]) -> KnownTable:
    columns = {
        name: KnownColumn(column["type"], tuple(column.get("one_of", ())))
        for name, column in entry["columns"].items()
    }
    return KnownTable(
        columns,
        has_accounts="account_id" in columns,
        has_occurred="occurred" in entry,
        has_ended="ended" in entry,
        labels_only=entry.get("labels_only", False),
    )
