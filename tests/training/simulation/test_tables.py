"""The tables keep the written contract, and are as untidy as a real company's."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from features.sources import load_sources
from features.sources.check import check_sources
from training.simulation import simulate
from training.simulation.writing import contract_schemas

EVENTS = {"usage": "occurred_at", "tickets": "opened_at", "surveys": "occurred_at", "community": "occurred_at"}


def asked(folder: Path, question: str) -> Any:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        for table in (*contract_schemas(), "truth"):
            connection.execute(f"CREATE VIEW {table} AS FROM '{folder / table}.parquet'")
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path, 150, 30, 7)
    assert digests(tmp_path) == digests(small)


def test_another_seed_gives_another_company(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path, 150, 30, 8)
    ours, theirs = digests(small), digests(tmp_path)
    assert {name for name in ours if ours[name] == theirs[name]} == {"plans.parquet", "sources.toml"}


def test_the_history_of_an_account_does_not_depend_on_how_many_others_there_are(tmp_path: Path) -> None:
    for accounts in (470, 520):
        simulate(tmp_path / str(accounts), accounts, 12, 3)
    for table in ("contracts", "tickets", "truth"):
        fewer, more = (
            pq.read_table(tmp_path / str(accounts) / f"{table}.parquet", filters=[("account_id", "<", "A100500")])
            for accounts in (470, 520)
        )
        assert fewer.num_rows > 100
        assert fewer.equals(more)


def test_every_table_of_the_written_contract_is_there_with_its_columns(small: Path) -> None:
    for table, schema in contract_schemas().items():
        written = pq.read_schema(small / f"{table}.parquet")
        assert written.equals(schema), table
        assert pq.read_metadata(small / f"{table}.parquet").num_rows > 0, table


def test_the_check_of_sources_finds_nothing(small: Path) -> None:
    assert check_sources(load_sources(small / "sources.toml"), dt.datetime(2026, 1, 1)) == []


def test_truth_is_no_source(small: Path) -> None:
    assert "truth" not in load_sources(small / "sources.toml").config.tables


@pytest.mark.parametrize(("table", "occurred"), EVENTS.items())
def test_one_to_two_percent_of_events_arrive_days_late(small: Path, table: str, occurred: str) -> None:
    late = asked(
        small,
        f"""SELECT avg((first - {occurred} > INTERVAL 1 DAY)::int)
        FROM (SELECT any_value({occurred}) AS {occurred}, min(recorded_at) AS first
        FROM {table} GROUP BY {pq.read_schema(small / f"{table}.parquet").names[0]})""",
    )
    assert 0.008 < late < 0.025


@pytest.mark.parametrize(
    ("table", "content"), [("usage", "quantity"), ("surveys", "nps"), ("assessments", "rating")]
)
def test_some_rows_are_corrected_later_under_the_same_key(small: Path, table: str, content: str) -> None:
    key = pq.read_schema(small / f"{table}.parquet").names[0]
    share = asked(
        small,
        f"""SELECT avg((versions > 1 AND contents > 1)::int) FROM
        (SELECT count(DISTINCT recorded_at) AS versions, count(DISTINCT {content}) AS contents
        FROM {table} GROUP BY {key})""",
    )
    assert 0.001 < share < 0.02


def test_a_ticket_is_closed_by_a_later_version_of_its_row(small: Path) -> None:
    early, closed = asked(
        small,
        """SELECT count(*) FILTER (closed_at > recorded_at),
        count(DISTINCT ticket_id) FILTER (closed_at IS NOT NULL) FROM tickets""",
    )
    assert early == 0
    assert closed > 100
    assert asked(small, "SELECT count(*) FROM tickets WHERE closed_at IS NULL") > closed


def test_nothing_is_recorded_before_it_occurs_nor_after_the_history(small: Path) -> None:
    for table, occurred in EVENTS.items():
        before, after = asked(
            small,
            f"""SELECT count(*) FILTER (recorded_at < {occurred}),
            count(*) FILTER (recorded_at > TIMESTAMP '2025-07-01') FROM {table}""",
        )
        assert (before, after) == (0, 0), table


def test_notice_is_given_before_the_end_and_known_by_a_later_version(small: Path) -> None:
    given, late, unknown_before = asked(
        small,
        """SELECT count(*), count(*) FILTER (notice_at > end_date),
        count(*) FILTER (contract_id NOT IN (SELECT contract_id FROM contracts WHERE notice_at IS NULL))
        FROM contracts WHERE notice_at IS NOT NULL""",
    )
    assert given > 20
    assert (late, unknown_before) == (0, 0)


def test_most_notice_is_given_by_the_deadline(small: Path) -> None:
    assert (
        asked(
            small,
            """SELECT avg((notice_at <= notice_deadline)::int) FROM contracts
        WHERE notice_at IS NOT NULL AND end_date - start_date > 300""",
        )
        > 0.85
    )


def test_whoever_stays_is_always_under_contract(small: Path) -> None:
    without = asked(
        small,
        """WITH latest AS (SELECT * FROM contracts
        QUALIFY row_number() OVER (PARTITION BY contract_id ORDER BY recorded_at DESC) = 1)
        SELECT count(*) FROM truth WHERE NOT EXISTS (FROM latest WHERE latest.account_id = truth.account_id
        AND start_date <= as_of::date AND end_date >= as_of::date)""",
    )
    assert asked(small, "SELECT count(*) FROM truth") > 3000
    assert without == 0


def test_renewals_are_signed_ahead(small: Path) -> None:
    assert asked(small, "SELECT avg((signed_at < start_date)::int) FROM contracts") > 0.9


def test_accounts_join_leave_return_grow_and_shrink(small: Path) -> None:
    kinds = asked(small, "SELECT list_sort(list(DISTINCT kind)) FROM outcomes")
    assert {"cancellation", "contraction", "renewed"} <= set(kinds)
    assert asked(small, "SELECT count(*) FROM accounts WHERE customer_since >= DATE '2023-01-01'") > 10


def test_the_communitys_feed_dies_and_usage_has_gaps(small: Path) -> None:
    ends = asked(
        small,
        """SELECT covered_to::text || ' known ' || recorded_at::date FROM feeds
        WHERE "table" = 'community' AND covered_to IS NOT NULL""",
    )
    assert ends == "2025-03-10 known 2025-03-19"
    assert asked(small, "SELECT max(occurred_at)::date::text FROM community") == "2025-03-10"
    inside_gaps = asked(
        small,
        """WITH gaps AS (SELECT a.account_id, a.covered_to AS last, b.covered_from AS next
        FROM feeds a JOIN feeds b ON a."table" = 'usage' AND b."table" = 'usage'
        AND a.account_id = b.account_id AND a.covered_to < b.covered_from)
        SELECT count(DISTINCT gaps.account_id), count(usage.usage_id) FROM gaps
        LEFT JOIN usage ON usage.account_id = gaps.account_id
        AND usage.occurred_at::date > gaps.last AND usage.occurred_at::date < gaps.next""",
    )
    assert inside_gaps[0] > 2
    assert inside_gaps[1] == 0


def test_progress_is_told_after_each_chunk(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    simulate(tmp_path, 520, 6, 1, lambda done, total: told.append((done, total)))
    assert told == [(500, 550), (550, 550)]


@pytest.mark.parametrize(("accounts", "months", "seed"), [(0, 30, 7), (10, 0, 7), (10, 30, -1)])
def test_nonsense_is_refused(tmp_path: Path, accounts: int, months: int, seed: int) -> None:
    with pytest.raises(ValueError, match="at least one account, one to 240 months"):
        simulate(tmp_path, accounts, months, seed)


def test_an_interrupted_run_leaves_no_sources_that_could_be_taken_for_whole(tmp_path: Path) -> None:
    simulate(tmp_path, 5, 3, 7)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, 5, 3, 8, stop)
    assert not (tmp_path / "sources.toml").exists()
