"""What contracts say beside the account's service: levels, deadlines near by, and what the plan offers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import NearDeadline
from features.measures.calendar import Floats, Ints
from features.measures.frames import Demand, Spec, day_of
from features.measures.groups import firsts, numbered, pairs_within, smallest, sums
from features.measures.quantities import settled
from features.measures.scope import CountsWanted, OfAggregate, OfRows, RowsWanted, Scope
from features.measures.service import AGREEMENTS, Agreements, agreements, facts, service_start


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
        held, any_held = scope.kept(("held", self.days_ago, self.service_day), self._held)
        amount = known.level(self.column)[held]
        given = ~np.isnan(amount)
        cell = known.cell[held][given]
        level = sums(cell, amount[given], scope.cells)
        unsaid = any_held & (sums(cell, None, scope.cells) == 0)
        return np.where(scope.kept("any agreement", _any_agreement) & ~unsaid, level, np.nan)

    def _held(self, scope: Scope) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """The contracts in force on the day; and the cells that have any."""
        known = agreements(scope)
        day = known.day - self.days_ago
        if self.service_day is not None:
            day = service_start(scope)[known.cell] + self.service_day - 1
        held = np.flatnonzero(known.in_force(day))
        return held, sums(known.cell[held], None, scope.cells) > 0


def _any_agreement(scope: Scope) -> npt.NDArray[np.bool_]:
    return sums(agreements(scope).cell, None, scope.cells) > 0


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
        then, one, other = scope.kept("ahead", _ahead)
        amount = known.level(self.column)[other]
        given = ~np.isnan(amount)
        one, amount = one[given], amount[given]
        levels = sums(one, amount, len(then.cell))
        said = sums(one, None, len(then.cell)) > 0
        return smallest(then.cell[said], levels[said], scope.cells)


def _ahead(scope: Scope) -> tuple[Agreements, Ints, Ints]:
    """The start dates ahead, each once; and pairs of those and the contracts that are in force then."""
    known = agreements(scope)
    ahead = known.take(known.start > known.day)  # in order of start within each cell
    then = ahead.take(firsts(numbered([ahead.cell, ahead.start.astype(np.int64)])))
    one, other = pairs_within(then.cell, known.cell)
    held = known.take(other).in_force(then.start[one])
    return then, one[held], other[held]


@dataclass(frozen=True, eq=False)
class NearDeadlineRows(OfAggregate):
    """Rows of an aggregate that lie shortly before the notice deadline of a contract in force then."""

    near: NearDeadline

    @property
    def wants(self) -> tuple[RowsWanted | CountsWanted, ...]:
        since = self.aggregate.by_known_since
        columns = () if since is None else (since.column,)
        return (RowsWanted(self.table, (self.aggregate.any_of,), columns), AGREEMENTS)

    def numbers(self, scope: Scope) -> Floats:
        """Days from the row's day to the deadline, at most the smaller of the two bounds."""
        aggregate = self.aggregate
        rows = settled(scope.rows(self.table), aggregate.by_known_since)
        mask = rows.known & scope.calendar.within(rows.occurred, aggregate.window_days, aggregate.until_days_ago)
        chosen = np.flatnonzero(rows.matching(self.chosen) & (mask != 0))
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
class Offered(OfRows):
    """How many values of `column` the account's plan offers."""

    column: str
    window_days: int
    until_days_ago: int
    by_plans_table: bool

    @cached_property
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
        offered = scope.kept("plans offer", _by_plans) if self.by_plans_table else scope.reference(self)
        own = facts(scope).plan
        answer = np.full(scope.cells, np.nan)
        for code, name in enumerate((*own.values, None)):  # contracts that name no plan are one plan
            if name in offered:
                cells = np.flatnonzero(own.codes == (code if name is not None else -1))
                answer[cells] = offered[name][cells % dates]
        held = facts(scope).in_force > 0
        return np.where(held & (answer > 0), answer, np.nan)

    def of_everyone(self, everyone: Scope) -> dict[str | None, Floats]:
        """Per plan: how many values accounts of the plan showed, at each date."""
        seen, plan = everyone.frame(self.table).valued(self.demand), facts(everyone).plan
        held = facts(everyone).in_force > 0
        values = int(seen.code.max(initial=-1)) + 1
        dates = len(everyone.calendar)
        used = np.zeros((len(plan.values) + 1, dates, values), dtype=bool)
        for place in range(dates):
            rows = np.flatnonzero(seen.mask >> place & 1)
            cells = seen.account[rows] * dates + place
            rows, cells = rows[held[cells]], cells[held[cells]]
            used[plan.codes[cells], place, seen.code[rows]] = True  # -1, no plan named, is the last
        counts = used.sum(axis=2).astype(np.float64)
        return {name: counts[code] for code, name in enumerate((*plan.values, None))}


def _by_plans(scope: Scope) -> dict[str | None, Floats]:
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
