"""The public tables, taken in by ``sources.toml`` alone, and the folds that they are judged on."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.sources import Sources, load_sources, open_database
from training.dataset import Snapshots, gather, label_rule, training_dates
from training.folds import Fold, split_final_block
from training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
COMPANIES = ROOT / "notebooks" / "companies"
DATA = ROOT.parent / "shared" / "data"
AS_IN_SOURCES = "../../../../shared/data"  # how the companies' sources.toml name the data


@dataclass(frozen=True)
class Table:
    """A public table.

    `in_file`: of a flat one, the file and its column of account ids: its folds follow the file's order. None: it
    is dated, and judged on its final months. `published`: what others reached, on folds of their own.
    """

    name: str
    published: str
    in_file: tuple[str, str] | None = None


TABLES = {
    table.name: table
    for table in (
        Table(
            "ibm_telco",
            "EBM 0.852 ± 0.006, logistic 0.849 ± 0.005, XGBoost 0.828 ± 0.010 (InterpretML)",
            ("WA_Fn-UseC_-Telco-Customer-Churn.csv", "customerID"),
        ),
        Table("mlc_churn", "LightGBM AUC 0.922, log loss 0.158", ("mlc_churn.csv", "rownames")),
        Table("uci_online_retail", "LightGBM AUC 0.772, recency alone 0.658"),
        Table("fightchurn_crm6", "LightGBM AUC 0.674, near-oracle 0.709"),
        Table("saasguard", "LightGBM AUC 0.998, far too easy"),
    )
}
NULL = "ravenstack"  # there is nothing to find


@contextmanager
def company(name: str, data: Path) -> Iterator[Sources]:
    """Yield a company's sources, reading the public data from the folder `data`."""
    with tempfile.TemporaryDirectory(prefix="keepsight-proof-") as scratch:
        folder = Path(scratch) / name
        shutil.copytree(COMPANIES / name, folder)
        sources = folder / "sources.toml"
        text = sources.read_text(encoding="utf-8")
        sources.write_text(text.replace(AS_IN_SOURCES, str(data.resolve())), encoding="utf-8")
        yield load_sources(sources)


def snapshots_of(sources: Sources, recipe: Recipe) -> Snapshots:
    rule = label_rule(sources, recipe)
    with open_database(sources) as database:
        return gather(database, training_dates(database, rule, recipe), rule, horizons=recipe.horizons.days)


def folds_of(table: Table, snapshots: Snapshots, recipe: Recipe, data: Path) -> list[Fold]:
    """Return five stratified folds of a flat table, or the one split before the final months of a dated one."""
    vectors, churned = snapshots.vectors, snapshots.churned
    if table.in_file is None:
        split = split_final_block(vectors.as_of, churned, recipe.window_days, recipe.grid.final_months)
        return [Fold(split.train, split.final)]
    from sklearn.model_selection import StratifiedKFold

    place = {account: row for row, account in enumerate(vectors.account_ids)}
    rows = np.array([place[account] for account in _accounts(data / table.name, *table.in_file)])
    five = StratifiedKFold(5, shuffle=True, random_state=0).split(rows, churned[rows])
    return [Fold(np.sort(rows[train]), np.sort(rows[test])) for train, test in five]


def _accounts(folder: Path, file: str, column: str) -> list[str]:
    with (folder / file).open(encoding="utf-8", newline="") as lines:
        return [row[column] for row in csv.DictReader(lines)]
