"""Errors over HTTP: RFC 9457 problem details. One table says which error is which status.

No answer repeats what was sent: a value that cannot be serialised would turn a 422 into a 500, and it may be
somebody's data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException

from features.errors import (
    BundleError,
    CatalogueError,
    ContractMismatchError,
    KeepsightError,
    NoModelError,
    ReadingError,
    SourcesError,
    TableError,
    UnknownAccountError,
)

PROBLEM_JSON = "application/problem+json"
DETAIL_LIMIT = 2000
SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its id for life, the HTTP status, what it is called and what to do."""

    id: str
    status: int
    title: str
    remedy: str


MALFORMED_JSON = Kind(
    "malformed_json",
    400,
    "The body is not JSON",
    "Send one JSON document in UTF-8. NaN and Infinity are not JSON: send null for what is unknown.",
)
INVALID_REQUEST = Kind(
    "invalid_request",
    422,
    "The request is not as described",
    "See `errors`, and the schema at /openapi.json.",
)
BODY_TOO_LARGE = Kind(
    "body_too_large", 413, "The body is too large", "Send fewer accounts at a time to /predict/batch."
)
UNSUPPORTED_CONTENT = Kind(
    "unsupported_content", 415, "The content type is not supported", "Send `Content-Type: application/json`."
)
NOT_FOUND = Kind("not_found", 404, "There is nothing here", "See the list of paths at /docs.")
METHOD_NOT_ALLOWED = Kind("method_not_allowed", 405, "The path has no such method", "See the paths at /docs.")
BAD_REQUEST = Kind("bad_request", 400, "The request cannot be read", "See the paths at /docs.")
NOT_READY = Kind(
    "not_ready", 503, "Not ready yet", "Ask again in a few seconds; /readyz says how far it has come."
)
UNKNOWN_ACCOUNT = Kind(
    "unknown_account",
    404,
    "No such account on that date",
    "GET /accounts lists the accounts in force; to ask about another, post its readings.",
)
READING = Kind("reading", 422, "A reading is not as defined", "GET /catalogue lists signals, factors and context.")
CONTRACT_MISMATCH = Kind(
    "contract_mismatch", 409, "The model and the definitions do not fit", "Train again: `keepsight train`."
)
NO_MODEL = Kind("no_model", 503, "There is no model", "`keepsight train --promote` makes one.")
BUNDLE = Kind(
    "bundle", 503, "The model cannot be read", "Promote again (`keepsight promote`), or name another bundle."
)
SOURCES = Kind(
    "sources",
    503,
    "The company's sources cannot be read",
    "`keepsight check --sources …` lists every problem; mend them and start again.",
)
INTERNAL = Kind(
    "internal", 500, "Something went wrong here", "Tell whoever runs the service; its log has the reason."
)

KIND_OF: Mapping[type[KeepsightError], Kind] = {
    UnknownAccountError: UNKNOWN_ACCOUNT,
    ReadingError: READING,
    ContractMismatchError: CONTRACT_MISMATCH,
    NoModelError: NO_MODEL,
    BundleError: BUNDLE,
    SourcesError: SOURCES,
    TableError: SOURCES,
    CatalogueError: SOURCES,
    KeepsightError: INTERNAL,
}
_BY_STATUS = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: BODY_TOO_LARGE, 415: UNSUPPORTED_CONTENT}


class RequestProblem(HTTPException):
    """A problem of the request itself, or of the moment, that no error of the core stands for."""

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(kind.status, detail, dict(headers or {}))
        self.kind = kind


def kind_of(error: KeepsightError) -> Kind:
    """Return what an error of the core is over HTTP: that of its nearest class in the table.

    >>> kind_of(ReadingError("usage_trend: ...")).status
    422
    """
    return next(KIND_OF[known] for known in type(error).__mro__ if known in KIND_OF)


def problem(kind: Kind, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Return the members of a problem document.

    >>> problem(NOT_READY, "3 of 9 accounts are scored.")["type"]
    'urn:keepsight:problem:not_ready'
    """
    document: dict[str, Any] = {
        "type": f"urn:keepsight:problem:{kind.id}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail[:DETAIL_LIMIT],
        "remedy": kind.remedy,
    }
    if errors:
        document["errors"] = list(errors)
    return document


def problem_of(error: KeepsightError) -> dict[str, Any]:
    """Return the problem document of an error of the core."""
    return problem(kind_of(error), str(error))


def install_problem_handlers(app: FastAPI) -> None:
    """Let `app` answer every error as a problem document."""
    app.add_exception_handler(KeepsightError, _on_keepsight_error)
    app.add_exception_handler(AnyHTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_anything_else)


def _respond(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(document),
        status_code=document["status"],
        media_type=PROBLEM_JSON,
        headers=dict(headers or {}),
    )


async def _on_keepsight_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, KeepsightError)
    return _respond(problem_of(error))


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    if isinstance(error, RequestProblem):
        return _respond(problem(error.kind, str(error.detail)), error.headers)
    kind = _BY_STATUS.get(error.status_code, BAD_REQUEST)
    return _respond(problem(kind, f"{kind.title}.") | {"status": error.status_code}, error.headers)


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        reason = next(item["ctx"]["error"] for item in found if item["type"] == "json_invalid")
        return _respond(problem(MALFORMED_JSON, f"The body cannot be parsed: {reason}."))
    return _respond(invalid(found))


def invalid(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the problem document of pydantic's errors: where and what, without the values."""
    errors = [{"where": _where(item["loc"]), "what": item["msg"]} for item in found[:SHOWN_ERRORS]]
    return problem(INVALID_REQUEST, "; ".join(f"{item['where']}: {item['what']}" for item in errors), errors)


def _where(location: Sequence[int | str]) -> str:
    return ".".join(str(step)[:80] for step in location[:8])


async def _on_anything_else(request: Request, error: Exception) -> Response:
    structlog.get_logger().error("unexpected error", path=request.url.path, exc_info=error)
    return _respond(problem(INTERNAL, "An unexpected error; nothing was recorded or changed."))
