"""``python -m tests.proofs.public_tables``: our training on the public tables, beside what others would do.

Everyone is measured in the same run, on the same columns and folds. Exits with 1 where ours is worse than the best
of the others by more than one standard error of the difference, or the table without a signal is not refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tests.proofs.contestants import BY_DEFAULT, OURS, answers
from tests.proofs.standing import Measured, Verdict, measure, verdicts
from tests.proofs.tables import DATA, NULL, TABLES, Table, company, folds_of, snapshots_of
from training.dataset import rebuild_from
from training.gates import refusals
from training.recipe import Recipe, load_recipe
from training.run import material_of, train

TRIALS = 8


@dataclass(frozen=True)
class Stand:
    """How all contestants stand on one table."""

    table: Table
    rows: str
    measured: Mapping[str, Measured]

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        others = {name: of for name, of in self.measured.items() if name not in (OURS, BY_DEFAULT)}
        return verdicts(self.measured[OURS], others)

    def markdown(self) -> str:
        ranked, judged = self.verdicts
        lines = [
            f"### {self.table.name}",
            "",
            f"{self.rows} Published: {self.table.published}.",
            "",
            "| contestant | AUC | log loss |",
            "|---|---|---|",
            *(f"| {name} | {of.auc} | {of.log_loss} |" for name, of in self.measured.items()),
            f"| **{OURS} to the best of the others** | {ranked} | {judged} |",
        ]
        return "\n".join(lines)


def stand(table: Table, data: Path, recipe: Recipe, trials: int) -> Stand:
    """Measure everyone on one table."""
    with company(table.name, data) as sources:
        snapshots = snapshots_of(sources, recipe)
        material = material_of(snapshots, sources.catalogue, recipe, sources.yearly_churn)
    folds = folds_of(table, snapshots, recipe, data)
    told = answers(material, folds, trials)
    accounts = material.vectors.account_ids
    measured = {name: measure(material.churned, accounts, folds, said) for name, said in told.items()}
    return Stand(table, _rows(material.churned, material.vectors.as_of, folds), measured)


def _rows(churned: np.ndarray, as_of: np.ndarray, folds: list) -> str:
    judged = np.concatenate([fold.validate for fold in folds])
    share = f"{churned[judged].mean():.1%} churned"
    if len(folds) > 1:
        return f"{len(judged):,} accounts, {share}; {len(folds)} folds, ± is the standard error over folds."
    learnt, days = len(folds[0].train), np.unique(as_of[judged]).astype("datetime64[D]")
    return (
        f"{len(judged):,} snapshots of {days[0]} to {days[-1]}, {share}; learnt from {learnt:,} whose label "
        "windows had ended; ± is the standard error by bootstrap over accounts."
    )


def refused(data: Path, recipe: Recipe) -> tuple[str, bool]:
    """Train on the table without a signal, and return what stands against promotion."""
    with company(NULL, data) as sources:
        snapshots = snapshots_of(sources, recipe)
        rebuild = rebuild_from(sources, snapshots.vectors.contract)
        proof = train(snapshots, sources.catalogue, recipe, yearly_churn=sources.yearly_churn, rebuild=rebuild)
    against = refusals(proof.gates)
    lines = [f"### {NULL}", "", f"There is nothing to find, and the run says so: {proof.verdict}", ""]
    lines += [f"- {reason}" for reason in against] or ["- **NOT REFUSED**"]
    return "\n".join(lines), any(reason.startswith("G02") for reason in against)


def main(
    data: Annotated[Path, typer.Option(help="Folder of the public tables.")] = DATA,
    only: Annotated[str, typer.Option(help="Names of tables, with commas between; none: all.")] = "",
    trials: Annotated[int, typer.Option(help="Boosters that our search tries.", min=1)] = TRIALS,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write.", show_default=False)] = None,
) -> None:
    """Measure our training on the public tables."""
    recipe, asked = load_recipe(), only.split(",") if only else [*TABLES, NULL]
    said, held = [], True
    for name in asked:
        start = time.monotonic()
        if name == NULL:
            text, holds = refused(data, recipe)
        else:
            stood = stand(TABLES[name], data, recipe, trials)
            text, holds = stood.markdown(), all(verdict.holds for verdict in stood.verdicts)
        print(f"{text}\n\n", flush=True)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        said.append(text)
        held = held and holds
    if out is not None:
        out.write_text("\n\n".join([HEAD.format(trials=trials), *said]) + "\n", encoding="utf-8")
    raise typer.Exit(0 if held else 1)


HEAD = """# Our training on public tables

Written by `python -m tests.proofs.public_tables --trials {trials} --out tests/proofs/public_tables.md`; what is
measured, and how, stands in README.md beside this file."""

if __name__ == "__main__":
    typer.run(main)
