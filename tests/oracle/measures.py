"""One function for each kind of measure, as its docstring in ``features/catalogue/schema.py`` says it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from features.catalogue import schema
from features.readings import UnknownReason
from tests.oracle import contracts
from tests.oracle.codes import coded
from tests.oracle.company import ONE_DAY, Row, day_of, moment
from tests.oracle.coverage import CannotSayError, days_between
from tests.oracle.question import Question
from tests.oracle.rows import (
    age_in_days,
    covered_number,
    durations,
    ended_at,
    in_window,
    is_open_at,
    matches,
    must_cover,
    number,
    occurred_at,
    rows_of,
    window,
)

Measure = Callable[[Question, Any], float]


def aggregate(q: Question, measure: schema.AggregateMeasure) -> float:
    must_cover(q.view, measure.aggregate)
    rows = rows_of(q.view, measure.aggregate)
    if measure.aggregate.of == "mean":
        (column,) = measure.aggregate.columns
        if sum(row[column] is not None for row in rows) < measure.minimum_rows:
            raise CannotSayError(UnknownReason.TOO_FEW)
    return number(measure.aggregate, rows) + bonuses(q, measure.aggregate.table, rows, measure.bonuses)


def bonuses(q: Question, table: str, rows: Sequence[Row], of: Sequence[schema.Bonus]) -> float:
    """Points for each bonus that at least one of the rows earns."""
    return sum(bonus.points for bonus in of if any(earns(q, table, row, bonus) for row in rows))


def earns(q: Question, table: str, row: Row, bonus: schema.Bonus) -> bool:
    if bonus.filter is not None:
        return matches(row, bonus.filter)
    if bonus.near_deadline is not None:
        return near_deadline(q, day_of(occurred_at(table, row)), bonus.near_deadline)
    assert bonus.open_longer_than_days is not None
    is_open = is_open_at(table, row, q.as_of)
    return is_open and age_in_days(occurred_at(table, row), q.as_of) > bonus.open_longer_than_days


def near_deadline(q: Question, day: dt.date, near: schema.NearDeadline) -> bool:
    """The deadline of a contract in force on that day lay ahead, by no more than the smaller of the two."""
    for contract in contracts.in_force(q.contracts, day):
        deadline = contract["notice_deadline"] or contract["end_date"]
        term = contracts.term_days(contract)
        at_most = near.days if term is None else min(near.days, near.term_share * term)
        if deadline and 0 <= (deadline - day).days <= at_most:
            return True
    return False


def ratio(q: Question, measure: schema.RatioMeasure) -> float:
    of, per = covered_number(q.view, measure.of), covered_number(q.view, measure.per)
    if per == 0:
        raise CannotSayError(UnknownReason.NO_BASE)
    value = of / per * measure.scale
    low = measure.comfortable.at_least if measure.comfortable else None
    if measure.low_side and low is not None and value < low and not low_side(q, measure.low_side, per):
        return low
    return value


def low_side(q: Question, side: schema.LowSide, base: float) -> bool:
    """May the low side be judged: enough people, the stage, and nothing of the other kind for certain?"""
    if base < side.minimum_base or q.stage not in side.stages:
        return False
    try:
        return covered_number(q.view, side.and_none_of) == 0
    except CannotSayError:
        return False


def utilisation(q: Question, measure: schema.UtilisationMeasure) -> float:
    rows = rows_of(q.view, measure.people)
    q.must_know_contracts()
    must_name_somebody(rows)
    people = covered_number(q.view, measure.people)
    today = q.as_of.date()
    held = [contracts.level(q.contracts, "licences", day) for day in (today, today - ONE_DAY * measure.held_days)]
    return people / base(min(level or 0 for level in held))


def must_name_somebody(rows: Sequence[Row]) -> None:
    """Rows that all name nobody cannot say how many distinct people there were."""
    if rows and all(row["user_id"] is None for row in rows):
        raise CannotSayError(UnknownReason.NOT_APPLICABLE)


def base(amount: float | None) -> float:
    """What is divided by; nothing to divide by says so."""
    if not amount:
        raise CannotSayError(UnknownReason.NO_BASE)
    return amount


def onboarding_adoption(q: Question, measure: schema.OnboardingAdoptionMeasure) -> float:
    q.view.feed(measure.people.table)
    q.must_know_contracts()
    tenure = q.view.tenure_days
    if tenure is None or q.view.service_start is None or not measure.to_day <= tenure < measure.until_day:
        raise CannotSayError(UnknownReason.NOT_APPLICABLE)
    first = q.view.service_start + ONE_DAY * (measure.from_day - 1)
    last = q.view.service_start + ONE_DAY * (measure.to_day - 1)
    span = (moment(first) - ONE_DAY, moment(last))
    rows = rows_of(q.view, measure.people, span)
    must_name_somebody(rows)
    q.view.must_cover(measure.people.table, span)
    people = number(measure.people, rows)
    return people / base(contracts.level(q.contracts, "licences", last))


def level_change(q: Question, measure: schema.LevelChangeMeasure) -> float:
    q.must_know_contracts()
    if q.view.tenure_days is None or q.view.tenure_days < measure.days_ago:
        raise CannotSayError(UnknownReason.HISTORY_TOO_SHORT)
    today = q.as_of.date()
    for column in ("licences", "arr"):
        now = contracts.level_ahead(q.contracts, column, today)
        then = contracts.level(q.contracts, column, today - ONE_DAY * measure.days_ago)
        if now is not None and then is not None:
            return now / base(then) - 1
    raise CannotSayError(UnknownReason.NO_BASE)


def trend(q: Question, measure: schema.TrendMeasure) -> float:
    recent = window(q.as_of, measure.recent_days)
    before = window(q.as_of, measure.baseline_days, measure.recent_days)
    feed = q.view.feed(measure.of.table)
    recent_days, before_days = (len(feed.covered(days_between(*span))) for span in (recent, before))
    if before_days < measure.minimum_baseline_days:
        raise CannotSayError(UnknownReason.HISTORY_TOO_SHORT)
    if recent_days == 0:
        raise CannotSayError(UnknownReason.NOT_DELIVERED)
    now, then = (number(measure.of, rows_of(q.view, measure.of, span)) for span in (recent, before))
    if now == then == 0:
        now, then = (
            number(measure.fallback, rows_of(q.view, measure.fallback, span)) for span in (recent, before)
        )
    return (now / recent_days) / (base(then) / before_days)


def recency(q: Question, measure: schema.RecencyMeasure) -> float:
    table = measure.rows.table
    feed = q.view.feed(table)
    rows = q.view.rows(measure.rows)
    if not rows:
        return days_of_service(q, table)
    last = max(occurred_at(table, row) for row in rows)
    feed.must_cover(days_since(last, q.as_of), otherwise=UnknownReason.NOT_DELIVERED)
    return age_in_days(last, q.as_of)


def days_since(last: dt.datetime, as_of: dt.datetime) -> list[dt.date]:
    """The days after that of the last row: whatever else that day held, the age in whole days is the same."""
    return days_between(moment(day_of(last)), as_of)


def days_of_service(q: Question, table: str) -> float:
    """Never anything, although every day since service began was delivered: as many days as that."""
    if q.view.service_start is None or q.view.tenure_days is None:
        feed = q.view.feed(table)
        feed.must_cover(feed.days_until(q.as_of))
        raise CannotSayError(UnknownReason.NO_BASE)
    q.view.must_cover(table, (moment(q.view.service_start) - ONE_DAY, q.as_of))
    return q.view.tenure_days


def breadth(q: Question, measure: schema.BreadthMeasure) -> float:
    span = window(q.as_of, measure.window_days, measure.until_days_ago)
    q.view.feed(measure.rows.table)
    q.must_know_contracts()
    q.view.must_cover(measure.rows.table, span)
    values = q.values_shown(q.view.account_id, measure, span)
    if not contracts.in_force(q.contracts, q.as_of.date()):
        raise CannotSayError(UnknownReason.NO_BASE)
    offered = q.offered(contracts.plan(q.contracts, q.as_of.date()), measure)
    return len(values) / base(len(offered))


def newness(q: Question, measure: schema.NewnessMeasure) -> float:
    table = measure.rows.table
    feed = q.view.feed(table)
    feed.must_cover(days_between(*window(q.as_of, measure.history_days)))
    if q.view.tenure_days is None or q.view.tenure_days < measure.history_days:
        raise CannotSayError(UnknownReason.HISTORY_TOO_SHORT)
    firsts: dict[tuple[str, object], dt.datetime] = {}
    for row in q.view.rows(measure.rows):
        for column in measure.columns:
            if row[column] is not None:
                when = occurred_at(table, row)
                firsts[column, row[column]] = min(when, firsts.get((column, row[column]), when))
    if not firsts:
        return q.view.tenure_days
    return age_in_days(max(firsts.values()), q.as_of)


def median_duration(q: Question, measure: schema.MedianDurationMeasure) -> float:
    span = window(q.as_of, measure.window_days)
    q.view.must_cover(measure.rows.table, span)
    mine = durations(measure.rows.table, q.view.rows(measure.rows), span)
    if len(mine) < measure.minimum_rows:
        raise CannotSayError(UnknownReason.TOO_FEW)
    return median(mine) / base(q.company_median(measure))


def open_at(q: Question, measure: schema.OpenAtMeasure) -> float:
    """The feed must be alive at `as_of`, and through the days in which ended rows still count."""
    table = measure.rows.table
    q.view.must_cover(table, window(q.as_of, max(1, measure.ended_within_days)))
    recently = window(q.as_of, measure.ended_within_days)
    rows = []
    for row in q.view.rows(measure.rows):
        end = ended_at(table, row)
        if is_open_at(table, row, q.as_of) or (end and in_window(end, recently)):
            rows.append(row)
    return len(rows) + bonuses(q, table, rows, measure.bonuses)


def latest(q: Question, measure: schema.LatestMeasure) -> float:
    span = window(q.as_of, measure.window_days)
    q.view.must_cover(measure.rows.table, span)
    answers = q.answers_by(measure, span)
    if not answers:
        raise CannotSayError(UnknownReason.TOO_FEW)
    return mean([of[-1] for of in answers.values()])


def delta(q: Question, measure: schema.DeltaMeasure) -> float:
    """Answers without a name are by nobody in particular: no two of them make a pair.

    A pair found is a pair, although the window begins before the feed did.
    """
    span = window(q.as_of, measure.window_days)
    q.view.must_be_connected(measure.rows.table)
    answers = q.answers_by(measure, span)
    changes = [of[-1] - of[-2] for who, of in answers.items() if who is not None and len(of) > 1]
    try:
        q.view.must_cover(measure.rows.table, span)
    except CannotSayError as why:
        if why.reason is not UnknownReason.HISTORY_TOO_SHORT or not changes:
            raise
    if not changes:
        raise CannotSayError(UnknownReason.TOO_FEW)
    return mean(changes)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def blocks(q: Question, measure: schema.BlocksMeasure) -> float:
    whole = window(q.as_of, measure.blocks * measure.block_days)
    q.view.must_cover(measure.table, whole)
    worse = 0
    for block in range(measure.blocks):
        span = window(q.as_of, measure.block_days, block * measure.block_days)
        rows = q.view.rows(schema.Rows(table=measure.table), span)
        more = sum(matches(row, measure.more) for row in rows)
        worse += more > sum(matches(row, measure.than) for row in rows)
    return worse


def silence(q: Question, measure: schema.SilenceMeasure) -> float:
    table = measure.rows.table
    feed = q.view.feed(table)
    times = [occurred_at(table, row) for row in q.view.rows(measure.rows)]
    if not times:
        raise CannotSayError(UnknownReason.NOT_APPLICABLE)
    last = max(times)
    spans = [window(last, measure.block_days, block * measure.block_days) for block in range(measure.of_blocks)]
    active = sum(any(in_window(when, span) for when in times) for span in spans)
    if active < measure.active_blocks or age_in_days(last, q.as_of) > measure.kept_days:
        raise CannotSayError(UnknownReason.NOT_APPLICABLE)
    feed.must_cover(days_since(last, q.as_of), otherwise=UnknownReason.NOT_DELIVERED)
    return age_in_days(last, q.as_of)


KINDS: dict[type, Measure] = {
    schema.AggregateMeasure: aggregate,
    schema.RatioMeasure: ratio,
    schema.UtilisationMeasure: utilisation,
    schema.OnboardingAdoptionMeasure: onboarding_adoption,
    schema.LevelChangeMeasure: level_change,
    schema.TrendMeasure: trend,
    schema.RecencyMeasure: recency,
    schema.BreadthMeasure: breadth,
    schema.NewnessMeasure: newness,
    schema.MedianDurationMeasure: median_duration,
    schema.OpenAtMeasure: open_at,
    schema.LatestMeasure: latest,
    schema.DeltaMeasure: delta,
    schema.BlocksMeasure: blocks,
    schema.SilenceMeasure: silence,
    schema.CodedMeasure: coded,
}
