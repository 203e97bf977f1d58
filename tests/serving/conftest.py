"""A real company in CSV files, a small real model, and the real service over both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from features.catalogue import Catalogue, load_catalogue
from features.vectors import FeatureContract, feature_contract
from models.bundle import Bundle, save_bundle
from serving.app import create_app
from serving.desk import Desk
from serving.settings import Settings
from tests.models.conftest import a_bundle_of, some_vectors_of
from tests.serving.company import write_company

CODEBOOKS = {"plan": ("basic", "pro"), "industry": ("bank", "retail"), "region": ("apac", "emea")}
LONGEST_START_SECONDS = 120


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def contract(catalogue: Catalogue) -> FeatureContract:
    return feature_contract(catalogue, CODEBOOKS)


@pytest.fixture(scope="session")
def bundle(catalogue: Catalogue, contract: FeatureContract) -> Bundle:
    return a_bundle_of(catalogue, some_vectors_of(contract, 1200, seed=11, unknown_share=0.3), trees=30)


@pytest.fixture(scope="session")
def home(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    save_bundle(bundle, folder / "champion")
    return folder


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="session")
def client(home: Path, sources: Path) -> Iterator[TestClient]:
    with running(Settings(home=home, sources=sources)) as service:
        yield service


@pytest.fixture(scope="session")
def rules_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Neither sources nor a model: posted readings, answered by the rules alone."""
    with running(Settings(home=tmp_path_factory.mktemp("empty_home"))) as service:
        yield service


def running(settings: Settings) -> TestClient:
    """Return a client that starts the service when entered; errors come back as answers."""
    return WaitingClient(create_app(settings), raise_server_exceptions=False)


class WaitingClient(TestClient):
    """Waits, when entered, until the service is ready or has said that it cannot be."""

    def __enter__(self) -> WaitingClient:
        super().__enter__()
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while self.get("/readyz").json()["status"] == "starting":
            assert time.monotonic() < deadline, self.get("/readyz").json()
            time.sleep(0.05)
        return self


def desk_of(client: TestClient) -> Desk:
    desk: Desk = client.app.state.desk  # type: ignore[attr-defined]
    return desk
