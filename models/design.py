"""The booster's columns: how much worse each reading is than the best that training has seen.

Decision: constrained columns start at 0 for the best, and rise with risk
------------------------------------------------------------------------
Hiding a reading must never make an account look healthier than its healthiest value would. LightGBM breaks that
for a monotone column in two ways, both measured on version 4.7 with method "basic":

* under a *falling* constraint it splits "known" from "unknown" with the unknown on the calm side (358 of 9,000
  trials with constraint -1 on the values as they are, none with +1 on the reversed ones);
* where all values lie above 0, it splits the unknown off together with an empty bin around 0 (274 of 1,000
  accounts looked better without their days of silence in the community than with the fewest of all, 1).

So where less is worse a column enters as best - value, where more is worse as value - best, with the best of the
training rows: every constraint is +1, and the unknown never has a leaf that the best value does not share.

A two-sided signal enters as its distance below and its distance above the comfortable range. A factor enters as
two columns, rated freshly and rated long ago, each unknown where the other one holds: the model can trust a stale
rating less, and a missing rating still cannot look better than the best one. (An age of its own could: hiding a
rating hides its age, and nothing says which way an age points.)

Unknown context is read as the training median, or the commonest value. Unknown signals and factors stay NaN,
save in columns that had (almost) none in training, which LightGBM would read as 0: those get the median too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import Definitions, Direction
from features.errors import BundleError
from features.vectors import Column, FeatureContract, Floats, Role, Vectors, age_column

# LightGBM learns whether a column can be NaN from a sample of 200,000 rows: rarer than this it may miss it.
FEWEST_UNKNOWN_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Medians:
    """What training leaves behind for reading a vector.

    Attributes
    ----------
    best
        For each constrained design column the training rows' healthiest value, in the sense "up is worse"; 0
        where there is none, and for free columns.
    fills
        For each design column the number that stands for unknown; None where unknown stays NaN.
    stale_after_days
        For each factor of the contract, in its order.
    """

    best: tuple[float, ...]
    fills: tuple[float | None, ...]
    stale_after_days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DesignMatrix:
    """The booster's input.

    Attributes
    ----------
    X
        Shape (n, d), float64.
    names
        Names of the d columns.
    monotone
        1: rises with risk; 0: free. (Never -1, see the module's text.)
    categorical
        Positions of the columns that hold codes.
    owner
        For each design column, the position in the contract of the column that its contribution belongs to.
    """

    X: Floats
    names: tuple[str, ...]
    monotone: tuple[int, ...]
    categorical: tuple[int, ...]
    owner: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Part:
    """One design column before it is filled; where `monotone`, up is worse."""

    name: str
    owner: int
    monotone: int
    categorical: bool
    values: Floats


def training_medians(vectors: Vectors, definitions: Definitions) -> Medians:
    """Learn, from the training rows, what stands for unknown.

    Parameters
    ----------
    vectors
        The rows that the booster is trained on.
    definitions
        Those of the vectors; they say from when an assessment is stale.
    """
    stale_after = tuple(
        float(definitions.factors[column.name].stale_after_days) for column in _factors(vectors.contract)
    )
    parts = list(_parts(vectors, stale_after))
    best = tuple(_best(part) for part in parts)
    return Medians(best, tuple(map(_fill, parts, best)), stale_after)


def design_matrix(vectors: Vectors, medians: Medians) -> DesignMatrix:
    """Return the booster's input for n vectors.

    Raises
    ------
    BundleError
        The medians belong to another contract.
    """
    parts = list(_parts(vectors, medians.stale_after_days))
    if len(parts) != len(medians.fills):
        raise BundleError(
            f"contract.json: {len(medians.fills)} medians for {len(parts)} columns; "
            "the bundle was put together from two models. Train again (`keepsight train`)."
        )
    matrix = np.empty((len(vectors), len(parts)))
    for place, (part, best, fill) in enumerate(zip(parts, medians.best, medians.fills, strict=True)):
        values = part.values - best
        matrix[:, place] = values if fill is None else np.where(np.isnan(values), fill, values)
    return DesignMatrix(
        matrix,
        tuple(part.name for part in parts),
        tuple(part.monotone for part in parts),
        tuple(place for place, part in enumerate(parts) if part.categorical),
        np.array([part.owner for part in parts], dtype=np.intp),
    )


def by_owner(contributions: Floats, owner: npt.NDArray[np.intp], columns: int) -> Floats:
    """Add the design columns' contributions up to those of the contract's columns.

    Parameters
    ----------
    contributions
        Shape (n, d).
    owner
        Shape (d,).
    columns
        Number of the contract's columns.

    Examples
    --------
    >>> by_owner(np.array([[1.0, 2.0, 4.0]]), np.array([0, 2, 2]), 3)
    array([[1., 0., 6.]])
    """
    sums = np.zeros((len(contributions), columns))
    for place, column in enumerate(owner):
        sums[:, column] += contributions[:, place]
    return sums


def _parts(vectors: Vectors, stale_after_days: tuple[float, ...]) -> Iterator[_Part]:
    contract = vectors.contract
    stale_after = dict(zip((c.name for c in _factors(contract)), stale_after_days, strict=True))
    for owner, column in enumerate(contract.columns):
        values = vectors.values[:, owner]
        if not column.in_model:
            continue
        if column.role is Role.SIGNAL:
            yield from _signal(column, owner, values)
        elif column.role is Role.FACTOR:
            with np.errstate(invalid="ignore"):
                stale = vectors.column(age_column(column.name)) > stale_after[column.name]
            yield _Part(f"{column.name}_fresh_below_best", owner, 1, False, np.where(stale, np.nan, -values))
            yield _Part(f"{column.name}_stale_below_best", owner, 1, False, np.where(stale, -values, np.nan))
        elif column.role is Role.CONTEXT:
            yield _Part(column.name, owner, 0, column.kind == "category", values)


def _signal(column: Column, owner: int, values: Floats) -> Iterator[_Part]:
    match column.direction:
        case Direction.TWO_SIDED:
            assert column.comfortable is not None  # checked when the catalogue is loaded
            low, high = column.comfortable
            yield _Part(f"{column.name}_below", owner, 1, False, np.maximum(low - values, 0.0))
            yield _Part(f"{column.name}_above", owner, 1, False, np.maximum(values - high, 0.0))
        case Direction.LOWER_IS_WORSE:
            yield _Part(f"{column.name}_below_best", owner, 1, False, -values)
        case _:
            yield _Part(f"{column.name}_above_best", owner, 1, False, values)


def _factors(contract: FeatureContract) -> list[Column]:
    return [column for column in contract.columns if column.role is Role.FACTOR]


def _best(part: _Part) -> float:
    known = part.values[~np.isnan(part.values)]
    return float(known.min()) if part.monotone and len(known) else 0.0


def _fill(part: _Part, best: float) -> float | None:
    known = part.values[~np.isnan(part.values)] - best
    unknown = len(part.values) - len(known)
    if len(known) == 0 or (part.monotone and unknown > FEWEST_UNKNOWN_SHARE * len(part.values)):
        return None
    if part.categorical:
        codes, counts = np.unique(known, return_counts=True)
        return float(codes[np.argmax(counts)])
    return float(np.quantile(known, 0.5, method="lower"))  # a value that occurs, also for yes and no
