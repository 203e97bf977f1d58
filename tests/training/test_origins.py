"""Rolling origins: what learnt lies before what judged, whole windows apart, and the figures are theirs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from training.origins import origin
from training.run import Proof


def test_the_figures_are_those_of_the_months() -> None:
    as_of = np.array(["2025-01-01", "2025-02-01", "2025-02-01", "2025-02-01"], dtype="datetime64[s]")
    accounts = np.array(["a", "a", "b", "c"], dtype=object)
    churned = np.array([1.0, 1.0, 0.0, 0.0])
    said = np.log(np.array([0.4, 0.6, 0.2, 0.5]) / np.array([0.6, 0.4, 0.8, 0.5]))
    found = origin(as_of, accounts, churned, 0.25, 7, {"blend": said})
    assert (found.first, found.last, found.snapshots, found.churned_accounts) == ("2025-01-01", "2025-02-01", 4, 1)
    assert found.log_loss["blend"] == pytest.approx(-np.log([0.4, 0.6, 0.8, 0.5]).mean())
    assert found.log_loss["base_rate"] == pytest.approx(-np.log([0.25, 0.25, 0.75, 0.75]).mean())
    assert found.auc == 0.75


def test_every_origin_judges_later_months_than_it_learnt_from(proof: Proof) -> None:
    origins = proof.proven.origins
    assert len(origins) == proof.proven.folds >= 2
    assert all(one.last < after.first for one, after in pairwise(origins))
    learnt = [one.learnt_from for one in origins]
    assert learnt == sorted(learnt)
    assert origins[-1].last < str(proof.split.first_final)[:10]
    assert "## Rolling origins" in proof.bundle.model_card
    assert f"| {origins[0].first} to {origins[0].last} | {origins[0].learnt_from} |" in proof.bundle.model_card
