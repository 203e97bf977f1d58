"""What every contender is asked: all accounts on 24 month starts, whether in force or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FIRST_MONTH, MONTHS = np.datetime64("2023-07", "M"), 24


def as_of_dates(months: int = MONTHS) -> npt.NDArray[np.datetime64]:
    """Return the month starts, the last `months` of the 24.

    >>> [str(date) for date in as_of_dates()[[0, -1]]]
    ['2023-07-01T00:00:00', '2025-06-01T00:00:00']
    """
    dates = (FIRST_MONTH + np.arange(MONTHS)).astype("datetime64[s]")
    return dates[MONTHS - months :]


def account_ids(folder: Path) -> npt.NDArray[np.object_]:
    """Return the company's accounts, sorted."""
    ids = pc.unique(pq.read_table(folder / "accounts.parquet", columns=["account_id"])["account_id"])
    return np.sort(ids.to_numpy(zero_copy_only=False))


def grid(folder: Path, months: int = MONTHS) -> pa.Table:
    """Return every pair of account and date as ``build_vectors`` takes them."""
    accounts, dates = account_ids(folder), as_of_dates(months)
    return pa.table(
        {
            "account_id": pa.array(np.repeat(accounts, len(dates)), pa.string()),
            "as_of": pa.array(np.tile(dates, len(accounts)), pa.timestamp("s")),
        }
    )
