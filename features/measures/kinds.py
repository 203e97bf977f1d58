"""What each measure kind makes of its quantities: a value, or the reason why there is none.

One function a kind, vectorised over n pairs of account and date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from features.catalogue import schema
from features.measures.calendar import SECONDS_A_DAY
from features.measures.conditions import judged
from features.measures.contracts import Level, LevelAhead, NearDeadlineRows, Offered
from features.measures.known import Answer, Known, Mask, answer_unless, covered_for, divided
from features.measures.letters import KNOWN, Letters, letter
from features.measures.quantities import (
    ActiveBlocks,
    Answers,
    Duration,
    DurationNumber,
    LastDebut,
    LastTime,
    Nameless,
    OpenAt,
    ServiceWindow,
    Total,
)
from features.readings import UnknownReason
from features.vectors import Floats


def _aggregate(measure: schema.AggregateMeasure, known: Known) -> Answer:
    aggregate = measure.aggregate
    covered = covered_for(aggregate, known)
    if aggregate.of == "mean":
        total = known.count(Total(aggregate.model_copy(update={"of": "sum"})))
        rows = known.count(Total(aggregate, given_only=True))
        return answer_unless(divided(total, rows), covered, (rows < measure.minimum_rows, UnknownReason.TOO_FEW))
    value = known.count(Total(aggregate))
    for bonus in measure.bonuses:
        value = value + bonus.points * (_bonus(bonus, aggregate, known) > 0)
    return answer_unless(value, covered)


def _bonus(bonus: schema.Bonus, aggregate: schema.Aggregate, known: Known) -> Floats:
    if bonus.near_deadline is not None:
        if "contracts" not in known.connected:
            return np.zeros(known.size)
        return known.count(NearDeadlineRows(aggregate, bonus.near_deadline))
    assert bonus.filter is not None  # the schema asks for one of the two
    narrowed = tuple({**chosen, **bonus.filter} for chosen in aggregate.any_of or ({},))
    return known.count(Total(aggregate.model_copy(update={"of": "rows", "columns": (), "any_of": narrowed})))


def _ratio(measure: schema.RatioMeasure, known: Known) -> Answer:
    of, per = known.count(Total(measure.of)), known.count(Total(measure.per))
    value = divided(of, per) * measure.scale
    low_side, comfortable = measure.low_side, measure.comfortable
    if low_side is not None and comfortable is not None and comfortable.at_least is not None:
        table = low_side.and_none_of.table
        judged = (
            (per >= low_side.minimum_base)
            & known.in_stage(low_side.stages)
            & (known.window(table, low_side.and_none_of.window_days) == KNOWN)
            & (known.count(Total(low_side.and_none_of)) == 0)
        )
        value = np.where(judged, value, np.fmax(value, comfortable.at_least))
    return answer_unless(
        value, covered_for(measure.of, known), covered_for(measure.per, known), (per == 0, UnknownReason.NO_BASE)
    )


def _without_contracts(known: Known) -> tuple[bool, UnknownReason]:
    return "contracts" not in known.connected, UnknownReason.NOT_CONNECTED


def _utilisation(measure: schema.UtilisationMeasure, known: Known) -> Answer:
    people = known.count(Total(measure.people))
    sums = known.count(Nameless(measure.people))
    now, before = known.number(Level("licences")), known.number(Level("licences", measure.held_days))
    held = np.where(np.isnan(now) | np.isnan(before), 0.0, np.fmin(now, before))
    return answer_unless(
        divided(people, held),
        _without_contracts(known),
        ((people == 0) & (sums > 0), UnknownReason.NOT_APPLICABLE),
        covered_for(measure.people, known),
        (held <= 0, UnknownReason.NO_BASE),
    )


def _onboarding(measure: schema.OnboardingAdoptionMeasure, known: Known) -> Answer:
    if "contracts" not in known.connected:
        return answer_unless(np.full(known.size, np.nan), _without_contracts(known))
    people = known.count(ServiceWindow(measure.people, measure.from_day, measure.to_day))
    sums = known.count(ServiceWindow(measure.people, measure.from_day, measure.to_day, nameless=True))
    licences = known.number(Level("licences", service_day=measure.to_day))
    served = known.service_days()
    start = known.service_start + measure.from_day - 1
    end = known.service_start + measure.to_day
    outside = ~((served >= measure.to_day) & (served < measure.until_day))
    return answer_unless(
        divided(people, licences),
        known.unread(measure.people, *measure.people.columns),
        (outside | ((people == 0) & (sums > 0)), UnknownReason.NOT_APPLICABLE),
        known.coverage.status(measure.people.table, np.nan_to_num(start), np.nan_to_num(end)),
        (~(licences > 0), UnknownReason.NO_BASE),
    )


def _level_change(measure: schema.LevelChangeMeasure, known: Known) -> Answer:
    changes = []
    for column in ("licences", "arr"):
        lowest = np.fmin(known.number(Level(column)), known.number(LevelAhead(column)))  # of those that are known
        changes.append((lowest, known.number(Level(column, measure.days_ago))))
    (lowest, before), (lowest_value, before_value) = changes
    usable = ~np.isnan(lowest) & ~np.isnan(before)
    lowest = np.where(usable, lowest, lowest_value)
    before = np.where(usable, before, before_value)
    return answer_unless(
        divided(lowest, before) - 1.0,
        _without_contracts(known),
        (~(known.service_days() >= measure.days_ago), UnknownReason.HISTORY_TOO_SHORT),
        (~(before > 0) | np.isnan(lowest), UnknownReason.NO_BASE),
    )


def _trend(measure: schema.TrendMeasure, known: Known) -> Answer:
    def windows(aggregate: schema.Aggregate) -> tuple[Floats, Floats]:
        recent = aggregate.model_copy(update={"window_days": measure.recent_days})
        baseline = aggregate.model_copy(
            update={"window_days": measure.baseline_days, "until_days_ago": measure.recent_days}
        )
        return known.count(Total(recent)), known.count(Total(baseline))

    table = measure.of.table
    parts = (measure.of, measure.fallback)
    if table not in known.connected or all(known.unread(part, *part.columns)[0] for part in parts):
        return Answer(np.full(known.size, np.nan), np.full(known.size, letter(UnknownReason.NOT_CONNECTED)))
    recent, baseline = windows(measure.of)
    other_recent, other_baseline = windows(measure.fallback)
    named = (recent + baseline) > 0
    recent, baseline = np.where(named, recent, other_recent), np.where(named, baseline, other_baseline)
    turn = known.day - measure.recent_days
    recent_days = known.coverage.days(table, np.fmax(turn, known.service_start), known.day)
    baseline_start = np.fmax(turn - measure.baseline_days, known.service_start)
    baseline_days = known.coverage.days(table, baseline_start, turn)
    return answer_unless(
        divided(divided(recent, recent_days), divided(baseline, baseline_days)),
        (baseline_days < measure.minimum_baseline_days, UnknownReason.HISTORY_TOO_SHORT),
        (recent_days == 0, UnknownReason.NOT_DELIVERED),
        (baseline == 0, UnknownReason.NO_BASE),
    )


def _days_since(moment: Floats, known: Known) -> Floats:
    return np.floor((known.seconds - moment) / SECONDS_A_DAY)


def _recency(measure: schema.RecencyMeasure, known: Known) -> Answer:
    last = known.number(LastTime(measure.rows))
    since = np.where(np.isnan(last), known.service_days(), _days_since(last, known))
    last_day = np.floor((last - 1) / SECONDS_A_DAY)
    covered = known.since(measure.rows.table, np.where(np.isnan(last), -np.inf, last_day + 1))
    return answer_unless(
        since,
        known.unread(measure.rows),
        _never_short(covered, ~np.isnan(last)),
        (np.isnan(since), UnknownReason.NO_BASE),
    )


def _never_short(letters: Letters, seen: Mask) -> Letters:
    """After a row was seen, a hole in the feed is a hole: the history is not too short."""
    short = (letters == letter(UnknownReason.HISTORY_TOO_SHORT)) & seen
    return np.where(short, letter(UnknownReason.NOT_DELIVERED), letters)


def _breadth(measure: schema.BreadthMeasure, known: Known) -> Answer:
    used = known.count(
        Total(
            schema.Aggregate(
                table=measure.rows.table,
                any_of=measure.rows.any_of,
                of="distinct",
                columns=(measure.column,),
                window_days=measure.window_days,
                until_days_ago=measure.until_days_ago,
            )
        )
    )
    if "contracts" not in known.connected:
        return answer_unless(np.full(known.size, np.nan), _without_contracts(known))
    offered = known.count(
        Offered(
            measure.rows,
            measure.column,
            measure.window_days,
            measure.until_days_ago,
            by_plans_table="plans" in known.connected,
        )
    )
    return answer_unless(
        divided(used, offered),
        known.unread(measure.rows, measure.column),
        known.window(measure.rows.table, measure.window_days, measure.until_days_ago),
        (offered == 0, UnknownReason.NO_BASE),
    )


def _newness(measure: schema.NewnessMeasure, known: Known) -> Answer:
    debuts = [known.number(LastDebut(measure.rows, column)) for column in measure.columns]
    latest = np.fmax.reduce(debuts)
    value = np.where(np.isnan(latest), known.service_days(), _days_since(latest, known))
    served = known.service_days()
    return answer_unless(
        value,
        known.unread(measure.rows, *measure.columns),
        known.window(measure.rows.table, measure.history_days),
        (~(served >= measure.history_days), UnknownReason.HISTORY_TOO_SHORT),
    )


def _median_duration(measure: schema.MedianDurationMeasure, known: Known) -> Answer:
    ended = known.ended_columns.get(measure.rows.table, "")

    def of(number: DurationNumber) -> Duration:
        return Duration(measure.rows, ended, measure.window_days, number)

    company = known.count(of("company_median"))
    return answer_unless(
        divided(known.number(of("median")), company),
        known.unread(measure.rows, ended),
        known.window(measure.rows.table, measure.window_days),
        (known.count(of("count")) < measure.minimum_rows, UnknownReason.TOO_FEW),
        (company <= 0, UnknownReason.NO_BASE),
    )


def _open_at(measure: schema.OpenAtMeasure, known: Known) -> Answer:
    ended = known.ended_columns.get(measure.rows.table, "")
    value = known.count(OpenAt(measure.rows, ended, measure.ended_within_days))
    for bonus in measure.bonuses:
        old = known.count(OpenAt(measure.rows, ended, 0, bonus.open_longer_than_days))
        value = value + bonus.points * (old > 0)
    covered = known.window(measure.rows.table, max(measure.ended_within_days, 1))
    return answer_unless(value, known.unread(measure.rows, ended), covered)


def _latest(measure: schema.LatestMeasure, known: Known) -> Answer:
    mean = known.number(Answers(measure.rows, measure.by, measure.column, measure.window_days, "mean"))
    covered = known.window(measure.rows.table, measure.window_days)
    return answer_unless(
        mean, known.unread(measure.rows, measure.column), covered, (np.isnan(mean), UnknownReason.TOO_FEW)
    )


def _delta(measure: schema.DeltaMeasure, known: Known) -> Answer:
    change = known.number(Answers(measure.rows, measure.by, measure.column, measure.window_days, "change"))
    covered = known.window(measure.rows.table, measure.window_days)
    # Answers older than the feed cannot change what the two latest say: only a hole since then could.
    short = (covered == letter(UnknownReason.HISTORY_TOO_SHORT)) & ~np.isnan(change)
    return answer_unless(change, np.where(short, KNOWN, covered), (np.isnan(change), UnknownReason.TOO_FEW))


def _blocks(measure: schema.BlocksMeasure, known: Known) -> Answer:
    def rows(chosen: schema.Filter, block: int) -> Floats:
        return known.count(
            Total(
                schema.Aggregate(
                    table=measure.table,
                    any_of=(chosen,),
                    window_days=measure.block_days,
                    until_days_ago=block * measure.block_days,
                )
            )
        )

    worse = [rows(measure.more, block) > rows(measure.than, block) for block in range(measure.blocks)]
    return answer_unless(
        np.sum(worse, axis=0, dtype=np.float64),
        known.unread(schema.Rows(table=measure.table, any_of=({**measure.more, **measure.than},))),
        known.window(measure.table, measure.blocks * measure.block_days),
    )


def _silence(measure: schema.SilenceMeasure, known: Known) -> Answer:
    last = known.number(LastTime(measure.rows))
    since = _days_since(last, known)
    active = known.count(ActiveBlocks(measure.rows, measure.of_blocks, measure.block_days))
    steady = (active >= measure.active_blocks) & (since <= measure.kept_days)
    last_day = np.floor((last - 1) / SECONDS_A_DAY)
    covered = known.since(measure.rows.table, np.where(np.isnan(last), -np.inf, last_day + 1))
    return answer_unless(since, (~steady, UnknownReason.NOT_APPLICABLE), _never_short(covered, ~np.isnan(last)))


def _coded(measure: schema.CodedMeasure, known: Known) -> Answer:
    value = np.zeros(known.size)
    letters = np.full(known.size, KNOWN)
    for code in sorted(measure.codes, key=lambda code: code.code):
        found = judged(code.condition, known)
        holds = found.holds & (found.letters == KNOWN)
        unjudged = found.letters != KNOWN
        value = np.where(holds, float(code.code), value)
        # A code that holds settles the answer; one that cannot be judged unsettles a clear one only.
        letters = np.where(holds, KNOWN, np.where(unjudged & (value == 0), found.letters, letters))
    return Answer(np.where(letters == KNOWN, value, np.nan), letters)


_KINDS: dict[type, Callable[[Any, Known], Answer]] = {
    schema.AggregateMeasure: _aggregate,
    schema.RatioMeasure: _ratio,
    schema.UtilisationMeasure: _utilisation,
    schema.OnboardingAdoptionMeasure: _onboarding,
    schema.LevelChangeMeasure: _level_change,
    schema.TrendMeasure: _trend,
    schema.RecencyMeasure: _recency,
    schema.BreadthMeasure: _breadth,
    schema.NewnessMeasure: _newness,
    schema.MedianDurationMeasure: _median_duration,
    schema.OpenAtMeasure: _open_at,
    schema.LatestMeasure: _latest,
    schema.DeltaMeasure: _delta,
    schema.BlocksMeasure: _blocks,
    schema.SilenceMeasure: _silence,
    schema.CodedMeasure: _coded,
}


def measured(measure: schema.Measure, known: Known) -> Answer:
    """Read one measure for all pairs.

    Parameters
    ----------
    measure
        Any of the catalogue's kinds.
    known
        The pairs, and where quantities are asked of.

    Returns
    -------
    Answer
        Shape (n,) values in the signal's unit, NaN with a reason where unknown.
    """
    return _KINDS[type(measure)](measure, known)


def apply_rules(answer: Answer, applies: schema.Applies, unless: Answer | None, known: Known) -> Answer:
    """Make a reading ``not_applicable`` where the signal's question makes no sense.

    Where the stage is not known, that onboarding is over cannot be established: not applicable either.
    """
    outside = np.zeros(known.size, dtype=bool)
    if applies.stages:
        outside |= ~known.in_stage(applies.stages)
    if applies.unless is not None and unless is not None:
        outside |= np.nan_to_num(unless.values, nan=-np.inf) >= applies.unless.at_least
    return answer_unless(answer.values, answer.letters, (outside, UnknownReason.NOT_APPLICABLE))
