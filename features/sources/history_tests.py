"""What is asked of when things happened and were recorded: not in the future, not long after everything else."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from features.clock import CLOCKS_DIFFER
from features.sources import sql
from features.sources.contract import RECORDED_AT, ColumnContract, ColumnType
from features.sources.database import tell_the_end
from features.sources.delivery import Delivered
from features.sources.key_tests import quoted
from features.sources.problems import Problem, kinds
from features.sources.row_tests import RowTest, counted, counted_problems
from features.sources.session import Session

LONG_AFTER_DAYS = 60
FAR_AHEAD = dt.timedelta(days=730)  # what is signed early begins within two years
_FEW = 0.01  # of all rows
_TIME = ColumnContract(type=ColumnType.TIME)
_DATE = ColumnContract(type=ColumnType.DATE)


def late_problems(
    session: Session, delivered: Delivered, read: str, observed_until: dt.datetime, now: dt.datetime
) -> list[Problem]:
    """Return the events that lie, and the rows that were recorded, after the end of the history or after `now`."""
    end, today = sql.moment(observed_until), sql.moment(now + CLOCKS_DIFFER)
    tests = []
    for column in _told_when(delivered):
        moment, shown = f"CAST({sql.name(column)} AS TIMESTAMP)", f"CAST({sql.name(column)} AS VARCHAR)"
        later = f"{column} lies after the end of the history ({observed_until}) in {{rows}} of {{total}}."
        tests.append(RowTest("S304", later, f"{moment} > {end} AND {moment} <= {today}", shown))
        future = (
            f"{column} lies in the future in {{rows}} of {{total}}; the history is taken to end {observed_until}."
        )
        read_at_all = sql.allowed(sql.name(column), _TIME)  # the year 9999 is named as out of its range
        tests.append(RowTest("S314", future, f"{moment} > {today} AND {read_at_all}", shown))
    tests += _ahead_tests(delivered, now)
    return counted_problems(session, delivered, read, tests)


def _ahead_tests(delivered: Delivered, now: dt.datetime) -> Iterator[RowTest]:
    """Yield what finds state that begins so far ahead that its year must be wrong."""
    for column in delivered.contract.known:
        if column in delivered.raw_name:
            begins, shown = sql.name(column), f"CAST({sql.name(column)} AS VARCHAR)"
            ahead = f"CAST({begins} AS TIMESTAMP) > {sql.moment(now + FAR_AHEAD)}"
            sentence = f"{column} lies more than two years ahead in {{rows}} of {{total}}."
            yield RowTest("S318", sentence, f"{ahead} AND {sql.allowed(begins, _DATE)}", shown)


def end_problems(said: dt.datetime | None, now: dt.datetime) -> Iterator[Problem]:
    """Yield what is wrong with the end of the history that the company says."""
    if said is not None and said > now + CLOCKS_DIFFER:
        yield kinds()["S317"].found(None, f"observed_until ({said}) lies in the future.")


def _told_when(delivered: Delivered) -> list[str]:
    """Return the columns that say when an event happened and when a row was recorded."""
    columns = (delivered.contract.occurred, RECORDED_AT)
    return [column for column in columns if column is not None and column in delivered.raw_name]


@dataclass(frozen=True, slots=True)
class Day:
    """How many rows of a table the history's end may follow from, on one day."""

    day: dt.date
    table: str
    rows: int


def isolated_problems(
    session: Session, readable: Mapping[str, Delivered], observed_until: dt.datetime, now: dt.datetime
) -> Iterator[Problem]:
    """Yield the few rows that lie long after all others, where the end of the history follows from them.

    Rows in the future are left out: they have a name of their own.
    """
    days = [
        Day(day, table, rows)
        for table in tell_the_end(readable)
        for day, rows in session.rows(
            f"SELECT CAST(recorded_at AS DATE) AS day, count(*) FROM {quoted('normalised', table)} "
            f"WHERE recorded_at <= {sql.moment(now + CLOCKS_DIFFER)} GROUP BY day"
        )
    ]
    last, after = isolated(days)
    for table in dict.fromkeys(one.table for one in after):
        own = [one for one in after if one.table == table]
        rows, moment = sum(one.rows for one in own), RECORDED_AT if readable[table].dated else "occurred_at"
        sentence = (
            f"{moment} of {counted(rows)} lies more than {LONG_AFTER_DAYS} days after that of all others "
            f"(the last is of {last}); the history is taken to end {observed_until}."
        )
        yield kinds()["S315"].found(table, sentence, rows=rows, sample=[str(one.day) for one in own[:3]])


def isolated(days: Sequence[Day]) -> tuple[dt.date | None, list[Day]]:
    """Return the last day before a long gap after which only few rows follow, and what follows.

    Examples
    --------
    >>> usual = [Day(dt.date(2025, 1, day), "usage", 20) for day in range(1, 29)]
    >>> isolated([*usual, Day(dt.date(2025, 6, 30), "tickets", 1)])
    (datetime.date(2025, 1, 28), [Day(day=datetime.date(2025, 6, 30), table='tickets', rows=1)])
    >>> isolated([*usual, Day(dt.date(2025, 6, 30), "tickets", 100)])
    (None, [])
    """
    in_order = sorted(days, key=lambda one: (one.day, one.table))
    few = _FEW * sum(one.rows for one in in_order)
    following = 0
    found: tuple[dt.date | None, list[Day]] = (None, [])
    for place, (before, one) in reversed(list(enumerate(itertools.pairwise(in_order), start=1))):
        following += one.rows
        if following > few:
            break
        if (one.day - before.day).days > LONG_AFTER_DAYS:
            found = before.day, in_order[place:]
    return found
