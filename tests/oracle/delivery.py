"""Which columns a measure needs: without one of them it says that it is not connected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from features.catalogue import schema
from features.readings import UnknownReason
from tests.oracle.company import CONTRACT
from tests.oracle.coverage import CannotSayError
from tests.oracle.rows import View


def must_be_delivered(view: View, asked: Any) -> None:
    """Say that it is not connected, unless every table and column that is needed was delivered."""
    for rows, columns in needs(asked):
        delivered = {*view.known.company.delivered(rows.table), "day"}
        readable = not rows.any_of or any(set(one) <= delivered for one in rows.any_of)
        if not readable or not set(columns) <= delivered:
            raise CannotSayError(UnknownReason.NOT_CONNECTED)


def needs(asked: Any) -> Iterable[tuple[schema.Rows, tuple[str, ...]]]:
    """The rows that a measure or condition reads, and the columns of them beyond its filters."""
    match asked:
        case schema.AggregateMeasure() | schema.AtLeast() | schema.NoRows() | schema.AboveOwnRate():
            yield of_aggregate(asked.aggregate)
        case schema.RatioMeasure():
            yield of_aggregate(asked.of)
            yield of_aggregate(asked.per)
        case schema.UtilisationMeasure() | schema.OnboardingAdoptionMeasure():
            yield of_aggregate(asked.people)
        case schema.TrendMeasure():
            yield of_aggregate(asked.fallback)
        case schema.RecencyMeasure() | schema.SilenceMeasure():
            yield asked.rows, ()
        case schema.BreadthMeasure() | schema.LatestMeasure() | schema.DeltaMeasure() | schema.LatestAtMost():
            yield asked.rows, (asked.column,)
        case schema.NewnessMeasure():
            yield asked.rows, asked.columns
        case schema.MedianDurationMeasure() | schema.OpenAtMeasure():
            yield asked.rows, (CONTRACT[asked.rows.table]["ended"],)
        case schema.BlocksMeasure():
            yield schema.Rows(table=asked.table, any_of=(asked.more,)), tuple(asked.than)
        case schema.ContactLost():
            yield schema.Rows(table="contacts"), ()


def of_aggregate(aggregate: schema.Aggregate) -> tuple[schema.Rows, tuple[str, ...]]:
    since = aggregate.by_known_since
    return aggregate, (*aggregate.columns, *((since.column,) if since else ()))
