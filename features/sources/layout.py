"""How the embedded DuckDB stores a table: without what can be told from the rest, which a view shows in its place.

Of ten million events a text that stands twice, or an account's id in place of its number, takes hundreds of
megabytes to write, and longer to join by. So do texts of which there are few: where they were read as codes
(:mod:`features.sources.coded`), codes are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from features.sources import sql
from features.sources.contract import ColumnContract, ColumnType

if TYPE_CHECKING:
    from features.sources.delivery import Delivered

ACCOUNT_IDS = "_account_ids"  # every account that the company ever delivered, with its place in order
PLACE = "_place"  # of a row's account among all
CODE, TEXT = "_code", "_text"  # the columns of a table of texts
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
    texts
        Columns of text that are stored as codes, and the table of the texts of each.
    """

    shown: Mapping[str, str]
    instead: Mapping[str, str]
    placed: bool
    texts: Mapping[str, str] = field(default_factory=dict)

    def also(self, column: str, made: str) -> Layout:
        """Return the layout with which one more column is stored."""
        return replace(self, instead={**self.instead, column: made})

    def packed(self, rows: str) -> str:
        """Return the select of what is stored of some rows."""
        codes = {column: f"{table}.{CODE}" for column, table in self.texts.items()}
        return f"{self._stored(rows, codes)}{self._with_accounts('account_id')}{self._with_texts(TEXT)}"

    def packed_as_codes(self, rows: str) -> str:
        """Return the select of what is stored of rows whose texts are codes, ``account_id`` a place."""
        return replace(self, instead={**self.instead, PLACE: "account_id"})._stored(rows, {})

    def unpacked(self, stored: str) -> str:
        """Return the select of the rows of which this is stored."""
        texts = {column: f"{table}.{TEXT}" for column, table in self.texts.items()}
        return f"{self._shown(stored, texts)}{self._with_accounts(PLACE)}{self._with_texts(CODE)}"

    def unpacked_as_codes(self, stored: str) -> str:
        """Return the select of the rows of which this is stored, their texts as codes."""
        return f"{self._shown(stored, {})}{self._with_accounts(PLACE)}"

    def _stored(self, rows: str, codes: Mapping[str, str]) -> str:
        return f"SELECT {_exchanged(self.shown, self.instead, codes)} FROM {rows} AS _rows"

    def _shown(self, stored: str, texts: Mapping[str, str]) -> str:
        return f"SELECT {_exchanged(self.instead, self.shown, texts)} FROM {stored} AS _rows"

    def _with_accounts(self, column: str) -> str:
        return f" JOIN {ACCOUNT_IDS} USING ({column})" if self.placed else ""

    def _with_texts(self, by: str) -> str:
        joined = (f" LEFT JOIN {table} ON {table}.{by} = _rows.{sql.name(c)}" for c, table in self.texts.items())
        return "".join(joined)


AS_THEY_ARE = Layout({}, {}, placed=False)


def _exchanged(without: Mapping[str, str], with_these: Mapping[str, str], changed: Mapping[str, str]) -> str:
    excluded = f" EXCLUDE ({', '.join(map(sql.name, without))})" if without else ""
    replaced = f" REPLACE ({', '.join(_named(changed))})" if changed else ""
    return ", ".join([f"_rows.*{excluded}{replaced}", *_named(with_these)])


def _named(made: Mapping[str, str]) -> list[str]:
    return [f"{expression} AS {sql.name(name)}" for name, expression in made.items()]


def name_in_codes(table: str) -> str:
    """Name the view of a table's rows with texts as codes."""
    return f"{table} in codes"


def texts_of(table: str, column: str) -> str:
    """Name the table of the texts of a column that is stored as codes."""
    return f"_texts of {table}.{column}"


def layout_of(delivered: Delivered) -> Layout:
    """Return how a delivered table's normalised rows are stored.

    Left out is a column that is not delivered, the text that is the row's key, and the account's id. Texts that
    were read as codes are stored as codes.
    """
    columns, there = delivered.contract.columns, delivered.raw_name
    shown = {name: sql.default(column) for name, column in columns.items() if name not in there}
    instead: dict[str, str] = {}
    placed = delivered.table != "accounts" and "account_id" in delivered.contract.required
    if placed:
        shown["account_id"], instead[PLACE] = "account_id", PLACE
    key = delivered.contract.key[0]
    if delivered.key == delivered.contract.key == (key,) and key not in shown and _is_text(columns[key]):
        if delivered.dictionaries:
            shown[key] = "row_key"  # a row without a key is not read in codes
        else:
            shown[key] = f"CASE WHEN {_NAMED} THEN row_key END"  # else the row's key is made of its content
            instead[_NAMED] = f"{sql.name(key)} IS NOT NULL"
    texts = {
        name: sql.name(texts_of(delivered.table, name)) for name in delivered.dictionaries if name not in shown
    }
    return Layout(shown, instead, placed, texts)


def _is_text(column: ColumnContract) -> bool:
    return column.type is ColumnType.TEXT
