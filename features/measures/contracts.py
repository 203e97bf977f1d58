"""What contracts say beside the account's service: levels, deadlines near by, and what the plan offers."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features.catalogue.schema import Aggregate, NearDeadline, Rows
from features.measures.calendar import bit_or
from features.measures.rows import (
    Scope,
    Spec,
    at_dates,
    day_of,
    days,
    matching,
    visible,
    whenever_known,
    windowed,
)
from features.measures.service import in_force, leading_plan, with_last_day


@dataclass(frozen=True, eq=False)
class Level(Spec):
    """Licences (or another column of contracts) in force some days ago; or on a day of service."""

    column: str
    days_ago: int = 0
    service_day: int | None = None

    @property
    def table(self) -> str:
        return "contracts"

    def relation(self, scope: Scope) -> ir.Table:
        """The sum over the contracts known at `as_of` that were in force on the day; 0 where none was."""
        known = scope.agreements()
        if self.service_day is None:
            day = known.day - days(self.days_ago)
        else:
            day = known.service_start + days(self.service_day - 1)
        held = in_force(known, day)
        total = known.group_by("account_id", "i").agg(
            contracts=ibis.ifelse(held, 1, 0).sum(),
            level=ibis.ifelse(held, known[self.column].cast("float64"), ibis.null("float64")).sum(),
        )
        level = total.mutate(value=ibis.ifelse(total.contracts == 0, 0.0, total.level))
        return level.filter(level.value.notnull()).select("account_id", "i", "value")


@dataclass(frozen=True, eq=False)
class LevelAhead(Spec):
    """The smallest level on the later start dates of contracts that are known already."""

    column: str

    @property
    def table(self) -> str:
        return "contracts"

    def relation(self, scope: Scope) -> ir.Table:
        """Levels on each start date ahead, then the smallest."""
        known = scope.agreements()
        ahead = known.filter(known.start_date > known.day)
        starts = ahead.select("account_id", "i", then=ahead.start_date).distinct()
        both = known.join(starts, ["account_id", "i"])
        held = both.filter(in_force(both, both.then))
        levels = held.group_by("account_id", "i", "then").agg(level=held[self.column].sum().cast("float64"))
        smallest = levels.group_by("account_id", "i").agg(value=levels.level.min())
        return smallest.filter(smallest.value.notnull())


@dataclass(frozen=True, eq=False)
class NearDeadlineRows(Spec):
    """Rows of an aggregate that lie shortly before the notice deadline of a contract in force then."""

    aggregate: Aggregate
    near: NearDeadline

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """Days from the row's day to the deadline, at most the smaller of the two bounds."""
        rows = at_dates(
            windowed(self.aggregate, scope).select("account_id", "row_key", "occurred_at", "mask"),
            scope.calendar.bits,
        )
        known = scope.agreements().select(
            "account_id", "i", "start_date", "end_date", "last_day", "notice_deadline"
        )
        both = rows.join(known, ["account_id", "i"]).mutate(on=day_of(ibis._.occurred_at))
        deadline = ibis.coalesce(both.notice_deadline, both.end_date)
        term = (both.end_date.delta(both.start_date, unit="day") + 1).cast("float64")
        bound = ibis.least(
            ibis.literal(float(self.near.days)),
            (term * self.near.term_share).fill_null(float(self.near.days)),
        )
        left = deadline.delta(both.on, unit="day").cast("float64")
        close = both.filter(in_force(both, both.on) & (left >= 0) & (left <= bound))
        return close.group_by("account_id", "i").agg(value=close.row_key.nunique().cast("float64"))


@dataclass(frozen=True, eq=False)
class Offered(Spec):
    """How many values of `column` the account's plan offers."""

    rows: Rows
    column: str
    window_days: int
    until_days_ago: int
    by_plans_table: bool

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """By the plans table; without one, what any account of the plan used in the same window."""
        if self.by_plans_table:
            return self._by_plans(scope)
        table = matching(scope.all_rows_of(self.rows.table), self.rows.any_of)
        masked = visible(table.filter(table[self.column].notnull()), scope, self.window_days, self.until_days_ago)
        used = masked.group_by("account_id", thing=masked[self.column]).agg(mask=bit_or(masked.mask))
        dated = at_dates(used, scope.calendar.bits)
        by_plan = dated.join(self._plans_of_all(scope), ["account_id", "i"])
        offered = by_plan.group_by("plan", "i").agg(value=by_plan.thing.nunique().cast("float64"))
        return _own_plan(scope).join(offered, ["plan", "i"]).select("account_id", "i", "value")

    def _plans_of_all(self, scope: Scope) -> ir.Table:
        dated = at_dates(whenever_known(scope.all_rows_of("contracts")), scope.calendar.bits)
        known = with_last_day(dated)
        return leading_plan(known.filter(in_force(known, known.day)))

    def _by_plans(self, scope: Scope) -> ir.Table:
        plans = scope.all_rows_of("plans")
        dated = at_dates(whenever_known(plans), scope.calendar.bits)
        valid = (dated.valid_from.isnull() | (dated.valid_from <= dated.day)) & (
            dated.valid_to.isnull() | (dated.valid_to >= dated.day)
        )
        now = dated.filter(valid)
        offered = now.group_by("plan", "i").agg(value=now.feature.nunique().cast("float64"))
        return _own_plan(scope).join(offered, ["plan", "i"]).select("account_id", "i", "value")


def _own_plan(scope: Scope) -> ir.Table:
    terms = scope.agreements()
    return leading_plan(terms.filter(in_force(terms, terms.day)))
