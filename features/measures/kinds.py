"""What each measure kind makes of its quantities: a value, or the reason why there is none.

One function a kind: of a measure and of what the company delivers it makes a reader, which then reads any number
of pairs of account and date at once. What does not depend on the pairs (which quantities, which columns are there)
is found when the reader is made: reading one account must not take longer than its numbers do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

from features.catalogue import schema
from features.measures.calendar import SECONDS_A_DAY
from features.measures.conditions import judge
from features.measures.contracts import Level, LevelAhead, NearDeadlineRows, Offered
from features.measures.elementwise import (
    Numbers,
    divided,
    floor,
    fmax,
    fmin,
    given,
    holds_throughout,
    isnan,
    negated,
    or_else,
    where,
)
from features.measures.filters import both_of
from features.measures.known import NOT_CONNECTED, Answer, Connected, Known, answer_unless, covered_for
from features.measures.letters import KNOWN, letter
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
from features.measures.scope import Quantity
from features.readings import UnknownReason

Reader = Callable[[Known], Answer]


def _aggregate(measure: schema.AggregateMeasure, connected: Connected) -> Reader:
    aggregate = measure.aggregate
    covered = covered_for(aggregate, connected)
    bonuses = [
        (bonus.points, found) for bonus in measure.bonuses if (found := _bonus(bonus, aggregate, connected))
    ]

    def earned(known: Known) -> Numbers:
        points: Numbers = 0.0
        for each, found in bonuses:
            points = points + each * (known.count(found) > 0)
        return points

    if aggregate.of == "mean":
        total, rows = Total(aggregate.model_copy(update={"of": "sum"})), Total(aggregate, given_only=True)

        def mean(known: Known) -> Answer:
            given = known.count(rows)
            few = (given < measure.minimum_rows, UnknownReason.TOO_FEW)
            return answer_unless(divided(known.count(total), given) + earned(known), covered(known), few)

        return mean
    counted = Total(aggregate)

    def read(known: Known) -> Answer:
        return answer_unless(known.count(counted) + earned(known), covered(known))

    return read


def _bonus(bonus: schema.Bonus, aggregate: schema.Aggregate, connected: Connected) -> Quantity | None:
    """Return the rows that earn a bonus; None if none can."""
    if bonus.near_deadline is not None:
        return NearDeadlineRows(aggregate, bonus.near_deadline) if "contracts" in connected else None
    assert bonus.filter is not None  # the schema asks for one of the two
    narrowed = [both for chosen in aggregate.any_of or ({},) if (both := both_of(chosen, bonus.filter))]
    if not narrowed:
        return None
    return Total(aggregate.model_copy(update={"of": "rows", "columns": (), "any_of": tuple(narrowed)}))


def _ratio(measure: schema.RatioMeasure, connected: Connected) -> Reader:
    of, per = Total(measure.of), Total(measure.per)
    of_covered, per_covered = covered_for(measure.of, connected), covered_for(measure.per, connected)
    low_side, comfortable = measure.low_side, measure.comfortable
    floor = comfortable.at_least if comfortable is not None else None
    others = Total(low_side.and_none_of) if low_side is not None else None
    others_covered = covered_for(low_side.and_none_of, connected) if low_side is not None else None

    def read(known: Known) -> Answer:
        base = known.count(per)
        value = divided(known.count(of), base) * measure.scale
        if low_side is not None and others is not None and others_covered is not None and floor is not None:
            judged = (
                (base >= low_side.minimum_base)
                & known.in_stage(low_side.stages)
                & (others_covered(known) == KNOWN)
                & (known.count(others) == 0)
            )
            value = where(judged, value, fmax(value, floor))
        no_base = (base == 0, UnknownReason.NO_BASE)
        return answer_unless(value, of_covered(known), per_covered(known), no_base)

    return read


def _utilisation(measure: schema.UtilisationMeasure, connected: Connected) -> Reader:
    named, nameless = Total(measure.people), Nameless(measure.people)
    level, level_before = Level("licences"), Level("licences", measure.held_days)
    covered = covered_for(measure.people, connected)

    def read(known: Known) -> Answer:
        people, sums = known.count(named), known.count(nameless)
        now, before = known.number(level), known.number(level_before)
        held = where(isnan(now) | isnan(before), 0.0, fmin(now, before))
        return answer_unless(
            divided(people, held),
            connected.without("contracts"),
            ((people == 0) & (sums > 0), UnknownReason.NOT_APPLICABLE),
            covered(known),
            (held <= 0, UnknownReason.NO_BASE),
        )

    return read


def _onboarding(measure: schema.OnboardingAdoptionMeasure, connected: Connected) -> Reader:
    if "contracts" not in connected:
        return _not_connected
    named = ServiceWindow(measure.people, measure.from_day, measure.to_day)
    nameless = ServiceWindow(measure.people, measure.from_day, measure.to_day, nameless=True)
    level = Level("licences", service_day=measure.to_day)
    unread = connected.unread(measure.people, *measure.people.columns)

    def read(known: Known) -> Answer:
        served = known.service_days()
        outside = negated((served >= measure.to_day) & (served < measure.until_day))
        if known.size and holds_throughout(outside):  # mostly so of one account, and nothing need be counted
            return answer_unless(known.all(math.nan), unread, (outside, UnknownReason.NOT_APPLICABLE))
        people, sums, licences = known.count(named), known.count(nameless), known.number(level)
        start = known.service_start + measure.from_day - 1
        end = known.service_start + measure.to_day
        return answer_unless(
            divided(people, licences),
            unread,
            (outside | ((people == 0) & (sums > 0)), UnknownReason.NOT_APPLICABLE),
            known.coverage.status(measure.people.table, or_else(start, 0.0), or_else(end, 0.0)),
            (negated(licences > 0), UnknownReason.NO_BASE),
        )

    return read


def _not_connected(known: Known) -> Answer:
    return Answer(known.all(math.nan), known.all(NOT_CONNECTED))


def _level_change(measure: schema.LevelChangeMeasure, connected: Connected) -> Reader:
    levels = {c: (Level(c), LevelAhead(c), Level(c, measure.days_ago)) for c in ("licences", "arr")}

    def lowest_and_before(column: str, known: Known) -> tuple[Numbers, Numbers]:
        now, ahead, then = levels[column]
        return fmin(known.number(now), known.number(ahead)), known.number(then)  # the lowest of those known

    def read(known: Known) -> Answer:
        lowest, before = lowest_and_before("licences", known)
        usable = given(lowest) & given(before)
        if not (known.size and holds_throughout(usable)):  # mostly so of one account
            lowest_value, before_value = lowest_and_before("arr", known)
            lowest, before = where(usable, lowest, lowest_value), where(usable, before, before_value)
        return answer_unless(
            divided(lowest, before) - 1.0,
            connected.without("contracts"),
            (negated(known.service_days() >= measure.days_ago), UnknownReason.HISTORY_TOO_SHORT),
            (negated(before > 0) | isnan(lowest), UnknownReason.NO_BASE),
        )

    return read


def _trend(measure: schema.TrendMeasure, connected: Connected) -> Reader:
    table, parts = measure.of.table, (measure.of, measure.fallback)
    if table not in connected or all(connected.unread(part, *part.columns)[0] for part in parts):
        return _not_connected

    def windows(aggregate: schema.Aggregate) -> tuple[Total, Total]:
        recent = aggregate.model_copy(update={"window_days": measure.recent_days})
        baseline = aggregate.model_copy(
            update={"window_days": measure.baseline_days, "until_days_ago": measure.recent_days}
        )
        return Total(recent), Total(baseline)

    (recent_named, baseline_named), (recent_other, baseline_other) = map(windows, parts)

    def read(known: Known) -> Answer:
        recent, baseline = known.count(recent_named), known.count(baseline_named)
        named = (recent != 0) | (baseline != 0)
        recent = where(named, recent, known.count(recent_other))
        baseline = where(named, baseline, known.count(baseline_other))
        turn = known.day - measure.recent_days
        recent_days = known.coverage.days(table, fmax(turn, known.service_start), known.day)
        baseline_start = fmax(turn - measure.baseline_days, known.service_start)
        baseline_days = known.coverage.days(table, baseline_start, turn)
        return answer_unless(
            divided(divided(recent, recent_days), divided(baseline, baseline_days)),
            (baseline_days < measure.minimum_baseline_days, UnknownReason.HISTORY_TOO_SHORT),
            (recent_days == 0, UnknownReason.NOT_DELIVERED),
            (baseline == 0, UnknownReason.NO_BASE),
        )

    return read


def _days_since(moment: Numbers, known: Known) -> Numbers:
    return floor((known.seconds - moment) / SECONDS_A_DAY)


def _since_last_row(last: Numbers, table: str, known: Known) -> Numbers:
    """Whether the days after the day of the last row (all, without one) are covered."""
    last_day = floor((last - 1) / SECONDS_A_DAY)
    covered = known.since(table, where(isnan(last), -math.inf, last_day + 1))
    # After a row was seen, a hole in the feed is a hole: the history is not too short.
    short = (covered == letter(UnknownReason.HISTORY_TOO_SHORT)) & given(last)
    return where(short, letter(UnknownReason.NOT_DELIVERED), covered)


def _recency(measure: schema.RecencyMeasure, connected: Connected) -> Reader:
    last_time, unread = LastTime(measure.rows), connected.unread(measure.rows)

    def read(known: Known) -> Answer:
        last = known.number(last_time)
        since = where(isnan(last), known.service_days(), _days_since(last, known))
        covered = _since_last_row(last, measure.rows.table, known)
        return answer_unless(since, unread, covered, (isnan(since), UnknownReason.NO_BASE))

    return read


def _breadth(measure: schema.BreadthMeasure, connected: Connected) -> Reader:
    values = Total(
        schema.Aggregate(
            table=measure.rows.table,
            any_of=measure.rows.any_of,
            of="distinct",
            columns=(measure.column,),
            window_days=measure.window_days,
            until_days_ago=measure.until_days_ago,
        )
    )
    if "contracts" not in connected:
        return _not_connected
    of_plan = Offered(
        measure.rows,
        measure.column,
        measure.window_days,
        measure.until_days_ago,
        by_plans_table="plans" in connected,
    )
    unread = connected.unread(measure.rows, measure.column)

    def read(known: Known) -> Answer:
        offered = known.count(of_plan)
        return answer_unless(
            divided(known.count(values), offered),
            unread,
            known.window(measure.rows.table, measure.window_days, measure.until_days_ago),
            (offered == 0, UnknownReason.NO_BASE),
        )

    return read


def _newness(measure: schema.NewnessMeasure, connected: Connected) -> Reader:
    debuts = [LastDebut(measure.rows, column) for column in measure.columns]
    unread = connected.unread(measure.rows, *measure.columns)

    def read(known: Known) -> Answer:
        latest = reduce(fmax, [known.number(debut) for debut in debuts])
        served = known.service_days()
        return answer_unless(
            where(isnan(latest), served, _days_since(latest, known)),
            unread,
            known.window(measure.rows.table, measure.history_days),
            (negated(served >= measure.history_days), UnknownReason.HISTORY_TOO_SHORT),
        )

    return read


def _median_duration(measure: schema.MedianDurationMeasure, connected: Connected) -> Reader:
    ended = connected.ended.get(measure.rows.table, "")

    def of(number: DurationNumber) -> Duration:
        return Duration(measure.rows, ended, measure.window_days, number)

    median, count, of_company = of("median"), of("count"), of("company_median")
    unread = connected.unread(measure.rows, ended)

    def read(known: Known) -> Answer:
        company = known.count(of_company)
        return answer_unless(
            divided(known.number(median), company),
            unread,
            known.window(measure.rows.table, measure.window_days),
            (known.count(count) < measure.minimum_rows, UnknownReason.TOO_FEW),
            (company <= 0, UnknownReason.NO_BASE),
        )

    return read


def _open_at(measure: schema.OpenAtMeasure, connected: Connected) -> Reader:
    ended = connected.ended.get(measure.rows.table, "")
    unread = connected.unread(measure.rows, ended)
    now = OpenAt(measure.rows, ended, measure.ended_within_days)
    bonuses = [(b.points, OpenAt(measure.rows, ended, 0, b.open_longer_than_days)) for b in measure.bonuses]

    def read(known: Known) -> Answer:
        value = known.count(now)
        for points, old in bonuses:
            value = value + points * (known.count(old) > 0)
        return answer_unless(value, unread, known.window(measure.rows.table, max(measure.ended_within_days, 1)))

    return read


def _latest(measure: schema.LatestMeasure, connected: Connected) -> Reader:
    answers = Answers(measure.rows, measure.by, measure.column, measure.window_days, "mean")
    unread = connected.unread(measure.rows, measure.column)

    def read(known: Known) -> Answer:
        mean, covered = known.number(answers), known.window(measure.rows.table, measure.window_days)
        return answer_unless(mean, unread, covered, (isnan(mean), UnknownReason.TOO_FEW))

    return read


def _delta(measure: schema.DeltaMeasure, connected: Connected) -> Reader:  # noqa: ARG001 - as every kind
    answers = Answers(measure.rows, measure.by, measure.column, measure.window_days, "change")

    def read(known: Known) -> Answer:
        change, covered = known.number(answers), known.window(measure.rows.table, measure.window_days)
        # Answers older than the feed cannot change what the two latest say: only a hole since then could.
        short = (covered == letter(UnknownReason.HISTORY_TOO_SHORT)) & given(change)
        return answer_unless(change, where(short, KNOWN, covered), (isnan(change), UnknownReason.TOO_FEW))

    return read


def _blocks(measure: schema.BlocksMeasure, connected: Connected) -> Reader:
    def rows(chosen: schema.Filter, block: int) -> Total:
        return Total(
            schema.Aggregate(
                table=measure.table,
                any_of=(chosen,),
                window_days=measure.block_days,
                until_days_ago=block * measure.block_days,
            )
        )

    blocks = [(rows(measure.more, block), rows(measure.than, block)) for block in range(measure.blocks)]
    unread = connected.unread(schema.Rows(table=measure.table, any_of=({**measure.more, **measure.than},)))

    def read(known: Known) -> Answer:
        worse = [known.count(more) > known.count(than) for more, than in blocks]
        covered = known.window(measure.table, measure.blocks * measure.block_days)
        return answer_unless(reduce(add, worse, 0.0), unread, covered)

    return read


def _silence(measure: schema.SilenceMeasure, connected: Connected) -> Reader:  # noqa: ARG001 - as every kind
    last_time = LastTime(measure.rows)
    active_blocks = ActiveBlocks(measure.rows, measure.of_blocks, measure.block_days)

    def read(known: Known) -> Answer:
        last = known.number(last_time)
        since = _days_since(last, known)
        steady = (known.count(active_blocks) >= measure.active_blocks) & (since <= measure.kept_days)
        covered = _since_last_row(last, measure.rows.table, known)
        return answer_unless(since, (negated(steady), UnknownReason.NOT_APPLICABLE), covered)

    return read


def _coded(measure: schema.CodedMeasure, connected: Connected) -> Reader:
    in_order = sorted(measure.codes, key=lambda code: code.code)
    codes = [(float(code.code), judge(code.condition, connected)) for code in in_order]

    def read(known: Known) -> Answer:
        value, letters = 0.0, KNOWN
        for code, judged in codes:
            found = judged(known)
            there = found.letters == KNOWN
            holds = found.holds & there
            value = where(holds, code, value)
            # A code that holds settles the answer; one that cannot be judged unsettles a clear one only.
            letters = where(holds, KNOWN, where(negated(there) & (value == 0), found.letters, letters))
        return Answer(where(letters == KNOWN, value, math.nan), letters)

    return read


_KINDS: dict[type, Callable[[Any, Connected], Reader]] = {
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


def reader(measure: schema.Measure, connected: Connected) -> Reader:
    """Return what reads one measure.

    Parameters
    ----------
    measure
        Any of the catalogue's kinds.
    connected
        What the company delivers.

    Returns
    -------
    Callable
        Of what is known of n pairs it makes shape (n,) values in the signal's unit, NaN with a reason where
        unknown.
    """
    return _KINDS[type(measure)](measure, connected)


def apply_rules(answer: Answer, applies: schema.Applies, unless: Answer | None, known: Known) -> Answer:
    """Make a reading ``not_applicable`` where the signal's question makes no sense.

    Where the stage is not known, that onboarding is over cannot be established: not applicable either.
    """
    if not applies.stages and applies.unless is None:
        return answer
    outside = known.all(False)
    if applies.stages:
        outside = outside | negated(known.in_stage(applies.stages))
    if applies.unless is not None and unless is not None:
        outside = outside | (unless.values >= applies.unless.at_least)  # unknown is not above
    return answer_unless(answer.values, answer.letters, (outside, UnknownReason.NOT_APPLICABLE))
