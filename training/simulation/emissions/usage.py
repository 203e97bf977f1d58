"""Usage: rows by person, feature and day, from engagement, with seasons, habits, and some machines."""

from __future__ import annotations

import numpy as np

from training.simulation.book import FEATURES_OF_PLAN
from training.simulation.days import DAY_SECONDS, Floats, Ints, as_times, month_of
from training.simulation.parameters import Latent
from training.simulation.rows import Rows, Scene, Words, days_of, happen, join, recorded, with_corrections

FEATURES = (
    *("dashboards", "search", "tasks", "comments", "files", "calendar", "reports", "sharing"),  # all plans
    *("imports", "templates", "alerts", "forms"),  # from the second plan on
    *("workflows", "approvals", "api_keys", "integrations", "audit_log", "budgets"),
    *("forecasts", "custom_roles", "single_sign_on", "sandboxes", "data_rules", "multi_region"),
)
ACTORS = ("person", "machine")
MACHINE = 98_000  # the place of the machine among an account's users
DAYS_A_MONTH = 3.95  # on which a person of average habit uses the product
# Relative use by calendar month, and once more in Europe in August.
_SEASON = (0.98, 1.0, 1.02, 1.0, 1.0, 0.99, 0.95, 0.91, 1.03, 1.03, 1.01, 0.91)


def usage(scene: Scene) -> tuple[Rows, Floats]:
    """Return the usage rows, and the people active by account and month (n, m)."""
    rng, history = scene.rng("usage"), scene.history
    owner, slot = _slots(history.seats)
    rate = _rate(rng, scene)
    habit = np.exp(rng.normal(-0.25, 0.7, len(owner)))
    started = 1.0 / (1.0 + np.exp(-(1.45 + 0.35 * history.book.invested + rng.normal(0, 0.6, scene.shape[0]))))
    habit *= rng.random(len(owner)) < started[owner]
    expected = (slot[:, None] < (history.seats * _rolled_out(rng, scene))[owner]) * habit[:, None] * rate[owner]
    # Steadier than Poisson: people use a product out of habit.
    counts = np.floor(expected * rng.gamma(6.0, 1 / 6.0, expected.shape) + rng.random(expected.shape)).astype(
        np.int64
    )
    active = np.zeros(scene.shape)
    np.add.at(active, owner, (counts > 0).astype(float))
    row, month = (np.repeat(places, counts.ravel()) for places in np.indices(counts.shape).reshape(2, -1))
    account = owner[row]
    day = days_of(rng, scene, month, weekend=0.1)
    feature = _features(rng, scene, account, month)
    person = slot[row] * 64 + _generation(rng, scene, account, slot[row], month)
    place = day - history.period.first
    quiet = history.under_notice[account, place] & (rng.random(len(day)) < 0.55)
    keep = np.flatnonzero(history.in_service[account, place] & ~quiet)
    keep = keep[_first_of_each(account[keep], person[keep], day[keep], feature[keep])]
    people = _rows(rng, scene, account[keep], person[keep], feature[keep], day[keep], machine=False)
    all_rows = join(people, _machines(rng, scene))
    all_rows = {"usage_id": scene.keys("U", len(all_rows["account_id"])), **all_rows}
    quantity = all_rows["quantity"]
    assert isinstance(quantity, np.ndarray)
    corrected = with_corrections(rng, all_rows, {"quantity": quantity + 2.0})
    return scene.known(corrected), active


def _slots(seats: Floats) -> tuple[Ints, Ints]:
    """Return the owner and the place of each licence that an account ever has."""
    most = seats.max(axis=1).astype(np.int64)
    owner = np.repeat(np.arange(len(most)), most)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(most) - most, most)


def _rate(rng: np.random.Generator, scene: Scene) -> Floats:
    """Return days of use a month (n, m) of a person of average habit."""
    history, (n, months) = scene.history, scene.shape
    engagement = 0.6 * history.latent(Latent.ENGAGEMENT) + 0.4 * history.latent(Latent.ENGAGEMENT, lag=1)
    settled = np.clip((_months_since(scene) + 1) / 3.0, 0.3, 1.0)
    calendar = history.period.months % 12
    season = np.array(_SEASON)[calendar] * np.where(
        (history.book.region[:, None] == 1) & (calendar == 7), 0.8, 1.0
    )
    own = rng.normal(0, 0.25, (n, 1))
    losing = 0.20 * np.maximum(history.intent, 0.0)
    noise = rng.normal(0, 0.10, (n, months))
    return np.asarray(DAYS_A_MONTH * np.exp(0.36 * engagement - losing + own + noise - 0.12) * settled * season)


def _months_since(scene: Scene) -> Ints:
    """Return the months since each account joined (n, m), negative before."""
    return np.asarray(scene.history.period.months - month_of(scene.history.book.joins)[:, None])


def _rolled_out(rng: np.random.Generator, scene: Scene) -> Floats:
    """Return the share of licences given out (n, m): some accounts start with a few teams, by their own plan."""
    since = _months_since(scene)
    start = rng.uniform(0.3, 1.0, (scene.shape[0], 1))
    return np.where((since >= 0) & (since < 4), start, 1.0)


def _generation(rng: np.random.Generator, scene: Scene, account: Ints, slot: Ints, month: Ints) -> Ints:
    """Return which person holds a licence: people come and go every 14 to 60 months."""
    turnover = rng.integers(14, 60, scene.shape[0])[account]
    return (month + (slot * 37 + scene.history.book.number[account] * 11) % turnover) // turnover % 64


def _features(rng: np.random.Generator, scene: Scene, account: Ints, month: Ints) -> Ints:
    """Draw the feature of each row: an account has taken up some of its plan, a few of them used most."""
    history, (n, _) = scene.history, scene.shape
    value = history.latent(Latent.VALUE, lag=1) + 0.5 * history.latent(Latent.ENGAGEMENT, lag=1)
    taste = rng.normal(0, 0.6, (n, 1))
    traits = 0.33 * history.book.invested[:, None] + 0.33 * history.book.fit[:, None]
    share = 1.0 / (1.0 + np.exp(-(0.55 + traits + 0.30 * value + taste)))
    offered = np.array(FEATURES_OF_PLAN)[history.book.plan]
    taken_up = np.maximum(1, np.round(share * offered[:, None]))
    popularity = np.arange(len(FEATURES)) * 0.35 + rng.gumbel(0, 1.5, (n, len(FEATURES)))
    popularity[np.arange(len(FEATURES)) >= offered[:, None]] = np.inf
    order = np.argsort(popularity, axis=1)
    rank = np.floor(taken_up[account, month] * rng.random(len(account)) ** 1.7).astype(np.int64)
    return np.asarray(order[account, rank])


def _first_of_each(account: Ints, person: Ints, day: Ints, feature: Ints) -> Ints:
    key = ((account * 65_536 + person) * 65_536 + day) * 32 + feature
    return np.sort(np.unique(key, return_index=True)[1])


def _machines(rng: np.random.Generator, scene: Scene) -> Rows:
    """Return the rows of integrations, which a tenth of the accounts run about every fourth day."""
    connected = rng.random(scene.shape[0]) < 0.1
    when = happen(rng, scene, np.broadcast_to(connected[:, None] * 7.0, scene.shape))
    person = np.full(len(when), MACHINE)
    return _rows(rng, scene, when.account, person, np.zeros(len(when), np.int64), when.day, machine=True)


def _rows(
    rng: np.random.Generator,
    scene: Scene,
    account: Ints,
    person: Ints,
    feature: Ints,
    day: Ints,
    *,
    machine: bool,
) -> Rows:
    second = day * DAY_SECONDS + rng.integers(6 * 3600, 22 * 3600, len(day))
    return {
        "account_id": scene.accounts(account),
        "user_id": scene.people(account, person),
        "feature": Words(feature, FEATURES),
        "occurred_at": as_times(second),
        "quantity": 1.0 + rng.poisson(200.0 if machine else 3.0, len(day)),
        "actor": Words(np.full(len(day), int(machine)), ACTORS),
        "recorded_at": recorded(rng, second),
    }
