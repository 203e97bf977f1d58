"""One company's sources, held open: vectors, evidence and names of its accounts.

One account's vector comes from a prepared query with connections of its own (:mod:`features.now`). All else asks
the one connection of the database, which threads take in turns: one lock around every query. Evidence of an
account and a date is kept, since it cannot change while the sources are open.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from features.as_known import as_known, covers
from features.clock import moment_asked
from features.errors import UnknownAccountError
from features.evidence import MOMENT, account_evidence, asking, known_rows
from features.measures.rows import days
from features.now import Now
from features.readings import Evidence
from features.snapshots import accounts_in_force, build_vectors, recorded_codebooks
from features.sources import Sources, open_database
from features.vectors import FeatureContract, Vectors, feature_contract
from models.bundle import Bundle
from models.explanation import SUPPORT_LOAD, AccountFacts
from serving.problems import NOT_READY, RequestProblem

if TYPE_CHECKING:
    import ibis.expr.types as ir

LONGEST_WAIT_SECONDS = 30.0
SUPPORT_DAYS = 90
KEPT_ANSWERS = 4096
KEPT_DATES = 64
Kept = TypeVar("Kept")


class _Recent:
    """The most recently used results, up to `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found: Kept = self._kept[key]
        return found


@dataclass(frozen=True, slots=True)
class AccountCard:
    """What is said of an account besides its numbers."""

    name: str | None
    csm: str | None
    fiscal_year_start_month: int | None


NO_CARD = AccountCard(None, None, None)


class Company:
    """The company's sources, open until :meth:`close`. Safe to use from many threads.

    Parameters
    ----------
    sources
        Where they lie.
    often
        Whether many accounts will be asked about one by one; if not, one thread alone may ask.
    """

    def __init__(self, sources: Sources, *, often: bool) -> None:
        self.sources = sources
        self.catalogue = sources.catalogue
        self._lock = threading.Lock()
        self._closed = False
        self._recent, self._dates = _Recent(KEPT_ANSWERS), _Recent(KEPT_DATES)
        self._database = open_database(sources)
        self._now = Now(self._database, self.catalogue, self._turn, often=often)
        self.observed_until = self._database.observed_until.replace(microsecond=0)
        self.cards = self._read_cards()
        if often:
            self._compile()

    def close(self) -> None:
        """Close the connection, once the query under way has ended."""
        waited = self._lock.acquire(timeout=LONGEST_WAIT_SECONDS)
        self._closed = True
        try:
            self._database.close()
        finally:
            if waited:
                self._lock.release()

    def interrupt(self) -> None:
        """Make the query under way fail, so that a long computation ends soon."""
        self._database.interrupt()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=LONGEST_WAIT_SECONDS):
            detail = "The sources are busy with a long computation."
            raise RequestProblem(NOT_READY, detail, {"Retry-After": "5"})
        try:
            if self._closed:  # a request that waited while the sources were read again, twice
                detail = "The sources have been read again in the meantime."
                raise RequestProblem(NOT_READY, detail, {"Retry-After": "1"})
            yield
        finally:
            self._lock.release()

    def moment(self, as_of: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Return the moment that an answer is about, as :func:`~features.clock.moment_asked` does."""
        return moment_asked(as_of, self.observed_until, now)

    def contract(self, bundle: Bundle | None, as_of: dt.datetime) -> FeatureContract:
        """Return what vectors to build: the model's; without one, with the categories known at `as_of`."""
        if bundle is not None:
            return bundle.contract
        with self._turn():
            return self._dates.get(("contract", as_of), lambda: self._contract(as_of))

    def in_force(self, as_of: dt.datetime) -> pa.Table:
        """Return the accounts with a contract in force at `as_of`, as a grid to build vectors for; maybe none."""
        with self._turn():
            return accounts_in_force(self._database, self.catalogue, [as_of])

    def past_deadline(self, as_of: dt.datetime) -> frozenset[str]:
        """Name the accounts with a contract in force whose notice deadline has passed, as known at `as_of`."""
        if "contracts" not in self._database.tables:
            return frozenset()
        known, day = as_known(self._database.tables["contracts"], as_of), as_of.date()
        passed = known.filter(covers(known, day), known.notice_deadline < day).account_id
        with self._turn():
            return frozenset(passed.to_pyarrow().to_pylist())

    def vectors(
        self, grid: pa.Table, contract: FeatureContract, progress: Callable[[int, int], None] | None = None
    ) -> Vectors:
        """Return the vectors of a grid, in its order. Other callers wait meanwhile.

        Raises
        ------
        ContractMismatchError
            The contract was made for other definitions.
        RequestProblem
            Others asked for longer than one waits.
        """
        with self._turn():
            return build_vectors(self._database, self.catalogue, contract, grid, progress)

    def vector(self, account_id: str, as_of: dt.datetime, contract: FeatureContract) -> Vectors:
        """Return one account's vector, as a table of one row.

        Raises
        ------
        UnknownAccountError
            No such account, or it had no contract in force at `as_of`.
        """
        if account_id not in self.cards:
            raise UnknownAccountError(self._why_not(account_id, as_of))
        account = self._now.account(account_id, as_of)
        if not account.in_service:
            raise UnknownAccountError(self._why_not(account_id, as_of))
        return account.vector(contract)

    def evidence(
        self, account_id: str, as_of: dt.datetime, signal_ids: Sequence[str]
    ) -> Mapping[str, tuple[Evidence, ...]]:
        """Return the rows that the signals' readings rest on, as known at `as_of`, newest first.

        A signal whose rows cannot be quoted, or whose table is not connected, is not there.
        """
        if not signal_ids:
            return {}
        with self._turn():
            key = ("evidence", account_id, as_of, tuple(signal_ids))
            return self._recent.get(
                key, lambda: account_evidence(self._database, self.catalogue, account_id, as_of, signal_ids)
            )

    def facts(self, account_id: str, as_of: dt.datetime, fired: Sequence[str]) -> AccountFacts:
        """Return what an answer says beside the readings; `fired` are the signs that it has to speak of."""
        card = self.cards.get(account_id, NO_CARD)
        category = None
        if SUPPORT_LOAD in fired and "tickets" in self._database.tables:
            with self._turn():
                key = ("category", account_id, as_of)
                category = self._recent.get(key, lambda: self._commonest_category(account_id, as_of))
        return AccountFacts(card.name, card.fiscal_year_start_month, category)

    def _commonest_category(self, account_id: str, as_of: dt.datetime) -> str | None:
        """Return the commonest category among the tickets that the support load counts."""
        measure = self.catalogue.definitions.signals[SUPPORT_LOAD].measure
        window_days = getattr(getattr(measure, "of", None), "window_days", None) or SUPPORT_DAYS
        queries = asking(self._database, account_id, as_of)

        def of_categories() -> ir.Table:
            rows = known_rows(queries, self._database.tables["tickets"])
            recent = (rows.occurred_at > rows[MOMENT] - days(window_days)) & (rows.occurred_at <= rows[MOMENT])
            return rows.filter(recent & rows.category.notnull()).category.value_counts(name="tickets")

        counted = queries.fetch(("categories", window_days), of_categories).to_pylist()
        commonest = min(counted, key=lambda row: (-row["tickets"], row["category"]), default=None)
        return None if commonest is None else commonest["category"]

    def _compile(self) -> None:
        """Ask once for all that a request may ask, so that none has to wait until a query is compiled."""
        account_evidence(
            self._database, self.catalogue, "", self.observed_until, list(self.catalogue.definitions.signals)
        )
        if "tickets" in self._database.tables and SUPPORT_LOAD in self.catalogue.definitions.signals:
            self._commonest_category("", self.observed_until)

    def _contract(self, as_of: dt.datetime) -> FeatureContract:
        return feature_contract(self.catalogue, recorded_codebooks(self._database, self.catalogue, as_of))

    def _why_not(self, account_id: str, as_of: dt.datetime) -> str:
        shown = account_id[:80]
        if account_id not in self.cards:
            return f'There is no account "{shown}" in the sources of {self.sources.config.company}.'
        return (
            f'The account "{shown}" has no contract in force on {as_of:%Y-%m-%d %H:%M}, as known then. '
            "Ask about a date on which it was a customer."
        )

    def _read_cards(self) -> Mapping[str, AccountCard]:
        accounts = self._database.tables["accounts"]
        said = ("account_id", "name", "csm", "fiscal_year_start_month")
        rows = accounts.order_by("known_from").select(*said).to_pyarrow().to_pylist()
        return {row.pop("account_id"): AccountCard(**row) for row in rows}
