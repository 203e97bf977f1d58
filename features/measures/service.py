"""The account's service on a date, from its contracts: since when, for how much, until when.

Contracts are state: they count once recorded, also those that begin later. A contract is in force on a day D when
``start_date <= D`` and ``end_date`` is empty or ``>= D``.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.measures.rows import FAR, at_dates, days, whenever_known


def in_force(known: ir.Table, day: ir.Value) -> ir.BooleanValue:
    """Whether each contract (with ``last_day``) has begun by the day and not ended before it."""
    return (known.start_date <= day) & (known.last_day >= day)


def with_last_day(contracts: ir.Table) -> ir.Table:
    """Add ``last_day``: a contract's end, or far ahead where it has none."""
    return contracts.mutate(last_day=contracts.end_date.fill_null(ibis.literal(FAR.date(), type="date")))


def agreements(contracts: ir.Table, bits: ir.Table, grace_days: int) -> ir.Table:
    """Contracts (ranked by a calendar) as known on each of its dates, with ``service_start``.

    Columns of the contract, and: ``i``, ``as_of``, ``day``; ``last_day`` (its end, or far ahead);
    ``service_start`` (the first day of the account's present run of contracts, gaps of up to `grace_days`
    allowed; null before the first begins). An account that came back after a longer gap starts again.
    """
    known = with_last_day(at_dates(whenever_known(contracts), bits))
    begun = known.filter(known.start_date <= known.day)
    earlier = ibis.window(
        group_by=["account_id", "i"],
        order_by=[begun.start_date, begun.last_day, begun.row_key],
        preceding=(None, 1),
    )
    runs = begun.mutate(ended_before=begun.last_day.max().over(earlier))
    fresh = runs.filter(runs.ended_before.isnull() | (runs.start_date > runs.ended_before + days(grace_days + 1)))
    starts = fresh.group_by("account_id", "i").agg(service_start=fresh.start_date.max())
    return known.left_join(starts, ["account_id", "i"]).drop("account_id_right", "i_right")


def facts(known: ir.Table, grace_days: int) -> ir.Table:
    """One row an account and date, from :func:`agreements`.

    ``service_start``; ``in_force`` (contracts); ``licences``, ``arr`` (sums over those; null where all are);
    ``days_to_notice_deadline`` and ``days_to_renewal`` (the nearest notice deadline and end that lie ahead, of
    contracts without one already signed to follow within the grace); ``plan`` of the contract with the most
    licences; ``contract_length_days`` of the one with the most value; ``last_end`` (of those begun; far ahead
    where open); ``under_notice``.
    """
    held = known.filter(in_force(known, known.day))
    keys = ["account_id", "i"]
    now = held.group_by(keys).agg(
        in_force=held.count(),
        licences=held.licences.sum().cast("float64"),
        arr=held.arr.sum().cast("float64"),
    )
    begun = known.filter(known.start_date <= known.day)
    everything = begun.group_by(keys).agg(service_start=begun.service_start.max(), last_end=begun.last_day.max())
    for part in (now, _ahead(known, grace_days), _notice(known), _length(held), leading_plan(held)):
        joined = everything.left_join(part, keys)
        everything = joined.drop(*[f"{key}_right" for key in keys])
    return everything.mutate(under_notice=everything.under_notice.fill_null(False))


def _notice(known: ir.Table) -> ir.Table:
    """Leaving: notice was given, and nothing that still runs, or else nothing that ran longer, is without it."""
    given = known.notice_at.notnull() & (known.notice_at < known.day)  # a day counts from its end
    told = known.mutate(
        leaving=ibis.ifelse(given & (known.start_date <= known.day), known.last_day, ibis.null("date")),
        staying=ibis.ifelse(given, ibis.null("date"), known.last_day),
    )
    ends = told.group_by("account_id", "i").agg(
        leaving=told.leaving.max(), staying=told.staying.max(), day=told.day.max()
    )
    nothing_else = ends.staying.isnull() | ((ends.staying < ends.day) & (ends.staying <= ends.leaving))
    return ends.select("account_id", "i", under_notice=ends.leaving.notnull() & nothing_else)


def _ahead(known: ir.Table, grace_days: int) -> ir.Table:
    """What is still to be decided: contracts that nothing already signed will follow."""
    running = known.filter(known.last_day >= known.day)
    others = known.select("account_id", "i", other_start=known.start_date)
    pairs = running.filter(running.end_date.notnull()).join(others, ["account_id", "i"])
    followed = pairs.filter(
        (pairs.other_start > pairs.start_date)
        & (pairs.other_start > pairs.day)
        & (pairs.other_start <= pairs.end_date + days(grace_days + 1))
    ).select("account_id", "i", "row_key")
    unsettled = running.anti_join(followed.distinct(), ["account_id", "i", "row_key"])
    deadline = ibis.ifelse(
        unsettled.notice_deadline >= unsettled.day, unsettled.notice_deadline, ibis.null("date")
    )
    return unsettled.group_by("account_id", "i").agg(
        days_to_notice_deadline=deadline.delta(unsettled.day, unit="day").min().cast("float64"),
        days_to_renewal=unsettled.end_date.delta(unsettled.day, unit="day").min().cast("float64"),
    )


def leading_plan(held: ir.Table) -> ir.Table:
    """Per account and date, the plan of the contract with the most licences (ties: value, then the key)."""
    first = _first_by(held, "licences", "arr")
    return first.select("account_id", "i", plan=first.plan.fill_null(""))


def _length(held: ir.Table) -> ir.Table:
    first = _first_by(held, "arr", "licences")
    days_long = first.end_date.delta(first.start_date, unit="day") + 1
    return first.select("account_id", "i", contract_length_days=days_long.cast("float64"))


def _first_by(held: ir.Table, *amounts: str) -> ir.Table:
    """Per account and date, the contract with the most of the first amount, then of the next, then by key."""
    order = [*(held[amount].fill_null(-1.0).desc() for amount in amounts), held.row_key.desc()]
    within = ibis.window(group_by=["account_id", "i"], order_by=order)
    return held.mutate(place=ibis.row_number().over(within)).filter(ibis._.place == 0)
