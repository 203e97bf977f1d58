"""The report in words and tables: made once, so that HTML and Markdown cannot differ in a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.gates import refusals
from training.horizons import HorizonProof
from training.plots import plots_of
from training.recipe import RegisterRecipe
from training.register import LeadTime, RegisterRow, Verdict, kept_by_chance
from training.report import SHARES, FinalBlock, Report
from training.resampling import Interval
from training.segments import Segment

NONE = "–"  # what cannot be said

CONTESTANTS = {
    "base_rate": "the same for everybody",
    "scorecard_prior": "the rules, with weights from before any outcome",
    "scorecard": "the rules, with weights refitted on outcomes",
    "ridge": "ridge logistic regression on the same vectors",
    "lightgbm_defaults": "LightGBM as it comes",
    "booster": "our booster, calibrated",
    "blend": "scorecard and booster together: what is served",
}
PICTURES = {
    "contest": "Log loss and AUC of each contestant, with their intervals. The table below has the same figures.",
    "reliability": "Share that churned against the probability said, in ten groups of equal size. The nearer to "
    "the diagonal, the better. The table below has the figures of the blend, with their intervals.",
    "lift": "Share of churn found against the share of snapshots looked at, the highest probability first. The "
    "table below has the figures at some shares.",
    "bands": "Share of snapshots that churned in each band, with intervals. The table below has the same figures.",
    "lead_time": "Median days from the first sign to notice or churn, with intervals. The table below has the "
    "same figures.",
    "register": "Lift of each sign with its interval, by verdict. The table below has the same figures.",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ``NAME.png``; `alt` says what it shows."""

    name: str
    alt: str


Piece = Text | Bullets | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    id: str
    title: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    verdict: str
    sections: tuple[Section, ...]


def document(report: Report) -> Document:
    """Put a report in words; what cannot be said is said to be so, or shown as ``–``."""
    made: list[tuple[str, str, Callable[[], Iterator[Piece]]]] = [
        ("judged", "What was judged, and by what", lambda: _judged(report)),
        *_on_the_final_block(report),
        ("lead", "From the first sign to churn", lambda: _lead(report)),
        ("register", "The signal register", lambda: _register(report)),
        ("gates", "Gates", lambda: _gates(report)),
        ("data", "Data and limits", lambda: _data(report)),
    ]
    sections = [Section(name, title, tuple(pieces())) for name, title, pieces in made]
    return Document("Keepsight: evaluation report", report.verdict, tuple(sections))


def _on_the_final_block(report: Report) -> list[tuple[str, str, Callable[[], Iterator[Piece]]]]:
    final = report.final
    if final is None:
        return []
    return [
        ("contest", "The contest", lambda: _contest(final)),
        ("calibration", "Whether it means what it says", lambda: _calibration(final)),
        ("lift", "Whether it finds those who leave", lambda: _lift(final)),
        ("bands", "Churn per band", lambda: _bands(final)),
        ("segments", "Segments", lambda: _segments(report, final)),
        ("horizons", "Other horizons", lambda: _horizons(report, final)),
    ]


def _judged(report: Report) -> Iterator[Piece]:
    facts, final = report.facts, report.final
    name, question, *_ = report.definition
    yield Text(f"{name} {question} All of it stands under Data and limits.")
    if final is None:
        yield Text("The history is too short to set months apart that nothing has learnt from: nothing is proven.")
        return
    yield Text(
        f"The final block judges: {final.snapshots:,} snapshots of {final.accounts:,} accounts, "
        f"{_day(final.dates[0])} to {_day(final.dates[1])}. {final.churned_accounts:,} of the accounts churned "
        f"({final.churned:.2%} of the snapshots). What is judged learnt from {facts.learnt_snapshots:,} snapshots "
        f"with {facts.learnt_churned:,} churned accounts, whose label windows end before the block begins."
    )
    if report.search is not None:
        yield Text(report.search)
    yield Text(
        f"Intervals hold {report.recipe.evaluation.interval:.0%} of what a bootstrap over accounts gives. Where "
        "nobody of a group churned, or everybody, the interval is the exact one for as many accounts."
    )


def _contest(final: FinalBlock) -> Iterator[Piece]:
    yield Picture("contest", PICTURES["contest"])
    yield Table(
        "Log loss and ranking",
        ("contestant", "what it is", "log loss", "blend minus it", "AUC", "PR-AUC"),
        tuple(
            (
                name,
                CONTESTANTS[name],
                _with(f"{s.log_loss:.4f}", s.log_loss_interval, "{:.4f}"),
                _minus(final, name),
                _with(_number(s.auc), s.auc_interval, "{:.3f}"),
                _with(_number(s.pr_auc), s.pr_auc_interval, "{:.3f}"),
            )
            for name, s in final.scores.items()
        ),
    )
    yield Text("Below 0 in the column “blend minus it”, the blend is better; the difference is paired by account.")


def _minus(final: FinalBlock, name: str) -> str:
    gap = final.blend_minus.get(name)
    return NONE if gap is None else _with(f"{gap.value:+.4f}", (gap.low, gap.high), "{:+.4f}")


def _calibration(final: FinalBlock) -> Iterator[Piece]:
    gap, interval = final.gap
    yield Text(
        f"The blend said {final.scores['blend'].mean_probability:.2%} on average, and {final.churned:.2%} "
        f"churned: a difference of {_with(f'{gap:+.2%}', interval, '{:+.2%}')}."
    )
    yield Picture("reliability", PICTURES["reliability"])
    yield Table(
        "The blend, in ten groups of equal size by what it said",
        ("group", "snapshots", "said", "churned"),
        tuple(
            (
                str(place),
                f"{group.rows:,}",
                f"{group.said:.2%}",
                _with(f"{group.happened:.2%}", group.interval, "{:.2%}"),
            )
            for place, group in enumerate(final.reliability["blend"], 1)
        ),
    )
    yield Text(_intervals_hold(final))
    yield Table(
        "Errors of probability",
        ("contestant", "Brier", "expected calibration error"),
        tuple(
            (
                name,
                _with(f"{s.brier:.4f}", s.brier_interval, "{:.4f}"),
                _with(f"{s.ece:.4f}", s.ece_interval, "{:.4f}"),
            )
            for name, s in final.scores.items()
        ),
    )


def _intervals_hold(final: FinalBlock) -> str:
    check = final.intervals
    if check is None:
        return "Whether the intervals of the probabilities hold cannot be said: nobody churned."
    return (
        f"The 90% interval that each probability comes with: in {check.held} of {check.bins} bins the share that "
        f"churned lies in it, chance allowed for; its mean half-width is {check.half_width:.2f} log-odds. Its "
        f"misses ({check.chi_squared:.1f}, up to {check.limit:.1f} is chance) say that it "
        + ("holds." if check.holds else "does not hold.")
    )


def _lift(final: FinalBlock) -> Iterator[Piece]:
    yield Text(
        f"The team can work {final.capacity_share:.0%} of the accounts at one time. Of these, date by date: how "
        "many times as many churned as of all (lift), the share that churned (precision), and the share of the "
        "lost yearly value that was among them, ranked by probability times value (ARR caught)."
    )
    yield Picture("lift", PICTURES["lift"])
    yield Table(
        "At the team's capacity",
        ("contestant", "lift", "precision", "ARR caught"),
        tuple(
            (
                name,
                _with(_number(s.lift, "{:.2f}"), s.lift_interval, "{:.2f}"),
                _with(_number(s.precision, "{:.1%}"), s.precision_interval, "{:.1%}"),
                _with(_number(s.arr_caught, "{:.1%}"), s.arr_caught_interval, "{:.1%}"),
            )
            for name, s in final.scores.items()
        ),
    )
    yield Text("Who says the same of everybody chooses nobody, and has no figures here.")
    yield Text(_arr_known(final))
    yield Table(
        "Share of churned snapshots found, the highest probability first",
        ("contestant", *(f"first {share:.0%}" for share in SHARES)),
        tuple(
            (name, *(_share_found(found, share) for share in SHARES)) for name, found in final.order_found.items()
        ),
    )


def _arr_known(final: FinalBlock) -> str:
    if final.arr_known == 0:
        return "ARR caught cannot be said: no yearly value is known."
    return (
        f"The yearly value is known on {final.arr_known:.0%} of the snapshots; the others count for nothing in it."
    )


def _share_found(found: np.typing.NDArray[np.float64], share: float) -> str:
    value = float(found[int(np.ceil(share * len(found))) - 1])
    return NONE if np.isnan(value) else f"{value:.1%}"


def _bands(final: FinalBlock) -> Iterator[Piece]:
    yield Picture("bands", PICTURES["bands"])
    yield Table(
        "Bands of the final block",
        ("band", "snapshots", "churned"),
        tuple(
            (
                band.band.replace("_", " "),
                f"{band.snapshots:,}",
                _with(_number(band.churned, "{:.2%}"), band.interval, "{:.2%}"),
            )
            for band in final.bands
        ),
    )
    for days, early in final.early.items():
        if early.not_healthy is None:
            yield Text(
                f"How churned accounts stood {days} days before cannot be said: no moment of notice or churn is "
                "known, or no account was seen that early."
            )
            continue
        share = _with(f"{early.not_healthy:.0%}", early.interval, "{:.0%}")
        yield Text(
            f"Of {early.accounts:,} churned accounts seen {days} days before notice or churn, {share} did not "
            "stand at healthy."
        )


def _segments(report: Report, final: FinalBlock) -> Iterator[Piece]:
    if not final.segments:
        yield Text("There are no segments: no context column that is a category is known on the final block.")
        return
    yield Text(
        "The blend, segment by segment, on the final block. Of many segments some miss the mark by chance: at "
        f"{report.recipe.evaluation.interval:.0%} about one interval in "
        f"{round(1 / (1 - report.recipe.evaluation.interval))} does not hold the truth."
    )
    for column in dict.fromkeys(segment.column for segment in final.segments):
        mine = [segment for segment in final.segments if segment.column == column]
        yield from _segments_by(report.names[column], mine)


def _segments_by(name: str, segments: Sequence[Segment]) -> Iterator[Piece]:
    rows = tuple(_segment(segment) for segment in segments if segment.figures is not None)
    small = tuple(f"{_value(segment)}: withheld, {segment.withheld}." for segment in segments if segment.withheld)
    head = ("segment", "snapshots", "accounts", "churned", "churned minus said", "log loss", "AUC")
    yield Table(f"By {name}", head, rows) if rows else Text(f"By {name}: no figures.")
    if small:
        yield Bullets(small)


def _segment(segment: Segment) -> tuple[str, ...]:
    figures = segment.figures
    assert figures is not None  # only those are asked for
    scores = figures.scores
    return (
        _value(segment),
        f"{segment.snapshots:,}",
        f"{segment.accounts:,} ({segment.churned_accounts:,} churned)",
        _with(f"{figures.churned:.2%}", figures.churned_interval, "{:.2%}"),
        _with(f"{figures.gap:+.2%}", figures.gap_interval, "{:+.2%}"),
        _with(f"{scores.log_loss:.4f}", scores.log_loss_interval, "{:.4f}"),
        _with(_number(scores.auc), scores.auc_interval, "{:.3f}"),
    )


def _value(segment: Segment) -> str:
    return "(unknown)" if segment.value is None else segment.value


def _horizons(report: Report, final: FinalBlock) -> Iterator[Piece]:
    if not final.horizons:
        yield Text("There is no other horizon.")
        return
    yield Text(
        f"All above is about {report.recipe.labels.horizon_days} days. Each other horizon is judged on those "
        "snapshots of the final block whose longer or shorter window was over when the history ended; where too "
        "few accounts churned there, it cannot be judged, and its probabilities are marked as extrapolated in "
        "every answer."
    )
    yield Table(
        "The other horizons",
        (
            "days",
            "snapshots",
            "churned accounts",
            "said",
            "churned minus said",
            "log loss",
            "base rate",
            "AUC",
            "verdict",
        ),
        tuple(_horizon(one) for one in final.horizons),
    )


def _horizon(one: HorizonProof) -> tuple[str, ...]:
    gap = None if one.said is None or one.happened is None else one.happened - one.said
    return (
        str(one.days),
        f"{one.snapshots:,} on {one.dates} dates",
        f"{one.churned_accounts:,}",
        _number(one.said, "{:.2%}"),
        _with(_number(gap, "{:+.2%}"), one.gap, "{:+.2%}"),
        _with(_number(one.log_loss, "{:.4f}"), one.log_loss_interval, "{:.4f}"),
        _number(one.base_log_loss, "{:.4f}"),
        _with(_number(one.auc), one.auc_interval, "{:.3f}"),
        one.verdict,
    )


def _lead(report: Report) -> Iterator[Piece]:
    register = report.register
    if register.stays == 0:
        yield Text(
            "How long before churn the first sign was seen cannot be said: nothing tells the moments of notice or "
            "churn. A snapshot file and given labels tell who churned within the horizon, not when; train from "
            "--sources with contracts or outcomes."
        )
        return
    yield Text(
        f"Rests on all {register.stays:,} stays that led to churn, as defined, and have a snapshot before "
        "it, learnt from or not: the final block alone has too few. The first snapshot of the stay on which a "
        "sign stood counts; the sign may have begun up to one month earlier. Snapshots at the time of churn or "
        "after it count for nothing."
    )
    yield Picture("lead_time", PICTURES["lead_time"])
    yield Table(
        "Days from the first sign of the stay to notice or churn",
        ("first", "median days", "stays with it", "standing since the first snapshot"),
        tuple(
            (
                name,
                _days(lead),
                f"{lead.fired:,} of {lead.stays:,}",
                f"{lead.standing:,}",
            )
            for name, lead in register.firsts.items()
        ),
    )
    yield Text("Where a sign stood on the first snapshot of the stay, it may be older than can be seen.")


def _register(report: Report) -> Iterator[Piece]:
    register, how = report.register, report.recipe.signal_register
    yield Text(
        f"Lift rests on all {register.snapshots:,} snapshots with a label, {_day(register.dates[0])} to "
        f"{_day(register.dates[1])}, of {register.accounts:,} accounts, {register.churned_accounts:,} of them "
        "churned: signs are read with the thresholds of the playbook, which learn nothing from outcomes. Who "
        "set thresholds by this same history sees figures that flatter."
    )
    yield Bullets(_words(how))
    if "register" in plots_of(report):
        yield Picture("register", PICTURES["register"])
    for verdict in Verdict:
        rows = [row for row in register.rows if row.verdict is verdict and row.coverage > 0]
        if rows:
            yield _register_table(report, verdict, sorted(rows, key=_by_lift))
        else:
            yield Text(f"Verdict {verdict}: none.")
    unknown = ", ".join(report.names[row.id] for row in register.rows if row.coverage == 0)
    if unknown:
        yield Text(f"To be watched too, since they were never known: {unknown}.")
    interval = report.recipe.evaluation.interval
    yield Text(
        f"Of {len(register.rows)} signs, {sum(row.verdict is Verdict.KEEP for row in register.rows)} are kept. "
        "Did none of them go with churn, chance alone would still keep up to about "
        f"{kept_by_chance(register.rows, interval):.0f}."
    )


def _words(how: RegisterRecipe) -> tuple[str, ...]:
    late, least = how.confirming_days, how.least_lift
    lift = (
        "Lift: the share of snapshots with the sign that were followed by churn, over that share of all snapshots "
        "on which the sign was known. It says what goes together, not what causes what."
    )
    comes_late = (
        f"Comes late: of the churn that it foretold beyond the base rate, the share within {late} days. "
        f"Above {how.confirming_share:.0%} it only confirms (confirmatory), else it leads (leading)."
    )
    verdicts = (
        f"Keep: beyond chance, and a lift of {least:g} or more. Drop: clearly below {least:g}. Watch: all else; "
        "too little data is no reason to drop a sign."
    )
    return (
        lift,
        "Coverage: the share of snapshots on which it was known. Fires: of these, the share on which it stood.",
        "Caught: of all churned accounts, the share on which it stood within the horizon before.",
        "Lead time: median days from its first firing of a stay to notice or churn.",
        comes_late,
        verdicts,
    )


def _by_lift(row: RegisterRow) -> tuple[float, str]:
    return (float("inf") if row.lift is None else -row.lift, row.id)


def _register_table(report: Report, verdict: Verdict, rows: Sequence[RegisterRow]) -> Table:
    return Table(
        f"Verdict: {verdict}",
        (
            "sign",
            "lift",
            "coverage",
            "fires",
            "accounts with it",
            "caught",
            "lead time",
            "comes late",
            "role",
            "reason",
        ),
        tuple(
            (
                f"{report.names[row.id]} ({row.id})",
                _with(_number(row.lift, "{:.2f}"), row.interval, "{:.2f}"),
                f"{row.coverage:.0%}",
                _number(row.fired_share, "{:.1%}"),
                f"{row.fired_accounts:,} ({row.churned_accounts:,} churned)",
                _number(row.caught, "{:.0%}"),
                _days(row.lead),
                _number(row.late_share, "{:.0%}"),
                _role(row),
                row.reason,
            )
            for row in rows
        ),
    )


def _role(row: RegisterRow) -> str:
    found = NONE if row.role is None else str(row.role)
    differs = row.role is not None and row.declared is not None and row.declared != str(row.role)
    return f"{found} (catalogue: {row.declared})" if differs else found


def _days(lead: LeadTime) -> str:
    return _with(_number(lead.median_days, "{:.0f}"), lead.interval, "{:.0f}")


def _gates(report: Report) -> Iterator[Piece]:
    yield Table(
        "What stands for and against promotion",
        ("gate", "verdict", "reason"),
        tuple((f"{one.code} {one.about}", one.verdict.replace("_", " "), one.reason) for one in report.gates),
    )
    against = len(refusals(report.gates))
    yield Text(f"Refused for promotion by {against} of them." if against else "Nothing stands against promotion.")


def _data(report: Report) -> Iterator[Piece]:
    facts = report.facts
    yield Table(
        "What it rests on",
        ("fact", "value"),
        (
            ("snapshots", f"{facts.snapshots:,} ({facts.labelled:,} with a label)"),
            ("accounts", f"{facts.accounts:,}"),
            ("dates", f"{_day(facts.dates[0])} to {_day(facts.dates[1])}"),
            ("churned accounts behind the registered model", f"{facts.registered_churned:,}"),
            ("its weight in the blend, at full coverage", f"{facts.model_weight:.2f}"),
            ("digest of the data", facts.dataset_digest),
            ("digest of the bundle", facts.bundle_digest),
            ("definitions", facts.definitions),
        ),
    )
    yield Text(
        "The registered model is the same recipe fitted again on all snapshots with a label: nothing is left to "
        "judge it by, and every figure above is that of the fit before the final block."
    )
    yield Text("What counts as churn:")
    yield Bullets(report.definition)
    if facts.left_out is None:
        yield Text("Whether a table shows only today's state is not known: the run read a snapshot file.")
    elif facts.left_out:
        yield Text("Left out of training, since only today's state is known:")
        yield Bullets(facts.left_out)
    if facts.never_known:
        named = ", ".join(report.names[name] for name in facts.never_known)
        yield Text(f"Unknown on every snapshot, so nothing was learnt about them: {named}.")


def _with(figure: str, interval: Interval | None, how: str) -> str:
    """Write a figure with its interval, where it has one."""
    if figure == NONE or interval is None:
        return figure
    return f"{figure} ({how.format(interval[0])} to {how.format(interval[1])})"


def _number(value: float | None, how: str = "{:.3f}") -> str:
    return NONE if value is None else how.format(value)


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
