"""Value by value: a contender's Parquet file beside Keepsight's vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.snapshot_file import read_snapshots
from features.vectors import Vectors

TOLERANCE = 1e-9  # relative: sums of floats in another order
KEY = [("account_id", "ascending"), ("as_of", "ascending")]


@dataclass(frozen=True, slots=True)
class Compared:
    """One column: how many values Keepsight knows; of these, how many the contender lacks or has otherwise."""

    column: str
    known: int
    missing: int
    different: int
    example: str = ""


def compared(ours: Path, theirs: Path) -> Iterator[Compared]:
    """Compare every column of the contender's file with ours, on the pairs of the contender's file.

    Where Keepsight says that a value is unknown, contenders have a NaN or a number: that is not compared.
    """
    vectors, _ = read_snapshots(ours)
    other = pq.read_table(theirs)
    other = other.set_column(
        other.schema.get_field_index("as_of"), "as_of", other["as_of"].cast(pa.timestamp("s"))
    ).sort_by(KEY)
    vectors = vectors.take(_places(vectors, other))
    for name in other.column_names:
        if name not in ("account_id", "as_of"):
            yield _column(vectors, other, name)


def _places(vectors: Vectors, other: pa.Table) -> npt.NDArray[np.intp]:
    """Where the pairs of the other file stand among the vectors."""
    ours = pa.table({"account_id": pa.array(vectors.account_ids, pa.string()), "as_of": pa.array(vectors.as_of)})
    ours = ours.append_column("place", pa.array(np.arange(len(vectors))))
    keys = other.select(["account_id", "as_of"]).cast(ours.select(["account_id", "as_of"]).schema)
    joined = keys.join(ours, ["account_id", "as_of"], join_type="inner").sort_by(KEY)
    if len(joined) != len(other):
        raise ValueError(f"{len(other)} pairs in the contender's file, {len(joined)} of them are among ours")
    return joined["place"].to_numpy()


def _column(vectors: Vectors, other: pa.Table, name: str) -> Compared:
    ours = vectors.column(name)
    known = ~np.isnan(ours)
    codebook = vectors.contract.columns[vectors.contract.position[name]].codebook
    theirs = other[name]
    if codebook:
        theirs = pc.index_in(theirs.cast(pa.string()), pa.array(codebook))
    values = theirs.cast(pa.float64()).to_numpy()
    missing = known & np.isnan(values)
    different = known & ~missing & ~np.isclose(values, ours, rtol=TOLERANCE, atol=0)
    example = ""
    if (missing | different).any():
        row = int(np.flatnonzero(missing | different)[0])
        example = f"{vectors.account_ids[row]} {vectors.as_of[row]}: {ours[row]!r}, contender {values[row]!r}"
    return Compared(name, int(known.sum()), int(missing.sum()), int(different.sum()), example)


def report(found: Sequence[Compared]) -> str:
    """Say in one line how many values were compared and how many differ, then the columns that do."""
    known, missing, different = (sum(getattr(c, of) for c in found) for of in ("known", "missing", "different"))
    lines = [f"{known:,} values in {len(found)} columns compared: {different:,} differ, {missing:,} are missing"]
    lines += [
        f"  {c.column}: of {c.known:,} {c.different:,} differ, {c.missing:,} are missing, first {c.example}"
        for c in found
        if c.different or c.missing
    ]
    return "\n".join(lines)
