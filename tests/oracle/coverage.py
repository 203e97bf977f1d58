"""Which days of which table were delivered: absent is not zero."""

from __future__ import annotations

import datetime as dt

from features.readings import UnknownReason
from tests.oracle.company import ALWAYS, CONTRACT, ONE_DAY, Known, Row, day_of


class CannotSayError(Exception):
    """A reading is unknown, and this is why."""

    def __init__(self, reason: UnknownReason) -> None:
        super().__init__(reason)
        self.reason = reason


def days_between(start: dt.datetime, end: dt.datetime) -> list[dt.date]:
    """The days of the window ``start < t <= end``: as many as it has, up to the one before the end's date.

    >>> days_between(dt.datetime.fromisoformat("2024-05-01"), dt.datetime.fromisoformat("2024-05-03"))
    [datetime.date(2024, 5, 1), datetime.date(2024, 5, 2)]
    """
    return [start.date() + ONE_DAY * n for n in range((end.date() - start.date()).days)]


class Feed:
    """The days of one table that were delivered for one account, as known at one moment.

    What is said of the account itself replaces what is said of all.
    """

    def __init__(self, known: Known, table: str, account_id: str, service_start: dt.date | None) -> None:
        self.service_start = service_start
        named = [row for row in known.rows("feeds") if row["table"] == table]
        own, of_all = ([row for row in named if row.get("account_id") == whose] for whose in (account_id, None))
        said = own or of_all
        self.spells = [(row["covered_from"], row["covered_to"] or dt.date.max) for row in said]
        if not named and (first := first_day(known, table)):
            self.spells = [(first, dt.date.max)]

    def covers(self, day: dt.date) -> bool:
        return any(first <= day <= last for first, last in self.spells)

    def days_until(self, as_of: dt.datetime) -> list[dt.date]:
        """Every day since the feed's first; yesterday where it has not begun."""
        first = min([as_of.date() - ONE_DAY, *(first for first, _ in self.spells)])
        return days_between(dt.datetime.combine(first, dt.time()), as_of)

    def asked(self, days: list[dt.date]) -> list[dt.date]:
        """Of these days, those since the account's service began."""
        return [day for day in days if self.service_start is None or day >= self.service_start]

    def covered(self, days: list[dt.date]) -> list[dt.date]:
        """Of these days, those of service that were delivered."""
        return [day for day in self.asked(days) if self.covers(day)]

    def must_cover(self, days: list[dt.date], otherwise: UnknownReason | None = None) -> None:
        """Say why not, unless every day of service among these was delivered.

        Where only the beginning lies before the feed's first day, history is too short.
        """
        asked = self.asked(days)
        holes = [day for day in asked if not self.covers(day)]
        if not holes:
            return
        begins = min((first for first, _ in self.spells), default=dt.date.min)
        only_before = len(holes) < len(asked) and all(day < begins for day in holes)
        reason = UnknownReason.HISTORY_TOO_SHORT if only_before else UnknownReason.NOT_DELIVERED
        raise CannotSayError(otherwise or reason)


def first_day(known: Known, table: str) -> dt.date | None:
    """Where no feed names the table: from `begins`, else from its first row known, for every account."""
    if table in known.company.begins:
        return known.company.begins[table]
    return min((first_day_of(table, row) for row in known.rows(table)), default=None)


def first_day_of(table: str, row: Row) -> dt.date:
    """The day of an event; of a row that says what holds, the day from which we knew it."""
    occurred = CONTRACT[table].get("occurred")
    when = row[occurred] if occurred else row["known_from"]
    return dt.date.min if when == ALWAYS else day_of(when)
