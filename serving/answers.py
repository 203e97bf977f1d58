"""From a vector to a served answer: decide, quote the evidence, put it into words."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from features.vectors import Vectors
from models.bundle import Bundle
from models.decision import decide
from models.explanation import answer, evidence_ids
from serving.company import Company


def explained(company: Company, bundle: Bundle | None, vector: Vectors, lang: str) -> dict[str, Any]:
    """Return the answer about one account of the company, with the rows that it rests on.

    Parameters
    ----------
    company, bundle
        Whose account, and which model answers (None: the rules alone).
    vector
        A table of one row, computed from the company's sources.
    lang
        ``en`` or ``zh``.
    """
    decision = decide(vector, bundle, company.catalogue, company.sources.yearly_churn)[0]
    account_id, as_of = decision.account_id, _moment(vector)
    quoted = evidence_ids(decision)
    evidence = company.evidence(account_id, as_of, quoted)
    facts = company.facts(account_id, as_of, quoted)
    return answer(decision, company.catalogue, lang, evidence, new_prediction_id(), facts)


def new_prediction_id() -> str:
    """Return a new name for a prediction that is about to be served."""
    return str(uuid.uuid4())


def _moment(vector: Vectors) -> dt.datetime:
    moment: dt.datetime = vector.as_of[0].astype("datetime64[s]").item()
    return moment
