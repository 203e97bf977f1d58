"""Who holds which role at a customer on a date, and what became of those who held it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Floats, Ints
from features.measures.frames import Spec, day_of
from features.measures.groups import as_places, firsts, largest, numbered, smallest, sums
from features.measures.scope import CountsWanted, RowsWanted, Scope

PeopleNumber = Literal["ever", "staying", "left", "succeeded", "new_title"]
CONTACTS = RowsWanted(
    "contacts", (), ("contact_id", "role", "title", "valid_from", "valid_to", "successor_id"), ordered=True
)


@dataclass(frozen=True)
class Stints:
    """Contacts' rows as known on each date (also those announced ahead), by cell and contact, in order of time.

    `begins` and `last_day` (NaN: no end known) are days since 1970; `named_from` is when a successor was first
    named (NaN: none); `title` is a code, of `titles` in small letters; `new` is where a contact's rows begin.
    """

    cell: Ints
    contact: Ints
    role: Ints
    begins: Floats
    last_day: Floats
    named_from: Floats
    title: Ints
    new: npt.NDArray[np.bool_]
    roles: tuple[str, ...]
    titles: tuple[str, ...]
    contacts: tuple[str, ...]

    def in_role(self, roles: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Return which rows are of one of the roles."""
        return np.array([*(role in roles for role in self.roles), False])[self.role]


def _stints(scope: Scope) -> Stints:
    """A contact's next row ends the one before on the day before it begins: a new role or title is a new row."""
    rows = scope.rows("contacts")
    contact = rows.codes("contact_id")
    # A successor was named when the first version of the row named one, whatever was corrected since.
    named = rows.codes("successor_id") >= 0
    begins = rows.numbers["valid_from"]
    same = as_places([rows.account, contact, rows.codes("valid_from") + 1])
    first_named = smallest(same[named], rows.known_from[named], int(same.max(initial=-1)) + 1)[same]
    row, cell = scope.expanded(rows.account, rows.known)
    order = np.lexsort((rows.key_rank[row], begins[row], contact[row], cell))
    row, cell = row[order], cell[order]
    new = firsts(numbered([cell, contact[row]]))
    following = np.full(len(row), np.nan)
    following[:-1] = np.where(new[1:], np.nan, begins[row][1:])
    return Stints(
        cell,
        contact[row],
        rows.codes("role")[row],
        begins[row],
        np.fmin(rows.numbers["valid_to"][row], following - 1),
        np.where(named, first_named, np.nan)[row],
        rows.codes("title")[row],
        new,
        rows.texts["role"].values,
        tuple(title.lower() for title in rows.texts["title"].values) if "title" in rows.texts else (),
        rows.texts["contact_id"].values,
    )


@dataclass(frozen=True)
class Holders:
    """Who holds a role on each date: numbers of (cell, contact), and each contact's code."""

    keys: Ints
    code_of: Mapping[str, int]

    def key(self, cell: Ints, contact: Ints) -> Ints:
        """Number a contact on a date."""
        return cell * max(len(self.code_of), 1) + contact


def role_holders(scope: Scope, roles: tuple[str, ...]) -> Holders:
    """Return who holds one of the roles on each date."""
    known = scope.kept("stints", _stints)
    day = scope.day[known.cell]
    holds = known.in_role(roles) & (known.begins <= day) & ~(known.last_day < day)
    code_of = {name: code for code, name in enumerate(known.contacts)}
    holders = Holders(np.zeros(0, dtype=np.int64), code_of)
    return Holders(holders.key(known.cell[holds], known.contact[holds]), code_of)


@dataclass(frozen=True)
class _Held:
    """Who held one of some roles: each row's person (a contact on a date), and which rows had begun.

    By person: whether they ever held it by the date, stay, when they leave (NaN: nothing known), and whether a
    successor was named by then.
    """

    known: Stints
    person: Ints
    begun: npt.NDArray[np.bool_]
    ever: npt.NDArray[np.bool_]
    stays: npt.NDArray[np.bool_]
    leaves: Floats
    named: npt.NDArray[np.bool_]

    def people(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which people have one of the rows."""
        return np.bincount(self.person[rows], minlength=len(self.ever)) > 0


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
        cell = held.known.cell[held.known.new]
        if self.number == "ever":
            return sums(cell[held.ever], None, scope.cells)
        if self.number == "new_title":
            day = scope.day[held.known.cell]
            titles = held.people(self._new_titles(held.known, held.begun, held.person, day))
            return sums(cell[titles], None, scope.cells)
        if self.number == "staying":
            return sums(cell[held.ever & held.stays], None, scope.cells)
        recent = held.leaves >= scope.day[cell] - self.window_days
        leaving = held.ever & ~held.stays & recent & (held.named if self.number == "succeeded" else ~held.named)
        return sums(cell[leaving], None, scope.cells)

    def _held(self, scope: Scope) -> _Held:
        known = scope.kept("stints", _stints)
        person = np.cumsum(known.new) - 1
        size = int(known.new.sum())
        role = known.in_role(self.roles)
        begun = role & (known.begins <= scope.day[known.cell])

        def people(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
            return np.bincount(person[rows], minlength=size) > 0

        return _Held(
            known,
            person,
            begun,
            people(begun),
            people(role & np.isnan(known.last_day)),
            largest(person[role], known.last_day[role], size),
            people(role & (day_of(known.named_from) <= known.last_day)),
        )

    def _new_titles(
        self, known: Stints, held: npt.NDArray[np.bool_], person: Ints, day: Floats
    ) -> npt.NDArray[np.bool_]:
        """Rows that brought a title which neither holds the one before nor is held by it."""
        rows = np.flatnonzero(held)
        new, old = known.title[rows[1:]], known.title[rows[:-1]]
        same_person = person[rows[1:]] == person[rows[:-1]]
        recent = known.begins[rows[1:]] >= day[rows[1:]] - self.window_days  # a day counts from its end
        possible = same_person & recent & np.isnan(known.last_day[rows[1:]]) & (new >= 0) & (old >= 0)
        found = np.zeros(len(held), dtype=bool)
        if not possible.any():
            return found
        pair, which = np.unique(numbered([new[possible], old[possible]]), return_inverse=True)
        first = np.zeros(len(pair), dtype=np.int64)
        first[which] = np.flatnonzero(possible)
        other = np.array(
            [_another_title(known.titles[new[at]], known.titles[old[at]]) for at in first], dtype=bool
        )
        found[rows[1:][possible][other[which]]] = True
        return found


def _another_title(new: str, old: str) -> bool:
    return not (old in new or new in old)
