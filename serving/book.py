"""The book: every account in force at one moment, scored and ranked."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.vectors import FeatureContract, Floats, Vectors
from models.bundle import Bundle
from models.decision import Scores, score
from models.signs import Judgements, judge
from models.thresholds import NOT_SO_HEALTHY
from serving.company import NO_CARD, Company
from serving.moments import written

ARR, DEADLINE = "arr", "days_to_notice_deadline"


@dataclass(frozen=True)
class Book:
    """All accounts of a company at one `as_of`, as one model sees them. Never changed once made.

    `order` holds the rows from the most at risk; `signs` the ids that have fired, by row; `model` the version
    that scored, None for the rules alone.
    """

    company: Company
    as_of: dt.datetime
    vectors: Vectors
    scores: Scores
    judgements: Judgements
    signs: tuple[tuple[str, ...], ...]
    order: tuple[int, ...]
    row_of: Mapping[str, int]
    model: str | None

    def is_for(self, company: Company, as_of: dt.datetime, contract: FeatureContract) -> bool:
        """Tell whether the vectors are those of this company, moment and contract."""
        same_moment = self.company is company and self.as_of == as_of
        return same_moment and self.vectors.contract.fingerprint == contract.fingerprint

    def vector(self, account_id: str) -> Vectors | None:
        """Return an account's vector as a table of one row; None if the account is not in the book."""
        row = self.row_of.get(account_id)
        return None if row is None else self.vectors.take([row])


def scored(vectors: Vectors, as_of: dt.datetime, bundle: Bundle | None, company: Company) -> Book:
    """Make the book of the vectors of a company's accounts."""
    catalogue = company.catalogue
    scores = score(vectors, bundle, catalogue, company.sources.yearly_churn)
    judgements = judge(vectors, catalogue.policy, catalogue.definitions)
    fired = judgements.band >= NOT_SO_HEALTHY
    signs = tuple(tuple(judgements.items[item] for item in np.flatnonzero(row)) for row in fired)
    return Book(
        company,
        as_of,
        vectors,
        scores,
        judgements,
        signs,
        _ranked(vectors, scores, company.past_deadline(as_of)),
        {account: row for row, account in enumerate(vectors.account_ids)},
        None if bundle is None else bundle.version,
    )


def column_or_unknown(vectors: Vectors, name: str) -> Floats:
    """Return a context column, NaN where a company's catalogue does not have it."""
    if name in vectors.contract.position:
        return vectors.column(name)
    return np.full(len(vectors), np.nan)


def arr_at_risk(vectors: Vectors, scores: Scores) -> Floats:
    """Return probability x yearly value, shape (n,), in the currency of ``arr``; NaN where that is unknown."""
    return scores.churn_probability * column_or_unknown(vectors, ARR)


def _ranked(vectors: Vectors, scores: Scores, past_deadline: frozenset[str]) -> tuple[int, ...]:
    """Order rows by yearly value at risk (unknown ones last, by probability), in three groups.

    First those that can still be kept; then those whose notice deadline has passed with no other ahead; then
    those under notice.
    """
    at_risk, deadline = arr_at_risk(vectors, scores), column_or_unknown(vectors, DEADLINE)
    names = vectors.account_ids.astype(str)
    passed = np.isnan(deadline) & np.isin(names, sorted(past_deadline))
    group = np.where(scores.under_notice == 1.0, 2, np.where(passed, 1, 0))
    value = np.where(np.isnan(at_risk), -1.0, at_risk)
    return tuple(np.lexsort((names, -scores.churn_probability, -value, group)).tolist())


def book_rows(book: Book, rows: list[int]) -> list[dict[str, Any]]:
    """Return the chosen rows as the API shows them."""
    scores, cards = book.scores, book.company.cards
    arr, deadline = column_or_unknown(book.vectors, ARR), column_or_unknown(book.vectors, DEADLINE)
    at_risk = arr_at_risk(book.vectors, scores)
    return [
        {
            "account_id": str(scores.account_id[row]),
            "name": cards.get(scores.account_id[row], NO_CARD).name,
            "csm": cards.get(scores.account_id[row], NO_CARD).csm,
            "churn_probability": float(scores.churn_probability[row]),
            "interval": [float(scores.interval_low[row]), float(scores.interval_high[row])],
            "band": scores.band[row],
            "health_score": _known(scores.health_score[row]),
            "coverage": float(scores.coverage[row]),
            "level": scores.level[row],
            "stage": book.judgements.stage[row],
            "under_notice": None if math.isnan(scores.under_notice[row]) else bool(scores.under_notice[row]),
            "arr": _known(arr[row]),
            "arr_at_risk": _known(at_risk[row]),
            "days_to_notice_deadline": _known(deadline[row]),
            "signs": list(book.signs[row]),
        }
        for row in rows
    ]


def book_page(
    book: Book,
    *,
    csm: str | None = None,
    band: str | None = None,
    sign: str | None = None,
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """Return one page of the book, filtered, most at risk first."""
    wanted = [
        row
        for row in book.order
        if (csm is None or book.company.cards.get(book.scores.account_id[row], NO_CARD).csm == csm)
        and (band is None or book.scores.band[row] == band)
        and (sign is None or sign in book.signs[row])
    ]
    return {
        "as_of": written(book.as_of),
        "model": book.model,
        "total": len(wanted),
        "limit": limit,
        "offset": offset,
        "accounts": book_rows(book, wanted[offset : offset + limit]),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
