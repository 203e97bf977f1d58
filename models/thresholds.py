"""Thresholds: from a value to a band and a severity.

Every item is read in one orientation, up = worse, so that measured values, counts, codes and ratings share
four numbers: where healthy ends, where unhealthy begins, to which side an edge belongs, and whether the severity
is linear or 0 / 0.5 / 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import Between, Counts, Direction, Edges, FactorPolicy, Policy, SignalPolicy
from features.errors import CatalogueError
from features.vectors import Column, FeatureContract, Floats, Role

Bools = npt.NDArray[np.bool_]
Bands = npt.NDArray[np.int8]

UNKNOWN, HEALTHY, NOT_SO_HEALTHY, UNHEALTHY = -1, 0, 1, 2
BAND_NAMES = ("healthy", "not_so_healthy", "unhealthy")
STAGE = "stage"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of k items, each array of shape (k,).

    `sense` is 1 where more is worse and -1 where less is; `healthy` and `unhealthy` are the edges as they are
    written; `edge_is_healthier` says to which band an edge belongs; `coded` severities are 0 / 0.5 / 1.

    Examples
    --------
    >>> nps = Thresholds(*(np.array([one]) for one in (-1.0, 8.5, 6.5, True, False)))
    >>> read = nps.read(np.array([[9.0], [7.5], [6.5], [2.0], [np.nan]]))
    >>> read.band.ravel().tolist(), read.severity.ravel().tolist()
    ([0, 1, 1, 2, -1], [0.0, 0.5, 1.0, 1.0, nan])
    """

    sense: Floats
    healthy: Floats
    unhealthy: Floats
    edge_is_healthier: Bools
    coded: Bools

    def read(self, values: Floats) -> Read:
        """Judge values of shape (n, k); NaN stays unknown."""
        value, healthy, unhealthy = (
            values * self.sense,
            self.healthy * self.sense,
            self.unhealthy * self.sense,
        )
        not_healthy = (value > healthy) | ((value == healthy) & ~self.edge_is_healthier)
        very_bad = (value > unhealthy) | ((value == unhealthy) & ~self.edge_is_healthier)
        band = (not_healthy.astype(np.int8) + (not_healthy & very_bad)).astype(np.int8)
        width = unhealthy - healthy
        linear = ~self.coded & (width > 0)
        along = (value - healthy) / np.where(linear, width, 1.0)
        severity = np.where(linear, np.clip(along, 0.0, 1.0), band / 2.0)
        unknown = np.isnan(values)
        return Read(
            np.where(unknown, np.nan, severity),
            np.where(unknown, np.int8(UNKNOWN), band),
            np.where(band == UNHEALTHY, self.unhealthy, np.where(band == NOT_SO_HEALTHY, self.healthy, np.nan)),
        )


@dataclass(frozen=True, slots=True)
class Read:
    """What thresholds say of values: each of shape (n, k).

    `severity` is 0 to 1, NaN unknown; `band` -1 unknown to 2 unhealthy; `crossed` the edge that was crossed,
    NaN where none was.
    """

    severity: Floats
    band: Bands
    crossed: Floats

    def where(self, other: Read, certain: Bools, possible: Bools) -> Read:
        """Take `other` where `certain`, and the worse of the two where only `possible`.

        Not knowing whether another threshold applies must never make an account look healthier than knowing.
        """
        with np.errstate(invalid="ignore"):
            worse = possible & (other.severity > self.severity) | (possible & (other.band > self.band))
        return Read(
            np.where(
                certain,
                other.severity,
                np.where(possible, np.maximum(self.severity, other.severity), self.severity),
            ),
            np.where(certain, other.band, np.where(possible, np.maximum(self.band, other.band), self.band)),
            np.where(certain | worse, other.crossed, self.crossed),
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """One context column holds one of `codes`, or lies in a range (both edges included)."""

    column: int
    codes: tuple[float, ...] | None
    at_least: float = -np.inf
    at_most: float = np.inf

    def holds(self, values: Floats) -> Bools:
        """Say so for each row of vectors; unknown does not hold."""
        value = values[:, self.column]
        if self.codes is not None:
            return np.isin(value, self.codes)
        return (value >= self.at_least) & (value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Override:
    """Other thresholds for one item, on rows where all conditions hold."""

    item: int
    thresholds: Thresholds
    conditions: tuple[Condition, ...]

    def applies(self, values: Floats) -> tuple[Bools, Bools]:
        """Return where it certainly applies, and where it may (a context column is unknown); shape (n,)."""
        certain = np.ones(len(values), dtype=bool)
        possible = certain.copy()
        for condition in self.conditions:
            holds = condition.holds(values)
            certain &= holds
            possible &= holds | np.isnan(values[:, condition.column])
        return certain, possible & ~certain


def thresholds_of(columns: Sequence[Column], policy: Policy) -> Thresholds:
    """Return the default thresholds of signals and factors, in their order.

    Raises
    ------
    CatalogueError
        The playbook has no entry for one of them.
    """
    return _stack([_of_item(column, _item_policy(column, policy)) for column in columns])


def overrides_of(contract: FeatureContract, policy: Policy) -> tuple[Override, ...]:
    """Return all overrides; of one item the last comes first, so that the first match has the last word.

    Raises
    ------
    CatalogueError
        An override asks for a context column that there is not.
    """
    found = []
    for item, column in enumerate(contract.items):
        if column.role is not Role.SIGNAL:
            continue
        for override in reversed(policy.signals[column.name].overrides):
            wanted: dict[str, tuple[str | bool | int, ...] | Between] = dict(override.context)
            if override.stages:
                wanted[STAGE] = override.stages
            read = override.edges or override.counts
            assert read is not None  # the schema asks for exactly one
            conditions = tuple(_condition(contract, column, name, values) for name, values in wanted.items())
            found.append(Override(item, _stack([_of_signal(column, read)]), conditions))
    return tuple(found)


def _condition(
    contract: FeatureContract, column: Column, name: str, wanted: tuple[str | bool | int, ...] | Between
) -> Condition:
    if name not in contract.position:
        raise CatalogueError(
            f'playbook.toml, signal "{column.name}": an override names the context column "{name}", '
            "which context.toml does not have. Add it there, or leave the override out."
        )
    place = contract.position[name]
    if isinstance(wanted, Between):
        low = -np.inf if wanted.at_least is None else wanted.at_least
        return Condition(place, None, low, np.inf if wanted.at_most is None else wanted.at_most)
    codebook = contract.columns[place].codebook
    return Condition(place, tuple(float(codebook.index(str(v))) for v in wanted if str(v) in codebook))


def _item_policy(column: Column, policy: Policy) -> SignalPolicy | FactorPolicy:
    entries: Mapping[str, SignalPolicy | FactorPolicy]
    entries = policy.signals if column.role is Role.SIGNAL else policy.factors
    try:
        return entries[column.name]
    except KeyError:
        raise CatalogueError(
            f'playbook.toml: {column.role} "{column.name}" has no entry, so nothing says how it is read. '
            f"Add [{column.role}s.{column.name}]."
        ) from None


def _of_item(column: Column, entry: SignalPolicy | FactorPolicy) -> tuple[float, float, float, bool, bool]:
    if isinstance(entry, FactorPolicy):
        return -1.0, float(entry.healthy_from), float(entry.not_so_healthy_from), True, True
    read = entry.edges or entry.counts
    assert read is not None  # the schema asks for exactly one
    return _of_signal(column, read)


def _of_signal(column: Column, read: Edges | Counts) -> tuple[float, float, float, bool, bool]:
    if isinstance(read, Counts):
        unhealthy = np.inf if read.unhealthy is None else read.unhealthy
        return 1.0, read.not_so_healthy, unhealthy, False, True
    sense = -1.0 if column.direction is Direction.LOWER_IS_WORSE else 1.0
    return sense, read.healthy, read.unhealthy, read.edge_is_healthier, False


def _stack(items: Sequence[tuple[float, float, float, bool, bool]]) -> Thresholds:
    sense, healthy, unhealthy, edge, coded = zip(*items, strict=True) if items else ((),) * 5
    return Thresholds(
        np.array(sense, dtype=np.float64),
        np.array(healthy, dtype=np.float64),
        np.array(unhealthy, dtype=np.float64),
        np.array(edge, dtype=bool),
        np.array(coded, dtype=bool),
    )
