"""Contacts and what changes at the top of the customer: what tables see of champions and sponsors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.simulation.days import DAY_SECONDS, Ints, as_dates, as_times
from training.simulation.parameters import Jump
from training.simulation.rows import CONTACT, Rows, Scene, Words, recorded

ROLES = ("champion", "sponsor", "admin", "user")
TITLES = (
    ("Head of Operations", "Director of Operations", "Programme Manager", "Team Lead"),
    ("Chief Operating Officer", "Chief Information Officer", "Vice President", "Managing Director"),
    ("Administrator", "IT Manager", "Systems Engineer", "Office Manager"),
)
CHANGES = ("chief_executive", "department_head", "acquirer", "acquired")
HANDOVER, NEW_TITLE = 0.010, 0.008  # a month; neither moves a latent
UNRECORDED = 0.06  # accounts whose champions nobody enters


@dataclass(slots=True)
class _Roll:
    """One account's contacts: who holds which role since when, and the rows that say so."""

    account: int
    rows: list[tuple[int, ...]] = field(default_factory=list)
    people: int = 0
    holding: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # person -> role, title, since

    def arrives(self, role: int, title: int, day: int, known: int) -> int:
        person = CONTACT + (self.people if role == 0 else role * 50 + self.people)
        self.people += 1
        self.holding[person] = (role, title, day)
        self._write(person, -1, -1, known)
        return person

    def leaves(self, person: int, day: int, known: int, successor: int = -1) -> None:
        self._write(person, day, successor, known)
        del self.holding[person]

    def retitled(self, person: int, title: int, day: int, known: int) -> None:
        role, _, since = self.holding[person]
        if day > since + 1:
            self._write(person, day - 1, -1, known)
            self.holding[person] = (role, title, day)
            self._write(person, -1, -1, known)

    def _write(self, person: int, until: int, successor: int, known: int) -> None:
        role, title, since = self.holding[person]
        self.rows.append((self.account, person, role, title, since, until, successor, known))


def contacts(scene: Scene) -> tuple[Rows, Ints, Ints]:
    """Return contacts (arrivals, departures, hand-overs, new titles), and who is champion and sponsor (n, m).

    Departures are announced up to 18 days ahead, or entered up to 12 days late.
    """
    rng = scene.rng("contacts")
    champions, sponsors = np.full(scene.shape, -1), np.full(scene.shape, -1)
    rows = [
        row
        for account in range(scene.shape[0])
        for row in _contacts_of(rng, scene, account, champions[account], sponsors[account])
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 8)
    account, person, role, title, since, until, successor, known = columns.T
    titles = tuple(name for names in TITLES for name in names)
    second = known * DAY_SECONDS + rng.integers(8 * 3600, 18 * 3600, len(known))
    table: Rows = {
        "contact_id": scene.people(account, person),
        "account_id": scene.accounts(account),
        "role": Words(role, ROLES),
        "title": Words(role * 4 + title, titles),
        "valid_from": as_dates(since),
        "valid_to": as_dates(until),
        "successor_id": scene.people(account, successor),
        "recorded_at": as_times(second),
    }
    return scene.known(table), champions, sponsors


def _contacts_of(
    rng: np.random.Generator, scene: Scene, account: int, champions: Ints, sponsors: Ints
) -> list[tuple[int, ...]]:
    """Return the rows of one account, and fill its `champions` and `sponsors` (m,)."""
    history, period = scene.history, scene.history.period
    roll, joins = _Roll(account), int(history.book.joins[account])
    first = max(0, int(np.searchsorted(period.starts, joins, side="right")) - 1)
    champion, luck = history.champion_of(account), rng.random((len(period), 4))
    title = rng.integers(0, 4, len(period) + 4).tolist()
    entered = luck[0, 3] >= UNRECORDED
    roll.arrives(2, title.pop(), joins, joins)
    sponsor = roll.arrives(1, title.pop(), joins, joins + 5) if luck[0, 0] < 0.65 else -1
    if luck[0, 1] < 0.15 and entered:
        roll.arrives(0, title.pop(), joins, joins + 5)  # a second one, whom no latent knows
    present = roll.arrives(0, title.pop(), joins, joins) if champion[first] and entered else -1
    for m in range(first, len(period)):
        champions[m], sponsors[m] = present, sponsor
        day = int(period.starts[m]) + int(luck[m, 0] * 28)
        if day <= joins + 1 or not history.in_service[account, day - period.first]:
            continue
        if sponsor >= 0 and history.states[m + 1].jump[account] == Jump.LEADERSHIP and luck[m, 1] < 0.6:
            roll.leaves(sponsor, day, day + int(luck[m, 2] * 20))
            sponsor = -1
        if not entered:
            continue
        if present < 0 and champion[m + 1]:
            present = roll.arrives(0, title[m], day, day + int(luck[m, 2] * 12))
        elif present >= 0 and not champion[m + 1]:
            ahead = int(30 * luck[m, 2]) - 18
            roll.leaves(present, day, max(day + ahead, int(period.starts[m])))
            present = -1
        elif present >= 0 and luck[m, 1] < HANDOVER:
            heir = roll.arrives(0, title[m], day, day - 1)
            roll.leaves(present, day, day - 1, successor=heir)
            present = heir
        elif present >= 0 and luck[m, 1] < HANDOVER + NEW_TITLE:
            roll.retitled(present, title[m], day, day + int(luck[m, 2] * 9))
    return roll.rows


def organisation(scene: Scene) -> Rows:
    """Return changes at the top: two in three of those that moved the sponsor, and a few that moved nothing."""
    rng, history = scene.rng("organisation"), scene.history
    jumps = np.stack([state.jump for state in history.states[1:]], axis=1) == Jump.LEADERSHIP
    told = (jumps & (rng.random(jumps.shape) < 0.67)) | (rng.random(jumps.shape) < 0.006)
    account, month = np.nonzero(told)
    day = history.period.starts[month] + rng.integers(0, 28, len(month))
    serving = history.in_service[account, day - history.period.first]
    account, day = account[serving], day[serving]
    kind = np.searchsorted((0.35, 0.8, 0.92), rng.random(len(day)))
    second: Ints = day * DAY_SECONDS + rng.integers(8 * 3600, 18 * 3600, len(day))
    known = recorded(rng, second, within=9 * DAY_SECONDS)
    return scene.known(
        {
            "event_id": scene.keys("O", len(day)),
            "account_id": scene.accounts(account),
            "kind": Words(kind, CHANGES),
            "occurred_at": as_times(second),
            "recorded_at": known,
        }
    )
