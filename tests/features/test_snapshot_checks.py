"""A snapshot file whose rows cannot be is refused in a sentence; nothing broken reaches a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.catalogue import load_catalogue
from features.errors import TableError
from features.snapshot_file import read_snapshots, vector_table, with_churned
from features.vectors import Vectors, feature_contract

ROWS = 6


@pytest.fixture(scope="module")
def sound() -> pa.Table:
    contract = feature_contract(load_catalogue(), {"plan": ("basic", "pro")})
    values = np.ones((ROWS, len(contract.columns)))
    values[:, [contract.position[name] for name in ("industry", "region")]] = np.nan
    letters = np.where(np.isnan(values), "g", ".")
    ids = np.array([f"a{row // 2}" for row in range(ROWS)], dtype=object)
    dates = np.array(["2025-01-01", "2025-02-01"] * (ROWS // 2), dtype="datetime64[s]")
    vectors = Vectors(contract, ids, dates, values, letters)
    return with_churned(vector_table(vectors), np.array([0.0, 1.0, 0.0, 0.0, np.nan, 0.0]))


def put(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def changed(name: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value
        return put(table, name, pa.array(values))

    return change


def as_type(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda table: put(table, name, pc.cast(table[name], kind))


def test_a_sound_file_is_read(sound: pa.Table, tmp_path: Path) -> None:
    pq.write_table(sound, tmp_path / "s.parquet")
    vectors, churned = read_snapshots(tmp_path / "s.parquet")
    assert len(vectors) == ROWS
    assert np.nansum(churned) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["churned"]), "has no column churned"),
        (lambda table: table.drop_columns(["usage_trend"]), "has no column usage_trend"),
        (as_type("usage_trend", pa.string()), "usage_trend is string"),
        (as_type("as_of", pa.string()), "as_of is string"),
        (changed("as_of", 2, None), "as_of is missing in 1 rows"),
        (changed("account_id", 0, None), "account_id is missing in 1 rows"),
        (lambda table: pa.concat_tables([table, table]), "a second time in 6 rows, of account a0 first"),
        (
            lambda table: put(table, "churned", pa.array([0.0, 2, 0, 0, None, 0])),
            "neither true nor false in 1 rows",
        ),
        (changed("usage_trend", 3, float("inf")), "usage_trend is infinite in 1 rows, of account a1"),
        (changed("plan", 5, 1e9), "plan has no such category in 1 rows, of account a2"),
        (changed("plan", 5, 0.5), "plan has no such category"),
        (changed("stage", 5, -1.0), "stage has no such category"),
        (changed("unknown", 1, "."), "unknown has not"),
        (lambda table: put(table, "unknown", pc.replace_substring(table["unknown"], "g", "?")), "the letter '?'"),
    ],
)
def test_what_cannot_be_is_named_with_the_remedy(
    sound: pa.Table, tmp_path: Path, change: Callable[[pa.Table], pa.Table], said: str
) -> None:
    pq.write_table(change(sound), tmp_path / "s.parquet")
    with pytest.raises(TableError, match=r"Write the file again with `keepsight snapshot`") as refused:
        read_snapshots(tmp_path / "s.parquet")
    assert said in str(refused.value)
