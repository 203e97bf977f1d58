"""Accounts and models for these tests: the real catalogue, made-up vectors, small LightGBM models."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
import pytest

from features.catalogue import Catalogue, load_catalogue
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import FeatureContract, Role, Vectors, feature_contract
from models.blend import Blend
from models.booster import booster_text
from models.bundle import Bundle
from models.calibration import Platt
from models.design import design_matrix, training_medians
from models.hazard import Hazard, Stretch
from models.scorecard import Scorecard
from models.signs import judge
from models.start import Start

CODEBOOKS = {"plan": ("basic", "pro", "enterprise"), "industry": ("retail", "bank"), "region": ("emea", "apac")}
AS_OF = np.datetime64(dt.datetime(2025, 1, 1), "s")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def contract(catalogue: Catalogue) -> FeatureContract:
    return feature_contract(catalogue, CODEBOOKS)


AnAccount = Callable[..., Vectors]


def an_account_of(
    contract: FeatureContract, values: Mapping[str, float], missing: Mapping[str, UnknownReason]
) -> Vectors:
    row = np.full((1, len(contract.columns)), np.nan)
    letters = np.full(row.shape, UnknownReason.NOT_GIVEN.letter)
    for name, value in values.items():
        row[0, contract.position[name]] = value
        letters[0, contract.position[name]] = KNOWN_LETTER
    for name, reason in missing.items():
        letters[0, contract.position[name]] = reason.letter
    return Vectors(contract, np.array(["acme"], dtype=object), np.array([AS_OF]), row, letters)


@pytest.fixture(scope="session")
def an_account(contract: FeatureContract) -> AnAccount:
    """`an_account(usage_trend=0.5, missing={"arr": UnknownReason.NOT_CONNECTED})`: the rest is not given."""

    def make(missing: Mapping[str, UnknownReason] | None = None, **values: float) -> Vectors:
        return an_account_of(contract, values, missing or {})

    return make


# Ranges that cross every edge of the catalogue, with round numbers so that edges are met exactly.
RANGES: dict[str, tuple[float, ...]] = {
    "licence_utilisation": (0.0, 0.2, 0.3, 0.5, 0.6, 0.8, 0.95),
    "licence_change": (-0.5, -0.2, -0.1, 0.0, 0.2),
    "usage_trend": (0.0, 0.5, 0.7, 0.8, 0.9, 1.1),
    "days_since_last_use": (0, 3, 7, 15, 30, 90),
    "feature_breadth": (0.05, 0.2, 0.3, 0.4, 0.7),
    "stale_implementation": (10, 120, 180, 240, 400),
    "onboarding_adoption": (0.1, 0.3, 0.5, 0.6, 0.9),
    "support_load": (0.0, 0.1, 0.3, 1.0, 3.0, 4.0, 6.0, 9.0),
    "slow_resolution": (0.5, 1.5, 2.0, 3.0, 5.0),
    "support_satisfaction": (1.0, 3.0, 3.5, 4.0, 5.0),
    "nps_score": (2.0, 6.5, 7.5, 8.5, 9.5),
    "nps_change": (-5.0, -2.5, -2.0, -1.5, 0.0, 2.0),
    "beginner_questions": (0.0, 0.5, 1.0, 3.0),
    "community_silence": (1, 30, 45, 60, 200),
    "community_absence": (0, 1),
    "contract_requests": (0, 1, 2, 4),
}
COUNTS = (0, 1, 2)
CONTEXT: dict[str, tuple[float, float]] = {
    "days_to_notice_deadline": (-10, 365),
    "days_to_renewal": (0, 400),
    "tenure_days": (10, 2000),
    "licences": (1, 500),
    "arr": (1_000, 500_000),
    "contract_length_days": (30, 1095),
}


def some_vectors_of(contract: FeatureContract, n: int, seed: int, unknown_share: float) -> Vectors:
    """n made-up accounts, healthy more often than not, with unknowns of several reasons."""
    rng = np.random.default_rng(seed)
    values = np.full((n, len(contract.columns)), np.nan)
    for place, column in enumerate(contract.columns):
        if column.role is Role.SIGNAL:
            choices = np.array(RANGES.get(column.name, COUNTS), dtype=float)
            values[:, place] = rng.choice(choices, n)
        elif column.role is Role.FACTOR:
            values[:, place] = rng.integers(1, 6, n)
        elif column.role is Role.FACTOR_AGE:
            values[:, place] = rng.integers(0, 360, n)
        elif column.kind == "category":
            values[:, place] = rng.integers(0, len(column.codebook), n)
        elif column.role is Role.CONTEXT:
            values[:, place] = rng.uniform(*CONTEXT.get(column.name, (0.0, 1.0)), n).round(2)
        else:
            values[:, place] = 0.0
    hidden = rng.random(values.shape) < unknown_share * rng.uniform(0.2, 1.8, (n, 1))
    hidden[:, [contract.position["under_notice"], contract.position["days_since_last_use"]]] = False
    for column in contract.items:
        if column.role is Role.FACTOR:  # a rating and its age come and go together
            hidden[:, contract.position[f"{column.name}_age_days"]] = hidden[:, contract.position[column.name]]
    letters = np.where(hidden, rng.choice(list("dahfbg"), values.shape), KNOWN_LETTER)
    values[hidden] = np.nan
    names = np.array([f"account_{row}" for row in range(n)], dtype=object)
    return Vectors(contract, names, np.full(n, AS_OF), values, letters)


SomeVectors = Callable[..., Vectors]


@pytest.fixture(scope="session")
def some_vectors(contract: FeatureContract) -> SomeVectors:
    def make(n: int = 200, seed: int = 1, unknown_share: float = 0.3) -> Vectors:
        return some_vectors_of(contract, n, seed, unknown_share)

    return make


def a_bundle_of(catalogue: Catalogue, vectors: Vectors, *, trees: int = 60, **changed: Any) -> Bundle:
    """A small model, trained as the real ones are; unknown readings go with *staying*, to tempt it."""
    rng = np.random.default_rng(5)
    scorecard = Scorecard.prior(vectors.contract, catalogue, 0.2)
    judgements = judge(vectors, catalogue.policy, catalogue.definitions)
    known = ~np.isnan(judgements.severity)
    worse = np.where(known, judgements.severity, 0.0).sum(axis=0)
    means = np.where(known.any(axis=0), worse / np.maximum(known.sum(axis=0), 1), scorecard.mean_severity)
    scorecard = scorecard.refitted(scorecard.coefficients, means, scorecard.intercept)
    start = scorecard.log_odds(judgements)
    hidden = np.isnan(vectors.values[:, vectors.contract.item_positions]).mean(axis=1)
    together = (vectors.column("usage_trend") < 0.8) & (vectors.column("licences") > 200)
    truth = 0.5 * start - 0.5 + 1.5 * together - 2.0 * hidden
    churned = (rng.random(len(vectors)) < 1.0 / (1.0 + np.exp(-truth))).astype(float)
    medians = training_medians(vectors, catalogue.definitions)
    design = design_matrix(vectors, medians)
    data = lightgbm.Dataset(
        design.X,
        churned,
        init_score=start,
        feature_name=list(design.names),
        categorical_feature=list(design.categorical),
        free_raw_data=False,
    )
    parameters = {
        "objective": "binary",
        "num_leaves": 8,
        "max_depth": 4,
        "learning_rate": 0.1,
        "min_data_in_leaf": 15,
        "monotone_constraints": list(design.monotone),
        "monotone_constraints_method": "basic",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 3,
        "verbose": -1,
    }
    if trees == 0:  # a model that learns nothing: one tree with one leaf
        parameters["min_data_in_leaf"] = len(vectors)
    booster = lightgbm.train(parameters, data, max(trees, 1))
    parts: dict[str, Any] = {
        "booster_text": booster_text(booster),
        "start": Start(1.0, 0.0),
        "platt": Platt(-0.1, 0.8),
        "scorecard": scorecard,
        "blend": Blend(60.0, float(churned.sum()), float(np.nanmedian(judgements.coverage))),
        "contract": vectors.contract,
        "medians": medians,
        "hazard": Hazard(
            90,
            (Stretch(30, -0.9, 0.1, proven=True),),
            (Stretch(180, -0.2, 0.8, proven=True), Stretch(365, 0.3, 0.7)),
        ),
        "base_rate": float(churned.mean()),
        "recipe": "trees = 60\n",
        "model_card": "# A model for tests\n",
    }
    return Bundle(**{**parts, **changed})


@pytest.fixture(scope="session")
def bundle(catalogue: Catalogue, some_vectors: SomeVectors) -> Bundle:
    return a_bundle_of(catalogue, some_vectors(3000, seed=11))


@pytest.fixture(scope="session")
def a_bundle(catalogue: Catalogue, some_vectors: SomeVectors) -> Callable[..., Bundle]:
    """`a_bundle(vectors=None, trees=60, **changed)`: trained anew, with some parts changed."""

    def make(vectors: Vectors | None = None, **changed: Any) -> Bundle:
        return a_bundle_of(catalogue, vectors or some_vectors(1500, seed=12), **changed)

    return make
