"""The contestants that our own model has to beat, fitted as an analyst would in an afternoon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.vectors import Floats, Role, Vectors
from training.evaluation import row_log_loss
from training.folds import Folds, Positions

RIDGE_STRENGTHS = (0.001, 0.01, 0.1)
MOST_ROWS_TO_CHOOSE_BY = 50_000  # of either part of a fold; more of them choose no other strength


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
        learnt, judged = thinned(fold.train), thinned(fold.validate)
        columns = _Table(vectors, learnt)
        before, later = columns.of(learnt), columns.of(judged)
        for place, strength in enumerate(strengths):
            # C weighs the rows against the penalty: of fewer rows each counts for more.
            model = _ridge(before, churned[learnt], strength * len(fold.train) / max(len(learnt), 1))
            totals[place] += row_log_loss(churned[judged], _said(model, later)).sum()
    columns = _Table(vectors, train)
    model = _ridge(columns.of(train), churned[train], strengths[int(np.argmin(totals))])
    return _said(model, columns.of(asked))


def thinned(rows: Positions, most: int = MOST_ROWS_TO_CHOOSE_BY) -> Positions:
    """Return every second, third or so on of the rows: at most so many.

    >>> thinned(np.arange(10), most=4).tolist()
    [0, 3, 6, 9]
    """
    return rows[:: max(1, -(-len(rows) // most))]


def _ridge(columns: Floats, churned: Floats, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=500).fit(columns, churned)


def _said(model: Any, columns: Floats) -> Floats:
    return np.asarray(model.predict_proba(columns)[:, 1], dtype=np.float64)


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
