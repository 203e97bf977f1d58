"""How good probabilities were, on rows that nothing had learnt from; intervals are over accounts.

Where a figure cannot be had (one class only, no values of contracts) it is None, never a made-up middle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.resampling import Draws, Interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

ECE_BINS = 10
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one contestant on the final block.

    `lift`, `precision` and `arr_caught` are those of the accounts that the team can work at one time, date by
    date; `arr_caught` ranks by probability x value. Intervals come from the bootstrap over accounts, the groups
    of `ece` and the accounts worked staying what they were; None where a figure is None, or too few draws have it.
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
    brier_interval: Interval | None
    ece_interval: Interval | None
    pr_auc_interval: Interval | None
    lift_interval: Interval | None
    precision_interval: Interval | None
    arr_caught_interval: Interval | None

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


@dataclass(frozen=True, slots=True)
class Group:
    """One of ten groups of equal size by what was said: the mean said, and the share that churned."""

    said: float
    happened: float
    interval: Interval | None
    rows: int


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
        accounts: npt.NDArray[np.object_] | Ints,
        as_of: npt.NDArray[np.datetime64],
        churned: Floats,
        arr: Floats,
        *,
        repeats: int,
        interval: float,
        capacity_share: float,
        seed: int,
    ) -> None:
        self.draws = Draws(accounts, repeats=repeats, interval=interval, seed=seed)
        self.as_of, self.churned, self.arr = as_of, churned, arr
        self.capacity_share = capacity_share
        self.churned_accounts = len(np.unique(self.account[churned == 1]))
        self._bootstrap: dict[str, Any] = {"repeats": repeats, "interval": interval, "seed": seed}

    def __len__(self) -> int:
        return len(self.churned)

    @property
    def account(self) -> Ints:
        """Shape (n,): the number of each row's account."""
        return self.draws.account

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return self.draws.accounts

    def part(self, rows: npt.NDArray[np.bool_]) -> Block:
        """Return some of the rows as a block of their own."""
        return Block(
            self.account[rows],
            self.as_of[rows],
            self.churned[rows],
            self.arr[rows],
            capacity_share=self.capacity_share,
            **self._bootstrap,
        )

    def scores(self, probability: Floats) -> Scores:
        """Judge n probabilities."""
        losses, squares = row_log_loss(self.churned, probability), (probability - self.churned) ** 2
        area, chosen = auc(self.churned, probability), self._worked(probability)
        lost = self.arr_lost()
        found = None if chosen is None else self.chosen(probability * np.nan_to_num(self.arr))
        both = self._ranking_intervals(probability)
        return Scores(
            log_loss=float(losses.mean()),
            brier=float(squares.mean()),
            ece=expected_calibration_error(self.churned, probability),
            auc=area,
            pr_auc=average_precision(self.churned, probability),
            lift=_over(_share(self.churned, chosen), float(self.churned.mean())),
            precision=_share(self.churned, chosen),
            arr_caught=None if found is None else _over(float(lost[found].sum()), float(lost.sum())),
            mean_probability=float(probability.mean()),
            log_loss_interval=self._mean_interval(losses),
            auc_interval=both[0],
            brier_interval=self._mean_interval(squares),
            ece_interval=self._ece_interval(probability),
            pr_auc_interval=both[1],
            lift_interval=self._lift_interval(chosen),
            precision_interval=None if chosen is None else self.share_interval(self.churned, chosen),
            arr_caught_interval=None if found is None else self.draws.ratio(lost * found, lost),
        )

    def difference(self, probability: Floats, other: Floats) -> Difference:
        """Compare two sets of probabilities by log loss, account by account."""
        gaps = row_log_loss(self.churned, probability) - row_log_loss(self.churned, other)
        means = self._means(gaps)
        low, high = self._known(self.draws.interval(means))
        return Difference(float(gaps.mean()), low, high, float(means.std()))

    def calibration_gap(self, probability: Floats) -> tuple[float, Interval]:
        """Return observed minus predicted churn rate, and its interval."""
        gaps = self.churned - probability
        return float(gaps.mean()), self._mean_interval(gaps)

    def share_interval(self, hit: Floats, among: npt.NDArray[np.bool_]) -> Interval | None:
        """Return the interval of the share of hits among some rows."""
        return self.draws.share_intervals((hit * among)[:, None], among.astype(float)[:, None])[0]

    def reliability(self, probability: Floats) -> tuple[Group, ...]:
        """Return what was said and what happened, in ten groups of equal size by what was said."""
        groups = _groups(probability)
        members = np.zeros((len(self), len(groups)))
        for place, rows in enumerate(groups):
            members[rows, place] = 1.0
        intervals = self.draws.share_intervals(members * self.churned[:, None], members)
        return tuple(
            Group(float(probability[rows].mean()), float(self.churned[rows].mean()), interval, len(rows))
            for rows, interval in zip(groups, intervals, strict=True)
        )

    def arr_lost(self) -> Floats:
        """Return the yearly value that each row lost; 0 where it is unknown, since nothing can be added up."""
        return np.nan_to_num(self.arr) * self.churned

    def _means(self, values: Floats) -> Floats:
        sums = self.draws.sums(np.column_stack([values, np.ones(len(values))]))
        return np.asarray(sums[:, 0] / sums[:, 1], dtype=np.float64)

    def _mean_interval(self, values: Floats) -> Interval:
        return self._known(self.draws.interval(self._means(values)))

    @staticmethod
    def _known(interval: Interval | None) -> Interval:
        assert interval is not None  # every draw has as many accounts as there are
        return interval

    def _ece_interval(self, probability: Floats) -> Interval | None:
        groups = _groups(probability)
        gaps = np.zeros((len(self), len(groups)))
        for place, rows in enumerate(groups):
            gaps[rows, place] = self.churned[rows] - probability[rows]
        sums = self.draws.sums(np.column_stack([gaps, np.ones(len(self))]))
        return self.draws.interval(np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1])

    def _ranking_intervals(self, probability: Floats) -> tuple[Interval | None, Interval | None]:
        """Return those of AUC and average precision."""
        ranked = _Ranked(self.churned, probability)
        account = self.account[ranked.order]
        drawn = np.array([ranked.figures(times[account]) for times in self.draws.times])
        return self.draws.interval(drawn[:, 0]), self.draws.interval(drawn[:, 1])

    def _lift_interval(self, chosen: npt.NDArray[np.bool_] | None) -> Interval | None:
        if chosen is None:
            return None
        columns = [self.churned * chosen, chosen, self.churned, np.ones(len(self))]
        hit, worked, lost, rows = self.draws.sums(np.column_stack(columns)).T
        below = worked * lost
        return self.draws.interval(np.where(below > 0, hit * rows / np.where(below > 0, below, 1.0), np.nan))

    def _worked(self, ranking: Floats) -> npt.NDArray[np.bool_] | None:
        """Mark the accounts that the team would work; who says the same of everybody chooses nobody."""
        return None if ranking.min() == ranking.max() else self.chosen(ranking)

    def chosen(self, ranking: Floats) -> npt.NDArray[np.bool_]:
        """Mark the accounts that the team would work: the highest `capacity_share` of each date."""
        marked = np.zeros(len(ranking), dtype=bool)
        for date in np.unique(self.as_of):
            rows = np.flatnonzero(self.as_of == date)
            most = int(np.ceil(self.capacity_share * len(rows)))
            marked[rows[np.argsort(-ranking[rows], kind="stable")[:most]]] = True
        return marked


def _share(hit: Floats, among: npt.NDArray[np.bool_] | None) -> float | None:
    return None if among is None else float(hit[among].mean())


def _over(above: float | None, below: float) -> float | None:
    return above / below if above is not None and below > 0 else None


def fits(said: float, happened: float, gap: Interval, ratio: float) -> bool:
    """Whether a mean probability is near the share that churned: within chance of it, or within a ratio.

    `gap` is the interval of what happened minus what was said.

    >>> fits(0.02, 0.03, (0.004, 0.016), 1.35), fits(0.02, 0.03, (-0.001, 0.021), 1.35)
    (False, True)
    """
    within = max(said, happened) / max(min(said, happened), 1e-9) <= ratio
    return gap[0] <= 0.0 <= gap[1] or within


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
    area, _ = _Ranked(churned, ranking).figures(np.ones(len(churned)))
    return None if np.isnan(area) else area


def average_precision(churned: Floats, ranking: Floats) -> float | None:
    """Return the area under precision and recall (average precision); None where nobody churned.

    >>> average_precision(np.array([1.0, 0.0]), np.array([0.9, 0.1]))
    1.0
    """
    _, area = _Ranked(churned, ranking).figures(np.ones(len(churned)))
    return None if np.isnan(area) else area


class _Ranked:
    """An order of rows, worked out once and used for many weightings; ties stand or fall together."""

    def __init__(self, churned: Floats, ranking: Floats) -> None:
        self.order = np.argsort(ranking, kind="stable")
        ordered, happened = ranking[self.order], churned[self.order]
        self.stayed = 1.0 - happened
        self.hit = np.flatnonzero(happened == 1)  # a churned row each
        self.low = np.searchsorted(ordered, ordered[self.hit], side="left")  # where its ties begin, and end
        self.high = np.searchsorted(ordered, ordered[self.hit], side="right")
        self.first = np.searchsorted(self.hit, self.low)

    def figures(self, weights: Floats) -> tuple[float, float]:
        """Return AUC and average precision; NaN where there is one class only, or nobody churned.

        `weights`, shape (n,), stand in the order of the ranking. Sums are no products of vectors: on a busy
        machine BLAS, with its threads, took six times as long.
        """
        positive = weights[self.hit]
        staying, leaving = _cumulated(weights * self.stayed), _cumulated(positive)
        churn, stay = leaving[-1], staying[-1]
        if churn == 0:
            return float("nan"), float("nan")
        below = (staying[self.low] + staying[self.high]) / 2
        found, passed = churn - leaving[self.first], stay - staying[self.low]
        precision = found / np.where(found + passed > 0, found + passed, 1.0)
        area = float((positive * below).sum() / (churn * stay)) if stay > 0 else float("nan")
        return area, float((positive * precision).sum() / churn)


def _cumulated(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])


def expected_calibration_error(churned: Floats, probability: Floats) -> float:
    """Return the mean gap between what was said and what happened, over ten groups of equal size.

    >>> expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    0.0
    """
    gaps = [len(rows) * abs(churned[rows].mean() - probability[rows].mean()) for rows in _groups(probability)]
    return float(sum(gaps) / len(churned))


def _groups(probability: Floats) -> list[Ints]:
    """Return the rows of ten groups of equal size, lowest first; fewer where there are fewer rows."""
    groups = np.array_split(np.argsort(probability, kind="stable"), ECE_BINS)
    return [rows for rows in groups if len(rows)]
