"""A file of snapshots in parts: the same bytes however it came about, and nothing finished is done twice."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import snapshot_store
from features.errors import SnapshotError
from features.snapshot_file import label_columns, read_snapshots
from features.snapshot_store import Listener, Task, Written, write_in_parts
from features.snapshots import accounts_in_force, build_vectors, month_starts, recorded_codebooks
from features.sources import Database, load_sources, open_database
from features.vectors import Floats, Vectors, feature_contract
from tests.features.quick_vectors import quick_vectors
from training.simulation import simulate

ROOT = Path(__file__).resolve().parents[2]
DATES = month_starts(dt.date(2024, 11, 1), dt.date(2025, 4, 1))
ACCOUNTS = [f"{'pro' if number % 3 else 'basic'}-{number:02d}" for number in range(40)]
NEW = "elite-40"  # comes in March, with a plan that nobody had


@dataclass
class Company:
    """A company's tables as CSV, to be written, changed and written again."""

    folder: Path
    tickets: list[str] = field(default_factory=lambda: [ticket(1, "2024-10-05"), ticket(2, "2025-01-20")])

    @contextmanager
    def opened(self) -> Iterator[Database]:
        with open_database(load_sources(self.written())) as database:
            yield database

    def written(self) -> Path:
        accounts = [*(f"{name},2023-01-01" for name in ACCOUNTS), f"{NEW},2025-02-10"]
        contracts = [
            *(f"{name},{name},2024-01-01,2026-12-31,{name.split('-')[0]},2023-12-01" for name in ACCOUNTS),
            f"{NEW},{NEW},2025-02-15,2026-12-31,elite,2025-02-10",
        ]
        tables = {
            "accounts": ["account_id,recorded_at", *accounts],
            "contracts": ["contract_id,account_id,start_date,end_date,plan,recorded_at", *contracts],
            "tickets": ["ticket_id,account_id,opened_at,priority,recorded_at", *self.tickets],
        }
        lines = ['company = "Small"']
        for name, rows in tables.items():
            (self.folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
            lines += [f"[tables.{name}]", f'path = "{name}.csv"']
        (self.folder / "sources.toml").write_text("\n".join(lines))
        return self.folder / "sources.toml"


def ticket(number: int, opened: str, priority: str = "high", recorded: str | None = None) -> str:
    return f"t{number},pro-01,{opened}T10:00:00,{priority},{recorded or opened}T10:00:00"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    folder = tmp_path / "company"
    folder.mkdir()
    return Company(folder)


@dataclass
class Computed:
    """The vectors asked for, in place of computing them; and a power cut after so many parts."""

    parts: list[pa.Table] = field(default_factory=list)
    until: int = 10**9

    def __call__(
        self, database: Database, catalogue: object, contract: object, grid: pa.Table, *more: object
    ) -> Vectors:
        if len(self.parts) == self.until:
            raise KeyboardInterrupt
        self.parts.append(grid)
        return quick_vectors(database, catalogue, contract, grid, *more)  # type: ignore[arg-type]

    @property
    def pairs(self) -> int:
        return sum(len(part) for part in self.parts)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Computed:
    counting = Computed()
    monkeypatch.setattr(snapshot_store, "build_vectors", counting)
    return counting


def nobody_churns(rows: pa.Table) -> Floats:
    return np.zeros(len(rows))


def labels_of(churned: Callable[[pa.Table], Floats]) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: label_columns(churned(rows), np.full(len(rows), ""))


def write(
    path: Path,
    database: Database,
    dates: Sequence[dt.datetime] = DATES,
    churned: Callable[[pa.Table], Floats] = nobody_churns,
    said: list[str] | None = None,
    **options: object,
) -> Written:
    catalogue = database.sources.catalogue
    contract = feature_contract(catalogue, recorded_codebooks(database, catalogue, max(dates)))
    task = Task(database, accounts_in_force(database, catalogue, dates), contract, labels_of(churned))
    listener = Listener(say=(said if said is not None else []).append)
    return write_in_parts(path, task, listener=listener, **options)  # type: ignore[arg-type]


def interrupted(path: Path, database: Database, computed: Computed) -> None:
    """Begin a file of nine parts, and fail after the third."""
    computed.until = 3
    with pytest.raises(KeyboardInterrupt):
        write(path, database, pairs_a_part=30)
    computed.until = 10**9


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a file that was computed in one go."""
    folder = tmp_path_factory.mktemp("at_once")
    with pytest.MonkeyPatch.context() as patched, Company(folder).opened() as database:
        patched.setattr(snapshot_store, "build_vectors", quick_vectors)
        write(folder / "s.parquet", database)
    return sha256(folder / "s.parquet")


def test_rows_are_ordered_by_date_and_account_a_row_group_a_date(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    path = tmp_path / "s.parquet"
    with company.opened() as database:
        written = write(path, database, pairs_a_part=50)
    vectors, _ = read_snapshots(path)
    rows = list(zip(vectors.as_of.tolist(), vectors.account_ids.tolist(), strict=True))
    assert rows == sorted(rows)
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(g).num_rows for g in range(groups.num_row_groups)] == [40, 40, 40, 40, 41, 41]
    assert written == Written(rows=242, labelled=242, churned=0, computed=242)
    assert len(computed.parts) > 4
    assert not (tmp_path / "s.parquet.parts").exists()


def test_the_size_of_parts_does_not_show_in_the_file(
    company: Company, computed: Computed, at_once: str, tmp_path: Path
) -> None:
    with company.opened() as database:
        for size in (7, 60, 1000):
            write(tmp_path / "s.parquet", database, pairs_a_part=size, fresh=True)
            assert sha256(tmp_path / "s.parquet") == at_once


def test_date_by_date_gives_the_same_bytes_and_costs_one_date_each(
    company: Company, computed: Computed, at_once: str, tmp_path: Path
) -> None:
    costs = []
    with company.opened() as database:
        for number in range(1, len(DATES) + 1):
            costs.append(write(tmp_path / "s.parquet", database, DATES[:number]).computed)
    assert costs == [40, 40, 40, 40, 41, 41]
    assert computed.pairs == sum(costs)
    assert sha256(tmp_path / "s.parquet") == at_once


def test_dates_in_between_and_fewer_dates_give_the_same_bytes_too(
    company: Company, computed: Computed, at_once: str, tmp_path: Path
) -> None:
    said: list[str] = []
    with company.opened() as database:
        write(tmp_path / "s.parquet", database, DATES[1::2])
        write(tmp_path / "s.parquet", database, DATES)
        assert sha256(tmp_path / "s.parquet") == at_once
        write(tmp_path / "few.parquet", database, DATES[:2])  # before the new plan: the codebook is shorter
        computed.parts.clear()
        write(tmp_path / "s.parquet", database, DATES[:2], said=said)
    assert sha256(tmp_path / "s.parquet") == sha256(tmp_path / "few.parquet")
    assert computed.parts == []
    assert said == [
        "4 dates of the older s.parquet not asked for and left out.",
        "2 dates of the older s.parquet taken as they are.",
    ]


def test_a_category_first_seen_later_moves_the_codes_of_the_rows_that_stay(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    path = tmp_path / "s.parquet"
    with company.opened() as database:
        write(path, database, DATES[:2])
        before, _ = read_snapshots(path)
        write(path, database, DATES)
    after, _ = read_snapshots(path)
    place = after.contract.position["plan"]
    assert before.contract.columns[place].codebook == ("basic", "pro")
    assert after.contract.columns[place].codebook == ("basic", "elite", "pro")
    kept = after.take(np.isin(after.as_of, before.as_of))
    assert kept.category("plan").tolist() == before.category("plan").tolist()
    assert after.category("plan").tolist() == [name.split("-")[0] for name in after.account_ids]


def test_an_interrupted_run_goes_on_where_it_ended(
    company: Company, computed: Computed, at_once: str, tmp_path: Path
) -> None:
    path, said = tmp_path / "s.parquet", list[str]()
    with company.opened() as database:
        interrupted(path, database, computed)
        left = inodes(tmp_path / "s.parquet.parts")
        first = computed.pairs
        written = write(path, database, pairs_a_part=30, said=said)
    assert len(left) == 3
    assert said == ["Resumed: 3 of 9 parts were done."]
    assert first + written.computed == 242 == computed.pairs
    assert sha256(path) == at_once


def test_progress_counts_what_was_done_at_once(company: Company, computed: Computed, tmp_path: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    def stage(name: str) -> Callable[[int, int], None]:
        return lambda done, total: told.setdefault(name, []).append((done, total))

    with company.opened() as database:
        interrupted(tmp_path / "s.parquet", database, computed)
        done = computed.pairs
        catalogue = database.sources.catalogue
        contract = feature_contract(catalogue, recorded_codebooks(database, catalogue, max(DATES)))
        grid = accounts_in_force(database, catalogue, DATES)
        task = Task(database, grid, contract, labels_of(nobody_churns))
        write_in_parts(tmp_path / "s.parquet", task, pairs_a_part=30, listener=Listener(stage))
    assert told["Computing vectors"][0] == (done, 242)
    assert told["Computing vectors"][-1] == (242, 242)
    assert told["Merging"] == [(number, 6) for number in range(1, 7)]


def test_half_a_part_is_computed_again(company: Company, computed: Computed, at_once: str, tmp_path: Path) -> None:
    said: list[str] = []
    with company.opened() as database:
        interrupted(tmp_path / "s.parquet", database, computed)
        part = min((tmp_path / "s.parquet.parts").glob("part-*.parquet"))
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
        write(tmp_path / "s.parquet", database, pairs_a_part=30, said=said)
    assert sha256(tmp_path / "s.parquet") == at_once
    assert said == [
        "1 of the parts that an interrupted run has left computed anew: damaged.",
        "Resumed: 2 of 9 parts were done.",
    ]


@pytest.mark.parametrize(
    ("options", "dates"), [({"pairs_a_part": 25}, DATES), ({"pairs_a_part": 30}, DATES[1:])], ids=["size", "dates"]
)
def test_parts_that_were_cut_otherwise_are_computed_anew(
    company: Company, computed: Computed, tmp_path: Path, options: dict[str, object], dates: list[dt.datetime]
) -> None:
    said: list[str] = []
    with company.opened() as database:
        interrupted(tmp_path / "s.parquet", database, computed)
        write(tmp_path / "s.parquet", database, dates, said=said, **options)
    assert said == [
        "3 of the parts that an interrupted run has left computed anew: cut for other dates or another part size."
    ]


def test_rows_recorded_later_change_nothing_of_the_dates_before(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    with company.opened() as database:
        write(tmp_path / "s.parquet", database, DATES[:4])
    company.tickets += [ticket(3, "2025-02-03"), ticket(1, "2024-10-05", "low", recorded="2025-02-04")]
    with company.opened() as database:
        written = write(tmp_path / "s.parquet", database)
        again = write(tmp_path / "fresh.parquet", database, fresh=True)
    assert (written.computed, again.computed) == (82, 242)
    assert sha256(tmp_path / "s.parquet") == sha256(tmp_path / "fresh.parquet")


def test_a_row_rewritten_in_place_is_noticed_from_when_it_was_known(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    said: list[str] = []
    with company.opened() as database:
        write(tmp_path / "s.parquet", database)
    company.tickets[1] = ticket(2, "2025-01-20", "low")
    with company.opened() as database:
        written = write(tmp_path / "s.parquet", database, said=said)
    assert written.computed == 40 + 41 + 41
    anew = "3 dates of the older s.parquet computed anew, from 2025-02-01 on: what was known then has changed"
    assert said == [f"{anew} (tickets).", "3 dates of the older s.parquet taken as they are."]


def test_parts_are_computed_anew_where_what_was_known_has_changed(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    said: list[str] = []
    with company.opened() as database:
        interrupted(tmp_path / "s.parquet", database, computed)
    company.tickets[1] = ticket(2, "2025-01-20", "low")
    with company.opened() as database:
        written = write(tmp_path / "s.parquet", database, said=said, pairs_a_part=30)
    assert written.computed == 242
    assert said == [
        "3 of the parts that an interrupted run has left computed anew: what was known has changed (tickets)."
    ]


def test_labels_are_written_anew_for_rows_that_stay(company: Company, computed: Computed, tmp_path: Path) -> None:
    def all_churn(rows: pa.Table) -> Floats:
        return np.where(np.array(rows["account_id"].to_pylist()) == NEW, np.nan, 1.0)

    with company.opened() as database:
        write(tmp_path / "s.parquet", database)
        written = write(tmp_path / "s.parquet", database, churned=all_churn)
    assert written == Written(rows=242, labelled=240, churned=240, computed=0)
    vectors, churned = read_snapshots(tmp_path / "s.parquet")
    assert np.array_equal(np.isnan(churned), vectors.account_ids == NEW)


def test_fresh_uses_nothing_that_is_there(company: Company, computed: Computed, tmp_path: Path) -> None:
    said: list[str] = []
    with company.opened() as database:
        write(tmp_path / "s.parquet", database)
        assert write(tmp_path / "s.parquet", database, fresh=True, said=said).computed == 242
    assert said == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"company": "Other"}, "computed for another company, Other"),
        ({"code": "0" * 16}, "the code that computes vectors has changed"),
        ({"engine": "spark 4.0"}, "computed by spark 4.0, now by duckdb"),
    ],
)
def test_a_file_of_another_origin_is_computed_anew(
    company: Company,
    computed: Computed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    reason: str,
) -> None:
    said: list[str] = []
    ours = snapshot_store.origin_of
    with company.opened() as database:
        monkeypatch.setattr(snapshot_store, "origin_of", lambda *given: replace(ours(*given), **change))
        write(tmp_path / "s.parquet", database)
        monkeypatch.setattr(snapshot_store, "origin_of", ours)
        assert write(tmp_path / "s.parquet", database, said=said).computed == 242
    assert said[0].startswith(f"Nothing is taken from the older s.parquet: {reason}")


def test_a_file_that_tells_nothing_of_itself_is_replaced_and_this_is_said(
    company: Company, computed: Computed, at_once: str, tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / "s.parquet").write_text("no Parquet")
    with company.opened() as database:
        write(tmp_path / "s.parquet", database, said=said)
    assert sha256(tmp_path / "s.parquet") == at_once
    assert said == ["Nothing is taken from the older s.parquet: it does not say what it was computed from."]


def test_two_runs_to_the_same_file_do_not_mix(company: Company, computed: Computed, tmp_path: Path) -> None:
    folder = tmp_path / "s.parquet.parts"
    folder.mkdir()
    with company.opened() as database:
        with (folder / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(SnapshotError, match=r"another run is writing this file\. Wait"):
                write(tmp_path / "s.parquet", database)
            assert (folder / "lock").exists()
        write(tmp_path / "s.parquet", database)
    assert not folder.exists()


def test_a_folder_in_its_place_is_refused_before_anything_is_computed(
    company: Company, computed: Computed, tmp_path: Path
) -> None:
    with company.opened() as database, pytest.raises(SnapshotError, match=r"is a folder\. Name a file"):
        write(tmp_path, database)
    assert computed.parts == []


def test_an_error_leaves_the_older_file_and_no_other(company: Company, computed: Computed, tmp_path: Path) -> None:
    def fails(rows: pa.Table) -> Floats:
        raise SnapshotError("no labels")

    with company.opened() as database:
        write(tmp_path / "s.parquet", database, DATES[:2])
        before = sha256(tmp_path / "s.parquet")
        with pytest.raises(SnapshotError, match="no labels"):
            write(tmp_path / "s.parquet", database, churned=fails)
    assert sha256(tmp_path / "s.parquet") == before
    assert {path.name for path in (tmp_path / "s.parquet.parts").iterdir()} == {"part-1-of-1.parquet"}


def test_computed_vectors_come_back_as_they_were(company: Company, tmp_path: Path) -> None:
    with company.opened() as database:
        write(tmp_path / "s.parquet", database, DATES[-2:], pairs_a_part=50)
        vectors, _ = read_snapshots(tmp_path / "s.parquet")
        grid = pa.table({"account_id": vectors.account_ids, "as_of": pa.array(vectors.as_of, pa.timestamp("s"))})
        direct = build_vectors(database, database.sources.catalogue, vectors.contract, grid)
    np.testing.assert_allclose(vectors.values, direct.values, rtol=1e-9)
    assert np.array_equal(vectors.unknown, direct.unknown)


def test_a_file_of_nothing_is_refused(company: Company, tmp_path: Path) -> None:
    with company.opened() as database, pytest.raises(SnapshotError, match="no snapshot is asked for"):
        write(tmp_path / "s.parquet", database, [dt.datetime(1990, 1, 1)])
    assert not list(tmp_path.glob("s.parquet*"))


# --- kill -9 --------------------------------------------------------------------------------------------------


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return which file each finished part is: one written again would be another."""
    if not folder.exists():
        return {}
    stats = {path.name: path.stat() for path in folder.glob("part-*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def ended_well(child: subprocess.Popen[bytes], timeout: float) -> None:
    _, errors = child.communicate(timeout=timeout)
    assert child.returncode == 0, errors.decode()[-2000:]


@dataclass
class Killed:
    """``keepsight snapshot`` in a child process that is killed at random moments and started again."""

    sources: Path
    out: Path
    part_size: int
    draws: random.Random
    quick: bool = True
    share_at_work: float = 0.75  # most of a run's time is start-up: other moments are drawn from the rest alone
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, until_at_work: bool) -> subprocess.Popen[bytes]:
        """Start a run; return at once, or when it holds the lock."""
        before = self._locked_at()
        module = "tests.features.quick_vectors" if self.quick else "keepsight"
        options = ["--from", "2024-09-01", "--to", "2025-04-01", "--part-size", str(self.part_size)]
        child = subprocess.Popen(
            [sys.executable, "-m", module, "snapshot", "--sources", self.sources, "--out", self.out, *options],
            cwd=ROOT,
            env={**os.environ, "SECONDS_A_PART": "0.1", **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while until_at_work and child.poll() is None and self._locked_at() in (None, before):
            time.sleep(0.002)
        return child

    def _locked_at(self) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "lock").stat().st_mtime_ns
        return None

    @property
    def folder(self) -> Path:
        return self.out.with_name(f"{self.out.name}.parts")

    def to_the_end(self) -> tuple[float, float]:
        """Run uninterrupted; return the seconds until the first file is there, and from then to the end."""
        began = time.monotonic()
        child = self.start(until_at_work=True)
        at_work = time.monotonic()
        ended_well(child, timeout=300)
        return at_work - began, time.monotonic() - at_work

    def once(self, seconds: tuple[float, float]) -> bool:
        """Start a run and kill it at a random moment; return whether it was still running then."""
        at_work = self.draws.random() < self.share_at_work
        wait = self.draws.uniform(0, seconds[1] if at_work else sum(seconds))
        child = self.start(until_at_work=at_work)
        try:
            ended_well(child, timeout=wait)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            return True
        return False

    def kills(self, times: int) -> None:
        """Kill that many runs, or more until one had finished parts to go on from.

        The file must come out the same, and no finished part be written twice.
        """
        seconds = self.to_the_end()
        expected = sha256(self.out)
        self.out.unlink()
        killed = resumed = 0
        parts: dict[str, tuple[int, int]] = {}
        while killed < times or not resumed:
            resumed += bool(parts)
            killed += self.once(seconds)
            now = inodes(self.folder)
            if self.out.exists():
                assert sha256(self.out) == expected
                self.out.unlink()
                now = {}
            else:
                assert parts.items() <= now.items(), "a finished part was written again"
            parts = now
        self.to_the_end()
        assert sha256(self.out) == expected
        assert not self.folder.exists()


def test_killed_at_random_moments_and_started_again_the_file_is_the_same(company: Company, tmp_path: Path) -> None:
    Killed(company.written(), tmp_path / "s.parquet", part_size=40, draws=random.Random(1)).kills(5)


def test_a_store_that_takes_half_a_part_for_finished_is_caught(company: Company, tmp_path: Path) -> None:
    mutant = {"MUTANT": "half a part is taken for finished", "SECONDS_A_PART": "0.02"}
    sources, out = company.written(), tmp_path / "s.parquet"
    killed = Killed(sources, out, 40, random.Random(2), share_at_work=1, environment=mutant)
    with pytest.raises(AssertionError, match="was finished and is damaged now"):
        killed.kills(12)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_computing_real_vectors(tmp_path: Path) -> None:
    simulate(tmp_path / "company", 60, 14, 5)
    sources, out = tmp_path / "company" / "sources.toml", tmp_path / "s.parquet"
    Killed(sources, out, part_size=40, draws=random.Random(3), quick=False).kills(20)
