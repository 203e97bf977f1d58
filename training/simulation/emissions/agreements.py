"""Accounts, plans, contracts and outcomes: what was agreed, and what became of it."""

from __future__ import annotations

import numpy as np

from training.simulation.book import FEATURES_OF_PLAN, INDUSTRIES, PLANS, REGIONS
from training.simulation.days import DAY_SECONDS, Floats, Ints, as_dates, as_times
from training.simulation.emissions.usage import FEATURES
from training.simulation.ledger import Leaving
from training.simulation.parameters import Latent
from training.simulation.rows import Numbered, Rows, Scene, Words, join, take

BOOK_OF_CSM = 50
KINDS = ("renewed", "cancellation", "non_renewal", "lapse", "contraction")
REASONS = ("price", "competitor", "value not seen", "too hard to use", "closed or insolvent", "unknown")
_FIRST = (
    *("Alder", "Birch", "Cedar", "Delta", "Elm", "Falcon", "Granite", "Harbour", "Iris", "Juniper", "Kestrel"),
    *("Lark", "Maple", "North", "Orchard", "Pine", "Quarry", "River", "Summit", "Tern", "Umber", "Vale"),
)
_SECOND = ("Systems", "Works", "Lines", "Stores", "Care", "Capital", "Learning")  # by industry
_FORM = ("Inc.", "GmbH", "Pty Ltd", "S.A.")  # by region
LATE_SHARE = 0.02


def csm_names(scene: Scene) -> tuple[str, ...]:
    """Return the CSMs of this chunk; each has about fifty accounts."""
    count = scene.parameters.chunk // BOOK_OF_CSM
    return tuple(f"csm-{scene.chunk * count + place + 1:03d}" for place in range(count))


def csm_by_month(scene: Scene) -> Ints:
    """Return the CSM of each account (n, m): a tenth of the accounts change theirs in a year."""
    rng, (n, months) = scene.rng("csm"), scene.shape
    count = len(csm_names(scene))
    moved = np.cumsum(rng.random((n, months)) < 0.1 / 12, axis=1)
    return np.asarray((rng.integers(0, count, n)[:, None] + moved * 3) % count)


def accounts(scene: Scene) -> Rows:
    """Return the accounts, with a later version for each change of CSM."""
    rng, book, period = scene.rng("accounts"), scene.history.book, scene.history.period
    csm, names, n = csm_by_month(scene), csm_names(scene), scene.shape[0]
    titles = _names(scene)
    first_month = np.clip(np.searchsorted(period.starts, book.joins, side="right") - 1, 0, None)
    rows: Rows = {
        "account_id": scene.accounts(np.arange(n)),
        "name": Words(np.arange(n), titles),
        "customer_since": as_dates(book.joins),
        "csm": Words(csm[np.arange(n), first_month], names),
        "industry": Words(book.industry, INDUSTRIES),
        "region": Words(book.region, REGIONS),
        "fiscal_year_start_month": book.fiscal_year,
        "recorded_at": as_times((book.joins - 20) * DAY_SECONDS + rng.integers(0, DAY_SECONDS, n)),
    }
    changed, month = np.nonzero(np.diff(csm, axis=1, prepend=csm[:, :1]))
    later = period.starts[month] > book.joins[changed]
    changed, month = changed[later], month[later]
    second = (period.starts[month] + rng.integers(0, 20, len(month))) * DAY_SECONDS + 9 * 3600
    versions = {
        **take(rows, changed),
        "csm": Words(csm[changed, month], names),
        "recorded_at": as_times(second),
    }
    return scene.known(join(rows, versions))


def _names(scene: Scene) -> tuple[str, ...]:
    book = scene.history.book
    return tuple(
        f"{_FIRST[number % len(_FIRST)]} {_FIRST[(number // len(_FIRST)) % len(_FIRST)]} "
        f"{_SECOND[industry]} {_FORM[region]}"
        for number, industry, region in zip(
            book.number.tolist(), book.industry.tolist(), book.region.tolist(), strict=True
        )
    )


def plans(scene: Scene) -> Rows:
    """Return the features of each plan, from the first chunk alone: plans belong to no account."""
    if scene.chunk:
        return {}
    plan = np.repeat(np.arange(len(PLANS)), FEATURES_OF_PLAN)
    feature = np.concatenate([np.arange(count) for count in FEATURES_OF_PLAN])
    long_ago = np.full(len(plan), _day("2015-01-01"))
    return {
        "plan": Words(plan, PLANS),
        "feature": Words(feature, FEATURES),
        "valid_from": as_dates(long_ago),
        "valid_to": as_dates(np.full(len(plan), -1)),
        "recorded_at": as_times(long_ago * DAY_SECONDS),
    }


def contracts(scene: Scene) -> Rows:
    """Return contracts as signed, with a later version where notice was given or service ended early."""
    rng, history = scene.rng("contracts"), scene.history
    signed = history.contracts
    book, count = history.book, len(signed.account)
    price = book.price[signed.account] * rng.uniform(0.95, 1.05, count)
    first = signed.signed * DAY_SECONDS + rng.integers(9 * 3600, 18 * 3600, count)
    late = rng.random(count) < LATE_SHARE
    recorded = first + np.where(late, rng.integers(2, 12, count), 0) * DAY_SECONDS
    rows: Rows = {
        "contract_id": Numbered("K", book.number[signed.account] * 1000 + signed.number),
        "account_id": scene.accounts(signed.account),
        "start_date": as_dates(signed.start),
        "end_date": as_dates(signed.end),
        "signed_at": as_dates(signed.signed),
        "notice_deadline": as_dates(signed.deadline),
        "notice_at": as_dates(np.full(count, -1)),
        "auto_renew": signed.auto_renew,
        "licences": signed.licences,
        "arr": np.round(price * signed.licences, 2),
        "plan": Words(book.plan[signed.account], PLANS),
        "recorded_at": as_times(recorded),
    }
    touched, notice, end, known = _endings(scene)
    later = {
        **take(rows, touched),
        "notice_at": as_dates(notice),
        "end_date": as_dates(end),
        "notice_deadline": as_dates(np.minimum(signed.deadline[touched], end)),
        "recorded_at": as_times(np.maximum(known, recorded[touched] + 60)),
    }
    return scene.known(join(rows, later))


def _endings(scene: Scene) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the contracts that departures touch: their places, notice, end, and the second of recording."""
    rng, signed, left = scene.rng("endings"), scene.history.contracts, scene.history.departures
    touched: list[Ints] = []
    departure: list[Ints] = []
    for place, (account, decided) in enumerate(zip(left.account, left.decided, strict=True)):
        if left.kind[place] == Leaving.NON_RENEWAL:
            continue
        low, high = np.searchsorted(signed.account, [account, account + 1])
        mine = low + np.flatnonzero((signed.end[low:high] >= decided) & (signed.signed[low:high] <= decided))
        touched.append(mine)
        departure.append(np.full(len(mine), place))
    if not touched:
        none = np.empty(0, np.int64)
        return none, none, none, none
    where, which = np.concatenate(touched), np.concatenate(departure)
    noticed = left.kind[which] == Leaving.CANCELLATION
    known = (left.decided[which] + rng.integers(0, 3, len(left.account))[which]) * DAY_SECONDS + 15 * 3600
    return (
        where,
        np.where(noticed, left.decided[which], -1),
        np.minimum(signed.end[where], left.end[which]),
        known,
    )


def outcomes(scene: Scene) -> Rows:
    """Return what became of the relationships: renewals, contractions, churn; read by labels only."""
    parts = [part for part in (_churned(scene), _renewed(scene)) if part]
    rows = join(*parts)
    return scene.known({"outcome_id": scene.keys("Z", len(rows["account_id"])), **rows})


def _churned(scene: Scene) -> Rows:
    rng, history = scene.rng("outcomes"), scene.history
    left = history.departures
    count = len(left.account)
    month = np.clip(np.searchsorted(history.period.starts, left.decided, side="right") - 1, 0, None)
    pull = np.zeros(count)
    value = np.zeros(count)
    for place, (account, m) in enumerate(zip(left.account, month, strict=True)):
        pull[place] = history.states[m].x[Latent.COMPETITOR_PULL, account]
        value[place] = history.states[m].x[Latent.VALUE, account]
    scores = np.stack([0 * pull + 0.5, pull, -value, 0 * pull, 0 * pull - 99, 0 * pull + 0.3], axis=1)
    reason = (scores + rng.gumbel(0, 1, scores.shape)).argmax(axis=1)
    forced = left.kind == Leaving.LAPSE
    return {
        "account_id": scene.accounts(left.account),
        "kind": Words(1 + left.kind, KINDS),
        "involuntary": forced,
        "notice_at": as_dates(np.where(left.kind == Leaving.CANCELLATION, left.decided, -1)),
        "churned_at": as_dates(left.end),
        "reason": Words(np.where(forced, 4, reason), REASONS),
        "recorded_at": as_times((left.end + rng.integers(1, 7, count)) * DAY_SECONDS + 10 * 3600),
    }


def _renewed(scene: Scene) -> Rows:
    history = scene.history
    signed, period = history.contracts, history.period
    main = np.flatnonzero(~signed.addition)
    follows = main[1:][
        (signed.account[main[1:]] == signed.account[main[:-1]])
        & (signed.start[main[1:]] == signed.end[main[:-1]] + 1)
    ]
    inside = follows[(signed.start[follows] > period.first) & (signed.start[follows] <= period.after)]
    before, now = _licences_around(scene, inside)
    fewer = now < before
    long_term = signed.end[inside] - signed.start[inside] > 300
    told = inside[long_term | fewer]
    fewer = fewer[long_term | fewer]
    return {
        "account_id": scene.accounts(signed.account[told]),
        "kind": Words(np.where(fewer, 4, 0), KINDS),
        "involuntary": np.zeros(len(told), bool),
        "notice_at": as_dates(np.full(len(told), -1)),
        "churned_at": as_dates(signed.start[told] - 1),
        "reason": Words(np.full(len(told), -1), REASONS),
        "recorded_at": as_times(signed.start[told] * DAY_SECONDS + 10 * 3600),
    }


def _licences_around(scene: Scene, contract: Ints) -> tuple[Floats, Floats]:
    """Return the licences on the day before these contracts start, and theirs."""
    signed = scene.history.contracts
    before = np.zeros(len(contract))
    for place, row in enumerate(contract):
        low, high = np.searchsorted(signed.account, [signed.account[row], signed.account[row] + 1])
        day = signed.start[row] - 1
        held = (signed.start[low:high] <= day) & (signed.end[low:high] >= day)
        before[place] = signed.licences[low:high][held].sum()
    return before, signed.licences[contract]


def _day(date: str) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))
