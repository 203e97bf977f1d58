"""Large Parquet files, read with their texts as codes.

Parquet keeps each text of a column once, and its rows as codes. pyarrow hands those out as they are; DuckDB makes
texts of them, which are then stored, compared and fetched as texts. Rows in codes are read by the same SQL as rows
in texts (:mod:`features.sources.rows`), and each different text of a column once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from features.cores import AT_ONCE
from features.errors import TableError
from features.sources import sql
from features.sources.contract import ColumnType
from features.sources.delivery import Delivered
from features.sources.dictionaries import Dictionary
from features.sources.layout import ACCOUNT_IDS, PLACE, layout_of
from features.sources.rows import NO_KEY, columns_there, read_texts

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from duckdb import DuckDBPyConnection

    from features.sources.session import Session

ROWS_WORTH_CODING = 1_000_000
ROWS_A_TEXT = 2  # at least, for its code to be worth it
ROWS_AT_ONCE = 1_500_000  # enough to be read from a file at once; fewer where memory says so
MOST_ROWS_TOGETHER = 3_000_000  # in a row group of a file, which is read at once
_SHARE = 8  # an eighth of the memory allowed is for what is read ahead
_ROWS_A_BATCH = 122_880  # as in DuckDB's own tables

Piece = tuple[Path, list[int]]  # row groups of a file


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
        When it begins, or after rows were read: whatever is at fault with them is found, and named, reading them
        as they are.
    """
    import duckdb

    raw = {name: delivered.raw_name[name] for name in columns_there(delivered)}
    paths, together = _paths(delivered), session.memory // (_SHARE * AT_ONCE)
    try:
        schema = _schema(session, delivered, paths, list(raw.values()))
        pieces = [piece for path in paths for piece in _pieces(path, schema.names, together)]
        worth = _worth_coding(delivered, paths[0], schema)
    except (*session.errors, pa.ArrowException, OSError):
        raise NotInCodesError from None
    relation = f"_codes of {delivered.table}"
    with duckdb.connect(config={"threads": 1}) as texts_reader:  # of its own: the session's is at work
        dictionaries = {name: _dictionary(session, delivered, name, texts_reader) for name in worth}
        files = _Files(pieces, schema, {raw[name]: dictionary for name, dictionary in dictionaries.items()})
        session.connection.register(relation, files.rows())
        try:
            yield replace(delivered, relation=sql.name(relation), dictionaries=dictionaries)
        except (*session.errors, pa.ArrowException, OSError, TableError) as error:
            if files.failed or NO_KEY in str(error):
                raise NotInCodesError from error
            raise
        finally:
            session.connection.unregister(relation)


def _paths(delivered: Delivered) -> Sequence[Path]:
    """Return the files of a table, if rows as it has them can be read in codes."""
    if (
        delivered.size < ROWS_WORTH_CODING
        or not layout_of(delivered).placed
        or delivered.key != delivered.contract.key
        or len(delivered.key) != 1  # else a row's key is made of texts
        or not delivered.files
        or not all(path.suffix.lower() in (".parquet", ".pq") for path in delivered.files)
        or any("=" in folder for path in delivered.files for folder in path.parts[:-1])  # which names a column
    ):
        raise NotInCodesError
    return delivered.files


def _schema(session: Session, delivered: Delivered, paths: Sequence[Path], wanted: Sequence[str]) -> pa.Schema:
    """Return the types of the columns wanted: the same in all files, and those that DuckDB's own reader sees."""
    import pyarrow.parquet as pq

    schemas = [pq.read_schema(path) for path in paths]
    if any(schema.names.count(column) != 1 for schema in schemas for column in wanted):
        raise NotInCodesError
    first, *others = [
        pa.schema([schema.field(column).remove_metadata() for column in wanted]) for schema in schemas
    ]
    types = session.types_of(first)
    if any(other != first for other in others) or len(set(wanted)) < len(wanted):
        raise NotInCodesError
    if any(types[column] != delivered.raw_types[column] for column in wanted):
        raise NotInCodesError
    return first


def _pieces(path: Path, columns: Sequence[str], together: int) -> Iterator[Piece]:
    """Yield the row groups of a file that are read at once: of so many bytes `together` at most."""
    with _opened(path) as file:
        groups: list[int] = []
        rows = size = 0
        for number, (own_rows, own_size) in enumerate(_sizes(file.metadata, columns)):
            if own_rows > MOST_ROWS_TOGETHER or own_size > together:
                raise NotInCodesError
            if groups and (rows >= ROWS_AT_ONCE or size + own_size > together):
                yield path, groups
                groups, rows, size = [], 0, 0
            groups, rows, size = [*groups, number], rows + own_rows, size + own_size
        if groups:
            yield path, groups


def _sizes(file: pq.FileMetaData, columns: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the rows, and the bytes of some columns, of each row group."""
    for group in map(file.row_group, range(file.num_row_groups)):
        chunks = [group.column(number) for number in range(group.num_columns)]
        read = [chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns]
        yield group.num_rows, sum(read)


def _worth_coding(delivered: Delivered, path: Path, schema: pa.Schema) -> list[str]:
    """Return the columns of text of which many rows say the same, as the first rows show."""
    texts = {
        name: delivered.raw_name[name]
        for name, column in delivered.contract.columns.items()
        if column.type is ColumnType.TEXT and name in delivered.raw_name and name not in delivered.key
        if schema.field(delivered.raw_name[name]).type in (pa.string(), pa.large_string())
    }
    with _opened(path, list(texts.values())) as file:
        if not file.num_row_groups:
            raise NotInCodesError
        first = file.read_row_group(0, list(texts.values()))
    worth = [name for name, raw in texts.items() if _different(first[raw]) * ROWS_A_TEXT <= len(first)]
    if "account_id" not in worth or len(worth) == 1:
        raise NotInCodesError
    return worth


def _different(column: pa.ChunkedArray) -> int:
    return sum(len(chunk.dictionary) for chunk in column.unify_dictionaries().chunks[:1])


def _dictionary(session: Session, delivered: Delivered, name: str, texts_reader: DuckDBPyConnection) -> Dictionary:
    """Return the dictionary of a column; an account's code is its place."""
    select, column = read_texts(delivered, name, "_texts"), delivered.contract.columns[name]

    def read(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        texts_reader.register("_texts", pa.table({delivered.raw_name[name]: texts}))
        found = texts_reader.sql(select).to_arrow_table()
        return found["text"].combine_chunks(), found["allowed"].combine_chunks()

    def first_column(query: str) -> pa.Array:
        return session.connection.sql(query).to_arrow_table()[0].combine_chunks()

    if name == "account_id":
        return Dictionary(
            read, first_column(f"SELECT account_id FROM {ACCOUNT_IDS} ORDER BY {PLACE}"), closed=True
        )
    return Dictionary(read, None if column.default is None else first_column(f"SELECT {sql.default(column)}"))


class _Files:
    """Files whose rows are read once, some of their columns as codes.

    Parameters
    ----------
    pieces
        What is read at once.
    schema
        The columns that are read.
    dictionaries
        Of those that are read as codes.

    Attributes
    ----------
    failed
        Whether something was met that cannot be read so.
    """

    def __init__(self, pieces: Sequence[Piece], schema: pa.Schema, dictionaries: Mapping[str, Dictionary]) -> None:
        self.failed, self._turn = False, threading.Lock()
        self._pieces, self._dictionaries = pieces, dictionaries
        code = pa.int32()
        self._schema = pa.schema([pa.field(f.name, code) if f.name in dictionaries else f for f in schema])

    def rows(self) -> pa.RecordBatchReader:
        """Return what reads all rows."""
        return pa.RecordBatchReader.from_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows; while some are looked at the next ones are read."""
        pieces = iter(self._pieces)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                ahead = deque(pool.submit(self._read, *piece) for piece in islice(pieces, AT_ONCE))
                while ahead:
                    rows = ahead.popleft().result()
                    ahead.extend(pool.submit(self._read, *piece) for piece in islice(pieces, 1))
                    yield from rows.to_batches(max_chunksize=_ROWS_A_BATCH)
            except Exception:
                self.failed = True
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(self, path: Path, groups: list[int]) -> pa.Table:
        with _opened(path, list(self._dictionaries)) as file:
            rows = file.read_row_groups(groups, self._schema.names, use_threads=False)
        with self._turn:
            return self._coded(rows)

    def _coded(self, rows: pa.Table) -> pa.Table:
        columns = {}
        for field in self._schema:
            column = rows[field.name]
            if field.name in self._dictionaries:
                column = self._dictionaries[field.name].codes_of(column)
            else:
                column.validate(full=True)  # nobody else asks whether the bytes of a text are UTF-8
            columns[field.name] = column
        return pa.table(columns, schema=self._schema)


def _opened(path: Path, as_codes: Sequence[str] = ()) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, read_dictionary=list(as_codes))
