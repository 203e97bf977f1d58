"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def whole(path: Path, within: Path | None = None) -> Iterator[Path]:
    """Give the path of a file to write, which takes the place of `path` in one step when it is complete.

    A reader never sees half a file, not after a loss of power either; after an error, an older file is as it was.

    Parameters
    ----------
    path
        Where the complete file is to be.
    within
        A folder of the same disk for the unfinished file, which a killed process leaves there; else beside `path`.

    Raises
    ------
    OSError
        The folder cannot be written to; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "a.txt") as unfinished:
    ...         _ = unfinished.write_text("all of it")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    # Not that of another run to the same file.
    unfinished = (within or path.parent) / f"{path.name}.{os.getpid()}.part"
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, table: pa.Table) -> None:
    """Write a table in one step (see :func:`whole`); an older file is replaced.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.parquet", pa.table({"n": [1]}))
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.parquet']
    """
    with whole(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
