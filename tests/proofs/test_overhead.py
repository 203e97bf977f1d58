"""A small version of ``python -m tests.proofs.overhead``: figures are taken, and a run that costs more shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.proofs.overhead import Cost, cost, snapshot_file


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Cost:
    return cost(snapshot_file(Path(tmp_path_factory.mktemp("overhead")), accounts=150))


def test_every_call_of_a_run_is_timed(found: Cost) -> None:
    """Four folds, the proven model and the registered one, shuffled labels, LightGBM's defaults."""
    assert found.calls >= 7
    assert found.snapshots > 1000
    assert 0 < found.wall_of_calls < found.wall
    assert 0 < found.cpu_of_calls < found.cpu
    assert 0.1 < found.peak_gib < 4


def test_a_run_that_takes_too_long_or_too_much_memory_does_not_hold(found: Cost) -> None:
    frugal = replace(found, wall=1.4, wall_of_calls=1.0, peak_gib=5.9)
    assert frugal.holds
    assert not replace(frugal, wall=1.6).holds
    assert not replace(frugal, peak_gib=6.1).holds
