"""Snapshots as a Parquet file: ids, the vector's columns, why each is unknown, and what became of the account.

Such files are written by :mod:`features.snapshot_store`, in parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import TableError
from features.measures.rows import floats
from features.snapshot_checks import refuse_broken_rows, refuse_other_columns
from features.vectors import FeatureContract, Floats, Vectors

CONTRACT_KEY = b"keepsight_contract"
LABELS_KEY = b"keepsight_labels"
CHURNED = pa.field("churned", pa.bool_())
KIND = pa.field("label_kind", pa.string())


def vector_schema(contract: FeatureContract) -> pa.Schema:
    """Return the columns of vectors in a file: ids, those of the contract, ``unknown`` (a letter a column)."""
    return pa.schema(
        [
            ("account_id", pa.string()),
            ("as_of", pa.timestamp("s")),
            *((name, pa.float64()) for name in contract.names),
            ("unknown", pa.string()),
        ],
        {CONTRACT_KEY: contract.to_json().encode()},
    )


def vector_table(vectors: Vectors) -> pa.Table:
    """Return vectors as rows of a file, in their order; of no vectors, the columns without a row.

    Examples
    --------
    >>> from features.vectors import Column, Role
    >>> contract = FeatureContract((Column("nps_score", Role.SIGNAL, "number", "nps"),), "0123456789abcdef")
    >>> ids, dates = np.array(["acme"], dtype=object), np.array(["2025-07-01"], "M8[s]")
    >>> one = Vectors(contract, ids, dates, np.array([[np.nan]]), np.array([["d"]]))
    >>> with_churned(vector_table(one), np.array([1.0])).drop_columns(["as_of"]).to_pylist()
    [{'account_id': 'acme', 'nps_score': nan, 'unknown': 'd', 'churned': True}]
    """
    values = (vectors.values[:, place] for place in range(len(vectors.contract.columns)))
    columns = [vectors.account_ids, vectors.as_of, *values, _joined(vectors.unknown)]
    schema = vector_schema(vectors.contract)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def label_columns(churned: Floats, kind: npt.NDArray[np.str_]) -> pa.Table:
    """Return labels as the columns ``churned`` and ``label_kind``; NaN and the empty text are null.

    >>> label_columns(np.array([1.0, np.nan]), np.array(["lapse", ""])).to_pylist()
    [{'churned': True, 'label_kind': 'lapse'}, {'churned': None, 'label_kind': None}]
    """
    columns = [_answers(churned), pa.array(kind.astype(object), KIND.type, mask=kind == "")]
    return pa.table(columns, schema=pa.schema([CHURNED, KIND]))


def with_churned(table: pa.Table, churned: Floats) -> pa.Table:
    """Return the rows with ``churned``, shape (n,): 1, 0, or NaN (null in the file) where censored or not at risk.

    Raises
    ------
    pyarrow.ArrowInvalid
        As many labels as rows are asked for.
    """
    return table.append_column(CHURNED, _answers(churned))


def _answers(churned: Floats) -> pa.Array:
    return pa.array(churned == 1, CHURNED.type, mask=np.isnan(churned))


def read_snapshots(path: Path) -> tuple[Vectors, Floats]:
    """Read a file of snapshots: the vectors, in the file's order, and ``churned`` (NaN where null).

    Raises
    ------
    TableError
        No such file, not a snapshot file, or its rows cannot be (:mod:`features.snapshot_checks`).
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    contract = contract_of(path, table.schema)
    refuse_other_columns(path, table, contract)
    values = np.column_stack([floats(table[name]) for name in contract.names])
    refuse_broken_rows(path, table, contract, values)
    vectors = Vectors(
        contract,
        np.array(table["account_id"].to_pylist(), dtype=object),
        table["as_of"].to_numpy().astype("datetime64[s]"),
        values,
        _letters(table["unknown"].to_pylist(), len(contract.columns)),
    )
    return vectors, floats(table["churned"])


def read_labels(path: Path) -> tuple[str | None, npt.NDArray[np.str_] | None]:
    """Read what a file of snapshots says of its labels.

    Returns
    -------
    tuple
        By which definition they were made, as written by :attr:`~features.snapshot_store.Task.definition`, and the
        kind of what happened, in the file's order, empty where null; each None where the file does not say.

    Raises
    ------
    TableError
        No such file, or not a Parquet file.
    """
    try:
        schema = pq.read_schema(path)
        kind = pq.read_table(path, columns=[KIND.name])[KIND.name] if KIND.name in schema.names else None
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    said = (schema.metadata or {}).get(LABELS_KEY)
    kinds = None if kind is None else np.array(kind.fill_null("").to_pylist(), dtype=np.str_)
    return None if said is None else said.decode(), kinds


def _unreadable(path: Path, error: Exception) -> TableError:
    return TableError(f"{path}: cannot be read as Parquet ({error}). Write it with `keepsight snapshot`.")


def contract_of(path: Path, schema: pa.Schema) -> FeatureContract:
    """Return the contract that a file of snapshots carries.

    Raises
    ------
    TableError
        The file at `path` carries none, or one that cannot be read.
    """
    metadata = schema.metadata or {}
    if CONTRACT_KEY not in metadata:
        raise TableError(f"{path}: not a snapshot file. Write it with `keepsight snapshot --out {path.name}`.")
    try:
        return FeatureContract.from_json(metadata[CONTRACT_KEY].decode())
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path}: its contract cannot be read ({error}). Write the file again.") from error


def _joined(letters: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Return each row's letters as one text."""
    width = letters.shape[1]
    return np.ascontiguousarray(letters, dtype="<U1").view(f"<U{width}").reshape(len(letters))


def _letters(texts: Sequence[str], width: int) -> npt.NDArray[np.str_]:
    """Return each text's letters as a row."""
    return np.array(texts, dtype=f"<U{width}").view("<U1").reshape(len(texts), width)
