"""The accounts as they are: what does not change from month to month, whether a table shows it or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.simulation.days import Bools, Floats, Ints, Period, first_day
from training.simulation.parameters import Growth, Latent

PLANS = ("starter", "team", "business", "enterprise")
FEATURES_OF_PLAN = (8, 12, 18, 24)
PRICE_OF_PLAN = (240.0, 420.0, 690.0, 980.0)  # a licence and year
INDUSTRIES = ("software", "manufacturing", "logistics", "retail", "healthcare", "finance", "education")
REGIONS = ("north_america", "europe", "asia_pacific", "latin_america")
TERMS = (1, 3, 12, 24, 36)  # months

# What an industry or a region shifts, in standard deviations: engagement, friction, budget pressure.
_INDUSTRY = (
    (0.25, 0.0, 0.0),
    (-0.15, 0.1, 0.1),
    (0.0, 0.1, 0.0),
    (0.0, 0.0, 0.3),
    (-0.1, 0.2, -0.2),
    (0.15, -0.2, -0.2),
    (-0.2, 0.0, 0.2),
)
_REGION = ((0.05, 0.0, 0.0), (0.0, -0.05, 0.0), (0.0, 0.1, -0.1), (-0.1, 0.1, 0.25))


@dataclass(frozen=True, slots=True)
class Book:
    """n accounts; each array has n values (`centre`: one row for each latent).

    `joins` is the first day of service: before the history for the founding accounts. `fit`, `invested`,
    `talkative` and `frailty` are traits in standard deviations; `frailty` leaves no trace in any table.
    """

    number: Ints
    founding: Bools
    joins: Ints
    plan: Ints
    industry: Ints
    region: Ints
    fiscal_year: Ints
    term: Ints
    auto_renew: Bools
    notice_days: Ints
    licences: Floats
    price: Floats
    fit: Floats
    invested: Floats
    talkative: Floats
    frailty: Floats
    centre: Floats

    def __len__(self) -> int:
        return len(self.number)


def founding_share(months: int, growth: Growth) -> float:
    """Return the share of all accounts that are there from the start; the others join month by month."""
    return 1.0 / (1.0 + months * growth.joiners_a_month)


def accounts_needed(accounts: int, months: int, growth: Growth) -> int:
    """Return how many accounts there are in all, so that about `accounts` are in service at any time.

    >>> accounts_needed(2000, 30, Growth())
    2570
    """
    return math.ceil(accounts / founding_share(months, growth) - 1e-9)


def draw_book(
    rng: np.random.Generator, number: Ints, period: Period, growth: Growth, between: tuple[float, ...]
) -> Book:
    """Draw the accounts with these numbers.

    Parameters
    ----------
    rng
        Of this chunk of accounts.
    number
        Shape (n,), the accounts' numbers, from 0.
    period
        The months of the history.
    growth
        How many join.
    between
        For each latent, the share of its variance that lies between accounts, not in time.
    """
    n = len(number)
    share = founding_share(len(period), growth)
    founding = np.floor((number + 1) * share + 1e-9) > np.floor(number * share + 1e-9)
    licences = np.clip(np.round(np.exp(rng.normal(np.log(11.0), 0.85, n))), 2.0, 450.0).astype(np.float64)
    plan = np.clip(np.round(1.1 + 0.75 * np.log(licences / 11.0) + rng.normal(0, 0.75, n)), 0, 3)
    term = np.array(TERMS)[_choose(rng, (0.10, 0.06, 0.56, 0.19, 0.09), n)]
    short = term < 12
    auto = short | (rng.random(n) < 0.82)
    notice = np.where(short, np.where(term == 1, 7, 20), np.array([30, 60, 90])[rng.integers(0, 3, n)])
    industry = _choose(rng, (0.24, 0.2, 0.12, 0.14, 0.1, 0.12, 0.08), n)
    region = _choose(rng, (0.42, 0.33, 0.17, 0.08), n)
    fit = rng.normal(0, 1, n)
    invested = 0.35 * fit + math.sqrt(1 - 0.35**2) * rng.normal(0, 1, n)
    centre = np.sqrt(np.array(between))[:, None] * rng.normal(0, 1, (len(between), n))
    centre[Latent.ENGAGEMENT] += 0.25 * invested + np.array(_INDUSTRY)[industry, 0]
    centre[Latent.VALUE] += 0.35 * fit
    for latent, column in ((Latent.ENGAGEMENT, 0), (Latent.FRICTION, 1), (Latent.BUDGET_PRESSURE, 2)):
        centre[latent] += np.array(_REGION)[region, column]
        if column:
            centre[latent] += np.array(_INDUSTRY)[industry, column]
    return Book(
        number=number,
        founding=founding,
        joins=_joins(rng, founding, term, period),
        plan=plan.astype(np.int64),
        industry=industry,
        region=region,
        fiscal_year=np.array([1, 1, 1, 4, 7, 10])[rng.integers(0, 6, n)],
        term=term,
        auto_renew=auto,
        notice_days=notice,
        licences=licences,
        price=np.array(PRICE_OF_PLAN)[plan.astype(np.int64)] * rng.uniform(0.75, 1.1, n),
        fit=fit,
        invested=invested,
        talkative=rng.normal(0, 1, n),
        frailty=rng.normal(0, 1, n),
        centre=centre,
    )


def _choose(rng: np.random.Generator, shares: tuple[float, ...], n: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.cumsum(shares) / sum(shares), rng.random(n), side="right").astype(np.int64)


def _joins(rng: np.random.Generator, founding: Bools, term: Ints, period: Period) -> Ints:
    # Founding accounts joined 1 to 66 months before (short terms: to 24), the others during the history.
    before = np.ceil(rng.random(len(term)) ** 1.3 * np.where(term < 12, 24, 66)).astype(np.int64)
    during = rng.integers(0, len(period), len(term))
    month = np.where(founding, period.months[0] - before, period.months[0] + during)
    day_of_month = rng.integers(1, 29, len(term))
    return first_day(month) + day_of_month - 1
