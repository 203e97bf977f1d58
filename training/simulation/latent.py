"""The latent state of accounts: how it moves in a month, and the log-hazard of giving notice that it means.

The history and the forward runs of the truth use these same functions, on shapes (n,) and (n, runs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.simulation.book import Book
from training.simulation.days import Bools, Floats, Ints
from training.simulation.parameters import Hazard, Jump, Latent, Motion

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class State:
    """Accounts at the start of a month.

    Attributes
    ----------
    x
        Shape (latents, ...), in standard deviations.
    champion
        Shape (...): is there a champion at the account?
    jump
        Shape (...): the :class:`Jump` of the month that led here.
    """

    x: Singles
    champion: Bools
    jump: npt.NDArray[np.int8]

    def repeated(self, runs: int) -> State:
        """Return the state `runs` times over, along the last axis."""
        return State(
            np.repeat(self.x, runs, axis=-1),
            np.repeat(self.champion, runs, axis=-1),
            np.repeat(self.jump, runs, axis=-1),
        )


@dataclass(frozen=True, slots=True)
class Traits:
    """What of a book moves its latents and its hazard; each array as wide as a state, or of width 1."""

    centre: Singles
    region: Ints
    invested: Singles
    fixed: Singles  # the part of the log-hazard that never changes

    def of(self, accounts: npt.NDArray[np.intp]) -> Traits:
        """Return these accounts, with a last axis of width 1 for runs."""
        return Traits(
            self.centre[:, accounts, None],
            self.region[accounts, None],
            self.invested[accounts, None],
            self.fixed[accounts, None],
        )


def traits(book: Book, hazard: Hazard) -> Traits:
    """Return the traits of a book."""
    fixed = (
        hazard.intercept
        + hazard.frailty * book.frailty
        + hazard.size * np.log(book.licences / 11.0)
        + np.array(hazard.plan)[book.plan]
    )
    return Traits(
        book.centre.astype(np.float32),
        book.region,
        book.invested.astype(np.float32),
        fixed.astype(np.float32),
    )


def first_state(rng: np.random.Generator, who: Traits, motion: Motion) -> State:
    """Draw a state from the long-run distribution."""
    shape = who.centre.shape
    spread = np.sqrt(1.0 - np.array(motion.between_accounts))[:, None]
    x = who.centre + spread * rng.normal(0, 1, shape)
    present = motion.champion_found / (motion.champion_found + motion.champion_leaves)
    return State(x.astype(np.float32), np.asarray(rng.random(shape[1]) < present), np.zeros(shape[1], np.int8))


def advance(rng: np.random.Generator, state: State, who: Traits, month: int, motion: Motion) -> State:
    """Draw the state one month later.

    Each latent returns towards its account's centre, is moved by the others and by noise; then at most one
    jump happens, and a champion may leave or be found. One uniform number decides the jump, one the champion.

    Parameters
    ----------
    rng
        Source of the noise.
    state
        At the start of `month`.
    who
        The accounts' traits.
    month
        Since 1970; the budget cycle of each region depends on it.
    motion
        The numbers.
    """
    x, shape = state.x, state.champion.shape
    new = rng.standard_normal(x.shape, dtype=np.float32)
    for latent in Latent:
        phi = motion.persistence[latent]
        within = (1.0 - motion.between_accounts[latent]) * (1.0 - phi * phi)
        new[latent] *= np.float32(within**0.5)
        new[latent] += np.float32(phi) * x[latent]
        new[latent] += np.float32(1.0 - phi) * who.centre[latent]
    phase = 2 * np.pi * (month / motion.budget_cycle_months + who.region / 4)
    new[Latent.BUDGET_PRESSURE] += (motion.budget_cycle * np.sin(phase)).astype(np.float32)
    new[Latent.VALUE] += np.float32(motion.value_from_engagement) * x[Latent.ENGAGEMENT]
    new[Latent.ENGAGEMENT] += np.float32(motion.engagement_from_friction) * x[Latent.FRICTION]
    new[Latent.ENGAGEMENT] += np.float32(motion.engagement_without_champion) * ~state.champion
    new[Latent.MOOD] += np.float32(motion.mood_from_value) * x[Latent.VALUE]
    new[Latent.MOOD] += np.float32(motion.mood_from_friction) * x[Latent.FRICTION]

    chance = rng.random(shape, dtype=np.float32)
    edges = np.cumsum([motion.incident, motion.leadership, motion.competitor]).astype(np.float32)
    incident = chance < edges[0]
    leadership = (chance >= edges[0]) & (chance < edges[1])
    competitor = (chance >= edges[1]) & (chance < edges[2])
    new[Latent.FRICTION] += np.float32(motion.incident_friction) * incident
    new[Latent.SPONSOR] += np.float32(motion.leadership_sponsor) * leadership
    new[Latent.BUDGET_PRESSURE] += np.float32(motion.leadership_budget) * leadership
    new[Latent.COMPETITOR_PULL] += np.float32(motion.competitor_pull) * competitor
    jump = (Jump.INCIDENT * incident + Jump.LEADERSHIP * leadership + Jump.COMPETITOR * competitor).astype(np.int8)

    luck = rng.random(shape, dtype=np.float32)
    champion = np.where(state.champion, luck >= motion.champion_leaves, luck < motion.champion_found)
    return State(new, champion, jump)


def log_hazard(state: State, who: Traits, hazard: Hazard) -> Singles:
    """Return the log-hazard of giving notice, per month of weight 1 (see :class:`Hazard`).

    Troubles are one-sided: what goes well beyond its edge does not make up for what does not. Where there is
    a champion, a *quiet* one is a trouble; where there is none, that is, and more so without a sponsor.
    """
    x, edge = state.x, np.float32(hazard.edge)

    def beyond(value: Singles) -> Singles:
        return np.asarray(np.maximum(value - edge, np.float32(0.0)))

    quiet_or_gone = np.where(
        state.champion,
        beyond(-x[Latent.CHAMPION_ACTIVITY]),
        np.float32(hazard.champion_gone)
        + np.float32(hazard.champion_gone_with_sponsor) * beyond(-x[Latent.SPONSOR]),
    )
    troubles = (
        (hazard.usage, beyond(-x[Latent.ENGAGEMENT])),
        (hazard.support, beyond(x[Latent.FRICTION])),
        (hazard.value, beyond(-x[Latent.VALUE])),
        (hazard.champion, quiet_or_gone),
        (hazard.sponsor, beyond(-x[Latent.SPONSOR])),
        (hazard.budget, beyond(x[Latent.BUDGET_PRESSURE])),
        (hazard.underinvested, beyond(-who.invested)),
    )
    total = np.zeros(state.champion.shape, np.float32)
    squares = np.zeros_like(total)
    result = who.fixed + np.zeros_like(total)
    for weight, trouble in troubles:
        result += np.float32(weight) * trouble
        total += trouble
        squares += trouble * trouble
    pairs = (total * total - squares) * np.float32(0.5)
    result += np.float32(hazard.pair) * np.minimum(pairs, np.float32(hazard.pair_cap))
    result -= np.float32(hazard.mood) * x[Latent.MOOD]
    result += np.float32(hazard.competitor) * x[Latent.COMPETITOR_PULL]
    return result


def standardised(eta: Singles) -> Floats:
    """Return log-hazards around 0 with spread 1, held within 3: how much an account thinks of leaving."""
    return np.asarray(np.clip((eta.astype(np.float64) + 5.1) / 1.2, -3.0, 3.0))
