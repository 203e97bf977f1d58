"""How good probabilities were, on rows that nothing had learnt from; intervals are over accounts.

Where a figure cannot be had (one class only, no values of contracts) it is None, never a made-up middle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Interval = tuple[float, float]

ECE_BINS = 10
MOST_WEIGHTED_ROWS = 200_000_000  # rows x repeats: keeps 200,000 accounts under a minute
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one contestant on the final block.

    `lift`, `precision` and `arr_caught` are those of the accounts that the team can work at one time, date by
    date; `arr_caught` ranks by probability x value. Intervals come from the bootstrap over accounts.
    """

    log_loss: float
    brier: float
    ece: float
    auc: float | None
    pr_auc: float | None
    lift: float | None
    precision: float | None
    arr_caught: float | None
    mean_probability: float
    log_loss_interval: Interval
    auc_interval: Interval | None

    def to_dict(self) -> dict[str, object]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Log loss of one contestant minus another's, paired by account: below 0 the first is better."""

    value: float
    low: float
    high: float
    standard_error: float


class Block:
    """The rows that judge: what happened, to whom, when, and what they were worth.

    Parameters
    ----------
    accounts
        Shape (n,).
    as_of
        Shape (n,).
    churned
        Shape (n,): 1 or 0.
    arr
        Shape (n,): yearly value, NaN unknown.
    repeats, interval, seed
        Of the bootstrap over accounts.
    """

    def __init__(
        self,
        accounts: npt.NDArray[np.object_],
        as_of: npt.NDArray[np.datetime64],
        churned: Floats,
        arr: Floats,
        *,
        repeats: int,
        interval: float,
        capacity_share: float,
        seed: int,
    ) -> None:
        names, self.account = np.unique(accounts, return_inverse=True)
        self.as_of, self.churned, self.arr = as_of, churned, arr
        self.capacity_share = capacity_share
        self.edges = ((1 - interval) / 2, (1 + interval) / 2)
        self.accounts = len(names)
        self.churned_accounts = len(np.unique(self.account[churned == 1]))
        affordable = max(100, MOST_WEIGHTED_ROWS // max(len(churned), 1))
        self._repeats, self._seed = min(repeats, affordable), seed

    def __len__(self) -> int:
        return len(self.churned)

    def draws(self) -> Floats:
        """Return how often each account was drawn, a row for each repeat; the same draws each time."""
        rng = np.random.default_rng(self._seed)
        return np.stack(
            [
                np.bincount(rng.integers(self.accounts, size=self.accounts), minlength=self.accounts)
                for _ in range(self._repeats)
            ]
        ).astype(np.float64)

    def scores(self, probability: Floats) -> Scores:
        """Judge n probabilities."""
        losses = row_log_loss(self.churned, probability)
        draws = self.draws()
        area = auc(self.churned, probability)
        return Scores(
            log_loss=float(losses.mean()),
            brier=float(((probability - self.churned) ** 2).mean()),
            ece=expected_calibration_error(self.churned, probability),
            auc=area,
            pr_auc=average_precision(self.churned, probability),
            lift=self._lift(probability),
            precision=self._precision(probability),
            arr_caught=self._arr_caught(probability),
            mean_probability=float(probability.mean()),
            log_loss_interval=self._interval(self._means(losses, draws)),
            auc_interval=None if area is None else self._auc_interval(probability, draws),
        )

    def difference(self, probability: Floats, other: Floats) -> Difference:
        """Compare two sets of probabilities by log loss, account by account."""
        gaps = row_log_loss(self.churned, probability) - row_log_loss(self.churned, other)
        means = self._means(gaps, self.draws())
        low, high = self._interval(means)
        return Difference(float(gaps.mean()), low, high, float(means.std()))

    def calibration_gap(self, probability: Floats) -> tuple[float, Interval]:
        """Return observed minus predicted churn rate, and its interval."""
        gaps = self.churned - probability
        return float(gaps.mean()), self._interval(self._means(gaps, self.draws()))

    def _means(self, values: Floats, draws: Floats) -> Floats:
        sums = np.bincount(self.account, weights=values, minlength=self.accounts)
        rows = np.bincount(self.account, minlength=self.accounts)
        return np.asarray((draws @ sums) / (draws @ rows), dtype=np.float64)

    def _interval(self, values: Floats) -> Interval:
        low, high = np.quantile(values[~np.isnan(values)], self.edges)
        return float(low), float(high)

    def _auc_interval(self, probability: Floats, draws: Floats) -> Interval | None:
        ranked = _Ranked(probability)
        areas = np.array([ranked.auc(self.churned, weights[self.account]) for weights in draws])
        return self._interval(areas) if (~np.isnan(areas)).any() else None

    def chosen(self, ranking: Floats) -> npt.NDArray[np.bool_]:
        """Mark the accounts that the team would work: the highest `capacity_share` of each date."""
        marked = np.zeros(len(ranking), dtype=bool)
        for date in np.unique(self.as_of):
            rows = np.flatnonzero(self.as_of == date)
            most = int(np.ceil(self.capacity_share * len(rows)))
            marked[rows[np.argsort(-ranking[rows], kind="stable")[:most]]] = True
        return marked

    def _precision(self, probability: Floats) -> float | None:
        if len(probability) == 0 or probability.min() == probability.max():
            return None  # who says the same of everybody chooses nobody
        return float(self.churned[self.chosen(probability)].mean())

    def _lift(self, probability: Floats) -> float | None:
        precision, rate = self._precision(probability), float(self.churned.mean())
        return precision / rate if precision is not None and rate > 0 else None

    def _arr_caught(self, probability: Floats) -> float | None:
        arr = np.nan_to_num(self.arr)
        lost = float((arr * self.churned).sum())
        if lost <= 0 or probability.min() == probability.max():
            return None
        return float((arr * self.churned)[self.chosen(probability * arr)].sum() / lost)


def row_log_loss(churned: Floats, probability: Floats) -> Floats:
    """Return each row's log loss, natural logarithm; probabilities of 0 and 1 are moved by 1e-7.

    >>> row_log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])).round(4).tolist()
    [0.6931, 0.6931]
    """
    safe = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return -np.where(churned == 1, np.log(safe), np.log1p(-safe))


def auc(churned: Floats, ranking: Floats) -> float | None:
    """Return the chance that a churned row ranks above a retained one (ties count half); None for one class.

    Examples
    --------
    >>> auc(np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.3, 0.3]))
    0.75
    >>> auc(np.array([0.0, 0.0]), np.array([0.1, 0.3])) is None
    True
    """
    area = _Ranked(ranking).auc(churned, np.ones(len(churned)))
    return None if np.isnan(area) else area


class _Ranked:
    """An order of rows, worked out once and used for many weightings."""

    def __init__(self, ranking: Floats) -> None:
        self.order = np.argsort(ranking, kind="stable")
        ordered = ranking[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def auc(self, churned: Floats, weights: Floats) -> float:
        weighted, happened = weights[self.order], churned[self.order]
        positive = np.add.reduceat(weighted * happened, self.starts)
        negative = np.add.reduceat(weighted * (1 - happened), self.starts)
        pairs = float(positive.sum() * negative.sum())
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below) / pairs if pairs > 0 else float("nan")


def average_precision(churned: Floats, ranking: Floats) -> float | None:
    """Return the area under precision and recall (average precision); None where nobody churned.

    >>> average_precision(np.array([1.0, 0.0]), np.array([0.9, 0.1]))
    1.0
    """
    total = churned.sum()
    if total == 0:
        return None
    order = np.argsort(-ranking, kind="stable")
    ordered, happened = ranking[order], np.cumsum(churned[order])
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # ties stand or fall together
    precision = happened[ends] / (ends + 1)
    recall = np.diff(np.r_[0.0, happened[ends] / total])
    return float((precision * recall).sum())


def expected_calibration_error(churned: Floats, probability: Floats) -> float:
    """Return the mean gap between what was said and what happened, over ten groups of equal size.

    >>> expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    0.0
    """
    groups = np.array_split(np.argsort(probability, kind="stable"), ECE_BINS)
    gaps = [len(rows) * abs(churned[rows].mean() - probability[rows].mean()) for rows in groups if len(rows)]
    return float(sum(gaps) / len(churned))


def reliability(churned: Floats, probability: Floats) -> list[tuple[float, float, int]]:
    """Return (mean said, share that churned, rows) of ten groups of equal size."""
    groups = np.array_split(np.argsort(probability, kind="stable"), ECE_BINS)
    return [
        (float(probability[rows].mean()), float(churned[rows].mean()), len(rows)) for rows in groups if len(rows)
    ]
