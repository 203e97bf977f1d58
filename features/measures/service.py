"""The account's service on a date, from its contracts: since when, for how much, until when.

Contracts are state: they count once recorded, also those that begin later. A contract is in force on a day D when
``start_date <= D`` and ``end_date`` is empty or ``>= D``.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.measures.quantities import at_dates, days, leading_plan, whenever_known

LAST_DAY = ibis.date("9999-12-31")


def agreements(connection: Any, name: str, contracts: ir.Table, bits: ir.Table, grace_days: int) -> ir.Table:
    """Store the contracts as known on each date, with ``service_start``; return the stored table.

    Columns of the contract, and: ``i``, ``as_of``, ``day``; ``last_day`` (its end, or far ahead);
    ``service_start`` (the first day of the account's present run of contracts, gaps of up to `grace_days`
    allowed; null before the first begins). An account that came back after a longer gap starts again.
    """
    known = at_dates(whenever_known(contracts), bits).mutate(last_day=ibis.coalesce(ibis._.end_date, LAST_DAY))
    begun = known.filter(known.start_date <= known.day)
    earlier = ibis.window(
        group_by=["account_id", "i"],
        order_by=[begun.start_date, begun.last_day, begun.row_key],
        preceding=(None, 1),
    )
    runs = begun.mutate(ended_before=begun.last_day.max().over(earlier))
    fresh = runs.filter(runs.ended_before.isnull() | (runs.start_date > runs.ended_before + days(grace_days + 1)))
    starts = fresh.group_by("account_id", "i").agg(service_start=fresh.start_date.max())
    whole = known.left_join(starts, ["account_id", "i"]).drop("account_id_right", "i_right")
    table: ir.Table = connection.create_table(name, whole, temp=True, overwrite=True)
    return table


def facts(known: ir.Table, grace_days: int) -> ir.Table:
    """One row an account and date, from :func:`agreements`.

    ``service_start``; ``in_force`` (contracts); ``licences``, ``arr`` (sums over those; null where all are);
    ``days_to_notice_deadline`` (the nearest that lies ahead); ``days_to_renewal`` (the nearest end without a
    contract already signed to follow within the grace); ``plan`` and ``contract_length_days`` of the leading
    contract; ``last_end`` (of those begun; far ahead where open); ``under_notice``.
    """
    held = known.filter((known.start_date <= known.day) & (known.last_day >= known.day))
    keys = ["account_id", "i"]
    now = held.group_by(keys).agg(
        in_force=held.count(),
        licences=held.licences.sum().cast("float64"),
        arr=held.arr.sum().cast("float64"),
    )
    deadlines = held.filter(held.notice_deadline >= held.day)
    nearest = deadlines.group_by(keys).agg(
        days_to_notice_deadline=deadlines.notice_deadline.delta(deadlines.day, unit="day").min().cast("float64")
    )
    begun = known.filter(known.start_date <= known.day)
    ended = begun.group_by(keys).agg(
        service_start=begun.service_start.max(),
        last_end=begun.last_day.max(),
        day=begun.day.max(),
    )
    notices = begun.filter(begun.notice_at.notnull() & (begun.notice_at < begun.day))  # a day counts from its end
    notice = notices.group_by(keys).agg(noticed_end=notices.last_day.max(), noticed_at=notices.notice_at.max())
    later = known.group_by(keys).agg(
        last_start=known.start_date.max(),
        open_end=ibis.ifelse(known.notice_at.isnull(), known.last_day, ibis.null("date")).max(),
    )
    everything = ended
    for part in (now, nearest, notice, later, _renewal(known, held, grace_days), _length(held), _plan(held)):
        joined = everything.left_join(part, keys)
        everything = joined.drop(*[f"{key}_right" for key in keys])
    # Notice counts while nothing that was not given notice of reaches further.
    still_leaving = everything.noticed_end.notnull() & (
        everything.open_end.isnull() | (everything.open_end <= everything.noticed_end)
    )
    return everything.mutate(under_notice=still_leaving.fill_null(False)).drop(
        "noticed_end", "noticed_at", "last_start", "open_end", "day"
    )


def _renewal(known: ir.Table, held: ir.Table, grace_days: int) -> ir.Table:
    ending = held.filter(held.end_date.notnull())
    others = known.select("account_id", "i", other_start=known.start_date, other_key=known.row_key)
    pairs = ending.join(others, ["account_id", "i"])
    follows = pairs.filter(
        (pairs.other_start > pairs.start_date)
        & (pairs.other_start > pairs.day)
        & (pairs.other_start <= pairs.end_date + days(grace_days + 1))
    ).select("account_id", "i", "row_key")
    unsettled = ending.anti_join(follows.distinct(), ["account_id", "i", "row_key"])
    return unsettled.group_by("account_id", "i").agg(
        days_to_renewal=unsettled.end_date.delta(unsettled.day, unit="day").min().cast("float64")
    )


def _length(held: ir.Table) -> ir.Table:
    order = ibis.window(
        group_by=["account_id", "i"],
        order_by=[held.arr.fill_null(-1.0).desc(), held.licences.fill_null(-1.0).desc(), held.row_key.desc()],
    )
    first = held.mutate(place=ibis.row_number().over(order)).filter(ibis._.place == 0)
    return first.select(
        "account_id",
        "i",
        contract_length_days=(first.end_date.delta(first.start_date, unit="day") + 1).cast("float64"),
    )


def _plan(held: ir.Table) -> ir.Table:
    return leading_plan(held)
