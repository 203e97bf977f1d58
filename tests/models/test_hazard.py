"""Horizons never contradict one another, however the stretches were fitted; and the fit finds what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BundleError
from features.vectors import Floats
from models.hazard import Hazard, Stretch
from models.numbers import sigmoid

SHIFTS, SLOPES = st.floats(-20, 20), st.floats(0, 5)
Z = np.linspace(-15, 15, 301)


@st.composite
def hazards(draw: st.DrawFn) -> Hazard:
    own = draw(st.integers(5, 400))
    sooner = sorted(draw(st.sets(st.integers(1, own - 1), max_size=3)), reverse=True)
    later = sorted(draw(st.sets(st.integers(own + 1, 730), max_size=3)))
    return Hazard(
        own,
        tuple(Stretch(days, draw(SHIFTS), draw(SLOPES), draw(st.booleans())) for days in sooner),
        tuple(Stretch(days, draw(SHIFTS), draw(SLOPES), draw(st.booleans())) for days in later),
    )


def contradictions(probabilities: Floats) -> int:
    """Count accounts of which a later horizon is less probable, and steps of risk that lower a horizon."""
    falls = int((np.diff(probabilities, axis=1) < 0).any(axis=1).sum())
    return falls + int((np.diff(probabilities, axis=0) < -1e-15).sum())


@given(hazards())
def test_no_horizon_contradicts_another(hazard: Hazard) -> None:
    probabilities = hazard.probabilities(Z)
    assert contradictions(probabilities) == 0
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (probabilities[:, hazard.horizons.index(hazard.days)] == sigmoid(Z)).all()


@given(hazards())
def test_it_is_read_back_as_it_was(hazard: Hazard) -> None:
    assert Hazard.from_plain(asdict(hazard)) == hazard


def test_horizons_of_separate_models_would_be_noticed() -> None:
    """A mutant: each horizon with a Platt calibration of its own, as three separate models have."""
    separate = np.column_stack([sigmoid(-1.5 + 1.3 * Z), sigmoid(Z), sigmoid(0.5 + 0.6 * Z)])
    assert contradictions(separate) > 0


@pytest.mark.parametrize(
    ("sooner", "later"),
    [([100], []), ([], [30]), ([30, 60], []), ([], [365, 180]), ([0], []), ([30, 30], [])],
)
def test_horizons_out_of_order_are_refused(sooner: Sequence[int], later: Sequence[int]) -> None:
    with pytest.raises(BundleError, match="not in order"):
        Hazard(90, tuple(Stretch(d, 0.0, 0.0) for d in sooner), tuple(Stretch(d, 0.0, 0.0) for d in later))


@pytest.mark.parametrize(("shift", "slope"), [(0.0, -0.1), (float("nan"), 0.0), (0.0, float("inf"))])
def test_a_stretch_that_turns_risk_around_is_refused(shift: float, slope: float) -> None:
    with pytest.raises(BundleError, match="slope not negative"):
        Stretch(30, shift, slope)


def test_only_what_was_proven_is_not_marked() -> None:
    hazard = Hazard.constant(90, [30, 90, 180, 365]).with_proven([30, 180])
    assert hazard.horizons == (30, 90, 180, 365)
    assert hazard.extrapolated == (False, False, False, True)
    assert hazard.with_proven([]).extrapolated == (True, False, True, True)


def test_an_unchanging_hazard_is_what_it_says() -> None:
    [[month, quarter, half, year]] = Hazard.constant(90, [30, 180, 365]).probabilities(np.array([-3.5]))
    daily = -np.log1p(-quarter) / 90
    for days, said in ((30, month), (180, half), (365, year)):
        assert said == pytest.approx(-np.expm1(-daily * days), rel=0.03)
