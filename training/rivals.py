"""The contestants that our own model has to beat, fitted as an analyst would in an afternoon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.vectors import Floats, Role, Vectors
from training.evaluation import row_log_loss
from training.folds import Folds, Positions

RIDGE_STRENGTHS = (0.001, 0.01, 0.1)
MOST_ROWS_TO_CHOOSE_BY = 100_000  # of a fold; more of them choose no other strength


def ridge_probabilities(
    vectors: Vectors,
    churned: Floats,
    train: Positions,
    asked: Positions,
    folds: Folds,
    strengths: Sequence[float] = RIDGE_STRENGTHS,
) -> Floats:
    """Return the answers of a ridge logistic regression for the rows `asked`.

    Standardised columns, unknown filled with the median beside a column that says so, categories one by one;
    the strength (scikit-learn's C) is the one of `strengths` that is best on the folds' later months.
    """
    totals = np.zeros(len(strengths))
    for fold in folds:
        every = max(1, -(-len(fold.train) // MOST_ROWS_TO_CHOOSE_BY))
        for place, strength in enumerate(strengths):
            # C weighs the rows against the penalty: of fewer rows each counts for more.
            said = _ridge(vectors, churned, fold.train[::every], fold.validate, every * strength)
            totals[place] += row_log_loss(churned[fold.validate], said).sum()
    return _ridge(vectors, churned, train, asked, strengths[int(np.argmin(totals))])


def _ridge(vectors: Vectors, churned: Floats, train: Positions, asked: Positions, strength: float) -> Floats:
    from sklearn.linear_model import LogisticRegression

    columns = _Table(vectors, train)
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit(columns.of(train), churned[train])
    return np.asarray(model.predict_proba(columns.of(asked))[:, 1], dtype=np.float64)


def lightgbm_probabilities(
    vectors: Vectors, churned: Floats, train: Positions, asked: Positions, seed: int, threads: int
) -> Floats:
    """Return the answers of LightGBM as it comes, on the same columns, for the rows `asked`."""
    import lightgbm

    parameters: dict[str, Any] = {
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    columns = model_columns(vectors)
    data = lightgbm.Dataset(vectors.values[train][:, columns], label=churned[train])
    booster = lightgbm.train(parameters, data, num_boost_round=100)
    return np.asarray(booster.predict(vectors.values[asked][:, columns]), dtype=np.float64)


def model_columns(vectors: Vectors) -> list[int]:
    """Return the places of the columns that everyone in a contest learns from."""
    return [
        place
        for place, column in enumerate(vectors.contract.columns)
        if column.in_model and column.role is not Role.META
    ]


class _Table:
    """Standardised columns, as learnt from the training rows."""

    def __init__(self, vectors: Vectors, train: Positions) -> None:
        contract, self.values = vectors.contract, vectors.values
        places = model_columns(vectors)
        self.numbers = [p for p in places if contract.columns[p].kind != "category"]
        self.categories = [p for p in places if contract.columns[p].kind == "category"]
        self.codes = {p: np.arange(len(contract.columns[p].codebook)) for p in self.categories}
        seen = self.values[train][:, self.numbers]
        known = ~np.isnan(seen)
        self.medians = np.array(
            [
                np.median(column[there]) if there.any() else 0.0
                for column, there in zip(seen.T, known.T, strict=True)
            ]
        )
        self.partly = ~known.all(axis=0) & known.any(axis=0)
        filled = np.where(known, seen, self.medians)
        self.mean, spread = filled.mean(axis=0), filled.std(axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)

    def of(self, rows: Positions) -> Floats:
        numbers = self.values[rows][:, self.numbers]
        unknown = np.isnan(numbers)
        standard = (np.where(unknown, self.medians, numbers) - self.mean) / self.spread
        marks = [self.values[rows][:, [p]] == self.codes[p] for p in self.categories]
        return np.column_stack([np.clip(standard, -5, 5), unknown[:, self.partly], *marks]).astype(np.float64)
