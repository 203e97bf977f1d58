"""Snapshots: who is in them, the file that keeps them, and the rows that a reading rests on."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import snapshots
from features.cores import AT_ONCE
from features.errors import ContractMismatchError, ReadingError, TableError
from features.evidence import account_evidence
from features.measures import engine
from features.parquet import write_whole
from features.snapshot_file import read_snapshots, vector_table, with_churned
from features.snapshots import (
    accounts_in_force,
    build_vectors,
    recorded_codebooks,
    vectors_in_order,
)
from features.sources import Database, load_sources, open_database
from features.vectors import FeatureContract, Vectors, feature_contract

AS_OF = dt.datetime(2025, 6, 1)
TABLES = {
    "accounts": "account_id,name,csm,region,recorded_at\nA,Acme,Ann,EU,2023-01-01\nB,Beta,Bob,US,2023-01-01\n"
    "C,Corp,Cid,EU,2023-01-01\nD,Dach,Dan,EU,2023-01-01\nE,East,Eve,EU,2023-01-01\n"
    "F,Fern,Fay,EU,2025-06-10\n",  # written down only after 1 June
    "contracts": "contract_id,account_id,start_date,end_date,notice_at,licences,plan,recorded_at\n"
    "1,A,2024-01-01,2025-12-31,,10,pro,2023-12-01\n"  # in force
    "2,B,2024-01-01,2025-05-15,,10,pro,2023-12-01\n"  # ended within the grace: a late renewal may come
    "3,C,2024-01-01,2025-05-15,2025-03-01,10,pro,2025-03-01\n"  # the same, but notice was given
    "4,D,2024-01-01,2025-03-15,,10,basic,2023-12-01\n"  # ended long ago
    "5,E,2025-07-01,2026-06-30,,10,pro,2025-05-01\n"  # begins later
    "6,F,2024-07-01,2025-06-20,,10,pro,2024-05-01\n",
    "tickets": "ticket_id,account_id,opened_at,closed_at,priority,recorded_at\n"
    "t1,A,2025-05-01T10:00:00,,high,2025-05-01T10:00:00\n"
    "t2,A,2025-05-02T10:00:00,2025-05-03T10:00:00,high,2025-05-03T10:00:00\n"
    "t3,A,2025-05-20T10:00:00,,high,2025-06-20T10:00:00\n"  # not yet known on 1 June
    "t4,B,2025-05-20T10:00:00,,high,2025-05-20T10:00:00\n",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("company")
    lines = ['company = "Small"', 'never_changing = ["accounts.region"]']
    for name, rows in TABLES.items():
        (folder / f"{name}.csv").write_text(rows)
        lines += [
            f"[tables.{name}]",
            f'path = "{name}.csv"',
            *(["begins = 2024-01-01"] if name == "tickets" else []),
        ]
    (folder / "sources.toml").write_text("\n".join(lines))
    with open_database(load_sources(folder / "sources.toml")) as opened:
        yield opened


@pytest.fixture(scope="module")
def contract(database: Database) -> FeatureContract:
    catalogue = database.sources.catalogue
    return feature_contract(catalogue, recorded_codebooks(database, catalogue, AS_OF))


@pytest.fixture(scope="module")
def vectors(database: Database, contract: FeatureContract) -> Vectors:
    catalogue = database.sources.catalogue
    return build_vectors(database, catalogue, contract, accounts_in_force(database, catalogue, [AS_OF]))


def test_in_force_are_accounts_with_a_contract_or_within_the_grace_without_notice(database: Database) -> None:
    grid = accounts_in_force(database, database.sources.catalogue, [AS_OF])
    assert grid["account_id"].to_pylist() == ["A", "B"]


def test_a_contract_counts_from_its_start_and_an_account_is_asked_for_on_every_date(database: Database) -> None:
    later = dt.datetime(2025, 8, 1)
    grid = accounts_in_force(database, database.sources.catalogue, [later, AS_OF])
    assert [(a, d.month) for a, d in zip(*grid.to_pydict().values(), strict=True)] == [
        ("A", 6),
        ("A", 8),
        ("B", 6),
        ("E", 8),
    ]


def test_codebooks_are_sorted_and_hold_what_was_known_by_then(database: Database) -> None:
    books = recorded_codebooks(database, database.sources.catalogue, AS_OF)
    assert books["plan"] == ("basic", "pro")
    assert books["region"] == ("EU", "US")
    assert recorded_codebooks(database, database.sources.catalogue, dt.datetime(2020, 1, 1))["plan"] == ()


def test_the_file_gives_back_the_same_vectors_labels_and_contract(vectors: Vectors, tmp_path: Path) -> None:
    path = tmp_path / "snapshots.parquet"
    write_whole(path, with_churned(vector_table(vectors), np.array([1.0, np.nan])))
    again, churned = read_snapshots(path)
    assert again.contract == vectors.contract
    assert np.array_equal(again.values, vectors.values, equal_nan=True)
    assert np.array_equal(again.unknown, vectors.unknown)
    assert again.account_ids.tolist() == vectors.account_ids.tolist()
    assert np.array_equal(again.as_of, vectors.as_of)
    assert np.array_equal(churned, [1.0, np.nan], equal_nan=True)


def test_a_file_that_is_no_snapshot_is_refused_with_the_remedy(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(TableError, match=r"not a snapshot file.*keepsight snapshot"):
        read_snapshots(other)
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        read_snapshots(tmp_path / "text.parquet")
    with pytest.raises(TableError, match="cannot be read"):
        read_snapshots(tmp_path / "none.parquet")


def test_a_changed_definitions_fingerprint_is_refused(database: Database, contract: FeatureContract) -> None:
    other = replace(contract, definitions="0" * 16)
    grid = accounts_in_force(database, database.sources.catalogue, [AS_OF])
    with pytest.raises(ContractMismatchError, match="Retrain"):
        build_vectors(database, database.sources.catalogue, other, grid)


def test_a_date_out_of_range_is_refused_with_the_range(database: Database) -> None:
    with pytest.raises(ReadingError, match="between 1900-01-01 and 2100-01-01"):
        accounts_in_force(database, database.sources.catalogue, [dt.datetime(2150, 1, 1)])


def test_dates_at_different_times_of_day_are_answered_together(
    database: Database, contract: FeatureContract
) -> None:
    catalogue = database.sources.catalogue
    moments = [AS_OF, AS_OF.replace(hour=13, minute=7), dt.datetime(2025, 5, 1, 9), dt.datetime(2025, 5, 1, 11)]
    grid = pa.table({"account_id": pa.array(["A"] * 4), "as_of": pa.array(moments, pa.timestamp("s"))})
    together = build_vectors(database, catalogue, contract, grid)
    alone = [build_vectors(database, catalogue, contract, grid.slice(row, 1)) for row in range(4)]
    assert np.array_equal(together.values, np.vstack([one.values for one in alone]), equal_nan=True)
    assert together.column("open_escalations").tolist() == [1.0, 1.0, 0.0, 1.0]


def test_a_row_of_an_account_that_no_table_knows_is_all_unknown(
    database: Database, contract: FeatureContract
) -> None:
    grid = pa.table({"account_id": ["nobody"], "as_of": pa.array([AS_OF], pa.timestamp("s"))})
    row = build_vectors(database, database.sources.catalogue, contract, grid)
    assert np.isnan(row.column("licence_utilisation")).all()
    assert np.isnan(row.column("tenure_days")).all()


def test_progress_is_told_up_to_the_end(database: Database, contract: FeatureContract) -> None:
    told: list[tuple[int, int]] = []
    catalogue = database.sources.catalogue
    grid = accounts_in_force(database, catalogue, [AS_OF, dt.datetime(2025, 8, 1)])
    build_vectors(database, catalogue, contract, grid, lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


# --- vectors in order -----------------------------------------------------------------------------------------


@pytest.fixture
def many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every account read in a pass of its own."""
    monkeypatch.setattr(engine, "PAIRS_A_PASS", 1)


DATES = [AS_OF, dt.datetime(2025, 7, 1), dt.datetime(2025, 8, 1)]


def grid_of(pairs: Sequence[tuple[str, dt.datetime]]) -> pa.Table:
    accounts, moments = zip(*pairs, strict=True)
    return pa.table({"account_id": pa.array(accounts), "as_of": pa.array(moments, pa.timestamp("s"))})


BY_ACCOUNT = [(account, date) for account in "ABCDEF" for date in DATES]
BY_DATE = [(account, date) for date in DATES for account in "ABCDEF"]
SHUFFLED = random.Random(1).sample(BY_ACCOUNT, len(BY_ACCOUNT))
TIMES_OF_DAY = [(account, AS_OF.replace(hour=hour)) for account in "ABCDEF" for hour in (0, 9, 13)]
LONG = [(account, AS_OF + dt.timedelta(days)) for account in "AB" for days in range(70)]  # two calendars
TWICE = [pair for pair in BY_ACCOUNT for _ in range(2)]
ORDERS = {
    "by account": BY_ACCOUNT,
    "by date": BY_DATE,
    "shuffled": SHUFFLED,
    "several times of day": TIMES_OF_DAY,
    "two calendars": LONG,
    "each pair twice": TWICE,
}


@pytest.mark.usefixtures("many_passes")
@pytest.mark.parametrize("pairs", ORDERS.values(), ids=ORDERS)
def test_parts_are_the_grids_rows_in_order_and_all_of_them(
    database: Database, contract: FeatureContract, pairs: list[tuple[str, dt.datetime]]
) -> None:
    grid, catalogue = grid_of(pairs), database.sources.catalogue
    parts = list(vectors_in_order(database, catalogue, contract, grid))
    whole = build_vectors(database, catalogue, contract, grid)
    assert all(len(part) for part in parts)
    assert [pair for part in parts for pair in zip(part.account_ids, part.as_of.tolist(), strict=True)] == pairs
    assert list(zip(whole.account_ids, whole.as_of.tolist(), strict=True)) == pairs
    assert np.array_equal(np.vstack([part.values for part in parts]), whole.values, equal_nan=True)
    assert np.array_equal(np.vstack([part.unknown for part in parts]), whole.unknown)


def test_of_a_grid_without_rows_there_is_no_part(database: Database, contract: FeatureContract) -> None:
    catalogue, nothing = database.sources.catalogue, grid_of(BY_ACCOUNT).slice(0, 0)
    assert list(vectors_in_order(database, catalogue, contract, nothing)) == []
    assert len(build_vectors(database, catalogue, contract, nothing)) == 0


def test_parts_under_another_contract_are_refused_when_asked_for(
    database: Database, contract: FeatureContract
) -> None:
    parts = vectors_in_order(
        database, database.sources.catalogue, replace(contract, definitions="0" * 16), grid_of(BY_ACCOUNT)
    )
    with pytest.raises(ContractMismatchError, match="Retrain"):
        next(parts)


@dataclass
class Passes:
    """The passes begun, by their first rows; all but that of the grid's first row wait until they may go on."""

    begun: list[int] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    fails: int | None = None

    def begin(self, row: int) -> None:
        self.begun.append(row)
        if row == self.fails:
            self.go_on_soon()
            raise MemoryError("no room for this pass")
        assert row == 0 or self.may_go_on.wait(60)

    def go_on_soon(self) -> None:
        threading.Timer(0.3, self.may_go_on.set).start()


@pytest.fixture
def passes(many_passes: None, monkeypatch: pytest.MonkeyPatch) -> Passes:
    held, put = Passes(), snapshots._Filling.put

    def held_up(vectors: snapshots._Filling, readings: engine.Readings, rows: npt.NDArray[np.intp]) -> None:
        held.begin(int(rows[0]))
        put(vectors, readings, rows)

    monkeypatch.setattr(snapshots._Filling, "put", held_up)
    return held


def test_a_grid_by_account_comes_pass_by_pass_while_later_ones_are_not_finished(
    database: Database, contract: FeatureContract, passes: Passes
) -> None:
    told: list[int] = []
    catalogue = database.sources.catalogue
    parts = vectors_in_order(
        database, catalogue, contract, grid_of(BY_ACCOUNT), lambda done, _total: told.append(done)
    )
    assert next(parts).account_ids.tolist() == ["A"] * len(DATES)
    assert told == [len(DATES)]
    passes.may_go_on.set()
    assert sum(map(len, parts)) == len(BY_ACCOUNT) - len(DATES)
    assert told == list(range(len(DATES), len(BY_ACCOUNT) + 1, len(DATES)))


HUNDRED = [(f"{number:03d}", AS_OF) for number in range(100)]


def at_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_closed_early_it_waits_for_the_passes_under_way_and_begins_no_other(
    database: Database, contract: FeatureContract, passes: Passes
) -> None:
    before = at_work()
    with closing(vectors_in_order(database, database.sources.catalogue, contract, grid_of(HUNDRED))) as parts:
        assert next(parts).account_ids.tolist() == ["000"]
        passes.go_on_soon()
    assert passes.may_go_on.is_set()
    assert len(passes.begun) <= 1 + AT_ONCE
    assert at_work() == before


@pytest.mark.parametrize("ask", [vectors_in_order, build_vectors], ids=["in order", "at once"])
def test_an_error_in_a_pass_is_told_and_no_other_begins(
    database: Database, contract: FeatureContract, passes: Passes, ask: Callable[..., Iterable[Vectors]]
) -> None:
    before = at_work()
    passes.fails = 1
    with pytest.raises(MemoryError, match="no room for this pass"):
        list(ask(database, database.sources.catalogue, contract, grid_of(HUNDRED)))
    assert len(passes.begun) <= 2 + AT_ONCE
    assert at_work() == before


def test_evidence_quotes_rows_known_then_newest_first_and_open_ones_only(database: Database) -> None:
    catalogue = database.sources.catalogue
    quoted = account_evidence(database, catalogue, "A", AS_OF, ["open_escalations", "slow_resolution"])
    assert [row.key for row in quoted["open_escalations"]] == ["t1"]
    assert [row.key for row in quoted["slow_resolution"]] == ["t2", "t1"]
    assert quoted["slow_resolution"][0].text == "priority: high"


def test_evidence_of_a_table_that_is_not_connected_is_left_out(database: Database) -> None:
    assert account_evidence(database, database.sources.catalogue, "A", AS_OF, ["nps_score", "usage_trend"]) == {}
