"""Which rows of one account, in which window, and one number from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from features.catalogue.schema import Aggregate, Between, Filter, Rows
from features.readings import UnknownReason
from tests.oracle.company import CONTRACT, ONE_DAY, Known, Row, day_of
from tests.oracle.coverage import CannotSayError, Feed, days_between

Window = tuple[dt.datetime, dt.datetime]


def window(as_of: dt.datetime, days: int, until_days_ago: int = 0) -> Window:
    """The window of so many days, that ended so many days ago."""
    end = as_of - ONE_DAY * until_days_ago
    return end - ONE_DAY * days, end


def in_window(when: dt.datetime, span: Window) -> bool:
    """After its beginning, up to and with its end."""
    return span[0] < when <= span[1]


def age_in_days(since: dt.datetime, as_of: dt.datetime) -> int:
    """Whole days, floored."""
    return (as_of - since) // ONE_DAY


def matches(row: Row, wanted: Filter) -> bool:
    """All columns of the filter match; a null never does."""
    return all(_column_matches(row[name], allowed) for name, allowed in wanted.items())


def _column_matches(value: object, allowed: tuple[str | bool | int, ...] | Between) -> bool:
    if value is None:
        return False
    if not isinstance(allowed, Between):
        return value in allowed
    assert isinstance(value, int | float)
    return (allowed.at_least is None or value >= allowed.at_least) and (
        allowed.at_most is None or value <= allowed.at_most
    )


def occurred_at(table: str, row: Row) -> dt.datetime:
    when: dt.datetime = row[CONTRACT[table]["occurred"]]
    return when


def ended_at(table: str, row: Row) -> dt.datetime | None:
    when: dt.datetime | None = row[CONTRACT[table]["ended"]]
    return when


def is_open_at(table: str, row: Row, as_of: dt.datetime) -> bool:
    end = ended_at(table, row)
    return end is None or end > as_of


def durations(table: str, rows: Sequence[Row], span: Window) -> list[float]:
    """Days from beginning to end of rows that ended in the window, and the age so far of those still open."""
    lengths: list[float] = []
    for row in rows:
        end = ended_at(table, row)
        if is_open_at(table, row, span[1]):
            end = span[1]
        if end and in_window(end, span):
            lengths.append((end - occurred_at(table, row)) / ONE_DAY)
    return lengths


class View:
    """What was known about one account at one moment, with the day its service began."""

    def __init__(self, known: Known, account_id: str, service_start: dt.date | None) -> None:
        self.known, self.account_id, self.service_start = known, account_id, service_start
        self.as_of = known.as_of
        self._feeds: dict[str, Feed] = {}

    @property
    def tenure_days(self) -> int | None:
        return None if self.service_start is None else (self.as_of.date() - self.service_start).days

    def feed(self, table: str) -> Feed:
        """The table's delivered days for this account; asking for a table that is not connected says so."""
        self.must_be_connected(table)
        if table not in self._feeds:
            self._feeds[table] = Feed(self.known, table, self.account_id, self.service_start)
        return self._feeds[table]

    def must_be_connected(self, table: str) -> None:
        if not self.known.connected(table):
            raise CannotSayError(UnknownReason.NOT_CONNECTED)

    def must_cover(self, table: str, span: Window | None) -> None:
        """Every day of service in the window; without one, every day of service.

        A window that ends before the date says nothing of an account that was not there through all of it.
        """
        feed = self.feed(table)
        if span is not None:
            feed.must_cover(days_between(*span))
            if span[1] < self.as_of and (self.service_start is None or self.service_start > span[0].date()):
                raise CannotSayError(UnknownReason.HISTORY_TOO_SHORT)
        elif self.service_start is not None:
            feed.must_cover(days_between(dt.datetime.combine(self.service_start, dt.time()), self.as_of))
        else:
            feed.must_cover(feed.days_until(self.as_of))

    def rows(self, wanted: Rows, span: Window | None = None) -> list[Row]:
        """The account's rows that match any of the filters, in the window where there is one."""
        self.must_be_connected(wanted.table)
        return [
            row
            for row in self.known.rows(wanted.table, self.account_id)
            if (not wanted.any_of or any(matches(row, one) for one in wanted.any_of))
            and (span is None or in_window(occurred_at(wanted.table, row), span))
        ]


def span_of(view: View, aggregate: Aggregate) -> Window | None:
    """The aggregate's window; none: all that is known."""
    if aggregate.window_days is None:
        return None
    return window(view.as_of, aggregate.window_days, aggregate.until_days_ago)


def rows_of(view: View, aggregate: Aggregate, span: Window | None = None) -> list[Row]:
    """The aggregate's rows, of members known long enough where it asks for that."""
    rows = view.rows(aggregate, span or span_of(view, aggregate))
    since = aggregate.by_known_since
    if since is None:
        return rows
    firsts: dict[object, dt.datetime] = {}
    for row in view.rows(Rows(table=aggregate.table)):
        when = occurred_at(aggregate.table, row)
        firsts[row[since.column]] = min(when, firsts.get(row[since.column], when))
    return [
        row
        for row in rows
        if row[since.column] is not None and age_in_days(firsts[row[since.column]], view.as_of) > since.days
    ]


def must_cover(view: View, aggregate: Aggregate) -> None:
    """Every day of the aggregate's window.

    Who was first seen long ago can be told only if as much was delivered before the window.
    """
    span, since = span_of(view, aggregate), aggregate.by_known_since
    if span and since:
        span = (span[0] - ONE_DAY * since.days, span[1])
    view.must_cover(aggregate.table, span)


def covered_number(view: View, aggregate: Aggregate) -> float:
    """The aggregate in its window, every day of which was delivered."""
    must_cover(view, aggregate)
    return number(aggregate, rows_of(view, aggregate))


def number(aggregate: Aggregate, rows: Sequence[Row]) -> float:
    """Rows counted, combinations counted, or one column added up or averaged; nulls are left out."""
    if aggregate.of == "rows":
        return len(rows)
    values = [tuple(_column(aggregate.table, row, name) for name in aggregate.columns) for row in rows]
    values = [value for value in values if None not in value]
    if aggregate.of == "distinct":
        return len(set(values))
    total = sum(float(str(value[0])) for value in values)
    if aggregate.of == "sum":
        return total
    if not values:
        raise CannotSayError(UnknownReason.TOO_FEW)
    return total / len(values)


def _column(table: str, row: Row, name: str) -> object:
    return day_of(occurred_at(table, row)) if name == "day" else row[name]
