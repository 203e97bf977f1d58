"""The band of one reading, as the playbook's thresholds say it."""

from __future__ import annotations

from features.catalogue.schema import Counts, Direction, Edges, FactorPolicy, Signal, SignalPolicy
from features.readings import Unknown

HEALTHY, NOT_SO_HEALTHY, UNHEALTHY = "healthy", "not_so_healthy", "unhealthy"


def band_of_signal(value: float | Unknown, signal: Signal, policy: SignalPolicy, stage: str | None) -> str | None:
    """Healthy, not so healthy or unhealthy; none where the reading is unknown."""
    if isinstance(value, Unknown):
        return None
    chosen: Edges | Counts | None = policy.edges or policy.counts
    for other in policy.overrides:
        if stage in other.stages:
            chosen = other.edges or other.counts
            break
    assert chosen is not None
    if isinstance(chosen, Counts):
        return band_of_count(value, chosen)
    if policy.low is not None and value < policy.low.healthy:
        return NOT_SO_HEALTHY
    return band_of_value(value, chosen, lower_is_worse=signal.direction is Direction.LOWER_IS_WORSE)


def band_of_count(value: float, counts: Counts) -> str:
    if counts.unhealthy is not None and value >= counts.unhealthy:
        return UNHEALTHY
    return NOT_SO_HEALTHY if value >= counts.not_so_healthy else HEALTHY


def band_of_value(value: float, edges: Edges, *, lower_is_worse: bool) -> str:
    """The edge belongs to the healthier band, unless the playbook says otherwise."""

    def worse_than(edge: float) -> bool:
        if value == edge:
            return not edges.edge_is_healthier
        return value < edge if lower_is_worse else value > edge

    if worse_than(edges.unhealthy):
        return UNHEALTHY
    return NOT_SO_HEALTHY if worse_than(edges.healthy) else HEALTHY


def band_of_factor(rating: float | Unknown, policy: FactorPolicy) -> str | None:
    if isinstance(rating, Unknown):
        return None
    if rating >= policy.healthy_from:
        return HEALTHY
    return NOT_SO_HEALTHY if rating >= policy.not_so_healthy_from else UNHEALTHY
