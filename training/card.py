"""The model card: what was trained on what, how good it was, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from features.vectors import Vectors
from models.probability import log_odds, parts
from training.contest import Contest
from training.dataset import Snapshots
from training.definition import ENDINGS, GIVEN, KINDS, LabelRule
from training.fitting import Fit, Material
from training.folds import Split
from training.gates import Gate, refusals
from training.horizons import HorizonProof

SHOWN_DRIVERS = 12
SAMPLED_ROWS = 5_000


def model_card(
    snapshots: Snapshots,
    rule: LabelRule,
    material: Material,
    split: Split,
    proven: Fit,
    registered: Fit,
    contest: Contest | None,
    horizons: Sequence[HorizonProof],
    gates: Sequence[Gate],
    verdict: str,
) -> str:
    """Return the card as Markdown; the same run gives the same text."""
    sections = [
        ["# Keepsight churn model", "", verdict],
        list(_what(rule, split, proven, registered)),
        list(_counted(snapshots, rule)),
        list(_figures(contest)),
        list(_other_horizons(registered, horizons)),
        list(_origins(proven)),
        ["## Gates", "", *_gate_lines(gates)],
        list(_rests_on(material, registered)),
        list(_limits(snapshots, material)),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _what(rule: LabelRule, split: Split, proven: Fit, registered: Fit) -> Iterator[str]:
    yield "## What it is"
    yield ""
    yield (
        f"The probability that an account {_event(rule)} within {rule.horizon_days} days"
        + (f", beginning {rule.embargo_days} days ahead" if rule.embargo_days else "")
        + ": a scorecard of rules refitted on outcomes, and a monotone LightGBM model beside it, calibrated and "
        "blended in log-odds."
    )
    yield ""
    yield "| | proven | registered |"
    yield "|---|---|---|"
    for (name, before), (_, now) in zip(_facts(proven), _facts(registered), strict=True):
        yield f"| {name} | {before} | {now} |"
    yield ""
    if len(split.final):
        yield (
            "*Proven* learnt from label windows that end by "
            f"{_day(split.first_final)}; every figure below is its own, on months it had not seen. "
            "*Registered*, the model in this bundle, is the same recipe fitted again on all snapshots with "
            "a label, its calibration and kappa from rolling origins over all of them: nothing is left to judge "
            "it by."
        )
    else:
        yield "The history is too short for months to judge by: the model in this bundle is unproven."


def _event(rule: LabelRule) -> str:
    """Say what the probability is about; all endings together are what the domain calls churn."""
    return "gives notice or churns" if rule.kinds == ENDINGS else f"shows {' or '.join(rule.kinds)}"


def _counted(snapshots: Snapshots, rule: LabelRule) -> Iterator[str]:
    yield "## What counts as churn"
    yield ""
    yield from (f"- {line}" for line in rule.text.splitlines())
    yield ""
    labelled = snapshots.labelled
    if labelled is None:
        yield "The data do not say how they were labelled; it is taken to be so."
    else:
        yield f"Judged by the table {labelled.basis}, as known on {labelled.observed_until:%Y-%m-%d %H:%M}."
    if snapshots.kind is None:
        return
    counted, aside = snapshots.accounts_by_kind(), snapshots.accounts_by_kind(churned=False)
    yield ""
    yield "| kind | accounts for which it counted | and did not |"
    yield "|---|---|---|"
    for kind in (*KINDS, GIVEN):
        if kind in rule.kinds or kind in counted or kind in aside:
            yield f"| {kind} | {counted.get(kind, 0):,} | {aside.get(kind, 0):,} |"


def _facts(fitted: Fit) -> list[tuple[str, str]]:
    return [
        ("snapshots", f"{fitted.rows:,}"),
        ("churned accounts", f"{fitted.churned_accounts:,}"),
        ("share of snapshots that churned", f"{fitted.base_rate:.2%}"),
        ("booster starts from", f"{fitted.start.share:.0%} scorecard, {1 - fitted.start.share:.0%} base rate"),
        ("trees", str(fitted.rounds)),
        ("calibration a, b", f"{fitted.platt.a:+.3f}, {fitted.platt.b:.3f}"),
        ("kappa", f"{fitted.blend.kappa:.1f}"),
        ("model weight at full coverage", f"{fitted.blend.full_weight:.2f}"),
        ("folds", f"{fitted.folds} {'by time' if fitted.across_time else 'by account'}"),
    ]


def _figures(contest: Contest | None) -> Iterator[str]:
    yield "## How good it was"
    yield ""
    if contest is None:
        yield "Not known."
        return
    block = contest.block
    dates = np.unique(block.as_of)
    yield (
        f"Final block: {len(block):,} snapshots of {block.accounts:,} accounts, {_day(dates[0])} to "
        f"{_day(dates[-1])}; {block.churned_accounts:,} accounts churned. Intervals are over accounts. The run's "
        "evaluation report (report/report.html beside this card in MLflow) has calibration, lift, segments, lead "
        "times and the signal register."
    )
    yield ""
    yield "| | log loss | | AUC | | Brier | ECE | PR-AUC | lift | precision | ARR caught |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for name, s in contest.scores.items():
        low, high = s.log_loss_interval
        area = "" if s.auc_interval is None else f"{s.auc_interval[0]:.3f} to {s.auc_interval[1]:.3f}"
        yield (
            f"| {name} | {s.log_loss:.4f} | {low:.4f} to {high:.4f} | {_or_dash(s.auc)} | {area} | {s.brier:.4f} "
            f"| {s.ece:.4f} | {_or_dash(s.pr_auc)} | {_or_dash(s.lift)} | {_or_dash(s.precision)} "
            f"| {_or_dash(s.arr_caught)} |"
        )
    yield ""
    yield (
        f"Lift, precision and ARR caught: of the {block.capacity_share:.0%} of accounts that the team would work, "
        "date by date."
    )
    yield ""
    yield "| band | snapshots | churned |"
    yield "|---|---|---|"
    for row in contest.bands:
        yield f"| {row.band} | {row.snapshots:,} | {'–' if row.churned is None else f'{row.churned:.2%}'} |"
    if (check := contest.intervals) is not None:
        yield ""
        yield (
            f"Intervals (90 %): mean half-width {check.half_width:.2f} log-odds; in {check.held} of {check.bins} "
            "bins the share that churned lies in the interval, chance allowed for."
        )
    for days, share in contest.not_healthy_before.items():
        said = "not known" if share is None else f"{share:.0%}"
        yield ""
        yield f"Churned accounts that did not stand at healthy {days} days before: {said}."


def _origins(proven: Fit) -> Iterator[str]:
    yield "## Rolling origins"
    yield ""
    if not proven.origins:
        yield "The history is too short for any."
        return
    apart = "apart in time" if proven.across_time else "apart by account, since the history is short"
    yield (
        f"Before the final block, {apart}; booster, trees, calibration and kappa were chosen on these months, all "
        "pooled, so these figures flatter a little. Log loss of the months that judge:"
    )
    yield ""
    names = ("base rate", "scorecard", "booster", "blend", "AUC")
    yield f"| months | churned accounts learnt from | churned accounts | {' | '.join(names)} |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in proven.origins:
        losses = " | ".join(f"{one.log_loss[name]:.4f}" for name in ("base_rate", "scorecard", "booster", "blend"))
        yield (
            f"| {one.first} to {one.last} | {one.learnt_from} | {one.churned_accounts} | {losses} | "
            f"{_or_dash(one.auc)} |"
        )


def _other_horizons(registered: Fit, horizons: Sequence[HorizonProof]) -> Iterator[str]:
    yield "## Other horizons"
    yield ""
    found = {one.days: one for one in horizons}
    yield "| days | judged on | churned accounts | said | happened | log loss | base rate | AUC | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for days in registered.hazard.horizons:
        if days == registered.hazard.days:
            continue
        one = found.get(days, HorizonProof(days, 0, 0, 0))
        figures = [one.log_loss, one.base_log_loss, one.auc]
        shares = ["–" if share is None else f"{share:.2%}" for share in (one.said, one.happened)]
        yield (
            f"| {days} | {one.snapshots:,} snapshots on {one.dates} dates | {one.churned_accounts} | "
            f"{' | '.join(shares)} | {' | '.join(_or_dash(figure) for figure in figures)} | "
            f"{one.verdict} |"
        )


def _gate_lines(gates: Sequence[Gate]) -> Iterator[str]:
    yield "| gate | verdict | reason |"
    yield "|---|---|---|"
    for one in gates:
        yield f"| {one.code} {one.about} | {one.verdict} | {one.reason} |"
    yield ""
    yield "Refused for promotion." if refusals(gates) else "Nothing stands against promotion."


def _rests_on(material: Material, registered: Fit) -> Iterator[str]:
    yield "## What its answers rest on"
    yield ""
    yield "Mean size of each part of the log-odds. Signs go with churn; nothing here says that they cause it."
    yield ""
    yield "| | mean size | weight of the rule, before | after |"
    yield "|---|---|---|---|"
    before = dict(zip(material.prior.items, material.prior.weights, strict=True))
    after = dict(zip(registered.scorecard.items, registered.scorecard.weights, strict=True))
    for name, size in drivers(material, registered)[:SHOWN_DRIVERS]:
        rule = f"{before[name]:.2f} | {after[name]:.2f}" if name in before else "– | –"
        yield f"| {name} | {size:.3f} | {rule} |"


def drivers(material: Material, fitted: Fit) -> list[tuple[str, float]]:
    """Return what moves the answers most: column (or ``combination``) and mean size of its log-odds."""
    labelled = np.flatnonzero(~np.isnan(material.churned))
    step = max(1, len(labelled) // SAMPLED_ROWS)
    rows = labelled[::step]
    vectors: Vectors = material.vectors.take(rows)
    bundle = fitted.bundle(material)
    answers = log_odds(vectors, material.judgements(rows), fitted.scorecard, bundle)
    columns, combination = parts(answers, vectors, fitted.scorecard, bundle)
    sizes = dict(zip(vectors.contract.names, np.abs(columns).mean(axis=0), strict=True))
    sizes["combination"] = np.abs(combination).mean()
    return sorted(((name, float(size)) for name, size in sizes.items()), key=lambda item: (-item[1], item[0]))


def _limits(snapshots: Snapshots, material: Material) -> Iterator[str]:
    yield "## Limits"
    yield ""
    vectors = material.vectors
    unknown = np.flatnonzero(np.isnan(vectors.values).all(axis=0))
    empty = [vectors.contract.names[place] for place in unknown]
    yield f"Data: {len(vectors):,} snapshots, digest {snapshots.digest}."
    if snapshots.left_out:
        yield ""
        yield "Left out of training, since only today's state is known:"
        yield from (f"- {reason}" for reason in snapshots.left_out)
    if empty:
        yield ""
        yield f"Unknown on every snapshot, so nothing was learnt about them: {', '.join(empty)}."


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
