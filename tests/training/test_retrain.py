"""Retraining on a schedule: what there is to do is decided from what is there, and said in a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.training.crashing import a_recipe
from training.commands import app
from training.gates import Gate, Verdict
from training.ingredients import Ingredients
from training.retrain import Plan, decide
from training.simulation import simulate
from training.tracking import Made
from training.turns import turn

NOW = Ingredients("Acme", "d0", "r0", "f0", "p0", "s0", "v0")
PASSED = (Gate("G01", "enough churned accounts to judge by", Verdict.PASS, "plenty."),)
REFUSED = (Gate("G01", "enough churned accounts to judge by", Verdict.CANNOT_JUDGE, "few."),)
CHAMPION = Made(3, NOW, PASSED, was_champion=True, is_champion=True)


def test_with_no_model_there_is_everything_to_do() -> None:
    assert decide(NOW, None, force=False).changed == ("everything",)


@pytest.mark.parametrize("part", ["data", "recipe", "definitions", "policy", "prior"])
def test_what_has_changed_is_a_reason_to_train(part: str) -> None:
    assert decide(replace(NOW, **{part: "other"}), CHAMPION, force=False).changed == (part,)


def test_with_nothing_new_and_the_champion_in_place_there_is_nothing_to_do() -> None:
    plan = decide(NOW, CHAMPION, force=False)
    assert (plan.changed, plan.version) == ((), None)
    assert plan.sentence == (
        "Nothing to do: version 3 was trained on the same data, recipe and catalogue, and is the champion."
    )


def test_force_trains_all_the_same() -> None:
    assert decide(NOW, CHAMPION, force=True).changed


def test_a_version_whose_run_was_killed_before_its_promotion_is_promoted() -> None:
    made = replace(CHAMPION, was_champion=False, is_champion=False)
    assert decide(NOW, made, force=False) == Plan(version=3)


def test_a_version_that_was_rolled_back_from_is_left_alone() -> None:
    plan = decide(NOW, replace(CHAMPION, is_champion=False), force=False)
    assert (plan.changed, plan.version) == ((), None)
    assert "was rolled back from; `keepsight promote 3` brings it back" in plan.sentence


def test_a_version_that_was_refused_is_not_trained_again_on_the_same_data() -> None:
    plan = decide(NOW, replace(CHAMPION, gates=REFUSED, was_champion=False, is_champion=False), force=False)
    assert (plan.changed, plan.version) == ((), None)
    assert "G01 refuse it. G01: wait until more accounts have left" in plan.sentence


def test_ingredients_of_another_version_of_keepsight_are_not_known() -> None:
    assert Ingredients.from_tag(NOW.to_tag()) == NOW
    assert Ingredients.from_tag('{"data": "d0"}') is None
    assert Ingredients.from_tag("junk") is None
    assert Ingredients.from_tag(None) is None


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    simulate(folder, 220, 20, 7)
    (folder / "recipe.toml").write_text(a_recipe(1).to_toml())
    return folder


def run(demo: Path, *more: str) -> Result:
    command = ["retrain", "--sources", str(demo / "sources.toml"), "--recipe", str(demo / "recipe.toml")]
    return CliRunner().invoke(app, [*command, *more])


def test_the_command_trains_once_and_then_has_nothing_to_do(demo: Path, home: Path) -> None:
    first = run(demo, "--json")
    told = json.loads(first.stdout)
    assert told["changed"] == ["everything"]
    assert told["version"] == 1
    assert (first.exit_code, told["outcome"]) in {(0, "promoted"), (1, "refused")}
    assert (home / "champion").exists() == (told["outcome"] == "promoted")
    if told["outcome"] == "refused":
        assert told["against"]
        assert "What to do: G" in told["sentence"]
    second = run(demo)
    assert second.exit_code == 0, second.output
    assert second.stdout.startswith("Nothing to do: version 1 was trained on the same data, recipe and catalogue")
    assert len(second.stdout.splitlines()) == 1


def test_of_two_at_once_one_says_that_the_other_is_under_way(demo: Path, home: Path) -> None:
    with turn(home / "retrain.lock"):
        other = run(demo, "--json")
    assert other.exit_code == 0, other.output
    assert json.loads(other.stdout)["outcome"] == "under_way"
    assert not (home / "training.lock").exists()


def test_wrong_use_and_missing_sources_have_their_exit_codes(tmp_path: Path, home: Path) -> None:
    assert CliRunner().invoke(app, ["retrain", "--nonsense"]).exit_code == 2
    missing = CliRunner().invoke(app, ["retrain", "--sources", str(tmp_path / "nowhere.toml")])
    assert missing.exit_code == 1
    assert "no such file" in missing.stderr
