"""One fit: scorecard, booster, calibration and blend, from rows with labels and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import TrainingError
from features.vectors import Floats, Vectors
from models.blend import Blend
from models.booster import booster_text
from models.bundle import Bundle
from models.calibration import Platt
from models.design import Medians, design_matrix, training_medians
from models.hazard import Hazard
from models.numbers import logit, sigmoid
from models.scorecard import Scorecard
from models.signs import Judgements, Severities, judge, severities
from models.start import Start
from training.boosting import best_rounds, fit_booster, fit_with_losses, rounds_of, share_of_rounds
from training.calibrating import Unseen, fit_kappa, fit_platt
from training.folds import Fold, Folds, Positions, churned_accounts, rolling_origins
from training.hazard_fit import Told, fit_hazard
from training.intervals import fit_interval
from training.origins import Origin, origin
from training.recipe import BoosterRecipe, Recipe
from training.scorecard_fit import effective_parameters, fit_scorecard

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

    @cached_property
    def severities(self) -> Severities:
        """All rows as a scorecard reads them: every fit of the run takes its own from these."""
        return severities(self.vectors, self.catalogue.policy, self.catalogue.definitions)

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
    scorecard, start, booster, platt, blend, hazard, medians
        The parts of a bundle; `booster` as text.
    base_rate
        Share of the rows that churned.
    rounds
        Trees of the booster.
    rows, churned_accounts
        How much it learnt from.
    folds
        How many folds chose rounds, calibration and kappa; and whether they lay apart in time.
    origins
        How the fit did on the later months of each.
    """

    scorecard: Scorecard
    start: Start
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
    origins: tuple[Origin, ...]

    def bundle(self, material: Material, model_card: str = "") -> Bundle:
        """Return the bundle that answers with this fit."""
        return Bundle(
            booster_text=self.booster,
            start=self.start,
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
    folds, recipe = material.folds(rows), material.recipe
    events = churned_accounts(accounts, churned)
    weight = events / churned.sum()
    agreed = _agreed(material, folds, events, weight)
    hazard = _hazard(material, folds, agreed, weight, until)
    judgements = material.severities.take(rows)
    scorecard = fit_scorecard(material.prior, judgements, churned, accounts, recipe.scorecard)
    parameters = effective_parameters(scorecard, judgements, churned, accounts, recipe.scorecard)
    interval = fit_interval(agreed.unseen, agreed.platt, agreed.kappa, weight, parameters, recipe.interval)
    vectors = material.vectors.take(rows)
    medians = training_medians(vectors, material.catalogue.definitions)
    start = Start(recipe.booster.scorecard_share, logit(float(churned.mean())))
    booster = fit_booster(
        design_matrix(vectors, medians),
        churned,
        start(scorecard.log_odds(judgements)),
        recipe.booster,
        recipe.seed,
        agreed.rounds,
    )
    return Fit(
        scorecard=scorecard,
        start=start,
        booster=booster_text(booster),
        platt=agreed.platt,
        blend=Blend(agreed.kappa, events, _median_coverage(judgements), interval),
        hazard=hazard,
        medians=medians,
        base_rate=float(churned.mean()),
        rounds=agreed.rounds,
        rows=len(rows),
        churned_accounts=events,
        folds=len(folds),
        across_time=folds.across_time,
        origins=tuple(_origins(material, folds, agreed)),
    )


def said_of_later_months(material: Material, rows: Positions) -> tuple[Positions, Floats]:
    """Return the rows of `rows` that folds judged, and the probability that the blend gave each of them.

    Models of earlier months gave them, so two catalogues or recipes can be compared on months that neither had
    learnt from, with the final block untouched. Folds agree on the number of trees, the calibration and kappa:
    both sides look a little better than on months never seen. Empty where no fold was possible.

    Raises
    ------
    TrainingError
        No labels, or one answer only.
    """
    churned, accounts = material.churned[rows], material.vectors.account_ids[rows]
    _refuse_one_answer(churned)
    folds = material.folds(rows)
    events = churned_accounts(accounts, churned)
    agreed = _agreed(material, folds, events, events / churned.sum())
    judged = [fold.validate for fold in folds]
    said = [one.blended(agreed.platt, agreed.kappa) for one in agreed.unseen]
    if not judged:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    return np.concatenate(judged), sigmoid(np.concatenate(said))


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


@dataclass(frozen=True)
class Agreed:
    """What folds agree on, all pooled: the number of trees for all rows, the calibration and kappa.

    `unseen` is what each of them then says of its later months.
    """

    rounds: int
    platt: Platt
    kappa: float
    unseen: Sequence[Unseen]

    @cached_property
    def row_losses(self) -> list[Floats]:
        """The blend's log loss on the later rows of each fold."""
        log_odds = [fold.blended(self.platt, self.kappa) for fold in self.unseen]
        return [np.logaddexp(0.0, z) - fold.churned * z for z, fold in zip(log_odds, self.unseen, strict=True)]

    @property
    def log_loss(self) -> float:
        """Its mean over all of them; there is at least one fold."""
        return float(np.concatenate(self.row_losses).mean())


def agree(folds: Sequence[FittedFold], recipe: Recipe, events: float, weight: float) -> Agreed:
    """Choose the number of trees that is best for all folds together, then calibration and kappa.

    Parameters
    ----------
    folds
        Each fitted with all trees; of none, the priors hold.
    recipe
        Its calibration and blend.
    events
        Churned accounts of all rows; a fold learnt from some of them, and takes its share of the trees.
    weight
        What one row counts: churned accounts / churned rows.
    """
    shares = [share_of_rounds(fold.later.blend.churned_accounts, events) for fold in folds]
    rounds = best_rounds([fold.losses for fold in folds], shares) if folds else 1
    unseen = [fold.unseen(rounds_of(share, rounds)) for fold, share in zip(folds, shares, strict=True)]
    margins, churned = (
        np.concatenate([getattr(fold, name) for fold in unseen]) if unseen else np.zeros(0)
        for name in ("margin", "churned")
    )
    fold = np.repeat(np.arange(len(unseen)), [len(one.churned) for one in unseen])
    platt = fit_platt(margins, churned, weight, recipe.calibration, fold)
    return Agreed(rounds, platt, fit_kappa(unseen, platt, weight, recipe.blend), unseen)


def _agreed(material: Material, folds: Folds, events: float, weight: float) -> Agreed:
    """Fit each fold, one's training columns at a time: a million snapshots of them fill half a gigabyte."""
    recipe = material.recipe
    fitted = [Prepared(material, fold).fitted(recipe.booster, recipe.seed) for fold in folds]
    return agree(fitted, recipe, events, weight)


def _origins(material: Material, folds: Folds, agreed: Agreed) -> Iterator[Origin]:
    for fold, unseen in zip(folds, agreed.unseen, strict=True):
        log_odds = {
            "scorecard": unseen.scorecard,
            "booster": agreed.platt(unseen.margin),
            "blend": unseen.blended(agreed.platt, agreed.kappa),
        }
        rate, events = float(material.churned[fold.train].mean()), int(unseen.blend.churned_accounts)
        dates = material.vectors.as_of[fold.validate]
        yield origin(dates, unseen.accounts, unseen.churned, rate, events, log_odds)


def _hazard(
    material: Material,
    folds: Folds,
    agreed: Agreed,
    weight: float,
    until: np.datetime64 | None,
) -> Hazard:
    """Fit the other horizons to what the blend would have said of the later months of each fold."""
    rows = [fold.validate for fold in folds]
    said = [one.blended(agreed.platt, agreed.kappa) for one in agreed.unseen]
    told = Told(
        np.concatenate(said) if said else np.zeros(0),
        material.churned_by(np.concatenate(rows) if rows else np.zeros(0, dtype=np.intp), until),
        weight,
    )
    return fit_hazard(material.recipe.labels.horizon_days, told, material.recipe.horizons)


class Prepared:
    """One fold as every booster meets it: rows judged, scorecard refitted, columns designed.

    `later` holds its later rows, with the scorecard for a margin.
    """

    def __init__(self, material: Material, fold: Fold) -> None:
        vectors, recipe = material.vectors, material.recipe
        self.churned, accounts = material.churned[fold.train], vectors.account_ids[fold.train]
        before, later = material.severities.take(fold.train), material.severities.take(fold.validate)
        scorecard = fit_scorecard(material.prior, before, self.churned, accounts, recipe.scorecard)
        medians = training_medians(vectors.take(fold.train), material.catalogue.definitions)
        self.scorecard, of_later = scorecard.log_odds(before), scorecard.log_odds(later)
        self.design = design_matrix(vectors.take(fold.train), medians)
        self.later_design = design_matrix(vectors.take(fold.validate), medians)
        self.later = Unseen(
            material.churned[fold.validate],
            of_later,
            of_later,
            later.coverage,
            vectors.account_ids[fold.validate],
            Blend(0.0, churned_accounts(accounts, self.churned), _median_coverage(before)),
        )

    def fitted(self, recipe: BoosterRecipe, seed: int) -> FittedFold:
        """Return the fold with a booster of all trees."""
        start = Start(recipe.scorecard_share, logit(float(self.churned.mean())))
        later = replace(self.later, margin=start(self.later.scorecard))
        booster, losses = fit_with_losses(
            self.design,
            self.churned,
            start(self.scorecard),
            self.later_design,
            later.churned,
            later.margin,
            recipe,
            seed,
        )
        return FittedFold(later, self.later_design.X, booster, losses)


@dataclass(frozen=True, slots=True)
class FittedFold:
    """One fold, fitted with all trees: its later rows and their columns, and the loss on them after each tree.

    The margin of `later` is the booster's start.
    """

    later: Unseen
    X: Floats
    booster: Any
    losses: Floats

    def unseen(self, rounds: int) -> Unseen:
        """Return what the fold says of its later rows with so many trees."""
        added = self.booster.predict(self.X, raw_score=True, num_iteration=rounds)
        return replace(self.later, margin=self.later.margin + added)


def _median_coverage(judgements: Severities) -> float:
    known = judgements.coverage[~np.isnan(judgements.coverage)]
    return float(np.median(known)) if len(known) else 0.0
