"""What is asked of every row of a table, as conditions that one scan counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from features.sources import sql
from features.sources.contract import RECORDED_AT, ColumnContract, ColumnType
from features.sources.delivery import Delivered
from features.sources.problems import Problem, kinds
from features.sources.rows import columns_there, of_known_account, raw, raw_type, unreadable
from features.sources.session import Session

LONGEST_TEXT = 10_000
# What cannot end before it begins.
_PERIODS = {
    "contracts": ("start_date", "end_date"),
    "plans": ("valid_from", "valid_to"),
    "tickets": ("opened_at", "closed_at"),
    "feedback": ("occurred_at", "resolved_at"),
    "contacts": ("valid_from", "valid_to"),
    "feeds": ("covered_from", "covered_to"),
}


@dataclass(frozen=True, slots=True)
class RowTest:
    """Rows for which `condition` holds are a problem of this `code`; `shown` is what to show of them."""

    code: str
    sentence: str
    condition: str
    shown: str


def row_problems(session: Session, delivered: Delivered, read: str) -> list[Problem]:
    """Return what is wrong with a table's rows.

    Parameters
    ----------
    session
        Where the tables are.
    delivered
        The table.
    read
        SQL name of its rows as :func:`~features.sources.rows.read_columns` selects them.
    """
    tests = [*_column_tests(delivered), *_date_tests(delivered), *_account_tests(delivered)]
    return [
        *_counted(session, delivered, read, tests),
        *_time_problems(session, delivered, read),
        *_text_id_problems(delivered),
    ]


def future_problems(
    session: Session, delivered: Delivered, read: str, observed_until: dt.datetime
) -> list[Problem]:
    """Return the events that lie, and the rows that were recorded, after the end of the history."""
    occurred = delivered.contract.occurred
    columns = ([occurred] if occurred else []) + ([RECORDED_AT] if delivered.dated else [])
    tests = [
        RowTest(
            "S304",
            f"{column} lies after the end of the history ({observed_until}) in {{rows}} of {{total}}.",
            f"CAST({sql.name(column)} AS TIMESTAMP) > {sql.moment(observed_until)}",
            f"CAST({sql.name(column)} AS VARCHAR)",
        )
        for column in columns
    ]
    return _counted(session, delivered, read, tests)


def _counted(session: Session, delivered: Delivered, read: str, tests: Sequence[RowTest]) -> list[Problem]:
    """Count all tests' rows in one scan, and look closer at those that found some."""
    if not tests:
        return []
    counts = ", ".join(f"count(*) FILTER ({test.condition})" for test in tests)
    total, *found = session.row(f"SELECT count(*), {counts} FROM {read}")
    return [
        _problem(session, delivered, read, test, count, total)
        for test, count in zip(tests, found, strict=True)
        if count
    ]


def _problem(session: Session, delivered: Delivered, read: str, test: RowTest, count: int, total: int) -> Problem:
    code = "S204" if test.code == "S203" and count == total else test.code
    sample = session.rows(
        f"SELECT {test.shown} AS shown FROM {read} WHERE {test.condition} "
        "GROUP BY shown ORDER BY count(*) DESC, shown LIMIT 3"
    )
    shown = [_short(str(value)) for (value,) in sample if value is not None]
    sentence = test.sentence.format(rows=counted(count), total=f"{total:,}")
    return kinds()[code].found(delivered.table, sentence, rows=count, sample=shown)


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."


def counted(count: int) -> str:
    """Return a number of rows in words.

    >>> counted(1), counted(12345)
    ('1 row', '12,345 rows')
    """
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _column_tests(delivered: Delivered) -> Iterator[RowTest]:
    for name, column in columns_there(delivered).items():
        value, shown = sql.name(name), f"CAST({raw(name)} AS VARCHAR)"
        if column.type is not ColumnType.TEXT:
            yield RowTest(
                "S105",
                f"{name} cannot be read as {_called(column.type)} in {{rows}} of {{total}}.",
                unreadable(delivered, name),
                shown,
            )
        if column.required:
            empty = f"NOT coalesce({sql.given(raw(name), raw_type(delivered, name))}, false)"
            yield RowTest("S106", f"{name} is empty in {{rows}} of {{total}}.", empty, "NULL")
        if allowed := sql.allowed(value, column):
            yield RowTest(
                "S108" if column.one_of else "S107",
                f"{name} is {_not_allowed(column)} in {{rows}} of {{total}}.",
                f"NOT coalesce({allowed}, true)",
                shown,
            )
        if column.type is ColumnType.TEXT:
            yield RowTest(
                "S110",
                f"{name} is longer than {LONGEST_TEXT:,} characters in {{rows}} of {{total}}.",
                f"length({value}) > {LONGEST_TEXT}",
                f"left({value}, 40) || '...'",
            )


def _called(column_type: ColumnType) -> str:
    return {
        ColumnType.TEXT: "text",
        ColumnType.INTEGER: "a whole number",
        ColumnType.NUMBER: "a number",
        ColumnType.YES_NO: "yes or no",
        ColumnType.DATE: "a date (2025-06-30)",
        ColumnType.TIME: "a time (2025-06-30 17:00:00)",
    }[column_type]


def _not_allowed(column: ColumnContract) -> str:
    if column.one_of:
        return f"none of {', '.join(column.one_of)}"
    low, high = column.at_least, column.at_most
    edges = [f"under {low:g}"] if low is not None else []
    return " or ".join([*edges, *([f"over {high:g}"] if high is not None else [])])


def _date_tests(delivered: Delivered) -> Iterator[RowTest]:
    there, contract = columns_there(delivered), delivered.contract
    begin, end = _PERIODS.get(delivered.table, ("", ""))
    if begin in there and end in there:
        shown = f"concat({sql.name(begin)}, ' to ', {sql.name(end)})"
        sentence = f"{end} lies before {begin} in {{rows}} of {{total}}."
        yield RowTest("S306", sentence, f"{sql.name(end)} < {sql.name(begin)}", shown)
    if contract.ended in there and delivered.dated:
        ended = sql.name(contract.ended or "")
        shown = f"concat('ended ', {ended}, ', recorded ', recorded_at)"
        # A date counts from the end of its day: recorded on that very day, it was not ahead of its time.
        known_by = f"({ended} - CASE WHEN {_date_only(delivered, contract.ended or '')} THEN INTERVAL 1 DAY END)"
        later = f"coalesce({known_by}, {ended}) > recorded_at"
        yield RowTest("S307", f"{contract.ended} lies after recorded_at in {{rows}} of {{total}}.", later, shown)
    if {"notice_deadline", "end_date"} <= set(there):
        shown = "concat('deadline ', notice_deadline, ', end ', end_date)"
        sentence = "notice_deadline lies after end_date in {rows} of {total}."
        yield RowTest("S308", sentence, "notice_deadline > end_date", shown)


def _account_tests(delivered: Delivered) -> Iterator[RowTest]:
    if "account_id" not in columns_there(delivered) or delivered.table == "accounts":
        return
    unknown = f"(account_id IS NOT NULL AND NOT {of_known_account(delivered)})"
    sentence = "account_id is not in `accounts` in {rows} of {total}."
    yield RowTest("S203", sentence, unknown, "account_id")


def _date_only(delivered: Delivered, column: str) -> str:
    """Return the condition that a time was given as a date."""
    kind = raw_type(delivered, column)
    if kind == "DATE":
        return "true"
    return f"(length(trim({raw(column)})) <= 10)" if sql.is_text(kind) else "false"


_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?|\s[A-Za-z][A-Za-z_/]+)$"


def _time_problems(session: Session, delivered: Delivered, read: str) -> Iterator[Problem]:
    """Yield columns of times that mix zones and none, dates and times, or that are all midnight."""
    for name, column in columns_there(delivered).items():
        if column.type is not ColumnType.TIME:
            continue
        kind, value = raw_type(delivered, name), raw(name)
        # The zone follows the time: in 2025-06-30, -30 is no zone.
        zoned = f"regexp_matches(substr(trim({value}), 11), '{_ZONE}')" if sql.is_text(kind) else "false"
        dates = _date_only(delivered, name)
        total, with_zone, only_dates, midnights = session.row(
            f"SELECT count({sql.name(name)}), count(*) FILTER ({zoned}), count(*) FILTER ({dates}), "
            f"count(*) FILTER (CAST({sql.name(name)} AS TIME) = TIME '00:00:00' AND NOT {dates}) "
            f"FROM {read} WHERE {sql.name(name)} IS NOT NULL"
        )
        without_zone = total - with_zone - only_dates
        if with_zone and without_zone and sql.is_text(kind):
            sentence = f"{name} has a zone in {counted(with_zone)} and none in {counted(without_zone)}."
            yield kinds()["S305"].found(delivered.table, sentence, rows=without_zone)
        if 0 < only_dates < total:
            sentence = f"{name} is a date without a time in {counted(only_dates)} of {total:,}."
            yield kinds()["S310"].found(delivered.table, sentence, rows=only_dates)
        if name == delivered.contract.occurred and midnights == total >= 10:
            sentence = f"{name} is midnight in all {counted(total)}."
            yield kinds()["S311"].found(delivered.table, sentence, rows=total)


def _text_id_problems(delivered: Delivered) -> Iterator[Problem]:
    query = delivered.source.query or ""
    if "csv" not in query.lower():  # only there DuckDB guesses types from what the values look like
        return
    for name, column in columns_there(delivered).items():
        is_id = column.type is ColumnType.TEXT and name.endswith("_id")
        if is_id and sql.is_number(raw_type(delivered, name)):
            yield kinds()["S109"].found(delivered.table, f"{name} was read from CSV as a number.")
