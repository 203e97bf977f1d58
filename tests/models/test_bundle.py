from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from features.errors import BundleError
from models.booster import booster_text, contributions, load_booster, margin
from models.bundle import FILES, load_bundle, save_bundle
from models.decision import decide


@pytest.fixture
def saved(bundle: Any, tmp_path: Path) -> Path:
    return save_bundle(bundle, tmp_path / "bundle")


def rewrite(folder: Path, name: str, text: str) -> None:
    """Change a file and its digest, as somebody would who edits by hand and runs sha256sum."""
    (folder / name).write_text(text)
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()
    lines = [f"{digest}  {name}" if line.endswith(f"  {name}") else line for line in sums]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_a_bundle_answers_alike_before_and_after_it_was_saved(
    bundle: Any, saved: Path, catalogue: Any, some_vectors: Any
) -> None:
    again = load_bundle(saved)
    assert again == bundle
    assert again.digest == bundle.digest
    vectors = some_vectors(50)
    assert decide(vectors, again, catalogue) == decide(vectors, bundle, catalogue)


def test_the_folder_holds_text_files_and_their_digests(saved: Path, bundle: Any) -> None:
    assert {path.name for path in saved.iterdir()} == {*FILES, "SHA256SUMS"}
    sums = (saved / "SHA256SUMS").read_bytes()
    assert bundle.digest == hashlib.sha256(sums).hexdigest()
    assert (saved / "recipe.toml").read_text() == bundle.recipe
    for path in saved.iterdir():
        path.read_text(encoding="utf-8")


def test_a_bundle_is_known_by_its_version_or_its_digest(saved: Path, bundle: Any) -> None:
    assert load_bundle(saved, trusted=True, version="7").version == "7"
    assert load_bundle(saved, trusted=True).version == bundle.digest[:12]


def test_saving_again_replaces_the_bundle_whole(saved: Path, a_bundle: Any) -> None:
    other = a_bundle(trees=3)
    save_bundle(other, saved)
    assert load_bundle(saved, trusted=True).digest == other.digest
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]


def test_a_folder_with_something_else_in_it_is_left_alone(bundle: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds something else than a bundle"):
        save_bundle(bundle, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere: no bundle here .*keepsight train"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused_by_name(saved: Path, name: str) -> None:
    with (saved / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=rf"{name}: changed since it was saved.*keepsight train"):
        load_bundle(saved, trusted=True)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read"):
        load_bundle(saved, trusted=True)


def test_a_file_that_no_digest_vouches_for_is_refused(saved: Path) -> None:
    sums = [line for line in (saved / "SHA256SUMS").read_text().splitlines() if "booster" not in line]
    (saved / "SHA256SUMS").write_text("\n".join(sums))
    with pytest.raises(BundleError, match=r"does not list booster\.txt"):
        load_bundle(saved, trusted=True)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_booster_with_matching_digest_is_refused_and_ends_no_process(
    saved: Path, bundle: Any, share: float
) -> None:
    text = bundle.booster_text
    rewrite(saved, "booster.txt", text[: int(len(text) * share)])
    with pytest.raises(BundleError, match=r"booster\.txt: LightGBM cannot read it"):
        load_bundle(saved)


def test_a_booster_of_other_columns_is_refused(saved: Path) -> None:
    data = lightgbm.Dataset(np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2)
    other = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 2)
    rewrite(saved, "booster.txt", booster_text(other))
    with pytest.raises(BundleError, match=r"booster\.txt reads 2 columns"):
        load_bundle(saved, trusted=True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("calibration.json", "{", "not as this version of Keepsight writes it"),
        ("calibration.json", '{"a": 0, "b": -1, "start": {"share": 1, "level": 0}}', "b is -1"),
        ("calibration.json", '{"a": 0, "b": 1, "start": {"share": 1, "level": 0}}', "hazard"),
        (
            "calibration.json",
            '{"a": 0, "b": 1, "start": {"share": -1, "level": 0}}',
            "scorecard's share of the start is -1",
        ),
        ("calibration.json", '{"a": 0, "b": 1, "start": {"share": 1, "level": NaN}}', "the level nan"),
        ("calibration.json", '{"a": NaN, "b": 1, "start": {"share": 1, "level": 0}}', "must be finite"),
        ("calibration.json", '{"a": "0", "b": 1, "start": {"share": 1, "level": 0}}', "not as this version"),
        (
            "blend.json",
            '{"kappa": NaN, "churned_accounts": 9, "median_coverage": 1, "interval": {}}',
            "kappa is nan",
        ),
        (
            "blend.json",
            '{"kappa": 1, "churned_accounts": 9, "median_coverage": 1, "interval": {"later": 1e308}}',
            "not as this version",
        ),
        ("blend.json", '{"kappa": 60}', "not as this version of Keepsight writes it"),
        ("scorecard.json", "[]", "not as this version of Keepsight writes it"),
        ("contract.json", '{"format": 99}', "format 99; this version of Keepsight reads format 3"),
    ],
)
def test_json_that_is_not_ours_is_refused_by_name(saved: Path, name: str, text: str, message: str) -> None:
    rewrite(saved, name, text)
    with pytest.raises(BundleError, match=f"{name}: .*{message}"):
        load_bundle(saved, trusted=True)


def test_a_scorecard_of_other_items_is_refused(saved: Path) -> None:
    raw = json.loads((saved / "scorecard.json").read_text())
    raw["items"][0] = "something_else"
    rewrite(saved, "scorecard.json", json.dumps(raw))
    with pytest.raises(BundleError, match="name different items"):
        load_bundle(saved, trusted=True)


def test_the_same_training_gives_the_same_digest_whatever_the_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    data, churned = rng.normal(size=(200, 3)), (rng.random(200) < 0.3).astype(float)

    def text(threads: int) -> str:
        parameters = {
            "objective": "binary",
            "num_threads": threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        return booster_text(lightgbm.train(parameters, lightgbm.Dataset(data, churned), 2))

    assert text(1) == text(2)
    assert "parameters:" not in text(1)


def test_a_booster_answers_alike_after_it_was_text(bundle: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(50, bundle.booster.num_feature()))
    again = load_booster(booster_text(bundle.booster))
    assert np.array_equal(margin(again, rows), margin(bundle.booster, rows))
    assert np.array_equal(contributions(again, rows), contributions(bundle.booster, rows))


def test_contributions_and_the_expected_margin_add_up_to_the_margin(bundle: Any) -> None:
    rows = np.random.default_rng(1).normal(size=(50, bundle.booster.num_feature()))
    parts = contributions(bundle.booster, rows)
    assert np.allclose(parts.sum(axis=1), margin(bundle.booster, rows), atol=1e-11)
    assert (parts[:, -1] == bundle.expected_margin).all()


def test_a_booster_that_learnt_nothing_adds_nothing(a_bundle: Any, catalogue: Any, some_vectors: Any) -> None:
    nothing = a_bundle(trees=0)
    assert nothing.expected_margin == 0.0
    assert (margin(nothing.booster, np.zeros((3, nothing.booster.num_feature()))) == 0.0).all()
    decision = decide(some_vectors(5), nothing, catalogue)[0]
    assert decision.model_probability is not None
