"""Which model answers: the champion, a new one, none, one that is damaged, one of other definitions."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from features.catalogue import Catalogue
from features.errors import BundleError, ContractMismatchError
from models.bundle import Bundle, load_bundle, load_fitting_bundle, save_bundle
from models.calibration import Platt
from serving.book import Book
from serving.company import Company
from serving.problems import NOT_READY, RequestProblem
from serving.registry import Champion, fetch_champion
from serving.settings import Settings
from tests.serving.conftest import desk_of, running

QUESTION = {"account_id": "new", "readings": {"usage_trend": 0.5, "open_complaints": 1, "nps_score": 3}}


@pytest.fixture(scope="module")
def other(bundle: Bundle) -> Bundle:
    return dataclasses.replace(bundle, platt=Platt(0.3, 0.9), model_card="# Another\n")


def model_of(client: TestClient) -> str | None:
    answer = client.post("/predict", json=QUESTION).json()
    version: str | None = answer["versions"]["model"]
    return version


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestTheChampion:
    def test_it_is_taken_once_and_again_only_when_it_is_another(
        self, bundle: Bundle, other: Bundle, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        champion = Champion(tmp_path / "champion", catalogue, trusted=True)
        assert not champion.look()
        assert champion.bundle is None
        save_bundle(bundle, tmp_path / "champion")
        assert champion.look()
        assert not champion.look()
        first = champion.bundle
        save_bundle(other, tmp_path / "champion")
        assert champion.look()
        assert first is not None
        assert champion.bundle is not None
        assert (first.digest, champion.bundle.digest) == (bundle.digest, other.digest)

    def test_a_damaged_one_is_refused_and_the_one_before_stays(
        self, bundle: Bundle, other: Bundle, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        folder = tmp_path / "champion"
        save_bundle(bundle, folder)
        champion = Champion(folder, catalogue, trusted=True)
        champion.look()
        save_bundle(other, folder)
        text = (folder / "booster.txt").read_text()
        (folder / "booster.txt").write_text(text[: len(text) // 2])
        assert not champion.look()
        assert "booster.txt: changed since it was saved" in str(champion.refused)
        assert champion.bundle is not None
        assert champion.bundle.digest == bundle.digest
        (folder / "booster.txt").write_text(text)
        assert champion.look()
        assert champion.refused is None

    def test_one_of_other_definitions_is_refused_with_what_differs(
        self, bundle: Bundle, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        contract = dataclasses.replace(bundle.contract, definitions="0" * 16)
        save_bundle(dataclasses.replace(bundle, contract=contract), tmp_path / "bundle")
        with pytest.raises(ContractMismatchError, match=r"(?s)definitions 0{16} \(model\).*Retrain"):
            load_fitting_bundle(tmp_path / "bundle", catalogue, trusted=True)

    def test_a_model_from_elsewhere_is_parsed_in_a_process_of_its_own(
        self, bundle: Bundle, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        save_bundle(bundle, tmp_path / "bundle")
        assert load_fitting_bundle(tmp_path / "bundle", catalogue).digest == bundle.digest


class TestTheService:
    def test_it_swaps_to_a_new_champion_while_it_answers(
        self, bundle: Bundle, other: Bundle, tmp_path: Path
    ) -> None:
        save_bundle(bundle, tmp_path / "champion")
        with running(Settings(home=tmp_path, champion_poll_seconds=0.05)) as client:
            assert model_of(client) == bundle.version
            save_bundle(other, tmp_path / "champion")
            wait_until(lambda: model_of(client) == other.version)
            shutil.copy(tmp_path / "champion" / "blend.json", tmp_path / "champion" / "SHA256SUMS")
            wait_until(lambda: client.get("/model").json()["refused"] is not None)
            assert model_of(client) == other.version

    def test_a_book_that_could_not_be_scored_anew_is_scored_at_the_next_look(
        self, bundle: Bundle, other: Bundle, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_bundle(bundle, tmp_path / "champion")
        with running(Settings(home=tmp_path, sources=sources, champion_poll_seconds=0.05)) as client:
            desk, busy = desk_of(client), RequestProblem(NOT_READY, "The sources are busy.")
            score, failed = desk._new_book, []

            def busy_once(company: Company, bundle: Bundle | None) -> Book:
                if not failed:
                    failed.append(busy)
                    raise busy
                return score(company, bundle)

            monkeypatch.setattr(desk, "_new_book", busy_once)
            save_bundle(other, tmp_path / "champion")
            wait_until(lambda: client.get("/accounts").json()["model"] == other.version)
            assert failed
            assert client.get("/readyz").json()["status"] == "ready"

    def test_the_champion_of_another_company_does_not_answer_and_the_reason_is_told(
        self, bundle: Bundle, sources: Path, tmp_path: Path
    ) -> None:
        save_bundle(dataclasses.replace(bundle, company="Large"), tmp_path / "champion")
        with running(Settings(home=tmp_path, sources=sources)) as client:
            about = client.get("/model").json()
        assert about["model"] is None
        assert "trained on the tables of Large, and the sources are those of Small" in about["refused"]

    def test_without_a_model_the_rules_answer_and_say_so(self, rules_client: TestClient) -> None:
        answer = rules_client.post("/predict", json=QUESTION).json()
        assert answer["model_probability"] is None
        assert answer["agreement"] is None
        assert answer["model_weight"] == 0
        assert answer["churn_probability"] == answer["scorecard_probability"]
        about = rules_client.get("/model").json()
        assert about["model"] is None
        assert "keepsight train" in about["remedy"]

    def test_a_first_champion_is_noticed(self, bundle: Bundle, tmp_path: Path) -> None:
        with running(Settings(home=tmp_path, champion_poll_seconds=0.05)) as client:
            assert model_of(client) is None
            save_bundle(bundle, tmp_path / "champion")
            wait_until(lambda: model_of(client) == bundle.version)

    def test_a_model_named_that_is_not_there_is_a_clear_problem(self, tmp_path: Path) -> None:
        with running(Settings(home=tmp_path, bundle=tmp_path / "nowhere")) as client:
            response = client.post("/predict", json=QUESTION)
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
            assert "no bundle here" in response.json()["detail"]

    def test_a_named_model_is_used_instead_of_the_champion(
        self, bundle: Bundle, other: Bundle, tmp_path: Path
    ) -> None:
        save_bundle(bundle, tmp_path / "champion")
        save_bundle(other, tmp_path / "named")
        with running(Settings(home=tmp_path, bundle=tmp_path / "named")) as client:
            assert model_of(client) == other.version


def test_a_registry_without_mlflow_installed_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as Python does for what cannot be imported
    with pytest.raises(BundleError, match=r"keepsight\[training\]"):
        fetch_champion("http://127.0.0.1:1", "keepsight", tmp_path / "champion")


@pytest.mark.slow
def test_a_registry_that_does_not_answer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"gives no champion of keepsight.*last good model stays"):
        fetch_champion(f"sqlite:///{tmp_path}/nothing/mlflow.db", "keepsight", tmp_path / "champion")
    assert not (tmp_path / "champion").exists()


@pytest.mark.slow
def test_the_registrys_champion_is_copied_once(bundle: Bundle, tmp_path: Path) -> None:
    import mlflow

    uri, folder = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "home" / "champion"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    run = client.create_run(client.create_experiment("e", (tmp_path / "runs").as_uri()))
    client.log_artifacts(run.info.run_id, str(save_bundle(bundle, tmp_path / "bundle")), "bundle")
    client.create_registered_model("keepsight")
    tags = {"bundle_digest": bundle.digest, "promotable": "yes"}
    version = client.create_model_version("keepsight", f"{run.info.artifact_uri}/bundle", run.info.run_id, tags)
    client.set_registered_model_alias("keepsight", "champion", version.version)
    assert fetch_champion(uri, "keepsight", folder)
    assert load_bundle(folder, trusted=True).digest == bundle.digest
    assert not fetch_champion(uri, "keepsight", folder)
