"""What vectors were computed from: the code, the engine, and for each date what was known of each table.

A vector at a date depends only on the rows that count at that date. So whether vectors of an earlier run may stand
is asked of those rows, not of the files: a new delivery whose rows are recorded later changes nothing, a row
rewritten in place changes every date from which it was known.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.sources import Database

# The hash of a row on each engine; the sums over two remainders of it tell sets of rows apart, in any order.
_ROW_HASH = {"duckdb": "hash", "postgres": "hash_record_extended", "pyspark": "xxhash64"}
_REMAINDERS = (2_147_483_647, 2_147_483_629)  # the two largest primes below 2^31: sums of 4e9 rows fit 63 bits

IN_FORCE = "accounts in force"  # beside the tables: whose vectors there are
_CODE = ("sources/**/*.py", "measures/**/*.py", "snapshots.py", "vectors.py", "readings.py")


@dataclass(frozen=True)
class Origin:
    """What vectors were computed from.

    Attributes
    ----------
    company
        Its name in ``sources.toml``.
    code
        Sixteen hex digits over the code that computes vectors.
    engine
        Its name and version; sums of floats differ in their last digits between engines.
    known
        For each date (ISO) and table: sixteen hex digits over the rows that count then.

    Examples
    --------
    >>> june, july = "2025-06-01T00:00:00", "2025-07-01T00:00:00"
    >>> earlier = Origin("Acme", "c0de", "duckdb 1.4", {june: {"usage": "aa"}})
    >>> known = {june: {"usage": "aa", "tickets": "bb"}, july: {"usage": "cc"}}
    >>> ours = Origin("Acme", "c0de", "duckdb 1.5", known)
    >>> ours.refuses(earlier)
    'computed by duckdb 1.4, now by duckdb 1.5'
    >>> [ours.changed(earlier, dt.datetime.fromisoformat(date)) for date in (june, july)]
    [['tickets'], ['usage']]
    >>> Origin.from_json(ours.to_json()) == ours
    True
    """

    company: str
    code: str
    engine: str
    known: Mapping[str, Mapping[str, str]]

    def to_json(self) -> str:
        """Return it as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Origin:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, TypeError
            It is not JSON, or not that of an origin.
        """
        return cls(**json.loads(text))

    def refuses(self, earlier: Origin) -> str | None:
        """Say why no vector of an earlier run may stand, whatever its date, or None."""
        if earlier.company != self.company:
            return f"computed for another company, {earlier.company}"
        if earlier.code != self.code:
            return "the code that computes vectors has changed"
        if earlier.engine != self.engine:
            return f"computed by {earlier.engine}, now by {self.engine}"
        return None

    def changed(self, earlier: Origin, date: dt.datetime) -> list[str]:
        """Name the tables of which something else was known then; all of them if the earlier run lacks the date.

        Raises
        ------
        KeyError
            This run itself was not asked for the date.
        """
        now, then = self.known[date.isoformat()], earlier.known.get(date.isoformat(), {})
        return [table for table in sorted({*now, *then}) if now.get(table) != then.get(table)]


def origin_of(database: Database, grid: pa.Table) -> Origin:
    """Return what the vectors of a grid are computed from.

    Parameters
    ----------
    database
        The tables that vectors may rest on. Each is read once; those read by labels alone are left out.
    grid
        ``account_id`` and ``as_of``; of each date in the order of accounts.
    """
    sources = database.sources
    dates = sorted(pc.unique(grid["as_of"]).to_pylist())
    known = {
        date.isoformat(): {IN_FORCE: _digest(grid.filter(pc.equal(grid["as_of"], date))["account_id"].to_pylist())}
        for date in dates
    }
    for name, table in {**database.tables, "feeds": database.feeds}.items():
        if name != "feeds" and sources.contracts[name].labels_only:
            continue
        delivered = ",".join(sorted(database.columns.get(name, ())))
        for date, counted in zip(dates, _counted(database.connection, table, dates), strict=True):
            known[date.isoformat()][name] = _digest([delivered, *map(str, counted)])
    engine = f"{database.connection.name} {database.connection.version}"
    return Origin(sources.config.company, _code(), engine, known)


def _counted(connection: Any, table: ir.Table, dates: Sequence[dt.datetime]) -> list[tuple[int, ...]]:
    """Return for each date the number of rows that count then, and the sums over their hashes."""
    from_date, until_date = (_dates_before(table[moment], dates) for moment in ("known_from", "known_until"))
    row = _row_hash(connection.name, table)
    hashed = table.select(from_date=from_date, until_date=until_date, row=row)
    sums = {f"sum{place}": (hashed.row % prime).sum().cast("int64") for place, prime in enumerate(_REMAINDERS)}
    grouped = hashed.group_by("from_date", "until_date").aggregate(rows=hashed.count(), **sums)
    groups = connection.to_pyarrow(grouped).to_pylist()
    return [
        tuple(
            sum(group[name] for group in groups if group["from_date"] <= place < group["until_date"])
            for name in ("rows", *sums)
        )
        for place in range(len(dates))
    ]


def _dates_before(moment: ir.TimestampColumn, dates: Sequence[dt.datetime]) -> ir.IntegerColumn:
    """Return how many of the dates, which are in order, lie before a moment."""
    import ibis

    latest_first = zip(reversed(dates), range(len(dates), 0, -1), strict=True)  # most rows end after all dates
    return ibis.cases(*((moment > ibis.literal(date, type="timestamp"), n) for date, n in latest_first), else_=0)


def _row_hash(engine: str, table: ir.Table) -> ir.IntegerColumn:
    """Return a hash over each row; not over when it was replaced, which is told later."""
    import ibis

    columns = sorted(set(table.columns) - {"known_until"})
    row = ibis.struct({column: table[column] for column in columns})
    builtin = ibis.udf.scalar.builtin
    if engine == "postgres":

        @builtin(name=_ROW_HASH[engine], signature=((row.type(), "int64"), "int64"))  # type: ignore[untyped-decorator]
        def seeded(row: Any, seed: Any) -> Any: ...

        return seeded(row, 0)

    @builtin(name=_ROW_HASH[engine], signature=((row.type(),), "int64"))  # type: ignore[untyped-decorator]
    def plain(row: Any) -> Any: ...

    return plain(row)


@functools.cache
def _code() -> str:
    """Sixteen hex digits over the code from tables to vectors; the catalogue's TOML has its own fingerprint."""
    package = Path(__file__).parent
    files = sorted(path for pattern in _CODE for path in package.glob(pattern))
    return _digest(f"{path.relative_to(package)}\n{path.read_text('utf-8')}" for path in files)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
