"""Wrong input: always a clear problem document with a remedy, never a 5xx, never the sender's own values back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.serving.company import LEFT, TROUBLED

MARK = "canary-7431"
JSON = {"content-type": "application/json"}
GIVEN = '{"account_id": "a", "readings": {%s}}'

RAW_BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 422),
    "blank": (b"   ", 400),
    "half an object": (b'{"account_id": ', 400),
    "single quotes": (b"{'account_id': 'a'}", 400),
    "trailing comma": (b'{"account_id": "a",}', 400),
    "two documents": (b'{"account_id": "a"} {}', 400),
    "comment": (b'{"account_id": "a"} // hello', 400),
    "byte order mark": (b'\xef\xbb\xbf{"account_id": "a"}', 400),
    "not UTF-8": (b'{"account_id": "\xff\xfe"}', 400),
    "NaN": ((GIVEN % '"usage_trend": NaN').encode(), 400),
    "Infinity": ((GIVEN % '"usage_trend": Infinity').encode(), 400),
    "minus Infinity": ((GIVEN % '"usage_trend": -Infinity').encode(), 400),
    "1e999": ((GIVEN % '"usage_trend": 1e999').encode(), 400),
    "-1e999": ((GIVEN % '"usage_trend": -1e999').encode(), 400),
    "bare NaN": (b"NaN", 400),
    "lone surrogate": (b'{"account_id": "\\ud800"}', 400),
    "lone low surrogate": (b'{"account_id": "\\udc00x"}', 400),
    "control character": (b'{"account_id": "\x01"}', 400),
    "deep list": (b"[" * 100_000 + b"]" * 100_000, 400),
    "deep object": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
    "a list": (b"[]", 422),
    "a text": (b'"account_id"', 422),
    "a number": (b"1", 422),
    "null": (b"null", 422),
    "true": (b"true", 422),
    "no account": (b"{}", 422),
    "account is null": (b'{"account_id": null}', 422),
    "account is a number": (b'{"account_id": 1}', 422),
    "account is empty": (b'{"account_id": ""}', 422),
    "account is long": (json.dumps({"account_id": "x" * 100_000}).encode(), 422),
    "account with NUL": (b'{"account_id": "a\\u0000b"}', 404),
    "unknown key": (b'{"account_id": "a", "acount": 1}', 422),
    "as_of is a number": (b'{"account_id": "a", "as_of": 1719705600}', 422),
    "as_of is no date": (b'{"account_id": "a", "as_of": "30.6.2025"}', 422),
    "as_of does not exist": (b'{"account_id": "a", "as_of": "2025-02-30"}', 422),
    "as_of in the year 1": (b'{"account_id": "a", "as_of": "0001-01-01T00:00:00+14:00"}', 422),
    "as_of in the year 9999": (b'{"account_id": "a", "as_of": "9999-12-31T23:59:59-14:00"}', 422),
    "as_of in the future": (b'{"account_id": "a", "as_of": "2999-01-01"}', 422),
    "readings are a list": (b'{"account_id": "a", "readings": []}', 422),
    "reading is a text": ((GIVEN % '"usage_trend": "0.5"').encode(), 422),
    "reading is true": ((GIVEN % '"usage_trend": true').encode(), 422),
    "reading is a list": ((GIVEN % '"usage_trend": [1]').encode(), 422),
    "reading is huge": ((GIVEN % f'"usage_trend": {"9" * 400}').encode(), 400),
    "reading is negative": ((GIVEN % '"usage_trend": -1').encode(), 422),
    "unknown signal": ((GIVEN % '"usage_trnd": 1').encode(), 422),
    "factor among readings": ((GIVEN % '"partnership": 4').encode(), 422),
    "code that does not exist": ((GIVEN % '"nps_detractors": 3').encode(), 422),
    "code between two": ((GIVEN % '"nps_detractors": 0.5').encode(), 422),
    "relative change below -1": ((GIVEN % '"licence_change": -1.5').encode(), 422),
    "rating 0": (b'{"account_id":"a","factors":{"partnership":{"rating":0,"assessed_at":"2025-01-01"}}}', 422),
    "rating 6": (b'{"account_id":"a","factors":{"partnership":{"rating":6,"assessed_at":"2025-01-01"}}}', 422),
    "rating 2.5": (b'{"account_id":"a","factors":{"partnership":{"rating":2.5,"assessed_at":"2025-01-01"}}}', 422),
    "rating without a date": (b'{"account_id":"a","factors":{"partnership":{"rating":2}}}', 422),
    "rating alone": (b'{"account_id":"a","factors":{"partnership":2}}', 422),
    "rated in the future": (
        b'{"account_id":"a","as_of":"2025-01-01","factors":{"partnership":{"rating":2,"assessed_at":"2025-01-02"}}}',
        422,
    ),
    "unknown factor": (b'{"account_id":"a","factors":{"partnershp":null}}', 422),
    "unknown context": (b'{"account_id":"a","context":{"ar":1}}', 422),
    "context of another type": (b'{"account_id":"a","context":{"arr":"much"}}', 422),
    "category is a number": (b'{"account_id":"a","context":{"plan":3}}', 422),
    "context is an object": (b'{"account_id":"a","context":{"arr":{"a":1}}}', 422),
    "reason that does not exist": (b'{"account_id":"a","readings":{},"unknown":{"usage_trend":"lost"}}', 422),
    "value and reason": (
        b'{"account_id":"a","readings":{"usage_trend":1},"unknown":{"usage_trend":"too_few"}}',
        422,
    ),
    "reason of nothing": (b'{"account_id":"a","readings":{},"unknown":{"usage":"too_few"}}', 422),
    "reason without readings": (b'{"account_id":"a","unknown":{"usage_trend":"too_few"}}', 422),
    "too many names": (
        json.dumps({"account_id": "a", "readings": {f"x{n}": 1 for n in range(2000)}}).encode(),
        422,
    ),
    "unknown account": (b'{"account_id": "nobody"}', 404),
    "account that has left": (json.dumps({"account_id": LEFT}).encode(), 404),
    "before any account": (json.dumps({"account_id": TROUBLED, "as_of": "1990-01-01"}).encode(), 404),
}


def refused(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 16_384
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:keepsight:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert problem["remedy"]
    return problem


@pytest.mark.parametrize(("body", "status"), RAW_BODIES.values(), ids=RAW_BODIES)
def test_a_wrong_body_is_refused(client: TestClient, body: bytes, status: int) -> None:
    refused(client.post("/predict", content=body, headers=JSON), status)


@pytest.mark.parametrize(
    "body",
    [
        {"account_id": MARK, "as_of": MARK},
        {"account_id": {"x": MARK}},
        {"account_id": "a", "readings": {"usage_trend": MARK}},
        {"account_id": "a", "context": {"arr": MARK}},
        {"account_id": "a", "factors": {"partnership": {"rating": MARK, "assessed_at": MARK}}},
        {"account_id": "a", "readings": {}, "unknown": {"usage_trend": MARK}},
    ],
)
def test_a_refusal_does_not_repeat_the_value_that_was_sent(client: TestClient, body: object) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == 422
    assert MARK not in response.text


def test_a_mistyped_signal_is_answered_with_the_near_miss(client: TestClient) -> None:
    problem = refused(client.post("/predict", json={"account_id": "a", "readings": {"usage_trnd": 1}}), 422)
    assert 'Did you mean "usage_trend"?' in problem["detail"]


def test_a_factor_among_the_readings_is_told_where_it_belongs(client: TestClient) -> None:
    problem = refused(client.post("/predict", json={"account_id": "a", "readings": {"partnership": 2}}), 422)
    assert 'belongs under "factors"' in problem["detail"]


def test_a_wrong_type_names_its_place(client: TestClient) -> None:
    problem = refused(client.post("/predict", json={"account_id": "a", "readings": {"usage_trend": "x"}}), 422)
    assert problem["errors"] == [{"where": "body.readings.usage_trend", "what": "Input should be a valid number"}]


def test_a_code_that_does_not_exist_is_answered_with_the_code_book(client: TestClient) -> None:
    problem = refused(client.post("/predict", json={"account_id": "a", "readings": {"champion_change": 7}}), 422)
    assert "2 (the only champion left, or there is none)" in problem["detail"]


def test_a_leaver_is_told_apart_from_a_stranger(client: TestClient) -> None:
    left = refused(client.post("/predict", json={"account_id": LEFT}), 404)
    stranger = refused(client.post("/predict", json={"account_id": "nobody"}), 404)
    assert "no contract in force" in left["detail"]
    assert "There is no account" in stranger["detail"]


class TestBodies:
    def test_an_announced_body_over_the_limit_is_refused(self, client: TestClient) -> None:
        refused(client.post("/predict", content=b" " * (1024 * 1024 + 1), headers=JSON), 413)

    def test_a_streamed_body_over_the_limit_is_refused(self, client: TestClient) -> None:
        def endless() -> Iterator[bytes]:
            for _ in range(40):
                yield b" " * 65_536

        refused(client.post("/predict", content=endless(), headers=JSON), 413)

    @pytest.mark.parametrize("length", ["-1", "abc", "1e3", "9" * 50, "٣"])
    def test_a_length_that_cannot_be_is_refused(self, client: TestClient, length: str) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
        response = client.post("/predict", content=b"{}", headers=headers)
        assert response.status_code in (400, 413)
        assert response.json()["remedy"]

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/xml", "multipart/form-data", "", "json", "text/json"]
    )
    def test_another_content_type_is_refused(self, client: TestClient, kind: str) -> None:
        refused(client.post("/predict", content=b'{"account_id": "a"}', headers={"content-type": kind}), 415)

    def test_a_compressed_body_is_refused(self, client: TestClient) -> None:
        headers = JSON | {"content-encoding": "gzip"}
        refused(client.post("/predict", content=b"\x1f\x8b", headers=headers), 415)

    def test_a_charset_beside_the_content_type_is_fine(self, client: TestClient) -> None:
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        body = b'{"account_id": "a", "readings": {}}'
        assert client.post("/predict", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts?limit=nan", 422),
        ("/accounts?limit=Infinity", 422),
        ("/accounts?limit=0", 422),
        ("/accounts?limit=1e999", 422),
        ("/accounts?limit=100000", 422),
        ("/accounts?offset=-1", 422),
        ("/accounts?offset=99999999999999999999999999", 422),
        ("/accounts?band=bad", 422),
        ("/accounts?sign=usage_trnd", 422),
        ("/accounts?lang=xx", 422),
        ("/accounts?lang=%00", 422),
        ("/accounts/acme?as_of=nan", 422),
        ("/accounts/acme?as_of=2999-01-01", 422),
        ("/accounts/nobody", 404),
        ("/accounts/%F0%9F%92%A9", 404),
        ("/accounts/..%2F..%2Fetc%2Fpasswd", 404),
        ("/accounts/%ff", 404),
        ("/nowhere", 404),
        ("/predict", 405),
        ("/catalogue?lang=de", 422),
    ],
)
def test_a_wrong_address_is_refused(client: TestClient, path: str, status: int) -> None:
    refused(client.get(path), status)


@pytest.mark.parametrize("header", ["en;q=nan", "en;q=inf", ";;;", "zh" * 5000, "*", "\xff"])
def test_a_strange_language_header_is_answered_all_the_same(client: TestClient, header: str) -> None:
    response = client.get("/model", headers={"accept-language": header.encode("latin-1")})
    assert response.status_code == 200
