"""A company's tables, normalised and as known, on the engine of its choice, behind Ibis."""

from __future__ import annotations

import datetime as dt
import queue
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import pyarrow as pa

from features.errors import SourcesError, TableError
from features.sources import engines, feeds, sql
from features.sources.coded import NotInCodesError, in_codes
from features.sources.config import Sources
from features.sources.contract import ColumnType, TableContract
from features.sources.delivery import Delivered, csv_sentence, deliver, first_lines
from features.sources.engines import Engine
from features.sources.layout import ACCOUNT_IDS, PLACE, name_in_codes
from features.sources.rows import (
    as_the_contract_says,
    content,
    kept_rows,
    of_known_account,
    read_columns,
)
from features.sources.session import Session, Workshop
from features.sources.untimed import Untimed, untimed
from features.sources.versions import end_replaced_rows

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

    from features.sources.dictionaries import Dictionary

Given = ParamSpec("Given")
Result = TypeVar("Result")
_IBIS_TYPES = {
    ColumnType.TEXT: "string",
    ColumnType.INTEGER: "int64",
    ColumnType.NUMBER: "float64",
    ColumnType.YES_NO: "boolean",
    ColumnType.DATE: "date",
    ColumnType.TIME: "timestamp",
}


@dataclass(frozen=True)
class InCodes:
    """A table's rows with texts as codes, for who reads many: shorter to read, and to be told apart.

    Attributes
    ----------
    rows
        As in :attr:`Database.tables`, except that the columns of `dictionaries` are whole numbers.
    dictionaries
        Of each such column what the numbers stand for.
    """

    rows: ir.Table
    dictionaries: Mapping[str, Dictionary]


@dataclass(frozen=True)
class Database:
    """A company's tables as known; use it in a ``with`` statement, or close it.

    Attributes
    ----------
    engine
        Where the tables lie.
    connection
        Its Ibis backend.
    tables
        The connected tables by name, normalised: every column of the contract in its type, null (or the
        contract's default) where nothing is given, then ``row_key``, ``recorded_at``, for events
        ``occurred_at``, ``known_from`` and ``known_until``. A row counts at T if and only if
        ``known_from <= T < known_until``. Rows that break the contract are not there.
    feeds
        What is covered: ``table``, ``account_id`` (null: all accounts), ``covered_from``, ``covered_to``
        (null: still delivering), ``known_from``, ``known_until``; as the company's ``feeds`` say, else as
        taken from ``begins`` or from a table's first row known.
    observed_until
        Where the history ends.
    untimed
        Tables and columns that show only today's state: not usable for training.
    columns
        Of each connected table the columns of the contract that the company delivers; the others are null (or
        the default) in every row, which is not the same as empty.
    sizes
        About how many rows each connected table has: of all accounts, before repetitions are dropped.
    coded
        By the Ibis relation of a table in `tables`: its rows with texts as codes. So a table that was changed, as
        training blanks columns, has none.
    turn
        Held by whoever asks the engine: it answers one at a time.
    """

    sources: Sources
    engine: Engine
    connection: Any
    tables: Mapping[str, ir.Table]
    feeds: ir.Table
    observed_until: dt.datetime
    untimed: tuple[Untimed, ...]
    columns: Mapping[str, frozenset[str]]
    sizes: Mapping[str, int]
    coded: Mapping[Hashable, InCodes] = field(default_factory=dict, repr=False)
    turn: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)

    def given(self, name: str, rows: pa.Table) -> ir.Table:
        """Store a small table of rows at hand beside the company's, to be joined with them."""
        import ibis

        self.engine.put(name, rows)
        return engines.bound(self.engine, name, ibis.Schema.from_pyarrow(rows.schema))

    def in_codes(self, table: str) -> InCodes:
        """Return a table's rows, with codes where it has them; one of `tables` that was changed has none."""
        rows = self.tables[table]
        return self.coded.get(rows.op(), InCodes(rows, {}))

    def interrupt(self) -> None:
        """Make the query under way fail, from another thread."""
        self.engine.interrupt()

    def close(self) -> None:
        """Close the database and delete its files."""
        self.engine.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_database(sources: Sources, *, truncated_at: dt.datetime | None = None) -> Database:
    """Read a company's tables, once, normalised and with their versions, for the engine that it has chosen.

    Parameters
    ----------
    sources
        What :func:`~features.sources.load_sources` returns.
    truncated_at
        Leave out every row recorded after this moment (or, without ``recorded_at``, that happened or began
        after it), as if the company had delivered its tables then.

    Raises
    ------
    SourcesError
        A file is not there, or the engine is not.
    TableError
        A file or query cannot be read, lacks a column that every row needs, or there is no account. All that
        is wrong is named, one a line; ``keepsight check`` tells more.
    """
    engine = engines.start(sources)
    try:
        delivered = _deliver_all(engine.files, sources)
        observed_until, sizes = _fill(engine.workshop, sources, delivered, truncated_at, meanwhile=engine.load)
        by_account = [table for table, one in delivered.items() if one.contract.by_account]
        engine.settle([*delivered, feeds.COVERAGE], [*by_account, feeds.COVERAGE])
        tables = {
            table: engines.bound(engine, table, table_schema(one.contract)) for table, one in delivered.items()
        }
        return Database(
            sources,
            engine,
            engine.ibis,
            MappingProxyType(tables),
            engines.bound(engine, feeds.COVERAGE, _coverage_schema()),
            observed_until,
            untimed(sources.config, delivered),
            MappingProxyType({table: frozenset(one.raw_name) for table, one in delivered.items()}),
            MappingProxyType(sizes),
            {
                table.op(): _in_codes(engine, name, table)
                for name, table in tables.items()
                if engine.dictionaries(name)
            },
        )
    except engine.workshop.errors as error:
        engine.close()
        raise TableError(f"{csv_sentence(sources, sources.tables) or first_lines(error)} {_CHECK}") from None
    except BaseException:
        engine.close()
        raise


def table_schema(contract: TableContract) -> ibis.Schema:
    """Return the columns of a normalised table, as :func:`~features.sources.rows.kept_rows` selects them."""
    import ibis

    columns = {name: _IBIS_TYPES[column.type] for name, column in contract.columns.items()}
    if contract.occurred is not None:
        columns["occurred_at"] = "timestamp"
    moments = dict.fromkeys(("recorded_at", "known_from", "known_until"), "timestamp")
    return ibis.schema({**columns, "row_key": "string", **moments})


def _in_codes(engine: Engine, name: str, table: ir.Table) -> InCodes:
    import ibis

    dictionaries = engine.dictionaries(name)
    schema = ibis.schema({**table.schema(), **dict.fromkeys(dictionaries, "int32")})
    return InCodes(engines.bound(engine, name_in_codes(name), schema), dictionaries)


def _coverage_schema() -> ibis.Schema:
    import ibis

    days, moments = ("covered_from", "covered_to"), ("known_from", "known_until")
    columns = {"table": "string", "account_id": "string"}
    return ibis.schema({**columns, **dict.fromkeys(days, "date"), **dict.fromkeys(moments, "timestamp")})


_CHECK = "`keepsight check` lists every problem of the tables."


def _deliver_all(files: Session, sources: Sources) -> dict[str, Delivered]:
    """Open every connected table, accounts first; name all that is wrong at once."""
    delivered: dict[str, Delivered] = {}
    problems: list[str] = []
    missing_file = False
    for table in sorted(sources.tables, key=lambda table: table != "accounts"):
        try:
            one = deliver(files, sources, table)
        except (SourcesError, TableError) as error:
            problems.append(str(error))
            missing_file = missing_file or isinstance(error, SourcesError)
            continue
        problems += [*one.missing_required(), *one.missing_named(), *one.repeated()]
        delivered[table] = one
    if problems:
        text = "\n".join([*problems, _CHECK])
        raise SourcesError(text) if missing_file else TableError(text)
    return delivered


def _fill(
    workshop: Workshop,
    sources: Sources,
    delivered: Mapping[str, Delivered],
    truncated_at: dt.datetime | None,
    meanwhile: Callable[[], None],
) -> tuple[dt.datetime, dict[str, int]]:
    """Make all tables and what is covered; return where the history ends, and how many rows tables have.

    `meanwhile` is called while the largest table is read.
    """
    by_size = sorted(delivered.values(), key=lambda one: one.size, reverse=True)
    largest, *others = [one for one in by_size if one.table != "feeds"]
    finishing: dict[str, Future[_Finished]] = {}
    said_since: Mapping[str, dt.datetime] | None = None
    with ThreadPoolExecutor(1) as loader, _Workers(workshop) as workers:
        workers.submit(name_accounts, delivered["accounts"]).result()
        reading = workers.submit(_store, largest, truncated_at)  # by every core; what then follows takes one
        if "feeds" in delivered:  # before the others, of which nothing need be taken that they say
            finishing["feeds"] = workers.submit(_make, delivered["feeds"], truncated_at, {})
            finishing["feeds"].result()
            said_since = workers.submit(feeds.said_since).result()
        # Not here: Ctrl-C interrupts this thread, and where it is importing others may wait for its lock for ever.
        loader.submit(meanwhile).result()
        reading.result()
        finishing[largest.table] = workers.submit(_finish, largest, said_since or {})
        for one in others:
            finishing[one.table] = workers.submit(_make, one, truncated_at, said_since or {})
        tables = {table: finishing[table].result() for table in delivered}
    feeds.write_coverage(workshop, [taken for one in tables.values() for taken in one.taken], said_since)
    newest = {table: one.newest for table, one in tables.items()}
    return _history_ends(sources, delivered, newest, truncated_at), {t: one.size for t, one in tables.items()}


class _Workers:
    """Threads that work on tables, each in a workshop of its own; use it in a ``with`` statement."""

    def __init__(self, workshop: Workshop) -> None:
        workshops = workshop.beside()
        self._pool = ThreadPoolExecutor(len(workshops))
        self._free: queue.SimpleQueue[Workshop] = queue.SimpleQueue()
        for each in workshops:
            self._free.put(each)

    def submit(
        self, work: Callable[Concatenate[Workshop, Given], Result], *given: Given.args, **named: Given.kwargs
    ) -> Future[Result]:
        """Have something done in the next workshop that is free."""

        def done() -> Result:
            own = self._free.get()
            try:
                return work(own, *given, **named)
            finally:
                self._free.put(own)

        return self._pool.submit(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Finished:
    """What was seen of a table when it was made: the newest ``recorded_at``, its rows, what it covers."""

    newest: dt.datetime | None
    size: int
    taken: Sequence[feeds.Taken]


def _store(workshop: Workshop, one: Delivered, truncated_at: dt.datetime | None) -> None:
    """Store the rows of a table that keep the contract, with texts as codes where that is worth it."""

    def store(read: Delivered) -> None:
        workshop.store_known(read, workshop.by_row(read, kept_rows(read, truncated_at)), of_known_account(read))

    if isinstance(workshop, Session) and workshop.stores_codes:  # PostgreSQL and Spark take texts
        with suppress(NotInCodesError), in_codes(workshop, one) as coded:
            store(coded)
            return
    store(one)


def _make(
    workshop: Workshop, one: Delivered, truncated_at: dt.datetime | None, said_since: Mapping[str, dt.datetime]
) -> _Finished:
    """Store and finish a table."""
    _store(workshop, one, truncated_at)
    return _finish(workshop, one, said_since)


def _finish(workshop: Workshop, one: Delivered, said_since: Mapping[str, dt.datetime]) -> _Finished:
    """Finish a table that is stored; `said_since`: from when on ``feeds`` say what is covered, by table."""
    table = one.table
    oldest, newest, size = _seen(workshop, table)
    if not size:
        _refuse_if_there_are_rows(workshop, one)
    end_replaced_rows(workshop, table, content(one))
    taken: Sequence[feeds.Taken] = []
    if one.contract.fed and one.source.begins is not None:
        taken = [feeds.Taken(table, one.source.begins)]
    elif one.contract.fed and oldest is not None and oldest < said_since.get(table, feeds.NEVER):
        taken = feeds.taken_from_first_row(workshop, one)
    return _Finished(newest, size, taken)


def _seen(workshop: Workshop, table: str) -> tuple[dt.datetime | None, dt.datetime | None, int]:
    """Return when the first row of a table was known, when the newest was recorded, and how many there are."""
    seen, columns = f"_seen_of_{table}", "min(known_from) AS oldest, max(recorded_at) AS newest, count(*) AS n"
    workshop.gather(seen, table, lambda rows: f"SELECT {columns} FROM {rows}")
    oldest, newest, size = workshop.row(
        f"SELECT min(oldest), max(newest), CAST(sum(n) AS BIGINT) FROM {sql.name(seen)}"
    )
    workshop.drop(seen)
    return oldest, newest, size


def name_accounts(workshop: Workshop, accounts: Delivered) -> None:
    """Write down every account that was ever delivered; rows of any other account are left out.

    Raises
    ------
    TableError
        There is none.
    """
    said = f"SELECT account_id FROM ({read_columns(accounts)}) WHERE {as_the_contract_says(accounts)}"
    ids = f"SELECT DISTINCT account_id FROM {workshop.by_row(accounts, said)} AS said"
    place = f"CAST(row_number() OVER (ORDER BY account_id) - 1 AS INTEGER) AS {PLACE}"
    workshop.store(ACCOUNT_IDS, f"SELECT account_id, {place} FROM ({ids}) AS ids")
    if is_empty(workshop, ACCOUNT_IDS):
        raise TableError(
            f"accounts: there is no row that keeps the contract, so there is nobody to ask about. {_CHECK}"
        )


def _refuse_if_there_are_rows(workshop: Workshop, one: Delivered) -> None:
    """Refuse a table that has rows, of which none keeps the contract: nothing read is not nothing happened."""
    if is_empty(workshop, workshop.by_row(one, f"SELECT 1 AS there FROM {one.relation}")):
        return
    kept = workshop.by_row(one, kept_rows(one))  # not truncated: else it may be empty for that
    if is_empty(workshop, f"{kept} AS kept WHERE {of_known_account(one)}"):
        raise TableError(f"{one.table}: no row keeps the contract. {_CHECK}")


def is_empty(workshop: Workshop, relation: str) -> bool:
    """Return whether a relation has no rows."""
    return not workshop.rows(f"SELECT 1 FROM {relation} LIMIT 1")


def _history_ends(
    sources: Sources,
    delivered: Mapping[str, Delivered],
    newest: Mapping[str, dt.datetime | None],
    truncated_at: dt.datetime | None,
) -> dt.datetime:
    """Return ``observed_until``: as said, else the newest that was recorded or happened."""
    ends = observed_until_said(sources.config.observed_until) or newest_known(delivered, newest)
    if ends is None:
        raise TableError(
            "Nothing says where the history ends: no table has a recorded_at, and none holds events. "
            "Say observed_until = 2025-06-30 (the last day that the tables tell of) in sources.toml."
        )
    return ends if truncated_at is None else min(ends, truncated_at)


def newest_known(
    delivered: Mapping[str, Delivered], newest: Mapping[str, dt.datetime | None]
) -> dt.datetime | None:
    """Return when the newest row was recorded, or the newest event was known; else the newest date."""
    for tables in (tell_the_end(delivered), [table for table in delivered if table != "accounts"]):
        known = [moment for table in tables if (moment := newest.get(table)) is not None]
        if known:
            return max(known)
    return None


def tell_the_end(delivered: Mapping[str, Delivered]) -> list[str]:
    """Name the tables that tell until when the history goes: with ``recorded_at``, or of events (labels aside).

    Both, since a ``recorded_at`` on one table alone would put the end where that table was last written to.
    """
    events = [t for t, one in delivered.items() if one.contract.kind == "event" and not one.contract.labels_only]
    return [table for table, one in delivered.items() if one.dated or table in events]


def observed_until_said(said: dt.datetime | dt.date | None) -> dt.datetime | None:
    """Return the company's ``observed_until`` as a moment, UTC; a date is meant with its whole day."""
    if said is None:
        return None
    if not isinstance(said, dt.datetime):
        return dt.datetime.combine(said, dt.time()) + dt.timedelta(days=1)
    return said if said.tzinfo is None else said.astimezone(dt.UTC).replace(tzinfo=None)
