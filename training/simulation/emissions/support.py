"""Tickets: from friction, from how much an account is invested (two-sided), and from how talkative it is."""

from __future__ import annotations

import numpy as np

from training.simulation.days import DAY_SECONDS, as_times
from training.simulation.parameters import Latent
from training.simulation.rows import (
    Rows,
    Scene,
    Words,
    happen,
    join,
    recorded,
    take,
    with_corrections,
)

CATEGORIES = ("bug", "how_to", "billing", "feature_request", "other")
PRIORITIES = ("low", "normal", "high", "urgent")


def tickets(scene: Scene) -> Rows:
    """Return the tickets: a row when one is opened, and a later version of it when it is closed."""
    rng, history = scene.rng("tickets"), scene.history
    friction = history.latent(Latent.FRICTION)
    book = history.book
    voice = 0.42 * book.invested + 0.45 * book.talkative
    rate = (0.042 * scene.active + 0.03) * np.exp(0.55 * friction + voice[:, None] - 0.2)
    when = happen(rng, scene, rate)
    pain = friction[when.account, when.month]
    count = len(when)
    bug = rng.random(count) < 1.0 / (1.0 + np.exp(0.9 - 0.5 * pain))
    category = np.where(bug, 0, 1 + np.searchsorted((0.5, 0.68, 0.88), rng.random(count)))
    level = 0.35 * pain + rng.normal(0, 1, count)
    hours = np.exp(rng.normal(4.2, 0.8, count) + 0.25 * pain)
    closed = when.second + (hours * 3600).astype(np.int64)
    mood = history.latent(Latent.MOOD)[when.account, when.month]
    points = np.clip(np.round(4.2 - 0.15 * pain + 0.2 * mood + rng.normal(0, 0.9, count)), 1, 5)
    answered = rng.random(count) < 0.65
    opened: Rows = {
        "ticket_id": scene.keys("T", count),
        "account_id": scene.accounts(when.account),
        "opened_at": as_times(when.second),
        "closed_at": as_times(np.full(count, -1)),
        "priority": Words(np.searchsorted((-0.9, 1.0, 2.0), level), PRIORITIES),
        "escalated": level + rng.normal(0, 0.8, count) > 2.6,
        "category": Words(category, CATEGORIES),
        "satisfaction": np.full(count, np.nan),
        "recorded_at": recorded(rng, when.second),
    }
    over = closed < history.period.after * DAY_SECONDS
    known = np.maximum(recorded(rng, closed), opened["recorded_at"] + np.timedelta64(60, "s"))  # type: ignore[operator]
    closing = {
        **opened,
        "closed_at": as_times(closed),
        "satisfaction": np.where(answered, points, np.nan),
        "recorded_at": known,
    }
    corrected = with_corrections(
        rng, take(closing, over), {"category": Words(np.roll(category, 1)[over], CATEGORIES)}
    )
    return scene.known(join(opened, corrected))
