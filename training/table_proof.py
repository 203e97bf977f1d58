"""What the tables say for a file of snapshots: the answers to G08 and G09, which only they can give.

`keepsight snapshot` has the tables and writes the answers into the file; training from the file reads them. They
were given for the rows that were written with them: whoever changes rows with a program that keeps the file's
metadata takes the answers along.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.errors import TableError
from features.vectors import Vectors

if TYPE_CHECKING:
    from features.sources import Untimed

PROOF_KEY = b"keepsight_proof"
RECHECKED_ACCOUNTS = 200

# Builds the vectors of some accounts at one date from data that end there.
Rebuild = Callable[[Sequence[str], np.datetime64], Vectors]


@dataclass(frozen=True, slots=True)
class Rechecked:
    """Vectors from all data, compared with vectors from data cut off at their date.

    Attributes
    ----------
    date
        ISO day of the vectors.
    vectors
        How many were compared.
    changed
        The columns that differ.
    """

    date: str
    vectors: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableProof:
    """What a file of snapshots says of the tables.

    Examples
    --------
    >>> proof = TableProof((), Rechecked("2025-01-01", 200, ()))
    >>> TableProof.from_json(proof.to_json()) == proof
    True
    """

    left_out: tuple[Untimed, ...]
    rechecked: Rechecked

    def to_json(self) -> str:
        """Return it as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TableProof:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not JSON, or not that of a proof.
        """
        from features.sources import Untimed

        raw = json.loads(text)
        again = raw["rechecked"]
        rechecked = Rechecked(str(again["date"]), int(again["vectors"]), tuple(again["changed"]))
        return cls(tuple(Untimed(**item) for item in raw["left_out"]), rechecked)


def proof_in(path: Path) -> tuple[TableProof | None, str | None]:
    """Return what a file of snapshots carries: the proof, and the company's name; None for what it does not.

    Raises
    ------
    TableError
        The file, or what it carries, cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from features.origin import Origin
    from features.snapshot_store import ORIGIN_KEY

    try:
        metadata = pq.read_schema(path).metadata or {}
        proof = TableProof.from_json(metadata[PROOF_KEY].decode()) if PROOF_KEY in metadata else None
        company = Origin.from_json(metadata[ORIGIN_KEY].decode()).company if ORIGIN_KEY in metadata else None
    except (OSError, pa.ArrowException) as error:
        raise TableError(
            f"{path}: cannot be read as Parquet ({error}). Write it with `keepsight snapshot`."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path}: what it was computed from cannot be read ({error}). Write it again.") from error
    return proof, company


def date_to_recheck(dates: npt.NDArray[np.datetime64]) -> np.datetime64:
    """Return the date in the middle: it has later records behind it, where most could leak."""
    found: np.datetime64 = np.unique(dates)[len(np.unique(dates)) // 2]
    return found


def sample_of(account_ids: Iterable[object]) -> npt.NDArray[np.intp]:
    """Return the positions of at most 200 accounts, in order, the same ones on every run."""
    order = np.argsort([zlib.crc32(str(account).encode()) for account in account_ids], kind="stable")
    return np.sort(order[:RECHECKED_ACCOUNTS])


def recheck(ours: Vectors, rebuild: Rebuild, date: np.datetime64) -> Rechecked:
    """Compare vectors of one date with those rebuilt from data that end there."""
    again = rebuild(list(ours.account_ids), date)
    return Rechecked(str(date.astype("datetime64[D]")), len(ours), tuple(changed_columns(ours, again)))


def changed_columns(ours: Vectors, truncated: Vectors) -> Sequence[str]:
    """Name the columns that differ between vectors from all data and vectors from data that end at `as_of`.

    Values to 1e-9, since sums come in another order; reasons exactly. Both have the same accounts, in one order.
    """
    same = np.isclose(ours.values, truncated.values, rtol=1e-9, atol=0.0, equal_nan=True)
    same &= ours.unknown == truncated.unknown
    return [ours.contract.names[place] for place in np.flatnonzero(~same.all(axis=0))]
