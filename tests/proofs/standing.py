"""How good, how sure, and who is better: figures with the replicates that tell their error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.vectors import Floats
from training.evaluation import auc, row_log_loss
from training.folds import Fold

DRAWS = 400


@dataclass(frozen=True)
class Figure:
    """A figure, and replicates of it: one for each fold, or one for each draw of accounts.

    >>> folds = Figure(0.5, np.array([0.4, 0.6]), of_folds=True)
    >>> round(folds.standard_error, 3), round((folds - folds).standard_error, 3)
    (0.1, 0.0)
    """

    value: float
    replicates: Floats
    of_folds: bool

    @property
    def standard_error(self) -> float:
        spread = float(self.replicates.std(ddof=1))
        return spread / math.sqrt(len(self.replicates)) if self.of_folds else spread

    def __sub__(self, other: Figure) -> Figure:
        """Return the difference, replicate by replicate: what both have in common takes no part in its error."""
        return Figure(self.value - other.value, self.replicates - other.replicates, self.of_folds)

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f}"


@dataclass(frozen=True)
class Measured:
    """One contestant on one table."""

    auc: Figure
    log_loss: Figure


def measure(
    churned: Floats, accounts: np.ndarray, folds: Sequence[Fold], probabilities: Sequence[Floats]
) -> Measured:
    """Judge what was said of each fold's later rows.

    Several folds: the mean over folds and its standard error. One fold: that of the bootstrap over accounts, with
    the same draws for everyone.
    """
    if len(folds) > 1:
        areas = np.array([_auc(churned[f.validate], p) for f, p in zip(folds, probabilities, strict=True)])
        losses = np.array(
            [row_log_loss(churned[f.validate], p).mean() for f, p in zip(folds, probabilities, strict=True)]
        )
        return Measured(*(Figure(float(of.mean()), of, of_folds=True) for of in (areas, losses)))
    rows, (said,) = folds[0].validate, probabilities
    happened, loss = churned[rows], row_log_loss(churned[rows], said)
    drawn = list(_draws(accounts[rows]))
    areas = np.array([_auc(happened[draw], said[draw]) for draw in drawn])
    losses = np.array([loss[draw].mean() for draw in drawn])
    return Measured(
        Figure(_auc(happened, said), areas, of_folds=False), Figure(float(loss.mean()), losses, of_folds=False)
    )


def _auc(churned: Floats, probability: Floats) -> float:
    area = auc(churned, probability)
    assert area is not None  # every fold and draw holds both answers
    return area


def _draws(accounts: np.ndarray) -> Sequence[np.ndarray]:
    names, of_row = np.unique(accounts, return_inverse=True)
    rows_of = np.split(np.argsort(of_row, kind="stable"), np.cumsum(np.bincount(of_row))[:-1])
    rng = np.random.default_rng(0)
    return [
        np.concatenate([rows_of[account] for account in rng.integers(len(names), size=len(names))])
        for _ in range(DRAWS)
    ]


@dataclass(frozen=True)
class Verdict:
    """Ours against the best of the others, by one figure; `gap` above 0: ours is worse."""

    best: str
    gap: Figure

    @property
    def holds(self) -> bool:
        """At or better than the best, within one standard error of the difference."""
        return self.gap.value <= self.gap.standard_error

    def __str__(self) -> str:
        word = "holds" if self.holds else "WORSE"
        return f"{word}: {self.gap.value:+.4f} ± {self.gap.standard_error:.4f} to {self.best}"


def verdicts(ours: Measured, others: dict[str, Measured]) -> tuple[Verdict, Verdict]:
    """Return the verdicts by AUC and by log loss, each against the best of the others in it."""
    highest = max(others, key=lambda name: others[name].auc.value)
    lowest = min(others, key=lambda name: others[name].log_loss.value)
    return (
        Verdict(highest, others[highest].auc - ours.auc),
        Verdict(lowest, ours.log_loss - others[lowest].log_loss),
    )
