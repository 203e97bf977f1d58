"""Which rows learn and which rows judge, with whole label windows kept apart.

The *final block* is the last months that have labels; rows that learn have label windows that end before its
first date. Inside the learning part, *rolling origins* give predictions of later months by models of earlier
ones: they choose the booster and its trees, the calibration, kappa, how far later months miss what was said, and
the other horizons.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
Positions = npt.NDArray[np.intp]

LEAST_SHARE_OF_DATES = 0.25  # a fold whose training has fewer of the dates says little about the whole
ACCOUNT_FOLDS = 4


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to learn from and later rows to judge by (positions)."""

    train: Positions
    validate: Positions


@dataclass(frozen=True, slots=True)
class Folds:
    """Folds, and whether they lie apart in time (else apart by account, where the history is too short)."""

    folds: tuple[Fold, ...]
    across_time: bool

    def __iter__(self) -> Iterator[Fold]:
        return iter(self.folds)

    def __len__(self) -> int:
        return len(self.folds)


@dataclass(frozen=True, slots=True)
class Split:
    """Rows before the final block, and the final block (positions); `first_final` is its first date.

    Where the history is too short to set any month apart, `final` is empty and `first_final` is NaT.
    """

    train: Positions
    final: Positions
    first_final: np.datetime64


def split_final_block(as_of: Times, churned: Floats, window_days: int, final_months: int) -> Split:
    """Set the last dates with labels apart.

    Parameters
    ----------
    as_of
        Shape (n,).
    churned
        Shape (n,): 1, 0 or NaN (no label: in neither part).
    window_days
        Embargo and horizon.
    final_months
        How many dates to set apart; fewer where the history is too short to leave anything to learn from.

    Returns
    -------
    Split
        Every label window of `train` ends at or before `first_final`.

    Examples
    --------
    >>> months = np.arange("2025-01", "2026-01", dtype="datetime64[M]").astype("datetime64[s]")
    >>> split = split_final_block(months, np.arange(12) % 2.0, window_days=90, final_months=6)
    >>> split.first_final, len(split.train), len(split.final)
    (np.datetime64('2025-07-01T00:00:00'), 4, 6)
    """
    labelled = ~np.isnan(churned)
    dates = np.unique(as_of[labelled])
    for months in range(min(final_months, len(dates) - 1), 0, -1):
        first = dates[-months]
        train = np.flatnonzero(labelled & (as_of + np.timedelta64(window_days, "D") <= first))
        if _both_answers(churned[train]):
            return Split(train, np.flatnonzero(labelled & (as_of >= first)), first)
    return Split(np.flatnonzero(labelled), np.array([], dtype=np.intp), np.datetime64("NaT", "s"))


def rolling_origins(
    rows: Positions,
    as_of: Times,
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    window_days: int,
    origins: int,
) -> Folds:
    """Return folds inside `rows`: learn before an origin, judge from it to the next.

    Parameters
    ----------
    rows
        Positions of the rows to use; all have labels.
    as_of, churned, accounts
        Shape (n,) of the whole table.
    window_days
        Embargo and horizon: every label window of a fold's training ends at or before its origin.
    origins
        How many at most. Where fewer than two are possible, the folds lie apart by account instead.
    """
    dates = np.unique(as_of[rows])
    window = np.timedelta64(window_days, "D")
    least = max(1, int(np.ceil(LEAST_SHARE_OF_DATES * len(dates))))
    candidates = [
        date
        for date in dates
        if (dates + window <= date).sum() >= least and _both_answers(churned[rows[as_of[rows] + window <= date]])
    ]
    blocks = [block for block in np.array_split(np.array(candidates), origins) if len(block)]
    folds = [
        Fold(
            rows[as_of[rows] + window <= block[0]],
            rows[(as_of[rows] >= block[0]) & (as_of[rows] <= block[-1])],
        )
        for block in blocks
    ]
    if len(folds) >= 2:
        return Folds(tuple(folds), across_time=True)
    return Folds(tuple(_by_account(rows, churned, accounts)), across_time=False)


def _by_account(rows: Positions, churned: Floats, accounts: npt.NDArray[np.object_]) -> Iterator[Fold]:
    place = np.array([zlib.crc32(str(account).encode()) % ACCOUNT_FOLDS for account in accounts[rows]])
    for fold in range(ACCOUNT_FOLDS):
        train, validate = rows[place != fold], rows[place == fold]
        if len(validate) and _both_answers(churned[train]):
            yield Fold(train, validate)


def _both_answers(churned: Floats) -> bool:
    return bool((churned == 1).any() and (churned == 0).any())


def churned_accounts(accounts: npt.NDArray[np.object_], churned: Floats) -> int:
    """Count the distinct accounts with a churned row: one churn fills up to three monthly rows.

    >>> churned_accounts(np.array(["a", "a", "b"], dtype=object), np.array([1.0, 1.0, 0.0]))
    1
    """
    return len(set(accounts[churned == 1]))
