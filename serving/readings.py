"""Readings that a caller gives, made into vectors of the same contract as computed ones.

A posted value, code or rating that no definition allows is refused by name; what is not given, or given as
null, is unknown and never zero.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.catalogue.schema import (
    AggregateMeasure,
    CodedMeasure,
    ContextKind,
    Definitions,
    DeltaMeasure,
    LatestMeasure,
    LevelChangeMeasure,
    Measure,
)
from features.errors import ReadingError, near_miss
from features.readings import KNOWN_LETTER, Unknown, UnknownReason
from features.sources.contract import TableContract
from features.vectors import COVERAGE, UNDER_NOTICE, FeatureContract, Role, Vectors, age_column, coverage

Value = float | Unknown
NOT_GIVEN = Unknown(UnknownReason.NOT_GIVEN)


@dataclass(frozen=True, slots=True)
class GivenRating:
    """A factor as somebody rated it, 1 to 5, and when. A date without a time counts from its end."""

    rating: int
    assessed_at: dt.date | dt.datetime


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller says of one account at one moment. A missing name and a null are both unknown.

    `unknown` gives the reason where it is not simply "not given": a signal that is not applicable, or whose
    feed is not connected, does not count against coverage.
    """

    account_id: str
    as_of: dt.datetime
    readings: Mapping[str, float | None] = field(default_factory=dict)
    factors: Mapping[str, GivenRating | None] = field(default_factory=dict)
    context: Mapping[str, float | bool | str | None] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    under_notice: bool = False


def vectors_of(given: Sequence[Given], contract: FeatureContract, definitions: Definitions) -> Vectors:
    """Return the vectors of posted readings, one row each, in the order given.

    Parameters
    ----------
    given
        What the caller says, n accounts.
    contract
        The model's contract, or that of the catalogue; categories are coded by its codebooks, and a category
        that the codebook does not have is unknown.
    definitions
        What may be said: codes, ranges, ages.

    Raises
    ------
    ReadingError
        An unknown signal, factor or context; a value that is not finite or cannot be; a rating outside 1 to 5
        or from the future; a reason that does not exist.
    """
    rows = [_row(item, contract, definitions) for item in given]
    values = np.array(
        [[_number(row.get(name, NOT_GIVEN)) for name in contract.names] for row in rows], dtype=np.float64
    ).reshape(len(rows), len(contract.names))
    letters = np.array(
        [[_letter(row.get(name, NOT_GIVEN)) for name in contract.names] for row in rows], dtype="<U1"
    ).reshape(values.shape)
    shares = coverage(contract, letters)
    place = contract.position[COVERAGE]
    values[:, place] = shares
    letters[:, place] = np.where(np.isnan(shares), UnknownReason.NOT_CONNECTED.letter, KNOWN_LETTER)
    return Vectors(
        contract,
        np.array([item.account_id for item in given], dtype=object),
        np.array([item.as_of for item in given], dtype="datetime64[s]"),
        values,
        letters,
    )


def _number(value: Value) -> float:
    return math.nan if isinstance(value, Unknown) else value


def _letter(value: Value) -> str:
    return value.reason.letter if isinstance(value, Unknown) else KNOWN_LETTER


def _row(given: Given, contract: FeatureContract, definitions: Definitions) -> dict[str, Value]:
    reasons = _reasons(given, definitions)
    row: dict[str, Value] = dict(reasons)
    for name, value in given.readings.items():
        _refuse_unknown_name("readings", name, definitions)
        if value is not None:
            _refuse_both(name, reasons)
            row[name] = _signal(name, value, definitions)
    for name, rating in given.factors.items():
        _refuse_unknown_name("factors", name, definitions)
        if rating is not None:
            _refuse_both(name, reasons)
            row |= _factor(name, rating, given.as_of, definitions)
    for name, said in given.context.items():
        _refuse_unknown_name("context", name, definitions)
        if said is not None:
            _refuse_both(name, reasons)
            row[name] = _context(name, said, contract, definitions)
    for name in definitions.factors:
        row.setdefault(age_column(name), row.get(name, NOT_GIVEN) if name in reasons else NOT_GIVEN)
    row[UNDER_NOTICE] = float(given.under_notice)
    return row


def _refuse_unknown_name(group: str, name: str, definitions: Definitions) -> None:
    groups: Mapping[str, Mapping[str, object]] = {
        "readings": definitions.signals,
        "factors": definitions.factors,
        "context": definitions.context,
    }
    if name in groups[group]:
        return
    elsewhere = next((other for other, names in groups.items() if name in names), None)
    hint = f'It belongs under "{elsewhere}".' if elsewhere else near_miss(name[:60], groups[group])
    what = {"readings": "signal", "factors": "factor", "context": "context"}[group]
    raise ReadingError(f'{group}: there is no {what} "{name[:60]}". {hint}')


def _refuse_both(name: str, reasons: Mapping[str, Unknown]) -> None:
    if name in reasons:
        raise ReadingError(f'"{name}" has a value and is also listed under "unknown". Give one of them.')


def _reasons(given: Given, definitions: Definitions) -> dict[str, Unknown]:
    known = [*definitions.signals, *definitions.factors, *definitions.context]
    found: dict[str, Unknown] = {}
    for name, reason in given.unknown.items():
        if name not in known:
            raise ReadingError(f'unknown: there is no "{name[:60]}". {near_miss(name[:60], known)}')
        try:
            found[name] = Unknown(UnknownReason(reason))
        except ValueError:
            allowed = near_miss(reason[:60], [item.value for item in UnknownReason])
            raise ReadingError(f'unknown, "{name}": there is no such reason. {allowed}') from None
    return found


def _signal(name: str, value: float, definitions: Definitions) -> float:
    measure = definitions.signals[name].measure
    if not math.isfinite(value):
        raise ReadingError(f"readings, {name}: not a finite number. Give null for what is unknown.")
    if isinstance(measure, CodedMeasure):
        book = {0: measure.none_means} | {code.code: code.means for code in measure.codes}
        if value not in book:
            allowed = "; ".join(f"{code} ({means})" for code, means in sorted(book.items()))
            raise ReadingError(f"readings, {name}: not a code of its code book. Allowed: {allowed}.")
    elif isinstance(measure, LevelChangeMeasure):
        if value < -1:
            raise ReadingError(f"readings, {name}: a relative change cannot be below -1.")
    elif value < 0 and not _may_be_negative(measure):
        raise ReadingError(f"readings, {name}: cannot be negative.")
    lowest, highest = _bounds(measure, definitions.contracts)
    if not lowest <= value <= highest:
        raise ReadingError(f"readings, {name}: lies outside {lowest:g} to {highest:g}, between which it is given.")
    return float(value)


def _bounds(measure: Measure, contracts: Mapping[str, TableContract]) -> tuple[float, float]:
    """Return between what a mean of values lies: what their column may hold."""
    if isinstance(measure, LatestMeasure):
        table, name = measure.rows.table, measure.column
    elif isinstance(measure, AggregateMeasure) and measure.aggregate.of == "mean" and not measure.bonuses:
        table, name = measure.aggregate.table, measure.aggregate.columns[0]
    else:
        return -math.inf, math.inf
    column = contracts[table].columns[name]
    return (
        -math.inf if column.at_least is None else column.at_least,
        math.inf if column.at_most is None else column.at_most,
    )


def _may_be_negative(measure: Measure) -> bool:
    if isinstance(measure, DeltaMeasure):
        return True
    return measure.kind in ("aggregate", "latest")  # a sum or mean of a column that may be (sentiment)


def _factor(name: str, given: GivenRating, as_of: dt.datetime, definitions: Definitions) -> dict[str, Value]:
    if not 1 <= given.rating <= 5:
        raise ReadingError(f"factors, {name}: a rating is 1 (weak) to 5 (strong). Give null if not rated.")
    age_days = _age_days(name, given.assessed_at, as_of)
    if age_days > definitions.factors[name].unknown_after_days:
        return dict.fromkeys((name, age_column(name)), Unknown(UnknownReason.EXPIRED))
    return {name: float(given.rating), age_column(name): float(age_days)}


def _age_days(name: str, assessed_at: dt.date | dt.datetime, as_of: dt.datetime) -> int:
    if isinstance(assessed_at, dt.datetime):
        moment = assessed_at
    else:  # a date counts from its end; one of the very day of as_of is taken as just made
        midnight = dt.datetime.combine(assessed_at, dt.time.min)
        moment = min(midnight + dt.timedelta(days=1), max(as_of, midnight))
    if moment > as_of:
        raise ReadingError(f"factors, {name}: assessed_at lies after as_of. Give the date of the rating.")
    return (as_of - moment).days


def _context(name: str, value: float | bool | str, contract: FeatureContract, definitions: Definitions) -> Value:
    kind = definitions.context[name].kind
    fits, wanted, read = _KINDS[kind]
    if not fits(value):
        raise ReadingError(f"context, {name}: give {wanted}, or null if unknown.")
    return read(value, contract, name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: float | bool | str, _contract: FeatureContract, _name: str) -> Value:
    return float(value)


def _code(value: float | bool | str, contract: FeatureContract, name: str) -> Value:
    codebook = contract.columns[contract.position[name]].codebook
    return float(codebook.index(str(value))) if value in codebook else Unknown(UnknownReason.NO_BASE)


_KINDS: Mapping[
    ContextKind,
    tuple[Callable[[object], bool], str, Callable[[float | bool | str, FeatureContract, str], Value]],
] = {
    ContextKind.NUMBER: (_is_number, "a number", _plain),
    ContextKind.YES_NO: (lambda value: isinstance(value, bool), "true or false", _plain),
    ContextKind.CATEGORY: (lambda value: isinstance(value, str), "a text", _code),
}


def given_columns(contract: FeatureContract) -> tuple[str, ...]:
    """Name the columns that a caller may give: signals, factors and context, not ages and coverage."""
    asked = (Role.SIGNAL, Role.FACTOR, Role.CONTEXT)
    return tuple(column.name for column in contract.columns if column.role in asked)
