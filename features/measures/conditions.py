"""When a code holds: one function a condition, vectorised over n pairs of account and date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.catalogue import schema
from features.measures.contacts import ContactState, PeopleNumber
from features.measures.known import Known, Mask, covered_for, divided, first_reason
from features.measures.letters import KNOWN, Letters, letter
from features.measures.quantities import Answers, AnswersNumber, Total
from features.readings import UnknownReason
from features.vectors import Floats


@dataclass(frozen=True)
class Judged:
    """Shape (n,): where a condition holds; and letters, ``.`` where that can be told."""

    holds: Mask
    letters: Letters


def _at_least(condition: schema.AtLeast, known: Known) -> Judged:
    holds = known.count(Total(condition.aggregate)) >= condition.rows
    # Seen is seen, whatever the holes hide.
    return Judged(holds, np.where(holds, KNOWN, covered_for(condition.aggregate, known)))


def _no_rows(condition: schema.NoRows, known: Known) -> Judged:
    rows, covered = known.count(Total(condition.aggregate)), covered_for(condition.aggregate, known)
    # Somebody was seen: the condition fails whatever the holes hide.
    return Judged((rows == 0) & (covered == KNOWN), np.where(rows > 0, KNOWN, covered))


def _latest_at_most(condition: schema.LatestAtMost, known: Known) -> Judged:
    def answers(number: AnswersNumber) -> Floats:
        return known.number(
            Answers(
                condition.rows,
                condition.by,
                condition.column,
                condition.window_days,
                number,
                condition.at_most,
                condition.roles if number == "low_in_role" else (),
            )
        )

    low = answers("low")
    covered = known.window(condition.rows.table, condition.window_days)
    unread = known.unread(condition.rows, condition.column)
    letters = first_reason(unread, covered, (np.isnan(low), UnknownReason.TOO_FEW))
    if not condition.roles:
        return Judged(np.nan_to_num(low) > 0, letters)
    if "contacts" not in known.connected:
        unjudged = (letters == KNOWN) & (low > 0)
        return Judged(
            np.zeros(known.size, dtype=bool),
            np.where(unjudged, letter(UnknownReason.NOT_CONNECTED), letters),
        )
    return Judged(np.nan_to_num(answers("low_in_role")) > 0, letters)


def _above_own_rate(condition: schema.AboveOwnRate, known: Known) -> Judged:
    aggregate = condition.aggregate
    assert aggregate.window_days is not None  # the schema asks for it
    if aggregate.table not in known.connected:
        return Judged(np.zeros(known.size, dtype=bool), np.full(known.size, letter(UnknownReason.NOT_CONNECTED)))
    recent = known.count(Total(aggregate))
    earlier = aggregate.model_copy(
        update={"window_days": condition.baseline_days, "until_days_ago": aggregate.window_days}
    )
    baseline = known.count(Total(earlier))
    turn = known.day - aggregate.window_days
    start = np.fmax(turn - condition.baseline_days, known.service_start)
    baseline_days = known.coverage.days(aggregate.table, start, turn)
    recent_days = known.coverage.days(aggregate.table, np.fmax(turn, known.service_start), known.day)
    letters = first_reason(
        covered_for(aggregate, known),
        (baseline_days < condition.minimum_baseline_days, UnknownReason.HISTORY_TOO_SHORT),
    )
    holds = divided(recent, recent_days) > divided(baseline, baseline_days)
    return Judged(holds & (letters == KNOWN), letters)


def _contact_lost(condition: schema.ContactLost, known: Known) -> Judged:
    def people(roles: tuple[str, ...], number: PeopleNumber) -> Floats:
        return known.count(ContactState(roles, condition.window_days, number))

    ever = people(condition.roles, "ever") > 0

    def of(number: PeopleNumber) -> Floats:
        own = people(condition.roles, number)
        if not condition.fallback_roles:
            return own
        return np.where(ever, own, people(condition.fallback_roles, number))

    staying, left, succeeded = of("staying"), of("left"), of("succeeded")
    if condition.change == "gone":
        holds = (staying == 0) & (succeeded == 0)
    else:
        holds = (staying > 0) & ((left > 0) | (of("new_title") > 0))
    return Judged(holds, known.window("contacts", condition.window_days))


_CONDITIONS: dict[type, Callable[[Any, Known], Judged]] = {
    schema.AtLeast: _at_least,
    schema.NoRows: _no_rows,
    schema.LatestAtMost: _latest_at_most,
    schema.AboveOwnRate: _above_own_rate,
    schema.ContactLost: _contact_lost,
}


def judged(condition: schema.Condition, known: Known) -> Judged:
    """Judge one condition for all pairs."""
    return _CONDITIONS[type(condition)](condition, known)
