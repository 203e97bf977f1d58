"""Leakage probes: what a model could only know from the future, or from the answer itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import Definitions
from features.sources import Untimed
from features.sources.needs import tables_needed
from features.vectors import Floats, Vectors
from models.decision import score
from training.contest import final_block
from training.evaluation import Difference, auc
from training.fitting import Material, fit
from training.folds import Split, churned_accounts

PARTS = 5  # of the accounts; the others say what a category is like
FEWEST_CHURNED = 10  # accounts behind a column's AUC; under it one lucky column would alarm
SHUFFLED_ROUNDS = 60
SHUFFLED_ORIGINS = 2


@dataclass(frozen=True, slots=True)
class Telling:
    """A column that alone ranks churn, by its values or by being unknown; AUC in the direction that fits.

    `by`: "value" or "unknown", of all rows; or "value at first", "unknown at first": at an account's first
    snapshot, of who ever churned. What was filled in afterwards tells that from the first on, and hides among the
    rows that lie long before.
    """

    column: str
    auc: float
    by: str


def most_telling(vectors: Vectors, churned: Floats) -> list[Telling]:
    """Return the columns that a model reads, the one that tells most first.

    Parameters
    ----------
    vectors, churned
        n rows, all with labels.
    """
    account = np.unique(vectors.account_ids.astype(str), return_inverse=True)[1]
    in_order = np.lexsort((vectors.as_of, account))
    first = in_order[np.diff(account[in_order], prepend=-1) > 0]
    ever = np.bincount(account, weights=churned) > 0
    return sorted(
        [*_each_column(vectors, churned, ""), *_each_column(vectors.take(first), ever.astype(float), " at first")],
        key=lambda telling: -telling.auc,
    )


def _each_column(vectors: Vectors, churned: Floats, when: str) -> Iterator[Telling]:
    place_of_account = np.unique(vectors.account_ids.astype(str), return_inverse=True)[1]
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
            area = _telling(column.kind, churned[rows], ranking[rows], place_of_account[rows] % PARTS)
            if area is not None:
                yield Telling(column.name, area, by + when)


def _telling(kind: str, churned: Floats, ranking: Floats, part: npt.NDArray[np.intp]) -> float | None:
    if kind == "category":
        ranking = _rates(ranking, churned, part)
    area = auc(churned, ranking)
    return None if area is None else max(area, 1 - area)


def _rates(values: Floats, churned: Floats, part: npt.NDArray[np.intp]) -> Floats:
    """Rank categories, whose codes have no order, by the share of *other* accounts with them that churned.

    By that of their own rows a category of each account's own would tell everything.
    """
    names, code = np.unique(values, return_inverse=True)
    mean = churned.mean()
    rates = np.empty(len(values))
    for own in range(PARTS):
        others = part != own
        rows = np.bincount(code[others], minlength=len(names))
        lost = np.bincount(code[others], weights=churned[others], minlength=len(names))
        rates[~others] = ((lost + mean) / (rows + 1))[code[~others]]
    return rates


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
