"""`decide` and `score`: from vectors to answers. Pure: no files, no clock, no shared state.

Probabilities come from the bundle alone, its frozen scorecard included; health, bands, signs, levels and
opportunities come from the live policy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue.schema import AccountBands, OpportunityPolicy
from features.errors import ContractMismatchError
from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import UNDER_NOTICE, Floats, Role, Vectors
from models.answers import (
    AreaState,
    Contribution,
    Decision,
    Opportunity,
    Scores,
    Sign,
    Unsettled,
    Versions,
)
from models.bundle import Bundle
from models.hazard import Hazard
from models.numbers import sigmoid
from models.probability import LogOdds, base_log_odds, log_odds, parts
from models.scorecard import COMBINATION, Scorecard
from models.signs import AT_RISK, LEVEL_NAMES, NO_LEVEL, Judgements, judge
from models.thresholds import BAND_NAMES, HEALTHY, NOT_SO_HEALTHY, UNHEALTHY, Bands

if TYPE_CHECKING:
    from features.catalogue import Catalogue

__all__ = ["Decision", "Scores", "decide", "score"]

HORIZON_WITHOUT_MODEL_DAYS = 90
HORIZONS_WITHOUT_MODEL = (30, 180, 365)
_STRAIGHT = 1e-6  # log-odds; nearer to the base the curve is its tangent within 1e-10 points
_CONSTANT = Hazard.constant(HORIZON_WITHOUT_MODEL_DAYS, HORIZONS_WITHOUT_MODEL)
_ROUNDING = 1e-9  # 0.5 - 0.4 is less than 0.1 in floating point, and an opportunity all the same


def decide(
    vectors: Vectors, bundle: Bundle | None, catalogue: Catalogue, yearly_churn: float | None = None
) -> list[Decision]:
    """Return the answer about each account, with its parts.

    Parameters
    ----------
    vectors
        n accounts.
    bundle
        The model. None: the scorecard with its prior weights answers alone, for 90 days.
    catalogue
        The live one; its definitions must be those of the vectors.
    yearly_churn
        What the company says it loses in a year; used only without a model.

    Returns
    -------
    list of Decision
        In the order of the vectors.

    Raises
    ------
    ContractMismatchError
        The vectors, the model and the catalogue do not fit each other.
    """
    answered = _answer(vectors, bundle, catalogue, yearly_churn)
    return list(_decisions(answered))


def score(
    vectors: Vectors, bundle: Bundle | None, catalogue: Catalogue, yearly_churn: float | None = None
) -> Scores:
    """Return the answers without their parts, fast; the same bits as :func:`decide` gives.

    Parameters and errors are those of :func:`decide`.
    """
    answered = _answer(vectors, bundle, catalogue, yearly_churn)
    answers, judgements = answered.answers, answered.judgements
    none = np.full(len(vectors), np.nan)
    return Scores(
        account_id=vectors.account_ids,
        as_of=vectors.as_of,
        churn_probability=answered.probability,
        model_probability=none if answers.model is None else sigmoid(answers.model),
        scorecard_probability=sigmoid(answers.scorecard),
        model_weight=answers.weight,
        interval_low=sigmoid(answers.total - answers.half),
        interval_high=sigmoid(answers.total + answers.half),
        band=np.array([None if band < 0 else BAND_NAMES[band] for band in answered.band], dtype=object),
        health_score=answered.health,
        coverage=answered.coverage,
        level=np.array([LEVEL_NAMES[level] for level in judgements.level], dtype=object),
        under_notice=vectors.column(UNDER_NOTICE),
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    """All that both doors share."""

    vectors: Vectors
    catalogue: Catalogue
    bundle: Bundle | None
    scorecard: Scorecard
    judgements: Judgements  # by the live policy
    answers: LogOdds
    probability: Floats
    coverage: Floats  # 0 where nothing is asked
    health: Floats  # NaN where withheld
    band: Bands  # -1 where withheld


def _answer(
    vectors: Vectors, bundle: Bundle | None, catalogue: Catalogue, yearly_churn: float | None
) -> _Answered:
    _refuse_unless_fitting(vectors, bundle, catalogue)
    if bundle is None:
        scorecard = Scorecard.prior(vectors.contract, catalogue, yearly_churn, HORIZON_WITHOUT_MODEL_DAYS)
        base_rate = scorecard.base_rate
    else:
        scorecard, base_rate = bundle.scorecard, bundle.base_rate
    live = judge(vectors, catalogue.policy, catalogue.definitions)
    trained = live
    if scorecard.policy_fingerprint != catalogue.policy_fingerprint:
        trained = judge(vectors, scorecard.policy, catalogue.definitions)
    answers = log_odds(vectors, trained, scorecard, bundle)
    probability = sigmoid(answers.total)
    coverage = np.where(np.isnan(live.coverage), 0.0, live.coverage)
    bands = catalogue.policy.bands
    withheld = (coverage < bands.coverage_floor) | np.isnan(live.health)
    return _Answered(
        vectors=vectors,
        catalogue=catalogue,
        bundle=bundle,
        scorecard=scorecard,
        judgements=live,
        answers=answers,
        probability=probability,
        coverage=coverage,
        health=np.where(withheld, np.nan, live.health),
        band=_account_bands(live, probability, base_rate, withheld, bands),
    )


def _refuse_unless_fitting(vectors: Vectors, bundle: Bundle | None, catalogue: Catalogue) -> None:
    if bundle is not None:
        bundle.contract.refuse_unless_equal(vectors.contract)
    if vectors.contract.definitions != catalogue.definitions_fingerprint:
        raise ContractMismatchError(
            f"The vectors were made by definitions {vectors.contract.definitions}, the catalogue has "
            f"{catalogue.definitions_fingerprint}. Compute the vectors anew (`keepsight snapshot`), or go "
            "back to the definitions that they were made by."
        )


def _account_bands(
    live: Judgements,
    probability: Floats,
    base_rate: float,
    withheld: np.typing.NDArray[np.bool_],
    bands: AccountBands,
) -> Bands:
    """Band of each account; what is known to be bad stays bad, and only `healthy` is withheld."""
    unhealthy = (live.health < bands.unhealthy_below) | (live.level >= AT_RISK)
    weak = (live.health < bands.not_so_healthy_below) | (live.level > NO_LEVEL)
    weak |= probability >= bands.base_rate_multiple * base_rate
    return np.select([unhealthy, weak, withheld], [UNHEALTHY, NOT_SO_HEALTHY, -1], HEALTHY).astype(np.int8)


def _decisions(answered: _Answered) -> Iterator[Decision]:
    vectors, catalogue, answers = answered.vectors, answered.catalogue, answered.answers
    judgements = answered.judgements
    base = base_log_odds(answers.weight, answered.scorecard, answered.bundle)
    base_probability = sigmoid(base)
    columns, combination = parts(answers, vectors, answered.scorecard, answered.bundle)
    slope = _points_per_log_odds(answers.total, answered.probability, base, base_probability)
    low, high = sigmoid(answers.total - answers.half), sigmoid(answers.total + answers.half)
    rules = sigmoid(answers.scorecard)
    model = None if answers.model is None else sigmoid(answers.model)
    agreements = _agreements(answers, catalogue.policy.scorecard.agreement_log_odds)
    versions = Versions(
        model=None if answered.bundle is None else answered.bundle.version,
        definitions=catalogue.definitions_fingerprint,
        policy=catalogue.policy_fingerprint,
        scorecard_policy=answered.scorecard.policy_fingerprint,
        catalogue_revision=catalogue.revision,
    )
    hazard = _CONSTANT if answered.bundle is None else answered.bundle.hazard
    horizons = hazard.answers(answers.total)
    blend = None if answered.bundle is None else answered.bundle.blend
    seen, full_weight = (0.0, 0.0) if blend is None else (blend.churned_accounts, blend.full_weight)
    notice = vectors.column(UNDER_NOTICE)
    for row in range(len(vectors)):
        health, band = answered.health[row], answered.band[row]
        readings = _readings(vectors, row)
        stale = tuple(judgements.items[item] for item in np.flatnonzero(judgements.stale[row]))
        moment: dt.datetime = vectors.as_of[row].astype("datetime64[s]").item()
        yield Decision(
            account_id=str(vectors.account_ids[row]),
            as_of=moment,
            horizon_days=hazard.days,
            churn_probability=float(answered.probability[row]),
            base_probability=float(base_probability[row]),
            interval=(float(low[row]), float(high[row])),
            model_probability=None if model is None else float(model[row]),
            scorecard_probability=float(rules[row]),
            model_weight=float(answers.weight[row]),
            agreement=agreements[row],
            band=None if band < 0 else BAND_NAMES[band],
            health_score=_or_none(health),
            coverage=float(answered.coverage[row]),
            stage=judgements.stage[row],
            under_notice=None if np.isnan(notice[row]) else bool(notice[row]),
            areas=_areas(judgements, row),
            base_log_odds=float(base[row]),
            contributions=_contributions(vectors, columns[row], float(combination[row]), float(slope[row])),
            signs=_signs(vectors, judgements, row),
            level=LEVEL_NAMES[judgements.level[row]],
            strong_areas=tuple(judgements.areas[area] for area in np.flatnonzero(judgements.strong_areas[row])),
            unknown=_unknown(vectors, row),
            opportunities=tuple(_opportunities(catalogue, readings, stale)),
            readings=readings,
            stale=stale,
            versions=versions,
            horizons=horizons[row],
            churned_accounts_seen=seen,
            full_model_weight=full_weight,
        )


def _points_per_log_odds(total: Floats, probability: Floats, base: Floats, base_probability: Floats) -> Floats:
    """Return the chord's slope between base and answer, in points; its tangent where both coincide."""
    distance = total - base
    near = np.abs(distance) < _STRAIGHT
    chord = (probability - base_probability) / np.where(near, 1.0, distance)
    return 100.0 * np.where(near, base_probability * (1.0 - base_probability), chord)


def _agreements(answers: LogOdds, within: float) -> list[str | None]:
    if answers.model is None:
        return [None] * len(answers.scorecard)
    difference = answers.model - answers.scorecard
    names = np.select([np.abs(difference) < within, difference > 0], ["agree", "model_higher"], "scorecard_higher")
    return [str(name) for name in names]


def _contributions(
    vectors: Vectors, columns: Floats, combination: float, slope: float
) -> tuple[Contribution, ...]:
    found = [
        Contribution(column.name, column.area, value, slope * value, column.role is not Role.CONTEXT)
        for column, value in zip(vectors.contract.columns, columns.tolist(), strict=True)
        if column.in_model and column.role in (Role.SIGNAL, Role.FACTOR, Role.CONTEXT)
    ]
    found.append(Contribution(COMBINATION, COMBINATION, combination, slope * combination, actionable=False))
    return tuple(found)


def _signs(vectors: Vectors, judgements: Judgements, row: int) -> tuple[Sign, ...]:
    contract = vectors.contract
    found = [
        Sign(
            id=judgements.items[item],
            area=contract.items[item].area,
            band=BAND_NAMES[judgements.band[row, item]],
            value=float(vectors.values[row, contract.item_positions[item]]),
            threshold=float(judgements.crossed[row, item]),
            strong=bool(judgements.strong[row, item]),
            low_side=bool(judgements.low_side[row, item]),
            stale=bool(judgements.stale[row, item]),
            severity=float(judgements.severity[row, item]),
            weight=float(judgements.weight[row, item]),
        )
        for item in np.flatnonzero(judgements.band[row] >= NOT_SO_HEALTHY)
    ]
    return tuple(sorted(found, key=lambda sign: (not sign.strong, -sign.weight * sign.severity)))


def _areas(judgements: Judgements, row: int) -> tuple[AreaState, ...]:
    return tuple(
        AreaState(area, _or_none(health), _or_none(coverage))
        for area, health, coverage in zip(
            judgements.areas,
            judgements.area_health[row].tolist(),
            judgements.area_coverage[row].tolist(),
            strict=True,
        )
    )


def _unknown(vectors: Vectors, row: int) -> tuple[Unsettled, ...]:
    places = vectors.contract.item_positions
    letters = vectors.unknown[row, places]
    missing = np.isnan(vectors.values[row, places])
    items = vectors.contract.items
    return tuple(Unsettled(items[item].name, _reason(str(letters[item]))) for item in np.flatnonzero(missing))


def _reason(letter: str) -> UnknownReason:
    return UnknownReason.NOT_GIVEN if letter == KNOWN_LETTER else UnknownReason.of_letter(letter)


def _readings(vectors: Vectors, row: int) -> dict[str, float | str]:
    known: dict[str, float | str] = {}
    for column, value in zip(vectors.contract.columns, vectors.values[row].tolist(), strict=True):
        if value == value:
            known[column.name] = column.codebook[int(value)] if column.kind == "category" else value
    return known


def _opportunities(
    catalogue: Catalogue, readings: dict[str, float | str], stale: tuple[str, ...]
) -> Iterator[Opportunity]:
    for name, wanted in catalogue.policy.opportunities.items():
        value = readings.get(wanted.of)
        before = readings.get(wanted.minus) if wanted.minus else 0.0
        if wanted.of in stale or not isinstance(value, float) or not isinstance(before, float):
            continue
        if (reached := _reached(wanted, value - before)) is not None:
            yield Opportunity(name, wanted.area, wanted.of, value - before, reached)


def _reached(wanted: OpportunityPolicy, value: float) -> float | None:
    """Return the threshold that `value` has reached, None if it has not."""
    if wanted.above is not None:
        return wanted.above if value > wanted.above else None
    return wanted.at_least if wanted.at_least is not None and value >= wanted.at_least - _ROUNDING else None


def _or_none(value: float) -> float | None:
    return float(value) if value == value else None  # NaN is the one value that differs from itself
