"""What happens at accounts beside usage, each table all at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.data.columns import DAY, drawn, keys, names, numbers, time
from tests.bench.data.company import Company
from tests.bench.data.recording import as_it_ended, corrected, moved, recorded, redrawn

FACTORS = ("partnership", "executive_relationship", "business_value", "resources", "technical_debt", "product_fit")


def tickets(company: Company) -> pa.Table:
    """Return the tickets, recorded in the night; those still open then are recorded once more when closed."""
    rng, size = company.rng(23), company.side_rows("tickets")
    account, opened = company.occurrences(rng, size)
    days_open = rng.exponential(np.where(rng.random(size) < 0.6, 0.2, 5.0), size)
    closed = opened + (days_open * DAY).astype(np.int64) + 600
    known = recorded(rng, (opened // DAY + 1) * DAY)
    closes = rng.random(size) < 0.97
    table = pa.table(
        {
            "ticket_id": keys("T", size),
            "account_id": company.account_ids(account),
            "opened_at": time(opened),
            "closed_at": time(closed),
            "priority": drawn(rng, ["low", "normal", "high", "urgent", None], [0.3, 0.45, 0.15, 0.05, 0.05], size),
            "escalated": pa.array(rng.random(size) < 0.05),
            "category": drawn(rng, ["bug", "how_to", "billing", "other"], [0.4, 0.4, 0.1, 0.1], size),
            "satisfaction": numbers(rng.integers(1, 6, size), rng.random(size) < 0.6),
            "recorded_at": time(known),
        }
    )
    return corrected(
        rng, as_it_ended(table, "closed_at", closed, known, closes), redrawn("priority", ["low", "high"])
    )


def surveys(company: Company) -> pa.Table:
    """Return answers to surveys, most of them by contacts."""
    rng, size = company.rng(24), company.side_rows("surveys")
    account, occurred = company.occurrences(rng, size)
    who = company.people("p", account, rng.integers(0, 5, size))
    table = pa.table(
        {
            "survey_id": keys("S", size),
            "account_id": company.account_ids(account),
            "respondent_id": pc.if_else(pa.array(rng.random(size) < 0.95), who, None),
            "nps": numbers(np.minimum(10, (rng.beta(3, 1.2, size) * 11).astype(np.int64))),
            "comment": drawn(rng, [None, "It does what we need.", "Too slow for us."], [0.8, 0.1, 0.1], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))


def community(company: Company) -> pa.Table:
    """Return posts, replies and visits of a few members an account."""
    rng, size = company.rng(25), company.side_rows("community")
    account, occurred = company.occurrences(rng, size)
    who = company.people("m", account, (rng.beta(1, 3, size) * 6).astype(np.int64))
    table = pa.table(
        {
            "activity_id": keys("P", size),
            "account_id": company.account_ids(account),
            "member_id": pc.if_else(pa.array(rng.random(size) < 0.98), who, None),
            "kind": drawn(rng, ["post", "reply", "visit"], [0.3, 0.3, 0.4], size),
            "question": pa.array(rng.random(size) < 0.3),
            "level": drawn(rng, ["basic", "advanced", None], [0.4, 0.4, 0.2], size),
            "sentiment": numbers(rng.integers(-10, 11, size) / 10, rng.random(size) < 0.7),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("kind", ["post", "reply"]))


def feedback(company: Company) -> pa.Table:
    """Return reviews, social posts and complaints; a complaint resolved is a new version of the row."""
    rng, size = company.rng(26), company.side_rows("feedback")
    account, occurred = company.occurrences(rng, size)
    kind = rng.choice(3, size, p=[0.3, 0.3, 0.4])
    resolved = occurred + (rng.exponential(12.0, size) * DAY).astype(np.int64) + 600
    known = recorded(rng, occurred)
    table = pa.table(
        {
            "feedback_id": keys("F", size),
            "account_id": company.account_ids(account),
            "kind": names(["review", "social", "complaint"], kind),
            "rating": numbers(rng.integers(1, 6, size), kind == 0),
            "sentiment": numbers(rng.integers(-10, 11, size) / 10, kind == 1),
            "occurred_at": time(occurred),
            "resolved_at": time(resolved),
            "recorded_at": time(known),
        }
    )
    ended = as_it_ended(table, "resolved_at", resolved, known, (kind == 2) & (rng.random(size) < 0.8))
    return corrected(rng, ended, moved("occurred_at"))


def requests(company: Company) -> pa.Table:
    """Return what customers asked of us."""
    rng, size = company.rng(27), company.side_rows("requests")
    account, occurred = company.occurrences(rng, size)
    kinds = ["discount", "terms", "downgrade", "data_export", "cancel", "expansion"]
    table = pa.table(
        {
            "request_id": keys("R", size),
            "account_id": company.account_ids(account),
            "kind": drawn(rng, kinds, [0.25, 0.2, 0.1, 0.15, 0.1, 0.2], size),
            "reason": drawn(rng, ["budget", "competitor", "value", None], [0.3, 0.2, 0.2, 0.3], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("kind", kinds))


def visits(company: Company) -> pa.Table:
    """Return views of the pages that say something about leaving, and of others."""
    rng, size = company.rng(28), company.side_rows("visits")
    account, occurred = company.occurrences(rng, size)
    who = company.first_user[account] + (rng.beta(1, 3, size) * company.users[account]).astype(np.int64)
    pages = ["cancel", "downgrade", "export", "other"]
    table = pa.table(
        {
            "visit_id": keys("V", size),
            "account_id": company.account_ids(account),
            "user_id": company.user_ids.take(pa.array(who, mask=rng.random(size) < 0.02)),
            "page": drawn(rng, pages, [0.1, 0.1, 0.2, 0.6], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("page", pages))


def organisation(company: Company) -> pa.Table:
    """Return changes at the top of customers."""
    rng, size = company.rng(29), company.side_rows("organisation")
    account, occurred = company.occurrences(rng, size)
    kinds = ["chief_executive", "department_head", "acquirer", "acquired"]
    table = pa.table(
        {
            "event_id": keys("O", size),
            "account_id": company.account_ids(account),
            "kind": drawn(rng, kinds, [0.3, 0.4, 0.2, 0.1], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))


def assessments(company: Company) -> pa.Table:
    """Return the ratings of the qualitative factors."""
    rng, size = company.rng(30), company.side_rows("assessments")
    account, occurred = company.occurrences(rng, size)
    table = pa.table(
        {
            "assessment_id": keys("Q", size),
            "account_id": company.account_ids(account),
            "factor": names(FACTORS, rng.integers(0, len(FACTORS), size)),
            "rating": numbers(rng.integers(1, 6, size)),
            "occurred_at": time(occurred),
            "assessor": names(["csm", "services"], rng.integers(0, 2, size)),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))
