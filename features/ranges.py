"""Hash ranges of accounts: an account lies in the same range in every process.

The hash is the first eight hex digits of the MD5 of the account's id in UTF-8 (Python's own differs from process
to process); a range is an interval of it. Of twice as many ranges, two make one.
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


def _hash(account_id: str) -> int:
    return int.from_bytes(hashlib.md5(account_id.encode(), usedforsecurity=False).digest()[:4], "big")
