"""The one place that asks what time it is; command lines and the API call it, nothing else does."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Return the current time, UTC, without zone, in whole seconds, as all times in Keepsight are."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)  # noqa: TID251 - the one clock
