"""The one place that asks what time it is; command lines and the API call it, nothing else does."""

from __future__ import annotations

import datetime as dt

from features.errors import ReadingError

# A clock may be wrong by some hours, a local time is read as UTC, and a date counts from the end of its day.
CLOCKS_DIFFER = dt.timedelta(days=1)


def now() -> dt.datetime:
    """Return the current time, UTC, without zone, in whole seconds, as all times in Keepsight are."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)  # noqa: TID251 - the one clock


def moment_asked(as_of: dt.datetime | None, observed_until: dt.datetime, now: dt.datetime) -> dt.datetime:
    """Return the moment that an answer is about.

    Parameters
    ----------
    as_of
        The one asked for; None: where the history ends, or `now` if that is earlier.
    observed_until
        Where the history ends.
    now
        What time it is.

    Raises
    ------
    ReadingError
        `as_of` lies in the future.

    Examples
    --------
    >>> moment_asked(None, dt.datetime(2025, 7, 1), now=dt.datetime(2025, 6, 30, 12))
    datetime.datetime(2025, 6, 30, 12, 0)
    >>> moment_asked(dt.datetime(2026, 1, 1), dt.datetime(2025, 7, 1), now=dt.datetime(2025, 6, 30))
    Traceback (most recent call last):
    ...
    features.errors.ReadingError: as_of: 2026-01-01 00:00 lies in the future; the history ends on ...
    """
    if as_of is None:
        return min(observed_until.replace(microsecond=0), now)
    if as_of > max(observed_until, now):
        raise ReadingError(
            f"as_of: {as_of:%Y-%m-%d %H:%M} lies in the future; the history ends on "
            f"{observed_until:%Y-%m-%d %H:%M}. Leave it out to ask about then."
        )
    return as_of
