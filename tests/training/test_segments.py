from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.vectors import Vectors
from tests.training.fabricated import a_company
from training.contest import final_block
from training.evaluation import Block
from training.folds import split_final_block
from training.recipe import Recipe, SegmentRecipe
from training.segments import Segment, segments_of

HOW = SegmentRecipe(fewest_accounts=20, fewest_churned_accounts=5)


@pytest.fixture(scope="module")
def judged(quick: Recipe) -> tuple[Vectors, Block, np.ndarray]:
    made = a_company(accounts=350)
    material = made.material(quick)
    split = split_final_block(made.vectors.as_of, made.churned, 90, 6)
    said = np.random.default_rng(1).beta(1, 12, len(split.final))
    return made.vectors.take(split.final), final_block(material, split), said


def by(segments: tuple[Segment, ...], column: str) -> dict[str | None, Segment]:
    return {segment.value: segment for segment in segments if segment.column == column}


def test_every_figure_is_that_of_the_segments_own_rows(judged: tuple[Vectors, Block, np.ndarray]) -> None:
    final, block, said = judged
    for segment in segments_of(final, block, said, HOW):
        values = final.category(segment.column)
        rows = [row for row in range(len(final)) if values[row] == segment.value]
        assert segment.snapshots == len(rows)
        assert segment.accounts == len({final.account_ids[row] for row in rows})
        lost = {final.account_ids[row] for row in rows if block.churned[row] == 1}
        assert segment.churned_accounts == len(lost)
        if segment.figures is not None:
            rate = sum(block.churned[row] for row in rows) / len(rows)
            told = sum(said[row] for row in rows) / len(rows)
            losses = [-np.log(said[row] if block.churned[row] == 1 else 1 - said[row]) for row in rows]
            assert segment.figures.churned == pytest.approx(rate)
            assert segment.figures.gap == pytest.approx(rate - told)
            assert segment.figures.scores.log_loss == pytest.approx(sum(losses) / len(rows))
            low, high = segment.figures.churned_interval or (1.0, 0.0)
            assert low <= rate <= high


def test_the_segments_of_a_column_make_up_the_block_unknown_ones_included(
    judged: tuple[Vectors, Block, np.ndarray],
) -> None:
    final, block, said = judged
    segments = segments_of(final, block, said, HOW)
    assert {segment.column for segment in segments} == {"stage", "plan", "industry", "region"}
    for column in ("stage", "plan", "industry", "region"):
        mine = by(segments, column)
        assert None in mine
        assert sum(segment.snapshots for segment in mine.values()) == len(block)


def test_a_small_segment_is_withheld_with_the_reason(judged: tuple[Vectors, Block, np.ndarray]) -> None:
    final, block, said = judged
    values, place = final.values.copy(), final.contract.position["plan"]
    values[:, place] = 0.0
    few, lucky = np.unique(block.account)[:7], np.unique(block.account[block.churned == 0])
    never = np.setdiff1d(lucky, np.unique(block.account[block.churned == 1]))[:40]
    values[np.isin(block.account, never), place] = np.nan
    values[np.isin(block.account, few), place] = 1.0
    plans = by(segments_of(replace(final, values=values), block, said, HOW), "plan")
    assert plans["pro"].figures is None
    assert plans["pro"].withheld == "7 accounts; wanted are 20"
    assert plans[None].withheld == "0 churned accounts; wanted are 5"
    assert plans["basic"].withheld is None


def test_a_column_that_is_unknown_throughout_has_no_segments(judged: tuple[Vectors, Block, np.ndarray]) -> None:
    final, block, said = judged
    values = final.values.copy()
    values[:, final.contract.position["region"]] = np.nan
    assert not by(segments_of(replace(final, values=values), block, said, HOW), "region")
