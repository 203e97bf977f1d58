"""Grouping in NumPy: sums, extremes, medians and orders over numbered groups, as cells (an account on a date)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Floats, Ints, Masks

FEW = 1000  # so few rows are ordered sooner than it takes to pack their keys
EXACT = 2.0**53  # whole numbers up to here add up to the same sum in any order


def sums(groups: Ints, values: Floats | None, size: int) -> Floats:
    """Return the sum of each group, or the number of its rows; 0 without rows."""
    if size == 1 and values is None:
        return np.array([float(len(groups))])
    total: Floats = np.bincount(groups, weights=values, minlength=size).astype(np.float64)
    return total


def adds_up_exactly(amounts: Floats) -> bool:
    """Return whether amounts have one sum in any order: whole numbers, and not too many.

    >>> adds_up_exactly(np.array([1.0, -2.0])), adds_up_exactly(np.array([0.5, 0.5]))
    (True, False)
    """
    return bool((amounts == np.floor(amounts)).all()) and float(np.abs(amounts).sum()) < EXACT


def largest(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the largest value of each group; NaN without one (NaN values are passed over)."""
    if size == 1:
        alone = np.fmax.reduce(values, initial=-math.inf)
        return np.array([alone if alone != -math.inf else math.nan])
    found = np.full(size, -np.inf)
    # NumPy takes fifteen times as long with places of 32 bits, and half as long again where NaN may be.
    most = np.fmax if np.isnan(values.max(initial=-np.inf)) else np.maximum
    most.at(found, groups.astype(np.intp, copy=False), values)
    return np.where(found == -np.inf, np.nan, found)


def smallest(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the smallest value of each group; NaN without one (NaN values are passed over)."""
    if size == 1:
        alone = np.fmin.reduce(values, initial=math.inf)
        return np.array([alone if alone != math.inf else -math.nan])
    found = np.full(size, np.inf)
    least = np.fmin if np.isnan(values.min(initial=np.inf)) else np.minimum  # as in largest
    least.at(found, groups.astype(np.intp, copy=False), values)
    return np.where(found == np.inf, -np.nan, found)


def medians(groups: Ints, values: Floats, size: int) -> Floats:
    """Return the median of each group, the mean of the middle two; NaN without rows.

    >>> medians(np.array([0, 0, 2]), np.array([1.0, 2.0, 5.0]), 3)
    array([1.5, nan, 5. ])
    """
    order = ordered_by(groups, values)
    counts = np.bincount(groups, minlength=size)
    begins = counts.cumsum() - counts
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
    combined = keys[0].astype(np.int64, copy=False)
    for key in keys[1:]:
        span = _most(key) + 1
        if _most(combined) > 2**62 // span:
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
        combined = combined * span + key
    return combined


def _most(keys: Ints) -> int:
    """The greatest key, or 0; of few keys a reduction would take five times as long."""
    return max(int(keys[keys.argmax()]), 0) if len(keys) else 0


def dense(keys: npt.NDArray[Any]) -> Ints:
    """Number keys in their order, from 0 without gaps; equal keys, equal numbers, and NaN is the last.

    >>> dense(np.array([2.5, np.nan, -1.0, 2.5]))
    array([1, 2, 0, 1])
    """
    if keys.dtype.kind == "f":
        keys = np.where(np.isnan(keys), np.inf, keys)
    order = keys.argsort()
    number = np.empty(len(keys), dtype=np.int64)
    number[order] = np.cumsum(firsts(keys[order])) - 1
    return number


def stable_order(keys: Ints) -> Ints:
    """Return the order that sorts keys, equal ones as they stand.

    NumPy sorts numbers 15 times as fast as it finds their stable order: each carries its place in its low bits.

    >>> stable_order(np.array([7, -1, 7, 0]))
    array([1, 3, 0, 2])
    """
    if len(keys) < FEW:
        return keys.argsort(kind="stable")
    bits = len(keys).bit_length()
    if max(int(keys.max()), -int(keys.min())) >> (62 - bits):
        keys = dense(keys)
    return np.sort(keys.astype(np.int64, copy=False) << bits | np.arange(len(keys))) & ((1 << bits) - 1)


def ordered_by(*keys: Ints | Floats) -> Ints:
    """Return the order by the first key, where it is equal by the next, then as they stand; none is negative.

    >>> ordered_by(np.array([1, 0, 1]), np.array([0.5, 2.0, 0.25]))
    array([1, 2, 0])
    """
    if len(keys[0]) < FEW:
        return np.lexsort(keys[::-1])
    return stable_order(numbered([dense(key) if key.dtype.kind == "f" else key.astype(np.int64) for key in keys]))


def as_places(keys: Sequence[Ints]) -> Ints:
    """Number the distinct combinations of keys, as :func:`numbered`, with numbers not far above their count."""
    combined, most = numbered(keys), 4 * len(keys[0])  # sorting takes longer than a few gaps
    if _most(combined) <= most:
        return combined
    *others, last = keys
    size = int(last.max()) + 1
    if others and len(last) > FEW and size <= most:  # mostly a person belongs to one account, and says it
        of_last, other = np.empty(size, dtype=np.int64), numbered(others)
        of_last[last] = other
        if (of_last[last] == other).all():
            return last.astype(np.int64, copy=False)
    return dense(combined)


def occurring(places: Ints, size: int) -> tuple[Ints, Ints]:
    """Return which places below `size` occur, and a row of each.

    >>> [found.tolist() for found in occurring(np.array([6, 1, 6, 7]), 7)]
    [[1, 6], [1, 2]]
    """
    row = np.full(max(size, int(places.max(initial=-1)) + 1), -1, dtype=narrowest(len(places)))
    row[places] = np.arange(len(places), dtype=row.dtype)
    there = (row[:size] >= 0).nonzero()[0]
    return there, row[there]


def narrowest(most: int) -> type[np.signedinteger[Any]]:
    """Return the type for whole numbers up to `most`: half the width is sorted, and fetched, in half the time.

    >>> narrowest(2**31 - 1).__name__, narrowest(2**31).__name__
    ('int32', 'int64')
    """
    return np.int32 if most < 1 << 31 else np.int64


def where_so(masks: Masks, so: npt.NDArray[np.bool_]) -> Masks:
    """Return masks where something holds, and no date elsewhere; yes/no stays yes/no."""
    kept: Masks = masks * so
    return kept


def joined_masks(keys: Ints, masks: Masks) -> tuple[Ints, Masks]:
    """Join the masks of equal keys: one row of each key, and the dates at which any of its rows counts."""
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64), masks
    order = stable_order(keys)
    begins = firsts(keys[order]).nonzero()[0]
    return order[begins], np.bitwise_or.reduceat(masks[order], begins)


def joined_between(masks: Masks, begin: Ints, after: Ints) -> Masks:
    """Join the masks of neighbours: for each pair of places, those from `begin` to before `after`; 0 without any.

    By doubling, so that it takes no longer where a range is long: any is the union of two whose width is a
    power of two.

    >>> joined_between(np.array([1, 2, 4, 8]), np.array([0, 1, 3]), np.array([3, 2, 3]))
    array([7, 2, 0])
    """
    size = after - begin
    found = np.zeros(len(size), dtype=masks.dtype)
    joined, width, longest = masks, 1, int(size.max(initial=0))
    while width <= longest:
        some = ((size >= width) & (size < 2 * width)).nonzero()[0]
        found[some] = joined[begin[some]] | joined[after[some] - width]
        joined = joined[:-width] | joined[width:]
        width *= 2
    return found


def followers(groups: Ints, masks: Masks) -> tuple[Ints, Ints, Masks, Masks]:
    """Find for each row the next one of its group that counts too, date by date; groups stand together.

    Returns
    -------
    tuple
        Pairs: a row, the next one, and the dates at which it is the next one; and per row, the dates at which
        it is the last one of its group that counts.

    Examples
    --------
    >>> row, following, mask, last = followers(np.array([5, 5, 5]), np.array([0b11, 0b01, 0b10]))
    >>> list(zip(row.tolist(), following.tolist(), mask.tolist())), last.tolist()
    ([(0, 1, 1), (0, 2, 2)], [0, 1, 2])
    """
    if _at_one_date(masks):
        next_one = (groups[1:] == groups[:-1]).nonzero()[0]
        return next_one, next_one + 1, masks[next_one], lasts(groups).astype(masks.dtype)
    after = group_ends(groups)
    last = masks.copy()
    row = np.arange(len(groups), dtype=np.int64)
    found: list[tuple[Ints, Ints, Masks]] = []
    step = 1
    while len(row := row[(last[row] != 0) & (row + step < after[row])]):
        meet = last[row] & masks[row + step]
        there = meet != 0
        found.append((row[there], row[there] + step, meet[there]))
        last[row] &= ~meet
        step += 1
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, last
    rows, following, meeting = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, following, meeting, last


def last_in_group(groups: Ints, masks: Masks) -> Masks:
    """Return the dates at which each row is the last one of its group that counts; groups stand together.

    >>> last_in_group(np.array([5, 5, 6]), np.array([0b11, 0b01, 0b10]))
    array([2, 1, 2])
    """
    if _at_one_date(masks):
        return lasts(groups).astype(masks.dtype)
    return masks & ~joined_between(masks, np.arange(1, len(masks) + 1), group_ends(groups))


def _at_one_date(masks: Masks) -> bool:
    """Whether all rows count at the one date that is asked about: then neighbours need no comparing."""
    return not np.count_nonzero(masks != 1)


def group_ends(ordered: Ints) -> Ints:
    """Return for each row the place after the last one of its group; groups stand together.

    >>> group_ends(np.array([4, 4, 9]))
    array([2, 2, 3])
    """
    new = firsts(ordered)
    ends: Ints = np.append(new.nonzero()[0][1:], len(ordered))
    after: Ints = ends[new.cumsum() - 1]
    return after


def pairs_within(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of places (in `left`, in `right`) whose groups, numbered from 0, are equal.

    >>> one, other = pairs_within(np.array([0, 2, 2]), np.array([2, 0, 2]))
    >>> one.tolist(), other.tolist()
    ([0, 1, 1, 2, 2], [1, 0, 2, 0, 2])
    """
    order = stable_order(right)
    size = int(max(left.max(initial=-1), right.max(initial=-1))) + 1
    counts = np.bincount(right, minlength=size)
    begin, count = (counts.cumsum() - counts)[left], counts[left]
    one = np.arange(len(left), dtype=np.int64).repeat(count)
    within = np.arange(len(one), dtype=np.int64) - (count.cumsum() - count).repeat(count)
    return one, order[begin.repeat(count) + within]
