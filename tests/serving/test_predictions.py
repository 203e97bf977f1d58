"""`/predict` in both forms, `/predict/batch` and `/accounts/{id}`: the answer, and that it adds up."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import Role, age_column
from serving.schemas import Answer, BatchAnswers
from tests.serving.company import IN_FORCE, LEAVING, LEFT, TROUBLED, UNSEEN, WELL
from tests.serving.conftest import desk_of

FIXED_KEYS = [
    "prediction_id", "account_id", "as_of", "horizon_days", "churn_probability", "base_probability", "interval",
    "horizons", "model_probability", "scorecard_probability", "model_weight", "agreement", "band", "health_score",
    "coverage", "stage", "under_notice", "areas", "base_log_odds", "contributions", "signs", "combination",
    "actions", "opportunities", "unknown", "headline", "versions",
]  # fmt: skip


def asked(client: TestClient, **question: Any) -> dict[str, Any]:
    response = client.post("/predict", json=question)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_nothing_is_compiled_for_a_request_about_an_account(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise AssertionError("compiled for a request")

    backend = desk_of(client).company._database.engine.ibis
    for compiles in ("compile", "to_pyarrow"):
        monkeypatch.setattr(backend, compiles, refuse)
    on_another_day = f"{desk_of(client).book.as_of - dt.timedelta(days=9, hours=7):%Y-%m-%dT%H:%M:%SZ}"
    answer = asked(client, account_id=TROUBLED, as_of=on_another_day)
    assert any(sign["evidence"] for sign in answer["signs"])
    assert asked(client, account_id=TROUBLED)["account_id"] == TROUBLED


def posted_form(client: TestClient, account_id: str) -> dict[str, Any]:
    """Say of an account, as readings, all that was computed of it."""
    book = desk_of(client).book
    vector = book.vector(account_id)
    assert vector is not None
    question: dict[str, Any] = {"account_id": account_id, "as_of": f"{book.as_of.isoformat()}Z"}
    question |= {"readings": {}, "factors": {}, "context": {}, "unknown": {}}
    for place, column in enumerate(vector.contract.columns):
        value, letter = vector.values[0, place], str(vector.unknown[0, place])
        if column.role in (Role.FACTOR_AGE, Role.META):
            continue
        if letter != KNOWN_LETTER:
            question["unknown"][column.name] = UnknownReason.of_letter(letter).value
        elif column.role is Role.SIGNAL:
            question["readings"][column.name] = value
        elif column.role is Role.FACTOR:
            age = np.timedelta64(int(vector.column(age_column(column.name))[0]), "D")
            question["factors"][column.name] = {"rating": int(value), "assessed_at": f"{vector.as_of[0] - age}Z"}
        else:
            known = vector.category(column.name)[0] if column.kind == "category" else value
            question["context"][column.name] = known
    question["under_notice"] = bool(vector.column("under_notice")[0])
    return question


class TestTheAnswer:
    def test_it_has_exactly_the_fixed_fields_in_their_order(self, client: TestClient) -> None:
        answer = asked(client, account_id=TROUBLED)
        assert list(answer) == FIXED_KEYS
        Answer.model_validate(answer)

    def test_its_parts_add_up_to_the_served_log_odds_and_points(self, client: TestClient) -> None:
        for account in sorted(IN_FORCE):
            answer = client.get(f"/accounts/{account}").json()
            p = answer["churn_probability"]
            log_odds = answer["base_log_odds"] + sum(part["log_odds"] for part in answer["contributions"])
            assert log_odds == pytest.approx(math.log(p / (1 - p)), abs=1e-9)
            points = 100 * answer["base_probability"] + sum(part["points"] for part in answer["contributions"])
            assert points == pytest.approx(100 * p, abs=1e-9)

    def test_equal_model_weights_have_the_same_base(self, client: TestClient) -> None:
        answers = [client.get(f"/accounts/{account}").json() for account in sorted(IN_FORCE)]
        bases: dict[float, set[float]] = {}
        for answer in answers:
            bases.setdefault(answer["model_weight"], set()).add(answer["base_log_odds"])
        assert all(len(found) == 1 for found in bases.values())

    def test_a_sign_says_what_was_seen_with_its_threshold_and_rows(self, client: TestClient) -> None:
        sign = {sign["id"]: sign for sign in asked(client, account_id=TROUBLED)["signs"]}["open_complaints"]
        assert sign["band"] == "unhealthy"
        assert (sign["value"], sign["threshold"], sign["unit"]) == (2.0, 2.0, "points")
        assert sign["evidence"] == [
            {
                "table": "feedback",
                "key": "f1",
                "occurred_at": "2025-06-05T00:00:00Z",
                "text": "kind: complaint, text: nobody calls back",
            }
        ]

    def test_a_detractor_without_a_reason_points_at_the_community_posts(self, client: TestClient) -> None:
        sign = {sign["id"]: sign for sign in asked(client, account_id=TROUBLED)["signs"]}["nps_detractors"]
        assert "community posts" in sign["sentence"]
        assert {row["table"] for row in sign["evidence"]} == {"surveys", "community"}

    def test_too_many_tickets_name_their_commonest_category(self, client: TestClient) -> None:
        sign = {sign["id"]: sign for sign in asked(client, account_id=TROUBLED)["signs"]}["support_load"]
        assert "bugs" in sign["sentence"]

    def test_each_play_stands_once_with_the_signs_that_ask_for_it(self, client: TestClient) -> None:
        answer = asked(client, account_id=TROUBLED)
        plays = [action["play"] for action in answer["actions"]]
        assert len(plays) == len(set(plays))
        assert plays[0] == "weekly_review"
        asking = [sign for action in answer["actions"] for sign in action["because_of"]]
        assert sorted(asking) == sorted(sign["id"] for sign in answer["signs"])

    def test_every_sign_opens_something(self, client: TestClient) -> None:
        answer = asked(client, account_id=TROUBLED)
        opened = {sign for found in answer["opportunities"] for sign in found["because_of"]}
        assert {sign["id"] for sign in answer["signs"]} <= opened

    def test_what_is_not_known_has_a_reason(self, client: TestClient) -> None:
        unknown = {item["id"]: item["reason"] for item in asked(client, account_id=TROUBLED)["unknown"]}
        assert unknown["exit_page_views"] == "not_connected"
        assert unknown["product_fit"] == "not_rated"

    def test_too_little_known_withholds_health_but_not_what_is_bad(self, client: TestClient) -> None:
        answer = asked(client, account_id="new", readings={"open_complaints": 2})
        assert answer["health_score"] is None
        assert answer["band"] == "unhealthy"
        well = asked(client, account_id="new", readings={"open_complaints": 0})
        assert (well["health_score"], well["band"]) == (None, None)

    def test_notice_given_is_said(self, client: TestClient) -> None:
        answer = asked(client, account_id=LEAVING)
        assert answer["under_notice"] is True
        assert "notice" in answer["headline"]

    def test_every_answer_has_a_name_of_its_own(self, client: TestClient) -> None:
        first, second = asked(client, account_id=WELL), asked(client, account_id=WELL)
        assert first.pop("prediction_id") != second.pop("prediction_id")
        assert first == second

    def test_the_versions_name_model_and_policy(self, client: TestClient) -> None:
        versions = asked(client, account_id=WELL)["versions"]
        assert versions["model"]
        assert versions["scorecard_policy"] == versions["policy"]
        assert versions["answer"] == 1


class TestBothForms:
    def test_the_id_form_equals_the_page_of_the_account(self, client: TestClient) -> None:
        one, other = asked(client, account_id=WELL), client.get(f"/accounts/{WELL}").json()
        assert {**one, "prediction_id": ""} == {**other, "prediction_id": ""}

    def test_another_date_is_as_known_then(self, client: TestClient) -> None:
        before = asked(client, account_id=TROUBLED, as_of="2025-04-01")
        assert before["as_of"] == "2025-04-01T00:00:00Z"
        assert "open_complaints" not in [sign["id"] for sign in before["signs"]]

    @pytest.mark.parametrize("account", [TROUBLED, WELL, UNSEEN, LEAVING])
    def test_posted_readings_give_the_answer_of_computed_ones(self, client: TestClient, account: str) -> None:
        computed = asked(client, account_id=account)
        posted = asked(client, **posted_form(client, account))
        for key in FIXED_KEYS:
            if key not in ("prediction_id", "signs", "actions"):  # evidence is the company's own
                assert posted[key] == computed[key], key

    def test_posted_readings_need_no_sources(self, rules_client: TestClient) -> None:
        answer = asked(rules_client, account_id="new", readings={"usage_trend": 0.5, "nps_score": None})
        assert answer["model_probability"] is None
        assert answer["versions"]["model"] is None
        assert "rules alone" in answer["headline"]
        Answer.model_validate(answer)

    def test_null_and_left_out_are_both_unknown_and_add_nothing(self, rules_client: TestClient) -> None:
        left_out = asked(rules_client, account_id="new", readings={})
        null = asked(rules_client, account_id="new", readings={"usage_trend": None})
        assert left_out["churn_probability"] == null["churn_probability"] == left_out["base_probability"]

    def test_the_sign_that_is_posted_raises_the_probability(self, client: TestClient) -> None:
        form = posted_form(client, WELL)
        worse = {**form, "readings": form["readings"] | {"usage_trend": 0.1}}
        assert asked(client, **worse)["churn_probability"] > asked(client, **form)["churn_probability"]


class TestBatch:
    def test_each_question_has_its_own_answer_or_problem(self, client: TestClient) -> None:
        questions = [
            {"account_id": WELL},
            {"account_id": LEFT},
            {"account_id": "new", "readings": {"usage_trnd": 1}},
            {"account_id": 7},
            "nonsense",
            {"account_id": "new", "readings": {"usage_trend": 1}},
        ]
        response = client.post("/predict/batch", json=questions)
        assert response.status_code == 200
        results = response.json()["results"]
        BatchAnswers.model_validate(response.json())
        assert [result["index"] for result in results] == [0, 1, 2, 3, 4, 5]
        statuses = [result["problem"] and result["problem"]["status"] for result in results]
        assert statuses == [None, 404, 422, 422, 422, None]
        assert [result["answer"] is not None for result in results] == [True, False, False, False, False, True]

    def test_an_account_alone_equals_the_same_account_in_a_batch(self, client: TestClient) -> None:
        accounts = sorted(IN_FORCE)
        as_of = "2025-04-01"
        response = client.post("/predict/batch", json=[{"account_id": a, "as_of": as_of} for a in accounts])
        together = {result["answer"]["account_id"]: result["answer"] for result in response.json()["results"][:-1]}
        alone = asked(client, account_id=TROUBLED, as_of=as_of)
        assert {**together[TROUBLED], "prediction_id": ""} == {**alone, "prediction_id": ""}

    def test_an_empty_batch_has_no_results(self, client: TestClient) -> None:
        assert client.post("/predict/batch", json=[]).json() == {"results": []}

    def test_too_many_questions_are_refused(self, rules_client: TestClient) -> None:
        response = rules_client.post("/predict/batch", json=[{"account_id": "a", "readings": {}}] * 501)
        assert response.status_code == 422
        assert "at most 500" in response.json()["detail"]


def test_the_schema_describes_every_field_of_an_answer(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["components"]["schemas"]["Answer"]["properties"]
    assert list(described) == FIXED_KEYS


def test_numbers_in_answers_are_finite(client: TestClient) -> None:
    text = client.get(f"/accounts/{TROUBLED}").text
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} in the answer"))
