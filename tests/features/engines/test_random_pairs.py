"""Random pairs of account and date: PostgreSQL and Spark say what DuckDB says, rows one by one and condensed.

`pytest -n0 -s -m slow` on this file prints the figures of ten thousand pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.features.engines.equality import SPARK_LEAVES_SOCKETS
from tests.features.equality.answers import WAYS, Tally, Written, differing, written
from tests.features.equality.mutants import mutated
from tests.features.equality.samples import FEW, MANY, Sample, sample, samples

pytestmark = SPARK_LEAVES_SOCKETS
# Each table and time of day costs Spark some seconds, however many pairs there are.
MANY_ON_SPARK = {"pairs": 10_000, "of": 2, "accounts": 250}


@pytest.mark.parametrize(
    ("engine", "drawn"),
    [
        pytest.param("postgresql", FEW, id="postgresql, few"),
        pytest.param("postgresql", MANY, id="postgresql, ten thousand", marks=pytest.mark.slow),
        pytest.param("spark", MANY_ON_SPARK, id="spark, ten thousand", marks=pytest.mark.slow),
    ],
)
def test_an_engine_gives_the_vectors_of_duckdb(
    engine: str, drawn: dict[str, int], tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    tallies = {way: Tally(f"{engine} = duckdb, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        compared(one, tmp_path / str(place), connection_of(engine), tallies)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


def compared(one: Sample, folder: Path, connection: str, tallies: dict[str, Tally]) -> None:
    theirs = written(one, folder / "theirs")
    ours = Written(one, written(one, folder / "ours", connection).sources, theirs.contract)
    with theirs.database as of_theirs, ours.database as of_ours:
        for way, tally in tallies.items():
            vectors = ours.vectors(of_ours, one.pairs, way)
            tally.add(vectors, differing(vectors, theirs.vectors(of_theirs, one.pairs, way)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mutant", ["an engine reads times in local time", "windows are a day longer"])
def test_an_engine_with_one_rule_broken_is_told(
    mutant: str, way: str, tmp_path: Path, connection_of: Callable[[str], str]
) -> None:
    one = sample("everything connected", 60, seed=100, accounts=30, dates=3)
    theirs = written(one, tmp_path / "theirs")
    ours = Written(one, written(one, tmp_path / "ours", connection_of("postgresql")).sources, theirs.contract)
    with theirs.database as of_theirs, ours.database as of_ours:
        honest = theirs.vectors(of_theirs, one.pairs, way)
        with mutated(mutant):
            broken = ours.vectors(of_ours, one.pairs, way)
    assert len(differing(broken, honest)) >= 5
