"""Which numbers a measure of the catalogue's schema is made of, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from tests.bench.in_featuretools.numbers import Number

Measure = Mapping[str, Any]
Formula = Callable[..., pd.Series]  # of a measure's numbers in order, moments being whole days since then
Asked = tuple[Sequence[Number], Formula]


def asked(measure: Measure) -> Asked:
    """Return the numbers that a measure is made of, and what it makes of them.

    Its `kept_days`, `history_days` and `minimum_rows` only tell where Keepsight knows no value, and only what it
    knows is compared.
    """
    return KINDS[measure["kind"]](measure)


def with_points(counted: pd.Series, bonuses: Sequence[Measure], found: Sequence[pd.Series]) -> pd.Series:
    """Return what was counted, and the points of every bonus that found rows."""
    return sum((bonus["points"] * (rows > 0) for bonus, rows in zip(bonuses, found, strict=True)), start=counted)


def _aggregate(measure: Measure) -> Asked:
    rows = dict(measure["aggregate"])
    days_ago = rows.pop("until_days_ago", 0)
    number = Number(**rows | {"window_days": rows["window_days"] + days_ago}, days_ago=days_ago)
    bonuses = measure.get("bonuses", [])
    better = [replace(number, of="rows", columns=(), also=bonus["filter"]) for bonus in bonuses]
    return [number, *better], lambda counted, *found: with_points(counted, bonuses, found)


def _days_since(measure: Measure) -> Asked:
    if measure.get("active_blocks", 1) > 1:
        raise ValueError("blocks that end with the last row cannot be expressed")
    return [Number(**measure["rows"], of="last_moment")], lambda days: days


def _newness(measure: Measure) -> Asked:
    numbers = [Number(**measure["rows"], of="last_first_sight", columns=[column]) for column in measure["columns"]]
    return numbers, lambda *days: pd.concat(days, axis=1).min(axis=1)


def _latest(measure: Measure) -> Asked:
    columns, days = [measure["by"], measure["column"]], measure["window_days"]
    number = Number(**measure["rows"], of="mean_of_latest", columns=columns, window_days=days)
    return [number], lambda mean: mean


def _coded(measure: Measure) -> Asked:
    """Of codes only one that says whether somebody's latest answer is low: counts are asked for as they are."""
    (code,) = measure["codes"]
    condition = code["condition"]
    (number,), _ = _latest(condition)
    lowest_of_latest = replace(number, of="lowest_of_latest")
    return [lowest_of_latest], lambda lowest: code["code"] * (lowest <= condition["at_most"])


def _median_duration(measure: Measure) -> Asked:
    own = Number(**measure["rows"], of="median_days", within_days=measure["window_days"])
    return [own, replace(own, everywhere=True)], lambda days, usual: days / usual


def _open_at(measure: Measure) -> Asked:
    """Open are all rows so far less those that ended so far."""
    rows, bonuses = Number(**measure["rows"]), measure.get("bonuses", [])
    ages = [0, *(bonus["open_longer_than_days"] + 1 for bonus in bonuses)]  # whole days
    ended = [measure.get("ended_within_days", 0), *(0 for _ in bonuses)]
    pairs = zip(ages, ended, strict=True)
    numbers = [replace(rows, days_ago=age, ended_days_ago=ago) for age, end in pairs for ago in (None, end)]

    def formula(*found: pd.Series) -> pd.Series:
        still, *old = [begun - gone for begun, gone in zip(found[::2], found[1::2], strict=True)]
        return with_points(still, bonuses, old)

    return numbers, formula


def _blocks(measure: Measure) -> Asked:
    """What lies in a block is what lies at least so far back, less what lies a block further back."""
    blocks, days = measure["blocks"], measure["block_days"]
    numbers = [
        Number(measure["table"], any_of=[measure[side]], window_days=blocks * days, days_ago=block * days)
        for block in range(blocks)
        for side in ("more", "than")
    ]

    def formula(*found: pd.Series) -> pd.Series:
        ahead = [more - than for more, than in zip(found[::2], found[1::2], strict=True)]
        further = [*ahead[1:], 0.0]
        return sum((a > f for a, f in zip(ahead, further, strict=True)), start=0.0)

    return numbers, formula


KINDS: Mapping[str, Callable[[Measure], Asked]] = {
    "aggregate": _aggregate,
    "recency": _days_since,
    "silence": _days_since,
    "newness": _newness,
    "latest": _latest,
    "coded": _coded,
    "median_duration": _median_duration,
    "open_at": _open_at,
    "blocks": _blocks,
}
