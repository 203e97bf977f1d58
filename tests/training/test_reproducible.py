"""Same data and seed, same bundle: in fresh processes, with one or two threads, whatever the order of rows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.simulation import simulate

# argv: --sources or --snapshots, its path, a recipe, a home.
TRAIN = """
import sys
from pathlib import Path
from training.commands import _train_from_file, _train_from_sources
from training.recipe import load_recipe
way, path, recipe, home = sys.argv[1:]
train = {"--sources": _train_from_sources, "--snapshots": _train_from_file}[way]
silent = lambda _: lambda done, total: None
print(train(Path(path), None, load_recipe(Path(recipe)), silent, Path(home)).bundle.digest)
"""
RECIPE = """
[booster]
max_rounds = 15
num_threads = {threads}
[folds]
origins = 2
[grid]
final_months = 3
[evaluation]
bootstrap_repeats = 50
"""


def digest(way: str, path: Path, threads: int, scratch: Path, more: str = "") -> str:
    """Train in a process and a home of its own, so that no trials of a search are shared; return the digest."""
    recipe = scratch / f"recipe-{threads}.toml"
    recipe.write_text(f"{more}\n{RECIPE.format(threads=threads)}", encoding="utf-8")
    home = tempfile.mkdtemp(dir=scratch)
    command = [sys.executable, "-c", TRAIN, way, str(path), str(recipe), home]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def shuffled(path: Path, out: Path, seed: int) -> None:
    """Write a Parquet file's rows in another order."""
    table = pq.read_table(path)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    pq.write_table(table.take(pa.array(order)), out)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    simulate(folder, 150, 18, seed=5)
    return folder


def test_from_tables_in_another_order_and_with_another_number_of_threads(company: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sources.toml").write_bytes((company / "sources.toml").read_bytes())
    for number, table in enumerate(sorted(company.glob("*.parquet"))):
        shuffled(table, other / table.name, seed=number)
    first = digest("--sources", company / "sources.toml", 1, tmp_path)
    assert digest("--sources", other / "sources.toml", 2, tmp_path) == first
    assert len(first) == 64


def test_from_a_file_in_another_order(company: Path, tmp_path: Path) -> None:
    from features.sources import load_sources, open_database
    from training.dataset import label_rule, to_file, training_dates
    from training.recipe import load_recipe

    sources, recipe = load_sources(company / "sources.toml"), load_recipe()
    rule, path = label_rule(sources, recipe), tmp_path / "snapshots.parquet"
    with open_database(sources) as database:
        to_file(path, database, training_dates(database, rule, recipe), rule)
    again = tmp_path / "again.parquet"
    shuffled(path, again, seed=3)
    first = digest("--snapshots", path, 1, tmp_path)
    assert digest("--snapshots", again, 2, tmp_path) == first
    assert digest("--snapshots", path, 1, tmp_path, more="seed = 8") != first  # or nothing would be compared
