"""Tables in files by account, and what is left of processes that were killed."""

from __future__ import annotations

import fcntl
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.errors import TableError
from features.sources import session, spool
from features.sources.config import Connection
from features.sources.layout import PLACE
from features.sources.session import Session
from features.sources.spool import HASH, Spool, places_of_several
from tests.features.sources.company import Company, rows

IDS = [f"A{number:02}" for number in range(40)]


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """Rows of forty accounts in eight files, written three at a time; every hash three times."""
    monkeypatch.setattr(spool, "ROWS_A_RANGE", 50)
    monkeypatch.setattr(spool, "ROWS_A_WRITE", 7)
    rng = np.random.default_rng(1)
    place, number = rng.permutation(np.repeat(np.arange(40), 10)), np.arange(400)
    table = pa.table(
        {
            "number": number,
            HASH: (number % 133).astype(np.uint64),
            PLACE: place,
        }
    )
    made = Spool(tmp_path / "usage", IDS, table.schema, len(table))
    made.fill(table.to_batches(max_chunksize=30))
    return made


def test_every_row_lies_in_one_file(filled: Spool) -> None:
    assert sorted(filled.rows()["number"].to_pylist()) == list(range(400))
    assert sorted(n for part in filled.parts() for n in part["number"].to_pylist()) == list(range(400))
    assert len(list(filled.parts())) == 8


@pytest.mark.parametrize(
    ("first", "last"), [("A00", "A39"), ("A07", "A07"), ("A04", "A13"), ("A39", "B"), ("", "A00")]
)
def test_all_rows_of_some_accounts_are_in_their_files(filled: Spool, first: str, last: str) -> None:
    found = [IDS[one] for one in filled.rows_of(first, last)[PLACE].to_pylist()]
    assert [one for one in IDS if first <= one <= last for _ in range(10)] == sorted(
        one for one in found if first <= one <= last
    )
    assert len(found) <= (sum(first <= one <= last for one in IDS) + 10) * 10


@pytest.mark.parametrize("at_once", [2**24, 80], ids=["at once", "in parts"])
def test_hashes_of_several_rows_are_found(filled: Spool, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_HASHES_AT_ONCE", at_once)
    assert sorted(filled.hashes_of_several().tolist()) == list(range(133))


def test_places_of_several_are_those_that_stand_more_than_once_however_alike_the_others_end() -> None:
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 50, 3_000).astype(np.uint64) << np.uint64(30)  # the last bits of all are the same
    hashes[:2_900] += np.arange(2_900, dtype=np.uint64) << np.uint64(40)
    found = set(places_of_several(hashes).tolist())
    values = hashes.tolist()
    times = Counter(values)
    assert found == {place for place, value in enumerate(values) if times[value] > 1}
    assert 0 < len(found) < 3_000


def test_a_full_disk_is_said_with_the_remedy(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session, "BYTES_A_STORED_ROW", 10**12)
    monkeypatch.setattr(Spool, "fill", full)
    with pytest.raises(TableError, match=r"usage: its rows cannot be laid out in .*TMPDIR"):
        company.csv("usage", "account_id,occurred_at\na1,2025-01-01\n").open()


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, other = tmp_path / "keepsight-dead", tmp_path / "keepsight-other"
    for folder in (dead, other):
        folder.mkdir()
    (dead / "alive").touch()
    (dead / "rows").touch()
    with Session(tmp_path, Connection()) as living, Session(tmp_path, Connection()):
        assert living.place.is_dir()
        assert not dead.exists()
        assert other.is_dir()  # who made it, and when, is not known
        with (living.place / "alive").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not living.place.exists()


def test_a_folder_whose_lock_is_gone_already_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is about to delete it: a lock made anew would be in the way."""
    ending = tmp_path / "keepsight-ending"
    ending.mkdir()
    monkeypatch.setattr(Path, "glob", lambda *_: iter([ending / "alive"]))
    session._remove_what_the_dead_left()
    assert list(ending.iterdir()) == []


def test_rows_of_unknown_accounts_are_left_out_of_files(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "BYTES_A_STORED_ROW", 10**12)
    database = company.csv("usage", "account_id,occurred_at\na1,2025-01-01\nnobody,2025-01-02\n").open()
    assert rows(database, "usage", "account_id") == ["a1"]
