"""What goes in and out over HTTP, typed. These models are the OpenAPI schema, and tests hold answers to them.

Times are UTC; those without a zone are taken as UTC. A date alone is its midnight.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from features.readings import UnknownReason
from serving.moments import date_or_moment, moment
from serving.readings import Given, GivenRating

MOST_NAMES = 1000

AccountId = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=100)]
Band = Literal["healthy", "not_so_healthy", "unhealthy"]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", examples=["2025-06-30T00:00:00Z"])]
_TIME_SCHEMA = {"type": "string", "examples": ["2025-06-30", "2025-06-30T12:00:00Z"]}
Moment = Annotated[dt.datetime, BeforeValidator(moment), WithJsonSchema(_TIME_SCHEMA)]
DateOrMoment = Annotated[dt.date | dt.datetime, BeforeValidator(date_or_moment), WithJsonSchema(_TIME_SCHEMA)]


class Document(BaseModel):
    """A key that is not described is an error; so are NaN and Infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- questions ----------------------------------------------------------------------------------------------


class RatingGiven(Document):
    """A factor, rated 1 (weak) to 5 (strong), and when."""

    rating: Annotated[StrictInt, Field(ge=1, le=5)]
    assessed_at: DateOrMoment


class Question(Document):
    """One account: by its id, computed from the sources; or by what is given here, taken as it is.

    As soon as one of `readings`, `factors`, `context` is there, nothing is read from the sources. Then null,
    or leaving a name out, means unknown. `unknown` says why, where "not given" is not the reason.
    """

    account_id: AccountId
    as_of: Moment | None = Field(
        None, description="Default: now, or, from the sources, where their history ends if that is earlier."
    )
    readings: Annotated[dict[Name, Number | None], Field(max_length=MOST_NAMES)] | None = None
    factors: Annotated[dict[Name, RatingGiven | None], Field(max_length=MOST_NAMES)] | None = None
    context: Annotated[dict[Name, StrictBool | Number | StrictStr | None], Field(max_length=MOST_NAMES)] | None = (
        None
    )
    unknown: Annotated[dict[Name, UnknownReason], Field(max_length=MOST_NAMES)] | None = None
    under_notice: StrictBool = False

    @property
    def is_given(self) -> bool:
        """Whether readings are given here, rather than to be computed."""
        return not (self.readings is None and self.factors is None and self.context is None)

    @model_validator(mode="after")
    def _extras_need_readings(self) -> Question:
        if not self.is_given and (self.unknown is not None or self.under_notice):
            raise ValueError('"unknown" and "under_notice" go with given readings, factors or context')
        return self

    def given(self, as_of: dt.datetime) -> Given:
        """Return what was given, as of the moment asked for or `as_of`."""
        return Given(
            self.account_id,
            self.as_of or as_of,
            self.readings or {},
            {name: _rating(rating) for name, rating in (self.factors or {}).items()},
            self.context or {},
            {name: reason.value for name, reason in (self.unknown or {}).items()},
            self.under_notice,
        )


# One item of a batch: checked one by one, so that a wrong one spoils no other.
BatchItem = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/Question"})]


def _rating(given: RatingGiven | None) -> GivenRating | None:
    return None if given is None else GivenRating(given.rating, given.assessed_at)


# --- answers ------------------------------------------------------------------------------------------------


class Horizon(Document):
    """The churn probability within so many days; `extrapolated`: no later months have shown that it holds."""

    days: int
    churn_probability: Probability
    extrapolated: bool


class AreaHealth(Document):
    """One area's health, up = better; null where nothing is known."""

    area: str
    health_score: Score | None
    coverage: Share | None


class Contribution(Document):
    """What one signal, factor, context column or the combination adds, in log-odds and in points."""

    id: str
    area: str
    log_odds: float
    points: float = Field(description="Percentage points of churn probability; with the base they add up.")
    actionable: bool


class EvidenceRow(Document):
    """A row of the company's own tables."""

    table: str
    key: str
    occurred_at: Time
    text: str


class Sign(Document):
    """A signal or factor at not so healthy or worse."""

    id: str
    area: str
    band: Band
    value: float | None
    unit: str
    threshold: float | None
    sentence: str
    evidence: list[EvidenceRow]


class Combination(Document):
    """Several signs together."""

    strong_areas: list[str]
    level: Literal["watch", "at_risk", "critical"]
    sentence: str


class Action(Document):
    """One play of the playbook, once, with the signs that ask for it."""

    play: str
    because_of: list[str]
    owner_role: str
    due_days: int
    sentence: str


class Opportunity(Document):
    """Something to build on, or that a sign opens."""

    id: str
    area: str
    because_of: list[str]
    play: str
    sentence: str


class UnknownItem(Document):
    """A signal, factor or context column that is not known, and why."""

    id: str
    reason: UnknownReason


class Versions(Document):
    """What made the answer. `model` is null where the rules alone did."""

    model: str | None
    definitions: str
    policy: str
    scorecard_policy: str
    catalogue_revision: int
    answer: Literal[1]


class Answer(Document):
    """The churn prediction of one account, and its explanation, whose parts add up to it."""

    prediction_id: str
    account_id: str
    as_of: Time
    horizon_days: int
    churn_probability: Probability
    base_probability: Probability
    interval: Annotated[list[Probability], Field(min_length=2, max_length=2)]
    horizons: list[Horizon]
    model_probability: Probability | None
    scorecard_probability: Probability
    model_weight: Share
    agreement: Literal["agree", "model_higher", "scorecard_higher"] | None
    band: Band | None
    health_score: Score | None
    coverage: Share
    stage: str | None
    under_notice: bool | None
    areas: list[AreaHealth]
    base_log_odds: float
    contributions: list[Contribution]
    signs: list[Sign]
    combination: Combination | None
    actions: list[Action]
    opportunities: list[Opportunity]
    unknown: list[UnknownItem]
    headline: str
    versions: Versions


class Problem(BaseModel):
    """RFC 9457 problem details, with what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[dict[str, str]] | None = None


class BatchResult(Document):
    """The answer to one question of a batch, or its own problem."""

    index: int
    answer: Answer | None
    problem: Problem | None


class BatchAnswers(Document):
    """One result per question, in the order asked."""

    results: list[BatchResult]


class BookRow(Document):
    """One account of the book, in short."""

    account_id: str
    name: str | None
    csm: str | None
    churn_probability: Probability
    interval: Annotated[list[Probability], Field(min_length=2, max_length=2)]
    band: Band | None
    health_score: Score | None
    coverage: Share
    level: Literal["watch", "at_risk", "critical"] | None
    stage: str | None
    under_notice: bool | None
    arr: float | None
    arr_at_risk: float | None
    days_to_notice_deadline: float | None
    signs: list[str]


class BookPage(Document):
    """Part of the book, ranked by what is at risk and can still be kept."""

    as_of: Time
    model: str | None
    total: int
    limit: int
    offset: int
    accounts: list[BookRow]


class ModelSummary(Document):
    """Which model answers, and what its card says."""

    model: str | None
    source: str | None
    digest: str | None
    horizon_days: int
    versions: dict[str, Any]
    refused: str | None = Field(description="Why a newer or named model is not used.")
    remedy: str | None
    model_card: str | None


class Health(Document):
    """The process lives."""

    status: Literal["ok"]


class Readiness(Document):
    """Whether the book is scored, and how far it has come."""

    status: Literal["ready", "starting", "refreshing", "failed"]
    detail: str
    accounts_done: int
    accounts_total: int
    model: str | None
