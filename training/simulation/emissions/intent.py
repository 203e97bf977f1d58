"""What leaks out of an intention: requests about the contract or the data, and visits of exit pages."""

from __future__ import annotations

import numpy as np

from training.simulation.days import Floats, as_times
from training.simulation.parameters import Latent
from training.simulation.rows import Rows, Scene, Words, happen, recorded, with_corrections

REQUESTS = ("discount", "terms", "downgrade", "data_export", "cancel", "expansion")
REASONS = ("budget", "competitor", "value", "other")
PAGES = ("cancel", "downgrade", "export", "other")


def _thoughts(scene: Scene, share: float, stream: str) -> Floats:
    """Return the intention (n, m) of the accounts that show it, 0 for those that never do."""
    shows = scene.rng(stream).random(scene.shape[0]) < share
    return scene.history.intent * shows[:, None]


def _leaving(scene: Scene) -> Floats:
    """Return the share of each month (n, m) that lies under notice."""
    starts = scene.history.period.starts[:-1] - scene.history.period.first
    days = np.add.reduceat(scene.history.under_notice, starts, axis=1, dtype=np.float64)
    return np.asarray(days / np.diff(scene.history.period.starts))


def _before_deadline(scene: Scene) -> Floats:
    """Return which months (n, m) begin in the 120 days before a notice deadline."""
    starts = scene.history.period.starts[:-1]
    ahead = np.stack([terms.deadline - start for terms, start in zip(scene.history.terms, starts, strict=True)], 1)
    return ((ahead >= 0) & (ahead <= 120)).astype(np.float64)


def requests(scene: Scene) -> Rows:
    """Return requests: budget pressure and rivals ask for discounts, contented customers for more."""
    rng, history = scene.rng("requests"), scene.history
    of, near, leaving = history.latent, _before_deadline(scene), _leaving(scene)
    thoughts = _thoughts(scene, 0.8, "requests shown")
    asking = 1.0 + 1.5 * near
    rates = (
        0.006 * asking * np.exp(0.2 * thoughts + 0.65 * of(Latent.BUDGET_PRESSURE)),
        0.003 * asking * np.exp(0.3 * of(Latent.BUDGET_PRESSURE) + 0.5 * thoughts),
        0.003 * asking * np.exp(0.8 * thoughts),
        0.004 * np.exp(0.7 * thoughts) + 0.25 * leaving,
        0.0006 * np.exp(0.9 * thoughts),
        0.016 * np.exp(0.5 * of(Latent.ENGAGEMENT)),
    )
    parts = [happen(rng, scene, rate) for rate in rates]
    kind = np.repeat(np.arange(len(REQUESTS)), [len(part) for part in parts])
    account, month, second = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("account", "month", "second")
    )
    pressure = of(Latent.BUDGET_PRESSURE)[account, month]
    pull = of(Latent.COMPETITOR_PULL)[account, month]
    scores = np.stack([0.8 + pressure, 0.25 * pull, 0 * pull, 0.3 + 0 * pull], axis=1)
    reason = (scores + rng.gumbel(0, 1, scores.shape)).argmax(axis=1)
    rows: Rows = {
        "request_id": scene.keys("R", len(kind)),
        "account_id": scene.accounts(account),
        "kind": Words(kind, REQUESTS),
        "reason": Words(np.where(rng.random(len(kind)) < 0.6, reason, -1), REASONS),
        "occurred_at": as_times(second),
        "recorded_at": recorded(rng, second),
    }
    return scene.known(with_corrections(rng, rows, {"reason": Words(np.full(len(kind), 3), REASONS)}))


def visits(scene: Scene) -> Rows:
    """Return visits of pages: exit pages a little more often while some accounts think of leaving."""
    rng, history = scene.rng("visits"), scene.history
    thoughts, leaving = _thoughts(scene, 0.8, "visits shown"), _leaving(scene)
    own = np.exp(rng.normal(0, 0.8, (scene.shape[0], 1)))
    rates = (
        0.028 * np.exp(0.85 * thoughts) + 0.8 * leaving,
        0.020 * np.exp(0.75 * thoughts) + 0.2 * leaving,
        0.035 * own * np.exp(0.6 * thoughts) + 1.0 * leaving,
        0.25 * own + 0 * thoughts,
    )
    parts = [happen(rng, scene, rate) for rate in rates]
    account = np.concatenate([part.account for part in parts])
    second = np.concatenate([part.second for part in parts])
    page = np.repeat(np.arange(4), [len(part) for part in parts])
    seen = np.maximum(1, history.seats[account, np.concatenate([part.month for part in parts])])
    person = np.floor(rng.random(len(page)) * np.minimum(seen, 6)).astype(np.int64) * 64
    rows: Rows = {
        "visit_id": scene.keys("V", len(page)),
        "account_id": scene.accounts(account),
        "user_id": scene.people(account, person),
        "page": Words(page, PAGES),
        "occurred_at": as_times(second),
        "recorded_at": recorded(rng, second),
    }
    return scene.known(with_corrections(rng, rows, {"page": Words(np.full(len(page), 3), PAGES)}))
