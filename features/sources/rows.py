"""A delivered table's rows in the contract's types, without those that break the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from features.sources import sql
from features.sources.contract import RECORDED_AT, ColumnContract, ColumnType
from features.sources.csv_files import is_csv
from features.sources.delivery import Delivered
from features.sources.dictionaries import DEFAULT, REFUSED
from features.sources.layout import ACCOUNT_IDS

NO_KEY = "A row has no key."  # said of rows in codes, of which no key can be made
_RECORDED = ColumnContract(type=ColumnType.TIME)


def columns_there(delivered: Delivered) -> dict[str, ColumnContract]:
    """Return the contract's columns that were delivered, ``recorded_at`` last."""
    columns = {**delivered.contract.columns, RECORDED_AT: _RECORDED}
    return {name: column for name, column in columns.items() if name in delivered.raw_name}


def raw(name: str) -> str:
    """Name a raw value beside the one read from it."""
    return sql.name(f"raw {name}")


def read_columns(delivered: Delivered) -> str:
    """Return a select of every delivered column twice: as it is (``raw x``), and read as its type (``x``)."""
    columns = columns_there(delivered)
    originals = ", ".join(f"{sql.name(delivered.raw_name[c])} AS {raw(c)}" for c in columns)
    values = ", ".join(f"{_read(delivered, c, column)} AS {sql.name(c)}" for c, column in columns.items())
    return f"SELECT *, {values} FROM (SELECT {originals} FROM {delivered.relation})"


def read_texts(delivered: Delivered, name: str, relation: str) -> str:
    """Return a select of what texts of a column are read as (``text``), and whether that is ``allowed``."""
    column, text = delivered.contract.columns[name], sql.name(name)
    originals = f"SELECT {sql.name(delivered.raw_name[name])} AS {raw(name)} FROM {relation}"
    read = f"SELECT {_read(delivered, name, column)} AS {text} FROM ({originals})"
    return f"SELECT {text} AS text, coalesce({sql.allowed(text, column) or 'true'}, true) AS allowed FROM ({read})"


def _read(delivered: Delivered, name: str, column: ColumnContract) -> str:
    if name in delivered.dictionaries:  # read when the code was given
        return raw(name)
    value = sql.read(raw(name), raw_type(delivered, name), column.type)
    if column.type is ColumnType.TEXT and _from_csv(delivered):
        # Zero bytes are no text of anybody: half a file was written, or it is UTF-16.
        return f"CASE WHEN NOT contains({raw(name)}, chr(0)) THEN {value} END"
    return value


def _from_csv(delivered: Delivered) -> bool:
    return delivered.source.path is not None and is_csv(delivered.source.path)


def raw_type(delivered: Delivered, column: str) -> str:
    """Return the type in which the company delivers a column."""
    return delivered.raw_types[delivered.raw_name[column]]


def unreadable(delivered: Delivered, column: str) -> str:
    """Return the condition that something is given and cannot be read as the contract's type."""
    return f"({sql.given(raw(column), raw_type(delivered, column))} AND {sql.name(column)} IS NULL)"


def may_be_unreadable(delivered: Delivered, column: str) -> bool:
    """Return whether a column can hold what cannot be read as the contract's type; as text, nearly all can."""
    contract = columns_there(delivered)[column]
    any_text = sql.holds_any_text(raw_type(delivered, column)) and not _from_csv(delivered)
    return contract.type is not ColumnType.TEXT or not any_text


def date_only(delivered: Delivered, column: str) -> str:
    """Return the condition that a time was given as a date."""
    kind = raw_type(delivered, column)
    if kind == "DATE":
        return "true"
    return f"(length(trim({raw(column)})) <= 10)" if sql.is_text(kind) else "false"


def out_of_order(delivered: Delivered, first: str, second: str) -> str:
    """Return the condition that the second date of a row lies before the first.

    A time given as a date counts from the end of its day: something may have ended before that.
    """
    begin, end = sql.name(first), sql.name(second)
    if delivered.contract.columns[first].type is ColumnType.TIME:
        a_date = date_only(delivered, first)
        return f"{end} < {begin} - CASE WHEN {a_date} THEN INTERVAL '1' DAY ELSE INTERVAL '0' DAY END"
    return f"{end} < {begin}"


def as_the_contract_says(delivered: Delivered) -> str:
    """Return the condition that a row keeps the contract."""
    conditions = []
    for name, column in columns_there(delivered).items():
        if kept := sql.kept(raw(name), raw_type(delivered, name), column):
            conditions.append(kept if column.required else f"coalesce({kept}, true)")
            continue
        if column.required:
            conditions.append(f"{sql.name(name)} IS NOT NULL")
        elif may_be_unreadable(delivered, name):
            conditions.append(f"NOT coalesce({unreadable(delivered, name)}, false)")
        if allowed := _allowed(delivered, name, column):
            conditions.append(f"coalesce({allowed}, true)")
    for first, second in delivered.contract.ordered:
        if {first, second} <= set(delivered.raw_name):
            conditions.append(f"NOT coalesce({out_of_order(delivered, first, second)}, false)")
    return " AND ".join(conditions) or "true"


def _allowed(delivered: Delivered, name: str, column: ColumnContract) -> str | None:
    value, allowed = sql.name(name), sql.allowed(sql.name(name), column)
    return f"{value} <> {REFUSED}" if allowed and name in delivered.dictionaries else allowed


def of_known_account(delivered: Delivered) -> str:
    """Return the condition that a row's account is one of the company's (or that it needs none)."""
    if "account_id" not in delivered.raw_name or delivered.table == "accounts":
        return "true"
    known = f"account_id IN (SELECT account_id FROM {ACCOUNT_IDS})"
    return known if "account_id" in delivered.contract.required else f"(account_id IS NULL OR {known})"


def normalised_rows(delivered: Delivered, truncated_at: dt.datetime | None = None, read: str | None = None) -> str:
    """Return the select of a table's rows of known accounts, before their versions are told apart."""
    rows = kept_rows(delivered, truncated_at, read)
    return f"SELECT * FROM ({rows}) AS kept WHERE {of_known_account(delivered)}"


def kept_rows(delivered: Delivered, truncated_at: dt.datetime | None = None, read: str | None = None) -> str:
    """Return the select of the rows that keep the contract; it looks at one row at a time.

    All columns of the contract, ``row_key``, ``recorded_at`` (the one given, else when the contract takes
    such a row as known), for events ``occurred_at``, then ``known_from`` and ``known_until``.
    `read` names the rows of :func:`read_columns` where they are at hand.
    """
    contract, there = delivered.contract, columns_there(delivered)
    selected = [
        f"{_value(delivered, name, column) if name in there else sql.default(column)} AS {sql.name(name)}"
        for name, column in contract.columns.items()
    ]
    occurred = _occurred(delivered)
    if occurred is not None and contract.occurred != "occurred_at":
        selected.append(f"{occurred} AS occurred_at")
    recorded = recorded_at(delivered)
    known_from = recorded if occurred is None else f"greatest({occurred}, {recorded})"
    rows = (
        f"SELECT {', '.join(selected)}, {_row_key(delivered)} AS row_key, {recorded} AS recorded_at, "
        f"{known_from} AS known_from, {sql.NEVER} AS known_until "
        f"FROM {read or f'({read_columns(delivered)})'} "
        f"WHERE {as_the_contract_says(delivered)}"
    )
    if truncated_at is None:
        return rows
    return f"SELECT * FROM ({rows}) WHERE recorded_at <= {sql.moment(truncated_at)}"


def recorded_at(delivered: Delivered) -> str:
    """Return when a row became known: as given, else as the contract takes it."""
    occurred = _occurred(delivered)
    dates = [c for c in delivered.contract.known if c in delivered.raw_name]
    taken = occurred or (f"coalesce({_counted_from(dates)}, {sql.ALWAYS})" if dates else sql.ALWAYS)
    return f"coalesce({RECORDED_AT}, {taken})" if delivered.dated else taken


def content(delivered: Delivered) -> list[str]:
    """Return the columns that make a row what it is, quoted."""
    return [sql.name(column) for column in delivered.contract.columns]


def _value(delivered: Delivered, name: str, column: ColumnContract) -> str:
    if column.default is None:
        return sql.name(name)
    default = sql.default(column)
    if name in delivered.dictionaries:
        default = str(DEFAULT)
    return f"coalesce({sql.name(name)}, {default})"


def _occurred(delivered: Delivered) -> str | None:
    column = delivered.contract.occurred
    if column is None:
        return None
    is_date = delivered.contract.columns[column].type is ColumnType.DATE
    return sql.next_midnight(sql.name(column)) if is_date else sql.name(column)


def _counted_from(dates: Sequence[str]) -> str:
    return sql.next_midnight(f"coalesce({', '.join(sql.name(date) for date in dates)})")


def _row_key(delivered: Delivered) -> str:
    by_content = _content_key(delivered)
    match delivered.key:
        case ():
            return by_content
        case (column,) if delivered.contract.key == (column,):
            key = f"CAST({sql.name(column)} AS VARCHAR)"
            required = delivered.contract.columns[column].required
            without = f"error({sql.text(NO_KEY)})" if delivered.dictionaries else by_content
            return key if required else f"coalesce({key}, {without})"
        case columns:
            # Doubling the slash within values keeps ("a /", "b") and ("a", "/ b") apart.
            parts = [f"coalesce(replace(CAST({sql.name(c)} AS VARCHAR), '/', '//'), '')" for c in columns]
            return f"concat_ws(' / ', {', '.join(parts)})"


def _content_key(delivered: Delivered) -> str:
    parts = [
        f"coalesce(replace(CAST({sql.name(c)} AS VARCHAR), '/', '//'), '')"
        for c in columns_there(delivered)
        if c != RECORDED_AT
    ]
    return f"md5(concat_ws(' / ', {', '.join(parts)}))"
