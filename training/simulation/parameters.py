"""Every number of the causal model, in one place. What they mean together: README.md beside this file.

They are those of the simulated company, not of any playbook: nothing in the catalogue is copied from here,
and nothing here from the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Latent(IntEnum):
    """What moves from month to month in an account, in standard deviations; nobody ever sees it."""

    ENGAGEMENT = 0
    FRICTION = 1
    VALUE = 2
    CHAMPION_ACTIVITY = 3
    SPONSOR = 4
    BUDGET_PRESSURE = 5
    COMPETITOR_PULL = 6
    MOOD = 7


class Jump(IntEnum):
    """At most one of these befalls an account in a month."""

    NONE = 0
    INCIDENT = 1
    LEADERSHIP = 2
    COMPETITOR = 3


@dataclass(frozen=True, slots=True)
class Motion:
    """How the latents move, month by month (in the order of :class:`Latent`)."""

    persistence: tuple[float, ...] = (0.90, 0.84, 0.94, 0.86, 0.94, 0.90, 0.92, 0.80)
    between_accounts: tuple[float, ...] = (0.60, 0.50, 0.65, 0.60, 0.70, 0.45, 0.60, 0.50)
    incident: float = 0.025
    incident_friction: float = 1.3
    leadership: float = 0.012
    leadership_sponsor: float = -1.2
    leadership_budget: float = 0.5
    competitor: float = 0.018
    competitor_pull: float = 1.2
    champion_leaves: float = 0.014
    champion_found: float = 0.14
    value_from_engagement: float = 0.05
    engagement_from_friction: float = -0.05
    engagement_without_champion: float = -0.07
    mood_from_value: float = 0.10
    mood_from_friction: float = -0.10
    budget_cycle: float = 0.12
    budget_cycle_months: float = 19.0


@dataclass(frozen=True, slots=True)
class Hazard:
    """The log-hazard of giving notice, per month of weight 1.

    A trouble is how far a latent lies beyond `edge` on its bad side. Troubles add up, and each *pair* adds
    again (`pair`, up to `pair_cap`): two together are worse than their sum.
    """

    intercept: float = -6.95
    edge: float = 0.2
    usage: float = 0.50
    support: float = 0.48
    value: float = 0.52
    champion: float = 0.45
    sponsor: float = 0.40
    budget: float = 0.42
    underinvested: float = 0.44
    champion_gone: float = 1.6
    champion_gone_with_sponsor: float = 0.5
    pair: float = 0.20
    pair_cap: float = 5.0
    mood: float = 0.15
    competitor: float = 0.28
    frailty: float = 0.20
    size: float = -0.10
    plan: tuple[float, ...] = (0.25, 0.10, -0.05, -0.20)
    # No latent has a say in these: cards that fail, firms that close.
    involuntary_a_month: float = 0.0008


@dataclass(frozen=True, slots=True)
class Season:
    """When in the term notice is given: weights of a day, relative to a month of weight 1."""

    ordinary: float = 0.45
    peak: float = 2.9
    window_days: int = 120
    after_deadline: float = 0.3
    short_terms: float = 1.1
    lapse_at_end: float = 120.0  # days of weight 1 put on the last day, where nothing renews by itself


@dataclass(frozen=True, slots=True)
class Growth:
    """What happens to an account's size, and to the book."""

    joiners_a_month: float = 0.0095
    addon_a_month: float = 0.012
    return_share: float = 0.07
    cut_at: float = 1.6
    early_termination: float = 0.06


@dataclass(frozen=True, slots=True)
class Parameters:
    """The causal model's numbers."""

    motion: Motion = field(default_factory=Motion)
    hazard: Hazard = field(default_factory=Hazard)
    season: Season = field(default_factory=Season)
    growth: Growth = field(default_factory=Growth)
    runs: int = 200
    horizon_days: int = 90
    chunk: int = 500
