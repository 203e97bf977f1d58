"""Who holds which role at a customer on a date, and what became of those who held it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import ibis
import ibis.expr.types as ir

from features.measures.rows import Scope, Spec, at_dates, day_of, days, whenever_known

PeopleNumber = Literal["ever", "staying", "left", "succeeded", "new_title"]


def stints(scope: Scope) -> ir.Table:
    """Contacts' rows as known on each date (also those announced ahead), with ``i``, ``day`` and ``last_day``.

    A contact's next row ends the one before on the day before it begins: a new role or title is a new row.
    """
    contacts = scope.rows_of("contacts")
    same = ibis.window(group_by=["account_id", "contact_id", "valid_from"])
    # A successor was named when the first version of the row named one, whatever was corrected since.
    naming = ibis.ifelse(contacts.successor_id.notnull(), contacts.known_from, ibis.null("timestamp"))
    named = contacts.mutate(named_from=naming.min().over(same))
    rows = at_dates(whenever_known(named), scope.calendar.bits)
    in_order = ibis.window(group_by=["account_id", "i", "contact_id"], order_by=[rows.valid_from, rows.row_key])
    followed = rows.mutate(next_from=rows.valid_from.lead().over(in_order))
    return followed.mutate(last_day=ibis.least(followed.valid_to, followed.next_from - days(1)))


def role_holders(scope: Scope, roles: tuple[str, ...]) -> ir.Table:
    """Who holds one of the roles on each date."""
    known = stints(scope)
    holds = (
        known.role.isin(list(roles))
        & (known.valid_from <= known.day)
        & (known.last_day.isnull() | (known.last_day >= known.day))
    )
    return known.filter(holds).select("account_id", "i", who=known.contact_id).distinct()


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

    def relation(self, scope: Scope) -> ir.Table:
        """Count people, not rows: a promotion inside the role ends one row and begins another."""
        rows = stints(scope)
        role = rows.filter(rows.role.isin(list(self.roles)))
        held = role.filter(role.valid_from <= role.day)
        if self.number == "ever":
            return _people(held)
        if self.number == "new_title":
            return _people(_new_titles(held, self.window_days))
        named = role.successor_id.notnull() & (day_of(role.named_from) <= role.last_day)
        people = role.group_by("account_id", "i", "day", "contact_id").agg(
            begun=ibis.ifelse(role.valid_from <= role.day, 1, 0).max(),
            stays=ibis.ifelse(role.last_day.isnull(), 1, 0).max(),
            leaves=role.last_day.max(),
            named=ibis.ifelse(named, 1, 0).max(),
        )
        people = people.filter(people.begun == 1)
        if self.number == "staying":
            return _people(people.filter(people.stays == 1))
        leaving = people.filter((people.stays == 0) & (people.leaves >= people.day - days(self.window_days)))
        return _people(leaving.filter(leaving.named == (1 if self.number == "succeeded" else 0)))


def _people(rows: ir.Table) -> ir.Table:
    return rows.group_by("account_id", "i").agg(value=rows.contact_id.nunique().cast("float64"))


def _new_titles(held: ir.Table, window_days: int) -> ir.Table:
    in_order = ibis.window(group_by=["account_id", "i", "contact_id"], order_by=[held.valid_from, held.row_key])
    before = held.mutate(
        old=held.title.lag().over(in_order).lower(),
        new=held.title.lower(),
    )
    other = ~(before.new.contains(before.old) | before.old.contains(before.new))
    recent = before.valid_from >= before.day - days(window_days)  # a day counts from its end
    return before.filter(before.last_day.isnull() & recent & other)
