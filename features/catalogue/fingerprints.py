"""Fingerprints: sixteen hex digits that tell whether definitions or policy have changed.

Keys inside an entry may stand in any order; the order of the signals, factors and context columns is the
order of the vector, and counts. What changes no vector and no reading of one is left out, so that nobody
retrains for a better sentence: where a definition comes from, which factor a signal is a sign of, its timing,
the rows quoted beside it, what an own table is about, and the number of the revision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from features.catalogue.schema import Definitions, Policy


def definitions_fingerprint(definitions: Definitions) -> str:
    """Return the fingerprint of what readings mean."""
    content = {
        "lapse_grace_days": definitions.lapse_grace_days,
        "stages": _plain(definitions.stages),
        "signals": _in_order(definitions.signals, {"source", "indicates", "timing", "evidence"}),
        "factors": _in_order(definitions.factors),
        "context": _in_order(definitions.context),
    }
    if definitions.tables:  # without any, the fingerprint is what it was before there could be any
        content["tables"] = {name: _plain(table, {"about"}) for name, table in definitions.tables.items()}
    return _digest(content)


def policy_fingerprint(policy: Policy) -> str:
    """Return the fingerprint of how readings are read."""
    return _digest(policy.model_dump(mode="json", exclude={"revision"}))


def _in_order(entries: Mapping[str, BaseModel], leaving_out: set[str] | None = None) -> list[Any]:
    return [[name, _plain(entry, leaving_out)] for name, entry in entries.items()]


def _plain(entry: BaseModel, leaving_out: set[str] | None = None) -> Any:
    return entry.model_dump(mode="json", exclude=leaving_out)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
