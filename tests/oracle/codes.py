"""Coded measures: the highest code whose condition holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.catalogue import schema
from features.readings import UnknownReason
from tests.oracle.contacts import contact_lost
from tests.oracle.coverage import CannotSayError, days_between
from tests.oracle.delivery import must_be_delivered
from tests.oracle.question import Question
from tests.oracle.rows import covered_number, must_cover, number, rows_of, span_of, window

Condition = Callable[[Question, Any], bool]


def coded(q: Question, measure: schema.CodedMeasure) -> float:
    """The highest code known to hold; else why the highest one that cannot be judged cannot; else 0."""
    cannot: CannotSayError | None = None
    for code in sorted(measure.codes, key=lambda code: -code.code):
        try:
            must_be_delivered(q.view, code.condition)
            if CONDITIONS[type(code.condition)](q, code.condition):
                return code.code
        except CannotSayError as why:
            cannot = cannot or why
    if cannot is not None:
        raise cannot
    return 0


def at_least(q: Question, condition: schema.AtLeast) -> bool:
    """Enough rows are enough; too few are too few only where every day was delivered."""
    enough = number(condition.aggregate, rows_of(q.view, condition.aggregate)) >= condition.rows
    return enough or covered_number(q.view, condition.aggregate) >= condition.rows


def no_rows(q: Question, condition: schema.NoRows) -> bool:
    """Somebody seen is somebody; nobody seen is nobody only where every day was delivered."""
    return not rows_of(q.view, condition.aggregate) and covered_number(q.view, condition.aggregate) == 0


def latest_at_most(q: Question, condition: schema.LatestAtMost) -> bool:
    """Whose role it is matters only where somebody's answer is that low."""
    span = window(q.as_of, condition.window_days)
    q.view.must_cover(condition.rows.table, span)
    answers = q.answers_by(condition, span)
    if not answers:
        raise CannotSayError(UnknownReason.TOO_FEW)
    low = {who for who, of in answers.items() if of[-1] <= condition.at_most}
    if not low or not condition.roles:
        return bool(low)
    q.view.must_be_connected("contacts")
    return bool(low & q.people_at(condition.roles, q.as_of.date()))


def above_own_rate(q: Question, condition: schema.AboveOwnRate) -> bool:
    """More rows a day than a covered day before: the window must be covered, the time before in part."""
    recent = span_of(q.view, condition.aggregate)
    assert recent is not None, "such an aggregate has a window"
    before = window(recent[0], condition.baseline_days)
    feed = q.view.feed(condition.aggregate.table)
    must_cover(q.view, condition.aggregate)
    recent_days, before_days = (len(feed.covered(days_between(*span))) for span in (recent, before))
    if before_days < condition.minimum_baseline_days:
        raise CannotSayError(UnknownReason.HISTORY_TOO_SHORT)
    now, then = (rows_of(q.view, condition.aggregate, span) for span in (recent, before))
    return len(now) / recent_days > len(then) / before_days


def lost(q: Question, condition: schema.ContactLost) -> bool:
    q.view.must_cover("contacts", window(q.as_of, condition.window_days))
    return contact_lost(q.known, q.view.account_id, condition)


CONDITIONS: dict[type, Condition] = {
    schema.AtLeast: at_least,
    schema.NoRows: no_rows,
    schema.LatestAtMost: latest_at_most,
    schema.AboveOwnRate: above_own_rate,
    schema.ContactLost: lost,
}
