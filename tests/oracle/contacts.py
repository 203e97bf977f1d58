"""What became of the people in a role: who holds it, who left, who was named to follow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from features.catalogue.schema import ContactLost
from tests.oracle.company import ONE_DAY, Known, Row, key_of, moment, version_in_force


@dataclass(frozen=True)
class Spell:
    """One row of a contact, up to its last day or the day before that contact's next row."""

    row: Row
    first: dt.date
    last: dt.date  # date.max where no end is known

    def holds(self, roles: Sequence[str], day: dt.date) -> bool:
        return self.row["role"] in roles and self.first <= day <= self.last


def spells(rows: Sequence[Row]) -> dict[str, list[Spell]]:
    """Each contact's rows in order; a new role or title is a new row, and ends the one before."""
    by_contact: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["valid_from"]):
        by_contact.setdefault(row["contact_id"], []).append(row)
    made: dict[str, list[Spell]] = {}
    for contact, ordered in by_contact.items():
        nexts = [row["valid_from"] - ONE_DAY for row in ordered[1:]] + [dt.date.max]
        made[contact] = [
            Spell(row, row["valid_from"], min(row["valid_to"] or dt.date.max, until))
            for row, until in zip(ordered, nexts, strict=True)
        ]
    return made


def holders(rows: Sequence[Row], roles: Sequence[str], day: dt.date) -> set[str]:
    """Those who hold one of the roles on a day."""
    return {who for who, of in spells(rows).items() if any(spell.holds(roles, day) for spell in of)}


def contact_lost(known: Known, account_id: str, asked: ContactLost) -> bool:
    rows = known.rows("contacts", account_id)
    roles = asked.roles
    if not any(row["role"] in roles for row in rows):
        roles = asked.fallback_roles
    people = spells(rows)
    today = known.as_of.date()
    since = today - ONE_DAY * asked.window_days
    lasts = {who: last for who, of in people.items() if (last := leaving(of, roles)) and last >= since}
    moments = [today, *(last + ONE_DAY for last in lasts.values() if last >= today)]
    nobody = any(not holders(rows, roles, day) for day in moments)
    followed = [successor_named(known, of, roles) for of in map(people.__getitem__, lasts)]
    if asked.change == "gone":
        return nobody and not any(followed)
    someone_left = not nobody and not all(followed)
    return someone_left or any(new_title(of, roles, today, since) for of in people.values())


def leaving(of: Sequence[Spell], roles: Sequence[str]) -> dt.date | None:
    """A contact's last day in the role, where there is one."""
    last = max((spell.last for spell in of if spell.row["role"] in roles), default=dt.date.max)
    return None if last == dt.date.max else last


def successor_named(known: Known, of: Sequence[Spell], roles: Sequence[str]) -> bool:
    """One of the leaver's rows in the role names a successor, and by the end of the last day one was named."""
    last = leaving(of, roles)
    assert last is not None
    by = min(known.as_of, moment(last))
    versions = known.versions("contacts")
    naming = [s.row for s in of if s.row["role"] in roles and s.row["successor_id"] is not None]
    then = [version_in_force("contacts", versions[key_of("contacts", row)], by) for row in naming]
    return any(row is not None and row["successor_id"] is not None for row in then)


def new_title(of: Sequence[Spell], roles: Sequence[str], today: dt.date, since: dt.date) -> bool:
    """Someone who stays has another title since then, and not by promotion inside the role."""
    if leaving(of, roles) is not None:
        return False
    for before, after in pairwise(of):
        old, new = before.row["title"], after.row["title"]
        if (
            before.row["role"] in roles
            and after.holds(roles, today)
            and after.first >= since
            and old is not None
            and new is not None
            and old not in new
            and new not in old
        ):
            return True
    return False
