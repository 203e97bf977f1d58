"""Rows of a large table, laid out in files by ranges of accounts: who asks about some reads their rows alone.

Where memory does not hold the rows, a DuckDB that sorts them, or reads them again for every part of the
accounts, does several times the work. So rows are laid out once, as they are read, in Arrow's own layout; what is
held in memory is a batch of them.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.sources.layout import PLACE

HASH = "_hash"  # of a row's key
HASH_OF_KEY = "hash(row_key)"
ROWS_A_RANGE = 1_000_000  # about
MOST_RANGES = 256  # files that are open at once
ROWS_A_BATCH = 250_000
ROWS_A_WRITE = 32_768
_HASHES_AT_ONCE = 2**24  # 130 MB
_LAST_BITS = 2**22 - 1

Hashes = npt.NDArray[np.uint64]


class Spool:
    """Rows on disk, by ranges of accounts.

    Parameters
    ----------
    folder
        Where the files are made.
    account_ids
        All accounts, in order.
    schema
        The rows' columns, :data:`~features.sources.layout.PLACE` and :data:`HASH` among them.
    rows
        About how many there will be.
    """

    def __init__(self, folder: Path, account_ids: Sequence[str], schema: pa.Schema, rows: int) -> None:
        folder.mkdir()
        self._folder, self._accounts, self._schema = folder, len(account_ids), schema
        ranges = max(1, min(-(-rows // ROWS_A_RANGE), MOST_RANGES, self._accounts))
        self._firsts = [account_ids[-(-number * self._accounts // ranges)] for number in range(ranges)]

    def fill(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write rows.

        Raises
        ------
        OSError
            The disk is full, or cannot be written.
        """
        ranges = len(self._firsts)
        with contextlib.ExitStack() as opened:
            hashes = opened.enter_context((self._folder / "hashes").open("wb"))
            files = [
                opened.enter_context(contextlib.closing(_File(self._file(number), self._schema)))
                for number in range(ranges)
            ]
            for batch in batches:
                of_row = (batch[PLACE].to_numpy().astype(np.int64) * ranges // self._accounts).astype(np.uint16)
                order = np.argsort(of_row, kind="stable")
                ordered = batch.select(self._schema.names).take(pa.array(order))
                edges = np.searchsorted(of_row[order], np.arange(ranges + 1)).tolist()
                for file, (first, after) in zip(files, itertools.pairwise(edges), strict=True):
                    if after > first:
                        file.add(ordered.slice(first, after - first))
                batch[HASH].to_numpy().tofile(hashes)
        for file in files:
            file.close()

        self._all = pa.concat_tables([self._mapped(number) for number in range(ranges)])

    def rows(self) -> pa.Table:
        """Return all rows."""
        return self._all

    def rows_of(self, first: str, last: str) -> pa.Table:
        """Return all rows of the accounts from `first` to `last`, both included, and some others'."""
        begin = max(bisect.bisect_right(self._firsts, first) - 1, 0)
        end = bisect.bisect_right(self._firsts, last)
        return pa.concat_tables([self._mapped(number) for number in range(begin, max(end, begin + 1))])

    def parts(self) -> Iterator[pa.Table]:
        """Yield the rows of each file."""
        yield from map(self._mapped, range(len(self._firsts)))

    def _mapped(self, number: int) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(self._file(number))).read_all()

    def hashes_of_several(self) -> Hashes:
        """Return the hashes that more than one row has."""
        path = self._folder / "hashes"
        parts = -(-path.stat().st_size // (8 * _HASHES_AT_ONCE)) or 1
        return np.concatenate([hashes_of_several(_of_part(path, part, parts)) for part in range(parts)])

    def _file(self, number: int) -> str:
        return str(self._folder / f"{number}.arrow")


class _File:
    """A file in the making: each batch in it costs those who map it a page or more, so small ones are joined."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(path, schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Write some rows, now or later."""
        self._waiting.append(batch)
        self._rows += len(batch)
        if self._rows >= ROWS_A_WRITE:
            self._write()

    def _write(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting).combine_chunks())
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        """Write what waits, and end the file."""
        if self._waiting:
            self._write()
        self._writer.close()


def _of_part(path: Path, part: int, parts: int) -> Hashes:
    """Return the hashes of one part of all, all alike in one part."""
    some = [np.zeros(0, np.uint64)]
    with path.open("rb") as file:
        while len(chunk := np.fromfile(file, np.uint64, _HASHES_AT_ONCE // 8)):
            some.append(chunk[chunk % np.uint64(parts) == part])
    return np.concatenate(some)


def hashes_of_several(hashes: Hashes) -> Hashes:
    """Return what stands more than once among some hashes, once each and in order.

    >>> hashes_of_several(np.array([7, 5, 7, 9, 5, 7], dtype=np.uint64)).tolist()
    [5, 7]
    """
    hashes = np.sort(hashes)
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def places_of_several(hashes: Hashes) -> npt.NDArray[np.intp]:
    """Return where those stand, in order, that stand more than once.

    Sorting takes a third of the time that grouping by them in the DuckDB does, and asking each of them whether it
    is one of the few several times that of asking first for its last bits.

    >>> places_of_several(np.array([7, 5, 7, 9, 5, 7], dtype=np.uint64)).tolist()
    [0, 1, 2, 4, 5]
    """
    several, bits = hashes_of_several(hashes), np.uint64(_LAST_BITS)
    ending_alike = np.zeros(_LAST_BITS + 1, dtype=np.bool_)
    ending_alike[several & bits] = True
    places = np.flatnonzero(ending_alike[hashes & bits])
    return places[np.isin(hashes[places], several)]
