"""What the contracts known at a moment say: service, levels, deadlines, stage, notice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from features.catalogue.schema import Definitions, Stages
from tests.oracle.company import Known, Row, moment

FOR_EVER = dt.date.max


def end_of(contract: Row) -> dt.date:
    end: dt.date | None = contract["end_date"]
    return end or FOR_EVER


def in_force(contracts: Iterable[Row], day: dt.date) -> list[Row]:
    """Those that have begun and not ended; the last day counts."""
    return [c for c in contracts if c["start_date"] <= day <= end_of(c)]


def runs(contracts: Sequence[Row], grace_days: int) -> list[list[Row]]:
    """Contracts by beginning, split where one begins more than the grace after all before it ended."""
    ordered = sorted(contracts, key=lambda c: (c["start_date"], end_of(c)))
    split: list[list[Row]] = []
    for contract in ordered:
        ended = max(map(end_of, split[-1])) if split else dt.date.min
        if split and days_without(ended, contract["start_date"]) <= grace_days:
            split[-1].append(contract)
        else:
            split.append([contract])
    return split


def days_without(ended: dt.date, begins: dt.date) -> int:
    """The days between two contracts: none where one begins the day after the other's last."""
    return (begins - ended).days - 1


def present_run(contracts: Sequence[Row], day: dt.date, grace_days: int) -> list[Row]:
    """The last run that has begun, with what is already signed to carry it on."""
    begun = [run for run in runs(contracts, grace_days) if run[0]["start_date"] <= day]
    return begun[-1] if begun else []


def service_start(known: Known, account_id: str, definitions: Definitions) -> dt.date | None:
    """The first day of the present run of contracts; without a contracts table, since when they are a customer."""
    if known.connected("contracts"):
        contracts = known.rows("contracts", account_id)
        run = present_run(contracts, known.as_of.date(), definitions.lapse_grace_days)
        first: dt.date | None = run[0]["start_date"] if run else None
        return first
    account = next(iter(known.rows("accounts", account_id)), None)
    since: dt.date | None = account["customer_since"] if account else None
    return since


def level(contracts: Sequence[Row], column: str, day: dt.date) -> float | None:
    """The column added up over the contracts in force on a day; unknown where they all leave it out."""
    held = in_force(contracts, day)
    values = [c[column] for c in held if c[column] is not None]
    return sum(values) if values or not held else None


def total(contracts: Sequence[Row], column: str, day: dt.date) -> float | None:
    """The column added up over the contracts in force; unknown without any."""
    return level(contracts, column, day) if in_force(contracts, day) else None


def level_ahead(contracts: Sequence[Row], column: str, day: dt.date) -> float | None:
    """The smallest, of those that are known, of the day's level and that on each later beginning."""
    later = [c["start_date"] for c in contracts if c["start_date"] > day]
    levels = [level(contracts, column, on) for on in (day, *later)]
    return min((value for value in levels if value is not None), default=None)


def unsettled(contracts: Sequence[Row], day: dt.date, grace_days: int) -> list[Row]:
    """Contracts in force or ahead that no other one already signed carries on."""
    alive = [c for c in contracts if end_of(c) >= day]
    return [c for c in alive if not any(carries_on(other, c, day, grace_days) for other in contracts)]


def carries_on(other: Row, contract: Row, day: dt.date, grace_days: int) -> bool:
    """Later, yet to begin, and no later than the grace after this one's end; nothing follows an open end."""
    if contract["end_date"] is None:
        return False
    later = other["start_date"] > contract["start_date"] and other["start_date"] > day
    return bool(later) and days_without(end_of(contract), other["start_date"]) <= grace_days


def days_to_notice_deadline(contracts: Sequence[Row], day: dt.date, grace_days: int) -> int | None:
    """To the next last day to cancel; one that has passed is none."""
    deadlines = [c["notice_deadline"] for c in unsettled(contracts, day, grace_days) if c["notice_deadline"]]
    return min(((d - day).days for d in deadlines if d >= day), default=None)


def days_to_renewal(contracts: Sequence[Row], day: dt.date, grace_days: int) -> int | None:
    """To the next end that nothing already signed carries on."""
    ends = [c["end_date"] for c in unsettled(contracts, day, grace_days) if c["end_date"]]
    return min(((end - day).days for end in ends), default=None)


def stage(
    contracts: Sequence[Row], day: dt.date, tenure_days: int | None, stages: Stages, grace: int
) -> str | None:
    """Renewal window near the notice deadline, else near the end; else by tenure; none before service begins."""
    if tenure_days is None:
        return None
    until = days_to_notice_deadline(contracts, day, grace)
    if until is None:
        until = days_to_renewal(contracts, day, grace)
    if until is not None and until <= stages.renewal_window_days:
        return "renewal_window"
    if tenure_days < stages.onboarding_days:
        return "onboarding"
    return "adoption" if tenure_days < stages.adoption_days else "mature"


def largest(contracts: Sequence[Row], day: dt.date, first: str, second: str) -> Row | None:
    """The contract in force with most of one column, then of the other (nulls least), then last by id."""

    def order(contract: Row) -> tuple[float, float, str]:
        amounts = [-1.0 if contract[column] is None else contract[column] for column in (first, second)]
        return amounts[0], amounts[1], contract["contract_id"]

    return max(in_force(contracts, day), key=order, default=None)


def plan(contracts: Sequence[Row], day: dt.date) -> str | None:
    contract = largest(contracts, day, "licences", "arr")
    return contract["plan"] if contract else None


def contract_length_days(contracts: Sequence[Row], day: dt.date) -> int | None:
    contract = largest(contracts, day, "arr", "licences")
    return term_days(contract) if contract else None


def term_days(contract: Row) -> int | None:
    """From the first day to the last, both counted; none where the end is open."""
    return (contract["end_date"] - contract["start_date"]).days + 1 if contract["end_date"] else None


def under_notice(contracts: Sequence[Row], as_of: dt.datetime) -> bool:
    """Notice was given for all that is in force or ahead; where nothing is, for what ended last."""
    day = as_of.date()
    begun = [c for c in contracts if c["start_date"] <= day]
    if not any(notice_given(c, as_of) for c in begun):
        return False
    alive = [c for c in contracts if end_of(c) >= day]
    if alive:
        return all(notice_given(c, as_of) for c in alive)
    last = max(map(end_of, begun))
    return any(notice_given(c, as_of) for c in begun if end_of(c) == last)


def notice_given(contract: Row, as_of: dt.datetime) -> bool:
    """A day counts from its end."""
    return contract["notice_at"] is not None and moment(contract["notice_at"]) <= as_of
