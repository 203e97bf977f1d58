"""One pass: readings of some accounts at up to 62 dates.

Gather (rows of the accounts, through Ibis), then decide (quantities and kinds, in NumPy). A pass is the same for
a whole company and for one account: fewer accounts, fewer rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.catalogue.schema import STAGES, Definitions, Stages
from features.measures import kinds, service
from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints
from features.measures.coverage import Coverage
from features.measures.elementwise import Numbers, floor, isnan, where
from features.measures.feeds import FeedRows, covered_by, fetched_feeds
from features.measures.fetching import (
    ACCOUNTS,
    BYTES_A_ROW_AT_WORK,
    BYTES_A_ROW_FETCHED,
    Fetched,
    OfEveryone,
    by_table,
    fetch,
    parts,
)
from features.measures.frames import Demand, Frame, Texts, Together
from features.measures.known import Answer, Connected, Known, answer_unless
from features.measures.letters import KNOWN, letter
from features.measures.quantities import CsmSince, Rating
from features.measures.queries import Queries
from features.measures.scope import Frames, Quantity, Reference, RowsWanted, Scope
from features.readings import UnknownReason
from features.sources.contract import TableContract

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.sources import Database

CONTRACTS = "contracts"
PAIRS_A_PASS = 100_000  # what NumPy then holds is some hundred bytes a pair and quantity
CSM_SINCE = CsmSince()
NO_BASE = letter(UnknownReason.NO_BASE)
Read = tuple[dict[str, Answer], dict[str, Answer], dict[str, Floats], dict[str, Answer]]


@dataclass(frozen=True)
class Readings:
    """What is known of n pairs: signals, factors and context by id.

    `text` holds categories (code -1 unknown); `under_notice` is a mask.
    """

    signals: Mapping[str, Answer]
    factors: Mapping[str, Answer]
    ages: Mapping[str, Floats]
    context: Mapping[str, Answer]
    text: Mapping[str, Texts]
    under_notice: npt.NDArray[np.bool_]


class Asked:
    """What the definitions ask of a company's tables; found once, for all passes.

    Parameters
    ----------
    database
        The company's tables, normalised.
    definitions
        What readings mean.
    """

    def __init__(self, database: Database, definitions: Definitions) -> None:
        self.database, self.definitions = database, definitions
        self.connected = Connected(
            frozenset(database.tables),
            delivered_columns(database.columns, definitions.contracts),
            {name: table.ended for name, table in definitions.contracts.items() if table.ended is not None},
        )
        self.read = reading(definitions, self.connected)
        asked: dict[Quantity, None] = {}

        def learn(quantity: Quantity) -> Floats:
            if quantity.table in self.connected:
                asked[quantity] = None
            return np.zeros(0)

        nothing = np.zeros(0)
        spans_of_none = {name: (np.zeros((0, 1)), np.zeros((0, 1))) for name in self.connected.tables}
        self.read(
            Known(
                size=0,
                day=nothing,
                seconds=nothing,
                service_start=nothing,
                stage=np.zeros(0, dtype=np.int64),
                coverage=Coverage(0, spans_of_none),
                connected=self.connected,
                measure=learn,
            )
        )
        self.quantities = frozenset(asked)
        self.account_columns = self._account_columns()
        own = RowsWanted(ACCOUNTS, (), tuple(dict.fromkeys(["customer_since", *self.account_columns.values()])))
        always = [own, *([service.AGREEMENTS] if CONTRACTS in self.connected else [])]
        wants = [want for quantity in asked for want in quantity.wants]
        of_everyone = [want for want in wants if want.of_everyone]
        self.references = tuple(
            cast("Reference", quantity) for quantity in asked if any(want.of_everyone for want in quantity.wants)
        )
        self.wants = by_table([*always, *wants])
        self.wants_of_service = by_table(always)
        self.together = together(demand for want in self.wants.values() for demand in want.demands)
        self.wants_of_everyone = by_table([*always, *of_everyone]) if of_everyone else {}
        self._last_everyone: Scope | None = None

    def _account_columns(self) -> dict[str, str]:
        """Context entries that are columns of accounts which are there."""
        there = self.database.tables[ACCOUNTS].columns
        named = {
            name: entry.of.removeprefix("accounts.")
            for name, entry in self.definitions.context.items()
            if entry.of is not None and entry.of.startswith("accounts.")
        }
        return {name: column for name, column in named.items() if column in there}

    def known_accounts(self, queries: Queries) -> pa.Array:
        """Return the ids of all accounts, in order."""

        def ids() -> ir.Table:
            return self.database.tables[ACCOUNTS].select("account_id").distinct()

        return queries.fetch("all accounts", ids)["account_id"].combine_chunks().sort()

    def service_of(self, calendar: Calendar, accounts: pa.Array) -> Scope:
        """Return the scope of some accounts with the rows that tell of their service alone."""
        fetched = fetch(Queries(self.database), self.database, accounts, self.wants_of_service)()
        return self._scope(calendar, len(accounts), fetched.frames(calendar))

    def _scope(self, calendar: Calendar, accounts: int, frames: Frames) -> Scope:
        grace_days = self.definitions.lapse_grace_days
        return Scope(calendar, accounts, grace_days, self.connected.tables, frames)

    def everyone(self, calendar: Calendar) -> Scope:
        """Return what everyone has in common: the scope of all accounts, with its reference values alone.

        It is that of the midnights with which the dates' days begin, so that it is worked out once a day.
        """
        midnights, queries = calendar.midnights(), Queries(self.database)
        if self._last_everyone is not None and self._last_everyone.calendar.dates == midnights.dates:
            return self._last_everyone
        accounts = self.known_accounts(queries)
        frames = OfEveryone(queries, self.database, midnights, accounts, self.wants_of_everyone)
        scope = self._scope(midnights, len(accounts), frames)
        answers: dict[Hashable, Any] = {one: one.of_everyone(scope) for one in self.references}
        self._last_everyone = replace(scope, frames=_NoFrames(), _kept=answers)
        return self._last_everyone

    def sizes(self, accounts: int, pairs: int) -> tuple[int, int]:
        """Return of how many accounts a lot and a pass are, where there are so many accounts and pairs."""
        at_work, fetched = (
            parts(self.database, self.wants, accounts, size) for size in (BYTES_A_ROW_AT_WORK, BYTES_A_ROW_FETCHED)
        )
        passes = max(math.ceil(pairs / PAIRS_A_PASS), at_work)
        of_pass = -(-accounts // passes)
        return of_pass * max(passes // fetched, 1), of_pass

    def lot(self, accounts: pa.Array) -> Lot:
        """Fetch all rows of some accounts, in turn."""
        with self.database.turn:
            queries = Queries(self.database)
            rows = fetch(queries, self.database, accounts, self.wants)
            feeds = fetched_feeds(queries, self.database.feeds, accounts)
        return Lot(rows(), feeds)

    def work(
        self, calendar: Calendar, lot: Lot, account: Ints, place: Ints, everyone: Callable[[], Scope]
    ) -> Pass:
        """Return the pass of a lot's accounts; see :class:`Pass`."""
        scope = replace(self._scope(calendar, lot.rows.size, lot.rows.frames(calendar)), everyone_else=everyone)
        tables, feeds = self.connected.tables, lot.feeds
        return Pass(self, scope, account, place, lambda: covered_by(feeds, tables, calendar, account, place))


@dataclass(frozen=True)
class Lot:
    """What is fetched of some accounts at once: several passes', since a query takes as long for those of one."""

    rows: Fetched
    feeds: FeedRows

    def among(self, first: int, size: int) -> Lot:
        """Return what is there of so many accounts from the `first` on."""
        return Lot(self.rows.among(first, size), self.feeds.among(first, size))


class _NoFrames:
    """Where rows have been."""

    def frame(self, table: str) -> Frame:
        """Refuse."""
        raise LookupError(f"{table}: only reference values are asked of everyone.")


class Pass:
    """Accounts and dates asked about together.

    Parameters
    ----------
    asked
        What the definitions ask of the company's tables.
    scope
        The accounts and the dates.
    account, place
        Shape (n,): each pair's account, numbered within the scope, and date, as its place in the calendar.
    coverage
        Tells what of the pairs is covered.
    """

    def __init__(
        self, asked: Asked, scope: Scope, account: Ints, place: Ints, coverage: Callable[[], Coverage]
    ) -> None:
        self._asked, self._definitions, self._scope = asked, asked.definitions, scope
        self._size, self._place, self._coverage = len(account), place, coverage
        self._calendar = scope.calendar
        self._cell = account * len(scope.calendar) + place
        self._one = self._size == scope.cells == 1
        self._every_cell = self._one or (
            self._size == scope.cells and bool((self._cell == np.arange(self._size)).all())
        )

    def _of_pairs(self, cells: Any) -> Any:
        """Values of cells as values of pairs: of one a plain number."""
        if self._size == 1:
            return cells.item(0 if self._one else self._cell.item())
        return cells if self._every_cell else cells[self._cell]

    def _of_dates(self, dates: Floats) -> Numbers:
        """Values of the calendar's dates as values of pairs."""
        return dates.item(self._place.item()) if self._size == 1 else dates[self._place]

    def _all(self, value: Any) -> Any:
        """The same for all pairs."""
        return value if self._size == 1 else np.full(self._size, value)

    # --- facts ------------------------------------------------------------------------------------------------

    @cached_property
    def _version(self) -> Numbers:
        """Shape (n,): the row of the account as known on each date; -1: none."""
        rows = self._scope.rows(ACCOUNTS)
        row, cells = self._scope.expanded(rows.account, rows.known)
        version = np.full(self._scope.cells, -1, dtype=np.int64)
        version[cells] = row
        return self._of_pairs(version)

    def _attribute(self, column: str) -> Numbers | Texts:
        """Shape (n,): a column of the account as known on each date."""
        rows, version = self._scope.rows(ACCOUNTS), self._version

        def of_version(values: Any, missing: float) -> Numbers:
            if self._size == 1:
                return values.item(version) if version >= 0 else missing
            return np.append(values, missing)[version]

        if column in rows.texts:
            return Texts(of_version(rows.texts[column].codes, -1), rows.texts[column].values)
        return of_version(rows.numbers[column], math.nan)

    def _service(self) -> tuple[dict[str, Numbers], Texts, Numbers]:
        """Facts from the contracts by name, the plan, and whether notice was given."""
        if CONTRACTS in self._asked.connected:
            facts = service.facts(self._scope)
            numbers = {name: self._of_pairs(value) for name, value in facts.numbers().items()}
            plan = Texts(self._of_pairs(facts.plan.codes), facts.plan.values)
            return numbers, plan, self._of_pairs(facts.under_notice)
        numbers = dict.fromkeys(service.FACTS, self._all(math.nan))
        since = self._attribute("customer_since")
        assert not isinstance(since, Texts)  # the contract says that it is a date
        numbers["service_start"] = since
        return numbers, Texts(self._all(-1), ()), self._all(False)

    # --- readings ---------------------------------------------------------------------------------------------

    def readings(self) -> Readings:
        """Read every signal, factor and context column of the definitions for all pairs."""
        facts, plan, under_notice = self._service()
        day = self._of_dates(self._calendar.day)
        stage = stages(facts, day, self._definitions.stages)
        known = Known(
            size=self._size,
            day=day,
            seconds=self._of_dates(self._calendar.seconds),
            service_start=facts["service_start"],
            stage=stage,
            coverage=self._coverage(),
            connected=self._asked.connected,
            measure=self._measured,
        )
        signals, factors, ages, second_windows = self._asked.read(known)
        tenure = day - facts["service_start"]
        derived = {**facts, "plan": plan, "stage": Texts(stage, STAGES), "tenure_days": tenure}
        context, text = self._context(derived)
        return Readings(signals, factors, ages, {**context, **second_windows}, text, under_notice)

    def _measured(self, quantity: Quantity) -> Numbers:
        """Shape (n,): the quantity; NaN of a table that is not connected."""
        if quantity not in self._asked.quantities:
            return self._all(math.nan)
        return self._of_pairs(quantity.numbers(self._scope))

    def _context(self, derived: Mapping[str, Numbers | Texts]) -> tuple[dict[str, Answer], dict[str, Texts]]:
        columns = self._asked.account_columns
        numbers: dict[str, Answer] = {}
        text: dict[str, Texts] = {}
        for name, entry in self._definitions.context.items():
            if entry.of is None:
                continue
            value = self._attribute(columns[name]) if name in columns else derived.get(entry.of)
            if entry.kind == "category":
                assert value is None or isinstance(value, Texts)  # columns are read as what the context is
                text[name] = value if value is not None else Texts(self._all(-1), ())
            else:
                assert not isinstance(value, Texts)
                numbers[name] = _plain(value if value is not None else self._all(math.nan))
        return numbers, text


def _plain(values: Numbers) -> Answer:
    return Answer(values, where(isnan(values), NO_BASE, KNOWN))


def together(demands: Iterable[Demand]) -> dict[Demand, Together]:
    """Return for each demand that is added up those that can be counted in one go with it."""
    by_table: dict[str, list[Demand]] = {}
    for demand in demands:
        if demand.of in ("rows", "sum", "given", "nameless", "distinct"):
            by_table.setdefault(demand.table, []).append(demand)
    groups = [Together(tuple(group)) for group in by_table.values()]
    return {demand: group for group in groups for demand in group.demands}


def delivered_columns(
    columns: Mapping[str, frozenset[str]], contracts: Mapping[str, TableContract]
) -> dict[str, frozenset[str]]:
    """Return per table what can be read: the columns that the company delivers, and those with a default."""
    return {
        table: given | {name for name, column in contracts[table].columns.items() if column.default is not None}
        for table, given in columns.items()
    }


def stages(facts: Mapping[str, Numbers], day: Numbers, edges: Stages) -> Numbers:
    """Shape (n,): the lifecycle stage's place in STAGES, -1 where service has no known start.

    Parameters
    ----------
    facts
        ``service_start`` (day since 1970), ``days_to_notice_deadline``, ``days_to_renewal``.
    day
        The date's day since 1970.
    edges
        From ``signals.toml``; the renewal window wins.
    """
    served = day - facts["service_start"]
    deadline = facts["days_to_notice_deadline"]
    left = where(isnan(deadline), facts["days_to_renewal"], deadline)
    place = STAGES.index
    by_age = where(
        served < edges.onboarding_days,
        place("onboarding"),
        where(served < edges.adoption_days, place("adoption"), place("mature")),
    )
    stage = where(left <= edges.renewal_window_days, place("renewal_window"), by_age)
    return where(isnan(served), -1, stage)


def reading(definitions: Definitions, connected: Connected) -> Callable[[Known], Read]:
    """Return what reads signals, factors, the factors' ages, and context that is measured."""
    measures = {name: kinds.reader(signal.measure, connected) for name, signal in definitions.signals.items()}
    rules = {name: signal.applies for name, signal in definitions.signals.items()}
    ratings = {
        name: (factor.unknown_after_days, Rating(name, "rating"), Rating(name, "at"))
        for name, factor in definitions.factors.items()
    }
    measured_context = {
        name: kinds.reader(entry.measure, connected)
        for name, entry in definitions.context.items()
        if entry.measure is not None
    }

    def read(known: Known) -> Read:
        raw = {name: measure(known) for name, measure in measures.items()}
        signals = {
            name: kinds.apply_rules(
                raw[name], applies, raw.get(applies.unless.signal) if applies.unless else None, known
            )
            for name, applies in rules.items()
        }
        factors: dict[str, Answer] = {}
        ages: dict[str, Floats] = {}
        for name, rating in ratings.items():
            factors[name], ages[name] = _factor(*rating, known)
        return signals, factors, ages, {name: measure(known) for name, measure in measured_context.items()}

    return read


def _factor(unknown_after_days: int, of: Rating, at: Rating, known: Known) -> tuple[Answer, Floats]:
    """The latest rating, unknown once too old or made for another CSM; and its age in whole days."""
    rating, made = known.number(of), known.number(at)
    age = floor((known.seconds - made) / SECONDS_A_DAY)
    answer = answer_unless(
        rating,
        known.connected.without("assessments"),
        (isnan(rating), UnknownReason.NOT_RATED),
        (age > unknown_after_days, UnknownReason.EXPIRED),
        (known.number(CSM_SINCE) > made, UnknownReason.CSM_CHANGED),
    )
    return answer, where(answer.letters == KNOWN, age, math.nan)
