"""MLflow for real: run, registry, aliases, the pyfunc, promotion through the gates, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import GateError, NoModelError
from models.bundle import load_bundle
from models.decision import decide
from training.answering import catalogue_json, catalogue_of
from training.gates import Gate, Verdict
from training.run import Proof
from training.tracking import Tracking

PASSED = (Gate("G01", "enough churned accounts to judge by", Verdict.PASS, "plenty."),)
FAILED = (Gate("G02", "tells more than the base rate", Verdict.FAIL, "it does not."),)


@pytest.fixture
def tracking(home: Path) -> Tracking:
    return Tracking.here()


def version_of(tracking: Tracking, version: int) -> Any:
    with tracking._mlflow() as mlflow:
        return mlflow.MlflowClient().get_model_version("keepsight", str(version))


def test_a_run_is_on_record_with_figures_report_card_and_bundle(tracking: Tracking, proof: Proof) -> None:
    registered = tracking.record(proof)
    with tracking._mlflow() as mlflow:
        client = mlflow.MlflowClient()
        run = client.get_run(registered.run_id)
        files = {file.path for file in client.list_artifacts(registered.run_id)}
        files |= {file.path for file in client.list_artifacts(registered.run_id, "bundle")}
        files |= {file.path for file in client.list_artifacts(registered.run_id, "report")}
        challenger = client.get_model_version_by_alias("keepsight", "challenger")
    assert proof.contest is not None
    assert run.info.status == "FINISHED"
    assert run.data.metrics["blend.log_loss"] == proof.contest.scores["blend"].log_loss
    assert run.data.params["labels.horizon_days"] == "90"
    assert run.data.tags["dataset_digest"] == proof.snapshots.digest
    assert run.data.tags["label_definition"] == challenger.tags["label_definition"] == proof.rule.name
    assert run.data.tags["label_text"] == proof.rule.text
    assert {"model_card.md", "gates.json", "contest.json", "bundle/SHA256SUMS", "bundle/booster.txt"} <= files
    assert {f"report/{name}" for name in ("report.html", "report.md", "reliability.png", "lift.png")} <= files
    assert int(challenger.version) == registered.version == 1
    assert json.loads(challenger.tags["gate.G07"])["verdict"] == "pass"


def test_nothing_is_written_outside_the_home(tracking: Tracking, proof: Proof, home: Path, tmp_path: Path) -> None:
    tracking.record(proof)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    assert {path.name for path in home.iterdir()} == {"mlflow.db", "mlruns", "reports"}


def test_the_report_of_a_version_lies_in_the_home_as_it_was_logged(
    tracking: Tracking, proof: Proof, home: Path, tmp_path: Path
) -> None:
    for version in (1, 2):
        registered = tracking.record(proof)
        assert registered.report == home / "reports" / str(version)
    with tracking._mlflow() as mlflow:
        logged = Path(mlflow.MlflowClient().download_artifacts(registered.run_id, "report", str(tmp_path)))
    kept = {path.name: path.read_bytes() for path in registered.report.iterdir()}
    assert kept == {path.name: path.read_bytes() for path in logged.iterdir()}
    assert sorted(path.name for path in (home / "reports").iterdir()) == ["1", "2"]


def test_a_report_takes_the_place_of_an_older_one_of_its_version(
    tracking: Tracking, proof: Proof, home: Path
) -> None:
    older = home / "reports" / "1"
    older.mkdir(parents=True)
    (older / "of another store.txt").write_text("older")
    tracking.record(proof)
    assert "of another store.txt" not in {path.name for path in older.iterdir()}
    assert (older / "report.html").is_file()


def test_no_pickled_object_is_logged(tracking: Tracking, proof: Proof, home: Path) -> None:
    tracking.record(proof)
    assert not [path for path in (home / "mlruns").rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]


def as_frame(proof: Proof, rows: slice) -> pd.DataFrame:
    vectors = proof.snapshots.vectors.take(rows)
    frame = pd.DataFrame(vectors.values, columns=list(vectors.contract.names))
    frame.insert(0, "account_id", vectors.account_ids.astype(str))
    frame.insert(1, "as_of", pd.to_datetime(vectors.as_of))
    frame["unknown"] = ["".join(letters) for letters in vectors.unknown]
    return frame


def test_the_logged_model_answers_as_decide_does(tracking: Tracking, proof: Proof) -> None:
    tracking.record(proof)
    with tracking._mlflow() as mlflow:
        model = mlflow.pyfunc.load_model("models:/keepsight@challenger")
        answers = model.predict(as_frame(proof, slice(0, 20)))
    expected = decide(proof.snapshots.vectors.take(slice(0, 20)), proof.bundle, proof.material.catalogue)
    assert answers["churn_probability"].tolist() == [one.churn_probability for one in expected]
    assert answers["coverage"].tolist() == [one.coverage for one in expected]
    assert answers["band"].tolist() == [one.band for one in expected]
    sums = [base + sum(json.loads(parts).values()) for base, parts in zip(
        answers["base_log_odds"], answers["contributions"], strict=True
    )]  # fmt: skip
    odds = answers["churn_probability"] / (1 - answers["churn_probability"])
    assert sums == pytest.approx(np.log(odds).tolist(), abs=1e-9)


def test_the_catalogue_travels_with_the_model(proof: Proof) -> None:
    ours = proof.material.catalogue
    theirs = catalogue_of(catalogue_json(ours))
    assert theirs.definitions_fingerprint == ours.definitions_fingerprint
    assert theirs.policy_fingerprint == ours.policy_fingerprint


def test_promotion_moves_the_alias_and_copies_the_bundle(tracking: Tracking, proof: Proof) -> None:
    version = tracking.record(replace(proof, gates=PASSED)).version
    folder = tracking.promote(version)
    assert load_bundle(folder).digest == proof.bundle.digest
    assert version_of(tracking, version).aliases in (["champion", "challenger"], ["challenger", "champion"])


def test_a_gate_that_fails_refuses_and_the_champion_stays(tracking: Tracking, proof: Proof) -> None:
    tracking.promote(tracking.record(replace(proof, gates=PASSED)).version)
    second = tracking.record(replace(proof, gates=FAILED)).version
    with pytest.raises(GateError, match="G02 tells more than the base rate: fail, it does not"):
        tracking.promote(second)
    assert "champion" in version_of(tracking, 1).aliases


def test_a_version_without_gates_has_passed_none(tracking: Tracking, proof: Proof) -> None:
    version = tracking.record(replace(proof, gates=())).version
    with pytest.raises(GateError, match="this version has none"):
        tracking.promote(version)


def test_rollback_goes_back_to_the_champion_before(tracking: Tracking, proof: Proof) -> None:
    for card in ("first", "second"):
        one = replace(proof, gates=PASSED, bundle=replace(proof.bundle, model_card=card))
        tracking.promote(tracking.record(one).version)
    assert load_bundle(tracking.champion_folder).model_card == "second"
    assert tracking.rollback() == 1
    assert load_bundle(tracking.champion_folder).model_card == "first"
    assert "champion" in version_of(tracking, 1).aliases
    with pytest.raises(NoModelError, match="nothing to go back to"):
        tracking.rollback()


def test_a_version_that_is_not_there_is_named(tracking: Tracking, proof: Proof) -> None:
    tracking.record(proof)
    with pytest.raises(NoModelError, match="There is no version 7 of the model keepsight"):
        tracking.promote(7)


def test_before_the_first_champion_there_is_nothing_to_go_back_to(tracking: Tracking) -> None:
    with pytest.raises(NoModelError, match="There is no champion"):
        tracking.rollback()


def test_the_environment_is_left_as_it_was(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    with tracking._mlflow():
        pass
    assert Tracking.here().uri == tracking.uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert Tracking.here().uri == "http://tracking.example:5000"
