"""Large Parquet files, read with their texts as codes.

Parquet keeps each text of a column once, and its rows as codes. pyarrow hands those out as they are; DuckDB makes
texts of them, which are then stored, compared and fetched as texts: of ten million events that takes longer than
everything else that is done to read them. Rows in codes are read by the same SQL as rows in texts
(:mod:`features.sources.rows`), and each different text of a column once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from features.errors import TableError
from features.sources import sql
from features.sources.contract import ColumnType
from features.sources.delivery import Delivered
from features.sources.dictionaries import Dictionary, ReadTexts, TooManyTextsError
from features.sources.layout import ACCOUNT_IDS, PLACE, layout_of
from features.sources.rows import NO_KEY, columns_there, read_texts

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from duckdb import DuckDBPyConnection

    from features.sources.session import Session

ROWS_WORTH_CODING = 1_000_000
ROWS_A_TEXT = 2  # at least, for its code to be worth it
ROWS_AT_ONCE = 1_500_000  # read, about
_MOST_ROWS_TOGETHER = 3_000_000  # in one row group of a file, which is read at once
_ROWS_A_BATCH = 122_880  # as in DuckDB's own tables


class NotInCodesError(Exception):
    """Rows cannot be read with their texts as codes, or it is not worth it: read them as they are."""


@contextmanager
def in_codes(session: Session, delivered: Delivered) -> Iterator[Delivered]:
    """Give a large table of Parquet files with its texts as codes; its rows can be read once.

    Parameters
    ----------
    session
        Where the rows will be read; it has the accounts.
    delivered
        A table.

    Raises
    ------
    NotInCodesError
        When it begins, or after rows were read: whatever they are at fault in is found, and named, reading them as
        they are.
    """
    import duckdb

    relation = f"_codes of {delivered.table}"
    paths = _paths(delivered)
    with duckdb.connect(config={"threads": 1}) as reading_texts:  # of its own: the session's is at work
        files = _Files(session, delivered, paths, reading_texts)
        session.connection.register(relation, files.reader)
        try:
            yield replace(delivered, relation=sql.name(relation), codes=files.dictionaries)
        except (*session.errors, pa.ArrowException, OSError, TableError) as error:
            if files.failed or NO_KEY in str(error):
                raise NotInCodesError from error
            raise
        finally:
            session.connection.unregister(relation)


class _Files:
    """Parquet files of one table, read in codes; `failed` says whether that has met something it cannot do."""

    def __init__(
        self, session: Session, delivered: Delivered, paths: Sequence[Path], reading_texts: DuckDBPyConnection
    ) -> None:
        self.failed = False
        self._raw, self._paths = {name: delivered.raw_name[name] for name in columns_there(delivered)}, paths
        try:
            schema = self._schema(session, delivered)
            coded = self._worth_coding(delivered, schema)
        except (pa.ArrowException, OSError):
            raise NotInCodesError from None
        self.dictionaries = {
            name: _dictionary(delivered, name, _texts_reader(delivered, name, reading_texts), session) for name in coded
        }
        self._by_raw = {self._raw[name]: dictionary for name, dictionary in self.dictionaries.items()}
        as_codes = [pa.field(f.name, pa.int32()) if f.name in self._by_raw else f for f in schema]
        self._read_as = pa.schema(as_codes)
        self.reader = pa.RecordBatchReader.from_batches(self._read_as, self._batches())

    def _schema(self, session: Session, delivered: Delivered) -> pa.Schema:
        """Return the type of each column that is read, the same in all files, which DuckDB sees as its own reader's."""
        import pyarrow.parquet as pq

        wanted = list(self._raw.values())
        schemas = [pq.read_schema(path) for path in self._paths]
        if not all(set(wanted) <= set(schema.names) for schema in schemas):
            raise NotInCodesError
        schema, *others = [pa.schema([schema.field(raw).remove_metadata() for raw in wanted]) for schema in schemas]
        types = session.types_of(schema)
        if any(other != schema for other in others) or any(types[raw] != delivered.raw_types[raw] for raw in wanted):
            raise NotInCodesError
        return schema

    def _worth_coding(self, delivered: Delivered, schema: pa.Schema) -> list[str]:
        """Return the columns of text of which many rows say the same, as the first rows show."""
        texts = [
            name
            for name, column in delivered.contract.columns.items()
            if name in self._raw and name not in delivered.key and column.type is ColumnType.TEXT
            if pa.types.is_string(schema.field(self._raw[name]).type)
        ]
        raw = [self._raw[name] for name in texts]
        with _opened(self._paths[0], raw) as file:
            first = file.read_row_group(0, raw) if file.num_row_groups else schema.empty_table()
        worth = [name for name in texts if _often_said(first[self._raw[name]])]
        if "account_id" not in worth:
            raise NotInCodesError
        return worth

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows; while some are looked at the next ones are read."""
        pieces = self._pieces()
        with ThreadPoolExecutor(1) as ahead:
            try:
                following = ahead.submit(next, pieces, None)
                while (rows := following.result()) is not None:
                    following = ahead.submit(next, pieces, None)
                    yield from rows.to_batches(max_chunksize=_ROWS_A_BATCH)
            except (pa.ArrowException, OSError, TooManyTextsError, NotInCodesError):
                self.failed = True
                raise

    def _pieces(self) -> Iterator[pa.Table]:
        """Yield what is read at once."""
        for path in self._paths:
            with _opened(path, list(self._by_raw)) as file:
                for groups in _groups(file.metadata):
                    yield self._coded(file.read_row_groups(groups, self._read_as.names))

    def _coded(self, rows: pa.Table) -> pa.Table:
        columns = {}
        for field in self._read_as:
            column = rows[field.name]
            if field.name in self._by_raw:
                column = self._by_raw[field.name].codes_of(column)
            elif pa.types.is_string(field.type):
                column.validate(full=True)  # nobody else asks whether its bytes are UTF-8
            columns[field.name] = column
        return pa.table(columns, schema=self._read_as)


def _paths(delivered: Delivered) -> Sequence[Path]:
    """Return the files of a table, if rows as it has them can be read in codes."""
    if (
        delivered.size < ROWS_WORTH_CODING
        or not layout_of(delivered).placed
        or delivered.key != delivered.contract.key
        or len(delivered.key) != 1  # else a row's key is made of texts
        or not delivered.files
        or not all(path.suffix.lower() in (".parquet", ".pq") for path in delivered.files)
    ):
        raise NotInCodesError
    return delivered.files


def _dictionary(delivered: Delivered, name: str, read: ReadTexts, session: Session) -> Dictionary:
    """Return the dictionary of a column; an account's code is its place."""
    if name == "account_id":
        ids = session.connection.sql(f"SELECT account_id FROM {ACCOUNT_IDS} ORDER BY {PLACE}").to_arrow_table()
        return Dictionary(read, _one_array(ids["account_id"]), closed=True)
    default = delivered.contract.columns[name].default
    return Dictionary(read, None if default is None else pa.array([default], pa.string()))


def _texts_reader(delivered: Delivered, name: str, connection: DuckDBPyConnection) -> ReadTexts:
    """Return what reads texts of a column."""
    select = read_texts(delivered, name, "_texts")

    def read(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        connection.register("_texts", pa.table({delivered.raw_name[name]: texts}))
        found = connection.sql(select).to_arrow_table()
        return _one_array(found["text"]), _one_array(found["allowed"])

    return read


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _opened(path: Path, in_codes: Sequence[str]) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, read_dictionary=in_codes)


def _groups(file: pq.FileMetaData) -> Iterator[list[int]]:
    """Yield the numbers of the row groups that are read at once."""
    groups, rows = [], 0
    for number in range(file.num_row_groups):
        size = file.row_group(number).num_rows
        if size > _MOST_ROWS_TOGETHER:
            raise NotInCodesError
        groups.append(number)
        rows += size
        if rows >= ROWS_AT_ONCE:
            yield groups
            groups, rows = [], 0
    if groups:
        yield groups


def _often_said(column: pa.ChunkedArray) -> bool:
    texts = sum(len(chunk.dictionary) for chunk in column.unify_dictionaries().chunks[:1])
    return texts * ROWS_A_TEXT <= len(column)
