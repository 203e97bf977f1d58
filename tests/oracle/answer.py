"""The oracle's answer: every reading of one account at one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from features.catalogue import Catalogue
from features.catalogue.schema import BreadthMeasure, Factor, Measure, Signal, UnlessSignal
from features.readings import Unknown, UnknownReason
from tests.oracle import contracts
from tests.oracle.company import Company
from tests.oracle.coverage import CannotSayError
from tests.oracle.delivery import must_be_delivered
from tests.oracle.measures import KINDS
from tests.oracle.question import Question
from tests.oracle.rows import age_in_days

Value = float | Unknown


@dataclass(frozen=True)
class Answer:
    """Signals and factors by id, ages of the factors' assessments, context (text where it is a category)."""

    signals: Mapping[str, Value]
    factors: Mapping[str, Value]
    ages: Mapping[str, Value]
    context: Mapping[str, float | str | Unknown]
    under_notice: bool
    coverage: float | None
    service_start: dt.date | None


class Oracle:
    """Answers about one company; remembers what was known on each date."""

    def __init__(self, company: Company, catalogue: Catalogue) -> None:
        self.company, self.definitions = company, catalogue.definitions
        self._dates: dict[dt.datetime, tuple[Any, dict[Any, Any]]] = {}

    def question(self, account_id: str, as_of: dt.datetime) -> Question:
        if as_of not in self._dates:
            self._dates[as_of] = (self.company.known_at(as_of), {})
        known, shared = self._dates[as_of]
        return Question(self.definitions, known, account_id, shared)

    def ask(self, account_id: str, as_of: dt.datetime) -> Answer:
        q = self.question(account_id, as_of)
        signals = {name: signal_reading(q, signal) for name, signal in self.definitions.signals.items()}
        rated = {name: factor_reading(q, name, factor) for name, factor in self.definitions.factors.items()}
        factors, ages = ({name: both[side] for name, both in rated.items()} for side in (0, 1))
        return Answer(
            signals,
            factors,
            ages,
            context(q),
            contracts.under_notice(q.contracts, as_of),
            coverage([*signals.values(), *factors.values()]),
            q.view.service_start,
        )

    def in_force(self, account_id: str, as_of: dt.datetime) -> bool:
        """A known contract is in force, or ended no longer ago than the grace."""
        known = self.question(account_id, as_of).contracts
        grace = dt.timedelta(days=self.definitions.lapse_grace_days)
        today = as_of.date()
        return any(
            c["start_date"] <= today and (c["end_date"] is None or c["end_date"] + grace >= today) for c in known
        )


def said(q: Question, measure: Measure) -> Value:
    """A measure's value, or why there is none."""
    try:
        must_be_delivered(q.view, measure)
        return float(KINDS[type(measure)](q, measure))
    except CannotSayError as why:
        return Unknown(why.reason)


def signal_reading(q: Question, signal: Signal) -> Value:
    """Not connected comes first, then whether the question makes sense now, then the measure."""
    reading = said(q, signal.measure)
    if reading == Unknown(UnknownReason.NOT_CONNECTED):
        return reading
    stages, unless = signal.applies.stages, signal.applies.unless
    if (stages and q.stage not in stages) or (unless and switched_off(q, unless)):
        return Unknown(UnknownReason.NOT_APPLICABLE)
    return reading


def switched_off(q: Question, unless: UnlessSignal) -> bool:
    other = signal_reading(q, q.definitions.signals[unless.signal])
    return not isinstance(other, Unknown) and other >= unless.at_least


def factor_reading(q: Question, name: str, factor: Factor) -> tuple[Value, Value]:
    """The latest rating and its age in whole days, unless too old or given for another CSM."""
    if not q.known.connected("assessments"):
        return (Unknown(UnknownReason.NOT_CONNECTED),) * 2
    ratings = [row for row in q.known.rows("assessments", q.view.account_id) if row["factor"] == name]
    if not ratings:
        return (Unknown(UnknownReason.NOT_RATED),) * 2
    last = max(ratings, key=lambda row: (row["occurred_at"], row["known_from"], row["assessment_id"]))
    age = age_in_days(last["occurred_at"], q.as_of)
    if age > factor.unknown_after_days:
        return (Unknown(UnknownReason.EXPIRED),) * 2
    if csm_changed(q, last["occurred_at"]):
        return (Unknown(UnknownReason.CSM_CHANGED),) * 2
    return float(last["rating"]), float(age)


def csm_changed(q: Question, since: dt.datetime) -> bool:
    """The account went from one CSM to another, as we came to know after that moment."""
    versions = [row for row in q.known.versions("accounts")[(q.view.account_id,)] if row["csm"] is not None]
    known = sorted((row for row in versions if row["known_from"] <= q.as_of), key=lambda row: row["known_from"])
    return any(a["csm"] != b["csm"] and b["known_from"] > since for a, b in pairwise(known))


def coverage(readings: list[Value]) -> float | None:
    """The share known of what applies and is connected."""
    aside = (Unknown(UnknownReason.NOT_APPLICABLE), Unknown(UnknownReason.NOT_CONNECTED))
    asked = [reading for reading in readings if reading not in aside]
    return sum(not isinstance(reading, Unknown) for reading in asked) / len(asked) if asked else None


def context(q: Question) -> dict[str, float | str | Unknown]:
    """Context values; what cannot be told from what is known has no base."""
    definitions = q.definitions
    made: dict[str, float | str | Unknown] = {}
    for name, entry in definitions.context.items():
        if entry.measure is not None:
            assert isinstance(entry.measure, BreadthMeasure)
            made[name] = said(q, entry.measure)
            continue
        value = derived(q, entry.of or "")
        made[name] = Unknown(UnknownReason.NO_BASE) if value is None else value
    return made


def derived(q: Question, of: str) -> float | str | None:
    today, grace = q.as_of.date(), q.definitions.lapse_grace_days
    begun = q.view.service_start is not None
    if of.startswith("accounts."):
        account = next(iter(q.known.rows("accounts", q.view.account_id)), None)
        text: float | str | None = account[of.removeprefix("accounts.")] if account else None
        return text
    values: dict[str, float | str | None] = {
        "days_to_notice_deadline": contracts.days_to_notice_deadline(q.contracts, today, grace) if begun else None,
        "days_to_renewal": contracts.days_to_renewal(q.contracts, today, grace) if begun else None,
        "tenure_days": q.view.tenure_days,
        "stage": q.stage,
        "licences": contracts.total(q.contracts, "licences", today),
        "arr": contracts.total(q.contracts, "arr", today),
        "plan": contracts.plan(q.contracts, today),
        "contract_length_days": contracts.contract_length_days(q.contracts, today),
    }
    return values[of]
