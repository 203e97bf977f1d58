"""A company's tables, normalised and as known, in an embedded DuckDB behind Ibis."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from features.errors import SourcesError, TableError
from features.sources import feeds, sql
from features.sources.config import Sources
from features.sources.delivery import Delivered, deliver, first_lines
from features.sources.rows import ACCOUNT_IDS, as_the_contract_says, content, normalised_rows, read_columns
from features.sources.session import Session
from features.sources.untimed import Untimed, untimed
from features.sources.versions import end_replaced_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir

_CHOSEN = "chosen_accounts"


@dataclass(frozen=True)
class Database:
    """A company's tables as known; use it in a ``with`` statement, or close it.

    Attributes
    ----------
    connection
        The Ibis backend.
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
    """

    sources: Sources
    session: Session
    connection: Any
    tables: Mapping[str, ir.Table]
    feeds: ir.Table
    observed_until: dt.datetime
    untimed: tuple[Untimed, ...]
    columns: Mapping[str, frozenset[str]]

    def close(self) -> None:
        """Close the database and delete its files."""
        self.session.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_database(
    sources: Sources, *, truncated_at: dt.datetime | None = None, accounts: Sequence[str] | None = None
) -> Database:
    """Read a company's tables into an embedded DuckDB, once, normalised and with their versions.

    Parameters
    ----------
    sources
        What :func:`~features.sources.load_sources` returns.
    truncated_at
        Leave out every row recorded after this moment (or, without ``recorded_at``, that happened or began
        after it), as if the company had delivered its tables then.
    accounts
        Only these accounts' rows. What is covered, and where the history ends, is still told from all rows.

    Raises
    ------
    SourcesError
        A file is not there.
    TableError
        A file or query cannot be read, lacks a column that every row needs, or there is no account. All that
        is wrong is named, one a line; ``keepsight check`` tells more.
    """
    import duckdb
    import ibis

    session = Session(sources.folder)
    try:
        delivered = _deliver_all(session, sources)
        observed_until = _fill(session, sources, delivered, truncated_at, accounts)
        connection = ibis.duckdb.from_connection(session.connection)
        return Database(
            sources,
            session,
            connection,
            MappingProxyType({table: connection.table(table) for table in delivered}),
            connection.table(feeds.COVERAGE),
            observed_until,
            untimed(sources.config, delivered),
            MappingProxyType({table: frozenset(one.raw_name) for table, one in delivered.items()}),
        )
    except duckdb.Error as error:
        session.close()
        raise TableError(f"{first_lines(error)} {_CHECK}") from None
    except BaseException:
        session.close()
        raise


_CHECK = "`keepsight check` lists every problem of the tables."


def _deliver_all(session: Session, sources: Sources) -> dict[str, Delivered]:
    """Open every connected table, accounts first; name all that is wrong at once."""
    delivered: dict[str, Delivered] = {}
    problems: list[str] = []
    missing_file = False
    for table in sorted(sources.config.tables, key=lambda table: table != "accounts"):
        try:
            one = deliver(session.connection, sources, table)
        except (SourcesError, TableError) as error:
            problems.append(str(error))
            missing_file = missing_file or isinstance(error, SourcesError)
            continue
        problems += [*one.missing_required(), *one.missing_named()]
        delivered[table] = one
    if problems:
        text = "\n".join([*problems, _CHECK])
        raise SourcesError(text) if missing_file else TableError(text)
    return delivered


def _fill(
    session: Session,
    sources: Sources,
    delivered: Mapping[str, Delivered],
    truncated_at: dt.datetime | None,
    accounts: Sequence[str] | None,
) -> dt.datetime:
    """Write all tables and what is covered; return where the history ends."""
    name_accounts(session, delivered["accounts"])
    if accounts is not None:
        session.connection.execute(f"CREATE TEMP TABLE {_CHOSEN} (account_id VARCHAR)")
        session.connection.executemany(f"INSERT INTO {_CHOSEN} VALUES (?)", [[a] for a in accounts])
    session.connection.execute(feeds.create_coverage())
    newest: dict[str, dt.datetime | None] = {}
    for table, one in delivered.items():
        name = sql.name(table)
        session.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {normalised_rows(one, truncated_at)}")
        _refuse_if_nothing_is_left(session, one)
        newest[table] = session.row(f"SELECT max(recorded_at) FROM {name}")[0]
        end_replaced_rows(session.connection, table, content(one))
        if one.contract.fed and one.source.begins is None:
            feeds.coverage_from_first_row(session.connection, one)
        elif one.contract.fed and one.source.begins is not None:
            session.connection.execute(feeds.coverage_from(table, one.source.begins))
        if accounts is not None and one.contract.by_account:
            _keep_chosen(session, table)
    if "feeds" in delivered:
        for table in delivered:
            for statement in feeds.end_taken_coverage_where_said(table):
                session.connection.execute(statement)
        session.connection.execute(feeds.coverage_said())
    return _history_ends(sources, delivered, newest, truncated_at)


def name_accounts(session: Session, accounts: Delivered) -> None:
    """Write down every account that was ever delivered; rows of any other account are left out.

    Raises
    ------
    TableError
        There is none.
    """
    session.connection.execute(
        f"CREATE OR REPLACE TABLE {ACCOUNT_IDS} AS SELECT DISTINCT account_id "
        f"FROM ({read_columns(accounts)}) WHERE {as_the_contract_says(accounts)}"
    )
    if session.row(f"SELECT count(*) FROM {ACCOUNT_IDS}")[0] == 0:
        raise TableError(
            f"accounts: there is no row that keeps the contract, so there is nobody to ask about. {_CHECK}"
        )


def _refuse_if_nothing_is_left(session: Session, one: Delivered) -> None:
    """Refuse a table that has rows, of which none keeps the contract: nothing read is not nothing happened."""
    if not is_empty(session, sql.name(one.table)) or is_empty(session, one.relation):
        return
    if is_empty(session, f"({normalised_rows(one)})"):  # else it is empty for being truncated
        raise TableError(f"{one.table}: no row keeps the contract. {_CHECK}")


def is_empty(session: Session, relation: str) -> bool:
    """Return whether a relation has no rows."""
    return not session.rows(f"SELECT 1 FROM {relation} LIMIT 1")


def _keep_chosen(session: Session, table: str) -> None:
    """Keep the chosen accounts' rows, and those of all accounts (in ``feeds``).

    Only now that versions are told apart: a correction may have moved a row to another account.
    """
    name, all_rows = sql.name(table), sql.name(f"every {table}")
    chosen = f"account_id IS NULL OR account_id IN (SELECT account_id FROM {_CHOSEN})"
    session.connection.execute(f"ALTER TABLE {name} RENAME TO {all_rows}")
    session.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {all_rows} WHERE {chosen}")
    session.connection.execute(f"DROP TABLE {all_rows}")


def _history_ends(
    sources: Sources,
    delivered: Mapping[str, Delivered],
    newest: Mapping[str, dt.datetime | None],
    truncated_at: dt.datetime | None,
) -> dt.datetime:
    """Return ``observed_until``: as said, else the newest ``recorded_at``, else the newest event."""
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
    """Return the newest ``recorded_at``, else the newest event (labels aside), else the newest date."""
    events = [t for t, one in delivered.items() if one.contract.kind == "event" and not one.contract.labels_only]
    dated = [table for table, one in delivered.items() if one.dated]
    for tables in (dated, events, [table for table in delivered if table != "accounts"]):
        known = [moment for table in tables if (moment := newest.get(table)) is not None]
        if known:
            return max(known)
    return None


def observed_until_said(said: dt.datetime | dt.date | None) -> dt.datetime | None:
    """Return the company's ``observed_until`` as a moment, UTC; a date is meant with its whole day."""
    if said is None:
        return None
    if not isinstance(said, dt.datetime):
        return dt.datetime.combine(said, dt.time()) + dt.timedelta(days=1)
    return said if said.tzinfo is None else said.astimezone(dt.UTC).replace(tzinfo=None)
