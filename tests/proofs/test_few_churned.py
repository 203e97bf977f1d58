"""A small version of the proof for companies with few churned accounts; ``python -m tests.proofs.few_churned``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.proofs.few_churned import CONTESTANTS, Company, Line, draw, line, simulated, table


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return simulated(Path(tmp_path_factory.mktemp("few")), accounts=500, months=24)


@pytest.fixture(scope="module")
def twelve(of: Company) -> Line:
    return line(of, churned_accounts=12, repeats=3)


def test_with_twelve_churned_accounts_the_blend_is_not_the_worse_choice(twelve: Line) -> None:
    assert twelve.holds


def test_a_blend_that_says_the_same_of_everybody_would_be_noticed(twelve: Line) -> None:
    """A mutant that has thrown away what the rules know."""
    assert not replace(twelve, mean={**twelve.mean, "blend": twelve.mean["base_rate"]}).holds


def test_a_draw_has_so_many_churned_accounts_and_none_that_judges(of: Company) -> None:
    rows = draw(of, 12, seed=1)
    accounts = of.material.vectors.account_ids[rows]
    assert len(set(accounts[of.material.churned[rows] == 1])) == 12
    judges = set(of.material.vectors.account_ids[of.split.final][~of.teaches[of.split.final]])
    assert not judges & set(accounts)
    window = np.timedelta64(of.material.recipe.window_days, "D")
    assert (of.material.vectors.as_of[rows] + window <= of.split.first_final).all()
    assert not np.array_equal(rows, draw(of, 12, seed=2))


def test_more_than_there_are_is_an_error(of: Company) -> None:
    with pytest.raises(ValueError, match="are asked for"):
        draw(of, 10_000, seed=1)


def test_the_table_shows_every_contestant(twelve: Line) -> None:
    heading, _, row = table([twelve])
    assert all(name in heading for name in CONTESTANTS)
    assert row.endswith("| holds |")
