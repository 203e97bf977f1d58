"""Snapshots: vectors of many accounts on many dates. :mod:`features.snapshot_store` keeps them in a file."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue.schema import ContextKind
from features.cores import AT_ONCE
from features.errors import ContractMismatchError
from features.measures import service
from features.measures.calendar import MOST_DATES, Calendar, Ints
from features.measures.elementwise import Numbers, isnan, where
from features.measures.engine import Asked, Lot, Readings
from features.measures.frames import Texts
from features.measures.known import Answer
from features.measures.letters import KNOWN, Letters, as_text, letter
from features.measures.queries import Queries
from features.measures.scope import Scope
from features.readings import UnknownReason
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

Result = TypeVar("Result")


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
    import ibis

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
    asked = Asked(database, catalogue.definitions)
    dates = np.array(sorted(set(as_of)), dtype="datetime64[s]")
    found = [_in_force(asked, calendar) for calendar, _ in _calendars(dates)]
    grid = pa.concat_tables(found).cast(pa.schema([("account_id", pa.string()), ("as_of", pa.timestamp("s"))]))
    return grid.sort_by([("account_id", "ascending"), ("as_of", "ascending")])


def _in_force(asked: Asked, calendar: Calendar) -> pa.Table:
    ids = asked.known_accounts(Queries(asked.database))
    scope = asked.service_of(calendar, ids)
    found = np.flatnonzero(service.in_service(scope))
    dates = pa.array(calendar.dates, pa.timestamp("s"))
    return pa.table(
        {
            "account_id": ids.take(pa.array(found // len(calendar))),
            "as_of": dates.take(pa.array(found % len(calendar))),
        }
    )


def build_vectors(
    database: Database,
    catalogue: Catalogue,
    contract: FeatureContract,
    grid: pa.Table,
    progress: Callable[[int, int], None] | None = None,
    asked: Asked | None = None,
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
        Called with (pairs done, pairs in all) after each pass.
    asked
        What the definitions ask of the tables, from an earlier call: what everyone has in common is then known.

    Returns
    -------
    Vectors
        One row for each row of `grid`, in its order.

    Raises
    ------
    ContractMismatchError
        The contract was made for other definitions.
    """
    vectors = _Filling(contract, grid)
    for _ in _computed(vectors, database, catalogue, progress, asked):
        pass
    return vectors.rows(slice(None))


def vectors_in_order(
    database: Database,
    catalogue: Catalogue,
    contract: FeatureContract,
    grid: pa.Table,
    progress: Callable[[int, int], None] | None = None,
    asked: Asked | None = None,
) -> Generator[Vectors, None, None]:
    """Compute the vectors of :func:`build_vectors`, and yield them in parts, while later ones are computed.

    Parts are consecutive rows of `grid`, in its order, together all of them; each comes as soon as it and all
    before it are finished. A grid sorted by account comes pass by pass; in another order, at several times of
    day, or on more than 62 dates, most of it may come at the end. Two lots at most are computed ahead of who asks,
    and a third is fetched. Time is gained, not memory: parts are views of one array of the whole grid, which is
    there until the last one is let go.

    Close the generator before the database, where it may not have been asked for all, as after an error:
    ``with contextlib.closing(vectors_in_order(…)) as parts``. That waits for the passes under way.

    Parameters
    ----------
    database, catalogue, contract, grid, progress, asked
        Those of :func:`build_vectors`.

    Yields
    ------
    Vectors
        At least one row each, shapes (m,) and (m, k), not to be written to; no part of a grid without rows.

    Raises
    ------
    ContractMismatchError
        The contract was made for other definitions; told when the first part is asked for.
    """
    vectors = _Filling(contract, grid)
    with closing(_computed(vectors, database, catalogue, progress, asked)) as computed:
        for rows in computed:
            yield vectors.rows(rows)


class _Filling:
    """The vectors of a grid's rows, put there pass by pass."""

    def __init__(self, contract: FeatureContract, grid: pa.Table) -> None:
        self.contract = contract
        self.accounts, self.account = numbered_ids(grid["account_id"])
        self.as_of = grid["as_of"].cast(pa.timestamp("s")).to_numpy().astype("datetime64[s]")
        size, width = grid.num_rows, len(contract.columns)
        self._values = np.empty((size, width), order="F")  # filled, and read, column by column
        self._letters = np.empty((size, width), dtype=KNOWN.dtype, order="F")

    def __len__(self) -> int:
        return len(self.as_of)

    def put(self, readings: Readings, rows: npt.NDArray[np.intp]) -> None:
        """Put readings into some rows."""
        first, last = int(rows[0]), int(rows[-1])
        if last - first == len(rows) - 1 and (np.diff(rows) == 1).all():
            assemble(readings, self.contract, self._values[first : last + 1], self._letters[first : last + 1])
            return
        shape = len(rows), self._values.shape[1]
        part = np.empty(shape), np.empty(shape, dtype=KNOWN.dtype)
        assemble(readings, self.contract, *part)
        self._values[rows], self._letters[rows] = part

    def rows(self, chosen: slice) -> Vectors:
        """Return rows that are filled: values are views, not copies."""
        account_ids = self._account_ids[self.account[chosen]]
        unknown = as_text(self._letters[chosen])
        return Vectors(self.contract, account_ids, self.as_of[chosen], self._values[chosen], unknown)

    @cached_property
    def _account_ids(self) -> npt.NDArray[np.object_]:
        return np.array(self.accounts.to_pylist(), dtype=object)


def _computed(
    vectors: _Filling,
    database: Database,
    catalogue: Catalogue,
    progress: Callable[[int, int], None] | None,
    asked: Asked | None,
) -> Generator[slice, None, None]:
    """Fill vectors; yield which rows are filled, in order, and with all before them."""
    refuse_other_definitions(vectors.contract, catalogue)
    asked = asked or Asked(database, catalogue.definitions)
    accounts, account, as_of = vectors.accounts, vectors.account, vectors.as_of

    def in_common(calendar: Calendar) -> Scope:
        with database.turn:
            return asked.everyone(calendar)

    def read(part: _Part, lot: Lot, everyone: Future[Scope]) -> npt.NDArray[np.intp]:
        own = lot.among(part.first, part.size)
        work = asked.work(part.calendar, own, part.account, part.place, everyone.result)
        vectors.put(work.readings(), part.rows)
        return part.rows

    def under_way(pool: ThreadPoolExecutor) -> Iterator[list[Future[npt.NDArray[np.intp]]]]:
        """Have one lot fetched ahead of the passes."""
        for calendar, among in _calendars(as_of):
            lots = list(_lots(calendar, asked.sizes(len(accounts), len(among)), account, as_of, among))
            fetched = pool.submit(asked.lot, accounts.slice(*lots[0].accounts))
            everyone = pool.submit(in_common, calendar)
            for lot, following in zip_longest(lots, lots[1:]):
                rows = fetched.result()
                if following is not None:
                    fetched = pool.submit(asked.lot, accounts.slice(*following.accounts))
                yield [pool.submit(read, part, rows, everyone) for part in lot.parts]

    filled, done, yielded = np.zeros(len(vectors), dtype=np.bool_), 0, 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for passes in _one_late(under_way(pool)):
                for read_part in as_completed(passes):
                    rows = read_part.result()
                    filled[rows] = True
                    done += len(rows)
                    if progress is not None:
                        progress(done, len(vectors))
                    if further := _leading(filled[yielded:]):
                        yield slice(yielded, yielded + further)
                        yielded += further
        except BaseException:  # GeneratorExit too: nobody asks for the rest
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leading(filled: npt.NDArray[np.bool_]) -> int:
    """Return how many are filled before the first that is not.

    >>> _leading(np.array([True, True, False, True])), _leading(np.array([True]))
    (2, 1)
    """
    return len(filled) if filled.all() else int(filled.argmin())


def refuse_other_definitions(contract: FeatureContract, catalogue: Catalogue) -> None:
    """Raise unless a contract was made for the definitions of a catalogue.

    Raises
    ------
    ContractMismatchError
        It was made for others.
    """
    if contract.definitions != catalogue.definitions_fingerprint:
        raise ContractMismatchError(
            f"The vectors were asked for under definitions {contract.definitions}, the catalogue has "
            f"{catalogue.definitions_fingerprint}. Retrain (`keepsight train`), or go back to those definitions."
        )


def numbered_ids(account_ids: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """Return the distinct ids in order, and the place of each row's id among them."""
    encoded = account_ids.cast(pa.string()).combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), place[encoded.indices.to_numpy()]


def _calendars(as_of: npt.NDArray[np.datetime64]) -> Iterator[tuple[Calendar, npt.NDArray[np.intp]]]:
    """Yield calendars of one time of day and at most 62 dates, with the rows of their dates."""
    time_of_day = as_of - as_of.astype("datetime64[D]")
    for time in np.unique(time_of_day):
        alike = np.flatnonzero(time_of_day == time)
        dates, of_row = np.unique(as_of[alike], return_inverse=True)
        for first in range(0, len(dates), MOST_DATES):
            calendar = Calendar(dates[first : first + MOST_DATES].astype(object).tolist())
            yield calendar, alike[(of_row >= first) & (of_row < first + MOST_DATES)]


def _one_late(groups: Iterator[list[Future[Result]]]) -> Iterator[list[Future[Result]]]:
    """Give each group when the next one is under way too."""
    before: list[Future[Result]] = []
    for group in groups:
        yield before
        before = group
    yield before


@dataclass(frozen=True)
class _Part:
    """Pairs of some of a lot's accounts at the dates of a calendar.

    The accounts are `size` from the `first` on; `account`, `place` and the grid's `rows` are one a pair.
    """

    calendar: Calendar
    first: int
    size: int
    account: Ints
    place: Ints
    rows: npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Lot:
    """Accounts whose rows are fetched at once (from which on, how many), and the parts that they are cut into."""

    accounts: tuple[int, int]
    parts: list[_Part]


def _lots(
    calendar: Calendar,
    sizes: tuple[int, int],
    account: Ints,
    as_of: npt.NDArray[np.datetime64],
    among: npt.NDArray[np.intp],
) -> Iterator[_Lot]:
    """Cut the rows `among` a grid's into lots, and those into parts, of some accounts each."""
    of_lot, of_part = sizes
    dates = np.array(calendar.dates, "datetime64[s]")
    of_rows = account[among] // of_part
    for first in range(0, int(account[among].max()) + 1, of_lot):
        parts = []
        for part in range(first, first + of_lot, of_part):
            rows = among[of_rows == part // of_part]
            if len(rows):
                place = np.searchsorted(dates, as_of[rows])
                parts.append(_Part(calendar, part - first, of_part, account[rows] - part, place, rows))
        if parts:
            yield _Lot((first, of_lot), parts)


def assemble(readings: Readings, contract: FeatureContract, values: Floats, letters: Letters) -> None:
    """Put readings in the contract's order into `values` (n, k), NaN unknown, and their `letters` (n, k)."""
    answers = [Answer(math.nan, KNOWN)] * len(contract.columns)
    for place, name in contract.places[Role.SIGNAL]:
        answers[place] = readings.signals[name]
    for place, name in contract.places[Role.FACTOR]:
        answer = answers[place] = readings.factors[name]
        answers[contract.position[age_column(name)]] = Answer(readings.ages[name], answer.letters)
    for place, name in contract.places[Role.CONTEXT]:
        if name in readings.text:
            of_texts = codes(readings.text[name], contract.columns[place].codebook)
            answers[place] = _or_unknown(of_texts, UnknownReason.NO_BASE)
        else:
            answers[place] = readings.context[name]
    answers[contract.position[UNDER_NOTICE]] = _or_unknown(
        readings.under_notice * 1.0, UnknownReason.NOT_CONNECTED
    )
    if len(values) == 1:  # plain numbers, put there at once
        values[0], letters[0] = zip(*answers, strict=True)
    else:
        for place, answer in enumerate(answers):
            values[:, place], letters[:, place] = answer.values, answer.letters
    place = contract.position[COVERAGE]
    answer = _or_unknown(coverage(contract, letters), UnknownReason.NOT_CONNECTED)
    values[:, place], letters[:, place] = answer.values, answer.letters


def _or_unknown(values: Numbers, reason: UnknownReason) -> Answer:
    return Answer(values, where(isnan(values), letter(reason), KNOWN))


def codes(texts: Texts, codebook: Sequence[str]) -> Numbers:
    """Return each text's place in the codebook; a value that is not in it, or none, is NaN.

    >>> codes(Texts(np.array([1, 0, -1, 2]), ("basic", "pro", "new")), ["basic", "pro"])
    array([ 1.,  0., nan, nan])
    """
    place = _places(tuple(codebook))
    if isinstance(texts.codes, int):
        return place.get(texts.values[texts.codes], math.nan) if texts.codes >= 0 else math.nan
    return np.array([*(place.get(value, np.nan) for value in texts.values), np.nan])[texts.codes]


@lru_cache
def _places(codebook: tuple[str, ...]) -> dict[str, float]:
    return {value: float(code) for code, value in enumerate(codebook)}
