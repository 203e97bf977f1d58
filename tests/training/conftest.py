"""Made companies and runs, and one migrated MLflow store for all workers: a new one takes seconds."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.fabricated import Made, a_company
from training.dataset import Snapshots
from training.recipe import Recipe, load_recipe
from training.run import Proof, train
from training.search import OFF
from training.tracking import Tracking


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """The default recipe with fewer trees and draws, and no search."""
    recipe = load_recipe()
    return recipe.model_copy(
        update={
            "booster": recipe.booster.model_copy(update={"max_rounds": 60, "learning_rate": 0.1}),
            "search": OFF,
            "folds": recipe.folds.model_copy(update={"origins": 3}),
            "evaluation": recipe.evaluation.model_copy(update={"bootstrap_repeats": 100}),
        }
    )


@pytest.fixture(scope="session")
def company() -> Made:
    """A company in which some signals go with churn."""
    return a_company(accounts=550)


def snapshots_of(made: Made) -> Snapshots:
    nowhere = np.full(len(made.vectors), "NaT", dtype="datetime64[s]")
    return Snapshots(made.vectors, made.churned, nowhere, left_out=())


@pytest.fixture(scope="session")
def proof(company: Made, quick: Recipe) -> Proof:
    return train(
        snapshots_of(company),
        company.catalogue,
        quick,
        rebuild=lambda accounts, date: _same(company, accounts, date),
    )


def _same(made: Made, accounts: object, date: np.datetime64) -> object:
    there = (made.vectors.as_of == date) & np.isin(made.vectors.account_ids.astype(str), list(accounts))  # type: ignore[call-overload]
    return made.vectors.take(np.flatnonzero(there))


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database with its tables, made by whichever worker comes first."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    store, lock = shared / "migrated-mlflow.db", shared / "migrated-mlflow.lock"
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        for _ in range(600):
            if store.exists():
                return store
            time.sleep(0.1)
        raise TimeoutError(f"{store} was not made by the worker that began to") from None
    making = tmp_path_factory.mktemp("store")
    with Tracking(making)._mlflow() as mlflow:
        mlflow.search_experiments()
    (making / "mlflow.db").replace(store)
    return store


@pytest.fixture
def home(migrated_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh `$KEEPSIGHT_HOME`."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(migrated_store, folder / "mlflow.db")
    monkeypatch.setenv("KEEPSIGHT_HOME", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder
