"""A made-up company whose risk is known: vectors without tables, for what lies behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.catalogue import Catalogue, load_catalogue
from features.parquet import write_whole
from features.readings import KNOWN_LETTER, UnknownReason
from features.snapshot_file import vector_table, with_churned
from features.vectors import COVERAGE, UNDER_NOTICE, Floats, Role, Vectors, coverage, feature_contract
from models.scorecard import Scorecard
from training.fitting import Material
from training.recipe import Recipe, load_recipe

CODEBOOKS = {"plan": ["basic", "pro"], "industry": ["bank", "shop"], "region": ["east", "west"]}
# Signal -> log-odds of one unit of trouble; none of them as in the playbook.
EFFECTS = {"usage_trend": 0.9, "open_complaints": 0.7, "champion_change": 0.8, "nps_score": 0.5}
TOGETHER = 0.8  # falling usage while a complaint is open
UNKNOWN_SHARE = 0.12


@dataclass(frozen=True)
class Made:
    """Snapshots with what happened, and the truth behind it."""

    vectors: Vectors
    churned: Floats
    log_odds: Floats
    catalogue: Catalogue

    def material(self, recipe: Recipe | None = None, churned: Floats | None = None) -> Material:
        prior = Scorecard.prior(self.vectors.contract, self.catalogue)
        labels = self.churned if churned is None else churned
        return Material(self.vectors, labels, self.catalogue, prior, recipe or load_recipe())

    def written(self, path: Path) -> Path:
        """Write a file of these snapshots; there are no tables from which `keepsight snapshot` could."""
        write_whole(path, with_churned(vector_table(self.vectors), self.churned))
        return path


def a_company(
    accounts: int = 400, months: int = 20, seed: int = 1, level: float = -4.3, effect: float = 1.0
) -> Made:
    """Return monthly snapshots of accounts until they churn; labels for all but the last three months."""
    rng = np.random.default_rng(seed)
    catalogue = load_catalogue()
    contract = feature_contract(catalogue, CODEBOOKS)
    trouble = {c.name: _wander(rng, accounts, months) for c in contract.items}
    log_odds = np.full((accounts, months), level)
    for name, weight in EFFECTS.items():
        log_odds += effect * weight * np.clip(trouble[name], -1.5, 1.5)
    both = (trouble["usage_trend"] > 0.5) & (trouble["open_complaints"] > 0.5)
    log_odds += effect * TOGETHER * both
    leaves = rng.random((accounts, months)) < 1 / (1 + np.exp(-log_odds))
    last = np.where(leaves.any(axis=1), leaves.argmax(axis=1), months)  # the month in which it leaves
    who, month = np.nonzero(np.arange(months)[None, :] <= last[:, None])
    values = np.full((len(who), len(contract.columns)), np.nan)
    for place, column in enumerate(contract.columns):
        if column.name in trouble:
            values[:, place] = _value(catalogue, column.name, trouble[column.name][who, month], rng)
        elif column.role is Role.FACTOR_AGE:
            values[:, place] = rng.integers(0, 300, len(who))
        elif column.role is Role.CONTEXT and column.kind == "category":
            values[:, place] = rng.integers(0, max(len(column.codebook), 1), len(who))
        elif column.role is Role.CONTEXT:
            values[:, place] = rng.gamma(2.0, 50.0, len(who))
    values[rng.random(values.shape) < UNKNOWN_SHARE] = np.nan
    unknown = np.where(np.isnan(values), UnknownReason.NOT_DELIVERED.letter, KNOWN_LETTER)
    values[:, contract.position[COVERAGE]] = coverage(contract, unknown)
    values[:, contract.position[UNDER_NOTICE]] = 0.0
    unknown[:, [contract.position[COVERAGE], contract.position[UNDER_NOTICE]]] = KNOWN_LETTER
    dates = np.arange("2023-01", np.datetime64("2023-01", "M") + months, dtype="datetime64[M]")
    churned = (last[who] - month < 3).astype(float)
    churned[month > months - 4] = np.nan
    names = np.array([f"account-{number:05d}" for number in range(accounts)], dtype=object)
    vectors = Vectors(contract, names[who], dates[month].astype("datetime64[s]"), values, unknown)
    return Made(vectors, churned, log_odds[who, month], catalogue)


def _wander(rng: np.random.Generator, accounts: int, months: int) -> Floats:
    path = np.empty((accounts, months))
    path[:, 0] = rng.normal(size=accounts)
    for month in range(1, months):
        path[:, month] = 0.9 * path[:, month - 1] + np.sqrt(1 - 0.81) * rng.normal(size=accounts)
    return path


def _value(catalogue: Catalogue, name: str, trouble: Floats, rng: np.random.Generator) -> Floats:
    policy = catalogue.policy.signals.get(name)
    if policy is None:
        return np.clip(np.round(3.6 - 1.2 * trouble), 1, 5)
    if policy.edges is not None:
        width = policy.edges.unhealthy - policy.edges.healthy
        return policy.edges.healthy + width * (trouble - 0.4)
    return np.clip(np.floor(1.4 * trouble), 0, 2)
