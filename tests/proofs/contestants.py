"""Who takes part: our training, and what others would do with the same columns."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from features.vectors import Floats
from models.decision import score
from tests.bench.environment import python_with
from training.fitting import Material, fit
from training.folds import Fold
from training.recipe import SearchRecipe
from training.rivals import lightgbm_probabilities, model_columns, ridge_probabilities
from training.search import search

OURS, BY_DEFAULT = "Keepsight", "Keepsight, by default"
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # of the ridge: with thousands of churned accounts it may be bolder
MACHINE = "explainable boosting machine"
BOOSTING_MACHINE = ("interpret-core==0.7.8",)
ENVIRONMENT = Path(__file__).resolve().parents[2] / ".keepsight" / "proofs" / "environment"


def answers(material: Material, folds: Sequence[Fold], trials: int) -> dict[str, list[Floats]]:
    """Return what each contestant says of each fold's later rows."""
    with ThreadPoolExecutor(1) as aside:  # a process of its own, meanwhile
        machine = aside.submit(boosting_machine, material, folds)
        ours = {
            OURS: [ours_with_search(material, fold, trials) for fold in folds],
            BY_DEFAULT: [ours_with_search(material, fold, material.recipe.search.trials) for fold in folds],
        }
        return {**ours, **usual(material, folds), MACHINE: machine.result()}


def ours_alone(material: Material, fold: Fold) -> Floats:
    """Our training with the booster of its recipe; a search comes before it."""
    bundle = fit(material, fold.train).bundle(material)
    return score(material.vectors.take(fold.validate), bundle, material.catalogue).churn_probability


def ours_with_search(material: Material, fold: Fold, trials: int) -> Floats:
    """Our training with a search; neither has seen the later rows."""
    asking = material.recipe.model_copy(update={"search": SearchRecipe(trials=trials, seconds=0)})
    found = search(replace(material, recipe=asking), fold.train)
    return ours_alone(replace(material, recipe=found.recipe), fold)


def usual(material: Material, folds: Sequence[Fold]) -> dict[str, list[Floats]]:
    """The two that take part in every training run's contest."""
    vectors, churned, recipe = material.vectors, material.churned, material.recipe
    return {
        "LightGBM defaults": [
            lightgbm_probabilities(vectors, churned, f.train, f.validate, recipe.seed, recipe.booster.num_threads)
            for f in folds
        ],
        "ridge logistic": [
            ridge_probabilities(vectors, churned, f.train, f.validate, material.folds(f.train), STRENGTHS)
            for f in folds
        ],
    }


def boosting_machine(material: Material, folds: Sequence[Fold]) -> list[Floats]:
    """InterpretML's machine as it comes, on the same columns, in an environment of its own."""
    python = python_with(BOOSTING_MACHINE, ENVIRONMENT)
    places = model_columns(material.vectors)
    columns = [material.vectors.contract.columns[place] for place in places]
    parts = {f"{name}_{n}": getattr(fold, name) for n, fold in enumerate(folds) for name in ("train", "validate")}
    with tempfile.TemporaryDirectory(prefix="keepsight-machine-") as scratch:
        question, answer = Path(scratch) / "question.npz", Path(scratch) / "answer.npz"
        np.savez(
            question,
            values=material.vectors.values[:, places],
            churned=material.churned,
            nominal=[column.kind in ("category", "yes_no") for column in columns],
            folds=len(folds),
            **parts,
        )
        script = Path(__file__).with_name("boosting_machine.py")
        subprocess.run([str(python), "-I", str(script), str(question), str(answer)], check=True)
        with np.load(answer, allow_pickle=False) as told:
            return [told[f"fold_{n}"] for n in range(len(folds))]
