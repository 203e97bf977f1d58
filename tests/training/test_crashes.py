"""A process that is killed, at any moment, leaves a champion that its gates have let through, and whole."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.crashing import (
    State,
    Trial,
    Trials,
    a_proof,
    refuse_unless_it_serves_what_it_may,
    refuse_unless_the_next_command_puts_all_in_order,
    trials,
)
from training.tracking import Tracking

LINES = {1: [1], 2: [1, 2], 3: [1, 2, 3]}  # after a rollback, before anything, after a promotion


@pytest.fixture(scope="module")
def run() -> Iterator[Trials]:
    with trials() as process:
        yield process


@pytest.fixture(scope="module")
def two_champions(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two champions, one after the other, and a third version that is not yet one."""
    home = tmp_path_factory.mktemp("two_champions")
    shutil.copy(migrated_store, home / "mlflow.db")
    tracking, proof = Tracking(home), a_proof(1)
    first, second, third = (
        tracking.record(replace(proof, bundle=replace(proof.bundle, model_card=card))).version
        for card in ("first", "second", "third")
    )
    tracking.promote(first)
    tracking.promote(second)
    assert third == 3
    return home


@pytest.fixture
def copy(two_champions: Path, tmp_path: Path) -> Callable[[], Path]:
    """Give a copy of that home at each call; the files of its runs stay where the store says that they are."""
    copies = iter(range(1000))

    def make() -> Path:
        return shutil.copytree(two_champions, tmp_path / str(next(copies)), symlinks=True)

    return make


def refuse_unless_fine(home: Path) -> None:
    refuse_unless_it_serves_what_it_may(home)
    refuse_unless_the_next_command_puts_all_in_order(home)


def line_of(state: State) -> list[int]:
    line: list[int] = json.loads(state.line or "[]")
    return line


ALL = range(1, 40)
AROUND_THE_MOVE = range(3, 6)  # before the alias moves, and before the copy does, twice


@pytest.mark.parametrize(
    ("work", "steps"),
    [
        ("promote", AROUND_THE_MOVE),
        pytest.param("promote", ALL, marks=pytest.mark.slow),
        pytest.param("rollback", ALL, marks=pytest.mark.slow),
    ],
)
def test_killed_before_any_step_of_a_move_the_champion_is_the_old_or_the_new_one(
    run: Trials, copy: Callable[[], Path], work: str, steps: range
) -> None:
    champions = []
    for step in steps:
        home = copy()
        killed = run(Trial(str(home), work, before_step=step)).killed
        refuse_unless_fine(home)
        state = State.of(home)
        assert line_of(state) == LINES[state.champion or 0]
        champions.append(state.champion)
        if not killed:
            break
    before, after = 2, {"promote": 3, "rollback": 1}[work]
    moved = champions.index(after)
    assert champions == [before] * moved + [after] * (len(champions) - moved), "once moved, it stays moved"
    assert moved >= 1
    assert steps is AROUND_THE_MOVE or 5 < len(champions) < len(ALL), "it came to its end"


def test_two_trainers_at_once_give_one_promotion_each_in_order(run: Trials, copy: Callable[[], Path]) -> None:
    home = copy()
    assert run(Trial(str(home), "two trainers", seed=50)).code == 0
    refuse_unless_fine(home)
    state = State.of(home)
    assert state.champion == 5
    assert line_of(state) == [1, 2, 4, 5]
    assert len({state.digests[version] for version in (4, 5)}) == 2


def refuse_all_gates(home: Path, version: int) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as store, store:
        store.execute(
            """UPDATE model_version_tags SET value = replace(value, '"pass"', '"fail"') WHERE version = ?""",
            [version],
        )


def test_a_promotion_that_does_not_ask_the_gates_is_caught(run: Trials, copy: Callable[[], Path]) -> None:
    for mutant in (None, "gates_not_asked"):
        home = copy()
        refuse_all_gates(home, 3)
        run(Trial(str(home), "promote", mutant=mutant))
        if mutant is None:
            refuse_unless_it_serves_what_it_may(home)
        else:
            with pytest.raises(AssertionError, match="version that its gates refuse"):
                refuse_unless_it_serves_what_it_may(home)


def test_an_alias_that_moves_before_the_bundle_is_read_is_caught(run: Trials, copy: Callable[[], Path]) -> None:
    home = copy()
    booster = State.of(home).bundles[3] / "booster.txt"
    whole = booster.read_bytes()
    try:
        booster.write_bytes(whole[: len(whole) // 2])
        assert run(Trial(str(home), "promote")).code == 1
        refuse_unless_it_serves_what_it_may(home)
        run(Trial(str(home), "promote", mutant="alias_before_the_bundle"))
        with pytest.raises(Exception, match=r"booster\.txt: changed since it was saved"):
            refuse_unless_it_serves_what_it_may(home)
    finally:
        booster.write_bytes(whole)


def test_a_copy_that_is_replaced_in_two_steps_is_caught(run: Trials, copy: Callable[[], Path]) -> None:
    with pytest.raises(Exception, match="no bundle here"):  # noqa: PT012 - at some step
        for step in range(3, 15):
            home = copy()
            run(Trial(str(home), "promote", before_step=step, mutant="copy_replaced_in_two_steps"))
            refuse_unless_it_serves_what_it_may(home)


def test_a_line_that_is_written_before_the_move_is_caught(run: Trials, copy: Callable[[], Path]) -> None:
    home = copy()
    run(Trial(str(home), "promote", before_step=3, mutant="no_note_before_the_move"))
    refuse_unless_fine(home)
    state = State.of(home)
    assert state.champion == 2
    assert line_of(state) != LINES[2]


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_a_random_moment_of_training_and_promotion_the_champion_is_gated_and_whole(
    run: Trials, copy: Callable[[], Path], kills: int
) -> None:
    home = copy()
    whole = run(Trial(str(home), "train", seed=100))
    assert whole.code == 0
    assert State.of(home).champion == 4
    rng, killed, seconds = random.Random(kills), 0, whole.seconds
    for seed in range(4 * kills):
        # One home for all: each trial begins with what the one before has left.
        ended = run(Trial(str(home), "train", seed=seed, after_seconds=rng.uniform(0.0, seconds)))
        killed += ended.killed
        if not ended.killed:
            seconds = ended.seconds  # the machine is less busy now
        refuse_unless_it_serves_what_it_may(home)
        if seed % 4 == 3:
            refuse_unless_the_next_command_puts_all_in_order(home)
        if killed == kills:
            break
    refuse_unless_fine(home)
    assert killed == kills
