"""What the rows of a snapshot file must be: it may come from anywhere, and a model is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import TableError
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import FeatureContract, Floats

KEYS = ("account_id", "as_of")
LETTERS = frozenset((KNOWN_LETTER, *(reason.letter for reason in UnknownReason)))


def refuse_other_columns(path: Path, table: pa.Table, contract: FeatureContract) -> None:
    """Raise unless every column is there, of the kind that is written.

    Raises
    ------
    TableError
        A column is not there, or holds something else; the first is named.
    """
    wanted = dict.fromkeys((*KEYS, "unknown", "churned", *contract.names))
    if missing := [name for name in wanted if name not in table.column_names]:
        raise _broken(path, f"has no column {missing[0]}")
    for name in wanted:
        kind = table.schema.field(name).type
        if name in ("account_id", "unknown"):
            right = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        elif name == "as_of":
            right = pa.types.is_timestamp(kind)
        else:
            right = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not right:
            raise _broken(path, f"{name} is {kind}")
    for name in (*KEYS, "unknown"):
        if nulls := table[name].null_count:
            raise _broken(path, f"{name} is missing in {nulls} rows")


def refuse_broken_rows(path: Path, table: pa.Table, contract: FeatureContract, values: Floats) -> None:
    """Raise unless every row is of one account and date, with values and labels that can be.

    Parameters
    ----------
    path
        For the message.
    table
        With all columns.
    contract
        Of the file.
    values
        Shape (n, columns): its vectors.

    Raises
    ------
    TableError
        How many rows are at fault, and the account of the first.
    """
    accounts = table["account_id"]

    def refuse(broken: npt.NDArray[np.bool_], what: str) -> None:
        if broken.any():
            first = accounts[int(np.argmax(broken))].as_py()
            raise _broken(path, f"{what} in {int(broken.sum())} rows, of account {first} first")

    codes = accounts.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    dates = table["as_of"].cast(pa.timestamp("s")).to_numpy().astype(np.int64)
    order = np.lexsort((dates, codes))
    again = np.zeros(len(order), dtype=bool)
    again[order[1:]] = (np.diff(codes[order]) == 0) & (np.diff(dates[order]) == 0)
    refuse(again, "account and date are there a second time")
    churned = table["churned"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    refuse(~(np.isnan(churned) | (churned == 0.0) | (churned == 1.0)), "churned is neither true nor false")
    for place, column in enumerate(contract.columns):
        value = values[:, place]
        refuse(np.isinf(value), f"{column.name} is infinite")
        if column.kind == "category":
            known = np.nan_to_num(value)
            outside = (known < 0) | (known >= max(len(column.codebook), 1)) | (known != np.floor(known))
            refuse(outside, f"{column.name} has no such category")
    texts = table["unknown"].combine_chunks()
    wrong = pc.not_equal(pc.utf8_length(texts), len(contract.columns)).to_numpy(zero_copy_only=False)
    refuse(wrong, f"unknown has not {len(contract.columns)} letters")
    distinct = {letter for text in pc.unique(texts).to_pylist() for letter in text}
    if other := sorted(distinct - LETTERS):
        raise _broken(path, f"unknown has the letter {other[0]!r}, which stands for no reason")


def _broken(path: Path, what: str) -> TableError:
    return TableError(f"{path}: {what}. Write the file again with `keepsight snapshot`.")
