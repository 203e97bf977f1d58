"""A model learns from a signal over a company's own table: TOML and a file, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

import keepsight
from features.catalogue import load_catalogue
from models.bundle import load_bundle
from tests.features.catalogue.test_own_tables import OVERLAY
from tests.files import write_files
from tests.training.test_commands import RECIPE
from training.simulation import simulate

KEPT = ("usage_trend", "nps_score", "licence_utilisation")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small simulated company that also tells who was trained; most of our signals are off, to be quick."""
    simulate(tmp_path, 220, 20, 7)
    write_files(tmp_path / "overlay", OVERLAY)
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT usage_id AS training_id, account_id, occurred_at AS held_at, quantity AS hours, "
            "recorded_at "
            f"FROM '{tmp_path}/usage.parquet' WHERE hash(usage_id) % 50 = 0) TO '{tmp_path}/trainings.parquet'"
        )
    off = [name for name in load_catalogue().definitions.signals if name not in KEPT]
    sources = tmp_path / "sources.toml"
    chosen = f'[catalogue]\noverlay = "overlay"\noff = {off}\n\n[tables.trainings]\npath = "trainings.parquet"\n'
    sources.write_text(f"{sources.read_text()}\n{chosen}")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return sources


def test_a_model_is_trained_on_it_scores_with_it_and_explains_it(sources: Path, home: Path) -> None:
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(keepsight.app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    recipe = sources.parent / "recipe.toml"
    trained = json.loads(run("train", "--sources", sources, "--recipe", recipe, "--json"))
    assert {gate["code"]: gate["verdict"] for gate in trained["gates"]}["G09"] == "pass"
    (folder,) = [path.parent for path in home.rglob("SHA256SUMS")][:1]
    bundle = load_bundle(folder, trusted=True)
    assert "training_hours" in bundle.contract.names
    answer = json.loads(run("explain", "--most-at-risk", "--sources", sources, "--bundle", folder, "--json"))
    assert "training_hours" in {part["id"] for part in answer["contributions"]}
