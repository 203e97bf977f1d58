"""What a measure asks of the tables, so that ``keepsight check`` can say what a missing one leaves unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from features.catalogue.loading import Catalogue
from features.catalogue.schema import (
    Aggregate,
    BlocksMeasure,
    Bonus,
    BreadthMeasure,
    CodedMeasure,
    ContactLost,
    KnownSince,
    LatestAtMost,
    LevelChangeMeasure,
    Measure,
    OnboardingAdoptionMeasure,
    RatioMeasure,
    Rows,
    UtilisationMeasure,
)

CONTACTS, CONTRACTS, PLANS, ASSESSMENTS = "contacts", "contracts", "plans", "assessments"


def tables_needed(measure: Measure) -> frozenset[str]:
    """Return the tables without which a measure is always unknown.

    Examples
    --------
    >>> from features.catalogue import load_catalogue
    >>> signals = load_catalogue().definitions.signals
    >>> sorted(tables_needed(signals["licence_utilisation"].measure))
    ['contracts', 'usage']
    >>> sorted(tables_needed(signals["export_requests"].measure))  # either can tell something
    []
    """
    if isinstance(measure, CodedMeasure):
        conditions = [frozenset(_named(code.condition)) for code in measure.codes]
        return frozenset.intersection(*conditions) if conditions else frozenset()
    main = measure.model_copy(update={"low_side": None}) if isinstance(measure, RatioMeasure) else measure
    return frozenset(_named(main)) - _merely_helping(measure)


def tables_helping(measure: Measure) -> frozenset[str]:
    """Return the tables without which a measure is unknown in part, or rests on less.

    Examples
    --------
    >>> from features.catalogue import load_catalogue
    >>> signals = load_catalogue().definitions.signals
    >>> sorted(tables_helping(signals["export_requests"].measure))
    ['requests', 'visits']
    >>> sorted(tables_helping(signals["feature_breadth"].measure))
    ['plans']
    """
    plans = {PLANS} if isinstance(measure, BreadthMeasure) else set()
    return (frozenset(_named(measure)) | plans) - tables_needed(measure)


def columns_read(measure: Measure) -> frozenset[tuple[str, str]]:
    """Return the (table, column) pairs that a measure filters, counts or averages by.

    Examples
    --------
    >>> from features.catalogue import load_catalogue
    >>> sorted(columns_read(load_catalogue().definitions.signals["support_satisfaction"].measure))
    [('tickets', 'satisfaction')]
    """
    return frozenset(_columns(measure))


def left_unknown_without(catalogue: Catalogue, table: str) -> tuple[list[str], list[str]]:
    """Return what a missing table leaves unknown: ids wholly unknown, and ids that rest on less.

    Signals, factors and context columns, in catalogue order.
    """
    definitions = catalogue.definitions
    measures = {
        **{name: signal.measure for name, signal in definitions.signals.items()},
        **{name: c.measure for name, c in definitions.context.items() if c.measure is not None},
    }
    wholly = [name for name, measure in measures.items() if table in tables_needed(measure)]
    partly = [name for name, measure in measures.items() if table in tables_helping(measure)]
    if table == ASSESSMENTS:
        wholly += definitions.factors
    if table == CONTRACTS:  # what is derived from them; tenure and stage fall back on customer_since
        derived = {name: c.of for name, c in definitions.context.items() if c.of and "." not in c.of}
        partly += [name for name, of in derived.items() if of in ("tenure_days", "stage")]
        wholly += [name for name, of in derived.items() if of not in ("tenure_days", "stage")]
    return wholly, partly


def read_by(catalogue: Catalogue, table: str, column: str) -> list[str]:
    """Return the signals and context columns that read a column."""
    definitions = catalogue.definitions
    signals = definitions.signals.items()
    context = definitions.context.items()
    return [
        *(name for name, signal in signals if (table, column) in columns_read(signal.measure)),
        *(name for name, entry in context if entry.of == f"{table}.{column}"),
    ]


def _merely_helping(measure: Measure) -> frozenset[str]:
    """Return what only a bonus asks for: without it the rest of the measure still answers."""
    bonuses = getattr(measure, "bonuses", ())
    return frozenset({CONTRACTS}) if any(bonus.near_deadline for bonus in bonuses) else frozenset()


def _named(part: Any) -> Iterator[str]:
    """Yield every table that a measure, or a part of one, asks for."""
    if isinstance(part, Rows | BlocksMeasure):
        yield part.table
    if isinstance(part, UtilisationMeasure | OnboardingAdoptionMeasure | LevelChangeMeasure | BreadthMeasure):
        yield CONTRACTS
    if isinstance(part, ContactLost) or (isinstance(part, LatestAtMost) and part.roles):
        yield CONTACTS
    if isinstance(part, Bonus) and part.near_deadline is not None:
        yield CONTRACTS
    for child in _children(part):
        yield from _named(child)


def _columns(part: Any, table: str = "") -> Iterator[tuple[str, str]]:
    """Yield every column read, with the table of the rows that it is read from."""
    for rows in (part, getattr(part, "rows", None), getattr(part, "aggregate", None)):
        if isinstance(rows, Rows | BlocksMeasure):
            table = rows.table
            break
    if isinstance(part, Rows):
        yield from ((table, column) for one in part.any_of for column in one)
    if isinstance(part, BlocksMeasure):
        yield from ((table, column) for one in (part.more, part.than) for column in one)
    if isinstance(part, Bonus) and part.filter is not None:
        yield from ((table, column) for column in part.filter)
    if isinstance(part, Aggregate):
        yield from ((table, column) for column in part.columns if column != "day")
    if isinstance(part, KnownSince):
        yield table, part.column
    else:
        named = [getattr(part, "column", None), getattr(part, "by", None)]
        columns = () if isinstance(part, Rows) else getattr(part, "columns", ())
        yield from ((table, column) for column in [*named, *columns] if isinstance(column, str))
    for child in _children(part):
        yield from _columns(child, table)


def _children(part: Any) -> Iterator[BaseModel]:
    """Yield the models inside a model; filters hold only values and ranges, no rows of their own."""
    if not isinstance(part, BaseModel):
        return
    for field in type(part).model_fields:
        value = getattr(part, field)
        if isinstance(value, BaseModel):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, BaseModel))
