"""The account's service on a date, from its contracts: since when, for how much, until when.

Contracts are state: they count once recorded, also those that begin later. A contract is in force on a day D when
``start_date <= D`` and ``end_date`` is empty or ``>= D``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from features.measures.calendar import Floats, Ints
from features.measures.frames import Texts
from features.measures.groups import firsts, largest, smallest, sums
from features.measures.scope import RowsWanted, Scope

Mask = npt.NDArray[np.bool_]
AGREEMENTS = RowsWanted(
    "contracts",
    (),
    ("start_date", "end_date", "notice_deadline", "notice_at", "licences", "arr", "plan"),
    ordered=True,
)
NEVER_DAY = 4_000_000.0  # days since 1970; after every date


class Agreements:
    """Contracts as known on each date, by cell and in order of start, end and key.

    Days since 1970, NaN where not given; `last_day` is the end, or far ahead where it is open; `plan` is a code.
    A column is made when it is first read: those who take some rows read two or three.
    """

    cell: Ints
    day: Floats
    start: Floats
    end: Floats
    last_day: Floats
    notice_deadline: Floats
    notice_at: Floats
    licences: Floats
    arr: Floats
    plan: Ints
    key_rank: Ints

    def __init__(self, column: Callable[[str], Any], plans: tuple[str, ...]) -> None:
        self._column, self.plans = column, plans

    def __getattr__(self, name: str) -> Any:
        made = self.__dict__[name] = self._column(name)
        return made

    def take(self, rows: Mask | Ints) -> Agreements:
        """Return the chosen rows."""
        return Agreements(lambda name: getattr(self, name)[rows], self.plans)

    def in_force(self, day: Floats) -> Mask:
        """Return whether each contract has begun by the day and not ended before it."""
        return (self.start <= day) & (self.last_day >= day)

    def level(self, column: str) -> Floats:
        """Return a column of amounts."""
        values: Floats = getattr(self, column)
        return values


def agreements(scope: Scope) -> Agreements:
    """Return the contracts as known on each date."""
    return scope.kept("agreements", _agreements)


def _agreements(scope: Scope) -> Agreements:
    rows = scope.rows("contracts")
    start, end = rows.numbers["start_date"], rows.numbers["end_date"]
    last_day = np.where(np.isnan(end), NEVER_DAY, end)
    row, cell = scope.expanded(rows.account, rows.known)
    order = np.lexsort((rows.key_rank[row], last_day[row], start[row], cell))
    row, cell = row[order], cell[order]
    columns = {**rows.numbers, "last_day": last_day, "key_rank": rows.key_rank}
    columns |= {"start": start, "end": end, "plan": rows.codes("plan")}
    of_cells = {"cell": cell, "day": scope.day[cell]}
    return Agreements(
        lambda name: of_cells[name] if name in of_cells else columns[name][row],
        rows.texts["plan"].values if "plan" in rows.texts else (),
    )


def service_start(scope: Scope) -> Floats:
    """Shape (cells,): the first day of the account's present run of contracts; NaN before the first begins.

    Gaps of up to the grace are allowed; an account that came back after a longer gap starts again.
    """
    return scope.kept("service start", _service_start)


def _service_start(scope: Scope) -> Floats:
    known = agreements(scope)
    begun = known.take(known.start <= known.day)
    new = firsts(begun.cell)
    # Running maximum within each cell: cells are kept apart by more than any day.
    apart = np.cumsum(new) * (2 * NEVER_DAY)
    reached = np.maximum.accumulate(begun.last_day + apart) - apart
    ended_before = np.full(len(new), -np.inf)
    ended_before[1:] = np.where(new[1:], -np.inf, reached[:-1])
    fresh = begun.start > ended_before + scope.grace_days + 1
    return largest(begun.cell[fresh], begun.start[fresh], scope.cells)


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
    known, size = agreements(scope), scope.cells
    held = known.take(known.in_force(known.day))
    begun = known.start <= known.day
    last_end = largest(known.cell[begun], known.last_day[begun], size)
    served = ~np.isnan(last_end)
    deadline, renewal = _ahead(known, scope)

    def once_begun(values: Floats) -> Floats:
        return np.where(served, values, np.nan)

    length = np.full(size, np.nan)
    most_value = held.take(_first_by(held, held.arr, held.licences))
    length[most_value.cell] = most_value.end - most_value.start + 1
    return Facts(
        service_start(scope),
        sums(held.cell, None, size),
        _sum_of_given(held.cell, held.licences, size),
        _sum_of_given(held.cell, held.arr, size),
        once_begun(deadline),
        once_begun(renewal),
        Texts(leading_plan(held, size), known.plans),
        length,
        last_end,
        _notice(known, size) & served,
    )


def _sum_of_given(cells: Ints, values: Floats, size: int) -> Floats:
    given = ~np.isnan(values)
    total = sums(cells[given], values[given], size)
    return np.where(sums(cells[given], None, size) > 0, total, np.nan)


def _notice(known: Agreements, size: int) -> Mask:
    """Leaving: notice was given, and nothing that still runs, or else nothing that ran longer, is without it."""
    given = known.notice_at < known.day  # a day counts from its end
    left = given & (known.start <= known.day)
    leaving = largest(known.cell[left], known.last_day[left], size)
    staying = largest(known.cell[~given], known.last_day[~given], size)
    day = largest(known.cell, known.day, size)
    nothing_else = np.isnan(staying) | ((staying < day) & (staying <= leaving))
    return ~np.isnan(leaving) & nothing_else


def _ahead(known: Agreements, scope: Scope) -> tuple[Floats, Floats]:
    """Days to what is still to be decided: contracts that nothing already signed will follow."""
    running = known.take(known.last_day >= known.day)
    # Starts stand in order within each cell; a contract is followed if one lies between its edges.
    starts = known.cell * (2 * NEVER_DAY) + known.start
    base = running.cell * (2 * NEVER_DAY)
    after = np.searchsorted(starts, base + np.maximum(running.start, running.day), side="right")
    until = np.searchsorted(starts, base + running.end + scope.grace_days + 1, side="right")
    followed = ~np.isnan(running.end) & (until > after)
    open_ = running.take(~followed)
    to_deadline = np.where(open_.notice_deadline >= open_.day, open_.notice_deadline - open_.day, np.nan)
    return (
        smallest(open_.cell, to_deadline, scope.cells),
        smallest(open_.cell, open_.end - open_.day, scope.cells),
    )


def leading_plan(held: Agreements, size: int) -> Ints:
    """Per cell, the code of the plan with the most licences (ties: value, then the key); -1 without any."""
    first = held.take(_first_by(held, held.licences, held.arr))
    plan = np.full(size, -1, dtype=np.int64)
    plan[first.cell] = first.plan
    return plan


def _first_by(held: Agreements, amount: Floats, then: Floats) -> Ints:
    """Per cell, the contract with the most of the first amount, then of the next, then by key."""
    most, then = (np.where(np.isnan(values), 1.0, -values) for values in (amount, then))
    order = np.lexsort((-held.key_rank, then, most, held.cell))
    return order[firsts(held.cell[order])]
