"""One pass: readings of some accounts at up to 62 dates.

Gather (rows of the accounts, or counts of them; through Ibis), then decide (quantities and kinds, in NumPy). A
pass is the same for a whole company and for one account: fewer accounts, fewer rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue.schema import STAGES, Definitions, Stages
from features.measures import kinds, service
from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints
from features.measures.condensed import Within
from features.measures.coverage import Coverage, spans
from features.measures.fetching import ACCOUNTS, Counting, Fetched, by_table, numbered_accounts
from features.measures.frames import Texts
from features.measures.groups import pairs_within
from features.measures.known import Answer, Known, answer_unless
from features.measures.letters import KNOWN
from features.measures.quantities import CsmSince, Rating
from features.measures.queries import Queries
from features.measures.rows import coded, floats, seconds
from features.measures.scope import Quantity, RowsWanted, Scope
from features.readings import UnknownReason
from features.sources.contract import TableContract

if TYPE_CHECKING:
    from features.sources import Database

CONTRACTS = "contracts"


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
        self.connected = frozenset(database.tables)
        self.delivered = delivered_columns(database.columns, definitions.contracts)
        self.ended_columns = {
            name: table.ended for name, table in definitions.contracts.items() if table.ended is not None
        }
        asked: dict[Quantity, None] = {}

        def learn(quantity: Quantity) -> Floats:
            asked[quantity] = None
            return np.zeros(0)

        nothing = np.zeros(0)
        spans_of_none = {name: (np.zeros((0, 1)), np.zeros((0, 1))) for name in self.connected}
        read(
            definitions,
            Known(
                size=0,
                day=nothing,
                seconds=nothing,
                service_start=nothing,
                stage=np.zeros(0, dtype=np.int64),
                coverage=Coverage(0, spans_of_none),
                connected=self.connected,
                delivered=self.delivered,
                ended_columns=self.ended_columns,
                measure=learn,
            ),
        )
        self.account_columns = self._account_columns()
        own = RowsWanted(ACCOUNTS, (), tuple(dict.fromkeys(["customer_since", *self.account_columns.values()])))
        always = [own, *([service.AGREEMENTS] if CONTRACTS in self.connected else [])]
        wants = [want for quantity in asked for want in quantity.wants]
        of_everyone = [want for want in wants if want.of_everyone]
        self.wants = by_table([*always, *wants])
        self.wants_of_everyone = by_table([*always, *of_everyone]) if of_everyone else {}

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

    def counting(self, calendar: Calendar, accounts: pa.Array) -> Counting:
        """Return where large tables are counted for all accounts that will be asked about."""
        return Counting(self.database, calendar, accounts, self.wants, "counted")

    def scope(
        self, calendar: Calendar, counting: Counting, within: Within | None = None, *, of_everyone: bool = False
    ) -> Scope:
        """Return the scope of some accounts (all that are counted, without `within`), and their frames."""
        queries = Queries(self.database)
        within = within or Within(0, len(counting.accounts))
        wants = self.wants_of_everyone if of_everyone else self.wants
        name = "all" if of_everyone else "pass"
        frames = Fetched(queries, self.database, calendar, counting, within, wants, name)
        return Scope(calendar, within.size, self.definitions.lapse_grace_days, self.connected, frames)

    def everyone(self, calendar: Calendar, counting: Counting | None = None) -> Scope:
        """Return the scope of all accounts, to be asked for reference values alone.

        It is that of the midnights with which the dates' days begin, so that what everyone has in common is
        worked out once a day. What is counted already is used where it is of all accounts and at midnight.
        """
        midnights = calendar.midnights()
        known = self.known_accounts(Queries(self.database))
        usable = counting is not None and midnights is calendar
        if counting is None or not usable or not pc.all(pc.is_in(known, counting.accounts)).as_py():
            counting = Counting(self.database, midnights, known, self.wants_of_everyone, "counted_all")
        return self.scope(midnights, counting, of_everyone=True)


class Pass:
    """Accounts and dates asked about together.

    Parameters
    ----------
    asked
        What the definitions ask of the company's tables.
    calendar
        The dates.
    counting
        The accounts that are asked about, and what is counted of them.
    within
        Which of them this pass is about.
    account, place
        Shape (n,): each pair's account, numbered within the pass, and date, as its place in the calendar.
    everyone
        Makes the scope of all accounts, as :meth:`Asked.everyone` does.
    """

    def __init__(
        self,
        asked: Asked,
        calendar: Calendar,
        counting: Counting,
        within: Within,
        account: Ints,
        place: Ints,
        everyone: Callable[[], Scope],
    ) -> None:
        self._asked, self._definitions = asked, asked.definitions
        self._size = len(account)
        self._calendar, self._place = calendar, place
        self._cell = account * len(calendar) + place
        self._scope = replace(asked.scope(calendar, counting, within), everyone_else=everyone)
        self._queries = Queries(asked.database)
        self._queries.put("feed_accounts", numbered_accounts(counting.accounts.slice(within.first, within.size)))
        self._every_cell = self._size == self._scope.cells and bool((self._cell == np.arange(self._size)).all())

    def _of_pairs(self, cells: Any) -> Any:
        """Values of cells as values of pairs."""
        return cells if self._every_cell else cells[self._cell]

    @cached_property
    def _day(self) -> Floats:
        return self._calendar.day[self._place]

    # --- facts ------------------------------------------------------------------------------------------------

    def _attribute(self, column: str) -> Floats | Texts:
        """Shape (n,): a column of the account as known on each date."""
        rows = self._scope.rows(ACCOUNTS)
        row, cells = self._scope.expanded(rows.account, rows.known)
        version = np.full(self._scope.cells, -1, dtype=np.int64)
        version[cells] = row
        version = self._of_pairs(version)
        if column in rows.texts:
            codes = np.where(version >= 0, np.append(rows.texts[column].codes, -1)[version], -1)
            return Texts(codes, rows.texts[column].values)
        values: Floats = np.where(version >= 0, np.append(rows.numbers[column], np.nan)[version], np.nan)
        return values

    def _service(self) -> tuple[dict[str, Floats], Texts, npt.NDArray[np.bool_]]:
        """Facts from the contracts by name, the plan, and whether notice was given."""
        if CONTRACTS in self._asked.connected:
            facts = service.facts(self._scope)
            numbers = {name: self._of_pairs(value) for name, value in facts.numbers().items()}
            plan = Texts(self._of_pairs(facts.plan.codes), facts.plan.values)
            return numbers, plan, self._of_pairs(facts.under_notice)
        numbers = {name: np.full(self._size, np.nan) for name in service.FACTS}
        since = self._attribute("customer_since")
        assert not isinstance(since, Texts)  # the contract says that it is a date
        numbers["service_start"] = since
        return numbers, Texts(np.full(self._size, -1), ()), np.zeros(self._size, dtype=bool)

    def _coverage(self) -> Coverage:
        feeds = self._asked.database.feeds

        def known() -> ir.Table:
            accounts = self._queries.table("feed_accounts")
            named = feeds.left_join(accounts, feeds.account_id == accounts.account_id)
            return named.filter(feeds.account_id.isnull() | accounts.a.notnull()).select(
                feeds.table,
                feeds.covered_from,
                feeds.covered_to,
                a=accounts.a.fill_null(-1),
                known_from=seconds(feeds.known_from),
                known_until=seconds(feeds.known_until),
            )

        rows = self._queries.fetch("feeds", known)
        table = coded(rows["table"])
        covered_to = floats(rows["covered_to"])
        calendar = self._calendar
        feed = _Feeds(
            rows["a"].to_numpy().astype(np.int64),
            floats(rows["covered_from"]),
            np.where(np.isnan(covered_to), np.inf, covered_to + 1),
            calendar.below(floats(rows["known_until"])) & ~calendar.below(floats(rows["known_from"])),
        )
        return Coverage(
            self._size,
            {
                name: self._spans(feed, table.codes == table.values.index(name) if name in table.values else None)
                for name in self._asked.connected
            },
        )

    def _spans(self, feed: _Feeds, rows: npt.NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
        if rows is None:
            return np.full((self._size, 1), np.inf), np.full((self._size, 1), np.inf)
        for_all, for_one = np.flatnonzero(rows & (feed.account < 0)), np.flatnonzero(rows & (feed.account >= 0))
        row, place = self._scope.expanded(np.zeros(len(for_all), dtype=np.int64), feed.known[for_all])
        row = for_all[row]
        dates = len(self._calendar)
        begins, ends = spans(dates, place, feed.first[row], feed.after[row], self._calendar.day)
        begins, ends = begins[self._place], ends[self._place]
        if not len(for_one):
            return begins, ends
        row, cells = self._scope.expanded(feed.account[for_one], feed.known[for_one])
        found, pair = pairs_within(cells, self._cell)
        row = for_one[row[found]]
        own_begins, own_ends = spans(self._size, pair, feed.first[row], feed.after[row], self._day)
        own = np.bincount(pair, minlength=self._size) > 0
        return _chosen(own, own_begins, begins), _chosen(own, own_ends, ends)

    # --- readings ---------------------------------------------------------------------------------------------

    def readings(self) -> Readings:
        """Read every signal, factor and context column of the definitions for all pairs."""
        facts, plan, under_notice = self._service()
        stage = stages(facts, self._day, self._definitions.stages)
        known = Known(
            size=self._size,
            day=self._day,
            seconds=self._calendar.seconds[self._place],
            service_start=facts["service_start"],
            stage=stage,
            coverage=self._coverage(),
            connected=self._asked.connected,
            delivered=self._asked.delivered,
            ended_columns=self._asked.ended_columns,
            measure=lambda quantity: self._of_pairs(quantity.numbers(self._scope)),
        )
        signals, factors, ages, second_windows = read(self._definitions, known)
        context, text = self._context(facts, plan, stage)
        return Readings(signals, factors, ages, {**context, **second_windows}, text, under_notice)

    def _context(
        self, facts: Mapping[str, Floats], plan: Texts, stage: Ints
    ) -> tuple[dict[str, Answer], dict[str, Texts]]:
        derived: dict[str, Floats | Texts] = dict(facts)
        derived |= {
            "plan": plan,
            "stage": Texts(stage, STAGES),
            "tenure_days": self._day - facts["service_start"],
        }
        columns = self._asked.account_columns
        numbers: dict[str, Answer] = {}
        text: dict[str, Texts] = {}
        for name, entry in self._definitions.context.items():
            if entry.of is None:
                continue
            value = self._attribute(columns[name]) if name in columns else derived.get(entry.of)
            if entry.kind == "category":
                assert value is None or isinstance(value, Texts)  # columns are read as what the context is
                text[name] = value if value is not None else Texts(np.full(self._size, -1), ())
            else:
                assert not isinstance(value, Texts)
                numbers[name] = _plain(value if value is not None else np.full(self._size, np.nan))
        return numbers, text


@dataclass(frozen=True)
class _Feeds:
    account: Ints  # -1: all accounts
    first: Floats
    after: Floats
    known: Ints


def _chosen(own: npt.NDArray[np.bool_], mine: Floats, others: Floats) -> Floats:
    """Rows of one array or the other, as wide as the wider."""
    width = max(mine.shape[1], others.shape[1])
    wide = [np.pad(part, ((0, 0), (0, width - part.shape[1])), mode="edge") for part in (mine, others)]
    return np.where(own[:, None], *wide)


def _plain(values: Floats) -> Answer:
    missing = np.uint8(ord(UnknownReason.NO_BASE.letter))
    return Answer(values, np.where(np.isnan(values), missing, KNOWN))


def delivered_columns(
    columns: Mapping[str, frozenset[str]], contracts: Mapping[str, TableContract]
) -> dict[str, frozenset[str]]:
    """Return per table what can be read: the columns that the company delivers, and those with a default."""
    return {
        table: given | {name for name, column in contracts[table].columns.items() if column.default is not None}
        for table, given in columns.items()
    }


def stages(facts: Mapping[str, Floats], day: Floats, edges: Stages) -> Ints:
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
    left = np.where(
        np.isnan(facts["days_to_notice_deadline"]), facts["days_to_renewal"], facts["days_to_notice_deadline"]
    )
    place = STAGES.index
    by_age = np.where(
        served < edges.onboarding_days,
        place("onboarding"),
        np.where(served < edges.adoption_days, place("adoption"), place("mature")),
    )
    stage = np.where(left <= edges.renewal_window_days, place("renewal_window"), by_age)
    return np.where(np.isnan(served), -1, stage)


def read(
    definitions: Definitions, known: Known
) -> tuple[dict[str, Answer], dict[str, Answer], dict[str, Floats], dict[str, Answer]]:
    """Read signals, factors, the factors' ages, and context that is measured."""
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
        ("assessments" not in known.connected, UnknownReason.NOT_CONNECTED),
        (np.isnan(rating), UnknownReason.NOT_RATED),
        (age > unknown_after_days, UnknownReason.EXPIRED),
        (known.number(CsmSince()) > made, UnknownReason.CSM_CHANGED),
    )
    return answer, np.where(answer.letters == KNOWN, age, np.nan)
