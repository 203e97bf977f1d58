"""What contracts say beside the account's service: levels, deadlines near by, and what the plan offers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.catalogue.schema import Aggregate, NearDeadline, Rows
from features.measures.calendar import Floats
from features.measures.frames import Demand, Spec, day_of
from features.measures.groups import firsts, numbered, pairs_within, smallest, sums
from features.measures.scope import CountsWanted, RowsWanted, Scope
from features.measures.service import AGREEMENTS, agreements, facts, service_start


@dataclass(frozen=True, eq=False)
class Level(Spec):
    """Licences (or another column of contracts) in force some days ago; or on a day of service."""

    column: str
    days_ago: int = 0
    service_day: int | None = None

    @property
    def table(self) -> str:
        return "contracts"

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (AGREEMENTS,)

    def numbers(self, scope: Scope) -> Floats:
        """The sum over the contracts known at `as_of` that were in force on the day; 0 where none was."""
        known = agreements(scope)
        day = known.day - self.days_ago
        if self.service_day is not None:
            day = service_start(scope)[known.cell] + self.service_day - 1
        held = known.in_force(day)
        amount = known.level(self.column)
        given = held & ~np.isnan(amount)
        level = sums(known.cell[given], amount[given], scope.cells)
        unsaid = (sums(known.cell[held], None, scope.cells) > 0) & (
            sums(known.cell[given], None, scope.cells) == 0
        )
        any_known = sums(known.cell, None, scope.cells) > 0
        return np.where(any_known & ~unsaid, level, np.nan)


@dataclass(frozen=True, eq=False)
class LevelAhead(Spec):
    """The smallest level on the later start dates of contracts that are known already."""

    column: str

    @property
    def table(self) -> str:
        return "contracts"

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (AGREEMENTS,)

    def numbers(self, scope: Scope) -> Floats:
        """Levels on each start date ahead, then the smallest."""
        known = agreements(scope)
        ahead = known.take(known.start > known.day)  # in order of start within each cell
        then = ahead.take(firsts(numbered([ahead.cell, ahead.start.astype(np.int64)])))
        one, other = pairs_within(then.cell, known.cell)
        amount = known.level(self.column)[other]
        held = known.take(other).in_force(then.start[one]) & ~np.isnan(amount)
        levels = sums(one[held], amount[held], len(then.cell))
        said = sums(one[held], None, len(then.cell)) > 0
        return smallest(then.cell[said], levels[said], scope.cells)


@dataclass(frozen=True, eq=False)
class NearDeadlineRows(Spec):
    """Rows of an aggregate that lie shortly before the notice deadline of a contract in force then."""

    aggregate: Aggregate
    near: NearDeadline

    @property
    def table(self) -> str:
        return self.aggregate.table

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        return (RowsWanted(self.table, (self.aggregate.any_of,)), AGREEMENTS)

    def numbers(self, scope: Scope) -> Floats:
        """Days from the row's day to the deadline, at most the smaller of the two bounds."""
        rows, aggregate = scope.rows(self.table), self.aggregate
        mask = rows.known & scope.calendar.within(rows.occurred, aggregate.window_days, aggregate.until_days_ago)
        chosen = np.flatnonzero(rows.matching(aggregate.any_of) & (mask != 0))
        row, cell = scope.expanded(rows.account[chosen], mask[chosen])
        known = agreements(scope)
        place, agreement = pairs_within(cell, known.cell)
        known, on = known.take(agreement), day_of(rows.occurred)[chosen[row[place]]]
        deadline = np.where(np.isnan(known.notice_deadline), known.end, known.notice_deadline)
        bound = np.fmin((known.end - known.start + 1) * self.near.term_share, float(self.near.days))
        left = deadline - on
        close = np.zeros(len(cell), dtype=bool)
        close[place[known.in_force(on) & (left >= 0) & (left <= bound)]] = True
        return sums(cell[close], None, scope.cells)


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

    @property
    def demand(self) -> Demand:
        return Demand(
            "values", self.table, self.rows.any_of, (self.column,), self.window_days, self.until_days_ago
        )

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        if self.by_plans_table:
            return (AGREEMENTS, PLANS)
        return (AGREEMENTS, AGREEMENTS_OF_ALL, CountsWanted(self.demand, of_everyone=True))

    def numbers(self, scope: Scope) -> Floats:
        """By the plans table; without one, what any account of the plan used in the same window."""
        dates = len(scope.calendar)
        offered = self._by_plans(scope) if self.by_plans_table else scope.everyone.kept(self, self._by_use)
        own = facts(scope).plan
        answer = np.full(scope.cells, np.nan)
        for code, name in enumerate((*own.values, None)):  # contracts that name no plan are one plan
            if name in offered:
                cells = np.flatnonzero(own.codes == (code if name is not None else -1))
                answer[cells] = offered[name][cells % dates]
        held = facts(scope).in_force > 0
        return np.where(held & (answer > 0), answer, np.nan)

    def _by_use(self, scope: Scope) -> dict[str | None, Floats]:
        """Per plan: how many values accounts of the plan showed, at each date."""
        seen, plan = scope.frame(self.table).valued(self.demand), facts(scope).plan
        held = facts(scope).in_force > 0
        values = int(seen.code.max(initial=-1)) + 1
        dates = len(scope.calendar)
        used = np.zeros((len(plan.values) + 1, dates, values), dtype=bool)
        for place in range(dates):
            rows = np.flatnonzero(seen.mask >> place & 1)
            cells = seen.account[rows] * dates + place
            rows, cells = rows[held[cells]], cells[held[cells]]
            used[plan.codes[cells], place, seen.code[rows]] = True  # -1, no plan named, is the last
        counts = used.sum(axis=2).astype(np.float64)
        return {name: counts[code] for code, name in enumerate((*plan.values, None))}

    def _by_plans(self, scope: Scope) -> dict[str | None, Floats]:
        """Per plan: how many features are valid at each date."""
        rows, calendar = scope.rows("plans"), scope.calendar
        plan, feature = rows.texts["plan"], rows.codes("feature")
        begins, ends = rows.numbers["valid_from"], rows.numbers["valid_to"]
        used = np.zeros((len(plan.values), len(calendar), int(feature.max(initial=-1)) + 1), dtype=bool)
        for place, day in enumerate(calendar.day):
            valid = ~(begins > day) & ~(ends < day) & (rows.known >> place & 1 > 0)
            used[plan.codes[valid], place, feature[valid]] = True
        counts = used.sum(axis=2).astype(np.float64)
        return {name: counts[code] for code, name in enumerate(plan.values)}


AGREEMENTS_OF_ALL = RowsWanted(
    AGREEMENTS.table, AGREEMENTS.any_of, AGREEMENTS.columns, AGREEMENTS.ordered, of_everyone=True
)
PLANS = RowsWanted("plans", (), ("plan", "feature", "valid_from", "valid_to"))
