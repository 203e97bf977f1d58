"""Random pairs of account and date: one pair alone says what it says among all others, in any order and company.

`pytest -n0 -s -m slow` on this file prints the figures of ten thousand pairs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.sources.dictionaries import Dictionary
from features.sources.spool import Spool
from tests.features.equality.answers import ONE_BY_ONE, WAYS, Tally, Written, differing, written
from tests.features.equality.mutants import mutated
from tests.features.equality.samples import few_and_many, sample, samples


@few_and_many
def test_a_pair_alone_gives_the_vector_that_it_has_among_all_others(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"single = batch, the batch's {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        one_by_one(written(one, tmp_path / str(place)), tallies)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


@few_and_many
def test_parts_of_a_few_pairs_in_any_order_give_the_vectors_of_the_whole(
    drawn: dict[str, int], tmp_path: Path
) -> None:
    tallies = {way: Tally(f"parts = batch, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        in_parts(written(one, tmp_path / str(place)), tallies, random.Random(place))
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


@few_and_many
def test_tables_in_files_give_the_vectors_of_tables_in_memory(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"in files = in memory, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        in_files(written(one, tmp_path / str(place)), tallies)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


@few_and_many
def test_texts_read_as_codes_give_the_vectors_of_texts(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"in codes = in texts, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        in_codes(written(one, tmp_path / str(place), suffix=".parquet"), tallies, laid_out=place % 2 == 1)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []
        assert tally.pairs == drawn["pairs"]


@few_and_many
def test_passes_of_some_accounts_each_give_the_vectors_of_one_pass(drawn: dict[str, int], tmp_path: Path) -> None:
    tallies = {way: Tally(f"passes = one pass, {way}") for way in WAYS}
    for place, one in enumerate(samples(**drawn)):
        in_passes(written(one, tmp_path / str(place)), tallies)
    for tally in tallies.values():
        tally.tell()
        assert tally.differences == []


def one_by_one(one: Written, tallies: dict[str, Tally]) -> None:
    pairs = one.sample.pairs
    with one.database as database:
        of_all = {way: one.vectors(database, pairs, way) for way in tallies}
        for place, pair in enumerate(pairs):
            alone = one.vectors(database, [pair])
            for way, tally in tallies.items():
                tally.add(alone, differing(alone, of_all[way].take([place])))


def in_parts(one: Written, tallies: dict[str, Tally], rng: random.Random) -> None:
    pairs = one.sample.pairs
    with one.database as database:
        for way, tally in tallies.items():
            of_all = one.vectors(database, pairs, way)
            for chosen in parts(rng.sample(range(len(pairs)), len(pairs)), rng):
                part = one.vectors(database, [pairs[place] for place in chosen], way)
                tally.add(part, differing(part, of_all.take(chosen)))


def in_passes(one: Written, tallies: dict[str, Tally]) -> None:
    """As a company of a million pairs is read: some accounts after the others, fetched in several lots."""
    with one.database as database, pytest.MonkeyPatch.context() as patch:
        of_all = {way: one.vectors(database, one.sample.pairs, way) for way in tallies}
        patch.setattr("features.measures.engine.PAIRS_A_PASS", 4)
        patch.setattr("features.measures.engine.BYTES_A_ROW_FETCHED", 4 * 10**6)
        for way, tally in tallies.items():
            passes = one.vectors(database, one.sample.pairs, way)
            tally.add(passes, differing(passes, of_all[way]))


def in_files(one: Written, tallies: dict[str, Tally]) -> None:
    """As a company is read whose events memory does not hold: from files of some accounts each."""
    with one.database as database:
        in_memory = {way: one.vectors(database, one.sample.pairs, way) for way in tallies}
    with pytest.MonkeyPatch.context() as patch:
        lay_out_in_files(patch)
        with one.database as database:
            for way, tally in tallies.items():
                ours = one.vectors(database, one.sample.pairs, way)
                tally.add(ours, differing(ours, in_memory[way]))


def lay_out_in_files(patch: pytest.MonkeyPatch) -> None:
    """Have every table lie in files, of few rows each."""
    patch.setattr("features.sources.session.BYTES_A_STORED_ROW", 10**12)
    patch.setattr("features.sources.spool.ROWS_A_RANGE", 100)
    patch.setattr("features.sources.spool.ROWS_A_BATCH", 50)
    patch.setattr("features.sources.spool.ROWS_A_WRITE", 20)
    patch.setattr("features.measures.engine.PAIRS_A_PASS", 10)
    patch.setattr("features.measures.engine.BYTES_A_ROW_FETCHED", 10**7)


def in_codes(one: Written, tallies: dict[str, Tally], *, laid_out: bool) -> None:
    """As a company of millions of events in Parquet files is read, in memory or laid out in files."""
    with one.database as database:
        assert not database.coded
        in_texts = {way: one.vectors(database, one.sample.pairs, way) for way in tallies}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("features.sources.coded.ROWS_WORTH_CODING", 1)
        patch.setattr("features.sources.coded.ROWS_A_TEXT", 0)
        patch.setattr("features.sources.coded.ROWS_AT_ONCE", 200)
        if laid_out:
            lay_out_in_files(patch)
        with one.database as database:
            assert database.in_codes("usage").dictionaries
            for way, tally in tallies.items():
                ours = one.vectors(database, one.sample.pairs, way)
                tally.add(ours, differing(ours, in_texts[way]))


def parts(order: Sequence[int], rng: random.Random) -> Iterator[Sequence[int]]:
    """Cut into parts of 2 to 60."""
    first = 0
    while first < len(order):
        size = rng.choice((2, 15, 60))
        yield order[first : first + size]
        first += size


# --- the comparison can fail: an engine with one rule broken ----------------------------------------------------


@pytest.mark.parametrize(
    "mutant", ["reference values are of those asked about", "people are told apart without their account"]
)
def test_an_engine_that_mixes_accounts_is_told_by_pairs_alone(mutant: str, tmp_path: Path) -> None:
    drawn = sample("no plans table", 25, seed=103, accounts=20, dates=3)
    tally = {ONE_BY_ONE: Tally(mutant)}
    with mutated(mutant):
        one_by_one(written(drawn, tmp_path / "company"), tally)
    assert len(tally[ONE_BY_ONE].differences) >= 5


def test_files_that_are_read_by_half_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Spool.rows_of

    def half(self: Spool, first: str, last: str) -> pa.Table:
        rows = whole(self, first, last)
        return rows.slice(0, len(rows) // 2)

    monkeypatch.setattr(Spool, "rows_of", half)
    drawn = sample("everything connected", 200, seed=104, accounts=20, dates=10)
    tally = {ONE_BY_ONE: Tally("half of the rows")}
    in_files(written(drawn, tmp_path / "company"), tally)
    assert len(tally[ONE_BY_ONE].differences) >= 5


def test_codes_that_stand_for_other_texts_in_a_later_piece_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Dictionary.codes_of

    def turned(self: Dictionary, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Once some texts have codes, the order of those is the other way round."""
        met = len(self.texts)
        codes = honest(self, column)
        if self._closed or not met:
            return codes
        return pc.if_else(
            pc.and_(pc.less(codes, met), pc.greater_equal(codes, 0)), pc.subtract(met - 1, codes), codes
        )

    monkeypatch.setattr(Dictionary, "codes_of", turned)
    drawn = sample("everything connected", 200, seed=104, accounts=20, dates=10)
    tally = {ONE_BY_ONE: Tally("codes of other texts")}
    in_codes(written(drawn, tmp_path / "company", suffix=".parquet"), tally, laid_out=False)
    assert len(tally[ONE_BY_ONE].differences) >= 5
