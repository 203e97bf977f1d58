"""The bootstrap over accounts: how much a figure would differ, had other accounts been there.

Accounts are drawn, never rows: one account fills a row a month, and one churn up to three.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

MOST_WEIGHTED_ROWS = 200_000_000  # rows x repeats: keeps 200,000 accounts under a minute
FEWEST_REPEATS = 100


class Draws:
    """How often each account of n rows is drawn; the same draws each time.

    Parameters
    ----------
    accounts
        Shape (n,): whose row it is.
    repeats
        How many draws; fewer where there are very many rows, but at least 100.
    interval
        The share of the repeats that lie inside an interval.
    seed
        Of the draws.

    Examples
    --------
    >>> draws = Draws(np.array(["a", "a", "b", "c"], dtype=object), repeats=200, interval=0.9, seed=1)
    >>> draws.accounts, draws.times.sum(axis=1).tolist() == [3.0] * 200
    (3, True)
    >>> churned = np.array([1.0, 1.0, 0.0, 0.0])
    >>> draws.ratio(churned, np.ones(4))
    (0.0, 0.8)
    >>> draws.ratio(churned, np.zeros(4)) is None
    True
    """

    def __init__(self, accounts: npt.NDArray[Any], *, repeats: int, interval: float, seed: int) -> None:
        names, self.account = np.unique(accounts, return_inverse=True)
        self.accounts = len(names)
        self.edges = ((1 - interval) / 2, (1 + interval) / 2)
        self._repeats = min(repeats, max(FEWEST_REPEATS, MOST_WEIGHTED_ROWS // max(len(accounts), 1)))
        self._seed = seed

    @cached_property
    def times(self) -> Floats:
        """How often each account was drawn: shape (repeats, accounts)."""
        rng = np.random.default_rng(self._seed)
        return np.stack(
            [
                np.bincount(rng.integers(self.accounts, size=self.accounts), minlength=self.accounts)
                for _ in range(self._repeats)
            ]
        ).astype(np.float64)

    def by_account(self, values: npt.NDArray[Any]) -> Floats:
        """Sum values of rows, shape (n,) or (n, k), into accounts."""
        if values.ndim == 1:
            return np.bincount(self.account, weights=values, minlength=self.accounts).astype(np.float64)
        return np.column_stack([self.by_account(column) for column in values.T])

    def sums(self, values: npt.NDArray[Any]) -> Floats:
        """Return the sum in each repeat, of values of shape (n,) or (n, k)."""
        return np.asarray(self.times @ self.by_account(values), dtype=np.float64)

    def ratio(self, above: npt.NDArray[Any], below: npt.NDArray[Any]) -> Interval | None:
        """Return the interval of Σ above / Σ below, over rows; None where below is always 0."""
        return self.ratios(above[:, None], below[:, None])[0]

    def ratios(self, above: npt.NDArray[Any], below: npt.NDArray[Any]) -> list[Interval | None]:
        """Return the interval of each column's Σ above / Σ below; shapes (n, k)."""
        over, under = self.sums(above), self.sums(below)
        drawn = np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)
        return [self.interval(column) for column in drawn.T]

    def share_intervals(self, hit: npt.NDArray[Any], of: npt.NDArray[Any]) -> list[Interval | None]:
        """Return the interval of shares: Σ hit / Σ of, where `hit` is part of `of`; 0 or 1, shapes (n, k).

        Where all or none were hit, no draw can tell how many might have been: there the open side is the exact
        (Clopper-Pearson) one for as many accounts as there are.
        """
        accounts, total, whole = self._accounts_with(of), hit.sum(axis=0), of.sum(axis=0)
        found: list[Interval | None] = []
        for column, interval in enumerate(self.ratios(hit, of)):
            reach = 1 - self.edges[0] ** (1 / accounts[column]) if accounts[column] else 1.0
            if interval is not None and total[column] == 0:
                interval = (0.0, reach)
            elif interval is not None and total[column] == whole[column]:
                interval = (1 - reach, 1.0)
            found.append(interval)
        return found

    def _accounts_with(self, flags: Floats) -> npt.NDArray[np.intp]:
        return np.count_nonzero(self.by_account(flags) > 0, axis=0)  # type: ignore[no-any-return]

    def interval(self, values: Floats) -> Interval | None:
        """Return the edges between which the repeats' values lie; NaN is left out, of nothing else None."""
        known = values[~np.isnan(values)]
        if len(known) == 0:
            return None
        low, high = np.quantile(known, self.edges)
        return float(low), float(high)
