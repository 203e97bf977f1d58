"""A real MLflow tracking server on loopback, a process of its own: runs, registry and artefacts by URI."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import BundleError, TrackingError
from models.bundle import load_bundle
from serving.registry import fetch_champion
from tests.training.crashing import COMPANY, a_proof
from training.claims import CLAIM, claim
from training.commands import app
from training.run import Proof
from training.tracking import CHAMPION, MODEL, Tracking
from training.turns import nobody

START_SECONDS = 120


def a_free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def wait_until_it_answers(uri: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=5):
            return
        time.sleep(0.2)
    raise TimeoutError(f"{uri} does not answer")


@pytest.fixture(scope="module")
def server(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve MLflow's own application, as `mlflow server` does, over a copied store; artefacts go through it."""
    from mlflow.server import constants

    folder = tmp_path_factory.mktemp("server")
    shutil.copy(migrated_store, folder / "server.db")
    port = a_free_port()
    settings = {
        constants.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder / 'server.db'}",
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))}
    command = [sys.executable, "-m", "uvicorn", "mlflow.server:app", "--interface", "wsgi"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=folder, env={**kept, **settings, "MLFLOW_DISABLE_TELEMETRY": "true"})
    try:
        uri = f"http://127.0.0.1:{port}"
        wait_until_it_answers(uri, process)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def two_models() -> tuple[Proof, Proof]:
    proof = a_proof(1)
    return proof, replace(proof, bundle=replace(proof.bundle, model_card="second"))


def test_training_promotion_and_the_way_back_by_uri_reach_the_service(
    server: str, two_models: tuple[Proof, Proof], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, service = tmp_path / "home", tmp_path / "service" / "champion"
    monkeypatch.setenv("KEEPSIGHT_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracking = Tracking.here()
    first, second = (tracking.record(proof).version for proof in two_models)
    with pytest.raises(BundleError, match="gives no champion"):
        fetch_champion(server, MODEL, service)

    tracking.promote(first)
    assert fetch_champion(server, MODEL, service)
    assert not fetch_champion(server, MODEL, service)
    assert load_bundle(service).digest == two_models[0].bundle.digest

    promoted = CliRunner().invoke(app, ["promote", str(second)])
    assert promoted.exit_code == 0, promoted.output
    assert fetch_champion(server, MODEL, service)
    assert load_bundle(service).model_card == load_bundle(home / "champion").model_card == "second"

    back = CliRunner().invoke(app, ["rollback"])
    assert back.exit_code == 0, back.output
    assert fetch_champion(server, MODEL, service)
    assert load_bundle(service).digest == two_models[0].bundle.digest
    assert not (home / "mlflow.db").exists()
    assert {path.name for path in home.iterdir()} >= {"champion", "training.lock"}
    newest = tracking.newest(COMPANY)
    assert newest is not None
    assert (newest.version, newest.was_champion, newest.is_champion) == (second, True, False)


def test_an_alias_that_was_set_past_the_gates_is_not_served_and_is_put_right(
    server: str, two_models: tuple[Proof, Proof], tmp_path: Path
) -> None:
    said: list[str] = []
    tracking = Tracking(tmp_path / "home", server, said.append)
    first = tracking.record(two_models[0]).version
    tracking.promote(first)
    with tracking._mlflow() as mlflow:
        client = mlflow.MlflowClient()
        run = client.get_model_version(MODEL, str(first)).run_id
        by_hand = client.create_model_version(MODEL, source=f"runs:/{run}/bundle", run_id=run).version
        client.set_registered_model_alias(MODEL, CHAMPION, by_hand)
    with pytest.raises(BundleError, match="but not by its gates"):
        fetch_champion(server, MODEL, tmp_path / "service" / "champion")
    tracking.newest(COMPANY)
    assert any("made champion past its gates" in sentence for sentence in said)
    with tracking._mlflow() as mlflow:
        champion = mlflow.MlflowClient().get_model_version_by_alias(MODEL, CHAMPION)
    assert int(champion.version) == first


def test_of_two_that_claim_at_once_one_waits(server: str, two_models: tuple[Proof, Proof], tmp_path: Path) -> None:
    import mlflow

    Tracking(tmp_path / "home", server).record(two_models[0])
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        client = mlflow.MlflowClient(server, server)
        with claim(client, MODEL, 60.0, nobody) as still_mine:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.3)
            still_mine()
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert CLAIM not in mlflow.MlflowClient(server, server).get_registered_model(MODEL).tags


def test_who_waits_too_long_for_a_claim_is_told_whose_it_is(
    server: str, two_models: tuple[Proof, Proof], tmp_path: Path
) -> None:
    import mlflow

    tracking = Tracking(tmp_path / "home", server, patience_seconds=1.5)
    version = tracking.record(two_models[0]).version
    client = mlflow.MlflowClient(server, server)
    client.set_registered_model_tag(MODEL, CLAIM, "process 1 on elsewhere")
    with pytest.raises(TrackingError, match=r"claimed by another keepsight command \(process 1 on elsewhere"):
        tracking.promote(version)
    client.delete_registered_model_tag(MODEL, CLAIM)
