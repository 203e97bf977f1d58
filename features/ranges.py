"""Hash ranges of accounts: the same account lies in the same range on every engine and in every process.

The hash is the first eight hex digits of the MD5 of the account's id in UTF-8, which DuckDB, PostgreSQL and Spark
all compute (``md5(account_id)``); a range is an interval of it. Of twice as many ranges, two make one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_HASHES = 2**32


def range_of(account_ids: Sequence[str] | npt.NDArray[np.object_], ranges: int) -> npt.NDArray[np.intp]:
    """Return the range, 0 to `ranges` - 1, of each account.

    >>> range_of(["A-1", "A-2", "A-1", "Zoë"], 8)
    array([2, 3, 2, 7])
    """
    accounts, places = np.unique(np.asarray(account_ids, dtype=str), return_inverse=True)
    of_account = np.array([_hash(account) * ranges // _HASHES for account in accounts], dtype=np.intp)
    return of_account[places]


def bounds(ranges: int) -> list[tuple[str, str]]:
    """Return each range as texts: an account lies in it if ``low <= md5(account_id) < high``.

    >>> bounds(3)
    [('00000000', '55555556'), ('55555556', 'aaaaaaab'), ('aaaaaaab', 'g')]
    """
    lows = [f"{-(-number * _HASHES // ranges):08x}" for number in range(ranges)]
    return list(zip(lows, [*lows[1:], "g"], strict=True))  # "g" sorts after every hex digit


def _hash(account_id: str) -> int:
    return int.from_bytes(hashlib.md5(account_id.encode(), usedforsecurity=False).digest()[:4], "big")
