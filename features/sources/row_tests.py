"""What is asked of every row of a table, as conditions that one scan counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from features.sources import sql
from features.sources.contract import RECORDED_AT, ColumnContract, ColumnType
from features.sources.delivery import Delivered
from features.sources.problems import Problem, kinds
from features.sources.rows import (
    columns_there,
    date_only,
    may_be_unreadable,
    of_known_account,
    out_of_order,
    raw,
    raw_type,
    unreadable,
)
from features.sources.session import Session

LONGEST_TEXT = 10_000


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
        *counted_problems(session, delivered, read, tests),
        *_time_problems(session, delivered, read),
        *_text_id_problems(delivered),
    ]


def counted_problems(session: Session, delivered: Delivered, read: str, tests: Sequence[RowTest]) -> list[Problem]:
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
    shown = [short(str(value)) for (value,) in sample if value is not None]
    sentence = test.sentence.format(rows=counted(count), total=f"{total:,}")
    return kinds()[code].found(delivered.table, sentence, rows=count, sample=shown)


def short(value: str) -> str:
    r"""Return a value as it can be shown: on one line, without what a terminal would take for a command.

    >>> short("two\nlines\x1b[2J"), short("x" * 100_000)[-6:]
    ('two\\nlines\\x1b[2J', 'xxx...')
    """
    value = value if len(value) <= 60 else f"{value[:57]}..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in value)


def counted(count: int) -> str:
    """Return a number of rows in words.

    >>> counted(1), counted(12345)
    ('1 row', '12,345 rows')
    """
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _column_tests(delivered: Delivered) -> Iterator[RowTest]:
    for name, column in columns_there(delivered).items():
        value, shown = sql.name(name), f"left(CAST({raw(name)} AS VARCHAR), 100)"
        if may_be_unreadable(delivered, name):
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
        ColumnType.TEXT: "text (zero bytes, bytes and lists are none)",
        ColumnType.INTEGER: "a whole number",
        ColumnType.NUMBER: "a number",
        ColumnType.YES_NO: "yes or no",
        ColumnType.DATE: "a date (2025-06-30)",
        ColumnType.TIME: "a time (2025-06-30 17:00:00)",
    }[column_type]


def _not_allowed(column: ColumnContract) -> str:
    if column.one_of:
        return f"none of {', '.join(column.one_of)}"
    if column.type in (ColumnType.DATE, ColumnType.TIME):
        return f"before {sql.FIRST_YEAR} or after {sql.LAST_YEAR}"
    low, high = column.at_least, column.at_most
    edges = [f"under {low:g}"] if low is not None else []
    return " or ".join([*edges, *([f"over {high:g}"] if high is not None else [])])


def _date_tests(delivered: Delivered) -> Iterator[RowTest]:
    there, contract = columns_there(delivered), delivered.contract
    for begin, end in contract.ordered:
        if begin in there and end in there:
            code = "S308" if begin == "notice_deadline" else "S306"
            shown = f"concat({sql.name(begin)}, ' to ', {sql.name(end)})"
            sentence = f"{end} lies before {begin} in {{rows}} of {{total}}."
            yield RowTest(code, sentence, out_of_order(delivered, begin, end), shown)
    if contract.ended in there and delivered.dated:
        ended = sql.name(contract.ended or "")
        shown = f"concat('ended ', {ended}, ', recorded ', recorded_at)"
        # A date counts from the end of its day: recorded on that very day, it was not ahead of its time.
        known_by = f"({ended} - CASE WHEN {date_only(delivered, contract.ended or '')} THEN INTERVAL 1 DAY END)"
        later = f"coalesce({known_by}, {ended}) > recorded_at"
        yield RowTest("S307", f"{contract.ended} lies after recorded_at in {{rows}} of {{total}}.", later, shown)
    for column in ("notice_deadline", "notice_at"):
        if not {column, "start_date"} <= set(there):
            continue
        shown = f"concat({column}, ', start ', start_date)"
        sentence = f"{column} lies before start_date in {{rows}} of {{total}}."
        yield RowTest("S316", sentence, f"{column} < start_date", shown)
    if delivered.dated:
        yield from _recording_tests(delivered)


def _recording_tests(delivered: Delivered) -> Iterator[RowTest]:
    empty = f"NOT coalesce({sql.given(raw(RECORDED_AT), raw_type(delivered, RECORDED_AT))}, false)"
    yield RowTest("S312", "recorded_at is empty in {rows} of {total}.", empty, "NULL")
    occurred = delivered.contract.occurred
    if occurred is not None and not delivered.contract.labels_only:
        early = out_of_order(delivered, occurred, RECORDED_AT)
        shown = f"concat('occurred ', {sql.name(occurred)}, ', recorded ', recorded_at)"
        sentence = f"recorded_at lies before {occurred} in {{rows}} of {{total}}."
        yield RowTest("S313", sentence, early, shown)


def _account_tests(delivered: Delivered) -> Iterator[RowTest]:
    if "account_id" not in columns_there(delivered) or delivered.table == "accounts":
        return
    unknown = f"(account_id IS NOT NULL AND NOT {of_known_account(delivered)})"
    sentence = "account_id is not in `accounts` in {rows} of {total}."
    yield RowTest("S203", sentence, unknown, "account_id")


_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?|\s[A-Za-z][A-Za-z_/]+)$"


def _time_problems(session: Session, delivered: Delivered, read: str) -> Iterator[Problem]:
    """Yield columns of times that mix zones and none, dates and times, or that are all midnight."""
    for name, column in columns_there(delivered).items():
        if column.type is not ColumnType.TIME:
            continue
        kind, value = raw_type(delivered, name), raw(name)
        # The zone follows the time: in 2025-06-30, -30 is no zone.
        zoned = f"regexp_matches(substr(trim({value}), 11), '{_ZONE}')" if sql.is_text(kind) else "false"
        dates = date_only(delivered, name)
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
