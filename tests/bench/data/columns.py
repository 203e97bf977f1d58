"""Columns of the benchmark's tables, from NumPy to Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FIRST_DAY = np.datetime64("2023-01-01", "s")
DAYS = 900
DAY = 86_400  # seconds


def text(numbers: Ints, width: int = 0) -> pa.Array:
    """Return numbers as text, with zeros in front."""
    written = pc.cast(pa.array(numbers), pa.string())
    return pc.utf8_lpad(written, width, "0") if width else written


def keys(letter: str, rows: int) -> pa.Array:
    """Return a letter and the row's number in seven digits, for so many rows."""
    return pc.binary_join_element_wise(letter, text(np.arange(rows), 7), "")


def time(seconds: Ints, given: Flags | None = None) -> pa.Array:
    """Return moments; null where none is given."""
    moments = (FIRST_DAY + seconds).astype("datetime64[us]")
    return pa.array(moments, pa.timestamp("us"), mask=None if given is None else ~given)


def date(days: Ints, given: Flags | None = None) -> pa.Array:
    """Return dates; null where none is given."""
    dates = FIRST_DAY.astype("datetime64[D]") + days
    return pa.array(dates, pa.date32(), mask=None if given is None else ~given)


def names(values: Sequence[str | None], codes: Ints) -> pa.Array:
    """Return the text that each code stands for."""
    return pa.array(values, pa.string()).take(pa.array(codes))


def drawn(rng: np.random.Generator, values: Sequence[str | None], shares: Sequence[float], rows: int) -> pa.Array:
    """Draw from a few texts."""
    return names(values, rng.choice(len(values), rows, p=shares))


def numbers(values: npt.NDArray[Any], given: Flags | None = None) -> pa.Array:
    """Return numbers; null where none is given."""
    return pa.array(values, pa.float64(), mask=None if given is None else ~given)


def seconds_of(moments: pa.ChunkedArray) -> Ints:
    """Return moments as seconds since the first day."""
    return (moments.to_numpy().astype("datetime64[s]") - FIRST_DAY).astype(np.int64)


def replaced(table: pa.Table, **columns: pa.Array) -> pa.Table:
    """Return the table with other values in some columns."""
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table
