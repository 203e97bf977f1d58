"""The benchmark's data is the same every time, and contenders have Keepsight's values before they are timed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from features.catalogue import load_catalogue
from features.catalogue.schema import Aggregate
from features.now import Now
from tests.bench import featuretools_contender, floor, one_account, pandas_contender, run
from tests.bench.comparisons import (
    COMPARISONS,
    FASTER_THAN,
    FEATURETOOLS_LACKS,
    PANDAS,
    Setting,
    ValuesDifferError,
    must_equal,
)
from tests.bench.data import SIDE_TABLES, Company, write_company
from tests.bench.equality import compared
from tests.bench.expressible import expressible
from tests.bench.figures import Figure, Limit
from tests.bench.in_featuretools.asked import asked
from tests.bench.in_featuretools.numbers import BETWEEN, ENDED, NUMBERS_BELOW, Number, column_of, visible_from
from tests.bench.in_featuretools.tables import Tables
from tests.bench.in_pandas.tables import Moment
from tests.bench.keepsight_contender import write_vectors
from tests.bench.measuring import Contender, ContenderFailedError, Run, measured, ratios_of_rounds, rounds
from tests.bench.shapes import SHAPES

SMALL = Company(events=6_000, accounts=150)
MONTHS = 5
TABLES = [*SIDE_TABLES, "usage"]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "small"
    write_company(folder, SMALL)
    return folder


def test_single_accounts_are_timed_once_their_vectors_are_those_of_a_snapshot(company: Path) -> None:
    took = one_account.one_by_one(company, accounts=5)
    assert {done: len(each) for done, each in took.items()} == {one_account.QUERY: 5, one_account.VECTOR: 5}
    assert all(milliseconds > 0 for each in took.values() for milliseconds in each)


def test_a_single_account_with_another_vector_ends_the_run(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Now.vector
    monkeypatch.setattr(Now, "vector", lambda now, account, *asked: honest(now, "somebody else", *asked))
    with pytest.raises(AssertionError, match="another vector now"):
        one_account.one_by_one(company, accounts=5)


@pytest.fixture(scope="module")
def ours(company: Path) -> Path:
    out = company.with_name("ours.parquet")
    write_vectors(company, out, months=MONTHS)
    return out


def contender_file(company: Path, folder: Path, style: str = "plain") -> Path:
    out = folder / "pandas.parquet"
    pandas_contender.values(company, style=style, months=MONTHS).to_parquet(out)
    return out


def setting(folder: Path, said: list[str]) -> Setting:
    return Setting(folder, ["6k"], 1, 1, said.append)


# --- data -----------------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_files(company: Path, tmp_path: Path) -> None:
    write_company(tmp_path / "again", SMALL)
    write_company(tmp_path / "other", Company(SMALL.events, SMALL.accounts, seed=2))
    for table in TABLES:
        file = f"{table}.parquet"
        assert (company / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    assert (company / "usage.parquet").read_bytes() != (tmp_path / "other" / "usage.parquet").read_bytes()


def test_a_company_that_is_there_is_not_made_again(company: Path) -> None:
    before = (company / "usage.parquet").stat().st_mtime_ns
    write_company(company, SMALL)
    assert (company / "usage.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize("table", TABLES)
def test_rows_lie_in_the_order_of_arrival(company: Path, table: str) -> None:
    recorded = pq.read_table(company / f"{table}.parquet")["recorded_at"].to_numpy()
    assert (np.diff(recorded) >= np.timedelta64(0)).all()


def test_usage_has_late_and_corrected_rows(company: Path) -> None:
    usage = pq.read_table(company / "usage.parquet").to_pandas()
    first = usage.drop_duplicates("usage_id")
    assert len(first) == SMALL.events
    assert 0.002 < 1 - len(first) / len(usage) < 0.01
    late = (first.recorded_at - first.occurred_at) >= pd.Timedelta(days=1)
    assert 0.005 < late.mean() < 0.02


def test_as_first_recorded_no_key_comes_twice(tmp_path: Path) -> None:
    write_company(tmp_path / "first", Company(2_000, 50, versions=False))
    for table in TABLES:
        rows = pq.read_table(tmp_path / "first" / f"{table}.parquet").to_pandas()
        assert not rows.duplicated(list(SHAPES[table].key)).any(), table


# --- values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", pandas_contender.STYLES)
def test_pandas_has_keepsights_values(company: Path, ours: Path, tmp_path: Path, style: str) -> None:
    said: list[str] = []
    theirs = contender_file(company, tmp_path, style)
    must_equal(setting(tmp_path, said), ours, theirs)
    found = list(compared(ours, theirs))
    # All signals, factors, ages and context; `coverage` tells of unknowns, which pandas does not tell apart.
    others = ["account_id", "as_of", "unknown", "churned", "coverage"]
    assert len(found) == len(pq.read_schema(ours).names) - len(others)
    assert sum(c.known for c in found) > 10_000
    assert all(c.known for c in found)
    assert "0 differ, 0 are missing" in said[-1]


window, known = Moment.window, Moment.known


def one_day_more(moment: Moment, table: str, days: int, ago: int = 0) -> pd.DataFrame:
    return window(moment, table, days + 1, ago)


def as_if_recorded_at_once(moment: Moment, table: str) -> pd.DataFrame:
    if table != "usage":
        return known(moment, table)
    rows = moment.tables[table]
    return rows[(rows["at"] <= moment.as_of) & (rows.until > moment.as_of)]


@pytest.mark.parametrize(
    ("method", "mutant", "column"),
    [
        pytest.param("window", one_day_more, "exit_page_views", id="a window edge moved by one day"),
        pytest.param("known", as_if_recorded_at_once, "usage_trend", id="recorded_at ignored"),
    ],
)
def test_the_comparison_catches_a_mutant(
    company: Path,
    ours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    mutant: Callable[..., Any],
    column: str,
) -> None:
    monkeypatch.setattr(Moment, method, mutant)
    monkeypatch.setattr(pandas_contender, "CATALOGUE", {column: pandas_contender.CATALOGUE[column]})
    with pytest.raises(ValuesDifferError, match=column):
        must_equal(setting(tmp_path, []), ours, contender_file(company, tmp_path))


def test_a_value_that_the_contender_lacks_is_counted_apart(company: Path, ours: Path, tmp_path: Path) -> None:
    values = pandas_contender.values(company, months=MONTHS)[["account_id", "as_of", "tenure_days"]]
    values.loc[values.tenure_days > 400, "tenure_days"] = np.nan
    values.to_parquet(tmp_path / "lacking.parquet")
    (found,) = compared(ours, tmp_path / "lacking.parquet")
    assert found.missing > 0
    assert found.different == 0
    must_equal(setting(tmp_path, []), ours, tmp_path / "lacking.parquet", may_lack=["tenure_days"])


def test_the_sixteen_columns_are_there(company: Path) -> None:
    values = pandas_contender.values(company, "sixteen", months=1)
    assert len(values.columns) == 16 + len(["account_id", "as_of"])
    assert values.notna().any().all()


def test_the_floor_groups_every_column_by_account(company: Path, tmp_path: Path) -> None:
    floor.scan(company, tmp_path / "floor.parquet")
    read = pq.read_table(tmp_path / "floor.parquet")
    assert pc.sum(read["n"]).as_py() == pq.read_metadata(company / "usage.parquet").num_rows
    assert len(read.column_names) == 2 + 2 * len(pq.read_schema(company / "usage.parquet").names)


# --- what is asked of Featuretools, which is not in this environment ---------------------------------------------


AGGREGATIONS = {
    "rows": "sum",
    "sum": "sum",
    "mean": "mean",
    "distinct": "nunique",
    "last_moment": "max",
    "last_first_sight": "max",
    "mean_of_latest": "mean",
    "lowest_of_latest": "min",
    "median_days": "median",
}


def matrix_in_pandas(tables: Tables, numbers: Sequence[Number], pairs: pd.DataFrame, days: int) -> pd.DataFrame:
    """Read as Featuretools does: an aggregation each, at every time."""
    made = {}
    for number in numbers:
        rows = tables.rows[number.table]
        rows = rows.assign(value=column_of(rows, number), seen=visible_from(rows, number)).dropna(subset="value")
        by_time = {time: at(time, rows, number) for time in pairs.time.unique()}
        column = pd.concat(by_time, names=["time", "account_id"]).swaplevel()
        column = column.reindex(pd.MultiIndex.from_frame(pairs))
        made[str(number)] = column.fillna(0) if number.of in ("rows", "sum", "distinct") else column
    return pd.DataFrame(made)


def at(time: pd.Timestamp, rows: pd.DataFrame, number: Number) -> pd.Series:
    """Return a number of every account, of the rows of its window that are not hidden at the time."""
    rows = rows[(rows.occurred <= time) & (rows.seen < time)]
    if number.window_days:
        rows = rows[rows.occurred > time - pd.Timedelta(days=number.window_days)]
    if number.of in BETWEEN:
        values = rows.groupby(["account_id", number.columns[0]], observed=True, dropna=False).value
        found = values.min() if number.of == "last_first_sight" else values.max() % NUMBERS_BELOW
        rows = found.reset_index()
    if number.of == "median_days":
        rows = with_days(rows, number, time)
    return rows.groupby("account_id", observed=True).value.agg(AGGREGATIONS[number.of])


def with_days(rows: pd.DataFrame, number: Number, time: pd.Timestamp) -> pd.DataFrame:
    """Return the rows that are open or ended of late, with the days that they lasted; what is open, so far."""
    ended = rows[ENDED[number.table]]
    rows = rows[ended.isna() | (ended > time - pd.Timedelta(days=number.within_days))]
    days = rows.value.where(rows[ENDED[number.table]].notna(), (time - rows.occurred) / pd.Timedelta(days=1))
    return rows.assign(value=days.median() if number.everywhere else days)


def test_what_featuretools_is_asked_for_makes_keepsights_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_company(tmp_path / "first", Company(SMALL.events, SMALL.accounts, versions=False))
    ours, theirs, said = tmp_path / "ours.parquet", tmp_path / "theirs.parquet", list[str]()
    write_vectors(tmp_path / "first", ours, "expressible", months=MONTHS)
    monkeypatch.setattr(featuretools_contender, "matrix", matrix_in_pandas)
    featuretools_contender.values(tmp_path / "first", MONTHS).to_parquet(theirs)
    must_equal(setting(tmp_path, said), ours, theirs, may_lack=FEATURETOOLS_LACKS)
    assert all(c.known > 50 for c in compared(ours, theirs))
    assert "0 differ" in said[-1]


def aggregates_in(entry: object) -> Iterator[Aggregate]:
    if isinstance(entry, Aggregate):
        yield entry
    elif isinstance(entry, BaseModel):
        for part in entry.__dict__.values():
            yield from aggregates_in(part)
    elif isinstance(entry, tuple):
        for part in entry:
            yield from aggregates_in(part)


def test_every_aggregate_of_the_catalogue_is_asked_of_featuretools() -> None:
    """Known members are left out (``expressible.toml``), and what has its window elsewhere in the measure."""
    catalogue = load_catalogue()
    ours, theirs = (
        [found for signal in of.definitions.signals.values() for found in aggregates_in(signal.measure)]
        for of in (catalogue, expressible(catalogue))
    )
    windows = [found for found in ours if found.window_days and found.by_known_since is None]
    assert len(windows) > 10
    assert [found for found in windows if found not in theirs] == []


def test_an_entry_named_like_a_signal_is_that_signals_measure() -> None:
    ours, theirs = (of.definitions.signals for of in (load_catalogue(), expressible(load_catalogue())))
    named_alike = {name: signal.measure for name, signal in ours.items() if name in theirs}
    assert {name: theirs[name].measure for name in named_alike} == named_alike


def test_blocks_that_end_with_the_last_row_are_not_asked_of_featuretools() -> None:
    silence = load_catalogue().definitions.signals["community_silence"].measure.model_dump()
    with pytest.raises(ValueError, match="cannot be expressed"):
        asked(silence)


# --- measuring ------------------------------------------------------------------------------------------------


def test_a_process_is_measured_from_start_to_end() -> None:
    took = measured([sys.executable, "-c", "x = bytearray(200_000_000); sum(range(2_000_000))"])
    assert took.wall_seconds > 0
    assert took.cpu_seconds > 0
    assert 0.18 < took.peak_gib < 1


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(ContenderFailedError, match="no such thing"):
        measured([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_contenders_take_turns_and_ratios_are_made_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def took(command: list[str]) -> Run:
        order.append(command[0])
        return Run(10.0 + len(order) if command[0] == "slow" else 2.0, 1.0, 1.0)

    monkeypatch.setattr("tests.bench.measuring.measured", took)
    turns = rounds([Contender("fast", ["fast"]), Contender("slow", ["slow"])], 3, "10M", lambda line: None)
    assert order == ["fast", "slow", "slow", "fast", "fast", "slow"]
    found = Figure("slow / fast", "times").result(ratios_of_rounds(turns, "slow", "fast", "wall_seconds"), "")
    assert (found.low, found.ratio, found.high) == (6.0, 6.5, 8.0)


@pytest.mark.parametrize(
    ("limit", "figure", "met"),
    [(Limit(at_least=8), 8.0, True), (Limit(at_least=8), 7.9, False), (Limit(at_most=12), 12.1, False)],
)
def test_what_is_asked_of_a_figure(limit: Limit, figure: float, met: bool) -> None:
    assert limit.met_by(figure) is met


def test_a_limit_holds_at_its_own_size() -> None:
    figure = Figure("faster", "times", {"10M": Limit(at_least=8)})
    assert figure.result([7.0], "", "10M").verdict == ">= 8 missed"
    assert figure.result([9.0], "", "10M").verdict == ">= 8"
    assert figure.result([7.0], "", "1M").verdict == ""


def test_results_are_written_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = FASTER_THAN[PANDAS].result([7.0, 9.0, 7.5], "--compare pandas", "10M")
    monkeypatch.setitem(COMPARISONS, "pandas", lambda setting: iter([found]))
    shown = CliRunner().invoke(run.app, ["--compare", "pandas", "--home", str(tmp_path)])
    assert shown.exit_code == 0
    assert ">= 8 missed" in shown.stdout
    (written,) = json.loads((tmp_path / "bench.json").read_text())
    assert list(written) == ["name", "ratio", "low", "high", "runs", "unit", "command"]
    assert (written["ratio"], written["low"], written["high"], written["runs"]) == (7.5, 7.0, 9.0, 3)


def test_other_values_end_the_run_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def differing(setting: Setting) -> Any:
        raise ValuesDifferError("usage_trend differs")
        yield

    monkeypatch.setitem(COMPARISONS, "pandas", differing)
    shown = CliRunner().invoke(run.app, ["--compare", "pandas", "--home", str(tmp_path)])
    assert isinstance(shown.exception, SystemExit)
    assert shown.exit_code == 1
    assert "usage_trend differs" in shown.output


def test_an_unknown_comparison_is_refused_by_name(tmp_path: Path) -> None:
    shown = CliRunner().invoke(run.app, ["--compare", "panda", "--home", str(tmp_path)])
    assert shown.exit_code == 2
    assert "panda" in shown.output
