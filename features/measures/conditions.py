"""When a code holds: one function a condition, which makes a judge of n pairs of account and date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from features.catalogue import schema
from features.measures.contacts import ContactState, PeopleNumber
from features.measures.elementwise import Numbers, divided, either, fmax, isnan, where
from features.measures.known import NOT_CONNECTED, Connected, Known, Mask, covered_for, first_reason
from features.measures.letters import KNOWN, Letters
from features.measures.quantities import Answers, AnswersNumber, Total
from features.readings import UnknownReason


class Judged(NamedTuple):
    """Shape (n,): where a condition holds; and letters, ``.`` where that can be told."""

    holds: Mask
    letters: Letters


Judge = Callable[[Known], Judged]


def _at_least(condition: schema.AtLeast, connected: Connected) -> Judge:
    counted, covered = Total(condition.aggregate), covered_for(condition.aggregate, connected)

    def judged(known: Known) -> Judged:
        holds = known.count(counted) >= condition.rows
        # Seen is seen, whatever the holes hide.
        return Judged(holds, where(holds, KNOWN, covered(known)))

    return judged


def _no_rows(condition: schema.NoRows, connected: Connected) -> Judge:
    counted, covered_by = _rows_of(condition.aggregate), covered_for(condition.aggregate, connected)

    def judged(known: Known) -> Judged:
        rows, covered = known.count(counted), covered_by(known)
        # Somebody was seen: the condition fails whatever the holes hide.
        return Judged((rows == 0) & (covered == KNOWN), where(rows > 0, KNOWN, covered))

    return judged


def _rows_of(aggregate: schema.Aggregate, **moved: int) -> Total:
    """Return how many rows an aggregate has, whatever it makes of them."""
    return Total(aggregate.model_copy(update={"of": "rows", "columns": (), **moved}))


def _latest_at_most(condition: schema.LatestAtMost, connected: Connected) -> Judge:
    def answers(number: AnswersNumber) -> Answers:
        return Answers(
            condition.rows,
            condition.by,
            condition.column,
            condition.window_days,
            number,
            condition.at_most,
            condition.roles if number == "low_in_role" else (),
        )

    all_low, low_in_role = answers("low"), answers("low_in_role") if condition.roles else None
    unread = connected.unread(condition.rows, condition.column)

    def judged(known: Known) -> Judged:
        low = known.number(all_low)
        covered = known.window(condition.rows.table, condition.window_days)
        letters = first_reason(unread, covered, (isnan(low), UnknownReason.TOO_FEW))
        if low_in_role is None:
            return Judged(low > 0, letters)
        if "contacts" not in connected:
            unjudged = (letters == KNOWN) & (low > 0)
            return Judged(
                known.all(False),
                where(unjudged, NOT_CONNECTED, letters),
            )
        # Mostly nobody's answer is low, and who holds the role need not be known.
        in_role = either(low > 0, lambda: known.number(low_in_role), lambda: known.all(0.0))
        return Judged(in_role > 0, letters)

    return judged


def _above_own_rate(condition: schema.AboveOwnRate, connected: Connected) -> Judge:
    aggregate = condition.aggregate
    table, window_days = aggregate.table, aggregate.window_days
    assert window_days is not None  # the schema asks for it
    if table not in connected:
        return _not_connected
    until = aggregate.until_days_ago
    recent_rows = _rows_of(aggregate)
    earlier_rows = _rows_of(aggregate, window_days=condition.baseline_days, until_days_ago=window_days + until)
    covered = covered_for(aggregate, connected)

    def judged(known: Known) -> Judged:
        turn = known.day - until - window_days
        start = fmax(turn - condition.baseline_days, known.service_start)
        baseline_days = known.coverage.days(table, start, turn)
        recent_days = known.coverage.days(table, fmax(turn, known.service_start), known.day - until)
        letters = first_reason(
            covered(known),
            (baseline_days < condition.minimum_baseline_days, UnknownReason.HISTORY_TOO_SHORT),
        )
        recent, earlier = known.count(recent_rows), known.count(earlier_rows)
        holds = divided(recent, recent_days) > divided(earlier, baseline_days)
        return Judged(holds & (letters == KNOWN), letters)

    return judged


def _not_connected(known: Known) -> Judged:
    return Judged(known.all(False), known.all(NOT_CONNECTED))


def _contact_lost(condition: schema.ContactLost, connected: Connected) -> Judge:  # noqa: ARG001 - as all do
    def states(roles: tuple[str, ...]) -> dict[PeopleNumber, ContactState]:
        return {number: ContactState(roles, condition.window_days, number) for number in get_args(PeopleNumber)}

    own, others = states(condition.roles), states(condition.fallback_roles)

    def judged(known: Known) -> Judged:
        def of(number: PeopleNumber) -> Numbers:
            if not condition.fallback_roles:
                return known.count(own[number])
            ever = known.count(own["ever"]) > 0
            return either(ever, lambda: known.count(own[number]), lambda: known.count(others[number]))

        if condition.change == "gone":
            holds = (of("staying") == 0) & (of("succeeded") == 0)
        else:
            holds = (of("staying") > 0) & ((of("left") > 0) | (of("new_title") > 0))
        return Judged(holds, known.window("contacts", condition.window_days))

    return judged


_CONDITIONS: dict[type, Callable[[Any, Connected], Judge]] = {
    schema.AtLeast: _at_least,
    schema.NoRows: _no_rows,
    schema.LatestAtMost: _latest_at_most,
    schema.AboveOwnRate: _above_own_rate,
    schema.ContactLost: _contact_lost,
}


def judge(condition: schema.Condition, connected: Connected) -> Judge:
    """Return what judges one condition for all pairs."""
    return _CONDITIONS[type(condition)](condition, connected)
