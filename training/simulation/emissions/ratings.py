"""What people who know the account put down: ratings of the factors, late and coloured, and goals."""

from __future__ import annotations

import numpy as np

from training.simulation.days import Floats, Ints, as_times
from training.simulation.emissions.agreements import csm_by_month, csm_names
from training.simulation.parameters import Latent
from training.simulation.rows import Rows, Scene, Words, happen, recorded, with_corrections

FACTORS = (
    "partnership",
    "executive_relationship",
    "business_value",
    "resources",
    "technical_debt",
    "product_fit",
)
METHODS = ("survey", "testimonial", "listening_tour", "account_review")
NOTES = (
    "Joint plan agreed for the next two quarters.",
    "Good talks, nothing binding.",
    "They could not say what it brought them.",
    "Our contact had no time for us.",
)
GOALS = ("faster onboarding of staff", "fewer manual reports", "shorter close of the month", "one view of orders")
MEASURES = ("days", "hours a week", "days", "share of orders")


def _strengths(scene: Scene) -> Floats:
    """Return what a rating of each factor goes by (factors, n, m): the state of two months ago."""
    book, of = scene.history.book, scene.history.latent
    never = np.zeros(scene.shape)
    return np.stack(
        [
            0.7 * of(Latent.CHAMPION_ACTIVITY, lag=2) + 0.5 * of(Latent.SPONSOR, lag=2),
            of(Latent.SPONSOR, lag=2) + never,
            of(Latent.VALUE, lag=2) + never,
            book.invested[:, None] + never,
            0.2 * book.invested[:, None] - 0.8 * of(Latent.FRICTION, lag=2),
            0.8 * book.fit[:, None] + 0.3 * of(Latent.VALUE, lag=2),
        ]
    )


def assessments(scene: Scene) -> Rows:
    """Return assessments: four accounts in five are reviewed, about every five months, not all factors."""
    rng, (n, _) = scene.rng("assessments"), scene.shape
    reviewed = rng.random(n) < 0.82
    when = happen(rng, scene, np.broadcast_to(reviewed[:, None] * 0.21, scene.shape))
    factor = np.tile(np.arange(len(FACTORS)), len(when))
    visit = np.repeat(np.arange(len(when)), len(FACTORS))
    rated = rng.random(len(visit)) < 0.8
    factor, visit = factor[rated], visit[rated]
    account, month, second = when.account[visit], when.month[visit], when.second[visit] + 60 * factor
    csm = csm_by_month(scene)[account, month]
    names = csm_names(scene)
    kindness = rng.normal(0, 0.35, len(names))[csm]
    strength = _strengths(scene)[factor, account, month]
    rating = np.clip(np.round(4.1 + 0.7 * strength + kindness + rng.normal(0, 0.6, len(visit))), 1, 5)
    note = np.where(rng.random(len(visit)) < 0.25, np.clip(4 - rating, 0, 3).astype(np.int64), -1)
    rows: Rows = {
        "assessment_id": scene.keys("Q", len(visit)),
        "account_id": scene.accounts(account),
        "factor": Words(factor, FACTORS),
        "rating": rating,
        "occurred_at": as_times(second),
        "assessor": Words(csm, names),
        "method": Words(rng.integers(0, 4, len(when))[visit], METHODS),
        "note": Words(note, NOTES),
        "recorded_at": recorded(rng, second, within=4 * 86_400),
    }
    return scene.known(with_corrections(rng, rows, {"rating": np.minimum(rating + 1.0, 5.0)}))


def goals(scene: Scene) -> Rows:
    """Return goals: agreed and measured more often where value is realised."""
    rng, history = scene.rng("goals"), scene.history
    value = history.latent(Latent.VALUE, lag=1)
    when = happen(rng, scene, 0.03 * np.exp(0.4 * value))
    goal: Ints = rng.integers(0, len(GOALS), len(when))
    target = np.round(rng.uniform(2, 20, len(when)), 1)
    reached = np.clip(0.7 + 0.2 * value[when.account, when.month] + rng.normal(0, 0.2, len(when)), 0, 1.3)
    return scene.known(
        {
            "goal_id": scene.keys("G", len(when)),
            "account_id": scene.accounts(when.account),
            "goal": Words(goal, GOALS),
            "measure": Words(goal, MEASURES),
            "target": target,
            "value": np.round(target * reached, 1),
            "occurred_at": as_times(when.second),
            "recorded_at": recorded(rng, when.second, within=2 * 86_400),
        }
    )
