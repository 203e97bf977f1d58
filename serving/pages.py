"""The service's pages: an answer, and the book, for people to read. No script is needed, and none is sent."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from markupsafe import Markup

from features.catalogue import Catalogue
from features.catalogue.wording import Wording
from models.labels import labels
from models.telling import (
    START,
    TOTAL,
    band_in_words,
    other_horizons,
    part_name,
    shown_parts,
    unknown_in_words,
)
from serving.company import AccountCard

TEMPLATES = Path(__file__).parent / "templates"
BAR_SPACE = 200.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the list that adds up: its words, its points (one decimal), and its bar (0 to 200 wide)."""

    name: str
    points: float
    start: float
    width: float
    is_sum: bool


@functools.cache
def style() -> str:
    """Return the pages' style sheet, which is sent inside each page."""
    return (TEMPLATES / "page.css").read_text("utf-8")


@functools.cache
def page_headers() -> Mapping[str, str]:
    """Return the headers of a page: no script, no frame, no style but ours, kept by nobody."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Vary": "Accept, Accept-Language"}


def account_page(answer: Mapping[str, Any], catalogue: Catalogue, lang: str, card: AccountCard) -> str:
    """Return the page of one account's answer."""
    wording = catalogue.wording[lang]
    bars, axis = bars_of(answer, wording)
    model = answer["model_probability"]
    agreement = (
        ""
        if model is None
        else wording.agreement(answer["agreement"], model=model, scorecard=answer["scorecard_probability"])
    )
    total = answer["base_log_odds"] + math.fsum(part["log_odds"] for part in answer["contributions"])
    return _render(
        "account.html",
        wording,
        answer=answer,
        card=card,
        bars=bars,
        axis=axis,
        agreement=agreement,
        other_horizons=other_horizons(answer, wording),
        unknowns=unknown_in_words(answer, wording),
        total_log_odds=total,
    )


def accounts_page(
    page: Mapping[str, Any],
    catalogue: Catalogue,
    lang: str,
    asked: Mapping[str, str | None],
    csms: Sequence[str],
    links: tuple[str | None, str | None],
) -> str:
    """Return one page of the book; `links` lead to the page before and the page after."""
    sign_ids = [*catalogue.definitions.signals, *catalogue.definitions.factors]
    return _render(
        "accounts.html",
        catalogue.wording[lang],
        page=page,
        asked=asked,
        csms=csms,
        sign_ids=sign_ids,
        previous_link=links[0],
        next_link=links[1],
    )


def _render(template: str, wording: Wording, **values: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            lang=wording.language,
            words=labels(wording.language),
            wording=wording,
            band_in_words=band_in_words,
            style=Markup(style()),
            **values,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"points": _points, "precise": _precise, "whole": _whole, "time": _time, "date": _date}
    return environment


def _points(number: float, wording: Wording, *, signed: bool) -> str:
    return str(format_decimal(number, "+0.0;−0.0" if signed else "0.0", locale=wording.texts.locale))


def _precise(number: float) -> str:
    return f"{number:+.4f}".replace("-", "−")


def _whole(number: float, wording: Wording) -> str:
    return str(format_decimal(round(number), locale=wording.texts.locale))


def _time(when: str, wording: Wording) -> str:
    return f"{format_datetime(_read(when), 'medium', locale=wording.texts.locale)} UTC"


def _date(when: str, wording: Wording) -> str:
    return str(format_date(_read(when), "medium", locale=wording.texts.locale))


def _read(when: str) -> dt.datetime:
    return dt.datetime.fromisoformat(when)


def bars_of(answer: Mapping[str, Any], wording: Wording) -> tuple[list[Bar], float]:
    """Return the rows that add up, and where their zero lies (0 to 200)."""
    parts = shown_parts(answer)
    low, high = min(0.0, *(part.points for part in parts)), max(0.0, *(part.points for part in parts))
    scale = BAR_SPACE / (high - low or 1.0)
    bars = [
        Bar(
            part_name(part, wording),
            part.points,
            round((min(part.points, 0.0) - low) * scale, 1),
            round(abs(part.points) * scale, 1),
            part.id in (START, TOTAL),
        )
        for part in parts
    ]
    return bars, round(-low * scale, 1)
