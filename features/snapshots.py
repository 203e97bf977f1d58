"""Snapshots: vectors of many accounts on many dates, and the Parquet file that keeps them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.catalogue.schema import ContextKind
from features.errors import ContractMismatchError, TableError
from features.measures import service
from features.measures.calendar import MOST_DATES, Calendar
from features.measures.engine import Pass, Readings, floats
from features.measures.queries import Queries
from features.measures.rows import days
from features.parquet import write_whole
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import (
    COVERAGE,
    UNDER_NOTICE,
    FeatureContract,
    Floats,
    Role,
    Vectors,
    age_column,
    coverage,
)

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.sources import Database

# Pairs in one pass: what NumPy then holds is some hundred bytes a pair and quantity.
PAIRS_A_PASS = 200_000
CONTRACT_KEY = b"keepsight_contract"


def month_starts(first: dt.date, last: dt.date) -> list[dt.datetime]:
    """Return the first days of the months from `first` to `last`, both included where they are such days.

    >>> [f"{d:%Y-%m-%d}" for d in month_starts(dt.date(2024, 11, 2), dt.date(2025, 2, 1))]
    ['2024-12-01', '2025-01-01', '2025-02-01']
    """
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = (dt.datetime(month // 12, month % 12 + 1, 1) for month in months)
    return [start for start in starts if first <= start.date() <= last]


def recorded_codebooks(database: Database, catalogue: Catalogue, as_of: dt.datetime) -> dict[str, tuple[str, ...]]:
    """Return the values of each category without a declared codebook, sorted, as known at `as_of`.

    They are recorded when a model is trained and travel with its contract; a value seen later is unknown.
    """
    books: dict[str, tuple[str, ...]] = {}
    for name, entry in catalogue.definitions.context.items():
        if entry.kind is not ContextKind.CATEGORY or entry.codebook or entry.of is None:
            continue
        table, column = ("contracts", "plan") if entry.of == "plan" else ("accounts", entry.of.split(".")[-1])
        if table not in database.tables or column not in database.tables[table].columns:
            continue
        rows = database.tables[table]
        moment = ibis.literal(as_of, type="timestamp")
        known = rows.filter((rows.known_from <= moment) & rows[column].notnull())
        values = database.connection.to_pyarrow(known.select(value=known[column].cast("string")).distinct())
        books[name] = tuple(sorted(values["value"].to_pylist()))
    return books


def accounts_in_force(database: Database, catalogue: Catalogue, as_of: Sequence[dt.datetime]) -> pa.Table:
    """Return the pairs of account and date with service in force, as known on each date.

    In force: a known contract covers the date, or the last one ended within ``lapse_grace_days`` and nobody
    gave notice (a late renewal may still come). Without a contracts table: every account known by then whose
    ``customer_since`` is empty or not later.

    Returns
    -------
    pyarrow.Table
        ``account_id`` (string) and ``as_of`` (timestamp[s]), sorted by both.
    """
    tables = []
    for dates in _parts(sorted(set(as_of)), MOST_DATES):
        queries = Queries(database)
        calendar = Calendar(queries, dates, "grid")
        grace_days = catalogue.definitions.lapse_grace_days

        def known(calendar: Calendar = calendar, grace_days: int = grace_days) -> ir.Table:
            ranked = calendar.ranked(database.tables["contracts"])
            return service.agreements(ranked, calendar.bits, grace_days)

        def listed(
            queries: Queries = queries, calendar: Calendar = calendar, grace_days: int = grace_days
        ) -> ir.Table:
            if "contracts" in database.tables:
                return _with_contract(database, queries, calendar, grace_days)
            return _registered(database, calendar)

        key = (calendar.time_of_day_seconds, grace_days)
        queries.later("grid_agreements", key, known)
        tables.append(queries.fetch(("in force", key), listed))
        queries.forget()
    grid = pa.concat_tables(tables).cast(pa.schema([("account_id", pa.string()), ("as_of", pa.timestamp("s"))]))
    return grid.sort_by([("account_id", "ascending"), ("as_of", "ascending")])


def _registered(database: Database, calendar: Calendar) -> ir.Table:
    """Accounts as known on each date, by ``customer_since``."""
    known = _known_accounts(database, calendar)
    here = known.customer_since.isnull() | (known.customer_since <= known.day)
    return known.filter(here).select("account_id", "as_of")


def _known_accounts(database: Database, calendar: Calendar) -> ir.Table:
    accounts, bits = database.tables["accounts"], calendar.bits
    return accounts.join(bits, (accounts.known_from <= bits.as_of) & (accounts.known_until > bits.as_of))


def _with_contract(database: Database, queries: Queries, calendar: Calendar, grace_days: int) -> ir.Table:
    facts = service.facts(queries.table("grid_agreements"), grace_days).join(calendar.bits, "i")
    late = (facts.last_end >= facts.day - days(grace_days)) & ~facts.under_notice
    alive = facts.filter(facts.in_force.notnull() | late)
    known = _known_accounts(database, calendar).select("account_id", "i")
    return known.join(alive, ["account_id", "i"]).select("account_id", "as_of")


def build_vectors(
    database: Database,
    catalogue: Catalogue,
    contract: FeatureContract,
    grid: pa.Table,
    progress: Callable[[int, int], None] | None = None,
) -> Vectors:
    """Compute the vectors of the pairs in `grid`, as known on each date.

    Parameters
    ----------
    database
        The company's tables, normalised.
    catalogue
        The catalogue in force; its definitions must be those of `contract`.
    contract
        The vector's columns.
    grid
        ``account_id`` and ``as_of``, any order, any dates. An account that no table knows has all unknown.
    progress
        Called with (pairs done, pairs in all) after each part.

    Returns
    -------
    Vectors
        One row for each row of `grid`, in its order.

    Raises
    ------
    ContractMismatchError
        The contract was made for other definitions.
    """
    if contract.definitions != catalogue.definitions_fingerprint:
        raise ContractMismatchError(
            f"The vectors were asked for under definitions {contract.definitions}, the catalogue has "
            f"{catalogue.definitions_fingerprint}. Retrain (`keepsight train`), or go back to those definitions."
        )
    account_ids = np.array(grid["account_id"].to_pylist(), dtype=object)
    as_of = grid["as_of"].cast(pa.timestamp("s")).to_numpy().astype("datetime64[s]")
    size, width = len(account_ids), len(contract.columns)
    values = np.full((size, width), np.nan)
    unknown = np.full((size, width), UnknownReason.NOT_CONNECTED.letter, dtype="<U1")
    done = 0
    everybody = _number_of_accounts(database)
    for rows in _passes(account_ids, as_of):
        asked = list(account_ids[rows])
        work = Pass(
            database,
            catalogue.definitions,
            asked,
            as_of[rows].astype(object).tolist(),
            whole=len(set(asked)) > everybody // 2,
        )
        values[rows], unknown[rows] = assembled(work.readings(), contract, len(rows))
        done += len(rows)
        if progress is not None:
            progress(done, size)
    return Vectors(contract, account_ids, as_of, values, unknown)


def _number_of_accounts(database: Database) -> int:
    return int(database.connection.to_pyarrow(database.tables["accounts"].account_id.nunique()).as_py())


def _passes(
    account_ids: npt.NDArray[np.object_], as_of: npt.NDArray[np.datetime64]
) -> Iterator[npt.NDArray[np.intp]]:
    """Cut the grid into passes: one time of day, at most 62 dates, whole accounts together."""
    accounts, account_of_row = np.unique(account_ids.astype(str), return_inverse=True)
    time_of_day = as_of - as_of.astype("datetime64[D]")
    for time in np.unique(time_of_day):
        alike = np.flatnonzero(time_of_day == time)
        dates, of_row = np.unique(as_of[alike], return_inverse=True)
        for first in range(0, len(dates), MOST_DATES):
            among = alike[(of_row >= first) & (of_row < first + MOST_DATES)]
            parts = max(1, -(-len(among) // PAIRS_A_PASS))
            block = -(-len(accounts) // parts)
            for part in range(parts):
                own = account_of_row[among]
                rows = among[(own >= part * block) & (own < (part + 1) * block)]
                if len(rows):
                    yield rows


def assembled(readings: Readings, contract: FeatureContract, size: int) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Put readings in the contract's order: values (n, k), NaN unknown, and their letters."""
    values = np.full((size, len(contract.columns)), np.nan)
    unknown = np.full((size, len(contract.columns)), UnknownReason.NOT_CONNECTED.letter, dtype="<U1")
    for place, column in enumerate(contract.columns):
        if column.role is Role.SIGNAL:
            answer = readings.signals[column.name]
        elif column.role is Role.FACTOR:
            answer = readings.factors[column.name]
            age = contract.position[age_column(column.name)]
            values[:, age], unknown[:, age] = readings.ages[column.name], answer.letters
        elif column.role is Role.CONTEXT and column.name in readings.text:
            values[:, place] = codes(readings.text[column.name], column.codebook)
            unknown[:, place] = np.where(np.isnan(values[:, place]), UnknownReason.NO_BASE.letter, KNOWN_LETTER)
            continue
        elif column.role is Role.CONTEXT:
            answer = readings.context[column.name]
        else:
            continue
        values[:, place], unknown[:, place] = answer.values, answer.letters
    values[:, contract.position[COVERAGE]] = coverage(contract, unknown)
    values[:, contract.position[UNDER_NOTICE]] = readings.under_notice
    for name in (COVERAGE, UNDER_NOTICE):
        place = contract.position[name]
        unknown[:, place] = np.where(np.isnan(values[:, place]), UnknownReason.NOT_CONNECTED.letter, KNOWN_LETTER)
    return values, unknown


def codes(text: npt.NDArray[np.object_], codebook: Sequence[str]) -> Floats:
    """Return each text's place in the codebook; a value that is not in it, or none, is NaN.

    >>> codes(np.array(["pro", "basic", None, "new"], dtype=object), ["basic", "pro"])
    array([ 1.,  0., nan, nan])
    """
    place = {value: float(code) for code, value in enumerate(codebook)}
    return np.array([place.get(value, np.nan) for value in text], dtype=np.float64)


# --- the file -------------------------------------------------------------------------------------------------


def write_snapshots(path: Path, vectors: Vectors, churned: Floats | None = None) -> None:
    """Write vectors as Parquet: ids, the columns, ``unknown`` (a letter a column) and ``churned``.

    Parameters
    ----------
    path
        Replaced in one step, so that a reader never sees half a file.
    vectors
        n rows.
    churned
        Shape (n,), 1, 0, or NaN where censored or not at risk.
    """
    columns: dict[str, Any] = {
        "account_id": pa.array(vectors.account_ids, pa.string()),
        "as_of": pa.array(vectors.as_of, pa.timestamp("s")),
    }
    for place, name in enumerate(vectors.contract.names):
        columns[name] = pa.array(vectors.values[:, place], pa.float64())
    columns["unknown"] = pa.array(["".join(letters) for letters in vectors.unknown], pa.string())
    label = np.full(len(vectors), np.nan) if churned is None else churned
    columns["churned"] = pa.array(label == 1, pa.bool_(), mask=np.isnan(label))
    table = pa.table(columns).replace_schema_metadata({CONTRACT_KEY: vectors.contract.to_json().encode()})
    write_whole(path, table)


def read_snapshots(path: Path) -> tuple[Vectors, Floats]:
    """Read what :func:`write_snapshots` wrote: the vectors and ``churned`` (NaN where null).

    Raises
    ------
    TableError
        No such file, or not a snapshot file.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(
            f"{path}: cannot be read as Parquet ({error}). Write it with `keepsight snapshot`."
        ) from error
    metadata = table.schema.metadata or {}
    if CONTRACT_KEY not in metadata:
        raise TableError(f"{path}: not a snapshot file. Write it with `keepsight snapshot --out {path.name}`.")
    try:
        contract = FeatureContract.from_json(metadata[CONTRACT_KEY].decode())
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path}: its contract cannot be read ({error}). Write the file again.") from error
    values = np.column_stack([floats(table[name]) for name in contract.names])
    letters = np.array([list(text) for text in table["unknown"].to_pylist()], dtype="<U1")
    churned = floats(table["churned"])
    return (
        Vectors(
            contract,
            np.array(table["account_id"].to_pylist(), dtype=object),
            table["as_of"].to_numpy().astype("datetime64[s]"),
            values,
            letters.reshape(len(table), len(contract.columns)),
        ),
        churned,
    )


def _parts(dates: Sequence[dt.datetime], size: int) -> Iterator[Sequence[dt.datetime]]:
    """At most `size` dates at one time of day at a time."""
    for time in sorted({date.time() for date in dates}):
        alike = [date for date in dates if date.time() == time]
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
