"""Spark: the tables are read, told apart and measured by its machines.

What concerns one row alone runs as the embedded DuckDB has it, within Spark (``mapInArrow``): each value is read
by the same reader as everywhere. What concerns several rows is written once, in DuckDB's SQL, and put into Spark's
by sqlglot. Working tables are Parquet files in one folder, seen as temporary views of a session of our own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SourcesError, TableError
from features.sources import sql
from features.sources.delivery import first_lines
from features.sources.session import RAW, Session
from features.sources.spool import HASH_OF_KEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from features.sources.config import Connection, Sources
    from features.sources.delivery import Delivered
    from features.sources.dictionaries import Dictionary
    from features.sources.engines import RowsOfAccount

_SPARK_TYPES = {
    "VARCHAR": "string",
    "INTEGER": "int",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp_ntz",
}
# What Spark must be told before it starts; only where we start it on this machine.
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    # Spark makes this folder whether anything is put there or not; by default where the command was given.
    "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / "keepsight-spark-warehouse"),
    "spark.ui.showConsoleProgress": "false",  # it would be printed into tables and JSON
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}",
}
_OF_THE_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",  # times are UTC without a zone, as on the other engines
    "spark.sql.ansi.enabled": "true",  # what overflows is an error, as on the other engines, not a wrong number
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",  # each batch is one query of DuckDB's
}
_PARTITIONS = "spark.sql.shuffle.partitions"


def start_spark(connection: Connection) -> SparkSession:
    """Return a session of our own on the Spark of this process, which is started if there is none.

    Raises
    ------
    SourcesError
        PySpark or Java is not installed, or Spark cannot be started.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise SourcesError(
            '[connection] engine = "spark" needs PySpark: pip install "keepsight[spark]".'
        ) from None
    local = connection.master.startswith("local")
    if local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # its workers import what we do
    settings = {**(_LOCAL if local else {}), **_OF_THE_SESSION, **connection.config}
    builder = SparkSession.builder.appName("keepsight").master(connection.master)
    try:
        session = builder.config(map=dict(settings)).getOrCreate().newSession()
    except (PySparkException, OSError) as error:
        raise SourcesError(
            f"[connection] Spark cannot be started: {first_lines(error)} It needs Java 17 or later: check that "
            "`java -version` answers (JAVA_HOME), and master in sources.toml."
        ) from None
    for key, value in {**_OF_THE_SESSION, **connection.config}.items():
        if session.conf.isModifiable(key):
            session.conf.set(key, value)
    if local and _PARTITIONS not in connection.config:
        session.conf.set(_PARTITIONS, str(session.sparkContext.defaultParallelism))
    return session


class SparkRows:
    """The rows of queries that run in Spark, for the embedded DuckDB: ``keepsight check`` looks at them there."""

    def __init__(self, connection: Connection) -> None:
        self._spark = start_spark(connection)

    def bring(self, query: str, table: str, session: Session) -> str:
        """Run a table's query and return the select, in the session, of its rows, typed as delivered."""
        folder = session.place / f"rows of {table}"
        try:
            self._spark.sql(query).write.parquet(str(folder))
        except _errors() as error:
            raise _unreadable(table, error) from None
        return f"SELECT * FROM read_parquet({sql.text(str(folder / '*.parquet'))})"


class Spark:
    """See :class:`~features.sources.engines.Engine` and :class:`~features.sources.session.Workshop`."""

    dialect = "pyspark"

    def __init__(self, sources: Sources) -> None:
        connection = sources.config.connection
        self._spark = start_spark(connection)
        self.ibis: Any = _backend(self._spark)
        self.files = Session(sources.folder, sources.config.connection, self)
        self.workshop = self
        self._folder = connection.folder or str(self.files.place / "spark")
        self._frames: dict[str, DataFrame] = {}
        self._places: dict[str, str] = {}  # the folder of each working table
        self._made = 0
        self._tag = f"keepsight {id(self)}"

    # --- what is delivered ------------------------------------------------------------------------------------

    def bring(self, query: str, table: str, session: Session) -> str:
        """Take note of a table's query; the embedded DuckDB gets its columns, and no rows."""
        try:
            frame = self._spark.sql(query)  # names are resolved now, before there are views of ours
            columns = frame.limit(0).toArrow()
        except _errors() as error:
            raise _unreadable(table, error) from None
        self._frames[table] = frame
        name = f"columns of {table}"
        session.put(name, columns)
        return f"SELECT * FROM {sql.name(name)}"

    def beside(self) -> list[Spark]:
        """Return this one alone: Spark's own tasks run at once."""
        return [self]

    def by_row(self, delivered: Delivered, select: str) -> str:
        """Return a view of the result of a select that looks at one delivered row at a time."""
        frame = self._frame(delivered)
        name = self._new_name("read")
        if frame is None:
            read = self._read_here(select, name)
        else:
            columns = self.files.rows(f"DESCRIBE {select}")
            schema = ", ".join(f"`{row[0]}` {_SPARK_TYPES[row[1]]}" for row in columns)
            read = frame.mapInArrow(_reader(delivered.relation, select), schema)
        read.createOrReplaceTempView(name)
        return name

    def _frame(self, delivered: Delivered) -> DataFrame | None:
        """Return what is delivered as Spark sees it; None if Spark sees it otherwise than DuckDB."""
        path = delivered.source.path or ""
        if delivered.table not in self._frames and path.endswith((".parquet", ".pq")):
            frame = self._spark.read.option("mergeSchema", "true").parquet(*map(str, delivered.files))
            self.files.put("_columns_in_spark", frame.limit(0).toArrow())
            columns = {row[0]: row[1] for row in self.files.rows("DESCRIBE _columns_in_spark")}
            if columns == delivered.raw_types:
                self._frames[delivered.table] = frame
        return self._frames.get(delivered.table)

    def _read_here(self, select: str, name: str) -> DataFrame:
        """Read by the embedded DuckDB: CSV, and what of Parquet Spark knows no type for."""
        file = self.files.place / f"{name}.parquet"
        self.files.connection.execute(f"COPY ({select}) TO {sql.text(str(file))} (FORMAT parquet)")
        if "://" not in self._folder:
            return self._spark.read.parquet(str(file))
        return self._spark.createDataFrame(pq.read_table(file))

    # --- the workshop: statements in DuckDB's SQL -------------------------------------------------------------

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What Spark and the embedded DuckDB raise."""
        return (*_errors(), *self.files.errors)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return [tuple(row) for row in self._sql(_in_spark(query)).collect()]

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the one row of an aggregate."""
        return self.rows(query)[0]

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns."""
        return list(self._spark.table(f"`{name}`").columns)

    def store(self, name: str, select: str) -> None:
        """Make a table, or make it anew."""
        frame, place = self._sql(_in_spark(select)), self._new_place(name)
        frame.write.parquet(place)
        self._see(name, place, self._spark.read.schema(frame.schema).parquet(place))

    def store_known(self, delivered: Delivered, rows: str, known: str) -> None:
        """Make a table of the rows that belong to an account that is known."""
        self.store(delivered.table, f"SELECT * FROM {rows} AS kept WHERE {known}")

    def gather(self, name: str, table: str, select: Callable[[str], str]) -> None:
        """Make a table of what a select finds; Spark's tables lie whole."""
        self.store(name, select(sql.name(table)))

    def replace_repeated(self, name: str, select: Callable[[str], str]) -> None:
        """Put other rows in place of those whose key has the hash of another row's."""
        table, hashed, hashes = sql.name(name), HASH_OF_KEY, f"_hashes_in_{name}"
        self.store(hashes, f"SELECT {hashed} AS h FROM {table} GROUP BY {hashed} HAVING count(*) > 1")
        several = f"SELECT h FROM {sql.name(hashes)}"
        if self.rows(f"{several} LIMIT 1"):
            columns, condition = ", ".join(map(sql.name, self.columns(name))), f"{hashed} IN ({several})"
            kept = f"SELECT {columns} FROM {table} WHERE NOT ({condition})"
            replaced = select(f"(SELECT * FROM {table} WHERE {condition}) AS _chosen")
            self.store(name, f"{kept} UNION ALL SELECT {columns} FROM ({replaced}) AS _replacing")
        self.drop(hashes)

    # --- the engine: statements in Spark's SQL ----------------------------------------------------------------

    def load(self) -> None:
        """Ibis is loaded already."""

    def settle(self, tables: Sequence[str], by_account: Sequence[str]) -> None:
        """Leave the tables where they are."""

    def dictionaries(self, table: str) -> Mapping[str, Dictionary]:  # noqa: ARG002 - as on every engine
        """Return nothing: it has all texts as texts."""
        return {}

    def among(self, first: str, last: str) -> AbstractContextManager[None]:  # noqa: ARG002 - as on every engine
        """Do nothing: Spark reads whole tables."""
        return nullcontext()

    def put(self, name: str, rows: pa.Table) -> None:
        """Make a small table of rows at hand."""
        place = self._new_place(name)
        if "://" in place:
            self._spark.createDataFrame(rows).write.parquet(place)
        else:
            Path(place).mkdir(parents=True)
            pq.write_table(rows, Path(place) / "rows.parquet")
        self._see(name, place, self._spark.read.parquet(place))

    def fetch(self, select: str, schema: pa.Schema) -> pa.Table:
        """Run a query."""
        return self._sql(select).toArrow().cast(schema)  # Spark's integers are smaller than Ibis takes them to be

    def prepare(self, select: str, *, often: bool) -> RowsOfAccount:  # noqa: ARG002 - as on every engine
        """Return what runs the query for an account; Spark prepares nothing, and is not made for one account."""
        query = f"SELECT * FROM ({select}) AS asked WHERE account_id = :account"

        def rows_of(account_id: str) -> list[tuple[Any, ...]]:
            self._spark.addTag(self._tag)
            return [tuple(row) for row in self._spark.sql(query, {"account": account_id}).collect()]

        return rows_of

    def drop(self, name: str) -> None:
        """Drop a table."""
        self._spark.catalog.dropTempView(name)
        self._delete(self._places.pop(name, None))

    def interrupt(self) -> None:
        """Make the query under way fail."""
        self._spark.interruptTag(self._tag)

    def close(self) -> None:
        """Delete the working tables; Spark stays for the next session of this process."""
        for name in list(self._places):
            self.drop(name)
        self.files.close()

    def _sql(self, query: str) -> DataFrame:
        self._spark.addTag(self._tag)  # of this thread's queries from now on
        return self._spark.sql(query)

    def _see(self, name: str, place: str, frame: DataFrame) -> None:
        """Let a name stand for the files in a place, and delete those that it stood for."""
        frame.createOrReplaceTempView(name)
        self._delete(self._places.get(name))
        self._places[name] = place

    def _new_name(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}_{self._made}"

    def _new_place(self, name: str) -> str:
        return f"{self._folder}/{self._new_name(name)}"

    def _delete(self, place: str | None) -> None:
        if place is None:
            return
        path = self._spark.sparkContext._jvm.org.apache.hadoop.fs.Path(place)  # type: ignore[union-attr]
        path.getFileSystem(self._spark.sparkContext._jsc.hadoopConfiguration()).delete(path, True)


def _backend(spark: SparkSession) -> Any:
    """Return Ibis's backend, which gives rows as Arrow: by way of pandas, no time could lie after 2262."""
    from ibis.backends.pyspark import Backend

    class ByArrow(Backend):  # type: ignore[misc]
        def to_pyarrow(self, expr: Any, /, **options: Any) -> Any:
            table = expr.as_table()
            self._run_pre_execute_hooks(table)
            found = self._session.sql(self.compile(table, **options)).toArrow()
            fields = [(field.name, field.type) for field in table.schema().to_pyarrow()]
            return expr.__pyarrow_result__(found.cast(pa.schema(fields)))

    backend = ByArrow()
    backend.register_options()  # as `ibis.pyspark` does for its own
    return backend.connect(spark)


def _reader(relation: str, select: str) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function by which Spark's Python workers run a select of DuckDB's over batches of rows.

    It travels by value: the workers need DuckDB and pyarrow, not us.
    """
    schema = RAW

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import duckdb
        import pyarrow as pa

        with duckdb.connect(config={"threads": 1}) as connection:  # Spark runs one worker a core
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE SCHEMA {schema}")
            for batch in batches:
                connection.register("_delivered_rows", pa.Table.from_batches([batch]))
                connection.execute(f"CREATE OR REPLACE VIEW {relation} AS SELECT * FROM _delivered_rows")
                yield from connection.sql(select).to_arrow_table().to_batches()

    return read


def _in_spark(query: str) -> str:
    """Put a statement of DuckDB's SQL into Spark's.

    >>> _in_spark('SELECT hash("a") FROM "t" WHERE "a" IS NOT DISTINCT FROM 1')
    'SELECT XXHASH64(`a`) FROM `t` WHERE `a` IS NOT DISTINCT FROM 1'
    """
    import sqlglot
    from sqlglot import expressions

    tree = sqlglot.parse_one(query, read="duckdb")
    for call in tree.find_all(expressions.Anonymous):
        if call.name.lower() == "hash":  # Spark's own has 32 bits: of a million keys a hundred would seem equal
            call.set("this", "xxhash64")
    return tree.sql(dialect="spark")


def _errors() -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException

    return (PySparkException, Py4JJavaError)


def _unreadable(table: str, error: Exception) -> TableError:
    return TableError(f"{table}: the query cannot be read: {first_lines(error)}")
