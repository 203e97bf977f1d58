"""Starting: nothing on import, broken sources, no sources, and a real server on a real port."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from features.sources import load_sources
from serving.company import Company
from serving.problems import NOT_READY, RequestProblem
from serving.settings import Settings
from tests.serving.company import TROUBLED, WELL, write_company
from tests.serving.conftest import running

LONGEST_SECONDS = 60
HEAVY = ("numpy", "pandas", "ibis", "lightgbm", "mlflow", "pyarrow", "fastapi", "duckdb")


def test_the_command_line_imports_nothing_heavy() -> None:
    code = f"import sys, serving.commands; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_building_the_service_opens_nothing_and_imports_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from serving.app import create_app; from serving.settings import Settings; "
        "create_app(Settings(sources='nowhere.toml')); print('mlflow' in sys.modules)"
    )
    environment = os.environ | {"KEEPSIGHT_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "False"
    assert list(tmp_path.iterdir()) == []


def test_the_garbage_collector_leaves_what_is_loaded_alone(tmp_path: Path) -> None:
    gc.unfreeze()
    with running(Settings(home=tmp_path / "home", sources=write_company(tmp_path))) as client:
        assert client.get("/readyz").status_code == 200
        assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_broken_sources_leave_a_service_that_says_what_is_wrong(tmp_path: Path) -> None:
    path = write_company(tmp_path)
    (tmp_path / "contracts.csv").unlink()
    with running(Settings(home=tmp_path / "home", sources=path)) as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["status"] == "failed"
        assert "contracts.csv" in ready.json()["detail"]
        for response in (client.get("/accounts"), client.post("/predict", json={"account_id": TROUBLED})):
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
            assert "contracts.csv" in response.json()["detail"]
            assert "keepsight check" in response.json()["remedy"]
        posted = client.post("/predict", json={"account_id": "new", "readings": {"usage_trend": 0.5}})
        assert posted.status_code == 200  # this needs no table


def test_without_sources_accounts_cannot_be_asked_for_by_id(tmp_path: Path) -> None:
    with running(Settings(home=tmp_path)) as client:
        assert client.get("/readyz").status_code == 200
        response = client.post("/predict", json={"account_id": TROUBLED})
        assert response.status_code == 503
        assert "--sources" in response.json()["detail"]
        assert client.get("/accounts").status_code == 503


@pytest.mark.slow
def test_sources_closed_while_a_request_waited_are_not_a_fault_of_ours(sources: Path) -> None:
    company = Company(load_sources(sources), often=True)
    company.close()
    with pytest.raises(RequestProblem, match="read again") as refused:
        company.in_force(company.observed_until)
    assert refused.value.kind is NOT_READY


def test_refreshing_reads_the_sources_again_and_answers_meanwhile(tmp_path: Path) -> None:
    path = write_company(tmp_path)
    settings = Settings(home=tmp_path / "home", sources=path, refresh_minutes=0.01, champion_poll_seconds=0.1)
    with running(settings) as client:
        accounts = tmp_path / "accounts.csv"
        accounts.write_text(accounts.read_text(encoding="utf-8").replace("Bolt", "Renamed"), encoding="utf-8")
        deadline = time.monotonic() + 3 * LONGEST_SECONDS
        while "Renamed" not in client.get("/accounts").text:
            assert client.get("/readyz").status_code == 200
            assert client.get(f"/accounts/{WELL}").status_code == 200
            assert time.monotonic() < deadline


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = "from serving.commands import app; app(prog_name='keepsight')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"KEEPSIGHT_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield process, found[0]
    finally:
        process.kill()
        process.communicate(timeout=LONGEST_SECONDS)


def test_a_real_server_answers_on_its_port_and_stops_when_told(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    with httpx.Client(base_url=address, timeout=LONGEST_SECONDS) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        while client.get("/readyz").status_code == 503:
            pass
        answer = client.post("/predict", json={"account_id": "new", "readings": {"usage_trend": 0.5}})
        assert answer.status_code == 200
        over = client.post("/predict", content=b" " * 2_000_000, headers={"content-type": "application/json"})
        assert over.status_code == 413
        bad = client.post("/predict", content=b"{", headers={"content-type": "application/json"})
        assert bad.status_code == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONGEST_SECONDS) in (0, -signal.SIGTERM)


def test_a_port_that_is_taken_is_a_clear_error(server: tuple[subprocess.Popen[str], str]) -> None:
    port = server[1].rpartition(":")[2]
    code = "from serving.commands import app; app(prog_name='keepsight')"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--port", port],
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
