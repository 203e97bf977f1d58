"""Segments: whether the model holds for each plan, region and lifecycle stage, or only on average.

A snapshot belongs to the segment that its account stood in at that time. Small segments are withheld: a figure of
three accounts says more about those three than about the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.vectors import Floats, Role, Vectors
from training.evaluation import Block, Scores
from training.recipe import SegmentRecipe
from training.resampling import Interval

YES_NO = {0.0: "no", 1.0: "yes"}


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """How good the blend was on one segment.

    `churned` is the share of snapshots that did, `gap` that share minus the mean probability said.
    """

    churned: float
    churned_interval: Interval | None
    gap: float
    gap_interval: Interval
    scores: Scores


@dataclass(frozen=True, slots=True)
class Segment:
    """One value of a context column on the final block; `value` None where it was unknown.

    Either there are `figures`, or `withheld` says why not.
    """

    column: str
    value: str | None
    snapshots: int
    accounts: int
    churned_accounts: int
    figures: SegmentFigures | None
    withheld: str | None


def segments_of(final: Vectors, block: Block, probability: Floats, how: SegmentRecipe) -> tuple[Segment, ...]:
    """Judge the blend segment by segment.

    Parameters
    ----------
    final
        Vectors of the final block; segments are the values of its context columns that are categories (the
        lifecycle stage among them) or yes or no. A column that is unknown throughout has none.
    block
        The same rows, with what happened.
    probability
        Shape (n,): what the blend said.
    how
        How small is too small.
    """
    return tuple(
        _segment(column, value, there, block, probability, how)
        for column, values in _columns(final)
        for value, there in _values(values)
    )


def _columns(final: Vectors) -> Iterator[tuple[str, npt.NDArray[np.object_]]]:
    for column in final.contract.columns:
        if column.role is Role.CONTEXT and column.kind == "category":
            yield column.name, final.category(column.name)
        elif column.role is Role.CONTEXT and column.kind == "yes_no":
            yield column.name, np.array([YES_NO.get(v) for v in final.column(column.name)], dtype=object)


def _values(values: npt.NDArray[np.object_]) -> Iterator[tuple[str | None, npt.NDArray[np.bool_]]]:
    known = sorted({str(value) for value in values if value is not None})
    for value in known:
        yield value, values == value
    missing = np.array([value is None for value in values], dtype=bool)
    if known and missing.any():
        yield None, missing


def _segment(
    column: str,
    value: str | None,
    there: npt.NDArray[np.bool_],
    block: Block,
    probability: Floats,
    how: SegmentRecipe,
) -> Segment:
    part = block.part(there)
    withheld = _too_small(part, how)
    return Segment(
        column=column,
        value=value,
        snapshots=len(part),
        accounts=part.accounts,
        churned_accounts=part.churned_accounts,
        figures=None if withheld else _figures(part, probability[there]),
        withheld=withheld,
    )


def _too_small(part: Block, how: SegmentRecipe) -> str | None:
    if part.accounts < how.fewest_accounts:
        return f"{_counted(part.accounts, 'account')}; wanted are {how.fewest_accounts}"
    if part.churned_accounts < how.fewest_churned_accounts:
        churned = _counted(part.churned_accounts, "churned account")
        return f"{churned}; wanted are {how.fewest_churned_accounts}"
    return None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _figures(part: Block, probability: Floats) -> SegmentFigures:
    gap, gap_interval = part.calibration_gap(probability)
    everyone = np.ones(len(part), dtype=bool)
    return SegmentFigures(
        churned=float(part.churned.mean()),
        churned_interval=part.share_interval(part.churned, everyone),
        gap=gap,
        gap_interval=gap_interval,
        scores=part.scores(probability),
    )
