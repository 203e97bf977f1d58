"""What contracts say beside the account's service: levels, deadlines near by, and what the plan offers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import NearDeadline
from features.measures.calendar import Floats, Ints, Masks
from features.measures.frames import Demand, Spec, day_of
from features.measures.groups import dense, joined_masks, numbered, pairs_within, smallest, sums, where_so
from features.measures.quantities import settled
from features.measures.scope import CountsWanted, OfAggregate, OfRows, RowsWanted, Scope
from features.measures.service import AGREEMENTS, agreements, facts, service_runs, total_given


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
        contract, mask, none_held = scope.kept(("held", self.days_ago, self.service_day), self._held)
        level = total_given(scope, known.account[contract], mask, known.level(self.column)[contract])
        level[none_held] = 0.0
        return np.where(scope.kept("any agreement", _any_agreement), level, np.nan)

    def _held(self, scope: Scope) -> tuple[Ints, Masks, npt.NDArray[np.bool_]]:
        """Contracts, the dates at which they were in force on the day; and the cells that have none."""
        known = agreements(scope)
        if self.service_day is None:
            mask = known.held_before(self.days_ago)
            contract = mask.nonzero()[0]
            mask = mask[contract]
        else:
            starts, at = service_runs(scope)
            run, contract = pairs_within(starts.account, known.account)
            held = known.in_force(contract, starts.day[run] + self.service_day - 1)
            run, contract = run[held], contract[held]
            mask = at[run] & known.known[contract]
        return contract, mask, ~scope.calendar.any_of(known.account[contract], mask, scope.accounts)


def _any_agreement(scope: Scope) -> npt.NDArray[np.bool_]:
    known = agreements(scope)
    return scope.calendar.any_of(known.account, known.known, scope.accounts)


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
        known, calendar = agreements(scope), scope.calendar
        account, then, contract, mask = scope.kept("ahead", _ahead)
        if not len(account):
            return np.full(scope.cells, np.nan)
        amount, size = known.level(self.column)[contract], len(account)
        mask = where_so(mask, ~np.isnan(amount))
        row, place = calendar.expanded(then, mask)
        levels = sums(place, amount[row], size * len(calendar))
        said = calendar.any_of(then, mask, size)
        _, cells = calendar.cells(account, said.reshape(size, len(calendar)))
        return smallest(cells, levels[said], scope.cells)


def _ahead(scope: Scope) -> tuple[Ints, Ints, Ints, Masks]:
    """The accounts of start dates, each once; and such dates, contracts in force then, and when both lie ahead."""
    known = agreements(scope)
    ahead = known.known & scope.calendar.before(known.start)
    some = ahead.nonzero()[0]
    if not len(some):
        return some, some, some, ahead[some]
    first, joined = joined_masks(numbered([known.account[some], dense(known.start[some])]), ahead[some])
    account, start = known.account[some[first]], known.start[some[first]]
    then, contract = pairs_within(account, known.account)
    held = known.in_force(contract, start[then])
    then, contract = then[held], contract[held]
    return account, then, contract, joined[then] & known.known[contract]


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
        chosen = (rows.matching(self.chosen) & (mask != 0)).nonzero()[0]
        if not len(chosen):
            return np.zeros(scope.cells)
        known = agreements(scope)
        row, contract = pairs_within(rows.account[chosen], known.account)
        on = day_of(rows.occurred)[chosen[row]]
        deadline = np.where(np.isnan(known.notice_deadline), known.end, known.notice_deadline)
        bound = np.fmin((known.end - known.start + 1) * self.near.term_share, float(self.near.days))
        left = deadline[contract] - on
        close = known.in_force(contract, on) & (left >= 0) & (left <= bound[contract])
        near = np.zeros(len(chosen), dtype=known.known.dtype)
        np.bitwise_or.at(near, row[close], known.known[contract[close]])
        _, cells = scope.expanded(rows.account[chosen], mask[chosen] & near)
        return sums(cells, None, scope.cells)


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
        offered = scope.kept("plans offer", _by_plans) if self.by_plans_table else scope.reference(self)
        own, dates = facts(scope).plan, len(scope.calendar)
        nothing = np.full(dates, np.nan)
        names = (*own.values, None)  # contracts that name no plan, of code -1, are one plan
        of_plan = np.array([offered.get(name, nothing) for name in names])
        answer = of_plan[own.codes.reshape(scope.accounts, dates), np.arange(dates)].ravel()
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
            rows = (seen.mask >> place & 1).nonzero()[0]
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
