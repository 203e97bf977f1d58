"""The recipe: every number of a training run that a company may change.

The same recipe, data and seed give the same bundle, digest and all, in one version of training.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, field_validator

from features.errors import TrainingError, near_miss
from training.definition import KINDS

TRAINING = 2  # raised when the same data and recipe would give another model
DEFAULT = Path(__file__).with_name("recipe.toml")
Share = Annotated[float, Field(gt=0, le=1)]


class Part(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelRecipe(Part):
    """What is predicted. `involuntary_counts` unset: as the company's sources say."""

    horizon_days: Annotated[int, Field(ge=1, le=730)]
    embargo_days: Annotated[int, Field(ge=0, le=365)]
    kinds: Annotated[tuple[str, ...], Field(min_length=1)]
    involuntary_counts: bool | None = None

    @field_validator("kinds")
    @classmethod
    def _known_kinds(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        """Return them once each and in one order: what is the same has the same fingerprint."""
        for kind in said:
            if kind not in KINDS:
                raise ValueError(f'unknown kind "{kind}". {near_miss(kind, KINDS)}')
        return tuple(kind for kind in KINDS if kind in said)


class GridRecipe(Part):
    """Which monthly dates become snapshots, and how many of the last ones prove the model."""

    min_history_months: Annotated[int, Field(ge=0, le=60)]
    max_months: Annotated[int, Field(ge=2, le=120)]
    final_months: Annotated[int, Field(ge=1, le=24)]


class ScorecardRecipe(Part):
    """How far outcomes may move the rules.

    `prior_sd_log_odds`: standard deviation of a weight around its prior, in log-odds. The likelihood counts
    each churned account once, however many monthly snapshots it fills. `severity_prior_accounts`: how many
    accounts the prior mean severity is worth.
    """

    prior_sd_log_odds: PositiveFloat
    severity_prior_accounts: PositiveFloat


class BoosterRecipe(Part):
    """LightGBM: small, shallow, monotone, deterministic. Rounds are chosen on later months.

    `scorecard_share`: how much of the scorecard it starts from; the rest is the base rate.
    """

    num_leaves: Annotated[int, Field(ge=2, le=16)]
    max_depth: Annotated[int, Field(ge=1, le=6)]
    learning_rate: Annotated[float, Field(gt=0, le=0.5)]
    max_rounds: Annotated[int, Field(ge=1, le=2000)]
    min_data_in_leaf: PositiveInt
    lambda_l2: Annotated[float, Field(ge=0)]
    feature_fraction: Share
    bagging_fraction: Share
    scorecard_share: Annotated[float, Field(ge=0, le=1)]
    num_threads: Annotated[int, Field(ge=1, le=64)]


class SearchRecipe(Part):
    """How many boosters are tried on the folds, the recipe's own among them (0: it is taken as it is).

    `seconds`: after so many no further one begins; 0 is no limit.
    """

    trials: Annotated[int, Field(ge=0, le=1000)]
    seconds: Annotated[int, Field(ge=0)]


class FoldRecipe(Part):
    """How many rolling origins there are inside the training part."""

    origins: Annotated[int, Field(ge=2, le=12)]


class CalibrationRecipe(Part):
    """Priors of Platt's shift (around 0) and slope (around 1), as standard deviations.

    `level_sd`: how far the level of single folds may lie off, up and down; the shift is what all of them share.
    """

    shift_sd: PositiveFloat
    level_sd: PositiveFloat
    slope_sd: PositiveFloat


class IntervalRecipe(Part):
    """What the interval of a probability is made of; see :class:`models.blend.Interval`.

    `later_sd`: prior standard deviation, in log-odds, of by how much later months miss what was said. It is judged
    in bins of at least `fewest_churned` churned accounts.
    """

    prior_accounts: PositiveFloat
    disagreement: Annotated[float, Field(ge=0)]
    unknown: Annotated[float, Field(ge=0)]
    later_sd: PositiveFloat
    fewest_churned: PositiveInt


class HorizonRecipe(Part):
    """Horizons beside the labels' own, in days, and the priors of what leads to them, as standard deviations.

    `churned_accounts`: how many the final block must have for a horizon to be judged.
    """

    days: Annotated[tuple[Annotated[int, Field(ge=1, le=730)], ...], Field(max_length=8)]
    shift_sd: PositiveFloat
    slope_sd: PositiveFloat
    churned_accounts: PositiveInt

    @field_validator("days")
    @classmethod
    def _each_once(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        """Return them in order, once each."""
        return tuple(sorted(set(days)))


class BlendRecipe(Part):
    """Prior of kappa: the churned accounts at which model and scorecard weigh the same."""

    kappa_prior: PositiveFloat
    kappa_prior_log_sd: PositiveFloat


class EvaluationRecipe(Part):
    """How the final block is judged; `capacity_share` of the accounts can be worked at one time."""

    bootstrap_repeats: Annotated[int, Field(ge=50, le=10_000)]
    capacity_share: Share
    interval: Annotated[float, Field(gt=0.5, lt=1)]


class SegmentRecipe(Part):
    """How small a segment may be and still have figures of its own; a smaller one is withheld."""

    fewest_accounts: PositiveInt
    fewest_churned_accounts: PositiveInt


class RegisterRecipe(Part):
    """When the register says *keep* or *drop* of a sign, and when that a sign only confirms.

    `fewest_churned_accounts`: with the sign, or expected there by chance, for a verdict. `least_lift`: what a
    sign must reach to be kept, and clearly stay below to be dropped. `least_coverage`: share of snapshots on
    which it must be known. A sign confirms when more than `confirming_share` of the churn that it foretold
    beyond the base rate came within `confirming_days`.
    """

    fewest_churned_accounts: PositiveInt
    least_lift: Annotated[float, Field(ge=1)]
    least_coverage: Annotated[float, Field(ge=0, le=1)]
    confirming_days: PositiveInt
    confirming_share: Share


class GateRecipe(Part):
    """What a model must show before it may serve."""

    churned_accounts_trained: PositiveInt
    churned_accounts_final: PositiveInt
    tolerance_log_loss: Annotated[float, Field(ge=0)]
    calibration_ratio: Annotated[float, Field(ge=1)]
    too_good_auc: Annotated[float, Field(gt=0.5, lt=1)]


class Recipe(Part):
    """Every number of a training run.

    Examples
    --------
    >>> load_recipe().labels.horizon_days
    90
    """

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    labels: LabelRecipe
    grid: GridRecipe
    scorecard: ScorecardRecipe
    booster: BoosterRecipe
    search: SearchRecipe
    folds: FoldRecipe
    calibration: CalibrationRecipe
    blend: BlendRecipe
    interval: IntervalRecipe
    horizons: HorizonRecipe
    evaluation: EvaluationRecipe
    segments: SegmentRecipe
    signal_register: RegisterRecipe
    gates: GateRecipe

    @property
    def window_days(self) -> int:
        """Days from a snapshot to the end of its label window."""
        return self.labels.embargo_days + self.labels.horizon_days

    def to_toml(self, remark: str = "") -> str:
        """Return the recipe as TOML that :func:`load_recipe` reads back, a remark above it.

        Without the number of threads, on which no answer depends: bundles are the same on every machine.
        """
        tables = self.model_dump(exclude_none=True, exclude={"booster": {"num_threads"}})
        lines = [f"{name} = {value}" for name, value in tables.items() if not isinstance(value, dict)]
        for name, table in tables.items():
            if isinstance(table, dict):
                lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join([*(f"# {line}" for line in remark.splitlines()), *lines]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, str):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_recipe(path: Path | None = None) -> Recipe:
    """Return the default recipe, changed by what the file at `path` names.

    Raises
    ------
    TrainingError
        The file cannot be read, or names or values in it are not allowed.
    """
    base = tomllib.loads(DEFAULT.read_text(encoding="utf-8"))
    if path is None:
        return Recipe.model_validate(base)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise TrainingError(f"{path}: the recipe cannot be read ({problem.strerror}).") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise TrainingError(f"{path}: this is no TOML: {problem}.") from problem
    try:
        return Recipe.model_validate(_merged(base, given))
    except ValidationError as problem:
        raise TrainingError(f"{path}: {_first(problem)}") from problem


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for name, value in given.items():
        known = base.get(name)
        both[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _first(problem: ValidationError) -> str:
    error = problem.errors()[0]
    where = [str(part) for part in error["loc"]]
    if error["type"] == "value_error":
        return f"{'.'.join(where)}: {error['ctx']['error']}"
    if error["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {error['msg']}, got {error['input']!r}."
    model: Any = Recipe
    for part in where[:-1]:
        model = model.model_fields[part].annotation
    return f"unknown key {'.'.join(where)}. {near_miss(where[-1], model.model_fields)}"
