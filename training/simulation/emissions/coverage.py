"""Feeds: which days of which table were delivered; gaps, accounts not connected, and a feed that dies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.simulation.days import DAY_SECONDS, Bools, Ints, as_dates, as_times
from training.simulation.rows import Numbered, Rows, Scene, Words, join, take

# Where the company's own delivery of the community stopped, and when somebody noticed.
COMMUNITY_DIED = int(np.datetime64(dt.date(2025, 3, 10), "D").astype(np.int64))
COMMUNITY_NOTICED = COMMUNITY_DIED + 9
BY_ACCOUNT = ("usage", "visits")
STATES = ("accounts", "contracts", "plans", "contacts")
EVENTS = ("tickets", "surveys", "community", "feedback", "requests", "organisation", "assessments", "goals")
TABLES = (*BY_ACCOUNT, *STATES, *EVENTS, "outcomes")
LONG_AGO = int(np.datetime64("2015-01-01", "D").astype(np.int64))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Per account of a chunk, for usage: a gap of whole days (or -1); for visits: whether they are tracked."""

    gap_from: Ints
    gap_to: Ints
    tracked: Bools


def coverage(scene: Scene) -> Coverage:
    """Draw the holes: usage of one account in twenty stops for 10 to 45 days, visits of one in eight lack."""
    rng, n = scene.rng("feeds"), scene.shape[0]
    period = scene.history.period
    broken = rng.random(n) < 0.05
    start = period.first + 30 + rng.integers(0, max(1, period.days - 60), n)
    broken &= start > scene.history.book.joins + 30
    return Coverage(
        np.where(broken, start, -1),
        np.where(broken, start + rng.integers(9, 45, n), -1),
        rng.random(n) >= 0.12,
    )


def delivered(holes: Coverage, table: str, account: Ints, rows: Rows) -> Rows:
    """Return the rows of a table that its feed delivered."""
    if table == "usage":
        day = _days(rows)
        inside = (day >= holes.gap_from[account]) & (day <= holes.gap_to[account])
        return take(rows, ~inside)
    if table == "visits":
        return take(rows, holes.tracked[account])
    if table == "community":
        return take(rows, _days(rows) <= COMMUNITY_DIED)
    return rows


def _days(rows: Rows) -> Ints:
    moment = rows["occurred_at"]
    assert isinstance(moment, np.ndarray)
    return moment.astype("datetime64[D]").astype(np.int64)


def feeds(scene: Scene, holes: Coverage) -> Rows:
    """Return what the feeds cover: by account for usage and visits, as a whole for the other tables."""
    period, book = scene.history.period, scene.history.book
    begins = np.maximum(book.joins, period.first)
    every = np.arange(len(book))
    broken, tracked = np.flatnonzero(holes.gap_from >= 0), np.flatnonzero(holes.tracked)
    parts = [
        _part(scene, "usage", every, begins[every], None, begins[every]),
        _part(scene, "usage", broken, begins[broken], holes.gap_from[broken] - 1, holes.gap_from[broken] + 4),
        _part(scene, "usage", broken, holes.gap_to[broken] + 1, None, holes.gap_to[broken] + 1),
        _part(scene, "visits", tracked, begins[tracked], None, begins[tracked]),
    ]
    if scene.chunk == 0:
        parts += list(_whole_tables(scene).values())
    return scene.known(join(*parts))


def _whole_tables(scene: Scene) -> Mapping[str, Rows]:
    all_accounts, first = np.array([-1]), np.array([scene.history.period.first])
    parts = {}
    for table in (*STATES, *EVENTS, "outcomes"):
        begins = np.array([LONG_AGO]) if table in STATES else first
        parts[table] = _part(scene, table, all_accounts, begins, None, begins)
    died, noticed = np.array([COMMUNITY_DIED]), np.array([COMMUNITY_NOTICED])
    if scene.history.period.first < COMMUNITY_DIED:
        parts["the community's end"] = _part(scene, "community", all_accounts, first, died, noticed)
    return parts


def _part(scene: Scene, table: str, account: Ints, begins: Ints, ends: Ints | None, known: Ints) -> Rows:
    ids = np.where(account < 0, -1, 100_000 + scene.history.book.number[account])
    return {
        "table": Words(np.full(len(account), TABLES.index(table)), TABLES),
        "account_id": Numbered("A", ids),
        "covered_from": as_dates(begins),
        "covered_to": as_dates(np.full(len(account), -1) if ends is None else ends),
        "recorded_at": as_times(known * DAY_SECONDS),
    }
