"""Three engines, one definition: where a company's tables lie once read, and where their rows are fetched from.

``[connection]`` in ``sources.toml`` chooses: an embedded DuckDB, a PostgreSQL server, or Spark. All three compute
the same Ibis expressions over tables of the same names and types, and give equal vectors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

    from features.sources.config import Sources
    from features.sources.dictionaries import Dictionary
    from features.sources.session import Remote, Session, Workshop


RowsOfAccount = Callable[[str], list[tuple[Any, ...]]]  # by an account's id


class Engine(Protocol):
    """Where tables lie and expressions are computed.

    Attributes
    ----------
    dialect
        Its name in Ibis: queries compiled for one dialect run on every engine of it.
    """

    dialect: str

    @property
    def ibis(self) -> Any:
        """Its Ibis backend, to compile expressions."""

    def load(self) -> None:
        """Load what expressions are made with: it takes 0.2 s, in which tables are read."""

    @property
    def workshop(self) -> Workshop:
        """Where delivered rows become the company's tables, until :meth:`settle`."""

    @property
    def files(self) -> Session:
        """The embedded DuckDB that opens files, and knows of every table what is delivered in which type."""

    def settle(self, tables: Sequence[str], by_account: Sequence[str]) -> None:
        """Take over the finished tables from the workshop.

        Parameters
        ----------
        tables
            All of them.
        by_account
            Those with an ``account_id``, which they are asked by.
        """

    def dictionaries(self, table: str) -> Mapping[str, Dictionary]:
        """Return the columns of a table that it also has as codes of texts (``name_in_codes``); else none."""

    def among(self, first: str, last: str) -> AbstractContextManager[None]:
        """Be asked only about the accounts from `first` to `last` for a while, in order of their ids."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a small working table of rows at hand, or make it anew."""

    def fetch(self, select: str, schema: pa.Schema) -> pa.Table:
        """Run a query in the engine's own dialect; `schema` are its columns' types."""

    def prepare(self, select: str, *, often: bool) -> RowsOfAccount:
        """Make ready to fetch the rows of one account at a time.

        Parameters
        ----------
        select
            A query in the engine's own dialect, with a column ``account_id``.
        often
            Whether many accounts will be asked about, from many threads: worth the time that it takes to lay
            the rows out for it.
        """

    def interrupt(self) -> None:
        """Make the query under way fail, from another thread."""

    def close(self) -> None:
        """Give back all that was taken; a second time does nothing."""


def start(sources: Sources) -> Engine:
    """Start the engine that ``[connection]`` names.

    Raises
    ------
    SourcesError
        What the engine needs is not installed, or it cannot be reached.
    """
    match sources.config.connection.engine:
        case "postgresql":
            from features.sources.engines.postgresql import PostgreSQL

            return PostgreSQL(sources)
        case "spark":
            from features.sources.engines.spark import Spark

            return Spark(sources)
        case "duckdb":
            from features.sources.engines.duckdb import DuckDB

            return DuckDB(sources)


@contextmanager
def session_to_check(sources: Sources) -> Iterator[Session]:
    """Give an embedded DuckDB that sees all that is delivered, row by row, whatever the engine.

    Raises
    ------
    SourcesError
        What the engine needs is not installed, or it cannot be reached.
    """
    from features.sources.session import Session

    with contextlib.ExitStack() as open_things:
        remote: Remote | None = None
        match sources.config.connection.engine:
            case "postgresql":
                from features.sources.engines.postgresql import Server

                remote = open_things.enter_context(contextlib.closing(Server(sources.config.connection)))
            case "spark":
                from features.sources.engines.spark import SparkRows

                remote = SparkRows(sources.config.connection)
        yield open_things.enter_context(Session(sources.folder, sources.config.connection, remote))


def bound(engine: Engine, name: str, schema: ibis.Schema) -> ir.Table:
    """Return a table of known columns as Ibis sees it, without asking the engine's catalogue."""
    import ibis.expr.operations as ops

    table: ir.Table = ops.DatabaseTable(
        name=name, schema=schema, source=engine.ibis, namespace=ops.Namespace()
    ).to_expr()
    return table
