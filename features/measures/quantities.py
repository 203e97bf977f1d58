"""Quantities: what a measure asks of the tables, as values; each knows how to ask it in Ibis.

A quantity is a frozen value, so that two signals which need the same number ask for it once. Its relation has the
columns ``account_id``, ``i`` (the date's place in the calendar) and ``value`` (float64); pairs without rows are
absent. Times are seconds since 1970, days are days since 1970.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import ibis
import ibis.expr.types as ir

from features.catalogue.schema import Aggregate, Between, Filter, NearDeadline, Rows
from features.measures.calendar import Calendar, between, bit_or

FAR = dt.datetime(9999, 12, 31)
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Scope:
    """What a pass may ask of: the calendar, the pairs, and the rows of the accounts in the pass."""

    calendar: Calendar
    pairs: Callable[[], ir.Table]  # g, account_id, i
    agreements: Callable[[], ir.Table]  # account_id, i, day and the contracts known then
    # Rows of one table with `known_below` and `until_below` (the dates before they are known, and before they
    # are replaced): of the accounts in this pass; and of every account, for reference values only.
    rows_of: Callable[[str], ir.Table]
    all_rows_of: Callable[[str], ir.Table]


class Quantity(Protocol):
    """One number per account and date."""

    @property
    def table(self) -> str:
        """The table that it is asked of."""

    def relation(self, scope: Scope) -> ir.Table:
        """Rows of ``account_id``, ``i``, ``value``."""


# --- rows -----------------------------------------------------------------------------------------------------


def matching(table: ir.Table, filters: tuple[Filter, ...]) -> ir.Table:
    """Keep the rows that match any of the filters (all of its columns); a null never matches."""
    if not filters:
        return table
    return table.filter(ibis.or_(*[_holds(table, chosen) for chosen in filters]))


def _holds(table: ir.Table, chosen: Filter) -> ir.BooleanValue:
    conditions: list[ir.Value] = []
    for name, wanted in chosen.items():
        column = table[name]
        if isinstance(wanted, Between):
            if wanted.at_least is not None:
                conditions.append(column >= wanted.at_least)
            if wanted.at_most is not None:
                conditions.append(column <= wanted.at_most)
        else:
            conditions.append(column.isin(list(wanted)))
    return ibis.and_(*conditions).fill_null(False)


def days(count: int) -> ir.Value:
    """An interval of whole days."""
    return ibis.interval(days=count)


def second() -> ir.Value:
    """The smallest step of time that tables hold."""
    return ibis.interval(seconds=1)


def day_of(moment: ir.Value) -> ir.Value:
    """The whole UTC day that a row belongs to; midnight belongs to the day that ends."""
    return (moment - second()).date()


def seconds(moment: ir.Value) -> ir.Value:
    """Seconds since 1970 as float64."""
    return moment.epoch_seconds().cast("float64")


def whenever_known(table: ir.Table) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known; rows never known at any of them go."""
    return between(table, table.known_below, table.until_below)


def visible(table: ir.Table, scope: Scope, window_days: int | None = None, until_days_ago: int = 0) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known and lie in the window; rows never seen go."""
    begins = table.occurred_at + days(until_days_ago) if until_days_ago else None
    ends = table.occurred_at + days(window_days + until_days_ago) if window_days is not None else None
    return visible_between(table, scope, from_moment=begins, to_moment=ends)


def visible_between(
    table: ir.Table, scope: Scope, *, from_moment: ir.Value | None = None, to_moment: ir.Value | None = None
) -> ir.Table:
    """Rows with ``mask``: the dates at which they are known and ``from_moment <= as_of < to_moment``.

    Dates before a moment are a prefix of the calendar, so the later of two moments is the greater number.
    """
    moments = {name: m for name, m in (("begins", from_moment), ("ends", to_moment)) if m is not None}
    ranked = scope.calendar.below(table, **moments)
    first, until = ranked.known_below, ranked.until_below
    if from_moment is not None:
        first = ibis.greatest(first, ranked.begins)
    if to_moment is not None:
        until = ibis.least(until, ranked.ends)
    return between(ranked, first, until).drop(*moments)


def at_dates(masked: ir.Table, bits: ir.Table) -> ir.Table:
    """One row for each row and date in its mask, with ``i``, ``as_of`` and ``day``."""
    return masked.join(bits, (masked.mask & bits.bit) != 0).drop("mask", "bit")


def _seen_long_ago(table: ir.Table, scope: Scope, column: str, days_ago: int) -> ir.Table:
    """Per account and somebody: the dates at which a row of theirs older than `days_ago` is known."""
    masked = visible_between(table, scope, from_moment=table.occurred_at + days(days_ago + 1))
    return masked.group_by("account_id", who=masked[column]).agg(long_known=bit_or(masked.mask))


def windowed(aggregate: Aggregate, scope: Scope) -> ir.Table:
    """Rows of an aggregate with their mask."""
    table = matching(scope.rows_of(aggregate.table), aggregate.any_of)
    masked = visible(table, scope, aggregate.window_days, aggregate.until_days_ago)
    since = aggregate.by_known_since
    if since is None:
        return masked
    known = _seen_long_ago(scope.rows_of(aggregate.table), scope, since.column, since.days)
    joined = masked.join(known, [masked.account_id == known.account_id, masked[since.column] == known.who])
    both = joined.mutate(mask=ibis._.mask & ibis._.long_known).drop("long_known", "who")
    return both.select([name for name in both.columns if not name.endswith("_right")]).filter(ibis._.mask != 0)


def _by_mask(masked: ir.Table, scope: Scope, partial: Mapping[str, ir.Value]) -> ir.Table:
    return at_dates(masked.group_by("account_id", "mask").agg(**partial), scope.calendar.bits)


# --- quantities -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Spec:
    """Equal when the definition is equal (filters are mappings, which cannot be hashed)."""

    def _identity(self) -> tuple[str, str]:
        return type(self).__name__, repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spec) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


@dataclass(frozen=True, eq=False)
class Total(_Spec):
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
        dated = _by_mask(masked, scope, {"part": number})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


def _distinct(masked: ir.Table, columns: tuple[str, ...]) -> ir.Table:
    keys = {
        f"k{place}": day_of(masked.occurred_at) if name == "day" else masked[name]
        for place, name in enumerate(columns)
    }
    keyed = masked.mutate(**keys).filter([ibis._[key].notnull() for key in keys])
    return keyed.group_by("account_id", *keys).agg(mask=bit_or(keyed.mask))


@dataclass(frozen=True, eq=False)
class Nameless(_Spec):
    """Rows of an aggregate that name nobody: sums by day, or events without a ``user_id``."""

    aggregate: Aggregate

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """Count them."""
        masked = windowed(self.aggregate, scope)
        sums = masked.filter(masked.user_id.isnull())
        dated = _by_mask(sums, scope, {"part": ibis._.count().cast("float64")})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


@dataclass(frozen=True, eq=False)
class ServiceWindow(_Spec):
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
class LastTime(_Spec):
    """When the last of the rows occurred, in seconds."""

    rows: Rows

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """The latest per mask, then per date."""
        masked = visible(matching(scope.rows_of(self.rows.table), self.rows.any_of), scope)
        dated = _by_mask(masked, scope, {"last": masked.occurred_at.max()})
        return dated.group_by("account_id", "i").agg(value=seconds(dated["last"].max()))


@dataclass(frozen=True, eq=False)
class LastDebut(_Spec):
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
class OpenAt(_Spec):
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
        dated = _by_mask(masked, scope, {"part": ibis._.count().cast("float64")})
        return dated.group_by("account_id", "i").agg(value=dated.part.sum())


@dataclass(frozen=True, eq=False)
class Duration(_Spec):
    """Median days from beginning to end of rows that ended in the window or are open; or how many they are."""

    rows: Rows
    ended: str
    window_days: int
    number: str  # median, count, company_median

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
class Answers(_Spec):
    """The latest answers, one a respondent: their mean, how many, the mean change, or how many are low.

    ``number``: ``mean``, ``change`` (latest less the one before, mean over those with two), ``low`` (latest at
    most `at_most`), ``low_in_role`` (those by a contact who holds one of `roles` on the date).
    """

    rows: Rows
    by: str
    column: str
    window_days: int
    number: str
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
        newest_first = ibis.window(
            group_by=["account_id", "i", "who"],
            order_by=[dated.occurred_at.desc(), dated.known_from.desc(), dated.row_key.desc()],
        )
        ordered = dated.mutate(
            place=ibis.row_number().over(newest_first), before=dated.answer.lead().over(newest_first)
        )
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


def stints(scope: Scope) -> ir.Table:
    """Contacts' rows as known on each date (also those announced ahead), with ``i``, ``day`` and ``last_day``.

    A contact's next row ends the one before on the day before it begins: a new role or title is a new row.
    """
    contacts = scope.rows_of("contacts")
    same = ibis.window(group_by=["account_id", "contact_id", "valid_from"])
    # A successor was named when the first version of the row named one, whatever was corrected since.
    naming = ibis.ifelse(contacts.successor_id.notnull(), contacts.known_from, ibis.null("timestamp"))
    named = contacts.mutate(named_from=naming.min().over(same))
    rows = at_dates(whenever_known(named), scope.calendar.bits)
    in_order = ibis.window(group_by=["account_id", "i", "contact_id"], order_by=[rows.valid_from, rows.row_key])
    followed = rows.mutate(next_from=rows.valid_from.lead().over(in_order))
    return followed.mutate(last_day=ibis.least(followed.valid_to, followed.next_from - days(1)))


def role_holders(scope: Scope, roles: tuple[str, ...]) -> ir.Table:
    """Who holds one of the roles on each date."""
    known = stints(scope)
    holds = (
        known.role.isin(list(roles))
        & (known.valid_from <= known.day)
        & (known.last_day.isnull() | (known.last_day >= known.day))
    )
    return known.filter(holds).select("account_id", "i", who=known.contact_id).distinct()


@dataclass(frozen=True, eq=False)
class ContactState(_Spec):
    """What became of the holders of a role.

    ``number`` is one of:

    ``ever`` (rows in the role begun by the date), ``staying`` (people with no leaving date known),
    ``left`` (people who left in the window or will, without a successor named by the day of leaving),
    ``succeeded`` (those with one), ``new_title`` (people staying whose title became another one in the window).
    """

    roles: tuple[str, ...]
    window_days: int
    number: str

    @property
    def table(self) -> str:
        return "contacts"

    def relation(self, scope: Scope) -> ir.Table:
        """Count people, not rows: a promotion inside the role ends one row and begins another."""
        rows = stints(scope)
        role = rows.filter(rows.role.isin(list(self.roles)))
        held = role.filter(role.valid_from <= role.day)
        if self.number == "ever":
            return _people(held)
        if self.number == "new_title":
            return _people(_new_titles(held, self.window_days))
        named = role.successor_id.notnull() & (day_of(role.named_from) <= role.last_day)
        people = role.group_by("account_id", "i", "day", "contact_id").agg(
            begun=ibis.ifelse(role.valid_from <= role.day, 1, 0).max(),
            stays=ibis.ifelse(role.last_day.isnull(), 1, 0).max(),
            leaves=role.last_day.max(),
            named=ibis.ifelse(named, 1, 0).max(),
        )
        people = people.filter(people.begun == 1)
        if self.number == "staying":
            return _people(people.filter(people.stays == 1))
        leaving = people.filter((people.stays == 0) & (people.leaves >= people.day - days(self.window_days)))
        return _people(leaving.filter(leaving.named == (1 if self.number == "succeeded" else 0)))


def _people(rows: ir.Table) -> ir.Table:
    return rows.group_by("account_id", "i").agg(value=rows.contact_id.nunique().cast("float64"))


def _new_titles(held: ir.Table, window_days: int) -> ir.Table:
    in_order = ibis.window(group_by=["account_id", "i", "contact_id"], order_by=[held.valid_from, held.row_key])
    before = held.mutate(
        old=held.title.lag().over(in_order).lower(),
        new=held.title.lower(),
    )
    other = ~(before.new.contains(before.old) | before.old.contains(before.new))
    recent = before.valid_from >= before.day - days(window_days)  # a day counts from its end
    return before.filter(before.last_day.isnull() & recent & other)


@dataclass(frozen=True, eq=False)
class ActiveBlocks(_Spec):
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
class Rating(_Spec):
    """The latest assessment of a factor: its ``rating``, or the second when it was made (``at``)."""

    factor: str
    number: str

    @property
    def table(self) -> str:
        return "assessments"

    def relation(self, scope: Scope) -> ir.Table:
        """The latest by day of assessment; ties: recorded later, then the greater key."""
        table = scope.rows_of("assessments")
        dated = at_dates(visible(table.filter(table.factor == self.factor), scope), scope.calendar.bits)
        newest_first = ibis.window(
            group_by=["account_id", "i"],
            order_by=[dated.occurred_at.desc(), dated.known_from.desc(), dated.row_key.desc()],
        )
        latest = dated.mutate(place=ibis.row_number().over(newest_first)).filter(ibis._.place == 0)
        value = latest.rating.cast("float64") if self.number == "rating" else seconds(latest.occurred_at)
        return latest.select("account_id", "i", value=value)


@dataclass(frozen=True, eq=False)
class CsmSince(_Spec):
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


# --- contracts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Level(_Spec):
    """Licences (or another column of contracts) in force some days ago; or on a day of service."""

    column: str
    days_ago: int = 0
    service_day: int | None = None

    @property
    def table(self) -> str:
        return "contracts"

    def relation(self, scope: Scope) -> ir.Table:
        """The sum over the contracts known at `as_of` that were in force on the day; 0 where none was."""
        known = scope.agreements()
        if self.service_day is None:
            day = known.day - days(self.days_ago)
        else:
            day = known.service_start + days(self.service_day - 1)
        held = (known.start_date <= day) & (known.last_day >= day)
        total = known.group_by("account_id", "i").agg(
            contracts=ibis.ifelse(held, 1, 0).sum(),
            level=ibis.ifelse(held, known[self.column].cast("float64"), ibis.null("float64")).sum(),
        )
        level = total.mutate(value=ibis.ifelse(total.contracts == 0, 0.0, total.level))
        return level.filter(level.value.notnull()).select("account_id", "i", "value")


@dataclass(frozen=True, eq=False)
class LevelAhead(_Spec):
    """The smallest level on the later start dates of contracts that are known already."""

    column: str

    @property
    def table(self) -> str:
        return "contracts"

    def relation(self, scope: Scope) -> ir.Table:
        """Levels on each start date ahead, then the smallest."""
        known = scope.agreements()
        ahead = known.filter(known.start_date > known.day)
        starts = ahead.select("account_id", "i", then=ahead.start_date).distinct()
        both = known.join(starts, ["account_id", "i"])
        held = both.filter((both.start_date <= both.then) & (both.last_day >= both.then))
        levels = held.group_by("account_id", "i", "then").agg(level=held[self.column].sum().cast("float64"))
        smallest = levels.group_by("account_id", "i").agg(value=levels.level.min())
        return smallest.filter(smallest.value.notnull())


@dataclass(frozen=True, eq=False)
class NearDeadlineRows(_Spec):
    """Rows of an aggregate that lie shortly before the notice deadline of a contract in force then."""

    aggregate: Aggregate
    near: NearDeadline

    @property
    def table(self) -> str:
        return self.aggregate.table

    def relation(self, scope: Scope) -> ir.Table:
        """Days from the row's day to the deadline, at most the smaller of the two bounds."""
        rows = at_dates(
            windowed(self.aggregate, scope).select("account_id", "row_key", "occurred_at", "mask"),
            scope.calendar.bits,
        )
        known = scope.agreements().select("account_id", "i", "start_date", "end_date", "notice_deadline")
        both = rows.join(known, ["account_id", "i"]).mutate(on=day_of(ibis._.occurred_at))
        deadline = ibis.coalesce(both.notice_deadline, both.end_date)
        term = (both.end_date.delta(both.start_date, unit="day") + 1).cast("float64")
        bound = ibis.least(
            ibis.literal(float(self.near.days)),
            (term * self.near.term_share).fill_null(float(self.near.days)),
        )
        left = deadline.delta(both.on, unit="day").cast("float64")
        in_force = (both.start_date <= both.on) & (both.end_date.isnull() | (both.end_date >= both.on))
        close = both.filter(in_force & (left >= 0) & (left <= bound))
        return close.group_by("account_id", "i").agg(value=close.row_key.nunique().cast("float64"))


@dataclass(frozen=True, eq=False)
class Offered(_Spec):
    """How many values of `column` the account's plan offers."""

    rows: Rows
    column: str
    window_days: int
    until_days_ago: int
    by_plans_table: bool

    @property
    def table(self) -> str:
        return self.rows.table

    def relation(self, scope: Scope) -> ir.Table:
        """By the plans table; without one, what any account of the plan used in the same window."""
        if self.by_plans_table:
            return self._by_plans(scope)
        table = matching(scope.all_rows_of(self.rows.table), self.rows.any_of)
        masked = visible(table.filter(table[self.column].notnull()), scope, self.window_days, self.until_days_ago)
        used = masked.group_by("account_id", thing=masked[self.column]).agg(mask=bit_or(masked.mask))
        dated = at_dates(used, scope.calendar.bits)
        by_plan = dated.join(self._plans_of_all(scope), ["account_id", "i"])
        offered = by_plan.group_by("plan", "i").agg(value=by_plan.thing.nunique().cast("float64"))
        return _own_plan(scope).join(offered, ["plan", "i"]).select("account_id", "i", "value")

    def _plans_of_all(self, scope: Scope) -> ir.Table:
        dated = at_dates(whenever_known(scope.all_rows_of("contracts")), scope.calendar.bits)
        held = (dated.start_date <= dated.day) & (dated.end_date.isnull() | (dated.end_date >= dated.day))
        return leading_plan(dated.filter(held))

    def _by_plans(self, scope: Scope) -> ir.Table:
        plans = scope.all_rows_of("plans")
        dated = at_dates(whenever_known(plans), scope.calendar.bits)
        valid = (dated.valid_from.isnull() | (dated.valid_from <= dated.day)) & (
            dated.valid_to.isnull() | (dated.valid_to >= dated.day)
        )
        now = dated.filter(valid)
        offered = now.group_by("plan", "i").agg(value=now.feature.nunique().cast("float64"))
        return _own_plan(scope).join(offered, ["plan", "i"]).select("account_id", "i", "value")


def _own_plan(scope: Scope) -> ir.Table:
    terms = scope.agreements()
    return leading_plan(terms.filter((terms.start_date <= terms.day) & (terms.last_day >= terms.day)))


def leading_plan(held: ir.Table) -> ir.Table:
    """Per account and date, the plan of the contract with the most licences (ties: value, then the key)."""
    order = ibis.window(
        group_by=["account_id", "i"],
        order_by=[
            held.licences.fill_null(-1.0).desc(),
            held.arr.fill_null(-1.0).desc(),
            held.row_key.desc(),
        ],
    )
    first = held.mutate(place=ibis.row_number().over(order)).filter(ibis._.place == 0)
    return first.select("account_id", "i", plan=first.plan.fill_null(""))
