"""The account's service on a date, from its contracts: since when, for how much, until when.

Contracts are state: they count once recorded, also those that begin later. A contract is in force on a day D when
``start_date <= D`` and ``end_date`` is empty or ``>= D``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Calendar, Floats, Ints, Masks
from features.measures.frames import Starts, Texts
from features.measures.groups import (
    dense,
    firsts,
    joined_between,
    joined_masks,
    largest,
    lasts,
    numbered,
    ordered_by,
    smallest,
    sums,
    where_so,
)
from features.measures.scope import RowsWanted, Scope

Mask = npt.NDArray[np.bool_]
AGREEMENTS = RowsWanted(
    "contracts",
    (),
    ("start_date", "end_date", "notice_deadline", "notice_at", "licences", "arr", "plan"),
    ordered=True,
)
NEVER_DAY = 4_000_000.0  # days since 1970; after every date


@dataclass(frozen=True)
class Agreements:
    """Contracts known at any of the dates, by account and in order of start, end and key.

    Days since 1970, NaN where not given; `last_day` is the end, or far ahead where it is open; `plan` is a code;
    `known` are the dates at which each is known.
    """

    calendar: Calendar
    account: Ints
    known: Masks
    start: Floats
    end: Floats
    last_day: Floats
    notice_deadline: Floats
    notice_at: Floats
    licences: Floats
    arr: Floats
    plan: Ints
    key_rank: Ints
    plans: tuple[str, ...]

    @cached_property
    def begun(self) -> Masks:
        """The dates at which each is known and has begun."""
        return self.known & ~self.calendar.before(self.start)

    @cached_property
    def held(self) -> Masks:
        """The dates at which each is known and in force."""
        return self.held_before(0)

    def held_before(self, days: int) -> Masks:
        """Return the dates at which each is known, and was in force some days earlier."""
        begun = self.known & ~self.calendar.before(self.start + days)
        return begun & self.calendar.until(self.last_day + days)

    def in_force(self, contract: Ints, day: Floats) -> Mask:
        """Return whether each of some contracts has begun by a day and not ended before it."""
        return (self.start[contract] <= day) & (self.last_day[contract] >= day)

    def level(self, column: str) -> Floats:
        """Return a column of amounts."""
        values: Floats = getattr(self, column)
        return values


def agreements(scope: Scope) -> Agreements:
    """Return the contracts."""
    return scope.kept("agreements", _agreements)


def _agreements(scope: Scope) -> Agreements:
    rows = scope.rows("contracts")
    start, end = rows.numbers["start_date"], rows.numbers["end_date"]
    last_day = np.where(np.isnan(end), NEVER_DAY, end)
    known = rows.known.nonzero()[0]
    order = known[ordered_by(rows.account[known], start[known], last_day[known], rows.key_rank[known])]
    return Agreements(
        scope.calendar,
        rows.account[order],
        rows.known[order],
        start[order],
        end[order],
        last_day[order],
        rows.numbers["notice_deadline"][order],
        rows.numbers["notice_at"][order],
        rows.numbers["licences"][order],
        rows.numbers["arr"][order],
        rows.codes("plan")[order],
        rows.key_rank[order],
        rows.texts["plan"].values if "plan" in rows.texts else (),
    )


def service_start(scope: Scope) -> Floats:
    """Shape (cells,): the first day of the account's present run of contracts; NaN before the first begins.

    Gaps of up to the grace are allowed; an account that came back after a longer gap starts again.
    """
    return scope.kept("service", _service)[0]


def _service(scope: Scope) -> tuple[Floats, Floats]:
    """Shape (cells,): service start, and the last day of all contracts that have begun; NaN without any."""
    known, calendar = agreements(scope), scope.calendar
    begun = calendar.bits(known.begun)
    # Running maximum within each account, date by date: accounts are kept apart by more than any day.
    apart = known.account[:, None] * (2 * NEVER_DAY)
    reached = np.where(begun, known.last_day[:, None], -NEVER_DAY) + apart
    reached = np.maximum.accumulate(reached, axis=0) - apart
    fresh = begun.copy()
    fresh[1:] &= firsts(known.account)[1:, None] | (known.start[1:, None] > reached[:-1] + scope.grace_days + 1)
    row, cells = calendar.cells(known.account, fresh)
    start = np.full(scope.cells, np.nan)
    start[cells] = known.start[row]  # in order of start: of several the last stays
    ended = np.full((scope.accounts, len(calendar)), np.nan)
    last = lasts(known.account).nonzero()[0]
    ended[known.account[last]] = np.where(reached[last] > -NEVER_DAY, reached[last], np.nan)
    return start, ended.ravel()


def service_runs(scope: Scope) -> tuple[Starts, Masks]:
    """Return the different starts of service that each account has, and the dates at which it has them."""
    return scope.kept("service runs", _service_runs)


def _service_runs(scope: Scope) -> tuple[Starts, Masks]:
    start, dates = service_start(scope), len(scope.calendar)
    cells = (~np.isnan(start)).nonzero()[0]
    account, day = cells // dates, start[cells]
    new = firsts(account)
    new[1:] |= day[1:] != day[:-1]  # mostly one start for all dates: only where it changes is there more to join
    begins = new.nonzero()[0]
    masks = 1 << (cells - account * dates)
    masks = np.bitwise_or.reduceat(masks, begins) if len(begins) else masks
    account, day = account[begins], day[begins]
    first, joined = joined_masks(numbered([account, dense(day)]), masks)
    return Starts(account[first], day[first]), joined


def in_service(scope: Scope) -> Mask:
    """Shape (cells,): whether the account is known and has a contract in force, or will renew late.

    Late: the last contract ended within the grace, and nobody gave notice. Without a contracts table: every
    account known whose ``customer_since`` is empty or not later.
    """
    rows = scope.rows("accounts")
    row, cells = scope.expanded(rows.account, rows.known)
    here = np.zeros(scope.cells, dtype=bool)
    if "contracts" not in scope.connected:
        here[cells] = ~(rows.numbers["customer_since"][row] > scope.day[cells])
        return here
    here[cells] = True
    known = facts(scope)
    late = (known.last_end >= scope.day - scope.grace_days) & ~known.under_notice
    return here & ((known.in_force > 0) | late)


@dataclass(frozen=True)
class Facts:
    """What holds of each cell: shape (cells,), NaN (plan: -1) where no contract has begun or none says.

    ``service_start``; ``in_force`` (contracts); ``licences``, ``arr`` (sums over those; NaN where all are);
    ``days_to_notice_deadline`` and ``days_to_renewal`` (the nearest notice deadline and end that lie ahead, of
    contracts without one already signed to follow within the grace); ``plan`` of the contract with the most
    licences; ``contract_length_days`` of the one with the most value; ``last_end`` (of those begun; far ahead
    where open); ``under_notice``.
    """

    service_start: Floats
    in_force: Floats
    licences: Floats
    arr: Floats
    days_to_notice_deadline: Floats
    days_to_renewal: Floats
    plan: Texts
    contract_length_days: Floats
    last_end: Floats
    under_notice: Mask

    def numbers(self) -> dict[str, Floats]:
        """Return those that are numbers, by name."""
        return {name: getattr(self, name) for name in FACTS}


FACTS = tuple(one.name for one in fields(Facts) if one.name not in ("plan", "under_notice"))


def facts(scope: Scope) -> Facts:
    """Return what the contracts say of each cell."""
    return scope.kept("facts", _facts)


def _facts(scope: Scope) -> Facts:
    known = agreements(scope)
    start, last_end = scope.kept("service", _service)
    deadline, renewal = _ahead(known, scope)
    most_value = _foremost(known, scope, known.arr, known.licences)
    return Facts(
        start,
        sums(scope.expanded(known.account, known.held)[1], None, scope.cells),
        total_given(scope, known.account, known.held, known.licences),
        total_given(scope, known.account, known.held, known.arr),
        np.where(np.isnan(start), np.nan, deadline),
        np.where(np.isnan(start), np.nan, renewal),
        Texts(leading_plan(known, scope), known.plans),
        np.append(known.end - known.start + 1, np.nan)[most_value],
        last_end,
        _notice(known, scope),
    )


def total_given(scope: Scope, account: Ints, mask: Masks, amount: Floats) -> Floats:
    """Shape (cells,): the amounts that are given, of rows that count, added up as they stand; NaN without any."""
    row, cells = scope.expanded(account, where_so(mask, ~np.isnan(amount)))
    total = sums(cells, amount[row], scope.cells)
    total[sums(cells, None, scope.cells) == 0] = np.nan
    return total


def _notice(known: Agreements, scope: Scope) -> Mask:
    """Leaving: notice was given, and nothing that still runs, or else nothing that ran longer, is without it."""
    given = known.known & ~scope.calendar.until(known.notice_at)  # a day counts from its end
    left = given & known.begun
    leavers = known.account[left != 0]
    if not len(leavers):
        return np.zeros(scope.cells, dtype=bool)
    leaving_at_all = np.zeros(scope.accounts, dtype=bool)
    leaving_at_all[leavers] = True
    rows = leaving_at_all[known.account].nonzero()[0]
    account, last_day = known.account[rows], known.last_day[rows]
    row, cells = scope.expanded(account, left[rows])
    leaving = largest(cells, last_day[row], scope.cells)
    row, cells = scope.expanded(account, (known.known & ~given)[rows])
    staying = largest(cells, last_day[row], scope.cells)
    nothing_else = np.isnan(staying) | ((staying < scope.day) & (staying <= leaving))
    return ~np.isnan(leaving) & nothing_else


def _ahead(known: Agreements, scope: Scope) -> tuple[Floats, Floats]:
    """Days to what is still to be decided: contracts that nothing already signed will follow."""
    open_ = known.known & scope.calendar.until(known.last_day) & ~_followed(known, scope)

    def days_to(day: Floats) -> Floats:
        row, cells = scope.expanded(known.account, where_so(open_ & scope.calendar.until(day), ~np.isnan(day)))
        return smallest(cells, day[row], scope.cells) - scope.day

    return days_to(known.notice_deadline), days_to(known.end)


def _followed(known: Agreements, scope: Scope) -> Masks:
    """The dates at which another contract, that begins later, is signed to follow each within the grace."""
    ahead = known.known & scope.calendar.before(known.start)
    if not ahead.any():
        return ahead
    # Starts stand in order within each account; a contract is followed if one lies between its edges.
    base = known.account * (2 * NEVER_DAY)
    starts = base + known.start
    after = starts.searchsorted(starts, side="right")
    until = starts.searchsorted(base + np.fmin(known.last_day, NEVER_DAY) + scope.grace_days + 1, side="right")
    return joined_between(ahead, after, np.where(np.isnan(known.end), after, until))


def leading_plan(known: Agreements, scope: Scope) -> Ints:
    """Per cell, the code of the plan with the most licences (ties: value, then the key); -1 without any."""
    return np.append(known.plan, -1)[_foremost(known, scope, known.licences, known.arr)]


def _foremost(known: Agreements, scope: Scope, amount: Floats, then: Floats) -> Ints:
    """Per cell, the contract in force with the most of the first amount, then of the next, then by key; or -1."""
    amounts = (np.where(np.isnan(one), -1.0, one) for one in (amount, then))
    order = ordered_by(*amounts, known.key_rank)
    row, cells = scope.expanded(known.account[order], known.held[order])
    most = np.full(scope.cells, -1, dtype=np.int64)
    most[cells] = order[row]  # of several the last stays
    return most
