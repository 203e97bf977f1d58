"""Quantities of any table: counts, last times, durations, answers, ratings.

Those of contacts stand in :mod:`~features.measures.contacts`, those of contracts in
:mod:`~features.measures.contracts`; what all are written with, in :mod:`~features.measures.rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import ibis
import ibis.expr.types as ir

from features.catalogue.schema import Aggregate, Rows
from features.measures.calendar import bit_or
from features.measures.contacts import role_holders
from features.measures.rows import (
    FAR,
    SECONDS_A_DAY,
    Scope,
    Spec,
    at_dates,
    by_mask,
    day_of,
    days,
    matching,
    newest_first,
    seconds,
    visible,
    visible_between,
    whenever_known,
    windowed,
)

DurationNumber = Literal["median", "count", "company_median"]
AnswersNumber = Literal["mean", "change", "low", "low_in_role"]


@dataclass(frozen=True, eq=False)
class Total(Spec):
    """Rows, distinct combinations or a sum; with `given_only`, how many values a mean has."""

    aggregate: Aggregate
    given_only: bool = False

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """Count or add up per mask first, and expand the few masks to dates."""
        aggregate = self.aggregate
        masked = windowed(aggregate, scope)
        if aggregate.of == "distinct":
            masked = _distinct(masked, aggregate.columns)
        number = ibis._.count().cast("float64")
        if aggregate.of in ("sum", "mean"):
            masked = masked.filter(masked[aggregate.columns[0]].notnull())
            if not self.given_only:
                number = ibis._[aggregate.columns[0]].sum().cast("float64")
        dated = by_mask(masked, scope, {"part": number})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


def _distinct(masked: ir.Table, columns: tuple[str, ...]) -> ir.Table:
    keys = {
        f"k{place}": day_of(masked.occurred_at) if name == "day" else masked[name]
        for place, name in enumerate(columns)
    }
    keyed = masked.mutate(**keys).filter([ibis._[key].notnull() for key in keys])
    return keyed.group_by("account_id", *keys).agg(mask=bit_or(keyed.mask))


@dataclass(frozen=True, eq=False)
class Nameless(Spec):
    """Rows of an aggregate that name nobody: sums by day, or events without a ``user_id``."""

    aggregate: Aggregate

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """Count them."""
        masked = windowed(self.aggregate, scope)
        sums = masked.filter(masked.user_id.isnull())
        dated = by_mask(sums, scope, {"part": ibis._.count().cast("float64")})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


@dataclass(frozen=True, eq=False)
class ServiceWindow(Spec):
    """A distinct count over days `from_day` to `to_day` of the account's service (day 1 is its start)."""

    aggregate: Aggregate
    from_day: int
    to_day: int
    nameless: bool = False

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """An account has few service starts, so its rows are cut to the window before they meet the dates."""
        starts = scope.agreements().select("account_id", "i", "service_start").distinct()
        table = matching(scope.rows_of(self.aggregate.table), self.aggregate.any_of)
        begun = starts.select("account_id", "service_start").distinct()
        both = table.join(begun, "account_id")
        on = day_of(both.occurred_at)
        inside = both.filter(
            (on >= both.service_start + days(self.from_day - 1))
            & (on <= both.service_start + days(self.to_day - 1))
        )
        seen = whenever_known(inside)
        if self.nameless:
            seen = seen.filter(seen.user_id.isnull()).mutate(k0=seen.row_key)
            keys = ["k0"]
        else:
            keys = [f"k{place}" for place in range(len(self.aggregate.columns))]
            seen = seen.mutate(**dict(zip(keys, [seen[c] for c in self.aggregate.columns], strict=True)))
            seen = seen.filter([seen[key].notnull() for key in keys])
        distinct = seen.group_by("account_id", "service_start", *keys).agg(mask=bit_or(seen.mask))
        dated = at_dates(distinct, scope.calendar.bits)
        own = dated.semi_join(starts, ["account_id", "i", "service_start"])
        return own.group_by("account_id", "i").agg(value=own.count().cast("float64"))


@dataclass(frozen=True, eq=False)
class LastTime(Spec):
    """When the last of the rows occurred, in seconds."""

    rows: Rows

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """The latest per mask, then per date."""
        masked = visible(matching(scope.rows_of(self.rows.table), self.rows.any_of), scope)
        dated = by_mask(masked, scope, {"last": masked.occurred_at.max()})
        return dated.group_by("account_id", "i").agg(value=seconds(dated["last"].max()))


@dataclass(frozen=True, eq=False)
class LastDebut(Spec):
    """When a value of `column` was seen for the first time most recently, in seconds."""

    rows: Rows
    column: str

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """The first time per value as known on each date, then the last of those."""
        table = matching(scope.rows_of(self.rows.table), self.rows.any_of)
        named = table.filter(table[self.column].notnull())
        masked = visible(named, scope)
        firsts = masked.group_by("account_id", "mask", who=masked[self.column]).agg(first=masked.occurred_at.min())
        dated = at_dates(firsts, scope.calendar.bits)
        debuts = dated.group_by("account_id", "i", "who").agg(first=dated["first"].min())
        return debuts.group_by("account_id", "i").agg(value=seconds(debuts["first"].max()))


@dataclass(frozen=True, eq=False)
class OpenAt(Spec):
    """Rows open at `as_of`, or ended in the last `ended_within_days`; of some age at least."""

    rows: Rows
    ended: str
    ended_within_days: int = 0
    older_than_days: int | None = None

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """An open row counts until its end (and a while after) for every date from when it is known."""
        table = matching(scope.rows_of(self.rows.table), self.rows.any_of)
        end = table[self.ended].fill_null(ibis.literal(FAR, type="timestamp"))
        if self.ended_within_days:
            end = ibis.ifelse(table[self.ended].isnull(), end, end + days(self.ended_within_days))
        old_enough = None
        if self.older_than_days is not None:
            old_enough = table.occurred_at + days(self.older_than_days + 1)  # ages are whole days
        masked = visible_between(table, scope, from_moment=old_enough, to_moment=end)
        dated = by_mask(masked, scope, {"part": ibis._.count().cast("float64")})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


@dataclass(frozen=True, eq=False)
class Duration(Spec):
    """Median days from beginning to end of rows that ended in the window or are open; or how many they are."""

    rows: Rows
    ended: str
    window_days: int
    number: DurationNumber

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """Open rows have the age that they have reached on the date."""
        of_all = self.number == "company_median"
        table = matching((scope.all_rows_of if of_all else scope.rows_of)(self.rows.table), self.rows.any_of)
        end = table[self.ended]
        gone = ibis.ifelse(end.isnull(), ibis.literal(FAR, type="timestamp"), end + days(self.window_days))
        masked = visible_between(table.mutate(end=end), scope, to_moment=gone)
        dated = at_dates(masked.select("account_id", "occurred_at", "mask", "end"), scope.calendar.bits)
        reached = ibis.ifelse(dated.end.isnull() | (dated.end > dated.as_of), dated.as_of, dated.end)
        lasted = dated.mutate(days=(seconds(reached) - seconds(dated.occurred_at)) / float(SECONDS_A_DAY))
        if self.number == "company_median":
            company = lasted.group_by("i").agg(value=lasted.days.median().cast("float64"))
            return scope.pairs().join(company, "i").select("account_id", "i", "value")
        number = lasted.days.median() if self.number == "median" else lasted.count()
        return lasted.group_by("account_id", "i").agg(value=number.cast("float64"))


@dataclass(frozen=True, eq=False)
class Answers(Spec):
    """The latest answers, one a respondent: their mean, the mean change, or how many are low.

    ``number``: ``mean``, ``change`` (latest less the one before, mean over those with two), ``low`` (latest at
    most `at_most`), ``low_in_role`` (those by a contact who holds one of `roles` on the date).
    """

    rows: Rows
    by: str
    column: str
    window_days: int
    number: AnswersNumber
    at_most: float = 0.0
    roles: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """Order each respondent's answers as they were known on each date."""
        table = matching(scope.rows_of(self.rows.table), self.rows.any_of)
        answered = table.filter(table[self.column].notnull())
        if self.number == "change":  # nameless answers are no pair
            answered = answered.filter(answered[self.by].notnull())
        dated = at_dates(
            visible(answered, scope, self.window_days).select(
                "account_id",
                "occurred_at",
                "known_from",
                "row_key",
                "mask",
                who=ibis._[self.by].fill_null(""),
                answer=ibis._[self.column].cast("float64"),
            ),
            scope.calendar.bits,
        )
        order = newest_first(dated, "account_id", "i", "who")
        ordered = dated.mutate(place=ibis.row_number().over(order), before=dated.answer.lead().over(order))
        latest = ordered.filter(ordered.place == 0)
        if self.number == "low_in_role":
            latest = latest.semi_join(role_holders(scope, self.roles), ["account_id", "i", "who"])
        value = {
            "mean": latest.answer.mean(),
            "change": (latest.answer - latest.before).mean(),
            "low": ibis.ifelse(latest.answer <= self.at_most, 1.0, 0.0).sum(),
            "low_in_role": ibis.ifelse(latest.answer <= self.at_most, 1.0, 0.0).sum(),
        }[self.number]
        return latest.group_by("account_id", "i").agg(value=value.cast("float64"))


@dataclass(frozen=True, eq=False)
class ActiveBlocks(Spec):
    """In how many of the `of_blocks` blocks of `block_days` that end with the last row there are rows."""

    rows: Rows
    of_blocks: int
    block_days: int

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """The last row differs from date to date, so the rows are expanded to dates first."""
        masked = visible(matching(scope.rows_of(self.rows.table), self.rows.any_of), scope)
        dated = at_dates(masked.select("account_id", "occurred_at", "mask"), scope.calendar.bits)
        whole = ibis.window(group_by=["account_id", "i"])
        ended = dated.mutate(last=dated.occurred_at.max().over(whole))
        ago = seconds(ended["last"]) - seconds(ended.occurred_at)
        placed = ended.mutate(block=(ago / float(self.block_days * SECONDS_A_DAY)).floor().cast("int64"))
        inside = placed.filter(placed.block < self.of_blocks)
        return inside.group_by("account_id", "i").agg(value=inside.block.nunique().cast("float64"))


@dataclass(frozen=True, eq=False)
class Rating(Spec):
    """The latest assessment of a factor: its ``rating``, or the second when it was made (``at``)."""

    factor: str
    number: Literal["rating", "at"]

    @property
    def table(self) -> str:
        return "assessments"

    def relation(self, scope: Scope) -> ir.Table:
        """The latest by day of assessment."""
        table = scope.rows_of("assessments")
        dated = at_dates(visible(table.filter(table.factor == self.factor), scope), scope.calendar.bits)
        order = newest_first(dated, "account_id", "i")
        latest = dated.mutate(place=ibis.row_number().over(order)).filter(ibis._.place == 0)
        value = latest.rating.cast("float64") if self.number == "rating" else seconds(latest.occurred_at)
        return latest.select("account_id", "i", value=value)


@dataclass(frozen=True, eq=False)
class CsmSince(Spec):
    """Since when, in seconds, the account has had its present CSM; absent if it never had another."""

    @property
    def table(self) -> str:
        return "accounts"

    def relation(self, scope: Scope) -> ir.Table:
        """Every version known by the date counts, also those replaced since."""
        accounts = scope.rows_of("accounts")
        known = accounts.join(scope.calendar.bits, accounts.known_from <= scope.calendar.bits.as_of)
        now = known.filter(known.known_until > known.as_of).select("account_id", "i", present=known.csm)
        both = known.join(now, ["account_id", "i"])
        others = both.filter(both.csm != both.present)
        last_other = others.group_by("account_id", "i").agg(other=others.known_from.max())
        after = both.join(last_other, ["account_id", "i"])
        since = after.filter((after.csm == after.present) & (after.known_from > after.other))
        return since.group_by("account_id", "i").agg(value=seconds(since.known_from.min()))
