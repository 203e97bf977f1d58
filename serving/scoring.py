"""Batch scoring and explaining from the command line, on the same path as the service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.clock import now
from features.errors import UnknownAccountError
from features.parquet import write_whole
from features.vectors import Floats, Vectors
from models.bundle import Bundle
from serving.book import Book, arr_at_risk, scored
from serving.company import Company


def score_book(
    company: Company,
    bundle: Bundle | None,
    as_of: dt.datetime | None,
    progress: Callable[[int, int], None] | None = None,
) -> Book:
    """Score every account in force at `as_of`; default: where the history ends.

    Raises
    ------
    UnknownAccountError
        No account was in force then.
    """
    moment = company.moment(as_of, now())
    grid = company.in_force(moment)
    if grid.num_rows == 0:
        raise UnknownAccountError(
            f"No account of {company.sources.config.company} has a contract in force on {moment:%Y-%m-%d}, as "
            f"known then. The history ends on {company.observed_until:%Y-%m-%d}: ask about a date before that."
        )
    vectors = company.vectors(grid, company.contract(bundle, moment), progress)
    return scored(vectors, moment, bundle, company)


def riskiest_vector(book: Book) -> Vectors:
    """Return the vector of the account with the highest churn probability, as a table of one row.

    Those that have given notice are left out, unless all have; of equals, the first by id.
    """
    scores = book.scores
    leaving = scores.under_notice == 1.0
    order = np.lexsort((scores.account_id.astype(str), -scores.churn_probability, leaving))
    return book.vectors.take([int(order[0])])


def account_vector(company: Company, bundle: Bundle | None, account_id: str, as_of: dt.datetime | None) -> Vectors:
    """Return one account's vector as a table of one row; default `as_of`: where the history ends.

    Raises
    ------
    UnknownAccountError
        No such account, or it had no contract in force then.
    ReadingError
        `as_of` lies in the future.
    """
    moment = company.moment(as_of, now())
    return company.vector(account_id, moment, company.contract(bundle, moment))


def json_text(answer: dict[str, Any]) -> str:
    """Return an answer as JSON for people's eyes: the service's, indented."""
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def write_scores(book: Book, out: Path) -> None:
    """Write one row an account, sorted by account, replacing `out` in one step; its folder is made.

    What is unknown is null: the model's own probability without a model, the health score of an account of which
    too little is known, the yearly value at risk where the value is not.

    Raises
    ------
    OSError
        The file cannot be written; an older one is as it was.
    """
    scores = book.scores
    table = pa.table(
        {
            "account_id": pa.array(scores.account_id, pa.string()),
            "as_of": pa.array(scores.as_of, pa.timestamp("s")),
            "model_probability": _numbers(scores.model_probability),
            "scorecard_probability": _numbers(scores.scorecard_probability),
            "churn_probability": _numbers(scores.churn_probability),
            "model_weight": _numbers(scores.model_weight),
            "interval": _pairs(scores.interval_low, scores.interval_high),
            "band": pa.array(scores.band, pa.string()),
            "health_score": _numbers(scores.health_score),
            "coverage": _numbers(scores.coverage),
            "arr_at_risk": _numbers(arr_at_risk(book.vectors, scores)),
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, table)


def _numbers(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)  # NaN becomes null


def _pairs(low: Floats, high: Floats) -> pa.Array:
    return pa.array(np.column_stack([low, high]).tolist(), pa.list_(pa.float64()))
