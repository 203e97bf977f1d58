"""Gates: what a model must show before it may serve. Each passes, fails, or cannot judge, and says why.

Only a model that passes them is promoted: a gate that cannot judge has not been passed. G08 and G09 ask the
tables; a snapshot file answers for them with the proof that `keepsight snapshot` puts into it. For a file without
one, somebody may vouch for the tables: that is written into the gate. What G10 cannot judge is marked as
extrapolated in every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

import numpy as np

from training.contest import Contest
from training.evaluation import Difference, fits
from training.horizons import HorizonProof
from training.intervals import IntervalCheck
from training.probes import Telling
from training.recipe import GateRecipe
from training.table_proof import Rechecked


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"
    FAIL = "fail"
    CANNOT_JUDGE = "cannot_judge"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's verdict. Codes are for life."""

    code: str
    about: str
    verdict: Verdict
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return it as plain values, for JSON."""
        return {name: str(value) for name, value in asdict(self).items()}


ABOUT = {
    "G01": "enough churned accounts to judge by",
    "G02": "tells more than the base rate",
    "G03": "not worse than scorecard or ridge",
    "G04": "says as much churn as there is",
    "G05": "shuffled labels teach nothing",
    "G06": "no column is too good to be true",
    "G07": "no label window reaches into the final block",
    "G08": "nothing known only as of today",
    "G09": "later records change no vector",
    "G10": "other horizons say as much churn as there is",
    "G11": "intervals hold what later months showed",
}


NEXT = {
    "G01": "wait until more accounts have left, deliver an older history, or ask for fewer in a recipe.",
    "G02": "connect more tables: `keepsight check` says what each missing one leaves unknown.",
    "G03": "the simpler model is the better one so far: deliver a longer history, or train again in some months.",
    "G04": "the rate of churn has moved: train again when the newest months have their labels.",
    "G05": "rows tell the label by themselves: look for accounts that are there twice, or whose id says who left.",
    "G06": "look at when that column is written; deliver its recorded_at, or leave it out.",
    "G07": "report it: the dates of this run were put together wrongly.",
    "G08": "deliver recorded_at for what is named, or say in sources.toml that it is never rewritten.",
    "G09": "rows were changed after the fact: deliver recorded_at, or leave the table out.",
    "G10": "when accounts leave has changed: train again in some months, or ask for fewer horizons in a recipe.",
    "G11": "answers are less sure than they say: train again when the newest months have their labels.",
}
NEED_TABLES = ("G08", "G09")
NEED_CHURNED = ("G02", "G04", "G06", "G11")  # accounts: with too few they cannot be judged
EXTRAPOLATED = "G10"  # a horizon that cannot be judged is marked in every answer, and stands in nobody's way
VOUCHING = "--allow-unproven-tables"
FROM_FILE = (
    "trained from a snapshot file that does not carry the proof. Write it anew with `keepsight snapshot`, train "
    f"from --sources, or vouch for the tables with {VOUCHING}."
)
VOUCHED = f"not asked: somebody vouched for the tables ({VOUCHING})."


def refusals(gates: Sequence[Gate]) -> list[str]:
    """Return what stands against promotion, a sentence for each gate; nothing: it may be promoted.

    Examples
    --------
    >>> refusals([Gate("G06", "no column is too good to be true", Verdict.FAIL, "look for the leak: x.")])
    ['G06 no column is too good to be true: fail, look for the leak: x.']
    >>> unproven = [later_records_change_nothing(None)]
    >>> len(refusals(unproven)), len(refusals(vouched_for(unproven)))
    (1, 0)
    """
    return [f"{gate.code} {gate.about}: {gate.verdict}, {gate.reason}" for gate in _against(gates)]


def next_steps(gates: Sequence[Gate]) -> list[str]:
    """Return what to do about each gate that stands against promotion."""
    return [f"{gate.code}: {_next_step(gate)}" for gate in _against(gates)]


def _next_step(gate: Gate) -> str:
    if gate.verdict is Verdict.CANNOT_JUDGE and gate.code in NEED_CHURNED:
        return "it can be judged when G01 is met."
    return NEXT.get(gate.code, "see its reason.")


def not_promoted(version: int, gates: Sequence[Gate]) -> str:
    """Say that a version is not promoted, why, and what to do."""
    lines = [f"Version {version} is not promoted; the champion stays as it is.", *refusals(gates), "What to do:"]
    return "\n  ".join([*lines, *next_steps(gates)])


def vouched_for(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates, with those that could not ask the tables noted as vouched for; a failed one stays so."""
    return [
        replace(gate, reason=VOUCHED)
        if gate.code in NEED_TABLES and gate.verdict is Verdict.CANNOT_JUDGE
        else gate
        for gate in gates
    ]


def _against(gates: Sequence[Gate]) -> list[Gate]:
    return [gate for gate in gates if not _excused(gate) and gate.verdict is not Verdict.PASS]


def _excused(gate: Gate) -> bool:
    return gate.verdict is Verdict.CANNOT_JUDGE and (gate.reason == VOUCHED or gate.code == EXTRAPOLATED)


def enough_churned(trained: int, final: int, recipe: GateRecipe) -> Gate:
    """G01: churned accounts, not snapshots: one churn fills up to three monthly rows."""
    wanted = f"wanted are {recipe.churned_accounts_trained} and {recipe.churned_accounts_final}"
    reason = f"{trained} churned accounts to learn from and {final} in the final block; {wanted}."
    enough = trained >= recipe.churned_accounts_trained and final >= recipe.churned_accounts_final
    return _gate("G01", Verdict.PASS if enough else Verdict.CANNOT_JUDGE, reason)


def beats_base_rate(contest: Contest, enough: Gate) -> Gate:
    """G02: lower log loss than saying the same for everybody, and a ranking, both beyond chance over accounts.

    Where the rate has moved, a lower log loss alone may only mean that it was followed. With too few churned
    accounts a lower one proves nothing; one that is higher beyond chance still fails.
    """
    gap = contest.difference("blend", "base_rate")
    area = contest.scores["blend"].auc_interval
    ranked = "not known" if area is None else f"{area[0]:.3f} to {area[1]:.3f}"
    reason = f"log loss of the blend minus that of the base rate: {_said(gap)}; its AUC: {ranked}."
    if enough.verdict is Verdict.PASS:
        learnt = gap.high < 0 and area is not None and area[0] > 0.5
        return _gate("G02", Verdict.PASS if learnt else Verdict.FAIL, reason)
    if gap.low > 0:
        return _gate("G02", Verdict.FAIL, reason)
    return _gate("G02", Verdict.CANNOT_JUDGE, f"too few churned accounts; {reason}")


def not_worse_than_simple(contest: Contest, recipe: GateRecipe) -> Gate:
    """G03: nothing simpler is better by more than the tolerance or one standard error."""
    name = min(("scorecard", "ridge"), key=lambda rival: contest.scores[rival].log_loss)
    gap = contest.difference("blend", name)
    allowed = max(recipe.tolerance_log_loss, gap.standard_error)
    reason = f"log loss of the blend minus that of the {name}: {_said(gap)}; up to {allowed:.4f} is allowed."
    return _gate("G03", Verdict.PASS if gap.value <= allowed else Verdict.FAIL, reason)


def calibrated(contest: Contest, recipe: GateRecipe) -> Gate:
    """G04: the mean probability is near the share that churned, or within chance of it.

    Where nobody of the block churned, draws of its accounts know of no chance.
    """
    said = contest.scores["blend"].mean_probability
    happened = float(contest.block.churned.mean())
    if happened == 0.0:
        return _gate("G04", Verdict.CANNOT_JUDGE, f"said {said:.2%}, and nobody of the final block churned.")
    _, (low, high) = contest.block.calibration_gap(contest.probabilities["blend"])
    near = fits(said, happened, (low, high), recipe.calibration_ratio)
    reason = (
        f"said {said:.2%}, happened {happened:.2%}; the gap's interval is {low:+.2%} to {high:+.2%}, "
        f"a factor of up to {recipe.calibration_ratio:g} is allowed."
    )
    return _gate("G04", Verdict.PASS if near else Verdict.FAIL, reason)


def shuffled_teach_nothing(gap: Difference) -> Gate:
    """G05: fitted on labels shuffled within each date, nothing beats the dates' own rates."""
    reason = f"on shuffled labels, log loss minus that of each date's rate: {_said(gap)}."
    return _gate("G05", Verdict.FAIL if gap.high < 0 else Verdict.PASS, reason)


def no_column_too_good(telling: Sequence[Telling], recipe: GateRecipe) -> Gate:
    """G06: a column that nearly is the answer was probably written after it."""
    if not telling:
        return _gate("G06", Verdict.CANNOT_JUDGE, "too few churned accounts to look at columns one by one.")
    guilty = [t for t in telling if t.auc > recipe.too_good_auc]
    named = ", ".join(f"{t.column} by {t.by} (AUC {t.auc:.3f})" for t in guilty or telling[:1])
    if guilty:
        return _gate("G06", Verdict.FAIL, f"look for the leak: {named}.")
    return _gate("G06", Verdict.PASS, f"the most telling column is {named}.")


def windows_apart(last_window_end: np.datetime64, first_final: np.datetime64) -> Gate:
    """G07: every label window used for learning ends before the first date that judges."""
    reason = f"the last label window ends {_day(last_window_end)}, the final block begins {_day(first_final)}."
    return _gate("G07", Verdict.PASS if last_window_end <= first_final else Verdict.FAIL, reason)


def timed(left_out: Sequence[str] | None, used: Sequence[str]) -> Gate:
    """G08: tables and columns with only today's state never reach a training vector."""
    if left_out is None:
        return _gate("G08", Verdict.CANNOT_JUDGE, FROM_FILE)
    if used:
        return _gate("G08", Verdict.FAIL, f"known although their table shows only today: {', '.join(used)}.")
    if left_out:
        return _gate("G08", Verdict.PASS, f"left out of training: {'; '.join(left_out).rstrip('.')}.")
    return _gate("G08", Verdict.PASS, "everything that was read shows its past.")


def later_records_change_nothing(found: Rechecked | None) -> Gate:
    """G09: vectors from all data equal vectors from data cut off at their date."""
    if found is None:
        return _gate("G09", Verdict.CANNOT_JUDGE, FROM_FILE)
    if found.changed:
        reason = f"cut off at {found.date}, these columns differ: {', '.join(found.changed)}."
        return _gate("G09", Verdict.FAIL, reason)
    reason = f"{found.vectors} vectors of {found.date} are the same from data cut off there."
    return _gate("G09", Verdict.PASS, reason)


def horizons_hold(horizons: Sequence[HorizonProof]) -> Gate:
    """G10: the mean probability of every other horizon is near the share that churned by then."""
    judged, open_ = [h for h in horizons if h.holds is not None], [h for h in horizons if h.holds is None]
    said = [f"within {h.days} days {h.said:.2%} said, {h.happened:.2%} happened" for h in judged]
    said += [f"{h.days} days cannot be judged ({h.churned_accounts} churned accounts)" for h in open_]
    reason = f"{'; '.join(said) or 'no other horizon, or no months to judge by'}."
    if not judged:
        return _gate("G10", Verdict.CANNOT_JUDGE, reason)
    return _gate("G10", Verdict.PASS if all(h.holds for h in judged) else Verdict.FAIL, reason)


def intervals_hold(check: IntervalCheck | None, enough: Gate) -> Gate:
    """G11: on the final block, answers miss by no more than their 90 % intervals and chance explain."""
    if check is None or enough.verdict is not Verdict.PASS:
        return _gate("G11", Verdict.CANNOT_JUDGE, enough.reason)
    reason = (
        f"in {check.held} of {check.bins} bins the share that churned lies in the interval; squared misses over "
        f"their variances: {check.chi_squared:.1f}, up to {check.limit:.1f} is allowed."
    )
    return _gate("G11", Verdict.PASS if check.holds else Verdict.FAIL, reason)


def not_judged(codes: Sequence[str], reason: str) -> list[Gate]:
    """Return gates that could not be asked."""
    return [_gate(code, Verdict.CANNOT_JUDGE, reason) for code in codes]


def _gate(code: str, verdict: Verdict, reason: str) -> Gate:
    return Gate(code, ABOUT[code], verdict, reason)


def _said(gap: Difference) -> str:
    return f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
