"""What people say: NPS surveys, the community, reviews and complaints."""

from __future__ import annotations

import numpy as np

from training.simulation.days import DAY_SECONDS, Floats, Ints, as_times
from training.simulation.parameters import Latent
from training.simulation.rows import (
    Happenings,
    Rows,
    Scene,
    Words,
    happen,
    join,
    recorded,
    take,
    with_corrections,
)

COMMENTS = (
    "It does what we bought it for.",
    "The team would not want to miss it.",
    "Fine, but the reports take too long to set up.",
    "We are not sure that we use enough of it.",
    "Too many bugs since the last release.",
    "We pay for more than we get.",
)
POSTS = (
    "Thanks, that solved it for us.",
    "Here is how we built our weekly report.",
    "How do I add a new colleague?",
    "Where can I find the export of last month?",
    "Is there a way to schedule this through the API?",
    "Broken again, third time this month.",
    "Nobody answers here any more.",
)
FEEDBACK = (
    "Does the job, friendly support.",
    "Good product, a little dear.",
    "Slow, and the problems stay.",
    "Our complaint has been open for too long.",
)
ACTIVITIES = ("post", "reply", "visit")
LEVELS = ("basic", "advanced")
FEEDBACK_KINDS = ("review", "social", "complaint")


def opinion(scene: Scene) -> Floats:
    """Return what an account's people would say of us (n, m): mood and value, less friction."""
    of = scene.history.latent
    return np.asarray(0.5 * of(Latent.MOOD) + 0.5 * of(Latent.VALUE, lag=1) - 0.25 * of(Latent.FRICTION))


def surveys(scene: Scene) -> Rows:
    """Return NPS answers: every third month each account is asked; quiet champions do not answer."""
    rng, history, (n, months) = scene.rng("surveys"), scene.history, scene.shape
    asked = (np.arange(months) + rng.integers(0, 3, n)[:, None]) % 3 == 0
    activity = history.latent(Latent.CHAMPION_ACTIVITY)
    champion = 1.0 / (1.0 + np.exp(0.2 - 0.7 * activity)) * history.champion[:, :months]
    willing = np.exp(rng.normal(-0.1, 0.4, (n, 1)))
    others = np.minimum(0.5 + 0.04 * scene.active, 4.0) * willing
    view = opinion(scene)
    parts = [happen(rng, scene, asked * rate) for rate in (others, 0.9 * champion, 0.3 * (scene.sponsors >= 0))]
    when = _together(parts)
    role = np.repeat(np.arange(3), [len(part) for part in parts])
    place = np.where(role == 0, rng.integers(0, 6, len(when)), 5 + role)
    contact = np.where(
        role == 1, scene.champions[when.account, when.month], scene.sponsors[when.account, when.month]
    )
    known = (role == 0) | (contact >= 0)
    when, role, place = when.of(known), role[known], place[known]
    person = np.where(role == 0, place * 64, contact[known])
    # Champions and sponsors speak for themselves, too.
    sponsor = history.latent(Latent.SPONSOR)
    own = np.stack([0 * activity, 0.3 * activity, 0.6 * sponsor])[role, when.account, when.month]
    taste = rng.normal(0, 0.8, (n, 8))[when.account, place]
    meant = 9.0 + 1.0 * view[when.account, when.month] + taste + own
    nps = np.clip(np.round(meant + rng.normal(0, 0.9, len(when))), 0, 10)
    comment = np.where(rng.random(len(when)) < 0.4, _graded(rng, 8.6 - nps, 5.0, len(COMMENTS)), -1)
    rows: Rows = {
        "survey_id": scene.keys("S", len(when)),
        "account_id": scene.accounts(when.account),
        "respondent_id": scene.people(when.account, person),
        "nps": nps,
        "comment": Words(comment, COMMENTS),
        "occurred_at": as_times(when.second),
        "recorded_at": recorded(rng, when.second),
    }
    return scene.known(with_corrections(rng, rows, {"nps": np.maximum(0.0, nps - 1.0)}))


def community(scene: Scene) -> Rows:
    """Return posts, replies and visits: a third of the accounts never come; quiet champions post less."""
    rng, history, (n, months) = scene.rng("community"), scene.history, scene.shape
    book = history.book
    comes = rng.random(n) < 1.0 / (1.0 + np.exp(-(1.5 + 0.6 * book.talkative + 0.4 * book.invested)))
    activity = history.latent(Latent.CHAMPION_ACTIVITY) * history.champion[:, :months]
    rate = 0.9 * np.exp(0.45 * activity + 0.2 * history.latent(Latent.ENGAGEMENT) + 0.3 * book.talkative[:, None])
    rate *= comes[:, None] * np.clip(scene.active / 9.0, 0.5, 2.5) ** 0.5
    when = happen(rng, scene, np.minimum(rate, 8.0))
    count = len(when)
    kind = np.searchsorted((0.4, 0.65), rng.random(count))
    view = opinion(scene)[when.account, when.month]
    friction = history.latent(Latent.FRICTION)[when.account, when.month]
    sentiment = np.clip(0.22 + 0.22 * view - 0.10 * friction + rng.normal(0, 0.42, count), -1, 1).round(2)
    skilled = 1.0 / (1.0 + np.exp(-(0.2 + 0.7 * book.invested[when.account])))
    basic = rng.random(count) > skilled
    spoken = kind < 2
    question = spoken & (rng.random(count) < 0.25)
    tone = np.where(sentiment < -0.3, 5, np.where(question, np.where(basic, 2, 4), 0))
    rows: Rows = {
        "activity_id": scene.keys("M", count),
        "account_id": scene.accounts(when.account),
        "member_id": scene.people(when.account, _members(rng, scene, when)),
        "kind": Words(kind, ACTIVITIES),
        "question": question,
        "level": Words(np.where(spoken, np.where(basic, 0, 1), -1), LEVELS),
        "sentiment": np.where(spoken, sentiment, np.nan),
        "text": Words(np.where(spoken, tone + rng.integers(0, 2, count) * (tone != 4), -1), POSTS),
        "occurred_at": as_times(when.second),
        "recorded_at": recorded(rng, when.second),
    }
    return scene.known(with_corrections(rng, rows, {"sentiment": np.where(spoken, -sentiment / 2, np.nan)}))


def feedback(scene: Scene) -> Rows:
    """Return reviews, social posts, and complaints, whose resolution is a later version of the row."""
    rng, history = scene.rng("feedback"), scene.history
    view, friction = opinion(scene), history.latent(Latent.FRICTION)
    loud = np.exp(0.4 * history.book.talkative[:, None])
    rates = (0.03 * loud + 0 * view, 0.015 * loud + 0 * view, 0.025 * loud * np.exp(0.7 * friction - 0.35 * view))
    parts = [happen(rng, scene, rate) for rate in rates]
    kind = np.repeat(np.arange(3), [len(part) for part in parts])
    when = _together(parts)
    count = len(when)
    said = view[when.account, when.month] + rng.normal(0, 0.8, count)
    rating = np.where(kind == 0, np.clip(np.round(3.7 + 0.8 * said), 1, 5), np.nan)
    sentiment = np.where(kind == 1, np.clip(0.2 + 0.4 * said, -1, 1).round(2), np.nan)
    text = np.where(kind == 2, 3, _graded(rng, 0.4 - said, 2.0, 3))
    opened: Rows = {
        "feedback_id": scene.keys("F", count),
        "account_id": scene.accounts(when.account),
        "kind": Words(kind, FEEDBACK_KINDS),
        "rating": rating,
        "sentiment": sentiment,
        "text": Words(text, FEEDBACK),
        "occurred_at": as_times(when.second),
        "resolved_at": as_times(np.full(count, -1)),
        "recorded_at": recorded(rng, when.second),
    }
    days = np.exp(rng.normal(2.0, 0.8, count) + 0.2 * friction[when.account, when.month])
    resolved = when.second + (days * DAY_SECONDS).astype(np.int64)
    over = (kind == 2) & (resolved < history.period.after * DAY_SECONDS)
    known = np.maximum(recorded(rng, resolved), opened["recorded_at"] + np.timedelta64(60, "s"))  # type: ignore[operator]
    closing = take({**opened, "resolved_at": as_times(resolved), "recorded_at": known}, over)
    return scene.known(join(opened, closing))


def _members(rng: np.random.Generator, scene: Scene, when: Happenings) -> Ints:
    """Return who came to the community: the account's champion, or one of its first few users."""
    chosen = rng.integers(0, 8, len(when))
    champion = scene.champions[when.account, when.month]
    return np.where((chosen == 7) & (champion >= 0), champion, chosen % 7 * 64)


def _graded(rng: np.random.Generator, badness: Floats, spread: float, grades: int) -> Ints:
    """Return 0 (good) to grades - 1 (bad), with some noise."""
    graded = (badness / spread + 0.3 + rng.normal(0, 0.12, len(badness))) * grades
    return np.clip(np.floor(graded), 0, grades - 1).astype(np.int64)


def _together(parts: list[Happenings]) -> Happenings:
    return Happenings(
        np.concatenate([part.account for part in parts]),
        np.concatenate([part.month for part in parts]),
        np.concatenate([part.second for part in parts]),
    )
