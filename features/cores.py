"""How much is done at once."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores this process may use.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


AT_ONCE = min(4, cores())  # threads that work on tables, or on passes; each takes its share of memory
