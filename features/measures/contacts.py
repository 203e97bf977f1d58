"""Who holds which role at a customer on a date, and what became of those who held it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Calendar, Floats, Ints, Masks
from features.measures.frames import RowFrame, Spec, day_of
from features.measures.groups import as_places, firsts, followers, numbered, ordered_by, smallest, sums, where_so
from features.measures.scope import CountsWanted, RowsWanted, Scope

PeopleNumber = Literal["ever", "staying", "left", "succeeded", "new_title"]
CONTACTS = RowsWanted(
    "contacts", (), ("contact_id", "role", "title", "valid_from", "valid_to", "successor_id"), ordered=True
)


@dataclass(frozen=True)
class Stints:
    """Contacts' rows known at any of the dates (also those announced ahead), by account, contact and time.

    By person (a contact of an account): `account` and `contact`, its code. By row: `person`, `role`, `begins` (day
    since 1970), `named_from` (when a successor was first named; NaN: none), `title` (a code, of `titles` in small
    letters), and `known`, `open`, the dates at which it is known, and at which no end of it is.

    What ends a row may differ from date to date; by end: the `row`, its `last_day` (NaN: no end known), and `at`,
    the dates at which that is known.
    """

    calendar: Calendar
    account: Ints
    contact: Ints
    person: Ints
    role: Ints
    begins: Floats
    named_from: Floats
    title: Ints
    known: Masks
    open: Masks
    row: Ints
    last_day: Floats
    at: Masks
    roles: tuple[str, ...]
    titles: tuple[str, ...]
    contacts: tuple[str, ...]

    def in_role(self, roles: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Return which rows are of one of the roles."""
        return np.array([*(role in roles for role in self.roles), False])[self.role]

    @cached_property
    def begun(self) -> Masks:
        """The dates at which each row is known and has begun."""
        return self.known & ~self.calendar.before(self.begins)

    def of_people(self, row: Ints, masks: Masks) -> Masks:
        """Return each person's dates: those of any of some rows."""
        joined = np.zeros(len(self.account), dtype=masks.dtype)
        np.bitwise_or.at(joined, self.person[row], masks)
        return joined


def _stints(scope: Scope) -> Stints:
    """A contact's next row ends the one before on the day before it begins: a new role or title is a new row."""
    rows = scope.rows("contacts")
    contact = rows.codes("contact_id")
    begins, named_from = rows.numbers["valid_from"], _named_from(rows, contact)
    some = rows.known.nonzero()[0]
    order = some[ordered_by(rows.account[some], contact[some], begins[some], rows.key_rank[some])]
    new = firsts(numbered([rows.account[order], contact[order]]))
    person, begins, valid_to = new.cumsum() - 1, begins[order], rows.numbers["valid_to"][order]
    row, following, meeting, last = followers(person, rows.known[order])
    no_next = last.nonzero()[0]
    return Stints(
        scope.calendar,
        rows.account[order[new]],
        contact[order[new]],
        person,
        rows.codes("role")[order],
        begins,
        named_from[order],
        rows.codes("title")[order],
        rows.known[order],
        where_so(last, np.isnan(valid_to)),
        np.concatenate([row, no_next]),
        np.concatenate([np.fmin(valid_to[row], begins[following] - 1), valid_to[no_next]]),
        np.concatenate([meeting, last[no_next]]),
        rows.texts["role"].values,
        tuple(title.lower() for title in rows.texts["title"].values) if "title" in rows.texts else (),
        rows.texts["contact_id"].values,
    )


def _named_from(rows: RowFrame, contact: Ints) -> Floats:
    """By row: when its first version that named a successor did, whatever was corrected since; NaN: none named."""
    named = (rows.codes("successor_id") >= 0).nonzero()[0]
    found = np.full(len(contact), np.nan)
    if len(named):
        same = as_places([rows.account, contact, rows.codes("valid_from") + 1])[named]
        found[named] = smallest(same, rows.known_from[named], int(same.max()) + 1)[same]
    return found


@dataclass(frozen=True)
class Holders:
    """Who holds a role, by person: account, contact's code, and the dates at which they do."""

    account: Ints
    contact: Ints
    mask: Masks
    contacts: tuple[str, ...]

    def at(self, account: Ints, contact: Ints) -> Masks:
        """Return the dates at which contacts hold it; none of a contact who is not there (code -1)."""
        keys = self.account * len(self.contacts) + self.contact  # in order, as people are
        asked = account * len(self.contacts) + contact
        place = keys.searchsorted(asked)
        there = (contact >= 0) & (np.append(keys, -1)[place] == asked)
        return where_so(np.append(self.mask, self.mask.dtype.type(0))[place], there)


def role_holders(scope: Scope, roles: tuple[str, ...]) -> Holders:
    """Return who holds one of the roles on each date."""
    known, calendar = scope.kept("stints", _stints), scope.calendar
    some = known.in_role(roles)[known.row].nonzero()[0]
    row = known.row[some]
    holds = known.at[some] & known.begun[row] & calendar.until(known.last_day[some])
    return Holders(known.account, known.contact, known.of_people(row, holds), known.contacts)


@dataclass(frozen=True)
class _Held:
    """Who held one of some roles: the rows in the role; and by person, the dates at which something holds.

    `ever`: they have held it. `stays`: no end of it is known. `named`: a successor was named when they leave.
    """

    known: Stints
    rows: Ints
    ends: Ints
    ever: Masks
    stays: Masks
    named: Masks


@dataclass(frozen=True, eq=False)
class ContactState(Spec):
    """What became of the holders of a role.

    ``number`` is one of:

    ``ever`` (rows in the role begun by the date), ``staying`` (people with no leaving date known),
    ``left`` (people who left in the window or will, without a successor named by the day of leaving),
    ``succeeded`` (those with one), ``new_title`` (people staying whose title became another one in the window).
    """

    roles: tuple[str, ...]
    window_days: int
    number: PeopleNumber

    @property
    def table(self) -> str:
        return "contacts"

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (CONTACTS,)

    def numbers(self, scope: Scope) -> Floats:
        """Count people, not rows: a promotion inside the role ends one row and begins another."""
        held = scope.kept(("held", self.roles), self._held)
        _, cells = scope.expanded(held.known.account, self._dates(held))
        return sums(cells, None, scope.cells)

    def _dates(self, held: _Held) -> Masks:
        """By person: the dates at which they are counted."""
        match self.number:
            case "ever":
                return held.ever
            case "staying":
                return held.ever & held.stays
            case "left":
                return self._leaving(held) & ~held.named
            case "succeeded":
                return self._leaving(held) & held.named
            case "new_title":
                return self._new_titles(held)

    def _held(self, scope: Scope) -> _Held:
        known = scope.kept("stints", _stints)
        role = known.in_role(self.roles)
        rows, ends = role.nonzero()[0], role[known.row].nonzero()[0]
        succeeded = ends[day_of(known.named_from)[known.row[ends]] <= known.last_day[ends]]
        return _Held(
            known,
            rows,
            ends,
            known.of_people(rows, known.begun[rows]),
            known.of_people(rows, known.open[rows]),
            known.of_people(known.row[succeeded], known.at[succeeded]),
        )

    def _leaving(self, held: _Held) -> Masks:
        """By person: the dates at which they will leave, or left in the window."""
        known = held.known
        ends = held.ends[~np.isnan(known.last_day[held.ends])]
        recent = known.at[ends] & known.calendar.until(known.last_day[ends] + self.window_days)
        return held.ever & ~held.stays & known.of_people(known.row[ends], recent)

    def _new_titles(self, held: _Held) -> Masks:
        """By person: the dates at which a row brought a title that neither holds nor is held by the one before."""
        known, rows = held.known, held.rows
        before, after, mask, _ = followers(known.person[rows], known.begun[rows])
        if not len(before):  # nobody had two roles or titles
            return known.of_people(before, mask)
        old, new = known.title[rows[before]], known.title[rows[after]]
        row = rows[after]
        mask &= known.open[row] & known.calendar.until(known.begins[row] + self.window_days)  # counts from its end
        some = ((mask != 0) & (new >= 0) & (old >= 0)).nonzero()[0]
        pairs = zip(new[some].tolist(), old[some].tolist(), strict=True)
        other = some[[_another_title(known.titles[one], known.titles[another]) for one, another in pairs]]
        return known.of_people(row[other], mask[other])


def _another_title(new: str, old: str) -> bool:
    return not (old in new or new in old)
