"""Whether the probabilities of other horizons hold, on months that nothing had learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from features.vectors import Floats
from models.numbers import log_odds_of
from training.contest import Contest, block_of
from training.evaluation import fits, row_log_loss
from training.fitting import Fit, Material
from training.folds import Split
from training.resampling import Interval


@dataclass(frozen=True, slots=True)
class HorizonProof:
    """One horizon on those snapshots of the final block whose window was over when the history ended.

    Attributes
    ----------
    days
        The horizon.
    snapshots, dates, churned_accounts
        How many there are to judge by.
    said, happened
        Mean probability, and share that churned; None where there are too few to judge.
    gap
        Interval of what happened minus what was said.
    log_loss, base_log_loss, auc, and their intervals
        Of the horizon's probabilities, and of saying the share that churned in the rows learnt from; None
        where that is not known.
    holds
        Whether it says as much churn as there is, within chance or the ratio that gate G04 allows; None: cannot
        be judged, so its probabilities are marked as extrapolated.
    """

    days: int
    snapshots: int
    dates: int
    churned_accounts: int
    said: float | None = None
    happened: float | None = None
    gap: Interval | None = None
    log_loss: float | None = None
    base_log_loss: float | None = None
    auc: float | None = None
    log_loss_interval: Interval | None = None
    auc_interval: Interval | None = None
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        """What `holds` says, in words."""
        return {None: "cannot be judged: extrapolated", True: "holds", False: "does not hold"}[self.holds]

    def to_dict(self) -> dict[str, object]:
        """Return the figures by name."""
        return asdict(self)


def prove_horizons(material: Material, proven: Fit, split: Split, contest: Contest) -> list[HorizonProof]:
    """Judge all horizons but the model's own, ascending; `proven` learnt from ``split.train`` alone."""
    return list(_proofs(material, proven, split, contest))


def _proofs(material: Material, proven: Fit, split: Split, contest: Contest) -> Iterator[HorizonProof]:
    said = proven.hazard.probabilities(log_odds_of(contest.probabilities["blend"]))
    happened = material.churned_by(split.final, None)
    before = material.churned_by(split.train, split.first_final)
    for place, days in enumerate(proven.hazard.horizons):
        if days != proven.hazard.days:
            yield _proof(days, material, split, said[:, place], happened[days], before[days])


def _proof(
    days: int, material: Material, split: Split, said: Floats, happened: Floats, before: Floats
) -> HorizonProof:
    over = np.flatnonzero(~np.isnan(happened))
    dates = len(np.unique(material.vectors.as_of[split.final][over]))
    if not len(over):
        return HorizonProof(days, 0, 0, 0)
    block = block_of(material, split.final[over], happened[over])
    count = HorizonProof(days, len(over), dates, block.churned_accounts)
    if block.churned_accounts < material.recipe.horizons.churned_accounts:
        return count
    scores, (gap, interval) = block.scores(said[over]), block.calibration_gap(said[over])
    rate = before[~np.isnan(before)]
    said_of_all, happened_to = scores.mean_probability, scores.mean_probability + gap
    # None without any churn before: log loss would then be endless.
    base = float(row_log_loss(block.churned, np.full(len(over), rate.mean())).mean()) if rate.any() else None
    return HorizonProof(
        days,
        len(over),
        dates,
        block.churned_accounts,
        said=said_of_all,
        happened=happened_to,
        gap=interval,
        log_loss=scores.log_loss,
        base_log_loss=base,
        auc=scores.auc,
        log_loss_interval=scores.log_loss_interval,
        auc_interval=scores.auc_interval,
        holds=fits(said_of_all, happened_to, interval, material.recipe.gates.calibration_ratio),
    )
