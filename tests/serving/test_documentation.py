"""The package's README has an entry for each setting, problem and path."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fastapi.testclient import TestClient

import serving.problems
from serving.app import create_app
from serving.problems import KIND_OF, Kind
from serving.schemas import Question
from serving.settings import Settings

README = (Path(serving.problems.__file__).with_name("README.md")).read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", re.sub(r"(?s)```.*?```", "", README)))


def test_every_setting_has_its_entry() -> None:
    assert set(Settings.model_fields) - NAMED == set()


def test_every_problem_has_its_entry_with_its_status() -> None:
    kinds = {kind for kind in vars(serving.problems).values() if isinstance(kind, Kind)}
    assert set(KIND_OF.values()) <= kinds
    lines = [line for line in README.splitlines() if line.startswith("| `")]
    for kind in kinds:
        assert [line for line in lines if f"`{kind.id}`" in line and str(kind.status) in line], kind.id


def test_the_posted_question_is_answered_as_it_stands_there(rules_client: TestClient) -> None:
    body = README.split("```json\n")[1].split("```")[0]
    answer = rules_client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert set(json.loads(body)) == set(Question.model_fields)
    assert answer.json()["account_id"] == "acme"


def test_the_address_alone_leads_to_the_description_of_all_paths(rules_client: TestClient) -> None:
    page = rules_client.get("/")
    assert (page.status_code, page.url.path) == (200, "/docs")
    assert "openapi.json" in page.text


def test_every_path_has_its_entry() -> None:
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in README, path
