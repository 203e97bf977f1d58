"""The endpoints, each a few lines: read what is asked, ask the desk, answer as JSON or as a page.

Endpoints are plain functions, run by a bounded pool of threads; health is asynchronous and never waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from features.errors import ReadingError, near_miss
from serving.batch import answer_batch
from serving.body import StrictRoute
from serving.company import NO_CARD
from serving.desk import Desk
from serving.negotiation import language, prefers_html
from serving.pages import account_page, accounts_page, page_headers
from serving.problems import INVALID_REQUEST, PROBLEM_JSON, RequestProblem
from serving.schemas import (
    Answer,
    Band,
    BatchAnswers,
    BatchItem,
    BookPage,
    Health,
    ModelSummary,
    Moment,
    Problem,
    Question,
    Readiness,
)

MOST_ROWS = 1000
_DESCRIBED: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": meaning, "content": {PROBLEM_JSON: {}}}
    for status, meaning in {
        404: "No such account on that date",
        409: "The model and the definitions do not fit",
        422: "Something asked for is not as described",
        503: "Not ready yet, or the sources cannot be read",
    }.items()
}
_WITH_BODY = _DESCRIBED | {
    status: {"model": Problem, "description": meaning, "content": {PROBLEM_JSON: {}}}
    for status, meaning in {
        400: "The body is not JSON",
        413: "The body is too large",
        415: "The body is not application/json",
    }.items()
}

router = APIRouter(route_class=StrictRoute)


async def _desk(request: Request) -> Desk:  # asynchronous: health must not wait for a thread
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]


async def _language(
    desk: AtDesk,
    lang: Annotated[str | None, Query(description="en or zh; wins over Accept-Language.", max_length=35)] = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> str:
    return language(lang, accept_language, sorted(desk.catalogue.wording))


Language = Annotated[str, Depends(_language)]


def as_json(document: Mapping[str, Any]) -> Response:
    """Return an answer as it is: it was made for JSON, and tests hold it to its schema."""
    return Response(orjson.dumps(document), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post("/predict", response_model=Answer, responses=_WITH_BODY, tags=["predictions"])
def predict(question: Question, desk: AtDesk, lang: Language) -> Response:
    """Predict for one account: by its id, or from the readings, factors and context that are given."""
    return as_json(desk.answer_question(question, lang))


@router.post("/predict/batch", response_model=BatchAnswers, responses=_WITH_BODY, tags=["predictions"])
def predict_batch(questions: list[BatchItem], desk: AtDesk, lang: Language) -> Response:
    """Predict for several accounts; each has its own answer or its own problem, in the order asked."""
    limit = desk.settings.batch_limit
    if len(questions) > limit:
        raise RequestProblem(INVALID_REQUEST, f"{len(questions)} questions; at most {limit} at a time.")
    return as_json({"results": answer_batch(questions, desk, lang)})


@router.get("/accounts", response_model=BookPage, responses=_DESCRIBED, tags=["accounts"])
def accounts(
    desk: AtDesk,
    lang: Language,
    csm: Annotated[str | None, Query(max_length=200, description="Only this manager's accounts.")] = None,
    band: Annotated[Band | Literal[""] | None, Query(description="Only accounts of this band.")] = None,
    sign: Annotated[str | None, Query(max_length=60, description="Only accounts with this sign.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """List the book, ranked by yearly value at risk among the accounts that can still be kept."""
    asked = {"csm": csm or None, "band": band or None, "sign": sign or None}
    _refuse_unknown_sign(asked["sign"], desk)
    page = desk.page(asked, limit, offset)
    if not prefers_html(accept):
        return as_json(page)
    csms = sorted({card.csm for card in desk.company.cards.values() if card.csm})
    links = _links(asked | {"lang": lang}, limit, offset, page["total"])
    return HTMLResponse(
        accounts_page(page, desk.catalogue, lang, asked, csms, links), headers=dict(page_headers())
    )


def _refuse_unknown_sign(sign: str | None, desk: Desk) -> None:
    definitions = desk.catalogue.definitions
    known = [*definitions.signals, *definitions.factors]
    if sign is not None and sign not in known:
        raise ReadingError(f'sign: there is no signal or factor "{sign}". {near_miss(sign, known)}')


def _links(asked: Mapping[str, str | None], limit: int, offset: int, total: int) -> tuple[str | None, str | None]:
    """Return the addresses of the page before and the page after, None where there is none."""
    kept = {name: value for name, value in asked.items() if value} | {"limit": str(limit)}

    def to(start: int) -> str:
        return f"/accounts?{urlencode(kept | {'offset': str(start)})}"

    before = to(max(0, offset - limit)) if offset > 0 else None
    return before, to(offset + limit) if offset + limit < total else None


@router.get("/accounts/{account_id:path}", response_model=Answer, responses=_DESCRIBED, tags=["accounts"])
def account(
    account_id: str,
    desk: AtDesk,
    lang: Language,
    as_of: Annotated[Moment | None, Query(description="As known then; default: the latest.")] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Explain one account, as JSON, or as a page where `Accept` asks for text/html."""
    answer = desk.answer_account(account_id, as_of, lang)
    if not prefers_html(accept):
        return as_json(answer)
    card = desk.company.cards.get(account_id, NO_CARD)
    return HTMLResponse(account_page(answer, desk.catalogue, lang, card), headers=dict(page_headers()))


@router.get("/catalogue", responses=_DESCRIBED, tags=["about"])
def catalogue(desk: AtDesk, lang: Language) -> Response:
    """List signals, factors and context: what may be posted, how it is read, and what it is called."""
    return as_json(catalogue_document(desk, lang))


def catalogue_document(desk: Desk, lang: str) -> dict[str, Any]:
    """Return the catalogue in force as JSON-ready data."""
    ours = desk.catalogue
    wording = ours.wording[lang]
    definitions, policy = ours.definitions.model_dump(mode="json"), ours.policy.model_dump(mode="json")
    for group in ("signals", "factors", "context"):
        for name, entry in definitions[group].items():
            entry["name"] = wording.name(name)
    return {
        "revision": ours.revision,
        "definitions_fingerprint": ours.definitions_fingerprint,
        "policy_fingerprint": ours.policy_fingerprint,
        "areas": [{"id": area, "name": wording.area(area)} for area in ours.areas],
        "definitions": definitions,
        "policy": policy,
    }


@router.get("/model", response_model=ModelSummary, responses=_DESCRIBED, tags=["about"])
def model(desk: AtDesk) -> Response:
    """Say which model answers, or that the rules answer alone and what would change that."""
    return as_json(desk.model_summary())


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Lead whoever knows the address alone to the description of all paths."""
    return RedirectResponse("docs")  # relative: the service may stand below a path of another


@router.get("/healthz", response_model=Health, tags=["health"])
async def healthz() -> Response:
    """Say that the process lives."""
    return as_json({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}}, tags=["health"])
async def readyz(desk: AtDesk) -> Response:
    """Say whether the book is scored, and how far it has come."""
    state = desk.readiness()
    ready = state["status"] in ("ready", "refreshing")
    return Response(orjson.dumps(state), status_code=200 if ready else 503, media_type="application/json")
