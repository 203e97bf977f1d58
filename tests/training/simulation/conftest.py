from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.snapshots import accounts_in_force, build_vectors, month_starts, recorded_codebooks
from features.sources import load_sources, open_database
from features.vectors import Vectors, feature_contract
from training.labels import LabelRule, label
from training.simulation import simulate

HORIZON = dt.timedelta(days=90)
END = dt.datetime(2025, 7, 1)
FINAL_BLOCK = [start for start in month_starts(dt.date(2024, 1, 1), END.date()) if start + HORIZON <= END][-6:]


@dataclass(frozen=True)
class Block:
    """The final block: vectors, and for each of their rows the label (NaN: none) and the truth (NaN: none)."""

    vectors: Vectors
    churned: np.ndarray
    truth: np.ndarray

    @property
    def judged(self) -> np.ndarray:
        return ~np.isnan(self.churned) & ~np.isnan(self.truth)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company of about 150 accounts over 30 months."""
    folder = tmp_path_factory.mktemp("small")
    simulate(folder, 150, 30, 7)
    return folder


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A company of about 2,000 accounts of a seed, made once."""
    made: dict[int, Path] = {}

    def make(seed: int) -> Path:
        if seed not in made:
            made[seed] = tmp_path_factory.mktemp(f"seed_{seed}")
            simulate(made[seed], 2000, 30, seed)
        return made[seed]

    return make


@pytest.fixture(scope="session")
def final_block(company: Callable[[int], Path]) -> Callable[[int], Block]:
    """The final block of a company, computed once."""
    blocks: dict[int, Block] = {}

    def block(seed: int) -> Block:
        if seed not in blocks:
            blocks[seed] = _block(company(seed))
        return blocks[seed]

    return block


def _block(folder: Path) -> Block:
    sources = load_sources(folder / "sources.toml")
    with open_database(sources) as database:
        grid = accounts_in_force(database, sources.catalogue, FINAL_BLOCK)
        codebooks = recorded_codebooks(database, sources.catalogue, FINAL_BLOCK[0])
        contract = feature_contract(sources.catalogue, codebooks)
        churned = label(database, grid, LabelRule(horizon_days=90)).churned
        vectors = build_vectors(database, sources.catalogue, contract, grid)
    return Block(vectors, churned, truth_of(folder, grid))


def truth_of(folder: Path, grid: pa.Table) -> np.ndarray:
    truth = pq.read_table(folder / "truth.parquet").to_pydict()
    known = {
        (account, moment): chance
        for account, moment, chance in zip(
            truth["account_id"], truth["as_of"], truth["true_probability"], strict=True
        )
    }
    pairs = zip(grid["account_id"].to_pylist(), grid["as_of"].to_pylist(), strict=True)
    return np.array([known.get(pair, np.nan) for pair in pairs])
