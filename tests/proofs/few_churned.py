"""What a company with few churned accounts gets: log loss on later months, by how many churned accounts taught.

::

    python -m tests.proofs.few_churned [--repeats 20] [--accounts 10000] [--sizes 8,15,30,60,120,250,500]

One simulated company is split by account. Its larger part is the pool: each repeat draws accounts from it until so
many of them have churned before the final block, and trains on their months before it. The smaller part judges, in
its final block, every time. So nothing that judges has taught: neither its months nor its accounts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import typer

from features.sources import load_sources, open_database
from features.vectors import Floats
from models.decision import score
from training.dataset import Snapshots, gather, label_rule, training_dates
from training.evaluation import row_log_loss
from training.fitting import Material, fit
from training.folds import Split, split_final_block
from training.recipe import load_recipe
from training.run import material_of
from training.search import search
from training.simulation import simulate

if TYPE_CHECKING:
    from features.catalogue import Catalogue

SEED, MONTHS = 21, 30
SIZES = (8, 15, 30, 60, 120, 250, 500)
JUDGE_SHARE = 0.4
TOLERANCE = 0.005  # how much worse than the better of scorecard and booster the blend may be
CONTESTANTS = ("base_rate", "scorecard", "booster", "blend")


@dataclass(frozen=True)
class Company:
    """Its snapshots, and what separates those that may teach from those that judge."""

    material: Material
    split: Split
    teaches: npt.NDArray[np.bool_]  # shape (n,): the row's account is of the pool


def company(snapshots: Snapshots, catalogue: Catalogue, yearly_churn: float | None) -> Company:
    """Split a company by account, and set its final block apart."""
    recipe = load_recipe()
    material = material_of(snapshots, catalogue, recipe, yearly_churn)
    as_of, churned = material.vectors.as_of, material.churned
    split = split_final_block(as_of, churned, recipe.window_days, recipe.grid.final_months)
    names, place = np.unique(material.vectors.account_ids.astype(str), return_inverse=True)
    judges = np.random.default_rng(SEED).random(len(names)) < JUDGE_SHARE
    return Company(material, split, ~judges[place])


def draw(of: Company, churned_accounts: int, seed: int) -> npt.NDArray[np.intp]:
    """Return rows that teach: those of accounts drawn one by one until so many of them have churned.

    Raises
    ------
    ValueError
        The pool has fewer churned accounts.
    """
    rows = of.split.train[of.teaches[of.split.train]]
    names, place = np.unique(of.material.vectors.account_ids[rows].astype(str), return_inverse=True)
    lost = np.bincount(place, weights=of.material.churned[rows] == 1) > 0
    order = np.random.default_rng(seed).permutation(len(names))
    reached = np.flatnonzero(np.cumsum(lost[order]) == churned_accounts)
    if not len(reached):
        raise ValueError(f"the pool has {lost.sum()} churned accounts, {churned_accounts} are asked for")
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[: reached[0] + 1]] = True
    return np.asarray(rows[chosen[place]], dtype=np.intp)


def losses(of: Company, churned_accounts: int, seed: int) -> dict[str, float]:
    """Return each contestant's mean log loss on the rows that judge, of one draw."""
    rows = draw(of, churned_accounts, seed)
    material = replace(of.material, recipe=search(of.material, rows).recipe)
    fitted = fit(material, rows, until=of.split.first_final)
    judge = of.split.final[~of.teaches[of.split.final]]
    answers = score(material.vectors.take(judge), fitted.bundle(material), material.catalogue)
    said: dict[str, Floats] = {
        "base_rate": np.full(len(judge), fitted.base_rate),
        "scorecard": answers.scorecard_probability,
        "booster": answers.model_probability,
        "blend": answers.churn_probability,
    }
    happened = of.material.churned[judge]
    return {name: float(row_log_loss(happened, probability).mean()) for name, probability in said.items()}


@dataclass(frozen=True)
class Line:
    """Means over repeats, with standard errors, of one number of churned accounts."""

    churned_accounts: int
    repeats: int
    mean: dict[str, float]
    error: dict[str, float]

    @property
    def above_base(self) -> float:
        """Log loss of the blend minus that of the base rate."""
        return self.mean["blend"] - self.mean["base_rate"]

    @property
    def above_better(self) -> float:
        """Log loss of the blend minus that of the better of scorecard and booster."""
        return self.mean["blend"] - min(self.mean["scorecard"], self.mean["booster"])

    @property
    def holds(self) -> bool:
        """Whether the blend is never the worse choice."""
        return self.above_base <= 0.0 and self.above_better <= TOLERANCE


def line(of: Company, churned_accounts: int, repeats: int) -> Line:
    """Repeat a number of churned accounts."""
    found = [losses(of, churned_accounts, seed) for seed in range(repeats)]
    by_name = {name: np.array([one[name] for one in found]) for name in CONTESTANTS}
    return Line(
        churned_accounts,
        repeats,
        {name: float(values.mean()) for name, values in by_name.items()},
        {name: float(values.std(ddof=1) / np.sqrt(repeats)) for name, values in by_name.items()},
    )


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| churned accounts | " + " | ".join(CONTESTANTS) + " | above base rate | above the better | |"
    yield "|---" * (len(CONTESTANTS) + 4) + "|"
    for one in lines:
        cells = [f"{one.mean[name]:.4f} ± {one.error[name]:.4f}" for name in CONTESTANTS]
        yield (
            f"| {one.churned_accounts} | {' | '.join(cells)} | {one.above_base:+.4f} | {one.above_better:+.4f} | "
            f"{'holds' if one.holds else 'does not hold'} |"
        )


def simulated(folder: Path, accounts: int, months: int = MONTHS) -> Company:
    """Simulate a company in a folder."""
    simulate(folder, accounts, months, SEED)
    sources, recipe = load_sources(folder / "sources.toml"), load_recipe()
    rule = label_rule(sources, recipe)
    with open_database(sources) as database:
        snapshots = gather(database, training_dates(database, rule, recipe), rule)
    return company(replace(snapshots, left_out=()), sources.catalogue, sources.yearly_churn)


def main(
    repeats: Annotated[int, typer.Option(min=2, help="Draws of each number of churned accounts.")] = 20,
    accounts: Annotated[int, typer.Option(min=100, help="Accounts of the simulated company.")] = 10_000,
    sizes: Annotated[str, typer.Option(help="Churned accounts, comma-separated.")] = ",".join(map(str, SIZES)),
) -> None:
    """Print the table as Markdown; exit 1 if a line does not hold."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        of = simulated(Path(folder), accounts)
    for size in map(int, sizes.split(",")):
        found.append(line(of, size, repeats))
        typer.echo(f"{size} churned accounts: {found[-1].mean}", err=True)
    typer.echo("\n".join(table(found)))
    if not all(one.holds for one in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
