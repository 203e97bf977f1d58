"""From vectors to log-odds, and to the parts that add up to them.

With w the model's weight, s the scorecard, f the booster and a, b the calibration:

* start t = c · s + (1 - c) · level, with c the share of the scorecard that the booster starts from;
* log-odds z = w · (a + b · (t + f)) + (1 - w) · s;
* base = w · (a + b · (t₀ + f₀)) + (1 - w) · s₀, which depends on w alone: no sum can be made to fit;
* contribution_i = (w · b · c + 1 - w) · s_i + w · b · f_i, and Σ contribution_i = z - base.

z and base are held within ±15, and the contributions are scaled to the difference that is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.vectors import Floats, Vectors
from models.blend import half_width
from models.booster import contributions, margin
from models.bundle import Bundle
from models.design import DesignMatrix, by_owner, design_matrix
from models.numbers import clipped, row_sums
from models.scorecard import Scorecard
from models.signs import Judgements


@dataclass(frozen=True, slots=True)
class LogOdds:
    """Log-odds of n accounts, each array of shape (n,).

    `model` is None without a bundle; then `weight` is 0 and `total` the scorecard's. `unclipped` is `total`
    before it is held within ±15; `half` is half the width of its 90 % interval.
    """

    judgements: Judgements
    scorecard: Floats
    model: Floats | None
    weight: Floats
    unclipped: Floats
    half: Floats
    design: DesignMatrix | None

    @property
    def total(self) -> Floats:
        """The answer's log-odds, within ±15."""
        return clipped(self.unclipped)


def log_odds(vectors: Vectors, judgements: Judgements, scorecard: Scorecard, bundle: Bundle | None) -> LogOdds:
    """Return the log-odds of n accounts.

    Parameters
    ----------
    vectors
        Of the bundle's contract.
    judgements
        Of these vectors, by the scorecard's own policy.
    scorecard
        The bundle's, or the prior one.
    bundle
        None: the scorecard alone.
    """
    rules = scorecard.log_odds(judgements)
    unseen = _unseen(judgements, scorecard)
    if bundle is None:
        weight = np.zeros(len(vectors))
        half = half_width(None, weight, rules, rules, unseen)
        return LogOdds(judgements, rules, None, weight, rules, half, None)
    design = design_matrix(vectors, bundle.medians)
    model = bundle.platt(bundle.start(rules) + margin(bundle.booster, design.X))
    weight = bundle.blend.model_weight(judgements.coverage, model, rules)
    total = weight * model + (1.0 - weight) * rules
    half = half_width(bundle.blend, weight, model, rules, unseen)
    return LogOdds(judgements, rules, model, weight, total, half, design)


def base_log_odds(weight: Floats, scorecard: Scorecard, bundle: Bundle | None) -> Floats:
    """Return the log-odds of an account of which nothing is known: a function of the model's weight alone."""
    return clipped(_base(weight, scorecard, bundle))


def parts(
    answers: LogOdds, vectors: Vectors, scorecard: Scorecard, bundle: Bundle | None
) -> tuple[Floats, Floats]:
    """Return what each column of the contract, and the combination, add to the base.

    Returns
    -------
    tuple of Floats
        Shapes (n, columns) and (n,). Columns that no model reads and no rule judges add 0.
    """
    rules = scorecard.parts(answers.judgements)
    items = len(scorecard.items)
    columns = np.zeros((len(vectors), len(vectors.contract.columns)))
    columns[:, vectors.contract.item_positions] = rules[:, :items]
    combination = rules[:, items]
    if bundle is not None and answers.design is not None:
        weight = answers.weight[:, None]
        slope = bundle.platt.b
        added = contributions(bundle.booster, answers.design.X)[:, :-1]
        owned = by_owner(added, answers.design.owner, len(vectors.contract.columns))
        of_rules = answers.weight * slope * bundle.start.share + 1.0 - answers.weight
        columns = of_rules[:, None] * columns + weight * slope * owned
        combination = of_rules * combination
    scale = _scale(answers, _base(answers.weight, scorecard, bundle))
    return columns * scale[:, None], combination * scale


def _base(weight: Floats, scorecard: Scorecard, bundle: Bundle | None) -> Floats:
    rules: Floats = np.full(len(weight), scorecard.intercept)
    if bundle is None:
        return rules
    model = bundle.platt(bundle.start(rules) + bundle.expected_margin)
    return weight * model + (1.0 - weight) * rules


def _scale(answers: LogOdds, base: Floats) -> Floats:
    """Return what the parts are multiplied with, so that they end at ±15 where their sum would pass it."""
    raw = answers.unclipped - base
    held = answers.total - clipped(base)
    return np.where(held == raw, 1.0, held / np.where(raw == 0.0, 1.0, raw))


def _unseen(judgements: Judgements, scorecard: Scorecard) -> Floats:
    """Return the variance, in log-odds, of what the scorecard could have been told and was not."""
    mean = np.clip(scorecard.mean_severity, 0.0, 1.0)
    variance = np.asarray(scorecard.weights) ** 2 * mean * (1.0 - mean)
    return row_sums(np.where(judgements.asked & np.isnan(judgements.severity), variance, 0.0))
