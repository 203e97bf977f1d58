"""One fit: scorecard, booster, calibration and blend, from rows with labels and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from features.errors import TrainingError
from features.vectors import Floats, Vectors
from models.blend import Blend
from models.booster import booster_text
from models.bundle import Bundle
from models.calibration import Platt
from models.design import Medians, design_matrix, training_medians
from models.hazard import Hazard
from models.scorecard import Scorecard
from models.signs import Judgements, judge
from training.boosting import best_rounds, fit_booster, fit_with_losses
from training.calibrating import Unseen, fit_kappa, fit_platt
from training.folds import Fold, Folds, Positions, churned_accounts, rolling_origins
from training.hazard_fit import Told, fit_hazard
from training.intervals import fit_interval
from training.recipe import Recipe
from training.scorecard_fit import fit_scorecard

if TYPE_CHECKING:
    from features.catalogue import Catalogue


@dataclass(frozen=True)
class Material:
    """What every fit of one run shares.

    Attributes
    ----------
    vectors, churned
        All rows of the run; shape (n,) with NaN where there is no label.
    catalogue
        Definitions of the vectors, and the policy that severities are read with.
    prior
        The scorecard before any outcome.
    recipe
        The numbers.
    by_horizon
        Labels of other horizons than the recipe's own, by days, shape (n,) each.
    """

    vectors: Vectors
    churned: Floats
    catalogue: Catalogue
    prior: Scorecard
    recipe: Recipe
    by_horizon: Mapping[int, Floats] = field(default_factory=dict)

    def churned_by(self, rows: Positions, until: np.datetime64 | None) -> dict[int, Floats]:
        """Return the labels of some rows for every horizon of the recipe, NaN for windows that end after `until`.

        NaN throughout for a horizon without labels: a snapshot file has those of one horizon only.
        """
        own, embargo = self.recipe.labels.horizon_days, self.recipe.labels.embargo_days
        labels = {own: self.churned[rows]}
        for days in self.recipe.horizons.days:
            known = self.by_horizon[days][rows] if days in self.by_horizon else np.full(len(rows), np.nan)
            over = self.vectors.as_of[rows] + np.timedelta64(embargo + days, "D")
            labels.setdefault(days, known if until is None else np.where(over <= until, known, np.nan))
        return labels

    def judgements(self, rows: Positions) -> Judgements:
        """Judge some rows by the policy in force."""
        return judge(self.vectors.take(rows), self.catalogue.policy, self.catalogue.definitions)

    def folds(self, rows: Positions) -> Folds:
        """Return the rolling origins inside some rows."""
        return rolling_origins(
            rows,
            self.vectors.as_of,
            self.churned,
            self.vectors.account_ids,
            self.recipe.window_days,
            self.recipe.folds.origins,
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """What was learnt from some rows.

    Attributes
    ----------
    scorecard, booster, platt, blend, hazard, medians
        The parts of a bundle; `booster` as text.
    base_rate
        Share of the rows that churned.
    rounds
        Trees of the booster.
    rows, churned_accounts
        How much it learnt from.
    folds
        How many folds chose rounds, calibration and kappa; and whether they lay apart in time.
    """

    scorecard: Scorecard
    booster: str
    platt: Platt
    blend: Blend
    hazard: Hazard
    medians: Medians
    base_rate: float
    rounds: int
    rows: int
    churned_accounts: int
    folds: int
    across_time: bool

    def bundle(self, material: Material, model_card: str = "") -> Bundle:
        """Return the bundle that answers with this fit."""
        return Bundle(
            booster_text=self.booster,
            platt=self.platt,
            scorecard=self.scorecard,
            blend=self.blend,
            contract=material.vectors.contract,
            medians=self.medians,
            hazard=self.hazard,
            base_rate=self.base_rate,
            recipe=material.recipe.to_toml(),
            model_card=model_card,
        )


def fit(material: Material, rows: Positions, until: np.datetime64 | None = None) -> Fit:
    """Fit everything on `rows`.

    Rounds, calibration, kappa and the other horizons come from the pooled predictions of the rolling origins
    inside the rows; scorecard and booster are then fitted on all of them. Labels of longer horizons whose windows
    end after `until` are not looked at (None: all are).

    Raises
    ------
    TrainingError
        No labels, or one answer only: nothing tells churned from retained.
    """
    churned, accounts = material.churned[rows], material.vectors.account_ids[rows]
    _refuse_one_answer(churned)
    folds = material.folds(rows)
    unseen, rounds = _unseen(material, folds)
    pooled = np.concatenate([fold.churned for fold in unseen]) if unseen else np.zeros(0)
    weight = churned_accounts(accounts, churned) / churned.sum()
    margins = np.concatenate([fold.margin for fold in unseen]) if unseen else np.zeros(0)
    platt = fit_platt(margins, pooled, weight, material.recipe.calibration)
    kappa = fit_kappa(unseen, platt, weight, material.recipe.blend)
    interval = fit_interval(unseen, platt, kappa, weight, material.recipe.interval)
    hazard = _hazard(material, folds, unseen, platt, kappa, weight, until)
    judgements = material.judgements(rows)
    scorecard = fit_scorecard(material.prior, judgements, churned, accounts, material.recipe.scorecard)
    vectors = material.vectors.take(rows)
    medians = training_medians(vectors, material.catalogue.definitions)
    booster = fit_booster(
        design_matrix(vectors, medians),
        churned,
        scorecard.log_odds(judgements),
        material.recipe.booster,
        material.recipe.seed,
        rounds,
    )
    events = churned_accounts(accounts, churned)
    return Fit(
        scorecard=scorecard,
        booster=booster_text(booster),
        platt=platt,
        blend=Blend(kappa, events, _median_coverage(judgements), interval),
        hazard=hazard,
        medians=medians,
        base_rate=float(churned.mean()),
        rounds=rounds,
        rows=len(rows),
        churned_accounts=events,
        folds=len(folds),
        across_time=folds.across_time,
    )


def _refuse_one_answer(churned: Floats) -> None:
    if len(churned) == 0:
        raise TrainingError(
            "There is no snapshot with a label: no label window is over. Give a longer history, or a shorter "
            "horizon ([labels] horizon_days in a recipe)."
        )
    if churned.min() == churned.max():
        what = "churned" if churned[0] == 1 else "stayed"
        raise TrainingError(
            f"All {len(churned)} snapshots with a label {what}: nothing tells churned from retained accounts. "
            "Without a model the scorecard still answers; train when both have been seen."
        )


def _unseen(material: Material, folds: Folds) -> tuple[list[Unseen], int]:
    """Return what each fold said of later months, at the number of trees that was best for all together."""
    staged = [_Staged(material, fold) for fold in folds]
    if not staged:
        return [], 1
    rounds = best_rounds(np.sum([fold.losses for fold in staged], axis=0))
    return [fold.unseen(rounds) for fold in staged], rounds


def _hazard(
    material: Material,
    folds: Folds,
    unseen: Sequence[Unseen],
    platt: Platt,
    kappa: float,
    weight: float,
    until: np.datetime64 | None,
) -> Hazard:
    """Fit the other horizons to what the blend would have said of the later months of each fold."""
    rows = [fold.validate for fold in folds]
    said = [one.blended(platt, kappa) for one in unseen]
    told = Told(
        np.concatenate(said) if said else np.zeros(0),
        material.churned_by(np.concatenate(rows) if rows else np.zeros(0, dtype=np.intp), until),
        weight,
    )
    return fit_hazard(material.recipe.labels.horizon_days, told, material.recipe.horizons)


class _Staged:
    """One fold, fitted with all trees."""

    def __init__(self, material: Material, fold: Fold) -> None:
        vectors, recipe = material.vectors, material.recipe
        self.churned, learnt = material.churned[fold.validate], material.churned[fold.train]
        accounts, self.accounts = vectors.account_ids[fold.train], vectors.account_ids[fold.validate]
        before, later = material.judgements(fold.train), material.judgements(fold.validate)
        scorecard = fit_scorecard(material.prior, before, learnt, accounts, recipe.scorecard)
        medians = training_medians(vectors.take(fold.train), material.catalogue.definitions)
        self.design = design_matrix(vectors.take(fold.validate), medians)
        self.scorecard, self.coverage = scorecard.log_odds(later), later.coverage
        self.booster, self.losses = fit_with_losses(
            design_matrix(vectors.take(fold.train), medians),
            learnt,
            scorecard.log_odds(before),
            self.design,
            self.churned,
            self.scorecard,
            recipe.booster,
            recipe.seed,
        )
        self.blend = Blend(0.0, churned_accounts(accounts, learnt), _median_coverage(before))

    def unseen(self, rounds: int) -> Unseen:
        added = self.booster.predict(self.design.X, raw_score=True, num_iteration=rounds)
        return Unseen(
            self.churned, self.scorecard + added, self.scorecard, self.coverage, self.accounts, self.blend
        )


def _median_coverage(judgements: Judgements) -> float:
    known = judgements.coverage[~np.isnan(judgements.coverage)]
    return float(np.median(known)) if len(known) else 0.0
