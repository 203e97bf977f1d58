"""SQL text for the embedded DuckDB: names and values quoted, and each contract type read from raw ones."""

from __future__ import annotations

import datetime as dt
import re

from features.sources.contract import ColumnContract, ColumnType

SQL_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.YES_NO: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIME: "TIMESTAMP",
}
ALWAYS = "TIMESTAMP '1900-01-01 00:00:00'"
NEVER = "TIMESTAMP '9999-12-31 00:00:00'"
# Whatever lies outside stands for something else: 1900, 1970 (the epoch) and 0001 for unknown, 9999 for never.
FIRST_YEAR, LAST_YEAR = 1971, 2199

_WHOLE = re.compile(r"^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$")
_FLOAT = re.compile(r"^(DOUBLE|FLOAT|REAL|DECIMAL.*)$")
_TEXT = re.compile(r"^(VARCHAR|ENUM.*|UUID|JSON|\"NULL\")$")
_LOCAL_TIME = re.compile(r"^TIMESTAMP(_S|_MS|_NS|_US)?$")
_ZONED_TIME = "TIMESTAMP WITH TIME ZONE"
_NESTED = re.compile(r"\[\d*\]$|^(STRUCT|MAP|UNION)\(")


def name(identifier: str) -> str:
    """Quote an identifier.

    >>> name('the "best" column')
    '"the ""best"" column"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text.

    >>> text("Mary's file.csv")
    "'Mary''s file.csv'"
    """
    return "'" + value.replace("'", "''") + "'"


def moment(value: dt.datetime) -> str:
    """Return a timestamp literal, whole seconds.

    >>> moment(dt.datetime(2025, 6, 30, 12))
    "TIMESTAMP '2025-06-30 12:00:00'"
    """
    return f"TIMESTAMP '{value.replace(tzinfo=None, microsecond=0).isoformat(sep=' ')}'"


def next_midnight(date: str) -> str:
    """Return when a date counts from: the end of that day."""
    return f"(CAST({date} AS TIMESTAMP) + INTERVAL 1 DAY)"


def given(raw: str, raw_type: str) -> str:
    """Return whether a raw value says anything: neither null nor blank text."""
    return f"(trim(CAST({raw} AS VARCHAR)) <> '')" if _TEXT.match(raw_type) else f"({raw} IS NOT NULL)"


def is_text(raw_type: str) -> bool:
    """Return whether a raw column holds text."""
    return bool(_TEXT.match(raw_type))


def holds_any_text(raw_type: str) -> bool:
    """Return whether every value of a raw column can be read as text: not so bytes, lists and records.

    >>> holds_any_text("VARCHAR"), holds_any_text("BLOB"), holds_any_text("VARCHAR[]")
    (True, False, False)
    """
    return raw_type != "BLOB" and not _NESTED.search(raw_type)


def is_number(raw_type: str) -> bool:
    """Return whether a raw column holds numbers."""
    return bool(_WHOLE.match(raw_type) or _FLOAT.match(raw_type))


def read(raw: str, raw_type: str, column_type: ColumnType) -> str:
    """Return the expression that reads a raw column as a type of the contract; null where it cannot be read.

    Times with a zone become UTC and lose their fraction of a second; a date given for a time counts from the
    next midnight. Numbers that are not finite cannot be read, nor can an integer with a fraction.

    Parameters
    ----------
    raw
        The raw column, quoted.
    raw_type
        Its type, as DuckDB's ``DESCRIBE`` names it.
    column_type
        The type that the contract asks for.
    """
    source = _without_spaces(f"CAST({raw} AS VARCHAR)") if is_text(raw_type) else raw
    expression = _READERS[column_type](source, raw_type)
    return f"CAST({expression or 'NULL'} AS {SQL_TYPES[column_type]})"


def _without_spaces(text_value: str) -> str:
    """Return text without spaces around it, blank text as null; most text has none, and stays as it is."""
    spaced = f"{text_value} < '!' OR {text_value} LIKE '% '"  # nothing, and the space, stand before "!"
    return f"CASE WHEN {spaced} THEN nullif(trim({text_value}), '') ELSE {text_value} END"


def _as_text(raw: str, raw_type: str) -> str | None:
    if raw_type == "BLOB":
        return f"nullif(trim(TRY(decode({raw}))), '')"
    if _NESTED.search(raw_type):
        return None
    if _FLOAT.match(raw_type):  # ids that a data frame with gaps has turned into floats: 7.0 is "7"
        whole = f"TRY_CAST({raw} AS HUGEINT)"
        return f"CASE WHEN {raw} = {whole} THEN CAST({whole} AS VARCHAR) ELSE CAST({raw} AS VARCHAR) END"
    return f"CAST({raw} AS VARCHAR)"


def _as_number(raw: str, raw_type: str) -> str | None:
    if not (is_text(raw_type) or is_number(raw_type)):
        return None
    number = f"TRY_CAST({raw} AS DOUBLE)"
    return number if _WHOLE.match(raw_type) else f"CASE WHEN isfinite({number}) THEN {number} END"


def _as_integer(raw: str, raw_type: str) -> str | None:
    number = _as_number(raw, raw_type)
    return number and f"CASE WHEN {number} = floor({number}) THEN TRY_CAST({number} AS BIGINT) END"


def _as_yes_no(raw: str, raw_type: str) -> str | None:
    if raw_type == "BOOLEAN":
        return raw
    if is_number(raw_type):
        return f"CASE {raw} WHEN 1 THEN true WHEN 0 THEN false END"
    if not is_text(raw_type):
        return None
    yes, no = "('yes', 'y', 'true', 't', '1', '1.0')", "('no', 'n', 'false', 'f', '0', '0.0')"
    return f"CASE WHEN lower({raw}) IN {yes} THEN true WHEN lower({raw}) IN {no} THEN false END"


# DuckDB also reads "epoch" and "infinity" as times; nobody means them. Only short texts are looked at this
# way: a regular expression over every full timestamp would double the time to open a large table.
_ONLY_A_DATE = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}$"


def _as_date(raw: str, raw_type: str) -> str | None:
    if raw_type == "DATE" or _LOCAL_TIME.match(raw_type) or raw_type == _ZONED_TIME:
        return f"CASE WHEN isfinite({raw}) THEN CAST({raw} AS DATE) END"
    if not is_text(raw_type):
        return None
    # A time with a zone is the date that it is in UTC, as everywhere.
    date = f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS DATE)"
    return f"CASE WHEN length({raw}) > 10 OR regexp_matches({raw}, '{_ONLY_A_DATE}') THEN {date} END"


def _as_time(raw: str, raw_type: str) -> str | None:
    if raw_type == "DATE":
        return f"CASE WHEN isfinite({raw}) THEN {next_midnight(raw)} END"
    if _LOCAL_TIME.match(raw_type) or raw_type == _ZONED_TIME:
        return f"CASE WHEN isfinite({raw}) THEN date_trunc('second', CAST({raw} AS TIMESTAMP)) END"
    if not is_text(raw_type):
        return None
    date = next_midnight(f"TRY_CAST({raw} AS DATE)")
    time = f"date_trunc('second', CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP))"
    only_a_date = f"regexp_matches({raw}, '{_ONLY_A_DATE}')"
    return f"CASE WHEN length({raw}) > 10 THEN {time} WHEN {only_a_date} THEN {date} END"


_READERS = {
    ColumnType.TEXT: _as_text,
    ColumnType.INTEGER: _as_integer,
    ColumnType.NUMBER: _as_number,
    ColumnType.YES_NO: _as_yes_no,
    ColumnType.DATE: _as_date,
    ColumnType.TIME: _as_time,
}


def allowed(value: str, column: ColumnContract) -> str | None:
    """Return the condition that a value read is one of those allowed; None where all are."""
    conditions = []
    if column.one_of:
        conditions.append(f"{value} IN ({', '.join(text(item) for item in column.one_of)})")
    if column.at_least is not None:
        conditions.append(f"{value} >= {column.at_least!r}")
    if column.at_most is not None:
        conditions.append(f"{value} <= {column.at_most!r}")
    if column.type in (ColumnType.DATE, ColumnType.TIME):
        conditions.append(f"{value} >= DATE '{FIRST_YEAR}-01-01' AND {value} < DATE '{LAST_YEAR + 1}-01-01'")
    return " AND ".join(conditions) or None


def kept(raw: str, raw_type: str, column: ColumnContract) -> str | None:
    """Return the condition that a raw column can be read and lies in what is allowed, null where nothing is given.

    None for types of which that cannot be told without reading, which takes several times as long: a time as it
    is may also be passed over by what a Parquet file says of its least and greatest.
    """
    within = allowed(raw, column)
    if _LOCAL_TIME.match(raw_type) and column.type in (ColumnType.DATE, ColumnType.TIME):
        return within
    if raw_type == "DATE" and column.type is ColumnType.DATE:
        return within
    if raw_type == "DOUBLE" and column.type is ColumnType.NUMBER:
        return f"isfinite({raw})" + (f" AND {within}" if within else "")
    return None


def default(column: ColumnContract) -> str:
    """Return what stands where nothing was given."""
    value = column.default
    shown = "NULL" if value is None else text(value) if isinstance(value, str) else repr(value)
    return f"CAST({shown} AS {SQL_TYPES[column.type]})"
