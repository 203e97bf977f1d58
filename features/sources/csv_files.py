"""CSV files looked at line by line: what separates their columns, and which line cannot be read, and why."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# DuckDB reads no longer line.
LONGEST_LINE = 2_000_000
_SEPARATORS = ",;\t|"
_QUOTED = re.compile(rb'"[^"]*"')


@dataclass(frozen=True, slots=True)
class CsvFault:
    """The first line of a file that cannot be read: what is wrong with it, and what to do."""

    sentence: str
    remedy: str


def is_csv(path: str) -> bool:
    """Return whether a file of this name is read as CSV.

    >>> is_csv("usage/*.csv.gz"), is_csv("usage.parquet")
    (True, False)
    """
    return Path(path.removesuffix(".gz").removesuffix(".zst")).suffix.lower() in (".csv", ".tsv", ".txt")


def separator(header: bytes) -> str:
    r"""Return what separates columns: the one of ``, ; tab |`` that the header has most of, outside quotes.

    Told from the header alone: a line further down that is too long or too short must not change it.

    >>> separator(b'account_id;"name, first";nps')
    ';'
    >>> separator(b"account_id")
    ','
    """
    bare = _QUOTED.sub(b"", header).decode("utf-8", "replace")
    return max(_SEPARATORS, key=bare.count)


def header_of(path: Path) -> bytes:
    """Return a file's first line; nothing if it cannot be read here (as ``.zst``)."""
    if path.suffix == ".zst":
        return b""
    try:
        return next(_records(path)).text
    except (OSError, EOFError, StopIteration):
        return b""


def first_fault(paths: Iterable[Path]) -> CsvFault | None:
    """Return what is wrong with the first line that cannot be read, if that can be told.

    Parameters
    ----------
    paths
        The files of one table. Their lines are read one after the other: ask only once reading has failed.
    """
    return next((fault for path in paths if (fault := _fault_of(path)) is not None), None)


@dataclass(frozen=True, slots=True)
class _Record:
    """One row as written: the number of its first line, its bytes and how it ends."""

    line: int
    text: bytes
    end: bytes


def _records(path: Path) -> Iterator[_Record]:
    """Yield a file's rows; one whose quotes are open goes on in the next line."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        text, first = b"", 1
        for number, line in enumerate(lines, start=1):
            text += line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.count(b'"') % 2 and len(text) <= LONGEST_LINE:
                continue
            bare = text.rstrip(b"\r\n")
            yield _Record(first, bare, text[len(bare) :])
            text, first = b"", number + 1
        if text:
            yield _Record(first, text.rstrip(b"\r\n"), b"")


def _fault_of(path: Path) -> CsvFault | None:
    if path.suffix == ".zst":
        return None
    try:
        header: _Record | None = None
        for record in _records(path):
            header = header or record
            if (fault := _fault_in(path.name, record, header)) is not None:
                return fault
        if header is None:
            return CsvFault(f"{path.name} is empty.", "Deliver it again, with its header at least.")
    except (OSError, EOFError) as error:
        return CsvFault(f"{path.name} cannot be unpacked: {error}.", "Deliver the file again, whole.")
    return None


def _fault_in(name: str, record: _Record, header: _Record) -> CsvFault | None:
    """Look at one row: its length, its characters, its quotes, its columns, its end."""
    place = f"{name}, line {record.line:,}"
    if len(record.text) > LONGEST_LINE:
        sentence = f"{place}: is longer than {LONGEST_LINE:,} bytes, or opens a quote that nothing closes."
        return CsvFault(sentence, "Close the quote, shorten the text, or deliver Parquet.")
    try:
        text = record.text.decode("utf-8")
    except UnicodeDecodeError as error:
        sentence = f"{place}: is not UTF-8 text (byte 0x{record.text[error.start]:02X})."
        return CsvFault(sentence, "Write it as UTF-8, or read it in a query: read_csv('…', encoding = 'latin-1').")
    if b"\r" in _QUOTED.sub(b"", record.text) or record.end not in (header.end, b""):
        sentence = f"{place}: lines end in different ways, as where files of Windows and of Unix were joined."
        return CsvFault(sentence, "Write the whole file with one kind of line end.")
    return _fault_in_columns(place, text, header)


def _fault_in_columns(place: str, text: str, header: _Record) -> CsvFault | None:
    between = separator(header.text)
    try:
        (names,) = csv.reader([header.text.decode("utf-8")], delimiter=between, strict=True)
        values = next(csv.reader([text], delimiter=between, strict=True), [])
    except (csv.Error, ValueError):
        return CsvFault(f"{place}: its quotes do not match.", 'Write a quote within quotes twice: "6"" screen".')
    found = f"{len(values)} column{'' if len(values) == 1 else 's'}"
    beyond = [value for value in values[len(names) :] if value]  # a comma at the end does no harm
    if not text.strip() or (len(values) >= len(names) and not beyond):
        return None
    sentence = f"{place}: has {found}, where the header has {len(names)}."
    return CsvFault(sentence, "Quote texts that hold the separator; take out lines that are no rows (title, sum).")
