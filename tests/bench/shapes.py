"""What measures read of each table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What is read of a table; `at` is when an event happened, None for what merely holds."""

    key: tuple[str, ...]
    at: str | None
    columns: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


SHAPES: Mapping[str, Shape] = {
    "accounts": Shape(("account_id",), None, ("customer_since",), ("industry", "region")),
    "contracts": Shape(
        ("contract_id",),
        None,
        ("start_date", "end_date", "notice_deadline", "notice_at", "licences", "arr"),
        ("plan",),
    ),
    "plans": Shape(("plan", "feature", "valid_from"), None, ("valid_to",)),
    "usage": Shape(("usage_id",), "occurred_at", ("quantity",), ("user_id", "feature", "actor")),
    "tickets": Shape(("ticket_id",), "opened_at", ("closed_at", "escalated", "satisfaction"), ("priority",)),
    "surveys": Shape(("survey_id",), "occurred_at", ("nps",), ("respondent_id",)),
    "community": Shape(("activity_id",), "occurred_at", ("question", "sentiment"), ("member_id", "kind", "level")),
    "feedback": Shape(("feedback_id",), "occurred_at", ("resolved_at", "rating", "sentiment"), ("kind",)),
    "requests": Shape(("request_id",), "occurred_at", (), ("kind",)),
    "visits": Shape(("visit_id",), "occurred_at", (), ("user_id", "page")),
    "contacts": Shape(
        ("contact_id", "valid_from"), None, ("title", "valid_to", "successor_id"), ("role", "contact_id")
    ),
    "organisation": Shape(("event_id",), "occurred_at", (), ("kind",)),
    "assessments": Shape(("assessment_id",), "occurred_at", ("rating",), ("factor",)),
    "feeds": Shape(("table", "covered_from"), None, ("covered_to",)),
}
