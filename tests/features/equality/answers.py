"""What the engine and the oracle say of a sample, and where two answers differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from features.catalogue import Catalogue, load_catalogue
from features.measures import fetching
from features.readings import Unknown
from features.snapshots import build_vectors, recorded_codebooks
from features.sources import Database, Sources, load_sources, open_database
from features.vectors import FeatureContract, Vectors, feature_contract
from tests.features.equality.samples import Pair, Sample
from tests.features.measures.test_engine_equals_oracle import equal, oracle_row
from tests.oracle.answer import Oracle
from tests.oracle.engine import grid_table
from tests.oracle.written import write_company

ONE_BY_ONE, CONDENSED = "rows one by one", "rows condensed"
WAYS = {ONE_BY_ONE: 10**9, CONDENSED: -1}
# Sums of floats may be added up in another order; all else is exact.
SUMS_OF_FLOATS = ("arr", "usage_trend", "licence_change")


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@dataclass(frozen=True)
class Written:
    """A sample as files, on an engine, with the contract that all vectors of it share."""

    sample: Sample
    sources: Sources
    contract: FeatureContract

    @property
    def database(self) -> Database:
        """All its tables; to be closed."""
        return open_database(self.sources)

    def vectors(self, database: Database, pairs: Sequence[Pair], way: str = ONE_BY_ONE) -> Vectors:
        """Read so many pairs, the rows one by one or condensed."""
        with read_by(way):
            return build_vectors(database, self.sources.catalogue, self.contract, grid_table(pairs))


def written(sample: Sample, folder: Path, connection: str = "", suffix: str = ".csv") -> Written:
    """Write a sample's company to files of a new folder, with what `connection` says of the engine.

    The codes of categories are those of all that was ever known: what is recorded later shall not show in them.
    """
    folder.mkdir(parents=True)
    sources = load_sources(write_company(sample.company, folder, connection, suffix))
    with open_database(sources) as database:
        codebooks = recorded_codebooks(database, sources.catalogue, max(sample.dates))
    return Written(sample, sources, feature_contract(sources.catalogue, codebooks))


@contextmanager
def read_by(way: str) -> Iterator[None]:
    """Have the engine look at rows one by one, or condense them first, however few there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "ROWS_WORTH_CONDENSING", WAYS[way])
        yield


@dataclass
class Tally:
    """How many pairs were compared, and on which readings the two answers differ."""

    what: str
    pairs: int = 0
    readings: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, ours: Vectors, differences: Iterable[str]) -> None:
        self.pairs += len(ours)
        self.readings += ours.values.size
        self.differences += differences

    def tell(self) -> None:
        """Print the figures; `pytest -s` shows them."""
        print(
            f"\n{self.what}: {self.pairs:,} pairs, {self.readings:,} readings, "
            f"{len(self.differences):,} mismatches",
            flush=True,
        )


def differing(ours: Vectors, theirs: Vectors, *, but: Collection[str] = ()) -> list[str]:
    """One line for each reading on which two vectors differ: sums of floats by more than 1e-9, all else at all.

    `but` names columns that may differ.
    """
    assert ours.contract == theirs.contract
    assert list(ours.account_ids) == list(theirs.account_ids)
    assert np.array_equal(ours.as_of, theirs.as_of)
    tolerance = np.array([1e-9 if name in SUMS_OF_FLOATS else 0.0 for name in ours.contract.names])
    same = np.isclose(ours.values, theirs.values, rtol=tolerance, atol=0.0, equal_nan=True)
    places = zip(*np.nonzero(~same | (ours.unknown != theirs.unknown)), strict=True)
    return [
        f"{ours.contract.names[column]} of {ours.account_ids[row]} at {ours.as_of[row]}: "
        f"{ours.values[row, column]} {ours.unknown[row, column]} and "
        f"{theirs.values[row, column]} {theirs.unknown[row, column]}"
        for row, column in places
        if ours.contract.names[column] not in but
    ]


def oracle_answers(sample: Sample, contract: FeatureContract) -> list[list[float | Unknown]]:
    """What the oracle says of each pair, in the order and codes of the contract."""
    oracle = Oracle(sample.company, catalogue())
    return [oracle_row(oracle.ask(*pair), contract) for pair in sample.pairs]


def unlike_the_oracle(vectors: Vectors, answers: Sequence[Sequence[float | Unknown]]) -> list[str]:
    """One line for each reading that is not the oracle's."""
    found = []
    for row, answer in enumerate(answers):
        for column, expected in zip(vectors.contract.columns, answer, strict=True):
            read = vectors.reading(row, column.name)
            if not equal(expected, read):
                pair = f"{vectors.account_ids[row]} at {vectors.as_of[row]}"
                found.append(f"{column.name} of {pair}: oracle {expected}, engine {read}")
    return found
