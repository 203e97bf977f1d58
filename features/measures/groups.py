"""Grouping in NumPy: sums, extremes, medians and orders over numbered groups, as cells (an account on a date)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Floats, Ints, Masks


def sums(groups: Ints, values: Floats | None, size: int) -> Floats:
    """Return the sum of each group, or the number of its rows; 0 without rows."""
    if size == 1 and values is None:
        return np.array([float(len(groups))])
    total: Floats = np.bincount(groups, weights=values, minlength=size).astype(np.float64)
    return total


def largest(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the largest value of each group; NaN without one (NaN values are passed over)."""
    if size == 1:
        most = np.fmax.reduce(values, initial=-math.inf)
        return np.array([most if most != -math.inf else math.nan])
    found = np.full(size, -np.inf)
    np.fmax.at(found, groups, values)
    found[found == -np.inf] = np.nan
    return found


def smallest(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the smallest value of each group; NaN without one (NaN values are passed over)."""
    if size == 1:
        least = np.fmin.reduce(values, initial=math.inf)
        return np.array([least if least != math.inf else -math.nan])  # the NaN of the line below, bit for bit
    return -largest(groups, -values, size)


def medians(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the median of each group, the mean of the middle two; NaN without rows.

    >>> medians(np.array([0, 0, 2]), np.array([1.0, 2.0, 5.0]), 3)
    array([1.5, nan, 5. ])
    """
    order = np.lexsort((values, groups))
    counts = np.bincount(groups, minlength=size)
    begins = np.cumsum(counts) - counts
    there = counts > 0
    found = np.full(size, np.nan)
    ordered = values[order]
    low, high = begins[there] + (counts[there] - 1) // 2, begins[there] + counts[there] // 2
    found[there] = (ordered[low] + ordered[high]) / 2.0
    return found


def firsts(ordered: Ints) -> npt.NDArray[np.bool_]:
    """Return where a new group begins, in rows whose groups stand together."""
    begins = np.empty(len(ordered), dtype=bool)
    begins[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    return begins


def lasts(ordered: Ints) -> npt.NDArray[np.bool_]:
    """Return where a group ends, in rows whose groups stand together."""
    ends = np.empty(len(ordered), dtype=bool)
    ends[-1:] = True
    np.not_equal(ordered[1:], ordered[:-1], out=ends[:-1])
    return ends


def numbered(keys: Sequence[Ints]) -> Ints:
    """Number the distinct combinations of keys: equal combinations, equal numbers."""
    combined = keys[0]
    for key in keys[1:]:
        span = int(np.maximum.reduce(key, initial=0)) + 1
        if int(np.maximum.reduce(combined, initial=0)) > 2**62 // span:
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
        combined = combined * span + key
    return combined


def as_places(keys: Sequence[Ints]) -> Ints:
    """Number the distinct combinations of keys, as :func:`numbered`, with numbers not far above their count."""
    combined = numbered(keys)
    if int(np.maximum.reduce(combined, initial=0)) <= 4 * len(combined):  # sorting takes longer than a few gaps
        return combined
    places: Ints = np.unique(combined, return_inverse=True)[1]
    return places


def joined_masks(keys: Ints, masks: Masks) -> tuple[Ints, Masks]:
    """Join the masks of equal keys: one row of each key, and the dates at which any of its rows counts."""
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64), masks
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(firsts(keys[order]))
    return order[begins], np.bitwise_or.reduceat(masks[order], begins)


def pairs_within(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of places (in `left`, in `right`) whose groups are equal.

    >>> one, other = pairs_within(np.array([0, 2, 2]), np.array([2, 0, 2]))
    >>> one.tolist(), other.tolist()
    ([0, 1, 1, 2, 2], [1, 0, 2, 0, 2])
    """
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    begin = np.searchsorted(ordered, left, side="left")
    count = np.searchsorted(ordered, left, side="right") - begin
    one = np.repeat(np.arange(len(left), dtype=np.int64), count)
    within = np.arange(len(one), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
    return one, order[np.repeat(begin, count) + within]
