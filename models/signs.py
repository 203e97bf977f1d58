"""From vectors to signs: bands, severities, combination, health and coverage.

Vectorised over accounts. Nothing here depends on the other rows of a batch: one account alone gives the same
bits as the same account among ten thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import Definitions, Policy
from features.readings import UnknownReason
from features.vectors import FeatureContract, Floats, Role, Vectors, age_column
from models.numbers import row_sums
from models.thresholds import (
    NOT_SO_HEALTHY,
    STAGE,
    UNHEALTHY,
    Bands,
    Bools,
    Override,
    Read,
    Thresholds,
    overrides_of,
    thresholds_of,
)

LEVEL_NAMES = (None, "watch", "at_risk", "critical")
NO_LEVEL, WATCH, AT_RISK, CRITICAL = 0, 1, 2, 3
ROWS_JUDGED_AT_ONCE = 50_000
STALE_SHARE = 0.5  # a stale assessment counts half


@dataclass(frozen=True, slots=True)
class Judgements:
    """What a policy says of n accounts; `items` are the contract's signals, then its factors.

    Attributes
    ----------
    items, areas
        Their ids, in contract order; an area stands where its first item stands.
    severity
        Shape (n, items): 0 healthy to 1 unhealthy; NaN unknown.
    band
        Shape (n, items): -1 unknown, 0 healthy, 1 not so healthy, 2 unhealthy.
    crossed
        Shape (n, items): the edge that a sign has crossed; NaN where there is no sign.
    strong, low_side, stale
        Shape (n, items), bool: a strong sign; judged by the low side of a two-sided signal; a factor rated
        longer ago than its ``stale_after_days`` (an unknown age is not held to be stale).
    share
        Shape (n, items): how much of the item's own weight counts: 0.5 when stale, low weight / weight on the
        low side, else 1.
    weight
        Shape (n, items): policy weight x share.
    asked
        Shape (n, items), bool: the item applies and its feed is connected; what coverage is a share of.
    area_points
        Shape (n, areas): combination points (1, 0.5, 1.5 by default).
    level
        Shape (n,): 0 none, 1 watch, 2 at risk, 3 critical.
    strong_areas
        Shape (n, areas), bool: areas with a strong sign.
    area_health, health
        Shapes (n, areas) and (n,): 0 to 100, up = better; NaN where nothing is known.
    area_coverage, coverage
        Shapes (n, areas) and (n,): known share by policy weight of the items that apply and are connected;
        NaN where none does.
    stage
        Shape (n,): lifecycle stage, None where unknown.
    """

    items: tuple[str, ...]
    areas: tuple[str, ...]
    severity: Floats
    band: Bands
    crossed: Floats
    strong: Bools
    low_side: Bools
    stale: Bools
    share: Floats
    weight: Floats
    asked: Bools
    area_points: Floats
    level: npt.NDArray[np.intp]
    strong_areas: Bools
    area_health: Floats
    health: Floats
    area_coverage: Floats
    coverage: Floats
    stage: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.level)


@dataclass(frozen=True, slots=True)
class Severities:
    """What a scorecard reads of :class:`Judgements`, and their coverage: a fifth of what they hold."""

    severity: Floats
    share: Floats
    level: npt.NDArray[np.intp]
    coverage: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> Severities:
        """Return the chosen rows, in the order asked for."""
        return Severities(self.severity[rows], self.share[rows], self.level[rows], self.coverage[rows])


def severities(vectors: Vectors, policy: Policy, definitions: Definitions) -> Severities:
    """Judge accounts as :func:`judge` does, some at a time, and keep what a scorecard reads.

    Parameters are those of :func:`judge`.
    """
    rules = Rules.of(vectors.contract, policy, definitions)
    parts = [
        rules.judge(vectors.take(slice(first, first + ROWS_JUDGED_AT_ONCE)))
        for first in range(0, max(len(vectors), 1), ROWS_JUDGED_AT_ONCE)
    ]
    columns = ("severity", "share", "level", "coverage")
    return Severities(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def judge(vectors: Vectors, policy: Policy, definitions: Definitions) -> Judgements:
    """Judge accounts by a policy.

    Parameters
    ----------
    vectors
        n accounts.
    policy
        Thresholds, weights and combination: the live one, or the one that a scorecard was trained with.
    definitions
        Those of the vectors; they say from when an assessment is stale.

    Notes
    -----
    Where a threshold differs by stage or context and that column is unknown, the strictest threshold that may
    apply is used: not knowing never makes an account look healthier than knowing.

    An area weighs, in the account's health, the sum of its items' policy weights, *known or not*: the known
    ones speak for it. With the weights of the known ones alone, hiding a good reading of a bad area would
    raise the health of the account.
    """
    return Rules.of(vectors.contract, policy, definitions).judge(vectors)


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy written down as arrays, for one contract of vectors."""

    contract: FeatureContract
    policy: Policy
    thresholds: Thresholds
    overrides: tuple[Override, ...]
    weights: Floats
    low_edge: Floats  # NaN: one-sided
    low_share: Floats
    ages: tuple[tuple[int, int, float], ...]  # item, vector column of its age, stale after
    areas: tuple[str, ...]
    area_of: tuple[int, ...]

    @classmethod
    def of(cls, contract: FeatureContract, policy: Policy, definitions: Definitions) -> Rules:
        """Compile `policy` for vectors of `contract`."""
        items = contract.items
        thresholds = thresholds_of(items, policy)
        entries = [policy.signals[c.name] if c.role is Role.SIGNAL else policy.factors[c.name] for c in items]
        lows = [getattr(entry, "low", None) for entry in entries]
        weights = np.array([entry.weight for entry in entries], dtype=np.float64)
        areas = tuple(dict.fromkeys(column.area for column in items))
        return cls(
            contract,
            policy,
            thresholds,
            overrides_of(contract, policy),
            weights,
            np.array([np.nan if low is None else low.healthy for low in lows]),
            np.array([1.0 if low is None else low.weight for low in lows])
            / np.where([low is None for low in lows], 1.0, weights),
            tuple(
                (
                    item,
                    contract.position[age_column(column.name)],
                    float(definitions.factors[column.name].stale_after_days),
                )
                for item, column in enumerate(items)
                if column.role is Role.FACTOR
            ),
            areas,
            tuple(areas.index(column.area) for column in items),
        )

    def judge(self, vectors: Vectors) -> Judgements:
        """Judge accounts whose vectors are of this contract."""
        values = np.ascontiguousarray(vectors.values[:, self.contract.item_positions])
        letters = vectors.unknown[:, self.contract.item_positions]
        read = self._read(values, vectors.values)
        low_side = values < self.low_edge
        read = _with_low_side(read, values, low_side, self.low_edge)
        stale = self._stale(vectors.values) & (read.band >= 0)
        share = np.where(stale, STALE_SHARE, np.where(low_side, self.low_share, 1.0))
        strong = (read.band == UNHEALTHY) & ~stale
        points, strong_areas = self._area_points(read.band >= NOT_SO_HEALTHY, strong)
        asked = ~np.isnan(values) | ~((letters == _NOT_APPLICABLE) | (letters == _NOT_CONNECTED))
        area_health, health = self._health(read.severity, share, stale)
        area_coverage, coverage = self._coverage(~np.isnan(values), asked)
        return Judgements(
            items=tuple(column.name for column in self.contract.items),
            areas=self.areas,
            severity=read.severity,
            band=read.band,
            crossed=read.crossed,
            strong=strong,
            low_side=low_side,
            stale=stale,
            share=share,
            weight=self.weights * share,
            asked=asked,
            area_points=points,
            level=self._level(points, strong_areas),
            strong_areas=strong_areas,
            area_health=area_health,
            health=health,
            area_coverage=area_coverage,
            coverage=coverage,
            stage=_stages(vectors),
        )

    def _read(self, values: Floats, all_values: Floats) -> Read:
        read = self.thresholds.read(values)
        for override in self.overrides:
            certain, possible = override.applies(all_values)
            item = slice(override.item, override.item + 1)
            column = Read(read.severity[:, item], read.band[:, item], read.crossed[:, item])
            other = override.thresholds.read(values[:, item])
            better = column.where(other, certain[:, None], possible[:, None])
            read.severity[:, item], read.band[:, item] = better.severity, better.band
            read.crossed[:, item] = better.crossed
        return read

    def _stale(self, all_values: Floats) -> Bools:
        stale = np.zeros((len(all_values), len(self.weights)), dtype=bool)
        for item, column, stale_after in self.ages:
            stale[:, item] = all_values[:, column] > stale_after
        return stale

    def _area_points(self, sign: Bools, strong: Bools) -> tuple[Floats, Bools]:
        """Return points and whether there is a strong sign, for each area."""
        combination = self.policy.combination
        signs, strongs = self._by_area(sign.astype(np.float64)), self._by_area(strong.astype(np.float64))
        points = np.where(
            strongs > 0,
            combination.strong_area + np.where(strongs > 1, combination.second_strong, 0.0),
            np.where(signs > 0, combination.ordinary_area, 0.0),
        )
        return points, strongs > 0

    def _level(self, points: Floats, strong_areas: Bools) -> npt.NDArray[np.intp]:
        combination = self.policy.combination
        total = row_sums(points)
        reached = (total[:, None] >= [combination.watch, combination.at_risk, combination.critical]).sum(axis=1)
        level: npt.NDArray[np.intp]
        level = np.where(strong_areas.any(axis=1), reached, np.minimum(reached, WATCH))
        return level

    def _health(self, severity: Floats, share: Floats, stale: Bools) -> tuple[Floats, Floats]:
        known = ~np.isnan(severity)
        weight = np.where(known, self.weights * share, 0.0)
        severity = np.where(known, severity, 0.0)
        total = self._by_area(weight)
        has = total > 0
        average = self._by_area(weight * severity) / np.where(has, total, 1.0)
        worst = np.zeros_like(total)
        counted = severity * np.where(stale, STALE_SHARE, 1.0)
        for item, area in enumerate(self.area_of):
            np.maximum(worst[:, area], counted[:, item], out=worst[:, area])
        area_health = np.where(has, 100.0 * (1.0 - (worst + average) / 2.0), np.nan)
        area_weight = np.where(has, self._by_area(self.weights[None, :]), 0.0)
        weight_known = row_sums(area_weight)
        sum_known = row_sums(area_weight * np.where(has, area_health, 0.0))
        health = np.where(weight_known > 0, sum_known / np.where(weight_known > 0, weight_known, 1.0), np.nan)
        return area_health, health

    def _coverage(self, known: Bools, asked: Bools) -> tuple[Floats, Floats]:
        known_weight = self._by_area(self.weights * known)
        asked_weight = self._by_area(self.weights * asked)
        return _ratio(known_weight, asked_weight), _ratio(row_sums(known_weight), row_sums(asked_weight))

    def _by_area(self, values: Floats) -> Floats:
        """Sum items into areas: (n, items) -> (n, areas), item after item, whatever n is."""
        sums = np.zeros((len(values), len(self.areas)))
        for item, area in enumerate(self.area_of):
            sums[:, area] += values[:, item]
        return sums


_NOT_APPLICABLE = UnknownReason.NOT_APPLICABLE.letter
_NOT_CONNECTED = UnknownReason.NOT_CONNECTED.letter


def _with_low_side(read: Read, values: Floats, low_side: Bools, low_edge: Floats) -> Read:
    """Judge the low side: at most not so healthy, severity 0 at the edge and 0.5 at zero."""
    if not low_side.any():
        return read
    severity = np.clip(0.5 * (1.0 - values / np.where(low_edge > 0, low_edge, 1.0)), 0.0, 0.5)
    return Read(
        np.where(low_side, severity, read.severity),
        np.where(low_side, np.int8(NOT_SO_HEALTHY), read.band),
        np.where(low_side, low_edge, read.crossed),
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def _stages(vectors: Vectors) -> tuple[str | None, ...]:
    if STAGE not in vectors.contract.position:
        return (None,) * len(vectors)
    return tuple(vectors.category(STAGE))
