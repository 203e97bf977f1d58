"""Leakage probes: what a model could only know from the future, or from the answer itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.catalogue.schema import Definitions
from features.sources import Untimed
from features.sources.needs import tables_needed
from features.vectors import Floats, Vectors
from models.decision import score
from training.contest import final_block
from training.evaluation import Difference, auc
from training.fitting import Material, fit
from training.folds import Split, churned_accounts

FEWEST_CHURNED = 10  # accounts behind a column's AUC; under it one lucky column would alarm
SHUFFLED_ROUNDS = 60
SHUFFLED_ORIGINS = 2


@dataclass(frozen=True, slots=True)
class Telling:
    """A column that alone ranks churn, by its values or by being unknown; AUC in the direction that fits."""

    column: str
    auc: float
    by: str  # "value" or "unknown"


def most_telling(vectors: Vectors, churned: Floats) -> list[Telling]:
    """Return the columns that a model reads, the one that tells most first.

    Parameters
    ----------
    vectors, churned
        n rows, all with labels.
    """
    found = []
    for place, column in enumerate(vectors.contract.columns):
        if not column.in_model:
            continue
        values = vectors.values[:, place]
        known = ~np.isnan(values)
        for by, ranking, rows in (
            ("value", values, known),
            ("unknown", (~known).astype(float), np.ones(len(known), dtype=bool)),
        ):
            if churned_accounts(vectors.account_ids[rows], churned[rows]) < FEWEST_CHURNED:
                continue
            area = _telling(column.kind, churned[rows], ranking[rows])
            if area is not None:
                found.append(Telling(column.name, area, by))
    return sorted(found, key=lambda telling: -telling.auc)


def _telling(kind: str, churned: Floats, ranking: Floats) -> float | None:
    if kind == "category":  # codes have no order: rank them by their own churn rate
        codes = ranking.astype(int)
        rates = np.bincount(codes, weights=churned) / np.maximum(np.bincount(codes), 1)
        ranking = rates[codes]
    area = auc(churned, ranking)
    return None if area is None else max(area, 1 - area)


def shuffled(material: Material, split: Split) -> Difference:
    """Train on shuffled labels and judge by shuffled labels: log loss minus that of each date's own rate.

    Labels change accounts within each date, so that only the dates tell anything. What still beats their
    rates has learnt rows by heart that it is judged by.
    """
    rng = np.random.default_rng(material.recipe.seed)
    churned = material.churned.copy()
    labelled = np.r_[split.train, split.final]
    for date in np.unique(material.vectors.as_of[labelled]):
        rows = labelled[material.vectors.as_of[labelled] == date]
        churned[rows] = churned[rng.permutation(rows)]
    quick = material.recipe.model_copy(
        update={
            "booster": material.recipe.booster.model_copy(update={"max_rounds": SHUFFLED_ROUNDS}),
            "folds": material.recipe.folds.model_copy(update={"origins": SHUFFLED_ORIGINS}),
        }
    )
    mixed = Material(material.vectors, churned, material.catalogue, material.prior, quick)
    fitted = fit(mixed, split.train)
    answers = score(mixed.vectors.take(split.final), fitted.bundle(mixed), mixed.catalogue)
    _, date = np.unique(material.vectors.as_of[split.final], return_inverse=True)
    rates = np.bincount(date, weights=churned[split.final]) / np.bincount(date)
    return final_block(mixed, split).difference(answers.churn_probability, rates[date])


def known_in_spite(vectors: Vectors, definitions: Definitions, left_out: Sequence[Untimed]) -> list[str]:
    """Name the signals that need a table left out of training, and are known all the same."""
    tables = {item.table for item in left_out if item.column is None}
    return [
        name
        for name, signal in definitions.signals.items()
        if tables & tables_needed(signal.measure) and not np.isnan(vectors.column(name)).all()
    ]
