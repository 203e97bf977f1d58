from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.proofs.contestants import OURS, ours_alone, usual
from tests.proofs.standing import Figure, Measured, measure, verdicts
from tests.proofs.tables import DATA, TABLES, company, folds_of, snapshots_of
from training.folds import Fold
from training.recipe import load_recipe
from training.run import material_of

RNG = np.random.default_rng(3)


def accounts_with_risk(n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    risk = 1 / (1 + np.exp(-RNG.normal(-1.0, 1.5, n)))
    churned = (RNG.random(n) < risk).astype(float)
    return np.array([f"a{row // 3}" for row in range(n)], dtype=object), churned, risk


@pytest.mark.parametrize("of_folds", [True, False])
def test_who_says_the_same_as_the_best_holds_and_who_is_clearly_worse_does_not(of_folds: bool) -> None:
    accounts, churned, risk = accounts_with_risk()
    rows = np.arange(len(churned))
    validate = np.array_split(rows, 5) if of_folds else [rows]
    folds = [Fold(rows, part) for part in validate]

    def said(probability: np.ndarray) -> Measured:
        return measure(churned, accounts, folds, [probability[part] for part in validate])

    best, noisy = said(risk), said(np.clip(risk + RNG.normal(0, 0.25, len(risk)), 0.02, 0.98))
    others = {"base rate": said(np.full(len(risk), churned.mean())), "the truth": best}
    ranked, judged = verdicts(best, others)
    assert (ranked.best, judged.best) == ("the truth", "the truth")
    assert ranked.holds
    assert judged.holds
    assert (ranked.gap.value, judged.gap.standard_error) == (0, 0)
    assert [verdict.holds for verdict in verdicts(noisy, others)] == [False, False]
    assert all(verdict.gap.value > 0 for verdict in verdicts(noisy, others))


def test_a_difference_within_its_own_standard_error_holds_and_one_beyond_does_not() -> None:
    others = np.array([0.80, 0.84, 0.76])
    for shift, holds in ((np.array([0.01, -0.01, 0.003]), True), (np.array([0.01, 0.012, 0.011]), False)):
        theirs = Figure(float(others.mean()), others, of_folds=True)
        ours = Figure(float((others - shift).mean()), others - shift, of_folds=True)
        # The figures themselves are far less sure than what parts them.
        assert ours.standard_error > 0.02
        ranked, _ = verdicts(replace(_one(theirs), auc=ours), {"other": _one(theirs)})
        assert ranked.holds is holds


def _one(figure: Figure) -> Measured:
    return Measured(figure, figure)


def test_of_one_split_the_error_is_that_of_accounts_and_not_of_rows() -> None:
    _, churned, risk = accounts_with_risk(300)
    copies = np.repeat(np.arange(300), 8)  # the same account again and again tells nothing new
    once = measure(churned, np.arange(300), [Fold(copies, np.arange(300))], [risk])
    often = measure(churned[copies], copies, [Fold(copies, np.arange(len(copies)))], [risk[copies]])
    assert often.log_loss.standard_error == pytest.approx(once.log_loss.standard_error, rel=0.01)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_taken_in_by_its_sources_alone(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no data set {DATA / name}")
    recipe = load_recipe()
    with company(name, DATA) as sources:
        snapshots = snapshots_of(sources, recipe)
    folds = folds_of(TABLES[name], snapshots, recipe, DATA)
    as_of, window = snapshots.vectors.as_of, np.timedelta64(recipe.window_days, "D")
    if TABLES[name].in_file is None:
        ((train, validate),) = [(fold.train, fold.validate) for fold in folds]
        assert len(np.unique(as_of[validate])) == 6
        assert as_of[train].max() + window <= as_of[validate].min()
    else:
        assert len(folds) == 5
        assert sorted(np.concatenate([fold.validate for fold in folds])) == list(range(len(as_of)))
        rates = [snapshots.churned[fold.validate].mean() for fold in folds]
        assert max(rates) - min(rates) < 0.002  # stratified
    judged = np.concatenate([fold.validate for fold in folds])
    assert snapshots.churned[judged].mean() == pytest.approx(RATES[name], abs=0.002)


# As the README of the data says, and for the dated ones as counted on the final months.
RATES = {
    "ibm_telco": 0.265,
    "mlc_churn": 0.141,
    "uci_online_retail": 0.486,
    "fightchurn_crm6": 0.051,
    "saasguard": 0.035,
}


def test_on_two_folds_of_a_real_table_ours_is_no_worse_than_what_others_would_do() -> None:
    if not (DATA / "ibm_telco").is_dir():
        pytest.skip(f"no data set {DATA / 'ibm_telco'}")
    recipe, table = load_recipe(), TABLES["ibm_telco"]
    with company(table.name, DATA) as sources:
        snapshots = snapshots_of(sources, recipe)
        material = material_of(snapshots, sources.catalogue, recipe, sources.yearly_churn)
    folds = folds_of(table, snapshots, recipe, DATA)[:2]
    told = {OURS: [ours_alone(material, fold) for fold in folds], **usual(material, folds)}
    accounts = material.vectors.account_ids
    measured = {name: measure(material.churned, accounts, folds, said) for name, said in told.items()}
    ours = measured.pop(OURS)
    assert all(verdict.holds for verdict in verdicts(ours, measured))
    assert ours.auc.value > 0.83
