"""One pass: readings of some accounts at up to 62 dates, in a handful of queries.

Gather (contracts, feeds and quantities, through Ibis), then decide (kinds, in NumPy). A pass is the same for a
whole company and for one account: fewer accounts, fewer rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.catalogue.schema import Definitions, Stages
from features.measures import kinds, service
from features.measures.calendar import Calendar
from features.measures.coverage import Coverage, spans
from features.measures.known import Answer, Known, answer_unless
from features.measures.quantities import CsmSince, Rating
from features.measures.queries import Queries
from features.measures.rows import SECONDS_A_DAY, Quantity, Scope
from features.readings import KNOWN_LETTER, UnknownReason
from features.sources.contract import table_contracts
from features.vectors import Floats

if TYPE_CHECKING:
    from features.sources import Database

Texts = npt.NDArray[np.object_]

EPOCH = dt.datetime(1970, 1, 1)
# Quantities in one query: compiling grows faster than linear (62 together 8.3 s, by sixes 4 s).
ASKED_TOGETHER = 6


@dataclass(frozen=True)
class Readings:
    """What is known of n pairs: signals, factors and context by id.

    `text` holds categories as text (None unknown); `under_notice` is a mask.
    """

    signals: Mapping[str, Answer]
    factors: Mapping[str, Answer]
    ages: Mapping[str, Floats]
    context: Mapping[str, Answer]
    text: Mapping[str, Texts]
    under_notice: npt.NDArray[np.bool_]


class Pass:
    """Accounts and dates asked about together.

    Parameters
    ----------
    database
        The company's tables, normalised.
    definitions
        What readings mean.
    account_ids, as_of
        n pairs; at most 62 distinct dates.
    whole
        Whether (nearly) all accounts are asked about, so that cutting the tables to them gains nothing.
    """

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        account_ids: Sequence[str],
        as_of: Sequence[dt.datetime],
        *,
        whole: bool,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._size = len(account_ids)
        self._queries = Queries(database)
        self._calendar = Calendar(self._queries, sorted(set(as_of)), "pass")
        place = {date: i for i, date in enumerate(self._calendar.dates)}
        self._date_of = np.array([place[date] for date in as_of], dtype=np.intp)
        pairs = {
            "g": pa.array(range(self._size), pa.int64()),
            "account_id": pa.array(account_ids, pa.string()),
            "i": pa.array(self._date_of, pa.int64()),
        }
        self._queries.put("pass_pairs", pairs)
        self._queries.put("pass_accounts", {"account_id": pa.array(sorted(set(account_ids)), pa.string())})
        self._whole = whole
        self._grace_days = definitions.lapse_grace_days
        # What the text of a query depends on, beside the tables' columns.
        self._key = (whole, self._calendar.time_of_day_seconds, self._grace_days)
        self._connected = frozenset(database.tables)
        self._say_how_to_store()
        moments = np.array([(date - EPOCH).total_seconds() for date in as_of])
        self._seconds, self._day = moments, np.floor(moments / SECONDS_A_DAY)

    def _say_how_to_store(self) -> None:
        """Rows with their place among the dates, stored once, when the first quantity asks for them."""

        def ranked(name: str, *, own: bool) -> ir.Table:
            rows = self._database.tables[name]
            if own:
                rows = rows.semi_join(self._queries.table("pass_accounts"), "account_id")
            return self._calendar.ranked(rows)

        for name in self._connected:
            self._queries.later(f"pass_all_{name}", self._key, partial(ranked, name, own=False))
            self._queries.later(f"pass_own_{name}", self._key, partial(ranked, name, own=True))
        self._queries.later(
            "pass_agreements",
            self._key,
            lambda: service.agreements(self._rows_of("contracts"), self._calendar.bits, self._grace_days),
        )

    def _rows_of(self, table: str) -> ir.Table:
        """Rows of the accounts in this pass."""
        return self._queries.table(f"pass_{'all' if self._whole else 'own'}_{table}")

    def _all_rows_of(self, table: str) -> ir.Table:
        """Rows of every account."""
        return self._queries.table(f"pass_all_{table}")

    def _pairs(self) -> ir.Table:
        """The pairs: ``g`` (their place), ``account_id``, ``i`` (their date's place)."""
        return self._queries.table("pass_pairs")

    def _agreements(self) -> ir.Table:
        """Contracts as known on each date."""
        return self._queries.table("pass_agreements")

    def _by_pair(self, key: str, columns: Sequence[str], table: Callable[[], ir.Table]) -> dict[str, Any]:
        """Fetch columns of a table keyed by account and date, as NumPy arrays in the order of the pairs."""

        def query() -> ir.Table:
            return self._pairs().join(table(), ["account_id", "i"]).select("g", *columns)

        arrow = self._queries.fetch((key, tuple(columns), self._key), query)
        rows = arrow["g"].to_numpy()
        answer: dict[str, Any] = {}
        for name in columns:
            column = arrow[name]
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                values: Any = np.full(self._size, None, dtype=object)
                values[rows] = column.to_numpy(zero_copy_only=False)
            else:
                values = np.full(self._size, np.nan)
                values[rows] = floats(column)
            answer[name] = values
        return answer

    # --- facts ------------------------------------------------------------------------------------------------

    def _service(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            name: np.full(self._size, np.nan)
            for name in (
                "service_start",
                "licences",
                "arr",
                "days_to_notice_deadline",
                "days_to_renewal",
                "contract_length_days",
                "under_notice",
            )
        }
        facts["plan"] = np.full(self._size, None, dtype=object)
        if "contracts" in self._connected:
            facts = self._by_pair(
                "facts", list(facts), lambda: service.facts(self._agreements(), self._grace_days)
            )
            facts["plan"][facts["plan"] == ""] = None
        else:
            facts["service_start"] = self._account_attributes(("customer_since",))["customer_since"]
        return facts

    def _account_attributes(self, columns: Sequence[str]) -> dict[str, Any]:
        def now() -> ir.Table:
            bits = self._calendar.bits
            chosen = self._rows_of("accounts").select("account_id", "known_from", "known_until", *columns)
            return chosen.join(bits, (chosen.known_from <= bits.as_of) & (chosen.known_until > bits.as_of))

        return self._by_pair("accounts", columns, now)

    def _coverage(self) -> Coverage:
        def known() -> ir.Table:
            feeds, bits = self._database.feeds, self._calendar.bits
            return feeds.join(bits, (feeds.known_from <= bits.as_of) & (feeds.known_until > bits.as_of))

        def general() -> ir.Table:
            rows = known()
            return rows.filter(rows.account_id.isnull()).select("i", "table", "covered_from", "covered_to")

        def own() -> ir.Table:
            rows = known()
            paired = rows.filter(rows.account_id.notnull()).join(self._pairs(), ["account_id", "i"])
            return paired.select("g", "table", "covered_from", "covered_to")

        for_all = self._queries.fetch("feeds for all", general)
        for_one = self._queries.fetch("feeds for one", own)
        return Coverage(
            self._size,
            {name: self._spans(name, for_all, for_one) for name in self._database.tables},
        )

    def _spans(self, table: str, for_all: pa.Table, for_one: pa.Table) -> tuple[Floats, Floats]:
        one = for_one.filter(pa.compute.equal(for_one["table"], table))
        every = for_all.filter(pa.compute.equal(for_all["table"], table))
        rows = one["g"].to_numpy().astype(np.intp)
        own = np.zeros(self._size, dtype=bool)
        own[rows] = True
        dates = every["i"].to_numpy()
        first, after = _feed_days(every)
        parts = [(rows, *_feed_days(one))]
        for date, begin, end in zip(dates, first, after, strict=True):
            pairs = np.flatnonzero((self._date_of == date) & ~own)
            parts.append((pairs, np.full(len(pairs), begin), np.full(len(pairs), end)))
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return spans(self._size, joined[0], joined[1], joined[2], self._day)

    # --- readings ---------------------------------------------------------------------------------------------

    def readings(self) -> Readings:
        """Read every signal, factor and context column of the definitions for all pairs."""
        facts = self._service()
        stage = stages(facts, self._day, self._definitions.stages)
        known = Known(
            size=self._size,
            day=self._day,
            seconds=self._seconds,
            service_start=facts["service_start"],
            stage=stage,
            coverage=self._coverage(),
            connected=frozenset(self._database.tables),
            delivered=delivered_columns(self._database.columns),
            ended_columns={name: table.ended for name, table in table_contracts().items() if table.ended},
        )
        _read(self._definitions, known)  # once to learn what is asked for
        known.numbers = self._fetch(list(known.asked))
        context, text = self._context(facts, stage)
        self._queries.forget()
        signals, factors, ages, second_windows = _read(self._definitions, known)
        return Readings(
            signals,
            factors,
            ages,
            {**context, **second_windows},
            text,
            np.nan_to_num(facts["under_notice"]) > 0,
        )

    def _fetch(self, asked: Sequence[Quantity]) -> dict[Quantity, Floats]:
        scope = Scope(
            calendar=self._calendar,
            pairs=self._pairs,
            agreements=self._agreements,
            rows_of=self._rows_of,
            all_rows_of=self._all_rows_of,
        )
        numbers: dict[Quantity, Floats] = {}
        for first in range(0, len(asked), ASKED_TOGETHER):
            numbers.update(self._fetch_together(asked[first : first + ASKED_TOGETHER], scope))
        return numbers

    def _fetch_together(self, asked: Sequence[Quantity], scope: Scope) -> dict[Quantity, Floats]:
        def query() -> ir.Table:
            relations = [
                quantity.relation(scope).select("account_id", "i", "value", q=ibis.literal(place, type="int64"))
                for place, quantity in enumerate(asked)
            ]
            together = ibis.union(*relations) if len(relations) > 1 else relations[0]
            return together.join(self._pairs(), ["account_id", "i"]).select("g", "q", "value")

        fetched = self._queries.fetch((tuple(asked), self._key), query)
        rows, which, values = fetched["g"].to_numpy(), fetched["q"].to_numpy(), floats(fetched["value"])
        numbers = {}
        for place, quantity in enumerate(asked):
            chosen = which == place
            numbers[quantity] = np.full(self._size, np.nan)
            numbers[quantity][rows[chosen]] = values[chosen]
        return numbers

    def _context(
        self, facts: Mapping[str, Any], stage: npt.NDArray[np.str_]
    ) -> tuple[dict[str, Answer], dict[str, Texts]]:
        derived = dict(facts)
        derived["tenure_days"] = self._day - facts["service_start"]
        derived["stage"] = stage.astype(object)
        derived["stage"][stage == ""] = None
        entries = self._definitions.context
        columns = {
            name: entry.of.removeprefix("accounts.")
            for name, entry in entries.items()
            if entry.of is not None and entry.of.startswith("accounts.")
        }
        present = [c for c in dict.fromkeys(columns.values()) if c in self._database.tables["accounts"].columns]
        attributes = self._account_attributes(present) if present else {}
        numbers: dict[str, Answer] = {}
        text: dict[str, Texts] = {}
        for name, entry in entries.items():
            if entry.of is None:
                continue
            value = attributes.get(columns[name]) if name in columns else derived[entry.of]
            if entry.kind == "category":
                text[name] = np.full(self._size, None, dtype=object) if value is None else value
            else:
                numbers[name] = _plain(np.full(self._size, np.nan) if value is None else value)
        return numbers, text


def _plain(values: Floats) -> Answer:
    return Answer(values, np.where(np.isnan(values), UnknownReason.NO_BASE.letter, KNOWN_LETTER))


def _feed_days(rows: pa.Table) -> tuple[Floats, Floats]:
    first = floats(rows["covered_from"])
    last = floats(rows["covered_to"])
    return first, np.where(np.isnan(last), np.inf, last + 1)


def floats(column: pa.ChunkedArray) -> Floats:
    """Numbers, days (since 1970) and yes/no as float64; null is NaN."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def delivered_columns(columns: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return per table what can be read: the columns that the company delivers, and those with a default."""
    contracts = table_contracts()
    return {
        table: given | {name for name, column in contracts[table].columns.items() if column.default is not None}
        for table, given in columns.items()
    }


def stages(facts: Mapping[str, Any], day: Floats, edges: Stages) -> npt.NDArray[np.str_]:
    """Shape (n,): the lifecycle stage, "" where service has no known start; the renewal window wins.

    Parameters
    ----------
    facts
        ``service_start`` (day since 1970), ``days_to_notice_deadline``, ``days_to_renewal``.
    day
        The date's day since 1970.
    edges
        From ``signals.toml``.
    """
    served = day - facts["service_start"]
    left = np.where(
        np.isnan(facts["days_to_notice_deadline"]), facts["days_to_renewal"], facts["days_to_notice_deadline"]
    )
    by_age = np.where(
        served < edges.onboarding_days,
        "onboarding",
        np.where(served < edges.adoption_days, "adoption", "mature"),
    )
    stage = np.where(left <= edges.renewal_window_days, "renewal_window", by_age)
    return np.where(np.isnan(served), "", stage)


def _read(
    definitions: Definitions, known: Known
) -> tuple[dict[str, Answer], dict[str, Answer], dict[str, Floats], dict[str, Answer]]:
    raw = {name: kinds.measured(signal.measure, known) for name, signal in definitions.signals.items()}
    signals = {
        name: kinds.apply_rules(
            raw[name],
            signal.applies,
            raw.get(signal.applies.unless.signal) if signal.applies.unless else None,
            known,
        )
        for name, signal in definitions.signals.items()
    }
    factors: dict[str, Answer] = {}
    ages: dict[str, Floats] = {}
    for name, factor in definitions.factors.items():
        factors[name], ages[name] = _factor(name, factor.unknown_after_days, known)
    second_windows = {
        name: kinds.measured(entry.measure, known)
        for name, entry in definitions.context.items()
        if entry.measure is not None
    }
    return signals, factors, ages, second_windows


def _factor(name: str, unknown_after_days: int, known: Known) -> tuple[Answer, Floats]:
    """The latest rating, unknown once too old or made for another CSM; and its age in whole days."""
    rating, made = known.number(Rating(name, "rating")), known.number(Rating(name, "at"))
    age = np.floor((known.seconds - made) / SECONDS_A_DAY)
    answer = answer_unless(
        rating,
        (np.full(known.size, "assessments" not in known.connected), UnknownReason.NOT_CONNECTED),
        (np.isnan(rating), UnknownReason.NOT_RATED),
        (age > unknown_after_days, UnknownReason.EXPIRED),
        (known.number(CsmSince()) > made, UnknownReason.CSM_CHANGED),
    )
    return answer, np.where(answer.letters == KNOWN_LETTER, age, np.nan)
