from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import snapshots_of
from tests.training.fabricated import Made, a_company
from training import search as searching
from training.fitting import Material, Prepared, agree
from training.folds import Positions, split_final_block
from training.recipe import BoosterRecipe, Recipe, SearchRecipe, load_recipe
from training.run import train
from training.search import BOLD, Found, Trial, gain_over, search

TRIALS = 7


def asking(recipe: Recipe, trials: int = TRIALS, seconds: int = 0, **booster: float) -> Recipe:
    return recipe.model_copy(
        update={
            "search": SearchRecipe(trials=trials, seconds=seconds),
            "booster": recipe.booster.model_copy(update={"max_rounds": 25, **booster}),
        }
    )


def rows_of(material: Material) -> Positions:
    recipe = material.recipe
    return split_final_block(
        material.vectors.as_of, material.churned, recipe.window_days, recipe.grid.final_months
    ).train


def searched(made: Made, recipe: Recipe, folder: Path | None = None) -> Found:
    material = made.material(recipe)
    return search(material, rows_of(material), folder=folder)


@pytest.fixture(scope="module")
def company() -> Made:
    """A small one: what is tested is how a search goes, not what it finds."""
    return a_company(accounts=200)


@pytest.fixture(scope="module")
def found(company: Made, quick: Recipe) -> Found:
    return searched(company, asking(quick))


def test_the_recipes_own_booster_is_tried_first_and_never_given_up(found: Found, quick: Recipe) -> None:
    assert len(found.trials) == TRIALS
    assert found.own is not None
    assert found.own.finished
    assert found.own.booster == asking(quick).booster
    bold = next(trial for trial in found.trials if trial.number == 1)
    assert {name: getattr(bold.booster, name) for name in BOLD} == BOLD


def test_what_is_chosen_is_the_best_of_those_that_saw_all_folds(found: Found, quick: Recipe) -> None:
    finished = [trial for trial in found.trials if trial.finished]
    best = min(finished, key=lambda trial: trial.log_loss)
    assert found.trials[0] == best
    assert found.own is not None
    assert found.recipe.booster == (best if best.clearly_better else found.own).booster
    assert found.recipe.search == SearchRecipe(trials=0, seconds=0)
    assert found.trials[0].log_loss <= (found.own or found.trials[-1]).log_loss
    assert not any(trial.clearly_better for trial in found.trials if not trial.finished)


def tried(number: int, booster: BoosterRecipe, log_loss: float, gain_error: float = 0.0) -> Trial:
    """Made up, on months where the recipe's own booster has a log loss of 0.3."""
    return Trial(number, booster, log_loss, 0.3 - log_loss, gain_error, rounds=10, finished=True)


def test_a_gain_within_chance_over_accounts_or_of_less_than_half_a_percent_is_none(quick: Recipe) -> None:
    booster = asking(quick).booster
    assert tried(1, booster, 0.290, gain_error=0.004).clearly_better
    assert not tried(1, booster, 0.290, gain_error=0.006).clearly_better
    assert not tried(1, booster, 0.2990).clearly_better
    assert tried(1, booster, 0.2980).clearly_better
    assert not tried(0, booster, 0.3).clearly_better


def test_the_error_of_a_gain_is_that_of_the_bootstrap_over_accounts(company: Made, quick: Recipe) -> None:
    """The slow way: accounts drawn with all their rows, again and again."""
    material = company.material(asking(quick))
    folds = [Prepared(material, fold) for fold in material.folds(rows_of(material))]
    recipes = asking(quick).booster, asking(quick).booster.model_copy(update=BOLD)
    own, bold = (agree([fold.fitted(one, 7) for fold in folds], quick, 100, 1.0) for one in recipes)
    gain, error = gain_over(own, bold)
    gains = np.concatenate(own.row_losses) - np.concatenate(bold.row_losses)
    assert gain == pytest.approx(own.log_loss - bold.log_loss)
    names, account = np.unique(np.concatenate([fold.accounts for fold in bold.unseen]), return_inverse=True)
    sums, rows = np.bincount(account, weights=gains), np.bincount(account)
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(names), size=len(names)) for _ in range(2000)]
    assert error == pytest.approx(np.std([sums[draw].sum() / rows[draw].sum() for draw in draws]), rel=0.1)


def test_a_bold_booster_is_taken_where_it_is_better_and_else_left(quick: Recipe) -> None:
    recipe = asking(quick)
    bold = recipe.booster.model_copy(update=BOLD)

    def chosen(loss: float) -> BoosterRecipe:
        trials = [tried(0, recipe.booster, 0.3), tried(1, bold, loss)]
        return searching._found(recipe, trials).recipe.booster

    assert chosen(0.2) == bold
    assert chosen(0.2995) == chosen(0.31) == recipe.booster


def test_every_booster_is_allowed_by_the_recipe_and_of_its_seed_and_rounds(found: Found, quick: Recipe) -> None:
    own = asking(quick).booster
    for trial in found.trials:
        again = type(own).model_validate(trial.booster.model_dump())
        assert (again.max_rounds, again.num_threads) == (own.max_rounds, own.num_threads)


def test_a_trials_loss_is_that_of_training_with_its_booster(company: Made, found: Found) -> None:
    best = found.trials[0]
    recipe = found.recipe.model_copy(update={"booster": best.booster})
    alone = searched(company, recipe.model_copy(update={"search": SearchRecipe(trials=1, seconds=0)}))
    assert alone.own is not None
    assert (alone.own.log_loss, alone.own.rounds) == (best.log_loss, best.rounds)


def test_the_same_search_finds_the_same(company: Made, quick: Recipe, found: Found) -> None:
    assert searched(company, asking(quick)) == found


def test_a_search_that_goes_on_finds_what_one_in_one_go_finds(
    company: Made, quick: Recipe, found: Found, tmp_path: Path
) -> None:
    assert len(searched(company, asking(quick, trials=3), tmp_path).trials) == 3
    assert searched(company, asking(quick), tmp_path) == found


def test_trials_that_were_made_are_not_made_again(
    company: Made, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = searched(company, asking(quick, trials=4), tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("a fold was prepared")

    monkeypatch.setattr(searching, "Prepared", never)
    assert searched(company, asking(quick, trials=4), tmp_path) == first
    fewer = searched(company, asking(quick, trials=2), tmp_path)
    assert {trial.number for trial in fewer.trials} == {0, 1}


@pytest.mark.parametrize("damage", [lambda whole: whole[:20_000], lambda _whole: b"no database" * 4000])
def test_damaged_trials_are_set_aside_and_made_again(
    company: Made, quick: Recipe, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    whole = searched(company, asking(quick, trials=2), tmp_path)
    (trials,) = tmp_path.glob("*.db")
    trials.write_bytes(damage(trials.read_bytes()))
    assert searched(company, asking(quick, trials=2), tmp_path) == whole
    assert trials.with_suffix(".damaged").exists()


def test_other_data_or_another_recipe_is_another_search(company: Made, quick: Recipe, tmp_path: Path) -> None:
    searched(company, asking(quick, trials=1), tmp_path)
    searched(company, asking(quick, trials=1, lambda_l2=5.0), tmp_path)
    other = company.churned.copy()
    last = np.flatnonzero(~np.isnan(other))[0]
    other[last] = 1 - other[last]
    searched(replace(company, churned=other), asking(quick, trials=1), tmp_path)
    assert len(list(tmp_path.glob("*.db"))) == 3


def test_the_months_of_the_final_block_change_nothing(company: Made, quick: Recipe) -> None:
    recipe = asking(quick, trials=2)
    ours = company.material(recipe)
    rows = rows_of(ours)
    turned = np.where(np.isin(np.arange(len(company.churned)), rows), company.churned, 1 - company.churned)
    values = company.vectors.values.copy()
    values[np.setdiff1d(np.arange(len(values)), rows)] = np.nan
    theirs = replace(company.material(recipe, turned), vectors=replace(company.vectors, values=values))
    assert search(theirs, rows) == search(ours, rows)


def test_after_its_time_no_further_trial_begins_and_the_answer_says_so(company: Made, quick: Recipe) -> None:
    material = company.material(asking(quick, seconds=10))
    ticks = iter(range(0, 1000, 5))
    found = search(material, rows_of(material), clock=lambda: float(next(ticks)))
    assert len(found.trials) == 2
    assert "time was over: another machine may get further" in found.sentence


def test_without_folds_the_recipe_stays_as_it_is(quick: Recipe, company: Made) -> None:
    material = company.material(asking(quick))
    found = search(material, np.array([], dtype=np.intp))
    assert found.recipe.booster == material.recipe.booster
    assert found.sentence == "No booster was tried: there are no months to judge one by."


def test_the_found_recipe_alone_gives_the_same_bundle(company: Made, quick: Recipe, tmp_path: Path) -> None:
    snapshots = snapshots_of(company)
    with_search = train(snapshots, company.catalogue, asking(quick, trials=3), searches=tmp_path)
    written = tmp_path / "recipe.toml"
    written.write_text(with_search.bundle.recipe, encoding="utf-8")
    again = train(snapshots, company.catalogue, load_recipe(written))
    assert again.search is None
    assert with_search.search is not None
    assert with_search.search.recipe == load_recipe(written)
    assert again.bundle.digest == with_search.bundle.digest


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.training.fabricated import a_company
    from tests.training.test_search import asking, rows_of
    from training import search as searching
    from training.recipe import load_recipe

    made = a_company(accounts=150)
    material = made.material(asking(load_recipe(), trials=6))
    losses, left = searching._Trying._losses, [4]

    def until_killed(self, booster, hopeless):
        def told(step, loss):
            answer = hopeless(step, loss)
            if not left[0] and step:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer
        left[0] -= 1
        return losses(self, booster, told)

    if sys.argv[2] == "killed":
        searching._Trying._losses = until_killed
    print(searching.search(material, rows_of(material), folder=Path(sys.argv[1])).to_dict())
"""


def _process(folder: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_killed_search_goes_on_and_two_at_once_make_every_trial_once(tmp_path: Path) -> None:
    killed = _process(tmp_path / "killed", "killed")
    assert killed.communicate()[0] == ""
    assert killed.returncode < 0
    both = [_process(tmp_path / "killed", "whole") for _ in range(2)]
    whole = _process(tmp_path / "whole", "whole")
    told = [process.communicate()[0] for process in (*both, whole)]
    assert "trials" in told[0]
    assert told[0] == told[1] == told[2]

    import optuna

    (database,) = (tmp_path / "killed").glob("*.db")
    trials = optuna.load_study(study_name="boosters", storage=f"sqlite:///{database}").trials
    states = [trial.state.name for trial in trials]
    assert states.count("FAIL") == 1
    assert len(states) == 7
