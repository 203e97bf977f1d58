"""How the model that MLflow logs answers: data frame in, data frame out, through `models.decision.decide`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from features.catalogue import Catalogue
from features.catalogue.schema import Definitions, Policy
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import FeatureContract, Vectors
from models.bundle import Bundle
from models.decision import decide

TOLD_NUMBERS = (
    "churn_probability",
    "base_probability",
    "model_probability",
    "scorecard_probability",
    "model_weight",
    "base_log_odds",
    "health_score",
    "coverage",
)
TOLD_TEXTS = ("band", "contributions")


def answers(frame: Any, bundle: Bundle, catalogue: Catalogue) -> Any:
    """Return the data frame of answers about each row of `frame`, as :func:`models.decision.decide` gives them.

    `contributions` is JSON: what each column adds to ``base_log_odds``.
    """
    import pandas as pd

    rows = []
    for decision in decide(vectors_of(frame, bundle.contract), bundle, catalogue):
        row: dict[str, Any] = {"account_id": decision.account_id, "as_of": decision.as_of}
        row |= {name: getattr(decision, name) for name in (*TOLD_NUMBERS, "band")}
        row["contributions"] = json.dumps({part.id: part.log_odds for part in decision.contributions})
        rows.append(row)
    return pd.DataFrame(rows, columns=["account_id", "as_of", *TOLD_NUMBERS, *TOLD_TEXTS])


def vectors_of(frame: Any, contract: FeatureContract) -> Vectors:
    """Return the vectors of a data frame with the columns of a snapshot file.

    A column that is not there is unknown; without the letters of ``unknown``, all reasons are ``not_given``.
    """
    columns = [frame[n].to_numpy(float) if n in frame else np.full(len(frame), np.nan) for n in contract.names]
    values = np.column_stack(columns)
    letters = np.where(np.isnan(values), UnknownReason.NOT_GIVEN.letter, KNOWN_LETTER)
    if "unknown" in frame:
        said = [list(text) for text in frame["unknown"]]
        letters = np.array(said, dtype="<U1").reshape(values.shape)
    return Vectors(
        contract,
        frame["account_id"].to_numpy(object),
        frame["as_of"].to_numpy("datetime64[s]"),
        values,
        letters,
    )


def catalogue_json(catalogue: Catalogue) -> str:
    """Return definitions and policy as JSON; words do not change an answer."""
    return json.dumps(
        {
            "definitions": catalogue.definitions.model_dump(mode="json"),
            "policy": catalogue.policy.model_dump(mode="json"),
            "revision": catalogue.revision,
        }
    )


def catalogue_of(text: str) -> Catalogue:
    """Read back what :func:`catalogue_json` wrote; without words."""
    raw = json.loads(text)
    definitions = Definitions.model_validate(raw["definitions"])
    return Catalogue(definitions, Policy.model_validate(raw["policy"]), {}, raw["revision"])
