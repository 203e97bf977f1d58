"""A file of snapshots written in parts: bounded in memory, resumable at any moment, extended date by date.

The pairs to compute are cut into ranges of accounts; the vectors of a range, on all its dates, are a part.
Each part is written whole into ``F.parquet.parts/`` beside the output, and says in its own metadata which part it
is and what it was computed from: there is no record beside it that could be wrong about it. At the end the parts
are merged, one date at a time, into rows ordered by date and account; labels are added then, since later records
change them.

Dates that an older file at the same place has are copied from it, if they would come out the same: the same
definitions, code and engine, and the same rows known then (:mod:`features.origin`). Codes of recorded codebooks
are translated: a category first seen later moves the codes of the others, not what they say. So a file is the
same, byte for byte, whether its dates were computed at once or one by one, and however often it was interrupted.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import SnapshotError, TableError
from features.measures.engine import Asked
from features.measures.frames import Texts
from features.measures.rows import floats
from features.origin import Origin, origin_of
from features.parquet import whole
from features.snapshot_file import CHURNED, LABELS_KEY, contract_of, vector_schema, vector_table
from features.snapshots import build_vectors, codes, numbered_ids
from features.vectors import FeatureContract

if TYPE_CHECKING:
    from features.sources import Database

Progress = Callable[[int, int], None]

ORIGIN_KEY = b"keepsight_origin"
PART_KEY = b"keepsight_part"
LOCK = "lock"
PAIRS_A_PART = 200_000
ROWS_A_GROUP = 100_000  # at most; a row group never holds two dates


@dataclass(frozen=True)
class Task:
    """What a file of snapshots is to hold.

    Attributes
    ----------
    database
        The tables that vectors may rest on.
    grid
        ``account_id`` and ``as_of`` of every snapshot, each pair once.
    contract
        The vector's columns, with the codebooks as known at the last date.
    labels
        Called with the rows of one date: what became of each, as the columns of `label_fields`.
    label_fields
        ``churned`` (null: no label), and what else is to be told.
    definition
        By which definition labels were made; the file carries it. None: not said.
    """

    database: Database
    grid: pa.Table
    contract: FeatureContract
    labels: Callable[[pa.Table], pa.Table]
    label_fields: tuple[pa.Field, ...] = (CHURNED,)
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a run has written.

    Attributes
    ----------
    rows, labelled, churned
        Snapshots in the file; those with a label; those of them that churned.
    computed
        Snapshots whose vectors this run computed; those of the others were there.
    """

    rows: int
    labelled: int
    churned: int
    computed: int


@dataclass(frozen=True)
class Listener:
    """Who is told how a run goes on.

    Attributes
    ----------
    stage
        Called with the name of each stage; what it returns is called with (done, in all).
    say
        Called with a sentence about what is used again, and what is not and why.
    """

    stage: Callable[[str], Progress] = lambda _: lambda _done, _total: None
    say: Callable[[str], None] = lambda _: None


NOBODY = Listener()


def write_in_parts(
    path: Path,
    task: Task,
    *,
    pairs_a_part: int = PAIRS_A_PART,
    fresh: bool = False,
    listener: Listener = NOBODY,
) -> Written:
    """Write a file of snapshots; go on where an interrupted run to the same file has ended.

    Beside the grid, one part and one date are in memory at a time.

    Parameters
    ----------
    path
        Replaced in one step at the end. Dates that it has and that are not asked for are left out.
    task
        What to write.
    pairs_a_part
        Snapshots computed and written at a time, about.
    fresh
        Use nothing of an older file or an interrupted run.
    listener
        Who is told how it goes on.

    Raises
    ------
    SnapshotError
        No snapshot is asked for, another run is writing the file, its place is taken by a folder, or a part was
        damaged after it was done.
    ContractMismatchError
        The contract was made for other definitions than the database's.
    OSError
        The folder cannot be written to. Parts that are done stay for the next run, after this and any other error.
    """
    if path.is_dir():
        raise SnapshotError(f"{path}: is a folder. Name a file, such as {path / 'snapshots.parquet'}.")
    if task.grid.num_rows == 0:
        raise SnapshotError(f"{path}: no snapshot is asked for. Name dates on which an account is in force.")
    with _alone(path) as folder:
        listener.stage("Comparing with what was known")
        task = replace(task, grid=task.grid.sort_by([("as_of", "ascending"), ("account_id", "ascending")]))
        run = _Run(path, folder, task, origin_of(task.database, task.grid), listener)
        old = None if fresh else run.older_file()
        missing = run.dates_without(old)
        parts = run.parts(missing, pairs_a_part)
        computed = run.compute(parts, set() if fresh else run.resumed(parts))
        return Written(*run.merge(old, parts), computed)


@dataclass(frozen=True)
class _Part:
    """The snapshots of one range of accounts."""

    number: int
    of: int
    dates: tuple[str, ...]
    grid: pa.Table

    @property
    def file_name(self) -> str:
        return f"part-{self.number + 1}-of-{self.of}.parquet"

    @property
    def said(self) -> str:
        """What its file says that it is."""
        return json.dumps({"number": self.number, "of": self.of, "dates": self.dates})


@dataclass(frozen=True)
class _File:
    """A finished file of snapshots, the output or a part, and what it says of itself."""

    path: Path
    contract: FeatureContract
    origin: Origin
    part: str | None

    @classmethod
    def read(cls, path: Path) -> _File | None:
        """Read what a file says of itself; None if it is damaged or was not written here."""
        try:
            schema = pq.read_schema(path)
            metadata = schema.metadata or {}
            origin = Origin.from_json(metadata[ORIGIN_KEY].decode())
            part = metadata[PART_KEY].decode() if PART_KEY in metadata else None
            return cls(path, contract_of(path, schema), origin, part)
        except (OSError, pa.ArrowException, TableError, KeyError, TypeError, ValueError):
            return None

    @property
    def dates(self) -> set[dt.datetime]:
        """The dates that it has."""
        return {dt.datetime.fromisoformat(date) for date in self.origin.known}

    def rows(self, date: dt.datetime, contract: FeatureContract) -> pa.Table:
        """Return a date's rows of vectors, with categories in the codes of `contract`."""
        schema = vector_schema(contract)
        with pq.ParquetFile(self.path) as file:
            place = schema.get_field_index("as_of")
            moments = [
                file.metadata.row_group(group).column(place).statistics.min for group in range(file.num_row_groups)
            ]
            groups = [group for group, moment in enumerate(moments) if moment == date]
            # Parquet has no seconds: they come back as milliseconds.
            return _translated(file.read_row_groups(groups, schema.names).cast(schema), self.contract, contract)


@dataclass(frozen=True)
class _Run:
    """One run to one file."""

    path: Path
    folder: Path
    task: Task
    origin: Origin
    listener: Listener

    @property
    def dates(self) -> list[dt.datetime]:
        """The dates asked for that have snapshots, in order."""
        return [dt.datetime.fromisoformat(date) for date in sorted(self.origin.known)]

    def older_file(self) -> _File | None:
        """Return the file that is there, if any of it may stay."""
        if not self.path.exists():
            return None
        old = _File.read(self.path)
        reason = "it does not say what it was computed from" if old is None else self._refused(old)
        if old is None or reason is not None:
            self.listener.say(f"Nothing is taken from the older {self.path.name}: {reason}.")
            return None
        return old

    def dates_without(self, old: _File | None) -> list[dt.datetime]:
        """Return the dates whose vectors must be computed, and say what becomes of those of the older file."""
        if old is None:
            return self.dates
        changed = {date: self.origin.changed(old.origin, date) for date in self.dates if date in old.dates}
        anew = [date for date, tables in changed.items() if tables]
        if dropped := old.dates - set(self.dates):
            self.listener.say(f"{_dates(len(dropped))} of the older {self.path.name} not asked for and left out.")
        if anew:
            tables = sorted({table for date in anew for table in changed[date]})
            self.listener.say(
                f"{_dates(len(anew))} of the older {self.path.name} computed anew, from {anew[0]:%Y-%m-%d} on: "
                f"what was known then has changed ({', '.join(tables)})."
            )
        self.listener.say(f"{_dates(len(changed) - len(anew))} of the older {self.path.name} taken as they are.")
        return [date for date in self.dates if changed.get(date, ["all"])]

    def parts(self, dates: Sequence[dt.datetime], pairs_a_part: int) -> list[_Part]:
        """Cut the snapshots of some dates into parts."""
        chosen = pc.is_in(self.task.grid["as_of"], pa.array(dates, pa.timestamp("s")))
        grid = self.task.grid.filter(chosen)
        ranges = max(1, -(-len(grid) // pairs_a_part))
        accounts, place = numbered_ids(grid["account_id"])
        part_of_row = place * ranges // max(len(accounts), 1)
        named = tuple(date.isoformat() for date in dates)
        return [
            _Part(number, ranges, named, grid.take(np.flatnonzero(part_of_row == number)))
            for number in np.unique(part_of_row).tolist()
        ]

    def resumed(self, parts: Sequence[_Part]) -> set[int]:
        """Return the numbers of the parts that an interrupted run has finished; say why others are not used."""
        by_name = {part.file_name: part for part in parts}
        done: set[int] = set()
        reasons: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            reason = self._unusable(path, by_name.get(path.name))
            if reason is None:
                done.add(by_name[path.name].number)
            else:
                reasons[path.name] = reason
        if reasons and parts:
            self.listener.say(
                f"{len(reasons)} of the parts that an interrupted run has left computed anew: "
                f"{'; '.join(sorted(set(reasons.values())))}."
            )
        if done:
            self.listener.say(f"Resumed: {len(done)} of {len(parts)} parts were done.")
        return done

    def compute(self, parts: Sequence[_Part], done: set[int]) -> int:
        """Compute and write the parts that are not done; return how many snapshots that were."""
        told, total = self.listener.stage("Computing vectors"), sum(len(part.grid) for part in parts)
        _remove_all_but(self.folder, {LOCK, *(part.file_name for part in parts if part.number in done)})
        finished = before = sum(len(part.grid) for part in parts if part.number in done)
        told(finished, total)
        database = self.task.database
        asked = Asked(database, database.sources.catalogue.definitions)
        for part in parts:
            if part.number not in done:
                self._compute(part, asked, partial(_told_further, told, finished, total))
                finished += len(part.grid)
        return finished - before

    def merge(self, old: _File | None, parts: Sequence[_Part]) -> tuple[int, int, int]:
        """Write the output from the older file and the parts, with labels; count rows, labels and churn."""
        told, contract = self.listener.stage("Merging"), self.task.contract
        computed = set(parts[0].dates) if parts else set()
        counts = np.zeros(3, dtype=np.int64)
        with whole(self.path, within=self.folder) as unfinished, _writer(unfinished, self._labelled()) as writer:
            for number, date in enumerate(self.dates, start=1):
                files = self._files(parts) if old is None or date.isoformat() in computed else [old]
                rows = pa.concat_tables([file.rows(date, contract) for file in files])
                rows = rows.sort_by("account_id")
                labels = self.task.labels(rows)
                for field in self.task.label_fields:
                    rows = rows.append_column(field, labels[field.name])
                churned = labels[CHURNED.name]
                counts += [len(rows), len(rows) - churned.null_count, pc.sum(churned).as_py() or 0]
                _append(writer, rows)
                told(number, len(self.dates))
        in_all, labelled, of_them_churned = counts.tolist()
        return in_all, labelled, of_them_churned

    def _labelled(self) -> pa.Schema:
        """Return the columns of the output, labels and all."""
        definition = self.task.definition
        schema = self._schema({} if definition is None else {LABELS_KEY: definition.encode()})
        return pa.schema([*schema, *self.task.label_fields], schema.metadata)

    def _compute(self, part: _Part, asked: Asked, progress: Progress) -> None:
        database, contract = self.task.database, self.task.contract
        vectors = build_vectors(database, database.sources.catalogue, contract, part.grid, progress, asked)
        table, schema = vector_table(vectors), self._schema({PART_KEY: part.said.encode()})
        with whole(self.folder / part.file_name) as unfinished, _writer(unfinished, schema) as writer:
            for date in pc.unique(table["as_of"]):
                _append(writer, table.filter(pc.equal(table["as_of"], date)))

    def _files(self, parts: Sequence[_Part]) -> Iterator[_File]:
        for part in parts:
            file = _File.read(self.folder / part.file_name)
            if file is None:
                raise SnapshotError(
                    f"{self.folder / part.file_name}: was finished and is damaged now. Remove it and start again."
                )
            yield file

    def _schema(self, said: Mapping[bytes, bytes] = MappingProxyType({})) -> pa.Schema:
        schema = vector_schema(self.task.contract)
        return schema.with_metadata({**schema.metadata, ORIGIN_KEY: self.origin.to_json().encode(), **said})

    def _refused(self, file: _File) -> str | None:
        """Say why nothing of a file may be used, or None."""
        ours, theirs = (_without_codebooks(contract) for contract in (self.task.contract, file.contract))
        if ours != theirs:
            return "the definitions have changed"
        return self.origin.refuses(file.origin)

    def _unusable(self, path: Path, part: _Part | None) -> str | None:
        """Say why a part that an interrupted run has left may not be used, or None."""
        file = _File.read(path)
        if file is None:
            return "damaged"
        if reason := self._refused(file):
            return reason
        if part is None or file.part != part.said:
            return "cut for other dates or another part size"
        dates = map(dt.datetime.fromisoformat, part.dates)
        tables = sorted({table for date in dates for table in self.origin.changed(file.origin, date)})
        return f"what was known has changed ({', '.join(tables)})" if tables else None


def _told_further(told: Progress, before: int, total: int, done: int, _of_this_part: int) -> None:
    told(before + done, total)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd")


def _append(writer: pq.ParquetWriter, table: pa.Table) -> None:
    """Write the rows of one date as row groups of their own."""
    # In one chunk: how the rows came together must not show in the bytes.
    writer.write_table(table.combine_chunks(), row_group_size=ROWS_A_GROUP)


def _without_codebooks(contract: FeatureContract) -> FeatureContract:
    """Return the contract with no codebooks; those declared are in the definitions' fingerprint all the same."""
    return replace(contract, columns=tuple(replace(column, codebook=()) for column in contract.columns))


def _translated(table: pa.Table, theirs: FeatureContract, ours: FeatureContract) -> pa.Table:
    """Return rows of vectors with each category in our codes.

    Every category of a kept row was known at its date, so both codebooks have it: nothing is lost.
    """
    for old, new in zip(theirs.columns, ours.columns, strict=True):
        if old.codebook == new.codebook:
            continue
        texts = Texts(np.nan_to_num(floats(table[new.name]), nan=-1.0).astype(np.int64), old.codebook)
        values = codes(texts, new.codebook)
        place = table.schema.get_field_index(new.name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, pa.float64()))
    return table


@contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """Hold the working folder of an output against other runs; remove it if the run ends well."""
    folder = path.with_name(f"{path.name}.parts")
    lock = _locked(folder, path)
    try:
        yield folder
        _remove_all_but(folder, {LOCK})
    finally:
        (folder / LOCK).unlink()  # last, and still held: until then no other run begins
        with contextlib.suppress(OSError):  # an interrupted run's parts, or the next run's lock, are there
            folder.rmdir()
        lock.close()


def _locked(folder: Path, path: Path) -> IO[str]:
    """Return the lock file of a working folder, held by this process and by no other."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another run ended, and removed it, just now
            lock = (folder / LOCK).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise SnapshotError(
                    f"{path}: another run is writing this file. Wait until it has ended, or name another file."
                ) from None
            if _is_at(lock, folder / LOCK):
                return lock
            lock.close()


def _is_at(file: IO[str], path: Path) -> bool:
    """Return whether an open file is still the one at `path`."""
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def _remove_all_but(folder: Path, kept: Collection[str]) -> None:
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


def _dates(number: int) -> str:
    return "1 date" if number == 1 else f"{number} dates"
