"""A catalogue of nothing but the measures that Featuretools can express too (``expressible.toml``)."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from features.catalogue import Catalogue
from features.catalogue.schema import Direction, Signal


def expressible(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue with these measures as its only entries."""
    written = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    signals = {name: _signal(measure) for name, measure in written.items()}
    definitions = catalogue.definitions.model_copy(update={"signals": signals, "factors": {}, "context": {}})
    return dataclasses.replace(catalogue, definitions=definitions)


def _signal(measure: object) -> Signal:
    return Signal.model_validate(
        {
            "area": "usage",
            "unit": "as measured",
            "direction": Direction.LOWER_IS_WORSE,
            "timing": "leading",
            "source": "benchmark",
            "measure": measure,
        }
    )
