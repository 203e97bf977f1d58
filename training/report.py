"""What the evaluation report says, as plain numbers: drawn up once, shown as HTML, Markdown and pictures.

The final block judges. The signal register and the lead times rest on more rows, and say on which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.contest import BandRow, Contest, EarlyWarning
from training.evaluation import Difference, Floats, Group, Scores
from training.gates import Gate
from training.horizons import HorizonProof
from training.intervals import IntervalCheck
from training.register import Register, register_of
from training.resampling import Interval
from training.segments import Segment, segments_of

if TYPE_CHECKING:
    from training.recipe import Recipe
    from training.run import Proof

SHOWN = ("scorecard", "ridge", "booster", "blend")
SHARES = (0.05, 0.10, 0.20, 0.30, 0.50)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the run rests on.

    Attributes
    ----------
    snapshots, labelled, accounts
        Of all; `labelled` have an outcome.
    dates
        First and last snapshot.
    learnt_accounts, learnt_churned
        What the proven fit learnt from.
    registered_churned
        Churned accounts behind the model that is registered.
    left_out
        Tables and columns with today's state only, in words; None: not known, from a snapshot file.
    never_known
        Columns unknown on every snapshot.
    dataset_digest, bundle_digest, definitions
        Of what was trained on, and of what came of it.
    """

    snapshots: int
    labelled: int
    accounts: int
    dates: tuple[np.datetime64, np.datetime64]
    learnt_snapshots: int
    learnt_churned: int
    registered_churned: int
    model_weight: float
    left_out: tuple[str, ...] | None
    never_known: tuple[str, ...]
    dataset_digest: str
    bundle_digest: str
    definitions: str


@dataclass(frozen=True)
class FinalBlock:
    """What came out on the months that nothing had learnt from.

    Attributes
    ----------
    snapshots, accounts, churned_accounts, churned, dates
        The rows that judged; `churned` is the share of them.
    scores
        By contestant.
    blend_minus
        Log loss of the blend minus that of each other contestant, paired by account.
    gap
        Share that churned minus mean probability of the blend, and its interval.
    reliability
        By contestant shown.
    order_found
        By contestant shown: shape (n,), the share of churned snapshots found when so many rows were looked at.
    arr_known
        Share of the snapshots whose yearly value is known.
    capacity_share
        Of the accounts, that the team can work at one time.
    intervals
        Whether the intervals of the probabilities hold; None where nobody churned.
    bands, early, segments, horizons
        As their classes say; `horizons` are all but the one that the rest is about.
    """

    snapshots: int
    accounts: int
    churned_accounts: int
    churned: float
    dates: tuple[np.datetime64, np.datetime64]
    scores: Mapping[str, Scores]
    blend_minus: Mapping[str, Difference]
    gap: tuple[float, Interval]
    reliability: Mapping[str, tuple[Group, ...]]
    order_found: Mapping[str, Floats]
    arr_known: float
    capacity_share: float
    intervals: IntervalCheck | None
    bands: tuple[BandRow, ...]
    early: Mapping[int, EarlyWarning]
    segments: tuple[Segment, ...]
    horizons: tuple[HorizonProof, ...]


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes
    ----------
    verdict
        What was learnt, in a sentence.
    search
        What came of the search, in a sentence; None: there was none.
    definition
        What counts as churn, a sentence each.
    recipe
        Every number that was set.
    facts
        What it rests on.
    final
        None where the history was too short for months to judge by.
    register
        What each sign earned.
    gates
        What stands for and against promotion.
    names
        Signals, factors and context columns in words.
    """

    verdict: str
    search: str | None
    definition: tuple[str, ...]
    recipe: Recipe
    facts: Facts
    final: FinalBlock | None
    register: Register
    gates: tuple[Gate, ...]
    names: Mapping[str, str]


def report_of(proof: Proof) -> Report:
    """Draw up the report of a run; the same run gives the same report."""
    contract, catalogue = proof.material.vectors.contract, proof.material.catalogue
    english = catalogue.wording.get("en")
    return Report(
        verdict=proof.verdict,
        search=None if proof.search is None else proof.search.sentence,
        definition=tuple(proof.rule.text.splitlines()),
        recipe=proof.material.recipe,
        facts=_facts(proof),
        final=None if proof.contest is None else _final(proof, proof.contest),
        register=register_of(proof.material, proof.snapshots.event_at),
        gates=proof.gates,
        names={name: english.name(name) if english else name for name in contract.names},
    )


def _facts(proof: Proof) -> Facts:
    vectors, left_out = proof.material.vectors, proof.snapshots.left_out
    unknown = np.flatnonzero(np.isnan(vectors.values).all(axis=0))
    return Facts(
        snapshots=len(vectors),
        labelled=int((~np.isnan(proof.material.churned)).sum()),
        accounts=len(set(vectors.account_ids)),
        dates=_ends(vectors.as_of),
        learnt_snapshots=proof.proven.rows,
        learnt_churned=proof.proven.churned_accounts,
        registered_churned=proof.registered.churned_accounts,
        model_weight=proof.registered.blend.full_weight,
        left_out=None if left_out is None else tuple(str(item) for item in left_out),
        never_known=tuple(vectors.contract.names[place] for place in unknown),
        dataset_digest=proof.snapshots.digest,
        bundle_digest=proof.bundle.digest,
        definitions=proof.bundle.contract.definitions,
    )


def _final(proof: Proof, contest: Contest) -> FinalBlock:
    block, blend = contest.block, contest.probabilities["blend"]
    return FinalBlock(
        snapshots=len(block),
        accounts=block.accounts,
        churned_accounts=block.churned_accounts,
        churned=float(block.churned.mean()),
        dates=_ends(block.as_of),
        scores=contest.scores,
        blend_minus={name: contest.difference("blend", name) for name in contest.scores if name != "blend"},
        gap=block.calibration_gap(blend),
        reliability={name: block.reliability(contest.probabilities[name]) for name in SHOWN},
        order_found={name: found_in_order(block.churned, contest.probabilities[name]) for name in SHOWN},
        arr_known=float((~np.isnan(block.arr)).mean()),
        capacity_share=block.capacity_share,
        intervals=contest.intervals,
        bands=contest.bands,
        early=contest.early,
        segments=segments_of(
            proof.material.vectors.take(proof.split.final), block, blend, proof.material.recipe.segments
        ),
        horizons=proof.horizons,
    )


def found_in_order(churned: Floats, ranking: Floats) -> Floats:
    """Return the share of churned rows among the first 1, 2 … n, highest ranking first; NaN where nobody churned.

    >>> found_in_order(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.1])).tolist()
    [0.5, 0.5, 1.0]
    """
    found, total = np.cumsum(churned[np.argsort(-ranking, kind="stable")]), float(churned.sum())
    return np.asarray(found / total if total else np.full(len(churned), np.nan), dtype=np.float64)


def _ends(moments: npt.NDArray[np.datetime64]) -> tuple[np.datetime64, np.datetime64]:
    return moments.min(), moments.max()
