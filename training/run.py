"""One training run: fit, prove on months that were not seen, judge by gates, and fit again on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.catalogue import Catalogue
from features.vectors import Vectors
from models.bundle import Bundle
from models.scorecard import Scorecard
from training import gates as gate
from training.card import model_card
from training.contest import Contest, hold_contest
from training.dataset import Snapshots, refuse_other_labels, rule_of
from training.definition import LabelRule
from training.fitting import Fit, Material, fit
from training.folds import Split, churned_accounts, split_final_block
from training.gates import Gate
from training.horizons import HorizonProof, prove_horizons
from training.probes import changed_columns, known_in_spite, most_telling, sample_at, shuffled
from training.recipe import Recipe
from training.search import Found, Progress, search

RECHECKED_ACCOUNTS = 200
TOO_SHORT = "the history is too short to set months apart that nothing has learnt from."

# Rebuilds the vectors of some accounts at one date from data that end there.
Rebuild = Callable[[Sequence[str], np.datetime64], Vectors]
Stage = Callable[[str], Progress]  # what it returns is called with (done, in all)


@dataclass(frozen=True)
class Proof:
    """A training run's outcome.

    Attributes
    ----------
    snapshots
        What it was trained and judged on.
    material
        The rows, the catalogue, the prior and the recipe: where there was a search, the one that it found.
    search
        None where the recipe asked for none.
    split
        What learnt and what judged.
    proven
        The fit on the rows before the final block; all figures are its own.
    contest
        None where the history was too short for a final block.
    horizons
        What came of the other horizons; none where there was no final block.
    gates
        All of them, in order.
    verdict
        One sentence: what was learnt, or that nothing was.
    registered
        The fit on all rows with a label.
    bundle
        What is registered, card and all.
    rule
        What counted as churn.
    """

    snapshots: Snapshots
    material: Material
    search: Found | None
    split: Split
    proven: Fit
    contest: Contest | None
    horizons: tuple[HorizonProof, ...]
    gates: tuple[Gate, ...]
    verdict: str
    registered: Fit
    bundle: Bundle
    rule: LabelRule


def train(
    snapshots: Snapshots,
    catalogue: Catalogue,
    recipe: Recipe,
    *,
    yearly_churn: float | None = None,
    rebuild: Rebuild | None = None,
    stage: Stage | None = None,
    searches: Path | None = None,
) -> Proof:
    """Train and prove a model.

    Parameters
    ----------
    snapshots
        Vectors with labels; rows without a label are left out.
    catalogue
        In force; its definitions must be those of the vectors.
    recipe
        All numbers.
    yearly_churn
        What the company says of itself: where the scorecard's prior begins.
    rebuild
        Computes vectors again from data that end at their date (gate G09); None where there are no tables.
    stage
        Told what begins.
    searches
        Folder in which the trials of a search are kept, so that one that was interrupted goes on; None: nowhere.

    Raises
    ------
    TrainingError
        No labels, one answer only, or labels by another definition than the recipe asks.
    ContractMismatchError
        The vectors were made by other definitions.
    """
    tell = stage or (lambda _: lambda _done, _total: None)
    refuse_other_labels(snapshots, recipe, catalogue)
    rule = rule_of(recipe, catalogue) if snapshots.labelled is None else snapshots.labelled.rule
    material = material_of(snapshots, catalogue, recipe, yearly_churn)
    vectors, churned = material.vectors, material.churned
    split = split_final_block(vectors.as_of, churned, recipe.window_days, recipe.grid.final_months)
    found = None
    if recipe.search.trials:
        progress = tell("search on the months before the final block")
        found = search(material, split.train, folder=searches, progress=progress)
        material = replace(material, recipe=found.recipe)
    tell("fit on the months before the final block")
    proven = fit(material, split.train, until=split.first_final if len(split.final) else None)
    contest, horizons = None, list[HorizonProof]()
    if len(split.final):
        tell("contest on the final block")
        contest = hold_contest(material, proven, split, snapshots.event_at)
        horizons = prove_horizons(material, proven, split, contest)
    tell("leakage probes and gates")
    gates = _gates(snapshots, material, split, proven, contest, rebuild)
    gates += [gate.horizons_hold(horizons), gate.intervals_hold(contest.intervals if contest else None, gates[0])]
    tell("fit on all months")
    registered = fit(material, np.flatnonzero(~np.isnan(churned)))
    registered = replace(registered, hazard=registered.hazard.with_proven([h.days for h in horizons if h.holds]))
    verdict = _verdict(contest, gates)
    card = model_card(snapshots, rule, material, split, proven, registered, contest, horizons, gates, verdict)
    bundle = replace(registered.bundle(material, card), recipe=material.recipe.to_toml(remark=rule.text))
    proved = (split, proven, contest, tuple(horizons), tuple(gates), verdict)
    return Proof(snapshots, material, found, *proved, registered, bundle, rule)


def material_of(
    snapshots: Snapshots, catalogue: Catalogue, recipe: Recipe, yearly_churn: float | None
) -> Material:
    """Put together what every fit of a run shares; the scorecard's prior begins at `yearly_churn`."""
    contract = snapshots.vectors.contract
    prior = Scorecard.prior(contract, catalogue, yearly_churn, recipe.labels.horizon_days)
    return Material(snapshots.vectors, snapshots.churned, catalogue, prior, recipe, snapshots.by_horizon)


def _gates(
    snapshots: Snapshots,
    material: Material,
    split: Split,
    proven: Fit,
    contest: Contest | None,
    rebuild: Rebuild | None,
) -> list[Gate]:
    recipe, labelled = material.recipe.gates, np.flatnonzero(~np.isnan(material.churned))
    telling = most_telling(material.vectors.take(labelled), material.churned[labelled])
    left_out = snapshots.left_out
    used = known_in_spite(material.vectors, material.catalogue.definitions, left_out or ())
    timed = gate.timed(None if left_out is None else [str(item) for item in left_out], used)
    too_good = gate.no_column_too_good(telling, recipe)
    if contest is None:
        judged = gate.not_judged(["G01", "G02", "G03", "G04", "G05"], TOO_SHORT)
        return [*judged, too_good, *gate.not_judged(["G07"], TOO_SHORT), timed, _rechecked(snapshots, rebuild)]
    accounts = material.vectors.account_ids
    enough = gate.enough_churned(
        proven.churned_accounts, churned_accounts(accounts[split.final], material.churned[split.final]), recipe
    )
    window = np.timedelta64(material.recipe.window_days, "D")
    return [
        enough,
        gate.beats_base_rate(contest, enough),
        gate.not_worse_than_simple(contest, recipe),
        gate.calibrated(contest, recipe),
        gate.shuffled_teach_nothing(shuffled(material, split)),
        too_good,
        gate.windows_apart(material.vectors.as_of[split.train].max() + window, split.first_final),
        timed,
        _rechecked(snapshots, rebuild),
    ]


def _rechecked(snapshots: Snapshots, rebuild: Rebuild | None) -> Gate:
    vectors = snapshots.vectors
    # A date with a year of later records behind it, where the history is that long: there is most to leak.
    dates = np.unique(vectors.as_of)
    date = dates[len(dates) // 2]
    if rebuild is None:
        return gate.later_records_change_nothing(None, 0, date)
    ours = vectors.take(sample_at(vectors, date, RECHECKED_ACCOUNTS))
    again = rebuild(list(ours.account_ids), date)
    return gate.later_records_change_nothing(changed_columns(ours, again), len(ours), date)


def _verdict(contest: Contest | None, gates: Sequence[Gate]) -> str:
    """Say in a sentence what was learnt."""
    if contest is None:
        return f"It cannot be said whether anything was learnt: {TOO_SHORT}"
    blend, base = contest.scores["blend"], contest.scores["base_rate"]
    figures = f"log loss {blend.log_loss:.4f}, the base rate alone {base.log_loss:.4f}"
    area = "" if blend.auc is None else f", AUC {blend.auc:.3f}"
    match {g.code: g.verdict for g in gates}["G02"]:
        case gate.Verdict.PASS:
            said = "On the final block the blend tells more than the base rate"
        case gate.Verdict.CANNOT_JUDGE:
            said = "It cannot be said whether anything was learnt, with so few churned accounts"
        case _:
            said = "Nothing was learnt: on the final block the blend does not beat the base rate beyond chance"
    return f"{said}: {figures}{area}."
