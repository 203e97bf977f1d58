"""The commands, from a simulated company's tables to a champion."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from models.bundle import load_bundle
from tests.training.fabricated import a_company
from training.commands import app
from training.dataset import from_file
from training.definition import VERSION
from training.simulation import simulate

RECIPE = """
[booster]
max_rounds = 60
learning_rate = 0.1
[search]
trials = 0
[folds]
origins = 2
[evaluation]
bootstrap_repeats = 100
[gates]
churned_accounts_trained = 10
churned_accounts_final = 5
"""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    simulate(folder, 220, 20, 7)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_train_from_tables_registers_a_version_and_says_what_was_learnt(demo: Path, home: Path) -> None:
    result = run("train", "--sources", demo / "sources.toml", "--recipe", demo / "recipe.toml", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["version"] == 1
    assert set(answer["contest"]) == {
        "base_rate", "scorecard_prior", "scorecard", "ridge", "lightgbm_defaults", "booster", "blend",
    }  # fmt: skip
    assert {"log_loss", "auc"} <= set(answer["contest"]["blend"])
    assert answer["final_dates"] == [f"2024-{month}-01" for month in ("11", "12")] + [
        f"2025-{month:02d}-01" for month in range(1, 5)
    ]
    gates = {gate["code"]: gate for gate in answer["gates"]}
    assert {"code", "verdict", "reason"} <= set(gates["G09"])
    assert set(answer["labels"]) == {"cancellation", "non_renewal", "lapse"}
    assert sum(answer["labels"].values()) >= answer["churned_accounts"]["registered"] > 0
    name = answer["label_definition"]["name"]
    assert name.startswith(f"{VERSION}-")
    card = next((home / "mlruns").rglob("model_card.md")).read_text()
    assert f"- Label definition {name}." in card
    assert "Judged by the table outcomes, as known on 2025-07-01 00:00." in card
    assert f"| cancellation | {answer['labels']['cancellation']} | 0 |" in card
    assert (
        next((home / "mlruns").rglob("bundle/recipe.toml")).read_text().startswith(f"# Label definition {name}.\n")
    )
    assert gates["G09"]["verdict"] == gates["G08"]["verdict"] == gates["G07"]["verdict"] == "pass"
    assert answer["verdict"]
    assert Path(answer["report"]) == home / "reports" / "1" / "report.html"
    report = Path(answer["report"]).with_suffix(".md").read_text()
    assert (
        f"| blend | scorecard and booster together: what is served | {answer['contest']['blend']['log_loss']:.4f}"
        in report
    )
    assert "stays that led to churn" in report
    assert not (home / "champion").exists()


def test_a_file_of_snapshots_trains_the_same_way_and_promotion_is_refused_by_a_gate(
    demo: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "snapshots.parquet"
    written = run(
        "snapshot", "--sources", demo / "sources.toml", "--from", "2024-01-01", "--to", "2025-06-01", "--out", file
    )
    assert written.exit_code == 0, written.output
    table = pq.read_table(file)
    assert {"account_id", "as_of", "usage_trend", "churned", "label_kind", "unknown"} <= set(table.column_names)
    assert f"Label definition {VERSION}-" in json.loads(table.schema.metadata[b"keepsight_labels"])["text"]
    other = tmp_path / "other.toml"
    other.write_text("[labels]\nhorizon_days = 30\n")
    refused = run("train", "--snapshots", file, "--recipe", other)
    assert refused.exit_code == 1
    assert "horizon_days is 90 there and 30 here" in " ".join(refused.output.split())
    early = run("train", "--snapshots", file, "--as-of", "2025-03-01")
    assert early.exit_code == 1
    assert "Write a file with `keepsight snapshot --as-of 2025-03-01`" in " ".join(early.output.split())
    found = from_file(file)
    assert found.company == "Simulated company"
    assert found.left_out is not None
    assert found.rechecked is not None
    assert found.rechecked.changed == ()
    assert found.rechecked.vectors == 200
    strict = tmp_path / "strict.toml"
    strict.write_text(RECIPE.replace("churned_accounts_final = 5", "churned_accounts_final = 5000"))
    result = run("train", "--snapshots", file, "--recipe", strict, "--promote")
    assert result.exit_code == 1
    assert "Version 1 is not promoted; the champion stays as it is." in result.stderr
    assert "G01: wait until more accounts have left" in result.stderr
    assert "G08" not in result.stderr
    assert "G09" not in result.stderr
    assert f"Report: {home / 'reports' / '1' / 'report.html'}" in result.output
    assert not (home / "champion").exists()


def test_one_more_month_is_computed_alone_and_what_was_taken_is_said(demo: Path, tmp_path: Path) -> None:
    command = ("snapshot", "--sources", demo / "sources.toml", "--out", tmp_path / "new" / "s.parquet")
    first = run(*command, "--from", "2025-01-01", "--to", "2025-02-01")
    more = run(*command, "--from", "2025-01-01", "--to", "2025-03-01")
    anew = run(*command, "--from", "2025-01-01", "--to", "2025-03-01", "--fresh")
    assert first.exit_code == more.exit_code == anew.exit_code == 0
    assert "2 dates of the older s.parquet taken as they are." in more.stderr
    assert int(re.findall(r"([0-9]+) were computed now", more.stdout)[0]) < 300
    assert int(re.findall(r"([0-9]+) were computed now", anew.stdout)[0]) > 600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["s.parquet"]


def test_a_row_of_the_future_does_not_put_the_end_of_the_history_there(demo: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(demo, damaged)
    usage = pq.read_table(demo / "usage.parquet")
    row = usage.slice(0, 1)
    for column in ("occurred_at", "recorded_at"):
        place, kind = row.schema.get_field_index(column), row.schema.field(column).type
        row = row.set_column(place, column, pa.array([dt.datetime(2150, 1, 1)]).cast(kind))
    pq.write_table(pa.concat_tables([usage, row]), damaged / "usage.parquet")
    told = (damaged / "sources.toml").read_text()
    (damaged / "sources.toml").write_text(re.sub("observed_until = .*", "", told))
    labels = []
    for folder in (demo, damaged):
        file = tmp_path / f"{folder.name}.parquet"
        command = ("snapshot", "--sources", folder / "sources.toml", "--from", "2025-04-01", "--to", "2025-06-01")
        written = run(*command, "--out", file)
        assert written.exit_code == 0, written.output
        labels.append(pq.read_table(file, columns=["account_id", "as_of", "churned"]))
    assert labels[0]["churned"].null_count > 0
    assert labels[1].equals(labels[0])


def test_a_history_that_is_said_to_end_in_the_future_ends_now(demo: Path, tmp_path: Path) -> None:
    ahead = tmp_path / "ahead"
    shutil.copytree(demo, ahead)
    told = (ahead / "sources.toml").read_text()
    (ahead / "sources.toml").write_text(re.sub("observed_until = .*", "observed_until = 2150-01-01", told))
    command = ("snapshot", "--sources", ahead / "sources.toml", "--from", "2025-01-01", "--to", "2025-01-01")
    written = run(*command, "--out", tmp_path / "s.parquet")
    assert written.exit_code == 0, written.output
    assert "observed_until = 2150-01-01 lies in the future" in " ".join(written.stderr.split())


def test_a_file_may_be_written_as_it_would_have_been_on_a_date(demo: Path, tmp_path: Path) -> None:
    command = (
        "snapshot",
        "--sources",
        demo / "sources.toml",
        "--from",
        "2024-12-01",
        "--out",
        tmp_path / "s.parquet",
    )
    early = run(*command, "--to", "2025-01-01", "--as-of", "2025-03-01")
    assert early.exit_code == 0, early.output
    said = json.loads(pq.read_schema(tmp_path / "s.parquet").metadata[b"keepsight_labels"])
    assert said["observed_until"] == "2025-03-01T00:00:00"
    assert (
        pq.read_table(tmp_path / "s.parquet")
        .filter(pc.field("as_of") > dt.datetime(2024, 12, 1))["churned"]
        .null_count
    )
    wrong = run(*command, "--to", "2025-04-01", "--as-of", "2025-03-01")
    assert wrong.exit_code == 2
    assert "lies before the last date" in " ".join(wrong.stderr.replace("│", " ").split())


def test_a_file_that_is_said_to_be_no_parquet_is_refused(demo: Path, tmp_path: Path) -> None:
    command = ("snapshot", "--sources", demo / "sources.toml", "--from", "2025-01-01", "--to", "2025-01-01")
    result = run(*command, "--out", tmp_path / "s.csv")
    assert result.exit_code == 2
    assert "what is written is Parquet" in " ".join(result.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_the_sources_may_stand_in_the_environment_and_the_command_line_wins(
    plain: Path, demo: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPSIGHT_SOURCES", str(demo / "sources.toml"))
    dates = ("--from", "2025-01-01", "--to", "2025-01-01")
    assert run("snapshot", *dates, "--out", tmp_path / "s.parquet").exit_code == 0
    monkeypatch.setenv("KEEPSIGHT_SOURCES", str(tmp_path / "nowhere.toml"))
    assert "no such file" in run("snapshot", *dates, "--out", tmp_path / "s.parquet").stderr
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    trained = run("train", "--snapshots", plain, "--recipe", recipe)
    assert trained.exit_code == 0
    assert "does not say how it was labelled; it is taken to be as the recipe asks" in " ".join(
        trained.stderr.split()
    )
    both = run("train", "--snapshots", plain, "--sources", demo / "sources.toml")
    assert "exactly one of" in " ".join(both.stderr.split())


def test_a_second_run_to_the_same_file_says_so_and_fails(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "s.parquet.parts").mkdir()
    with (tmp_path / "s.parquet.parts" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = ("snapshot", "--sources", demo / "sources.toml", "--from", "2025-01-01", "--to", "2025-01-01")
        result = run(*command, "--out", tmp_path / "s.parquet")
    assert result.exit_code == 1
    assert "another run is writing this file" in result.stderr


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot file in which signs go with churn so plainly that every gate is passed."""
    made = a_company(accounts=700, effect=1.6, level=-5.0)
    return made.written(tmp_path_factory.mktemp("plain") / "snapshots.parquet")


def test_a_model_that_passes_is_promoted_and_can_be_promoted_again(
    plain: Path, demo: Path, home: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    # A made company of straight effects is ridge's own ground.
    recipe.write_text(RECIPE + "tolerance_log_loss = 0.05\n")
    command = ("train", "--snapshots", plain, "--recipe", recipe, "--promote", "--json")
    unproven = run(*command)
    assert unproven.exit_code == 1
    assert "vouch for the tables with --allow-unproven-tables" in unproven.stderr
    result = run(*command, "--allow-unproven-tables")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["promoted"] is True
    assert load_bundle(home / "champion").digest == answer["bundle_digest"]
    assert json.loads(result.stdout)["version"] == 2
    assert "G09" in run("promote", 1).stderr
    again = run("promote", 1, "--allow-unproven-tables")
    assert again.exit_code == 0, again.output
    assert "Version 1 is the champion" in again.output
    assert "Version 2 is the champion again" in run("rollback").output
    back = run("rollback")
    assert back.exit_code == 1
    assert "nothing to go back to" in back.output


def test_training_as_of_a_date_uses_nothing_known_later(demo: Path, home: Path) -> None:
    result = run(
        "train",
        "--sources",
        demo / "sources.toml",
        "--recipe",
        demo / "recipe.toml",
        "--as-of",
        "2025-02-01",
        "--json",
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["final_dates"][-1] == "2024-11-01"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("train",), 2, "exactly one of --sources and --snapshots"),
        (("train", "--sources", "nowhere.toml"), 1, "no such file"),
        (("train", "--snapshots", "nowhere.parquet"), 1, "cannot be read as Parquet"),
        (("promote", "3"), 1, "There is no version 3"),
        (("rollback",), 1, "There is no champion"),
        (
            ("snapshot", "--sources", "x", "--from", "2025-02-01", "--to", "2025-01-01", "--out", "o"),
            2,
            "lies before",
        ),
    ],
)
def test_wrong_use_ends_in_a_sentence_and_an_exit_code(
    home: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == exit_code
    assert said in " ".join(result.output.replace("│", " ").split())


def test_an_unknown_key_in_a_recipe_is_named_with_the_near_miss(demo: Path, home: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[booster]\nlearning_rat = 0.1\n")
    result = run("train", "--sources", demo / "sources.toml", "--recipe", wrong)
    assert result.exit_code == 1
    assert 'unknown key booster.learning_rat. Did you mean "learning_rate"?' in " ".join(result.output.split())


def test_a_value_that_no_recipe_allows_is_named(demo: Path, home: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[booster]\nnum_leaves = 31\n")
    result = run("train", "--sources", demo / "sources.toml", "--recipe", wrong)
    assert result.exit_code == 1
    assert "booster.num_leaves" in result.output
    assert "31" in result.output


def test_demo_data_writes_tables_sources_and_truth(tmp_path: Path) -> None:
    result = run("demo-data", tmp_path / "made", "--accounts", 20, "--months", 6, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert {"sources.toml", "truth.parquet", "contracts.parquet"} <= {
        p.name for p in (tmp_path / "made").iterdir()
    }
