"""What is asked of the files of a table: columns that nearly have the right name, files that differ."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from features.sources import sql
from features.sources.contract import RECORDED_AT
from features.sources.csv_files import header_of, is_csv, separator
from features.sources.delivery import Delivered, files_of
from features.sources.problems import Problem, kinds
from features.sources.session import Session

_ALIKE = 0.85


def file_problems(session: Session, delivered: Delivered, folder: Path) -> Iterator[Problem]:
    """Yield columns of nearly the right name, columns that are there twice, and files that differ.

    Parameters
    ----------
    session
        Where the files are read.
    delivered
        The table.
    folder
        Where relative paths begin.
    """
    for sentence in delivered.repeated():
        yield kinds()["S114"].found(delivered.table, sentence)
    for column, raw in near_misses(delivered).items():
        sentence = f'{delivered.table} has no {column}, but "{raw}", which nothing reads.'
        yield kinds()["S116"].found(delivered.table, sentence)
    files = files_of(folder, delivered.source)
    if len(files) > 1:
        yield from _differing_files(delivered, {file: _columns(session, file) for file in files})


def near_misses(delivered: Delivered) -> dict[str, str]:
    """Return the columns that are missing where one that nothing reads has nearly the same name."""
    read = {*delivered.raw_name.values()}
    unread = {_bare(raw): raw for raw in delivered.raw_types if raw not in read}
    wanted = [c for c in [*delivered.contract.columns, RECORDED_AT] if c not in delivered.raw_name]
    close = {c: difflib.get_close_matches(_bare(c), unread, n=1, cutoff=_ALIKE) for c in wanted}
    return {column: unread[found[0]] for column, found in close.items() if found}


def _bare(name: str) -> str:
    """``recordedAt``, ``Recorded At`` and ``recorded_at`` are the same."""
    return re.sub(r"[\W_]", "", name).casefold()


def _columns(session: Session, file: Path) -> dict[str, str]:
    """Return the columns of one file with their types."""
    if is_csv(file.name):
        header = header_of(file)
        names = next(csv.reader([header.decode("utf-8", "replace")], delimiter=separator(header)), [])
        return dict.fromkeys((name.casefold() for name in names), "VARCHAR")
    rows = session.rows(f"DESCRIBE SELECT * FROM read_parquet({sql.text(str(file))})")
    return {row[0].casefold(): row[1] for row in rows}


def _differing_files(delivered: Delivered, columns_of: Mapping[Path, Mapping[str, str]]) -> Iterator[Problem]:
    for column, raw in delivered.raw_name.items():
        types = {file: columns.get(raw.casefold()) for file, columns in columns_of.items()}
        lacking = [file.name for file, kind in types.items() if kind is None]
        if lacking:
            sentence = f"{len(lacking)} of {len(types)} files of {delivered.table} have no {raw} (for {column})."
            yield kinds()["S115"].found(delivered.table, sentence, sample=lacking[:3])
        texts = [file.name for file, kind in types.items() if kind is not None and sql.is_text(kind)]
        if 0 < len(texts) < len(types) - len(lacking):
            sentence = f"{raw} is text in {len(texts)} of {len(types)} files of {delivered.table} alone."
            yield kinds()["S115"].found(delivered.table, sentence, sample=texts[:3])
