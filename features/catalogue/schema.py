"""What the catalogue's TOML files may say, typed and frozen.

Three kinds of entries meet in one :class:`Catalogue`:

* **definitions** (``signals.toml``, ``factors.toml``, ``context.toml``, a company's own ``tables.toml``): what a
  reading *means*. A change needs retraining;
* **policy** (``playbook.toml``): how a reading is *read*: thresholds, weights, combinations, actions.
  A change does not;
* **wording** (``wording/*.toml``): how it is said to people.

Words used by every measure
---------------------------
*Window*: ``window_days = w`` selects what occurred in ``as_of - w < occurred_at <= as_of``; with
``until_days_ago = u`` the same window ends `u` days earlier. Rows count only if known at `as_of`
(``recorded_at <= as_of``, and not replaced by then). No ``window_days``: all that is known.
*Day*: whole UTC days counted back from `as_of`; ages are floored to whole days, so "more than 14 days" begins
at 15. A row at midnight belongs to the day that ends there; a date without a time counts from its end.
*Covered*: every day of the window since the account's service began lies inside the table's feed (what ``feeds``
say of the account itself replaces what they say of all). If only the part before the feed's first day is missing:
``history_too_short``; any other hole, and a window wholly before the feed: ``not_delivered``. A window that ends
before `as_of` also asks for service that began by its first day, else ``history_too_short``.
*Not connected*: the company delivers no such table, or not a column that the measure cannot do without (its own
columns, and those of at least one of its rows' filters; columns with a default are always there). Where several
reasons hold, ``not_connected`` is said first, then ``not_applicable``.
*Service start*: the first day of the account's present run of contracts, where gaps of up to
``lapse_grace_days`` days without a contract count as continuous; without a contracts table,
``accounts.customer_since``.
*Person*: a usage row's ``user_id`` where ``actor`` is not ``machine`` (null counts as a person).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from features.sources.contract import Identifier, TableContract, table_contracts

RELATIONSHIP = "relationship"  # the area of the factors
STAGES = ("onboarding", "adoption", "mature", "renewal_window")
Days = Annotated[int, Field(ge=1, le=3650)]


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- which rows -------------------------------------------------------------------------------------------


class Between(Strict):
    """A number between two edges, both included; a null never matches."""

    at_least: float | None = None
    at_most: float | None = None


def _values_or_range(given: object) -> str:
    return "range" if isinstance(given, dict | Between) else "values"


# Told apart by shape, so that a mistake is reported once and not for every alternative.
Allowed = Annotated[
    Annotated[tuple[str | bool | int, ...], Tag("values")] | Annotated[Between, Tag("range")],
    Discriminator(_values_or_range),
]
# column -> the values allowed, or a range. All columns of one filter must match; a null never matches.
Filter = Mapping[str, Allowed]


class Rows(Strict):
    """Rows of one table of the contract: those that match *any* of the filters; all rows without a filter."""

    table: Identifier
    any_of: tuple[Filter, ...] = ()


class KnownSince(Strict):
    """Only rows by somebody whose first row in this table is more than `days` whole days old.

    The feed must cover `days` more before the window: who was there then would else look new.
    """

    column: Identifier
    days: Days


class Aggregate(Rows):
    """One number from the rows in a window.

    ``of = "rows"`` counts rows; ``"distinct"`` counts distinct combinations of `columns` (``day`` is the
    row's day; a null in any column leaves the row out); ``"sum"`` and ``"mean"`` take the one column named
    (nulls left out; a mean of nothing is unknown, ``too_few``).
    """

    of: Literal["rows", "distinct", "sum", "mean"] = "rows"
    columns: tuple[Identifier, ...] = ()
    window_days: Days | None = None
    until_days_ago: Annotated[int, Field(ge=0)] = 0
    by_known_since: KnownSince | None = None

    @model_validator(mode="after")
    def _columns_fit(self) -> Aggregate:
        wanted = {"rows": self.columns == (), "distinct": bool(self.columns)}
        if not wanted.get(self.of, len(self.columns) == 1):
            raise ValueError(f'of = "{self.of}" takes {_COLUMNS_WANTED[self.of]}, got {len(self.columns)}')
        return self

    @model_validator(mode="after")
    def _has_a_window_to_move(self) -> Aggregate:
        if self.until_days_ago and self.window_days is None:
            raise ValueError("until_days_ago moves a window: give window_days too")
        return self


def _refuse_means(*aggregates: Aggregate) -> None:
    if any(aggregate.of == "mean" for aggregate in aggregates):
        raise ValueError('of = "mean" is for kind = "aggregate": take "rows", "distinct" or "sum" here')


_COLUMNS_WANTED = {
    "rows": "no columns",
    "distinct": "one or more columns",
    "sum": "one column",
    "mean": "one column",
}

# --- measures: one class per kind ---------------------------------------------------------------------------


class NearDeadline(Strict):
    """A row within min(`days`, `term_share` x the term) before the notice deadline of a known contract.

    The contract was in force when the row occurred; without a ``notice_deadline`` its ``end_date`` serves. Where
    contracts are not connected nobody can tell: the points are not added, and the rest is answered.
    """

    days: Days
    term_share: PositiveFloat


class Bonus(Strict):
    """`points` more when at least one of the measure's rows is as described.

    An aggregate's bonus has a `filter` or is `near_deadline`; that of open rows is `open_longer_than_days`.
    """

    points: PositiveFloat
    filter: Filter | None = None
    near_deadline: NearDeadline | None = None
    open_longer_than_days: Days | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> Bonus:
        given = [self.filter, self.near_deadline, self.open_longer_than_days]
        if sum(item is not None for item in given) != 1:
            raise ValueError("a bonus has exactly one of filter, near_deadline, open_longer_than_days")
        return self


class AggregateMeasure(Strict):
    """One aggregate as it is; `minimum_rows` non-null values are asked of a mean, else ``too_few``."""

    kind: Literal["aggregate"]
    aggregate: Aggregate
    minimum_rows: PositiveInt = 1
    bonuses: tuple[Bonus, ...] = ()

    @model_validator(mode="after")
    def _bonuses_fit(self) -> AggregateMeasure:
        if any(bonus.open_longer_than_days is not None for bonus in self.bonuses):
            raise ValueError('open_longer_than_days is a bonus of kind = "open_at" alone')
        return self


class LowSide(Strict):
    """When the low side of a two-sided ratio may be judged.

    Where it may not, a value under the comfortable range is read as the range's lower edge: nothing is
    known against the account, and nothing is held against it.
    """

    minimum_base: PositiveFloat
    stages: tuple[str, ...]
    and_none_of: Aggregate


class RatioMeasure(Strict):
    """`of` / `per` x `scale`; `per` = 0 is ``no_base``."""

    kind: Literal["ratio"]
    of: Aggregate
    per: Aggregate
    scale: PositiveFloat = 1.0
    comfortable: Between | None = None
    low_side: LowSide | None = None

    @model_validator(mode="after")
    def _no_means(self) -> RatioMeasure:
        _refuse_means(self.of, self.per, *([self.low_side.and_none_of] if self.low_side else []))
        return self


class UtilisationMeasure(Strict):
    """Distinct people in the window / licences held through the last `held_days`.

    Licences held = min(licences in force now, licences in force `held_days` ago), so that what was bought
    since is not counted yet; none held: ``no_base``. Where there are rows and none names anybody (sums by day,
    with or without ``users``; events without ``user_id``), nobody can say how many people there were:
    ``not_applicable``.
    """

    kind: Literal["utilisation"]
    people: Aggregate
    held_days: Days


class OnboardingAdoptionMeasure(Strict):
    """Distinct people active in days `from_day`..`to_day` of service / licences in force on `to_day`.

    Day 1 is the service start. Before `to_day` is over, once service is `until_day` days old, and where the rows
    name nobody: ``not_applicable``. No licences on `to_day`: ``no_base``.
    """

    kind: Literal["onboarding_adoption"]
    people: Aggregate
    from_day: Days
    to_day: Days
    until_day: Days


class LevelChangeMeasure(Strict):
    """Licences (yearly value where either is missing) now / `days_ago` - 1.

    Licences on a date = the sum over the known contracts in force then: 0 where none is (-1 in the days between
    two contracts), unknown where none in force says. "Now" is the smallest of today's level and the level on each
    later start date of a contract already known (signed cuts ahead; unknown ones left out). Service younger than
    `days_ago`: ``history_too_short``; level then 0: ``no_base``.
    """

    kind: Literal["level_change"]
    days_ago: Days


class TrendMeasure(Strict):
    """`of` a covered day over `recent_days` / the same over the `baseline_days` before them.

    Where `of` is 0 in both windows (the rows name no people, or the column is not delivered), `fallback` is used.
    In this order: fewer than `minimum_baseline_days` covered days of service in the baseline:
    ``history_too_short``; no covered recent day: ``not_delivered``; a baseline of 0: ``no_base``.
    """

    kind: Literal["trend"]
    of: Aggregate
    fallback: Aggregate
    recent_days: Days
    baseline_days: Days
    minimum_baseline_days: Days

    @model_validator(mode="after")
    def _no_means(self) -> TrendMeasure:
        _refuse_means(self.of, self.fallback)
        return self


class RecencyMeasure(Strict):
    """Whole days since the last row; never: whole days since service start.

    Unknown (``not_delivered``) where the feed does not cover every day after that of the last row; for an account
    without rows, every day since service start is asked for (``history_too_short`` where the feed began later).
    """

    kind: Literal["recency"]
    rows: Rows


class BreadthMeasure(Strict):
    """Distinct values of `column` in the window / those that the account's plan offers.

    The plan is that of the contract in force with the most licences (ties: the most value, then the greatest
    contract_id); contracts not connected: ``not_connected``. Offered: the `plans` table's features valid at
    `as_of`; without that table, the values that any account of the plan showed in the window that ends at the
    midnight with which the day of `as_of` begins (a reference value per plan and day; contracts that name no
    plan are one plan). Nothing offered: ``no_base``.
    """

    kind: Literal["breadth"]
    rows: Rows
    column: Identifier
    window_days: Days
    until_days_ago: Annotated[int, Field(ge=0)] = 0


class NewnessMeasure(Strict):
    """Whole days since any value of any of `columns` was seen for the first time for this account.

    The last `history_days` must be covered; then, service younger than that: ``history_too_short``. No rows at
    all: days since service start.
    """

    kind: Literal["newness"]
    rows: Rows
    columns: tuple[Identifier, ...]
    history_days: Days


class MedianDurationMeasure(Strict):
    """Median days from the row's beginning to its end / the median of the whole company.

    Rows that ended in the window or are still open (with their age so far). Fewer than `minimum_rows`:
    ``too_few``. The company's median is a reference value per day, taken at the midnight with which the day of
    `as_of` begins; 0 or none: ``no_base``.
    """

    kind: Literal["median_duration"]
    rows: Rows
    window_days: Days
    minimum_rows: PositiveInt


class OpenAtMeasure(Strict):
    """Rows open at `as_of`, and those that ended in the last `ended_within_days` (0: none of them).

    The last `ended_within_days` days, and at least one, must be covered. Rows without an end are open.
    """

    kind: Literal["open_at"]
    rows: Rows
    ended_within_days: Annotated[int, Field(ge=0)] = 0
    bonuses: tuple[Bonus, ...] = ()

    @model_validator(mode="after")
    def _bonuses_fit(self) -> OpenAtMeasure:
        if any(bonus.open_longer_than_days is None for bonus in self.bonuses):
            raise ValueError('a bonus of kind = "open_at" is open_longer_than_days')
        return self


class LatestMeasure(Strict):
    """Mean over respondents (`by`) of each one's latest `column` in the window; nobody: ``too_few``.

    A null respondent counts as one respondent. Ties: the later ``recorded_at``, then the greater key.
    """

    kind: Literal["latest"]
    rows: Rows
    by: Identifier
    column: Identifier
    window_days: Days


class DeltaMeasure(Strict):
    """Mean over respondents of (latest - the one before), both in the window; no pair: ``too_few``.

    Answers without a respondent make no pair. A pair found is answered even where the window begins before the
    feed (what is older could not change it); any other hole: ``not_delivered``.
    """

    kind: Literal["delta"]
    rows: Rows
    by: Identifier
    column: Identifier
    window_days: Days


class BlocksMeasure(Strict):
    """Of the last `blocks` blocks of `block_days`, how many hold more rows of `more` than of `than`.

    All the blocks must be covered.
    """

    kind: Literal["blocks"]
    table: Identifier
    more: Filter
    than: Filter
    blocks: PositiveInt
    block_days: Days


class SilenceMeasure(Strict):
    """Whole days since the last row, for accounts that were steady before it.

    Steady: rows in at least `active_blocks` of the `of_blocks` blocks of `block_days` that end with the last
    row. Not steady, or the last row older than `kept_days`: ``not_applicable``. Needs every day after that of
    the last row covered, else ``not_delivered``.
    """

    kind: Literal["silence"]
    rows: Rows
    active_blocks: PositiveInt
    of_blocks: PositiveInt
    block_days: Days
    kept_days: Days


class AtLeast(Strict):
    """At least `rows` of the aggregate; so many seen hold also where the window is not wholly covered."""

    when: Literal["at_least"]
    aggregate: Aggregate
    rows: PositiveInt = 1

    @model_validator(mode="after")
    def _no_means(self) -> AtLeast:
        _refuse_means(self.aggregate)
        return self


class NoRows(Strict):
    """No row at all in the window; a row seen answers "no", covered or not."""

    when: Literal["no_rows"]
    aggregate: Aggregate


class LatestAtMost(Strict):
    """The latest `column` of some respondent in the window is at most `at_most`.

    With `roles`, that respondent is a contact in one of those roles at `as_of`. Nobody answered: ``too_few``.
    Nobody at most `at_most`: clear, also without ``contacts``; somebody, and ``contacts`` not connected:
    ``not_connected``.
    """

    when: Literal["latest_at_most"]
    rows: Rows
    by: Identifier
    column: Identifier
    at_most: float
    window_days: Days
    roles: tuple[str, ...] = ()


class AboveOwnRate(Strict):
    """More rows a covered day than in the `baseline_days` before the aggregate's window.

    The aggregate's own window must be covered whole. Fewer than `minimum_baseline_days` covered days of service in
    the baseline: ``history_too_short``.
    """

    when: Literal["above_own_rate"]
    aggregate: Aggregate
    baseline_days: Days
    minimum_baseline_days: Days

    @model_validator(mode="after")
    def _has_a_window(self) -> AboveOwnRate:
        if self.aggregate.window_days is None:
            raise ValueError("the aggregate has window_days: the rate before them is what it is compared with")
        return self


class ContactLost(Strict):
    """What became of the contacts in `roles` (of `fallback_roles` where the account never had one).

    A contact's next row, also one announced ahead, ends the one before on the day before it begins. A leaving date
    or new title `window_days` days ago still counts, since dates count from their end.

    Over the window, with departures already known ahead counted. ``change = "gone"``: nobody holds the role
    at `as_of` (or will after a departure already known), and none of the leavers has a successor who was
    named (``successor_id``, recorded) by the day of leaving. ``change = "some"``: somebody left and others
    stay, without a successor named before; or somebody who stays got a title that neither contains the old
    one nor is contained in it (promotions inside the role do not count).
    """

    when: Literal["contact_lost"]
    change: Literal["gone", "some"]
    roles: tuple[str, ...]
    fallback_roles: tuple[str, ...] = ()
    window_days: Days


Condition = Annotated[AtLeast | NoRows | LatestAtMost | AboveOwnRate | ContactLost, Field(discriminator="when")]


class Code(Strict):
    """A code, what it means in the code book, and when it holds."""

    code: PositiveInt
    means: str
    condition: Condition


class CodedMeasure(Strict):
    """The highest code whose condition holds, 0 if none does.

    A code that is known to hold is answered even where a higher one cannot be judged (what is known to be
    bad stays bad); otherwise the reason of the highest one that cannot be judged.
    """

    kind: Literal["coded"]
    none_means: str
    codes: tuple[Code, ...]


Measure = Annotated[
    AggregateMeasure
    | RatioMeasure
    | UtilisationMeasure
    | OnboardingAdoptionMeasure
    | LevelChangeMeasure
    | TrendMeasure
    | RecencyMeasure
    | BreadthMeasure
    | NewnessMeasure
    | MedianDurationMeasure
    | OpenAtMeasure
    | LatestMeasure
    | DeltaMeasure
    | BlocksMeasure
    | SilenceMeasure
    | CodedMeasure,
    Field(discriminator="kind"),
]


# --- definitions --------------------------------------------------------------------------------------------


class Direction(StrEnum):
    """Which way a value gets worse."""

    LOWER_IS_WORSE = "lower_is_worse"
    HIGHER_IS_WORSE = "higher_is_worse"
    TWO_SIDED = "two_sided"


class UnlessSignal(Strict):
    """Not applicable while another signal's value is at least this."""

    signal: Identifier
    at_least: float


class Applies(Strict):
    """When a signal can be asked at all; otherwise ``Unknown(not_applicable)``.

    Where the stage is not known, it is none of `stages`: that onboarding is over cannot be established.
    """

    stages: tuple[str, ...] = ()  # empty: in every stage
    unless: UnlessSignal | None = None


class Signal(Strict):
    """One quantitative signal: what its reading means."""

    area: Identifier
    unit: str
    direction: Direction
    timing: Literal["leading", "confirmatory"]
    indicates: tuple[Identifier, ...] = ()  # the factors that it is a sign of
    source: str  # where the definition comes from
    measure: Measure
    applies: Applies = Applies()
    evidence: Rows | None = None  # rows to quote beside the reading; none: the measure's own numbers


class Factor(Strict):
    """One qualitative success factor, rated 1 (weak) to 5 (strong) by people.

    The latest rating counts. It is unknown once it is more than `unknown_after_days` old, or once another CSM has
    been recorded for the account since, even if the former one came back.
    """

    area: Identifier
    question: str
    weak: str  # what a 1 looks like
    strong: str  # what a 5 looks like
    stale_after_days: Days
    unknown_after_days: Days


class ContextKind(StrEnum):
    """How a context column is read."""

    NUMBER = "number"
    CATEGORY = "category"
    YES_NO = "yes_no"


class Context(Strict):
    """One context column: used by the model and shown, with no threshold of its own.

    `of` names something derived from contracts (``days_to_notice_deadline``, ``days_to_renewal``,
    ``tenure_days``, ``stage``, ``licences``, ``arr``, ``plan``, ``contract_length_days``) or, as
    ``accounts.COLUMN``, a column of the accounts table. A category's `codebook` lists its values in code
    order (0, 1, …); values not listed are unknown. Without a codebook it is recorded when a model is
    trained and travels with the contract. Contract length is that of the contract in force with the most value.
    Instead of `of`, a `measure` (a second window of a signal, for an
    opportunity). `in_model = false`: shown only.
    """

    of: str | None = None
    measure: Measure | None = None
    kind: ContextKind
    unit: str = ""
    codebook: tuple[str, ...] = ()
    in_model: bool = True

    @model_validator(mode="after")
    def _one_origin(self) -> Context:
        if (self.of is None) == (self.measure is None):
            raise ValueError("give exactly one of of and measure")
        return self


class Stages(Strict):
    """Edges of the lifecycle stages, in whole days since service start; the renewal window wins.

    The renewal window: at most `renewal_window_days` to the next notice deadline, else to the next end, of
    contracts that no known one follows (later, yet to begin, within the grace). A deadline that has passed is
    none; a contract with an open end is followed by nothing. Before service begins there is no stage, and
    nothing to renew.
    """

    onboarding_days: Days
    adoption_days: Days
    renewal_window_days: Days


# --- policy --------------------------------------------------------------------------------------------------


class Edges(Strict):
    """Thresholds of a measured value.

    The healthy band ends at `healthy`, the next at `unhealthy`; the edge belongs to the healthier band unless
    ``edge_is_healthier = false``. Severity: 0 at `healthy`, 1 at `unhealthy`, linear between, clipped.
    """

    healthy: float
    unhealthy: float
    edge_is_healthier: bool = True


class Counts(Strict):
    """Thresholds of a count or code: at least `not_so_healthy`, at least `unhealthy` (none: never).

    Severity 0 / 0.5 / 1 by band.
    """

    not_so_healthy: float
    unhealthy: float | None = None


class LowEdge(Strict):
    """The low side of a two-sided signal: at most *not so healthy*, severity 0 at `healthy`, 0.5 at 0."""

    healthy: float
    weight: PositiveFloat
    play: Identifier
    opens: Literal["teach", "fix_product", "show_value"]


class ThresholdOverride(Strict):
    """Other thresholds for some lifecycle stages and values of context columns; the first match wins.

    All that is named must match: the stage is one of `stages`, each context column holds one of its values
    (categories) or lies in its range (numbers; yes/no is 0 or 1). Where such a column is unknown, the strictest
    thresholds that may apply are read: not knowing never makes an account look healthier.
    """

    stages: tuple[str, ...] = ()
    context: Filter = {}
    edges: Edges | None = None
    counts: Counts | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> ThresholdOverride:
        if (self.edges is None) == (self.counts is None):
            raise ValueError("give exactly one of edges and counts")
        if not self.stages and not self.context:
            raise ValueError("say for which stages or context values it holds")
        return self


class SignalPolicy(Strict):
    """How one signal is read: thresholds, weight, action, and what a sign of it opens."""

    weight: PositiveFloat
    edges: Edges | None = None
    counts: Counts | None = None
    low: LowEdge | None = None
    overrides: tuple[ThresholdOverride, ...] = ()
    play: Identifier
    opens: Literal["teach", "fix_product", "show_value"]

    @model_validator(mode="after")
    def _one_threshold(self) -> SignalPolicy:
        if (self.edges is None) == (self.counts is None):
            raise ValueError("give exactly one of edges and counts")
        return self


class FactorPolicy(Strict):
    """How one factor is read."""

    weight: PositiveFloat
    healthy_from: Annotated[int, Field(ge=1, le=5)]
    not_so_healthy_from: Annotated[int, Field(ge=1, le=5)]
    play: Identifier
    opens: Literal["teach", "fix_product", "show_value"]


class Play(Strict):
    """One action: who does it, in how many days."""

    owner_role: Literal["csm", "csm_lead", "csm_or_services", "support_lead", "executive_sponsor"]
    due_days: Days


class Combination(Strict):
    """Signs together: points of an area, and the points from which a level begins."""

    strong_area: PositiveFloat
    ordinary_area: PositiveFloat
    second_strong: PositiveFloat
    watch: PositiveFloat
    at_risk: PositiveFloat
    critical: PositiveFloat


class AccountBands(Strict):
    """When an account as a whole is unhealthy or not so healthy."""

    unhealthy_below: Annotated[float, Field(ge=0, le=100)]  # health score
    not_so_healthy_below: Annotated[float, Field(ge=0, le=100)]
    base_rate_multiple: PositiveFloat  # churn_probability at least this many times the base rate
    coverage_floor: Annotated[float, Field(ge=0, le=1)]  # under it `healthy` and the health score are withheld


class ScorecardPriors(Strict):
    """Where the scorecard starts before it has seen outcomes (log-odds)."""

    log_odds_per_weight: PositiveFloat
    mean_severity: Annotated[float, Field(ge=0, le=1)]
    watch: Annotated[float, Field(ge=0)]
    at_risk: Annotated[float, Field(ge=0)]
    critical: Annotated[float, Field(ge=0)]
    yearly_churn: Annotated[float, Field(gt=0, lt=1)]  # where the company states none
    agreement_log_odds: PositiveFloat  # model and scorecard agree when they differ by less


class SegmentPolicy(Strict):
    """What happens with every account of a band: its play and how often it is audited."""

    play: Identifier
    cadence_days: Days


class OpportunityPolicy(Strict):
    """A good sign worth acting on: a signal, context column or factor at or above a value.

    A factor counts only while its assessment is not stale.
    """

    area: Identifier
    of: Identifier  # a signal, a factor, or a context column
    above: float | None = None
    at_least: float | None = None
    minus: Identifier | None = None  # compare `of` - `minus` instead of `of`
    play: Identifier

    @model_validator(mode="after")
    def _one_edge(self) -> OpportunityPolicy:
        if (self.above is None) == (self.at_least is None):
            raise ValueError("give exactly one of above and at_least")
        return self


class Policy(Strict):
    """``playbook.toml``: how readings are read."""

    revision: PositiveInt  # of the catalogue: rises with every change that is adopted
    combination: Combination
    bands: AccountBands
    scorecard: ScorecardPriors
    segments: Mapping[Literal["healthy", "not_so_healthy", "unhealthy"], SegmentPolicy]
    signals: Mapping[Identifier, SignalPolicy]
    factors: Mapping[Identifier, FactorPolicy]
    plays: Mapping[Identifier, Play]
    opportunities: Mapping[Identifier, OpportunityPolicy] = {}


class Definitions(Strict):
    """``signals.toml``, ``factors.toml`` and ``context.toml``: what readings mean, in catalogue order.

    `tables` are a company's own, beyond ours: the ``tables.toml`` of its overlay.
    """

    why_customers_come_back: tuple[str, ...]  # what the company is bought for, and what it looks like
    lapse_grace_days: Days
    stages: Stages
    signals: Mapping[Identifier, Signal]
    factors: Mapping[Identifier, Factor]
    context: Mapping[Identifier, Context]
    tables: Mapping[Identifier, TableContract] = {}

    @property
    def contracts(self) -> Mapping[str, TableContract]:
        """The contract of every table that a measure may name: ours, then the company's own."""
        return {**table_contracts(), **self.tables}

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas of signals and factors in catalogue order, ``relationship`` last."""
        found = [signal.area for signal in self.signals.values()]
        found += [factor.area for factor in self.factors.values()]
        return tuple(sorted(dict.fromkeys(found), key=lambda area: area == RELATIONSHIP))
