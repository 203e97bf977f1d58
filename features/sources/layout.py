"""How the embedded DuckDB stores a table: without what can be told from the rest, which a view shows in its place.

Of ten million events a text that stands twice, or an account's id in place of its number, takes hundreds of
megabytes to write, and longer to join by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.sources import sql
from features.sources.contract import ColumnContract, ColumnType

if TYPE_CHECKING:
    from features.sources.delivery import Delivered

ACCOUNT_IDS = "_account_ids"  # every account that the company ever delivered, with its place in order
PLACE = "_place"  # of a row's account among all
_NAMED = "_named"


@dataclass(frozen=True, slots=True)
class Layout:
    """What is stored of a table's rows, and how they are shown.

    Attributes
    ----------
    shown
        Columns that are not stored, and the expression that shows each.
    instead
        Columns that are stored in their place, and the expression that makes each.
    placed
        Whether an account's place is stored in place of its id. Rows of unknown accounts are left out.
    """

    shown: Mapping[str, str]
    instead: Mapping[str, str]
    placed: bool

    def also(self, column: str, made: str) -> Layout:
        """Return the layout with which one more column is stored."""
        return replace(self, instead={**self.instead, column: made})

    def packed(self, rows: str) -> str:
        """Return the select of what is stored of some rows."""
        known = f" JOIN {ACCOUNT_IDS} USING (account_id)" if self.placed else ""
        return f"SELECT {_exchanged(self.shown, self.instead)} FROM {rows} AS _rows{known}"

    def unpacked(self, stored: str) -> str:
        """Return the select of the rows of which this is stored."""
        known = f" JOIN {ACCOUNT_IDS} USING ({PLACE})" if self.placed else ""
        return f"SELECT {_exchanged(self.instead, self.shown)} FROM {stored} AS _rows{known}"


AS_THEY_ARE = Layout({}, {}, placed=False)


def _exchanged(without: Mapping[str, str], with_these: Mapping[str, str]) -> str:
    excluded = f" EXCLUDE ({', '.join(map(sql.name, without))})" if without else ""
    return ", ".join([f"_rows.*{excluded}", *(f"{made} AS {sql.name(name)}" for name, made in with_these.items())])


def layout_of(delivered: Delivered) -> Layout:
    """Return how a delivered table's normalised rows are stored.

    Left out is a column that is not delivered, the text that is the row's key, and the account's id.
    """
    columns, there = delivered.contract.columns, delivered.raw_name
    shown = {name: sql.default(column) for name, column in columns.items() if name not in there}
    instead: dict[str, str] = {}
    placed = delivered.table != "accounts" and "account_id" in delivered.contract.required
    if placed:
        shown["account_id"], instead[PLACE] = "account_id", PLACE
    key = delivered.contract.key[0]
    if delivered.key == delivered.contract.key == (key,) and key not in shown and _is_text(columns[key]):
        shown[key] = f"CASE WHEN {_NAMED} THEN row_key END"  # else the row's key is made of its content
        instead[_NAMED] = f"{sql.name(key)} IS NOT NULL"
    return Layout(shown, instead, placed)


def _is_text(column: ColumnContract) -> bool:
    return column.type is ColumnType.TEXT
