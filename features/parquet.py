"""Parquet files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_whole(path: Path, table: pa.Table) -> None:
    """Write a table in one step, so that a reader never sees half a file; an older file is replaced.

    Raises
    ------
    OSError
        The folder cannot be written to; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.parquet", pa.table({"n": [1]}))
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.parquet']
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # not that of another run to the same file
    try:
        pq.write_table(table, part, compression="zstd")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
