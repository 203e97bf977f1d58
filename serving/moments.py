"""Dates and times as callers write them, and as answers write them."""

from __future__ import annotations

import datetime as dt

EARLIEST_YEAR, LAST_YEAR = 1970, 8999


def moment(text: object) -> dt.datetime:
    """Read ISO 8601; a date alone is its midnight. UTC without zone, whole seconds.

    Raises
    ------
    ValueError
        Not a text, not ISO 8601, or outside the years 1970 to 8999.

    Examples
    --------
    >>> moment("2025-06-30")
    datetime.datetime(2025, 6, 30, 0, 0)
    >>> moment("2025-06-30T10:00:00.5+02:00")
    datetime.datetime(2025, 6, 30, 8, 0)
    >>> moment("30.6.2025")
    Traceback (most recent call last):
    ...
    ValueError: give a date (2025-06-30) or a time (2025-06-30T12:00:00Z)
    """
    if not isinstance(text, str):
        raise ValueError("give a date (2025-06-30) or a time (2025-06-30T12:00:00Z) as text")
    try:
        read = dt.datetime.fromisoformat(text)
        if read.tzinfo is not None:
            read = read.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError("give a date (2025-06-30) or a time (2025-06-30T12:00:00Z)") from None
    if not EARLIEST_YEAR <= read.year <= LAST_YEAR:
        raise ValueError(f"the year lies outside {EARLIEST_YEAR} to {LAST_YEAR}")
    return read.replace(microsecond=0)


def date_or_moment(text: object) -> dt.date | dt.datetime:
    """Read like :func:`moment`, and keep a date a date, however ISO 8601 writes it: it counts from its end.

    >>> date_or_moment("2025-06-30"), date_or_moment("20250630"), date_or_moment("2025-06-30T00:00")
    (datetime.date(2025, 6, 30), datetime.date(2025, 6, 30), datetime.datetime(2025, 6, 30, 0, 0))
    """
    read = moment(text)
    try:
        return dt.date.fromisoformat(str(text))
    except ValueError:
        return read


def written(when: dt.datetime) -> str:
    """Write a moment (UTC without zone) so that any reader knows that it is UTC.

    >>> written(dt.datetime(2025, 6, 30))
    '2025-06-30T00:00:00Z'
    """
    return when.isoformat(timespec="seconds") + "Z"
