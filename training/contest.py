"""The contest: seven ways to name a probability, on months that none of them had seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.vectors import Floats
from models.decision import Scores as Answers
from models.decision import score
from models.numbers import log_odds_of, sigmoid
from training.evaluation import Block, Difference, Scores
from training.fitting import Fit, Material
from training.folds import Positions, Split, churned_accounts
from training.intervals import IntervalCheck, check_intervals
from training.recipe import Recipe
from training.resampling import Interval
from training.rivals import lightgbm_probabilities, ridge_probabilities

CONTESTANTS = ("base_rate", "scorecard_prior", "scorecard", "ridge", "lightgbm_defaults", "booster", "blend")
DAYS_BEFORE = (60, 90)
REACH_DAYS = 45  # of monthly snapshots one lies within them


@dataclass(frozen=True, slots=True)
class BandRow:
    """One band of the final block: how many snapshots, and the share of them that churned, with its interval."""

    band: str
    snapshots: int
    churned: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """How lost accounts stood some days before: how many were seen then, and the share not at *healthy*."""

    accounts: int
    not_healthy: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Contest:
    """What came of it, on the final block.

    Attributes
    ----------
    probabilities
        By contestant; `booster` is the calibrated model, `blend` what would be served.
    scores
        By contestant.
    block
        The rows that judged.
    bands
        Snapshots and churn of each band; ``withheld`` where coverage was too low.
    intervals
        Whether the 90 % intervals hold; None where nobody churned.
    early
        By days before notice or churn: churned accounts that stood at *not so healthy* or worse that long
        before. No accounts where moments are not known or nobody was there that early.
    """

    probabilities: Mapping[str, Floats]
    scores: Mapping[str, Scores]
    block: Block
    bands: tuple[BandRow, ...]
    intervals: IntervalCheck | None
    early: Mapping[int, EarlyWarning]

    @property
    def not_healthy_before(self) -> Mapping[int, float | None]:
        """The shares of :attr:`early`."""
        return {days: warning.not_healthy for days, warning in self.early.items()}

    def difference(self, one: str, other: str) -> Difference:
        """Compare two contestants by log loss; below 0 the first is better."""
        return self.block.difference(self.probabilities[one], self.probabilities[other])


def hold_contest(material: Material, fitted: Fit, split: Split, event_at: npt.NDArray[np.datetime64]) -> Contest:
    """Let all contestants answer for the final block; each learnt from ``split.train`` alone.

    Parameters
    ----------
    material
        All rows.
    fitted
        Our model, fitted on ``split.train``.
    split
        What learnt and what judges.
    event_at
        Shape (n,): the notice or churn that ended each account's stay; NaT unknown.
    """
    recipe, churned = material.recipe, material.churned
    final = material.vectors.take(split.final)
    answers = score(final, fitted.bundle(material), material.catalogue)
    folds = material.folds(split.train)
    probabilities = {
        "base_rate": np.full(len(split.final), fitted.base_rate),
        "scorecard_prior": sigmoid(material.prior.log_odds(material.severities.take(split.final))),
        "scorecard": answers.scorecard_probability,
        "ridge": ridge_probabilities(material.vectors, churned, split.train, split.final, folds),
        "lightgbm_defaults": lightgbm_probabilities(
            material.vectors, churned, split.train, split.final, recipe.seed, recipe.booster.num_threads
        ),
        "booster": answers.model_probability,
        "blend": answers.churn_probability,
    }
    block = final_block(material, split)
    return Contest(
        probabilities=probabilities,
        scores={name: block.scores(probability) for name, probability in probabilities.items()},
        block=block,
        bands=bands_of(answers, block),
        intervals=_intervals(answers, churned[split.final], recipe),
        early={days: _early(answers, event_at[split.final], days, block) for days in DAYS_BEFORE},
    )


def final_block(material: Material, split: Split) -> Block:
    """Return the rows that judge."""
    return block_of(material, split.final, material.churned[split.final])


def block_of(material: Material, rows: Positions, churned: Floats) -> Block:
    """Return some rows, with their labels, as rows that judge."""
    final, evaluation = material.vectors.take(rows), material.recipe.evaluation
    return Block(
        final.account_ids,
        final.as_of,
        churned,
        final.column("arr") if "arr" in final.contract.position else np.full(len(final), np.nan),
        repeats=evaluation.bootstrap_repeats,
        interval=evaluation.interval,
        capacity_share=evaluation.capacity_share,
        seed=material.recipe.seed,
    )


def _intervals(answers: Answers, churned: Floats, recipe: Recipe) -> IntervalCheck | None:
    if not (churned == 1).any():
        return None
    low, high = log_odds_of(answers.interval_low), log_odds_of(answers.interval_high)
    weight = churned_accounts(answers.account_id, churned) / churned.sum()
    said = log_odds_of(answers.churn_probability)
    return check_intervals(said, (high - low) / 2, churned, answers.account_id, weight, recipe.interval)


def bands_of(answers: Answers, block: Block) -> tuple[BandRow, ...]:
    """Return snapshots and churn of each band; `answers` and `block` are about the same rows."""
    rows = []
    for band in ("healthy", "not_so_healthy", "unhealthy", None):
        there = np.array([given == band for given in answers.band], dtype=bool)
        rate = float(block.churned[there].mean()) if there.any() else None
        rows.append(
            BandRow(band or "withheld", int(there.sum()), rate, block.share_interval(block.churned, there))
        )
    return tuple(rows)


def _early(answers: Answers, event_at: npt.NDArray[np.datetime64], days: int, block: Block) -> EarlyWarning:
    """Look at each lost account's last snapshot that lay at least `days` before, by at most REACH_DAYS more."""
    ahead = (event_at - answers.as_of).astype("timedelta64[D]").astype(float)
    near = ~np.isnat(event_at) & (ahead >= days) & (ahead < days + REACH_DAYS)
    latest: dict[tuple[str, np.datetime64], int] = {}
    for row in np.flatnonzero(near):
        key = (answers.account_id[row], event_at[row])
        if key not in latest or answers.as_of[row] > answers.as_of[latest[key]]:
            latest[key] = int(row)
    seen = np.zeros(len(answers.band), dtype=bool)
    seen[[row for row in latest.values() if answers.band[row] is not None]] = True
    not_healthy = np.array([band != "healthy" for band in answers.band], dtype=np.float64)
    share = float(not_healthy[seen].mean()) if seen.any() else None
    return EarlyWarning(len(set(block.account[seen])), share, block.share_interval(not_healthy, seen))
